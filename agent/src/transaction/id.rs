//! Names of transactions: sortable by time, and never going back, whatever the clock does.

use anyhow::Context;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::PATH;
use crate::tree::Dir;

/// How the time is written in an id.
const FORMAT: &str = "%Y%m%d-%H%M%S";

/// Whether a name is an id: `20261122-044905-ab12`.
pub(super) fn is_id(name: &str) -> bool {
    let shape = |byte: u8, like: u8| match like {
        b'0' => byte.is_ascii_digit(),
        b'a' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        dash => byte == dash,
    };
    name.len() == 20 && name.bytes().zip("00000000-000000-aaaa".bytes()).all(|(byte, like)| shape(byte, like))
}

/// The next id: later than every one that is there.
///
/// # Errors
/// The store cannot be read, or the kernel gives no random bytes.
pub(super) fn next(store: &Dir) -> anyhow::Result<String> {
    let names = store.names().with_context(|| format!("failed to read {PATH}"))?;
    let newest = names.iter().filter_map(|name| name.to_str()).filter(|name| is_id(name)).max();
    let newest = newest.and_then(|name| name.get(..15)).and_then(|time| {
        let civil = jiff::civil::DateTime::strptime(FORMAT, time).ok()?;
        civil.to_zoned(TimeZone::UTC).ok()?.timestamp().checked_add(SignedDuration::from_secs(1)).ok()
    });
    let now = newest.map_or_else(Timestamp::now, |newest| newest.max(Timestamp::now()));
    let random = token()?;
    Ok(format!("{}-{}", now.strftime(FORMAT), random.get(..4).unwrap_or("0000")))
}

/// Sixteen random hexadecimal digits.
///
/// # Errors
/// The kernel gives no random bytes.
pub(crate) fn token() -> anyhow::Result<String> {
    let mut bytes = [0; 8];
    crate::random::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
