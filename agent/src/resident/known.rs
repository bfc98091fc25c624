//! What is known to be open, and each transition of it: told at least once, and under one id.
//!
//! The file is written before a transition is told. After a kill in between it is told again, under the same id; whoever collects
//! events drops what it has. A file that is broken or of another version is set aside, and what stands today is new.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hostward_checks::check::Severity;
use serde::{Deserialize, Serialize};

use super::line::{Found, Ran, is_secret};
use crate::judge::fingerprint;
use crate::remedy::ledger::{Entry, Ledger, Outcome};
use crate::sanitize::brief;

/// The version of the file.
const SCHEMA: &str = "hostward.known/1";
/// As many events are kept for who could not be told; beyond them the oldest go, and their number is told.
const MOST: usize = 1000;

/// What happened to a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It was not there before, or had gone.
    New,
    /// It is there no more.
    Resolved,
    /// Its severity or its words are others.
    Changed,
    /// What became of an attempt to fix it.
    Remedy(Outcome),
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::New,
        Self::Resolved,
        Self::Changed,
        Self::Remedy(Outcome::Attempted),
        Self::Remedy(Outcome::Fixed),
        Self::Remedy(Outcome::RolledBack),
        Self::Remedy(Outcome::Refused),
        Self::Remedy(Outcome::Contended),
    ];

    /// The word for it in events.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Resolved => "resolved",
            Self::Changed => "changed",
            Self::Remedy(outcome) => outcome.word(),
        }
    }
}

/// Where events are told. Each place is told all of them, whatever becomes of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The file.
    File,
    /// The journal.
    Journal,
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
    /// The transaction that fixes or fixed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
    /// The command that undoes that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<String>,
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
    /// How many of these are in the file already, and in the journal: one of the two is 0.
    #[serde(default)]
    told: (usize, usize),
    /// Events that were dropped because nobody could be told.
    #[serde(default)]
    dropped: u64,
    /// Attempts were told up to this change of the ledger of this word.
    #[serde(default)]
    attempts: (String, u64),
}

/// What is read of a file of another version.
#[derive(Deserialize)]
struct Versioned {
    schema: String,
}

