//! Asking the applier for what the policy names. Whether it may is the applier's to say; this only asks where there is a point in it.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::known::Known;
use super::line::{Found, is_secret};
use crate::live;
use crate::remedy::ledger::{self, Ledger};
use crate::remedy::limit::{Standing, standing};
use crate::remedy::{Named, unit};
use crate::sanitize::brief;
use crate::transaction::Moment;

/// What was not fixed is asked for again so much later, and each time twice as much.
const AGAIN: Duration = Duration::from_secs(60);
/// But not later than this.
const LATEST: Duration = Duration::from_secs(6 * 3600);
/// As many attempts are shown.
const SHOWN: usize = 10;

/// What the resident says of what it may fix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What the policy names, when, and what holds.
    #[serde(flatten)]
    pub named: Named,
    /// Whether it may now, as far as windows go.
    pub open: bool,
    /// What is being fixed.
    pub asking: Option<String>,
    /// The last attempts, the newest last.
    pub attempts: Vec<Attempt>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When, RFC 3339.
    pub at: String,
    /// The check.
    pub check: String,
    /// `attempted`, `fixed`, `rolled-back`, `refused` or `contended`.
    pub outcome: ledger::Outcome,
    /// The transaction.
    pub transaction: Option<String>,
    /// Why it was not fixed, or who wrote.
    pub why: Option<String>,
}

/// A check that was asked for.
#[derive(Debug)]
struct Asked {
    /// What was open then: where that is another, it is asked anew.
    open: Vec<Found>,
    again: Instant,
    wait: Duration,
}

/// A question under way.
#[derive(Debug)]
pub(super) struct Asking {
    check: String,
    open: Vec<Found>,
    child: Child,
    /// Closed when it ends.
    said: ChildStderr,
}

/// What the resident knows of remedies.
#[derive(Debug, Default)]
pub(super) struct Remedies {
    named: Named,
    policy: String,
    ledger: Option<Ledger>,
    /// Why it cannot be read.
    wrong: Option<String>,
    /// Inode and time of the file that was read last.
    read: Option<(u64, i64, i64)>,
    asked: BTreeMap<String, Asked>,
    asking: Option<Asking>,
}

impl Remedies {
    /// Takes in what a look told. Where something holds no more, or the policy is another, what was refused before is asked again.
    pub(super) fn named(&mut self, named: Named, policy: &str) {
        if named != self.named || policy != self.policy {
            self.asked.clear();
            (self.named, self.policy) = (named, policy.to_owned());
        }
    }

    /// Reads what was tried, where that has changed; what is wrong with it.
    pub(super) fn read(&mut self, path: &Path) -> Option<String> {
        let now = std::fs::metadata(path).ok().map(|meta| (meta.ino(), meta.mtime(), meta.mtime_nsec()));
        if now != self.read || self.ledger.is_none() {
            self.read = now;
            // What is broken the applier sets aside, once it is asked.
            let (ledger, wrong) = match Ledger::read(path) {
                Ok(ledger) => (Some(ledger), None),
                Err(error) => (Ledger::new().ok(), Some(format!("{error:#}"))),
            };
            (self.ledger, self.wrong) = (ledger, wrong);
        }
        self.wrong.clone().or_else(|| self.lost())
    }

    fn lost(&self) -> Option<String> {
        let lost = self.ledger.as_ref()?.lost.as_ref()?;
        let now = Moment::now().ok()?;
        let still = standing(self.ledger.as_ref()?, "", &now) == Standing::Lost;
        still.then(|| format!("nothing is fixed for a day from {}: {}", lost.since.at, lost.why))
    }

