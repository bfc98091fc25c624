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
    /// The finding's fingerprint, the file's own word, and a number that is never given twice.
    pub id: String,
    /// What happened.
    pub kind: Kind,
    /// When it was seen, RFC 3339.
    pub at: String,
    /// The finding, as it is or, resolved, as it was.
    pub finding: Found,
}

/// What is known of a host's findings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Known {
    schema: String,
    /// Tells the ids of this file from those of one that was lost.
    word: String,
    /// Transitions so far.
    transitions: u64,
    /// What is open, by its fingerprint.
    open: BTreeMap<String, Found>,
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
            transitions: 0,
            open: BTreeMap::new(),
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

    /// Takes in what a look found. `asks` says whether a check is one that this look had to ask: what the others found is as it was.
    /// Whether anything is to be told now.
    pub fn take(&mut self, ran: &[Ran], found: Vec<Found>, asks: impl Fn(&str) -> bool, at: &str) -> bool {
        let before = (self.transitions, self.dropped);
        let stays = |known: &Found| {
            let undecided = ran.iter().any(|ran| ran.id == known.check && ran.undecided);
            undecided || !asks(&known.check) || found.iter().any(|found| found.fingerprint == known.fingerprint)
        };
        let gone: Vec<Found> = self.open.values().filter(|known| !stays(known)).cloned().collect();
        for found in found {
            match self.open.get(&found.fingerprint) {
                Some(known) if *known == found => {}
                Some(_) => self.transition(Kind::Changed, found, at),
                None => self.transition(Kind::New, found, at),
            }
        }
        for finding in gone {
            self.transition(Kind::Resolved, finding, at);
        }
        before != (self.transitions, self.dropped)
    }

    fn transition(&mut self, kind: Kind, finding: Found, at: &str) {
        self.transitions += 1;
        if kind == Kind::Resolved {
            self.open.remove(&finding.fingerprint);
        } else {
            self.open.insert(finding.fingerprint.clone(), finding.clone());
        }
        let id = format!("{}-{}-{}", finding.fingerprint, self.word, self.transitions);
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
        self.open.values()
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

    fn all(_: &str) -> bool {
        true
    }

    #[test]
    fn each_transition_has_an_id_of_its_own() {
        let mut known = Known::new().unwrap();
        assert!(known.take(&ran(false), vec![found("a", "high")], all, "t"));
        assert!(!known.take(&ran(false), vec![found("a", "high")], all, "t"));
        assert!(known.take(&ran(false), vec![found("a", "low")], all, "t"));
        assert!(!known.take(&ran(true), Vec::new(), all, "t"), "what cannot be decided is not gone");
        assert!(!known.take(&[], Vec::new(), |check| check != "sshd.root-login", "t"), "nobody asked");
        assert!(known.take(&ran(false), Vec::new(), all, "t"));
        assert!(known.take(&ran(false), vec![found("a", "low")], all, "t"));
        let events = told(&mut known);
        let kinds: Vec<Kind> = events.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [Kind::New, Kind::Changed, Kind::Resolved, Kind::New]);
        let ids: std::collections::BTreeSet<_> = events.iter().map(|(_, id)| id).collect();
        assert_eq!(ids.len(), 4);
        assert_eq!(known.open().count(), 1);
        assert!(known.take(&[], Vec::new(), all, "t"), "the policy wants the check no more");
        assert_eq!(known.open().count(), 0);
    }

    #[test]
    fn what_was_not_told_is_told_after_a_kill_under_the_same_id() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known.json");
        let mut known = Known::read(&path).unwrap().0;
        known.take(&ran(false), vec![found("a", "high")], all, "t");
        known.write(&path).unwrap();
        let first = told(&mut known);
        let (mut again, trouble) = Known::read(&path).unwrap();
        assert_eq!((told(&mut again), trouble), (first, None));
    }

    #[test]
    fn a_broken_file_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known.json");
        for broken in ["{", "", r#"{"schema":"hostward.known/9","word":"x","transitions":0,"open":{},"untold":[]}"#] {
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
            known.take(&[], vec![found(&number.to_string(), "low")], |_| false, "t");
        }
        assert_eq!((known.untold().len(), known.dropped()), (MOST, 5));
    }
}