impl Known {
    /// Nothing is known.
    pub fn new() -> anyhow::Result<Self> {
        let mut bytes = [0_u8; 4];
        crate::random::fill(&mut bytes)?;
        Ok(Self {
            schema: SCHEMA.to_owned(),
            word: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            transitions: 0,
            open: BTreeMap::new(),
            untold: Vec::new(),
            told: (0, 0),
            dropped: 0,
            attempts: Default::default(),
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
            Err(error) => match serde_json::from_slice::<Versioned>(&bytes) {
                Ok(other) if other.schema != SCHEMA => format!("its version is {}", other.schema),
                _ => error.to_string(),
            },
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
        self.untold.push(Event { id, kind, at: at.to_owned(), finding, transaction: None, rollback: None });
    }

    /// Takes in what was tried since. Whether anything is to be told now.
    pub fn tried(&mut self, ledger: &Ledger, at: &str) -> bool {
        let told = if self.attempts.0 == ledger.word { self.attempts.1 } else { 0 };
        let mut changed: Vec<&Entry> = ledger.entries.iter().filter(|entry| entry.change > told).collect();
        changed.sort_by_key(|entry| entry.change);
        for entry in &changed {
            let finding = about(entry);
            let id = format!("{}-{}-{}", finding.fingerprint, ledger.word, entry.change);
            let (transaction, rollback) = (entry.transaction.clone(), entry.rollback());
            self.untold.push(Event {
                id,
                kind: Kind::Remedy(entry.outcome),
                at: at.to_owned(),
                finding,
                transaction,
                rollback,
            });
            self.attempts = (ledger.word.clone(), entry.change);
        }
        !changed.is_empty()
    }

    /// What was not told there yet, oldest first.
    pub fn untold(&self, way: Way) -> &[Event] {
        let told = if way == Way::File { self.told.0 } else { self.told.1 };
        self.untold.get(told..).unwrap_or_default()
    }

    /// As many of the oldest were told there.
    pub fn told(&mut self, way: Way, count: usize) {
        let (file, journal) = &mut self.told;
        *(if way == Way::File { file } else { journal }) += count;
        let everywhere = self.told.0.min(self.told.1);
        self.forget(everywhere);
    }

    /// What could not be told is kept to be told later, but not without end.
    pub fn trim(&mut self) {
        let over = self.untold.len().saturating_sub(MOST);
        self.forget(over);
        self.dropped += over as u64;
    }

    fn forget(&mut self, oldest: usize) {
        self.untold.drain(..oldest.min(self.untold.len()));
        self.told = (self.told.0.saturating_sub(oldest), self.told.1.saturating_sub(oldest));
        if self.untold.is_empty() {
            // What a storm left is given back.
            self.untold = Vec::new();
        }
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

/// What an attempt concerned, in words. Whom it is about is told where that is no secret.
fn about(entry: &Entry) -> Found {
    let secret = is_secret(&entry.check);
    let subjects: Vec<&str> = entry.findings.iter().map(|one| one.subject.as_str()).filter(|_| !secret).collect();
    let fingerprint = match entry.findings.as_slice() {
        [only] if !secret => only.fingerprint.clone(),
        _ => fingerprint(&entry.check, ""),
    };
    let worst = entry.findings.iter().filter_map(|one| Severity::from_word(&one.severity)).max();
    let why = entry.why.as_deref().filter(|_| !secret).map(|why| format!(": {}", brief(why, 2000))).unwrap_or_default();
    let transaction = entry.transaction.as_deref().unwrap_or_default();
    let undo = entry.rollback().map(|command| format!("; undo: {command}")).unwrap_or_default();
    Found {
        fingerprint,
        check: entry.check.clone(),
        severity: worst.unwrap_or(Severity::Info).word().to_owned(),
        subject: brief(&subjects.join(", "), 200),
        message: match entry.outcome {
            Outcome::Attempted => format!("is being fixed, as the policy says{undo}"),
            Outcome::Fixed => format!("was fixed, as the policy says{undo}"),
            Outcome::RolledBack => format!("its fix {transaction} was rolled back{why}"),
            Outcome::Refused => format!("is not fixed{why}"),
            Outcome::Contended => format!("comes back, and is not fixed again for a day{why}"),
        },
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
        let out: Vec<_> = known.untold(Way::File).iter().map(|event| (event.kind, event.id.clone())).collect();
        known.told(Way::File, out.len());
        known.told(Way::Journal, out.len());
        assert!(known.untold.is_empty());
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
    fn attempts_are_told_once_for_each_change_and_secrets_stay_secrets() {
        let (mut known, mut ledger) = (Known::new().unwrap(), Ledger::new().unwrap());
        let now = crate::transaction::Moment::now().unwrap();
        let concerned = |fingerprint: &str, severity: &str| crate::remedy::ledger::Concerned {
            fingerprint: fingerprint.to_owned(),
            subject: format!("account:{fingerprint}"),
            severity: severity.to_owned(),
        };
        let number = ledger.record("sshd.limits", vec![concerned("a", "low")], Outcome::Attempted, &now);
        ledger.change(number, |entry| entry.transaction = Some("T".to_owned()));
        assert!(known.tried(&ledger, "t") && !known.tried(&ledger, "t"));
        ledger.change(number, |entry| (entry.outcome, entry.why) = (Outcome::RolledBack, Some("because".to_owned())));
        let two = vec![concerned("a", "low"), concerned("b", "high")];
        let secret = ledger.record("accounts.empty-password", two, Outcome::Refused, &now);
        ledger.change(secret, |entry| entry.why = Some("account:b".to_owned()));
        assert!(known.tried(&ledger, "t"));
        let events = known.untold(Way::File);
        let kinds: Vec<&str> = events.iter().map(|event| event.kind.word()).collect();
        assert_eq!(kinds, ["attempted", "rolled-back", "refused"]);
        let undo: Vec<Option<&str>> = events.iter().map(|event| event.rollback.as_deref()).collect();
        assert_eq!(undo, [Some("hostward rollback T"), None, None]);
        assert!(events[1].finding.message.contains("because") && events[1].finding.fingerprint == "a");
        assert_eq!(events[2].finding.severity, "high");
        assert!(!format!("{:?}", events[2]).contains("account:"), "{:?}", events[2]);
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
        let many = (0..MOST + 5).map(|number| found(&number.to_string(), "low")).collect();
        known.take(&[], many, |_| false, "t");
        assert_eq!((known.untold(Way::Journal).len(), known.dropped()), (MOST + 5, 0), "what comes at once is told");
        known.told(Way::File, 3);
        known.trim();
        assert_eq!((known.untold(Way::Journal).len(), known.dropped()), (MOST, 5));
        assert_eq!(known.untold(Way::File).len(), MOST);
    }

    #[test]
    fn each_place_is_told_everything_whatever_becomes_of_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known.json");
        let mut known = Known::new().unwrap();
        known.take(&[], ["a", "b", "c"].map(|name| found(name, "low")).into(), |_| false, "t");
        known.told(Way::File, 2);
        known.write(&path).unwrap();
        let mut known = Known::read(&path).unwrap().0;
        assert_eq!((known.untold(Way::File).len(), known.untold(Way::Journal).len()), (1, 3));
        known.told(Way::Journal, 3);
        assert_eq!((known.untold(Way::File).len(), known.untold(Way::Journal).len()), (1, 0));
        known.told(Way::File, 1);
        assert_eq!((known.told, known.untold.len()), ((0, 0), 0));
    }
}
