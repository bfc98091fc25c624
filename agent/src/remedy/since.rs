//! How long ago something was, whatever becomes of the wall clock.

use std::time::Duration;

use crate::transaction::Moment;

/// A day.
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long ago something was. Within a boot that is what the boot's clock says, whatever becomes of the wall clock; else what the
/// wall clock says, and where that was put back, no time at all.
pub fn age(then: &Moment, now: &Moment) -> Duration {
    if then.boot_id == now.boot_id {
        return Duration::from_millis(now.boottime_ms.saturating_sub(then.boottime_ms));
    }
    let seconds = |moment: &Moment| moment.at.parse::<jiff::Timestamp>().map(|at| at.as_second()).ok();
    let passed = seconds(then).zip(seconds(now)).map_or(0, |(then, now)| now.saturating_sub(then));
    Duration::from_secs(u64::try_from(passed).unwrap_or(0))
}

/// Whether something is dated later than now, in another boot: the clock was put back since.
pub fn is_ahead(then: &Moment, now: &Moment) -> bool {
    let at = |moment: &Moment| moment.at.parse::<jiff::Timestamp>().ok();
    then.boot_id != now.boot_id && at(then).is_none_or(|then| at(now).is_some_and(|now| then > now))
}
