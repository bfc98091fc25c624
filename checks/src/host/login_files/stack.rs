//! The PAM stacks of one service, laid flat as Linux-PAM loads them (`pam_handlers.c`).

use std::path::Path;

use crate::check::bytes_text;
use crate::fact::{Fact, Why};
use crate::snapshot::{Miss, Reader};

/// As deep as Linux-PAM lets files include files.
const MAX_DEPTH: u32 = 32;

/// Where services are described, first come.
const PLACES: [&str; 3] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d"];

/// One entry of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StackEntry {
    /// A module.
    Module {
        /// The control field as written: a word, or `[value=action …]`.
        control: String,
        /// Its name without directory and ending: `pam_unix`.
        module: String,
        /// Its arguments.
        args: Vec<String>,
        /// The line begins with `-`: a missing module is no error.
        may_miss: bool,
    },
    /// A stack of its own.
    Substack(Vec<StackEntry>),
}

/// The two stacks that decide whether sshd lets somebody in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stacks {
    /// Is it who it says it is.
    pub auth: Fact<Vec<StackEntry>>,
    /// May it come in.
    pub account: Fact<Vec<StackEntry>>,
}

impl Stacks {
    /// Reads a service's file, else that of `other`. Absent: no file says anything, and PAM refuses.
    pub(super) fn read(reader: &Reader<'_>, service: &str) -> Self {
        let stack = |facility: &str| match load(reader, service, facility, 0) {
            Ok(None) => match load(reader, "other", facility, 0) {
                Ok(None) => Fact::Absent,
                Ok(Some(entries)) => Fact::Known(entries),
                Err(why) => Fact::Unknown(why),
            },
            Ok(Some(entries)) => Fact::Known(entries),
            Err(why) => Fact::Unknown(why),
        };
        Self { auth: stack("auth"), account: stack("account") }
    }
}

/// One facility of one file. None: there is no such file.
fn load(reader: &Reader<'_>, name: &str, facility: &str, depth: u32) -> Result<Option<Vec<StackEntry>>, Why> {
    if depth > MAX_DEPTH {
        return Err(Why::Defect("PAM files include each other".to_owned()));
    }
    let places: Vec<String> =
        if name.starts_with('/') { vec![name.to_owned()] } else { PLACES.map(|dir| format!("{dir}/{name}")).to_vec() };
    for path in places {
        match reader.file(Path::new(&path)) {
            Ok(view) => return entries(reader, view.bytes, facility, depth).map(Some),
            Err(Miss::Absent) => {}
            Err(Miss::Pending) => return Err(Why::NotAsked("not recorded yet")),
            Err(Miss::Unreadable(why)) => return Err(Why::Failed(format!("{path}: {why}"))),
        }
    }
    Ok(None)
}

fn entries(reader: &Reader<'_>, bytes: &[u8], facility: &str, depth: u32) -> Result<Vec<StackEntry>, Why> {
    let mut out = Vec::new();
    let included = |name: &str| -> Result<Vec<StackEntry>, Why> {
        load(reader, name, facility, depth + 1)?.ok_or_else(|| Why::Defect(format!("PAM includes {name}, which is not there")))
    };
    for line in lines(bytes) {
        let mut words = words(&line).into_iter();
        let Some(first) = words.next() else { continue };
        // Debian's form takes every facility of the file.
        if first == "@include" {
            out.extend(included(&words.next().unwrap_or_default())?);
            continue;
        }
        let (kind, may_miss) = match first.strip_prefix('-') {
            Some(kind) => (kind, true),
            None => (first.as_str(), false),
        };
        if !kind.eq_ignore_ascii_case(facility) {
            continue;
        }
        let (Some(control), Some(module)) = (words.next(), words.next()) else {
            return Err(Why::Defect("a PAM line without control or module".to_owned()));
        };
        match control.to_ascii_lowercase().as_str() {
            "include" => out.extend(included(&module)?),
            "substack" => out.push(StackEntry::Substack(included(&module)?)),
            _ => {
                let name = module.rsplit('/').next().unwrap_or(&module);
                let name = name.strip_suffix(".so").unwrap_or(name).to_owned();
                out.push(StackEntry::Module { control, module: name, args: words.collect(), may_miss });
            }
        }
    }
    Ok(out)
}

/// Logical lines: comments cut, a backslash at the end joins the next.
fn lines(bytes: &[u8]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut open = false;
    for raw in bytes.split(|byte| *byte == b'\n') {
        let text = bytes_text(raw);
        let text = text.split('#').next().unwrap_or_default().trim_end().to_owned();
        let (text, more) = match text.strip_suffix('\\') {
            Some(text) => (format!("{text} "), true),
            None => (text, false),
        };
        match out.last_mut().filter(|_| open) {
            Some(last) => last.push_str(&text),
            None => out.push(text),
        }
        open = more;
    }
    out
}

/// Words; brackets hold one together, and are kept around a control field.
fn words(line: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut depth = false;
    for c in line.chars() {
        match c {
            '[' if !depth && word.is_none() => {
                depth = true;
                word = Some("[".to_owned());
            }
            ']' if depth => {
                depth = false;
                word.get_or_insert_default().push(']');
                out.extend(word.take());
            }
            c if c.is_ascii_whitespace() && !depth => out.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    // An argument in brackets is one word without them; the control field (the second word) keeps its own.
    for (index, word) in out.iter_mut().enumerate() {
        if index != 1
            && let Some(inside) = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
        {
            *word = inside.to_owned();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Sketch;

    #[test]
    fn includes_are_laid_flat_and_substacks_kept() {
        let snapshot = Sketch::new()
            .file("/etc/pam.d/sshd", "# c\n@include common-auth\naccount required pam_nologin.so\naccount include a\n")
            .file(
                "/etc/pam.d/common-auth",
                "auth\t[success=1 default=ignore]\tpam_unix.so nullok # x\nauth requisite \\\n pam_deny.so\n\
                 -auth optional /lib/security/pam_x.so [a b=c]\nauth substack b\n",
            )
            .file("/etc/pam.d/a", "account required pam_unix.so\nauth required pam_deny.so\n")
            .file("/usr/lib/pam.d/b", "auth required pam_permit.so\n")
            .snapshot();
        let stacks = Stacks::read(&Reader::new(&snapshot), "sshd");
        let module = |control: &str, module: &str, args: &[&str], may_miss| StackEntry::Module {
            control: control.to_owned(),
            module: module.to_owned(),
            args: args.iter().map(|a| (*a).to_owned()).collect(),
            may_miss,
        };
        assert_eq!(
            stacks.auth,
            Fact::Known(vec![
                module("[success=1 default=ignore]", "pam_unix", &["nullok"], false),
                module("requisite", "pam_deny", &[], false),
                module("optional", "pam_x", &["a b=c"], true),
                StackEntry::Substack(vec![module("required", "pam_permit", &[], false)]),
            ])
        );
        assert_eq!(
            stacks.account,
            Fact::Known(vec![module("required", "pam_nologin", &[], false), module("required", "pam_unix", &[], false)])
        );
        let none = Sketch::new().snapshot();
        assert_eq!(Stacks::read(&Reader::new(&none), "sshd").auth, Fact::Absent);
        let broken = Sketch::new().file("/etc/pam.d/sshd", "auth include gone\n").snapshot();
        assert!(matches!(Stacks::read(&Reader::new(&broken), "sshd").auth, Fact::Unknown(_)));
    }
}
