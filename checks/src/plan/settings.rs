//! Keys of `KEY value` and `key = value` files.
//!
//! A key that is set more than once is set everywhere: of login.defs the last value holds for shadow-utils (`getdef.c`) and the first
//! for pam_unix (`pam_modutil_search_key`; both seen with `useradd` and `chpasswd` of Ubuntu 18.04 and Debian 12); in the files of PAM modules
//! the last (`faillock_config.c`, `settings.c` of libpwquality). The key is followed by a blank, for libpwquality before 1.3 takes
//! `minlen=9` for one word that it does not know and stops reading.

use std::path::{Path, PathBuf};

use super::draft::Sheet;
use super::fold::{Refused, Work};
use crate::effect::Owner;
use crate::plan::Obstacle;
use crate::snapshot::Miss;

/// How the lines of a file are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `KEY value`; what stands behind is part of the value, a comment too.
    Defs,
    /// `key = value # comment`, the key in this case.
    Conf,
    /// The same, the key in any case.
    AnyCase,
}

impl Form {
    fn of(file: &Path) -> Self {
        match file.file_name().and_then(|name| name.to_str()) {
            Some("login.defs") => Self::Defs,
            Some("pwquality.conf") => Self::AnyCase,
            _ => Self::Conf,
        }
    }

    /// A line that sets the key, as it would have to be; None: the line is about something else.
    fn revised(self, text: &[u8], key: &str, value: &str) -> Option<Vec<u8>> {
        let comment = text.iter().position(|byte| *byte == b'#');
        let (body, comment) = text.split_at_checked(comment.unwrap_or(text.len()))?;
        let start = body.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let (indent, rest) = body.split_at_checked(start)?;
        let end = rest.iter().position(|byte| byte.is_ascii_whitespace() || (*byte == b'=' && self != Self::Defs));
        let (word, rest) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        let same = match self {
            // A comment is part of the value, and of a key that it follows at once; a key alone is no setting.
            Self::Defs => {
                word == key.as_bytes() && (end.is_some() && !(rest.trim_ascii().is_empty() && comment.is_empty()))
            }
            Self::Conf => word == key.as_bytes(),
            Self::AnyCase => word.eq_ignore_ascii_case(key.as_bytes()),
        };
        if !same {
            return None;
        }
        if self == Self::Defs {
            let separator = rest.iter().take_while(|byte| b" \t".contains(byte));
            let line: Vec<u8> = indent.iter().chain(word).chain(separator).copied().chain(value.bytes()).collect();
            let above = if comment.is_empty() { Vec::new() } else { [indent, comment, b"\n"].concat() };
            return Some([above, line].concat());
        }
        let mut line = [indent, key.as_bytes(), b" = ", value.as_bytes()].concat();
        if !comment.is_empty() {
            let gap = body.get(body.trim_ascii_end().len()..).filter(|gap| !gap.is_empty());
            line.extend_from_slice(gap.unwrap_or(b" "));
            line.extend_from_slice(comment);
        }
        Some(line)
    }

    fn line(self, key: &str, value: &str) -> String {
        match self {
            Self::Defs => format!("{key}\t{value}"),
            Self::Conf | Self::AnyCase => format!("{key} = {value}"),
        }
    }
}

/// Sets a key, adding it where it is missing. A file that is not there is made: as a copy of the vendor's, which it replaces for those who
/// read it, where there is one below `/usr`.
pub(super) fn set(work: &mut Work<'_, '_>, file: &Path, key: &str, value: &str) -> Result<(), Refused> {
    let form = Form::of(file);
    let refused = |obstacle| (PathBuf::from(file), obstacle);
    match work.draft.sheet(file) {
        Ok(sheet) => {
            revise(sheet, form, key, value);
            return Ok(());
        }
        Err(Obstacle::Missing) => {}
        Err(obstacle) => return Err(refused(obstacle)),
    }
    let vendors = Path::new("/usr").join(file.strip_prefix("/").unwrap_or(file));
    let content = match work.draft.reader().file(&vendors) {
        Ok(view) => view.bytes.to_vec(),
        Err(Miss::Absent) => Vec::new(),
        Err(Miss::Pending) => return Err((vendors, Obstacle::Pending)),
        Err(Miss::Unreadable(why)) => return Err((vendors, Obstacle::Unreadable(why))),
    };
    work.draft.write(file, content, Owner::root(0o644)).map_err(refused)?;
    revise(work.draft.sheet(file).map_err(refused)?, form, key, value);
    Ok(())
}

fn revise(sheet: &mut Sheet, form: Form, key: &str, value: &str) {
    let numbers: Vec<u32> = sheet.lines().map(|(line, _)| line).collect();
    let mut found = false;
    for line in numbers {
        if let Some(text) = sheet.line(line).and_then(|text| form.revised(text, key, value)) {
            sheet.replace(line, text);
            found = true;
        }
    }
    if !found {
        sheet.append(form.line(key, value).as_bytes());
    }
}

#[cfg(test)]
mod tests;
