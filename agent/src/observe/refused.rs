//! Refused logins counted by source and minute, whatever number of them the logs hold.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hostward_checks::observation::UnixSeconds;
use hostward_checks::observation::login::{Refused, Teller};
use hostward_checks::parse::sshd_log::Refusal;

/// More counts are not kept of one teller: a megabyte. The oldest go first.
const MOST: usize = 32_768;

/// Attempts in one minute from one source: wrong passwords, and connections that ended without a login. A connection may tell of both.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    wrong: u32,
    ended: u32,
}

/// The counts of each teller: the journal and the logs tell of the same attempts.
#[derive(Debug, Default)]
pub(super) struct Counter {
    tellers: BTreeMap<Teller, BTreeMap<(i64, IpAddr), Count>>,
    since: Option<i64>,
}

impl Counter {
    pub(super) fn add(&mut self, refusal: &Refusal, teller: Teller) {
        let minute = refusal.at.div_euclid(60);
        if self.since.is_some_and(|since| minute < since) {
            return;
        }
        let counts = self.tellers.entry(teller).or_default();
        let count = counts.entry((minute, refusal.source)).or_default();
        let slot = if refusal.ended { &mut count.ended } else { &mut count.wrong };
        *slot = slot.saturating_add(refusal.times);
        if counts.len() > MOST {
            self.forget();
        }
    }

    /// Drops the older half of what is counted most.
    fn forget(&mut self) {
        let longest = self.tellers.values().max_by_key(|counts| counts.len());
        let Some((middle, _)) = longest.and_then(|counts| counts.keys().nth(counts.len() / 2)) else { return };
        let since = middle + 1;
        self.since = Some(since);
        for counts in self.tellers.values_mut() {
            *counts = counts.split_off(&(since, IpAddr::from([0, 0, 0, 0])));
        }
    }

    /// What was counted: of several tellers the one who tells more.
    pub(super) fn finish(self) -> Refused {
        let mut most: BTreeMap<(IpAddr, UnixSeconds), u32> = BTreeMap::new();
        for ((minute, source), count) in self.tellers.into_values().flatten() {
            let slot = most.entry((source, minute * 60)).or_default();
            *slot = (*slot).max(count.wrong).max(count.ended);
        }
        let mut out = Refused { counted_since: self.since.map(|minute| minute * 60), ..Refused::default() };
        for ((source, at), count) in most {
            out.sources.entry(source).or_default().push((at, count));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(at: UnixSeconds, source: u32, ended: bool) -> Refusal {
        Refusal { at, source: IpAddr::from(source.to_be_bytes()), times: 1, ended }
    }

    #[test]
    fn an_attempt_that_two_tell_of_is_one() {
        let mut counter = Counter::default();
        for teller in [Teller::Journal, Teller::Log] {
            for at in [60, 61, 119, 120] {
                counter.add(&refusal(at, 1, false), teller);
            }
            counter.add(&refusal(121, 1, true), teller);
        }
        let refused = counter.finish();
        assert_eq!(refused.sources.into_values().collect::<Vec<_>>(), [[(60, 3), (120, 1)]]);
        assert_eq!(refused.counted_since, None);
    }

    #[test]
    fn a_flood_is_counted_from_its_newest_part() {
        let mut counter = Counter::default();
        let all = u32::try_from(MOST * 3).unwrap();
        for source in 0..all {
            counter.add(&refusal(i64::from(source) * 7, source, false), Teller::Log);
        }
        let refused = counter.finish();
        assert!(refused.sources.len() <= MOST + 1 && refused.sources.len() >= MOST / 2, "{}", refused.sources.len());
        let since = refused.counted_since.unwrap();
        assert!(refused.sources.values().flatten().all(|(at, _)| *at >= since));
        assert!(refused.sources.contains_key(&IpAddr::from((all - 1).to_be_bytes())));

        let mut at_once = Counter::default();
        for source in 0..all {
            at_once.add(&refusal(0, source, false), Teller::Log);
        }
        assert!(at_once.finish().sources.len() <= MOST + 1, "a single minute may not fill the memory");
    }
}
