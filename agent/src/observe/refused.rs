//! Refused logins counted by source and minute, whatever number of them the logs hold.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hostward_checks::observation::UnixSeconds;
use hostward_checks::observation::login::{Refused, Teller};
use hostward_checks::parse::sshd_log::{Refusal, Sign};

/// More counts are not kept of one teller: a megabyte. The oldest go first.
const MOST: usize = 32_768;

/// Attempts in one minute from one source, by what tells of them: an attempt may leave a line of each kind.
type Count = [u32; Sign::COUNT];

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
        if let Some(slot) = count.get_mut(refusal.sign as usize) {
            *slot = slot.saturating_add(refusal.times);
        }
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

    /// What was counted. Of several tellers the one that tells of more in a minute; of the kinds of line the one that tells most of a
    /// source, for an attempt and the end of its connection may be of two minutes.
    pub(super) fn finish(self) -> Refused {
        let mut kinds: BTreeMap<IpAddr, [BTreeMap<UnixSeconds, u32>; Sign::COUNT]> = BTreeMap::new();
        for ((minute, source), count) in self.tellers.into_values().flatten() {
            for (minutes, count) in
                kinds.entry(source).or_default().iter_mut().zip(count).filter(|(_, count)| *count > 0)
            {
                let slot = minutes.entry(minute * 60).or_default();
                *slot = (*slot).max(count);
            }
        }
        let total = |minutes: &BTreeMap<UnixSeconds, u32>| minutes.values().map(|count| u64::from(*count)).sum::<u64>();
        let sources = kinds.into_iter().map(|(source, kinds)| {
            let most = kinds.into_iter().max_by_key(total).unwrap_or_default();
            (source, most.into_iter().collect())
        });
        Refused { sources: sources.collect(), counted_since: self.since.map(|minute| minute * 60) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(at: UnixSeconds, source: u32, sign: Sign) -> Refusal {
        Refusal { at, source: IpAddr::from(source.to_be_bytes()), times: 1, sign }
    }

    #[test]
    fn an_attempt_that_two_tell_of_is_one() {
        let mut counter = Counter::default();
        for teller in [Teller::Journal, Teller::Log] {
            for at in [60, 61, 119, 120] {
                counter.add(&refusal(at, 1, Sign::Wrong), teller);
            }
            for at in [121, 122, 180] {
                counter.add(&refusal(at, 1, Sign::Ended), teller);
            }
        }
        counter.add(&refusal(240, 1, Sign::Wrong), Teller::Log);
        let refused = counter.finish();
        assert_eq!(refused.sources.into_values().collect::<Vec<_>>(), [[(60, 3), (120, 1), (240, 1)]]);
        assert_eq!(refused.counted_since, None);
    }

    #[test]
    fn a_flood_is_counted_from_its_newest_part() {
        let mut counter = Counter::default();
        let all = u32::try_from(MOST * 3).unwrap();
        for source in 0..all {
            counter.add(&refusal(i64::from(source) * 7, source, Sign::Wrong), Teller::Log);
        }
        let refused = counter.finish();
        assert!(refused.sources.len() <= MOST + 1 && refused.sources.len() >= MOST / 2, "{}", refused.sources.len());
        let since = refused.counted_since.unwrap();
        assert!(refused.sources.values().flatten().all(|(at, _)| *at >= since));
        assert!(refused.sources.contains_key(&IpAddr::from((all - 1).to_be_bytes())));

        let mut at_once = Counter::default();
        for source in 0..all {
            at_once.add(&refusal(0, source, Sign::Wrong), Teller::Log);
        }
        assert!(at_once.finish().sources.len() <= MOST + 1, "a single minute may not fill the memory");
    }
}
