//! What a look tells the resident: one JSON value a line, so that neither side ever holds all of it.
//!
//! A look is a process of its own. Whatever it costs in memory goes with it, a panic in it is an error of that look, and nothing
//! that it has read can be stale in the next one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::remedy::Named;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// A directory in which something stands that a verdict rests on.
    Place(Place),
    /// A check that ran.
    Check(Ran),
    /// A finding that counts.
    Finding(Found),
    /// Something that the look could not do as it should, in words.
    Trouble(String),
    /// The end: an answer without it is no answer.
    End(End),
}

/// A directory to be watched. Its path is in the root that is looked at, each byte one character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The directory.
    pub path: Bytes,
    /// Its device and inode: another one at the same path is another directory.
    pub id: (u64, u64),
    /// Whether every name in it counts: it was listed.
    pub listed: bool,
    /// The names in it that count.
    pub names: Vec<Name>,
}

/// A name in a watched directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// The name.
    pub name: Bytes,
    /// Whether its content counts, not only what it is and who owns it.
    pub content: bool,
    /// What was seen there: [`super::places::signature`].
    pub signature: u64,
}

/// A check that ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// `area.name`
    pub id: String,
    /// Whether something could not be decided: then what it does not find is not gone.
    pub undecided: bool,
}

/// A finding that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Stable over runs.
    pub fingerprint: String,
    /// `area.name`
    pub check: String,
    /// After policy: info, low, medium, high or critical.
    pub severity: String,
    /// What it is about. Empty where that is a secret.
    pub subject: String,
    /// In words, in English.
    pub message: String,
}

/// How a look ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// `pass`, `fail` or `undecided`.
    pub verdict: String,
    /// SHA-256 of the policy in force, in hex.
    pub policy_digest: String,
    /// Whether a verdict rests on the host firewall.
    pub firewall: bool,
    /// How the resident is to run.
    pub pace: Pace,
    /// What the resident may fix.
    #[serde(default)]
    pub named: Named,
}

/// How the resident runs: `[agent]` of hostward.toml, which only looks read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// How often everything is looked at, give or take a tenth.
    pub full: Duration,
    /// How often is asked for what nobody tells of.
    pub poll: Duration,
    /// The share of one processor that the resident and its looks may take in the long run, percent.
    pub cpu_percent: u32,
}

/// Bytes as they are on disk, written as text: one character a byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(pub Vec<u8>);

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        bytes.0.into_iter().map(char::from).collect()
    }
}

impl TryFrom<String> for Bytes {
    type Error = std::char::TryFromCharError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.chars().map(u8::try_from).collect::<Result<_, _>>().map(Self)
    }
}

/// Who has such a password is told to nobody: how many there are is.
const SECRET: [&str; 4] =
    ["accounts.weak-password", "accounts.empty-password", "accounts.shared-password", "sshd.empty-password"];

/// Whether whom a check is about is told to nobody.
pub fn is_secret(check: &str) -> bool {
    SECRET.contains(&check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_through() {
        let bytes = Bytes((0..=255).collect());
        let line = Line::Place(Place { path: bytes.clone(), id: (1, 2), listed: true, names: Vec::new() });
        let text = serde_json::to_string(&line).unwrap();
        assert!(!text.contains('\n'), "{text}");
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
        assert!(serde_json::from_str::<Bytes>("\"\u{4e2d}\"").is_err());
    }
}
