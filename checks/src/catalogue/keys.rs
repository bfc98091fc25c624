//! The area keys: what stands in authorized_keys, who can change it, and private keys left lying.

use std::collections::BTreeMap;
use std::path::Path;

use super::accounts::doubt_users;
use crate::check::{Finding, Input, Tally, bytes_text, path_text};
use crate::edit::Edit;
use crate::host::keys::{AccountKeys, KeyFile};
use crate::parse::authorized_keys::KeyLine;
use crate::parse::key_blob::{Fingerprint, PublicKey};

pub mod options;
pub mod permissions;
pub mod private;
pub mod shared;
#[cfg(test)]
pub(super) mod shown;
#[cfg(test)]
mod testing;
pub mod unapproved;
pub mod unrestricted_root;
pub mod weak;

/// A key line where it stands.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    account: &'a AccountKeys,
    file: &'a KeyFile,
    line: &'a KeyLine,
}

/// Every line with a key.
fn places<'a>(input: &Input<'a>) -> impl Iterator<Item = Place<'a>> {
    input.host.keys.lines().map(|(account, file, line)| Place { account, file, line })
}

/// Lines that hold the same key, together.
fn by_key<'a>(places: impl Iterator<Item = Place<'a>>) -> BTreeMap<Fingerprint, Vec<Place<'a>>> {
    let mut keys: BTreeMap<Fingerprint, Vec<Place<'a>>> = BTreeMap::new();
    for place in places {
        keys.entry(place.line.key.fingerprint()).or_default().push(place);
    }
    keys
}

/// The subject of a finding about a key.
fn key_subject(key: &PublicKey) -> String {
    format!("key:{}", key.fingerprint())
}

/// The subject of a finding about a file.
fn file_subject(path: &Path) -> String {
    format!("file:{}", path_text(path))
}

/// The accounts that some lines open, each once, in the order of passwd.
fn users(places: &[Place<'_>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for place in places {
        let name = place.account.user.text().into_owned();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A line as evidence shows it: type, fingerprint and comment. Options stay out: commands and environments hold secrets.
fn describe(line: &KeyLine) -> String {
    let key = &line.key;
    let text = format!("{} {} {} {}", key.bits(), key.short_name(), key.fingerprint(), bytes_text(&line.comment));
    text.trim_end().to_owned()
}

/// Adds the lines as evidence, each file and line once, and the command that shows the first.
fn seen(mut finding: Finding, places: &[Place<'_>]) -> Finding {
    for Place { file, line, .. } in places {
        let known = |evidence: &crate::check::Evidence| {
            evidence.line == Some(line.line) && evidence.file == path_text(&file.canonical)
        };
        if !finding.evidence.iter().any(known) {
            finding = finding.seen(path_text(&file.canonical), Some(line.line), describe(line));
        }
    }
    match places.first() {
        Some(place) => finding.reproduce(format!("ssh-keygen -lf {}", shell_word(&path_text(&place.file.canonical)))),
        None => finding,
    }
}

/// Adds the removal of the lines.
fn removing(mut finding: Finding, places: &[Place<'_>]) -> Finding {
    for Place { file, line, .. } in places {
        let edit = Edit::RemoveLine { file: file.canonical.clone(), line: line.line, key: line.key.fingerprint() };
        if !finding.fix.contains(&edit) {
            finding = finding.fixed_by(edit);
        }
    }
    finding
}

/// A word as a POSIX shell takes it.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Says which accounts and files could not be looked at.
fn doubt_unread(input: &Input<'_>, tally: &mut Tally) {
    doubt_users(input, tally);
    for (_, file, why) in input.host.keys.unknown() {
        tally.doubt(file_subject(&file.path), why.clone());
    }
}
