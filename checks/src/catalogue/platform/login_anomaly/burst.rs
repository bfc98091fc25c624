//! Bursts: so many refused logins of one source within so much time.

use crate::observation::UnixSeconds;

/// Refused logins that follow each other closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Burst {
    /// The minute of the first.
    pub(super) first: UnixSeconds,
    /// The minute of the last.
    pub(super) last: UnixSeconds,
    /// How many there were.
    pub(super) attempts: u32,
}

/// The bursts in counts by minute, ascending. Windows that overlap are one burst.
pub(super) fn bursts(minutes: &[(UnixSeconds, u32)], within: i64, least: i64) -> Vec<Burst> {
    let mut out: Vec<Burst> = Vec::new();
    let (mut from, mut sum) = (0, 0_i64);
    // What lies before here is part of a burst already.
    let mut taken = 0;
    for (index, (at, count)) in minutes.iter().enumerate() {
        sum += i64::from(*count);
        while let Some((_, its)) = minutes.get(from).filter(|(old, _)| at - old >= within.max(60)) {
            sum -= i64::from(*its);
            from += 1;
        }
        if sum < least {
            continue;
        }
        let start = from.max(taken);
        let part = minutes.get(start..=index).unwrap_or_default();
        let attempts = part.iter().fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
        let first = part.first().map_or(*at, |(at, _)| *at);
        match out.last_mut().filter(|_| from < taken) {
            Some(burst) => (burst.last, burst.attempts) = (*at, burst.attempts.saturating_add(attempts)),
            None => out.push(Burst { first, last: *at, attempts }),
        }
        taken = index + 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_slide_and_overlapping_ones_are_one_burst() {
        let found = |minutes: &[(i64, u32)]| -> Vec<(i64, i64, u32)> {
            let minutes: Vec<(i64, u32)> = minutes.iter().map(|(minute, count)| (minute * 60, *count)).collect();
            bursts(&minutes, 600, 10).iter().map(|one| (one.first / 60, one.last / 60, one.attempts)).collect()
        };
        for (minutes, want) in [
            (&[][..], &[][..]),
            (&[(0, 9)], &[]),
            (&[(0, 10)], &[(0, 0, 10)]),
            (&[(0, 5), (9, 5)], &[(0, 9, 10)]),
            (&[(0, 5), (10, 5)], &[]),
            (&[(0, 10), (5, 1), (12, 10), (100, 3)], &[(0, 12, 21)]),
            (&[(0, 10), (50, 30)], &[(0, 0, 10), (50, 50, 30)]),
            (&[(0, 1), (3, 1), (9, 8), (30, 2), (31, 8)], &[(0, 9, 10), (30, 31, 10)]),
        ] {
            assert_eq!(found(minutes), want, "{minutes:?}");
        }
        assert_eq!(bursts(&[(0, u32::MAX), (60, u32::MAX)], 600, 2).len(), 1);
    }
}