    /// What ends when the question under way does.
    pub(super) fn waits(&self) -> Option<BorrowedFd<'_>> {
        self.asking.as_ref().map(|asking| asking.said.as_fd())
    }

    /// Asks for the next check that there is a point in asking for; what went wrong.
    pub(super) fn work(&mut self, known: &Known, now: Instant) -> Option<String> {
        if self.asking.is_some() {
            return None;
        }
        let (check, open) = self.next(known, now)?;
        match live::start(&unit(&check)) {
            Ok((child, said)) => {
                self.asking = Some(Asking { check, open, child, said });
                None
            }
            Err(error) => {
                self.later(check, open, now);
                Some(format!("{error:#}"))
            }
        }
    }

    /// The question under way has ended: what went wrong, else nothing.
    pub(super) fn ended(&mut self, now: Instant) -> Option<String> {
        use std::io::Read as _;
        let Asking { check, open, mut child, mut said } = self.asking.take()?;
        let mut words = Vec::new();
        // It is closed at its other end.
        let _ = said.by_ref().take(4096).read_to_end(&mut words);
        let status = child.wait();
        self.later(check.clone(), open, now);
        if status.is_ok_and(|status| status.success()) {
            return None;
        }
        let said = String::from_utf8_lossy(&words).split_whitespace().collect::<Vec<_>>().join(" ");
        Some(format!("{} did not do its work: {}", unit(&check), brief(&said, 300)))
    }

    fn later(&mut self, check: String, open: Vec<Found>, now: Instant) {
        let before = self.asked.get(&check).filter(|asked| asked.open == open);
        let wait = before.map_or(AGAIN, |asked| (asked.wait * 2).min(LATEST));
        self.asked.insert(check, Asked { open, again: now + wait, wait });
    }

    fn next(&mut self, known: &Known, now: Instant) -> Option<(String, Vec<Found>)> {
        let ledger = self.ledger.as_ref()?;
        let unsettled: Vec<&str> = ledger.unsettled().map(|entry| entry.check.as_str()).collect();
        let open_of = |check: &str| known.open().filter(|found| found.check == check).cloned().collect::<Vec<Found>>();
        // What is open no more begins anew when it comes back.
        self.asked
            .retain(|check, _| unsettled.contains(&check.as_str()) || known.open().any(|found| found.check == *check));
        let concerned = |check: &&str| unsettled.contains(check) || known.open().any(|found| found.check == *check);
        let named = self.named.checks.iter().map(String::as_str);
        let mut checks = unsettled.iter().copied().chain(named).filter(concerned).peekable();
        checks.peek()?;
        let may = self.named.hold.is_none() && self.named.is_open();
        let moment = Moment::now().ok()?;
        checks.find_map(|check| {
            let open = open_of(check);
            let free = |found: &Found| {
                matches!(standing(ledger, &found.fingerprint, &moment), Standing::Free | Standing::Spent)
            };
            let wanted = unsettled.contains(&check) || may && open.iter().any(free);
            let asked = self.asked.get(check).is_some_and(|asked| asked.open == open && now < asked.again);
            (wanted && !asked).then(|| (check.to_owned(), open))
        })
    }

    /// What is said of it; None where the policy names nothing and nothing was ever tried.
    pub(super) fn told(&self) -> Option<Told> {
        let entries = self.ledger.as_ref().map_or(&[][..], |ledger| ledger.entries.as_slice());
        if self.named.checks.is_empty() && entries.is_empty() {
            return None;
        }
        let last = entries.get(entries.len().saturating_sub(SHOWN)..).unwrap_or_default();
        let attempts = last.iter().map(|entry| Attempt {
            at: entry.since.at.clone(),
            check: entry.check.clone(),
            outcome: entry.outcome,
            transaction: entry.transaction.clone(),
            why: entry.why.clone().filter(|_| !is_secret(&entry.check)),
        });
        Some(Told {
            named: self.named.clone(),
            open: self.named.is_open(),
            asking: self.asking.as_ref().map(|asking| asking.check.clone()),
            attempts: attempts.collect(),
        })
    }
}

impl super::Resident {
    /// Asks the applier where there is a point in it.
    pub(super) fn ask_for_remedy(&mut self, now: Instant) {
        if let Some(wrong) = self.remedies.work(&self.known, now) {
            self.trouble("remedy", Some(wrong));
        }
    }

    /// A look tells what may be fixed, and may have seen that something was.
    pub(super) fn hear_of_named(&mut self, named: Named, policy: &str) {
        self.remedies.named(named, policy);
        self.hear_of_attempts();
    }

    /// The applier that was asked has done its work.
    pub(super) fn hear_of_remedy(&mut self) {
        let trouble = self.remedies.ended(Instant::now());
        self.trouble("remedy", trouble);
        self.hear_of_attempts();
    }

