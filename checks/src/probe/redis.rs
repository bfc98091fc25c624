//! Redis and its kin: `INFO server`, which reads nothing but the server's own figures.

use super::wire::line;
use super::{Heard, NO_REASON, Step, stranger, unclear};
use crate::observation::service::Answer;

/// `INFO server` as an array of strings.
pub(super) const QUESTION: &[u8] = b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n";

pub(super) fn hear(heard: &Heard<'_>) -> Step {
    let bytes = heard.bytes;
    match bytes.first() {
        None => Step::More,
        Some(b'-') => line(bytes).map_or(Step::More, refused),
        Some(b'$' | b'=') => match told(bytes) {
            // The version stands on the second line of a text of a few hundred bytes.
            Some(version) => Step::Done(Answer::Open(version)),
            None => Step::More,
        },
        Some(_) => stranger(bytes),
    }
}

/// The version in the text, once it or the text's end is there.
fn told(bytes: &[u8]) -> Option<Option<String>> {
    let head = line(bytes)?;
    let length: usize = std::str::from_utf8(head.get(1..)?).ok()?.parse().ok()?;
    let text = bytes.get(head.len() + 2..)?;
    let version = text.split(|byte| *byte == b'\n').find_map(|line| {
        let value = [&b"redis_version:"[..], b"valkey_version:"].into_iter().find_map(|key| line.strip_prefix(key));
        value.filter(|value| value.ends_with(b"\r")).and_then(Answer::version)
    });
    (version.is_some() || text.len() >= length).then_some(version)
}

/// An error's first word tells.
fn refused(line: &[u8]) -> Step {
    let word = line.get(1..).and_then(|line| line.split(|byte| *byte == b' ').next()).unwrap_or_default();
    match word {
        // DENIED: protected mode, which serves loopback alone.
        b"NOAUTH" | b"NOPERM" | b"DENIED" | b"WRONGPASS" => Step::Done(Answer::Closed),
        // Before Redis 6.
        b"ERR" if line.starts_with(b"-ERR operation not permitted") => Step::Done(Answer::Closed),
        b"ERR" if line.starts_with(b"-ERR max number of clients") => unclear("it has too many clients"),
        _ => unclear(NO_REASON),
    }
}
