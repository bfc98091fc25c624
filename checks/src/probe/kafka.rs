//! Kafka: the metadata of no topic, which makes none. A listener with SASL hangs up on it.

use super::wire::{framed, part};
use super::{Heard, Step, stranger};
use crate::observation::service::Answer;

const METADATA: u16 = 3;
/// The oldest version that says that no topic is to be made (Kafka 0.11).
const VERSION: u16 = 4;
const CORRELATION: u32 = 0x686f_7374;

pub(super) fn question() -> Vec<u8> {
    let name = b"hostward";
    let mut body = [METADATA.to_be_bytes(), VERSION.to_be_bytes()].concat();
    body.extend(CORRELATION.to_be_bytes());
    body.extend(8_u16.to_be_bytes());
    body.extend(name);
    // No topics, and none to be made.
    body.extend(0_u32.to_be_bytes());
    body.push(0);
    framed(&body, false)
}

pub(super) fn hear(heard: &Heard<'_>) -> Step {
    let bytes = heard.bytes;
    match part(bytes, 4).map(u32::from_be_bytes) {
        None if bytes.is_empty() && heard.ended => Step::Done(Answer::Closed),
        None => Step::More,
        // Length, number, throttling, and how many brokers there are: at least the one that answers.
        Some(CORRELATION) => match part(bytes, 12).map(u32::from_be_bytes) {
            None => Step::More,
            Some(1..=100_000) => Step::Done(Answer::Open(None)),
            Some(_) => stranger(bytes),
        },
        Some(_) => stranger(bytes),
    }
}
