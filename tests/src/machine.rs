//! Whether this machine was there: others may share its processors.
//!
//! What must happen within a time is held against that time only where the processors were ours. Where they were taken away (steal
//! time of `/proc/stat`) it has much longer, and that is told.

use std::sync::OnceLock;
use std::time::Duration;

use crate::results;

/// So much of the processors may be taken away, in a thousand.
const SOME: u64 = 20;
/// What takes no longer than it may has so many times as long where more was.
const PATIENCE: u32 = 60;

/// Since the test began, all time of the processors, and what was taken away of it.
static BEGAN: OnceLock<(u64, u64)> = OnceLock::new();

fn times() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let numbers = |line: &str| line.split_whitespace().skip(1).take(8).filter_map(|word| word.parse().ok()).collect();
    let numbers: Vec<u64> = text.lines().next().map(numbers).unwrap_or_default();
    (numbers.iter().sum(), numbers.get(7).copied().unwrap_or(0))
}

/// Counts from now on, if it is the first time.
pub fn begin() {
    BEGAN.get_or_init(times);
}

/// How much of the processors was taken away since the test began, in a thousand.
fn taken() -> u64 {
    let ((all, stolen), (now, stolen_now)) = (*BEGAN.get_or_init(times), times());
    1000 * (stolen_now - stolen) / (now - all).max(1)
}

/// Whether something took no longer than it may.
#[must_use]
pub fn in_time(took: Duration, most: Duration) -> bool {
    let taken = taken();
    if took < most || taken <= SOME {
        return took < most;
    }
    let why = format!("{took:?} is not held against {most:?}: {}% of the processors were taken away", taken / 10);
    results::skipped("timing", "this machine", why);
    took < most * PATIENCE
}

/// The same for milliseconds after a deadline: never before it, and within a second.
#[must_use]
pub fn is_punctual(late: i64) -> bool {
    u64::try_from(late).is_ok_and(|late| in_time(Duration::from_millis(late), Duration::from_secs(1)))
}
