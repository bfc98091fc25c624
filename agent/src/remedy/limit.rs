//! How often: twice a day for one finding, then somebody else wants it as it is, and that is for people to settle.

use std::time::Duration;

use super::ledger::{Entry, Ledger, Outcome};
use super::since::{DAY, age};
use crate::transaction::Moment;

/// So often is a finding fixed in a [`DAY`].
pub const MOST: usize = 2;
/// What had to be rolled back is not tried again for so long.
pub const REST: Duration = Duration::from_secs(3600);

/// How it stands with one finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may be fixed.
    Free,
    /// It was fixed as often as it may be, and is here again: this is still to be told.
    Spent,
    /// That was told.
    Contended,
    /// Its fix was rolled back a while ago.
    Rests,
    /// What was tried is not known: nothing is, for a day.
    Lost,
}

/// How it stands with a finding now.
pub fn standing(ledger: &Ledger, fingerprint: &str, now: &Moment) -> Standing {
    if ledger.lost.as_ref().is_some_and(|lost| age(&lost.since, now) < DAY) {
        return Standing::Lost;
    }
    let concerns = |entry: &&Entry| entry.findings.iter().any(|one| one.fingerprint == fingerprint);
    let today: Vec<&Entry> =
        ledger.entries.iter().filter(concerns).filter(|entry| age(&entry.since, now) < DAY).collect();
    if today.iter().any(|entry| entry.outcome == Outcome::Contended) {
        return Standing::Contended;
    }
    let tried: Vec<&&Entry> = today.iter().filter(|entry| entry.outcome.counts()).collect();
    if tried.len() >= MOST {
        return Standing::Spent;
    }
    match tried.last() {
        Some(last) if last.outcome == Outcome::RolledBack && age(&last.since, now) < REST => Standing::Rests,
        _ => Standing::Free,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remedy::ledger::Concerned;
    use crate::remedy::since::is_ahead;

    /// A moment of a boot: hours of its clock, hours of the wall clock.
    fn moment(boot: &str, clock: u64, wall: i64) -> Moment {
        let at = jiff::Timestamp::from_second(1_800_000_000 + wall * 3600).unwrap();
        Moment { at: at.to_string(), boottime_ms: clock * 3_600_000, boot_id: boot.to_owned() }
    }

    fn ledger(entries: &[(Outcome, Moment)]) -> Ledger {
        let mut ledger = Ledger::new().unwrap();
        for (outcome, since) in entries {
            let findings =
                vec![Concerned { fingerprint: "f".to_owned(), subject: "s".to_owned(), severity: "low".to_owned() }];
            let number = ledger.record("a.b", findings, *outcome, since);
            assert!(number > 0);
        }
        ledger
    }

    #[test]
    fn twice_a_day_and_no_clock_makes_it_more() {
        use Outcome::{Contended, Fixed, Refused, RolledBack};
        let now = moment("b", 30, 30);
        let fixed = |clock, wall| (Fixed, moment("b", clock, wall));
        for (what, entries, want) in [
            ("nothing was tried", vec![], Standing::Free),
            ("once", vec![fixed(29, 29)], Standing::Free),
            ("twice", vec![fixed(28, 28), fixed(29, 29)], Standing::Spent),
            ("twice, one of them a day ago", vec![fixed(6, 6), fixed(29, 29)], Standing::Free),
            ("the clock was put forward since", vec![fixed(28, 1), fixed(29, 2)], Standing::Spent),
            ("the clock was put back since", vec![fixed(28, 99), fixed(29, 99)], Standing::Spent),
            ("the clock was put back since, long ago", vec![fixed(1, 99), fixed(2, 99)], Standing::Free),
            ("in the boot before", vec![(Fixed, moment("a", 90, 28)), fixed(29, 29)], Standing::Spent),
            ("in the boot before, a day ago", vec![(Fixed, moment("a", 90, 5)), fixed(29, 29)], Standing::Free),
            ("in the boot before, ahead", vec![(Fixed, moment("a", 9, 99)), fixed(29, 29)], Standing::Spent),
            ("refusals change nothing", vec![(Refused, now.clone()), (Refused, now.clone())], Standing::Free),
            ("it was told", vec![fixed(1, 1), (Contended, moment("b", 29, 29))], Standing::Contended),
            ("it was told a day ago", vec![(Contended, moment("b", 1, 1))], Standing::Free),
            ("rolled back now", vec![(RolledBack, moment("b", 30, 30))], Standing::Rests),
            ("rolled back", vec![(RolledBack, moment("b", 28, 28))], Standing::Free),
            ("rolled back twice", vec![(RolledBack, moment("b", 27, 27)), (RolledBack, now.clone())], Standing::Spent),
        ] {
            assert_eq!(standing(&ledger(&entries), "f", &now), want, "{what}");
            assert_eq!(standing(&ledger(&entries), "another", &now), Standing::Free, "{what}");
        }
        let mut lost = ledger(&[]);
        lost.lost = Some(crate::remedy::ledger::Lost { since: moment("b", 20, 20), why: String::new() });
        assert_eq!(standing(&lost, "f", &now), Standing::Lost);
        assert_eq!(standing(&lost, "f", &moment("b", 44, 44)), Standing::Free);
    }

    #[test]
    fn what_is_dated_ahead_is_known() {
        let now = moment("b", 1, 10);
        for (then, want) in [
            (moment("a", 1, 11), true),
            (moment("a", 1, 9), false),
            (moment("b", 1, 11), false),
            (Moment { at: "never".to_owned(), ..moment("a", 1, 1) }, true),
        ] {
            assert_eq!(is_ahead(&then, &now), want, "{then:?}");
        }
    }
}
