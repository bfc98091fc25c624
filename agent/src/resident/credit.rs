//! What looks may cost.

use std::time::{Duration, Instant};

/// Processor time that looks may take: so much at once, and a share of the time in the long run.
#[derive(Debug)]
pub(super) struct Credit {
    left: f64,
    at: Instant,
    share: f64,
}

impl Credit {
    const MOST: f64 = 3.0;

    /// All of what may be taken at once.
    pub(super) fn new(percent: u32, now: Instant) -> Self {
        Self { left: Self::MOST, at: now, share: f64::from(percent.max(1)) / 100.0 }
    }

    /// So much was taken.
    pub(super) fn spend(&mut self, cpu: Duration, now: Instant) {
        self.left = (self.left + now.duration_since(self.at).as_secs_f64() * self.share).min(Self::MOST);
        self.at = now;
        self.left -= cpu.as_secs_f64();
    }

    /// When the next look may begin.
    pub(super) fn ready(&self) -> Instant {
        if self.left > 0.0 { self.at } else { self.at + Duration::from_secs_f64(-self.left / self.share) }
    }
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
