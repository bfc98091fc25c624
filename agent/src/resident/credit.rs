//! What the resident and its looks may cost.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// Processor time that may be taken: so much at once, and a share of the time in the long run. The password audit is not part of
/// it: its own budget bounds it.
#[derive(Debug)]
pub(super) struct Credit {
    left: f64,
    at: Instant,
    share: f64,
    /// What this process itself has taken, as far as it is spent.
    own: Duration,
    /// What it took on the account of others.
    pub(super) forgiven: Duration,
}

impl Credit {
    const MOST: f64 = 3.0;

    /// All of what may be taken at once.
    pub(super) fn new(percent: u32, now: Instant) -> Self {
        let mut credit = Self { left: Self::MOST, at: now, share: 0.0, own: own(), forgiven: Duration::ZERO };
        credit.set(percent);
        credit
    }

    /// Another share, from now on.
    pub(super) fn set(&mut self, percent: u32) {
        self.share = f64::from(percent.max(1)) / 100.0;
    }

    /// So much was taken.
    pub(super) fn spend(&mut self, cpu: Duration, now: Instant) {
        self.left = (self.left + now.duration_since(self.at).as_secs_f64() * self.share).min(Self::MOST);
        self.at = now;
        self.left -= cpu.as_secs_f64();
    }

    /// What this process itself took since it was asked last is spent too.
    pub(super) fn spend_own(&mut self, now: Instant) {
        let own = own();
        self.spend(own.saturating_sub(self.own), now);
        self.own = own;
    }

    /// What this process itself took since then is on the account of who asked for it.
    pub(super) fn forgive_own(&mut self) {
        let own = own();
        self.forgiven += own.saturating_sub(self.own);
        self.own = own;
    }

    /// When more may be taken.
    pub(super) fn ready(&self) -> Instant {
        if self.left > 0.0 { self.at } else { self.at + Duration::from_secs_f64(-self.left / self.share) }
    }
}

/// Processor time of this process.
fn own() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_take_their_share_of_the_processor_and_no_more() {
        let start = Instant::now();
        let mut credit = Credit::new(10, start);
        assert!(credit.ready() <= start);
        let mut now = start;
        let mut spent = Duration::ZERO;
        while now < start + Duration::from_secs(600) {
            spent += Duration::from_millis(200);
            credit.spend(Duration::from_millis(200), now);
            now = credit.ready().max(now + Duration::from_millis(200));
        }
        assert!((60.0..64.0).contains(&spent.as_secs_f64()), "{spent:?}");
    }
}
