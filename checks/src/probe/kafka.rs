//! Kafka: which versions it speaks, told before any login, then the metadata of no topic, which makes none. A listener with SASL hangs
//! up on that; one that hangs up before may speak TLS.

use super::wire::{framed, part};
use super::{ELSE, Heard, MOST, NO_REASON, Step, stranger, unclear};
use crate::observation::service::Answer;

const API_VERSIONS: u16 = 18;
const METADATA: u16 = 3;
/// The oldest version in which no topics means none (Kafka 0.10).
const OLDEST: u16 = 1;
/// The oldest that tells first how long we are held back.
const THROTTLING: u16 = 3;
/// The oldest that says that no topic is to be made (Kafka 0.11); later ones tell no more.
const LATEST: u16 = 4;
/// The answer's number is this, and the version that was asked in.
const CORRELATION: u32 = 0x686f_7374;

fn request(key: u16, version: u16, body: &[u8]) -> Vec<u8> {
    let correlation = (CORRELATION + u32::from(version)).to_be_bytes();
    framed(&[&key.to_be_bytes()[..], &version.to_be_bytes(), &correlation, b"\0\x08hostward", body].concat(), false)
}

pub(super) fn question() -> Vec<u8> {
    request(API_VERSIONS, 0, b"")
}

pub(super) fn hear(heard: &Heard<'_>) -> Step {
    let bytes = heard.bytes;
    match (heard.turn, part(bytes, 4).map(|number| u32::from_be_bytes(number).wrapping_sub(CORRELATION))) {
        (1.., None) if bytes.is_empty() && heard.ended => Step::Done(Answer::Closed),
        (_, None) => Step::More,
        (0, Some(0)) => versions(bytes),
        (1.., Some(version)) if (OLDEST.into()..=LATEST.into()).contains(&version) => {
            // How many brokers there are: at least the one that answers.
            let at = if version < THROTTLING.into() { 8 } else { 12 };
            match part(bytes, at).map(u32::from_be_bytes) {
                None => Step::More,
                Some(1..=100_000) => Step::Done(Answer::Open(None)),
                Some(_) => stranger(bytes),
            }
        }
        _ => stranger(bytes),
    }
}

/// Length, number, an error, how many there are, and of each request its key, oldest and latest version.
fn versions(bytes: &[u8]) -> Step {
    let length = part(bytes, 0).map_or(0, u32::from_be_bytes) as usize;
    if length > MOST {
        return stranger(bytes);
    }
    let Some(whole) = bytes.get(..length + 4) else { return Step::More };
    if part(whole, 8).is_some_and(|error| u16::from_be_bytes(error) != 0) {
        return unclear(NO_REASON);
    }
    let number = |of: &[u8], at| part(of, at).map(u16::from_be_bytes);
    let mut each = whole.get(14..).unwrap_or_default().chunks_exact(6);
    let metadata = each.find(|of| number(of, 0) == Some(METADATA));
    match metadata.and_then(|of| Some((number(of, 2)?.max(OLDEST), number(of, 4)?.min(LATEST)))) {
        None => unclear(ELSE),
        Some((oldest, latest)) if oldest > latest => unclear("it speaks no version that is asked"),
        // No topics, and none to be made.
        Some((_, LATEST)) => Step::Say(request(METADATA, LATEST, b"\0\0\0\0\0")),
        Some((_, latest)) => Step::Say(request(METADATA, latest, b"\0\0\0\0")),
    }
}
