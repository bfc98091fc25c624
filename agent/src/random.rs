//! Random bytes, of kernels without getrandom(2) too.

use std::time::Duration;

use anyhow::anyhow;
use ring::rand::{SecureRandom, SystemRandom};

/// Fills them.
///
/// # Errors
/// The kernel gives none.
pub(crate) fn fill(bytes: &mut [u8]) -> anyhow::Result<()> {
    SystemRandom::new().fill(bytes).map_err(|_| anyhow!("failed to get random bytes"))
}

/// A time, give or take a tenth: the hosts of a fleet are not to look all at once.
pub(crate) fn jitter(time: Duration) -> Duration {
    let mut bytes = [0_u8; 2];
    // Without randomness there is none.
    let _ = fill(&mut bytes);
    let share = f64::from(u16::from_ne_bytes(bytes)) / f64::from(u16::MAX);
    time.mul_f64(0.9 + 0.2 * share)
}
