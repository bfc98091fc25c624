//! What was tried: written by the applier alone, before it changes anything, and read by the resident.
//!
//! A file that is broken or of another version is set aside. Nobody knows then what was tried, and nothing is for a day.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::since::{DAY, age, is_ahead};
use crate::judge::JudgedFinding;
use crate::transaction::Moment;

/// The version of the file.
const SCHEMA: &str = "hostward.remedy/1";
/// As many entries are kept, and those of today.
const KEPT: usize = 60;

/// The file.
pub fn path() -> PathBuf {
    crate::survey::state_dir().join("remedy.json")
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was begun, and nobody has said yet how it ended.
    Attempted,
    /// It is fixed.
    Fixed,
    /// It was undone: something was off afterwards.
    RolledBack,
    /// A guard refuses it, or it cannot be carried out: nothing was changed.
    Refused,
    /// It comes back: nothing is tried.
    Contended,
}

impl Outcome {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Attempted => "attempted",
            Self::Fixed => "fixed",
            Self::RolledBack => "rolled-back",
            Self::Refused => "refused",
            Self::Contended => "contended",
        }
    }

    /// Whether the host was changed, or may have been.
    pub fn counts(self) -> bool {
        matches!(self, Self::Attempted | Self::Fixed | Self::RolledBack)
    }
}

/// A finding that is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concerned {
    /// Stable over runs.
    pub fingerprint: String,
    /// What it is about.
    pub subject: String,
    /// After policy: info, low, medium, high or critical.
    pub severity: String,
}

impl Concerned {
    /// A finding as it was judged.
    pub fn of(finding: &JudgedFinding) -> Self {
        Self {
            fingerprint: finding.fingerprint.clone(),
            subject: finding.finding.subject.clone(),
            severity: finding.severity.word().to_owned(),
        }
    }
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// The number of its last change: what is told of it is told once for each.
    pub change: u64,
    /// When it was begun.
    pub since: Moment,
    /// The check.
    pub check: String,
    /// Its findings.
    pub findings: Vec<Concerned>,
    /// What became of it.
    pub outcome: Outcome,
    /// The transaction, once it was written down.
    pub transaction: Option<String>,
    /// Why it was refused or rolled back; of a contended one, who wrote.
    pub why: Option<String>,
    /// What was refused: another plan is another matter.
    #[serde(default)]
    pub plan: Option<String>,
}

/// What was tried before is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Since when.
    pub since: Moment,
    /// Why.
    pub why: String,
}

impl Entry {
    /// The command that undoes it, where there is something to undo.
    pub fn rollback(&self) -> Option<String> {
        let stands = matches!(self.outcome, Outcome::Attempted | Outcome::Fixed);
        self.transaction.as_ref().filter(|_| stands).map(|id| format!("hostward rollback {id}"))
    }
}

/// All attempts that are remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    schema: String,
    /// Tells the numbers of this file from those of one that was lost.
    pub word: String,
    /// Attempts so far.
    numbers: u64,
    /// Changes so far.
    changes: u64,
    /// What was tried before this file is not known.
    pub lost: Option<Lost>,
    /// The attempts, oldest first.
    pub entries: Vec<Entry>,
}