    /// Hears of what was tried, and tells it.
    pub(super) fn hear_of_attempts(&mut self) {
        let wrong = self.remedies.read(&ledger::path());
        self.trouble("attempts", wrong);
        let at = jiff::Timestamp::now().to_string();
        if self.remedies.ledger.as_ref().is_some_and(|ledger| self.known.tried(ledger, &at)) {
            self.tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remedy::ledger::{Concerned, Outcome};
    use crate::resident::line::Ran;

    fn found(message: &str) -> Found {
        Found {
            fingerprint: "f".to_owned(),
            check: "sshd.limits".to_owned(),
            severity: "low".to_owned(),
            subject: "s".to_owned(),
            message: message.to_owned(),
        }
    }

    fn known(found: Vec<Found>) -> Known {
        let mut known = Known::new().unwrap();
        known.take(&[Ran { id: "sshd.limits".to_owned(), undecided: false }], found, |_| true, "t");
        known
    }

    fn remedies(outcomes: &[Outcome]) -> Remedies {
        let mut ledger = Ledger::new().unwrap();
        for outcome in outcomes {
            let (fingerprint, subject, severity) = ("f".to_owned(), "s".to_owned(), "low".to_owned());
            let concerned = Concerned { fingerprint, subject, severity };
            ledger.record("sshd.limits", vec![concerned], *outcome, &Moment::now().unwrap());
        }
        let named = Named { checks: vec!["sshd.limits".to_owned()], ..Named::default() };
        Remedies { named, ledger: Some(ledger), ..Remedies::default() }
    }

    #[test]
    fn what_is_named_and_open_is_asked_for_where_there_is_a_point_in_it() {
        use Outcome::{Attempted, Contended, Fixed, Refused};
        let now = Instant::now();
        let asks = |remedies: &mut Remedies, found: Vec<Found>| remedies.next(&known(found), now).is_some();
        for (outcomes, want) in [
            (&[][..], true),
            (&[Fixed], true),
            (&[Refused, Refused, Refused], true),
            // Somebody has to tell that it is contended.
            (&[Fixed, Fixed], true),
            (&[Fixed, Fixed, Contended], false),
        ] {
            assert_eq!(asks(&mut remedies(outcomes), vec![found("m")]), want, "{outcomes:?}");
            assert!(!asks(&mut remedies(outcomes), Vec::new()), "{outcomes:?}: it is not open");
        }
        let mut held = remedies(&[]);
        held.named.hold = Some("because".to_owned());
        assert!(!asks(&mut held, vec![found("m")]));
        let mut other = remedies(&[]);
        other.named.checks = vec!["sshd.port".to_owned()];
        assert!(!asks(&mut other, vec![found("m")]));
        let mut begun = remedies(&[Attempted]);
        begun.named = Named { hold: Some(String::new()), ..Named::default() };
        assert!(asks(&mut begun, Vec::new()), "how it ended is to be known");
    }

    #[test]
    fn a_broken_ledger_is_told_until_the_applier_was_asked_and_has_set_it_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("remedy.json");
        let mut remedies = remedies(&[]);
        remedies.ledger = None;
        std::fs::write(&path, "{").unwrap();
        for _ in 0..2 {
            assert!(remedies.read(&path).unwrap().contains("is broken"));
            assert!(remedies.next(&known(vec![found("m")]), Instant::now()).is_some());
        }
        Ledger::open(&path).unwrap();
        assert!(remedies.read(&path).unwrap().starts_with("nothing is fixed for a day"));
        assert!(remedies.next(&known(vec![found("m")]), Instant::now()).is_none());
    }

    #[test]
    fn what_was_refused_is_asked_for_later_and_later_or_when_it_is_another() {
        let mut now = Instant::now();
        let mut remedies = remedies(&[]);
        let mut waits = Vec::new();
        for _ in 0..12 {
            let (check, open) = remedies.next(&known(vec![found("m")]), now).unwrap();
            remedies.later(check, open, now);
            let wait = remedies.asked["sshd.limits"].wait;
            assert!(remedies.next(&known(vec![found("m")]), now + wait - Duration::from_millis(1)).is_none());
            waits.push(wait.as_secs());
            now += wait;
        }
        assert_eq!((waits[0], waits[1], waits[2], waits[11]), (60, 120, 240, LATEST.as_secs()));
        let (check, open) = remedies.next(&known(vec![found("m")]), now).unwrap();
        remedies.later(check, open, now);
        assert!(remedies.next(&known(vec![found("another")]), now).is_some());
        let held = Named { hold: Some(String::new()), ..remedies.named.clone() };
        let free = remedies.named.clone();
        remedies.named(held, "p");
        remedies.named(free, "p");
        assert!(remedies.next(&known(vec![found("m")]), now).is_some(), "the hold is gone");
        assert!(remedies.next(&known(Vec::new()), now).is_none() && remedies.asked.is_empty());
    }
}
