//! Where AccessKeys are looked for, and what a file there gives: the agent reads the files one after the other and keeps none.
//!
//! These files are no part of a snapshot. A snapshot is kept for the whole scan and is what a resident watches: some of these are
//! large, all are full of secrets, and histories change with every command.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::parse::access_key::{AccessKey, access_keys};
use crate::parse::{Defect, systemd_unit, user_data};

mod environment;
mod listing;
mod places;

pub use environment::{ENVIRONMENT_LIMIT, Environment, holder, in_environment, sources};
pub use listing::{FILE_LIMIT, File, Listing, list};
pub use places::{Place, places};

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// As text.
    Text,
    /// As a unit, which may name environment files.
    Unit,
    /// As user data, which may be packed.
    UserData,
}

/// What a file gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// The AccessKeys in it.
    pub keys: Vec<AccessKey>,
    /// What could not be looked at.
    pub defects: Vec<Defect>,
    /// Files that it names as holding credentials or environment variables: paths, or patterns.
    pub names: Vec<PathBuf>,
}

/// Looks for AccessKeys in a file. In a program, an archive or a picture there is nothing to find.
pub fn scan(form: Form, bytes: &[u8]) -> Scanned {
    let mut out = Scanned { names: named(form, bytes), ..Scanned::default() };
    if form == Form::UserData {
        let (parts, defects) = user_data::parts(bytes);
        out.defects = defects;
        for part in parts {
            let (keys, defects) = access_keys(&part.text);
            // Where something was unpacked its lines are no lines of the file.
            let shift = part.first_line.saturating_sub(1);
            out.keys.extend(keys.into_iter().map(|mut key| {
                key.lines.iter_mut().for_each(|line| *line = line.saturating_add(shift));
                key
            }));
            out.defects.extend(defects);
        }
    } else if !is_binary(bytes) {
        (out.keys, out.defects) = access_keys(bytes);
    }
    out
}

/// Whether it is a format of programs, archives or pictures, or mostly no text. Some zero bytes are text all the same: a crash leaves
/// them in histories.
fn is_binary(bytes: &[u8]) -> bool {
    let starts: [&[u8]; 9] = [
        b"\x7fELF",
        b"\x1f\x8b",
        b"PK\x03\x04",
        b"\x89PNG",
        b"\xff\xd8\xff",
        b"BZh",
        b"\xfd7zXZ",
        b"\x28\xb5\x2f\xfd",
        b"SQLite format 3",
    ];
    let head = bytes.get(..4096).unwrap_or(bytes);
    let odd = head.iter().filter(|byte| matches!(**byte, 1..=8 | 14..=26 | 28..=31 | 127)).count();
    starts.iter().any(|start| bytes.starts_with(start)) || odd * 10 > head.len()
}

/// Settings whose value is the path of a file with credentials.
const NAMING: [&[u8]; 3] = [b"passwd_file=", b"ALIBABA_CLOUD_CREDENTIALS_FILE=", b"ALIBABA_CLOUD_CONFIG_FILE="];
/// As many files as one file may name.
const MAX_NAMED: usize = 50;

fn named(form: Form, bytes: &[u8]) -> Vec<PathBuf> {
    let mut out = Vec::new();
    if form == Form::Unit {
        let (unit, _) = systemd_unit::parse(bytes);
        let files = unit.values("Service", "EnvironmentFile");
        out.extend(files.into_iter().filter_map(|file| absolute(&pattern(file.strip_prefix(b"-").unwrap_or(file)))));
    }
    if !is_binary(bytes) {
        for line in bytes.split(|byte| *byte == b'\n') {
            out.extend(NAMING.iter().filter_map(|setting| absolute(value(line, setting)?)));
        }
    }
    out.truncate(MAX_NAMED);
    out
}

fn absolute(path: &[u8]) -> Option<PathBuf> {
    (path.starts_with(b"/") && path.len() < 4096).then(|| PathBuf::from(OsStr::from_bytes(path)))
}

/// The value of a setting in a line, without its quotes.
fn value<'l>(line: &'l [u8], setting: &[u8]) -> Option<&'l [u8]> {
    let at = line.windows(setting.len()).position(|part| part == setting)?;
    let rest = line.get(at + setting.len()..)?;
    let rest = rest.strip_prefix(b"\"").or_else(|| rest.strip_prefix(b"'")).unwrap_or(rest);
    rest.split(|byte| byte.is_ascii_whitespace() || b",\"';".contains(byte)).next()
}

/// A path of a unit with each specifier (`%i`) standing for anything.
fn pattern(path: &[u8]) -> Vec<u8> {
    let path = path.strip_prefix(b"\"").and_then(|path| path.strip_suffix(b"\"")).unwrap_or(path);
    let (mut out, mut bytes) = (Vec::new(), path.iter());
    while let Some(byte) = bytes.next() {
        match (byte, byte == &b'%') {
            (_, true) => out.push(bytes.next().filter(|next| **next == b'%').map_or(b'*', |_| b'%')),
            (byte, false) => out.push(*byte),
        }
    }
    out
}

/// Whether hostward's own files or the kernel's lie there: nothing to look for.
pub fn is_never_searched(path: &Path) -> bool {
    ["/proc", "/sys", "/dev"].iter().any(|root| path.starts_with(root))
}

#[cfg(test)]
mod tests;
