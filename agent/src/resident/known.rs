//! What is known to be open, and each transition of it: told at least once, and under one id.
//!
//! The file is written before a transition is told. After a kill in between it is told again, under the same id; whoever collects
//! events drops what it has. A file that is broken or of another version is set aside, and what stands today is new.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::line::{Found, Ran};

/// The version of the file.
const SCHEMA: &str = "hostward.known/1";
/// As many untold events are kept; beyond them the oldest go, and their number is told.
const MOST: usize = 1000;

/// What happened to a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It was not there before, or had gone.
    New,
    /// It is there no more.
    Resolved,
    /// Its severity or its words are others.
    Changed,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::New, Self::Resolved, Self::Changed];

    /// The word for it in events.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Resolved => "resolved",
            Self::Changed => "changed",
        }
    }
}

/// One transition of one finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The finding's fingerprint, the file's own word, and the number of the transition: never given twice.
    pub id: String,
    /// What happened.
    pub kind: Kind,
    /// When it was seen, RFC 3339.
    pub at: String,
    /// The finding, as it is or, resolved, as it was.
    pub finding: Found,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    open: bool,
    transitions: u64,
    finding: Found,
}

/// What is known of a host's findings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Known {
    schema: String,
    /// Tells the ids of this file from those of one that was lost.
    word: String,
    findings: BTreeMap<String, Entry>,
    /// Told to nobody yet, as far as this file knows.
    untold: Vec<Event>,
    /// Events that were dropped because nobody could be told.
    #[serde(default)]
    dropped: u64,
}

impl Known {
    /// Nothing is known.
    pub fn new() -> anyhow::Result<Self> {
        let mut bytes = [0_u8; 4];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
            .context("failed to get a random number")?;
        Ok(Self {
            schema: SCHEMA.to_owned(),
            word: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            findings: BTreeMap::new(),
            untold: Vec::new(),
            dropped: 0,
        })
    }