impl Ledger {
    /// Nothing was tried.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            schema: SCHEMA.to_owned(),
            word: crate::transaction::token()?,
            numbers: 0,
            changes: 0,
            lost: None,
            entries: Vec::new(),
        })
    }

    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, is broken, or is of another version.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Self::new(),
            other => other.with_context(|| format!("failed to read {}", path.display()))?,
        };
        let ledger: Self = serde_json::from_slice(&bytes).with_context(|| format!("{} is broken", path.display()))?;
        if ledger.schema != SCHEMA {
            bail!("{} is of another version of hostward: {}", path.display(), ledger.schema);
        }
        Ok(ledger)
    }

    /// Reads the file for who writes it: one that is not to be used is set aside, and what is dated ahead is of now.
    ///
    /// # Errors
    /// It cannot be set aside or written: then nothing can be written down, and nothing is to be tried.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if let Some(dir) = path.parent() {
            crate::files::private_dir(dir)?;
        }
        let now = Moment::now()?;
        let mut as_read = None;
        let mut ledger = match Self::read(path) {
            Ok(ledger) => as_read.insert(ledger).clone(),
            Err(error) => {
                let aside = PathBuf::from(format!("{}.broken", path.display()));
                std::fs::rename(path, &aside).with_context(|| format!("failed to set {} aside", path.display()))?;
                let why = format!("{error:#}: set aside as {}", aside.display());
                Self { lost: Some(Lost { since: now.clone(), why }), ..Self::new()? }
            }
        };
        let moments = ledger.entries.iter_mut().map(|entry| &mut entry.since);
        for since in moments.chain(ledger.lost.as_mut().map(|lost| &mut lost.since)).filter(|then| is_ahead(then, &now))
        {
            *since = now.clone();
        }
        // A write that changes nothing would have everything looked at again.
        if as_read.as_ref() != Some(&ledger) {
            ledger.write(path)?;
        }
        Ok(ledger)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        crate::files::replace(path, &serde_json::to_vec(self)?)
    }

    /// Notes an attempt; its number.
    pub fn record(&mut self, check: &str, findings: Vec<Concerned>, outcome: Outcome, now: &Moment) -> u64 {
        self.numbers += 1;
        self.changes += 1;
        self.entries.push(Entry {
            number: self.numbers,
            change: self.changes,
            since: now.clone(),
            check: check.to_owned(),
            findings,
            outcome,
            transaction: None,
            why: None,
            plan: None,
        });
        while self.entries.len() > KEPT && self.entries.first().is_some_and(|first| age(&first.since, now) >= DAY) {
            self.entries.remove(0);
        }
        self.numbers
    }

    /// Changes an entry, which is told then.
    pub fn change(&mut self, number: u64, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.number == number) {
            self.changes += 1;
            entry.change = self.changes;
            change(entry);
        }
    }

    /// Attempts of which nobody has said how they ended.
    pub fn unsettled(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.outcome == Outcome::Attempted)
    }

    /// The last attempt of a check.
    pub fn last(&self, check: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.check == check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_read_again_and_each_change_has_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/remedy.json");
        let mut ledger = Ledger::open(&path).unwrap();
        let now = Moment::now().unwrap();
        let number = ledger.record("a.b", Vec::new(), Outcome::Attempted, &now);
        assert_eq!(ledger.unsettled().count(), 1);
        ledger.change(number, |entry| entry.outcome = Outcome::Fixed);
        assert_eq!((ledger.entries[0].number, ledger.entries[0].change), (1, 2));
        ledger.write(&path).unwrap();
        assert_eq!(Ledger::open(&path).unwrap(), ledger);
        assert_eq!((ledger.unsettled().count(), ledger.last("a.b").map(|entry| entry.number)), (0, Some(1)));
    }

    #[test]
    fn a_broken_file_is_set_aside_and_counts_as_everything_tried() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("remedy.json");
        let later = serde_json::to_string(&Ledger::new().unwrap()).unwrap().replace("remedy/1", "remedy/2");
        for broken in ["", "{", &later] {
            std::fs::write(&path, broken).unwrap();
            assert!(Ledger::read(&path).is_err());
            let ledger = Ledger::open(&path).unwrap();
            assert!(ledger.lost.as_ref().unwrap().why.contains("set aside"), "{broken}");
            let standing = super::super::limit::standing(&ledger, "f", &Moment::now().unwrap());
            assert_eq!(standing, super::super::limit::Standing::Lost);
            assert_eq!(Ledger::read(&path).unwrap(), ledger);
            assert_eq!(std::fs::read_to_string(dir.path().join("remedy.json.broken")).unwrap(), *broken);
        }
    }

    #[test]
    fn what_is_dated_ahead_ages_from_now_on_and_old_entries_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("remedy.json");
        let mut ledger = Ledger::new().unwrap();
        let at = |at: &str| Moment { at: at.to_owned(), boottime_ms: 1, boot_id: "before".to_owned() };
        ledger.record("a.b", Vec::new(), Outcome::Fixed, &at("2199-01-01T00:00:00Z"));
        ledger.write(&path).unwrap();
        let mut ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.entries[0].since.boot_id, Moment::now().unwrap().boot_id);
        for _ in 0..KEPT + 5 {
            ledger.record("a.b", Vec::new(), Outcome::Fixed, &at("2001-01-01T00:00:00Z"));
        }
        ledger.record("a.b", Vec::new(), Outcome::Fixed, &Moment::now().unwrap());
        assert_eq!(ledger.entries[0].number, 1, "today's stay");
        let count = ledger.entries.len();
        ledger.entries.remove(0);
        ledger.record("a.b", Vec::new(), Outcome::Fixed, &Moment::now().unwrap());
        assert!(count > KEPT && ledger.entries.len() == KEPT, "{count} {}", ledger.entries.len());
    }
}
