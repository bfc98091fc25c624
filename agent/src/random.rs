//! Random bytes, of kernels without getrandom(2) too.

use anyhow::anyhow;
use ring::rand::{SecureRandom, SystemRandom};

/// Fills them.
///
/// # Errors
/// The kernel gives none.
pub(crate) fn fill(bytes: &mut [u8]) -> anyhow::Result<()> {
    SystemRandom::new().fill(bytes).map_err(|_| anyhow!("failed to get random bytes"))
}