    /// Reads the file. What is broken is set aside beside it; why, as the second value.
    ///
    /// # Errors
    /// There is no randomness for a new file.
    pub fn read(path: &Path) -> anyhow::Result<(Self, Option<String>)> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Self::new()?, None)),
            Err(error) => return Ok((Self::new()?, Some(format!("failed to read {}: {error}", path.display())))),
        };
        let why = match serde_json::from_slice::<Self>(&bytes) {
            Ok(known) if known.schema == SCHEMA => return Ok((known, None)),
            Ok(known) => format!("its version is {}", known.schema),
            Err(error) => error.to_string(),
        };
        let aside = PathBuf::from(format!("{}.broken", path.display()));
        // Where not even that can be done it is written over.
        let _ = std::fs::rename(path, &aside);
        let message = format!("{} is not to be used ({why}): set aside as {}", path.display(), aside.display());
        Ok((Self::new()?, Some(message)))
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// It cannot be written: the disk is full or read-only.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        crate::files::replace(path, &serde_json::to_vec(self)?)
    }

    /// Takes in what a look found. Whether anything is to be told now.
    pub fn take(&mut self, ran: &[Ran], found: Vec<Found>, at: &str) -> bool {
        let before = self.untold.len();
        let mut gone: Vec<String> = Vec::new();
        for (fingerprint, entry) in &self.findings {
            let looked = ran.iter().any(|ran| ran.id == entry.finding.check && !ran.undecided);
            if entry.open && looked && !found.iter().any(|found| found.fingerprint == *fingerprint) {
                gone.push(fingerprint.clone());
            }
        }
        for found in found {
            let known = self.findings.get(&found.fingerprint);
            let kind = match known {
                Some(entry) if entry.open && entry.finding == found => continue,
                Some(entry) if entry.open => Kind::Changed,
                _ => Kind::New,
            };
            self.transition(kind, found, at);
        }
        for fingerprint in gone {
            if let Some(entry) = self.findings.get(&fingerprint) {
                let finding = entry.finding.clone();
                self.transition(Kind::Resolved, finding, at);
            }
        }
        self.untold.len() > before
    }

    fn transition(&mut self, kind: Kind, finding: Found, at: &str) {
        let open = kind != Kind::Resolved;
        let entry = self.findings.entry(finding.fingerprint.clone()).or_insert_with(|| Entry {
            open,
            transitions: 0,
            finding: finding.clone(),
        });
        entry.transitions += 1;
        (entry.open, entry.finding) = (open, finding.clone());
        let id = format!("{}-{}-{}", finding.fingerprint, self.word, entry.transitions);
        self.untold.push(Event { id, kind, at: at.to_owned(), finding });
        if self.untold.len() > MOST {
            self.untold.remove(0);
            self.dropped += 1;
        }
    }

    /// What nobody was told yet, oldest first.
    pub fn untold(&self) -> &[Event] {
        &self.untold
    }

    /// As many of the oldest were told.
    pub fn told(&mut self, count: usize) {
        self.untold.drain(..count.min(self.untold.len()));
    }

    /// How many events were dropped because nobody could be told.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What is open.
    pub fn open(&self) -> impl Iterator<Item = &Found> {
        self.findings.values().filter(|entry| entry.open).map(|entry| &entry.finding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(fingerprint: &str, severity: &str) -> Found {
        Found {
            fingerprint: fingerprint.to_owned(),
            check: "sshd.root-login".to_owned(),
            severity: severity.to_owned(),
            subject: "root".to_owned(),
            message: "open".to_owned(),
        }
    }

    fn ran(undecided: bool) -> Vec<Ran> {
        vec![Ran { id: "sshd.root-login".to_owned(), undecided }]
    }

    fn told(known: &mut Known) -> Vec<(Kind, String)> {
        let out = known.untold().iter().map(|event| (event.kind, event.id.clone())).collect();
        known.told(usize::MAX);
        out
    }

    #[test]
    fn each_transition_has_an_id_of_its_own() {
        let mut known = Known::new().unwrap();
        assert!(known.take(&ran(false), vec![found("a", "high")], "t"));
        assert!(!known.take(&ran(false), vec![found("a", "high")], "t"));
        assert!(known.take(&ran(false), vec![found("a", "low")], "t"));
        assert!(!known.take(&ran(true), Vec::new(), "t"), "what cannot be decided is not gone");
        assert!(!known.take(&[], Vec::new(), "t"), "nobody looked");
        assert!(known.take(&ran(false), Vec::new(), "t"));
        assert!(known.take(&ran(false), vec![found("a", "low")], "t"));
        let events = told(&mut known);
        let kinds: Vec<Kind> = events.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [Kind::New, Kind::Changed, Kind::Resolved, Kind::New]);
        let ids: std::collections::BTreeSet<_> = events.iter().map(|(_, id)| id).collect();
        assert_eq!(ids.len(), 4);
        assert_eq!(known.open().count(), 1);
    }

    #[test]
    fn what_was_not_told_is_told_after_a_kill_under_the_same_id() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known.json");
        let mut known = Known::read(&path).unwrap().0;
        known.take(&ran(false), vec![found("a", "high")], "t");
        known.write(&path).unwrap();
        let first = told(&mut known);
        let (mut again, trouble) = Known::read(&path).unwrap();
        assert_eq!((told(&mut again), trouble), (first, None));
    }

    #[test]
    fn a_broken_file_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known.json");
        for broken in ["{", "", r#"{"schema":"hostward.known/9","word":"x","findings":{},"untold":[]}"#] {
            std::fs::write(&path, broken).unwrap();
            let (known, trouble) = Known::read(&path).unwrap();
            assert_eq!(known.open().count(), 0);
            assert!(trouble.unwrap().contains("set aside"));
            assert!(!path.exists() && dir.path().join("known.json.broken").exists());
        }
    }

    #[test]
    fn the_oldest_go_where_nobody_can_be_told() {
        let mut known = Known::new().unwrap();
        for number in 0..MOST + 5 {
            known.take(&[], vec![found(&number.to_string(), "low")], "t");
        }
        assert_eq!((known.untold().len(), known.dropped()), (MOST, 5));
    }
}
