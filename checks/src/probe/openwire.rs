//! ActiveMQ by OpenWire: a connection is asked for without a login and without a client's name, and never made: a broker refuses it for
//! the login where it wants one, else for the name.

use super::wire::{framed, part};
use super::{Heard, MOST, NO_REASON, Step, stranger, unclear};
use crate::observation::service::Answer;

/// WIREFORMAT_INFO and its magic, with which both sides begin.
const HELLO: &[u8] = b"\x01ActiveMQ";
/// CONNECTION_INFO
const CONNECTION: u8 = 3;
/// RESPONSE
const RESPONSE: u8 = 30;
/// EXCEPTION_RESPONSE
const EXCEPTION: u8 = 31;

/// Version 1 of the format, which every broker speaks: no options, nothing packed.
pub(super) fn question() -> Vec<u8> {
    let hello = [HELLO, &1_u32.to_be_bytes(), &[0]].concat();
    // Its number; it wants an answer; a CONNECTION_ID of one string; no client's name, password, user, path of brokers and flags.
    let connection = [&[CONNECTION, 0, 0, 0, 1, 1, 1, 120, 1, 0, 8][..], b"hostward", &[0; 6]].concat();
    [framed(&hello, false), framed(&connection, false)].concat()
}

pub(super) fn hear(heard: &Heard<'_>) -> Step {
    let mut rest = heard.bytes;
    if rest.iter().skip(4).zip(HELLO).any(|(a, b)| a != b) {
        return stranger(rest);
    }
    let mut version = None;
    while let Some(length) = part(rest, 0).map(|length| u32::from_be_bytes(length) as usize) {
        if !(1..=MOST).contains(&length) {
            return stranger(rest);
        }
        let Some((frame, next)) = rest.get(4..).and_then(|rest| rest.split_at_checked(length)) else { break };
        match frame.first() {
            Some(&RESPONSE) => return Step::Done(Answer::Open(version)),
            Some(&EXCEPTION) => return refused(frame, version),
            _ => version = version.or_else(|| told(frame)),
        }
        rest = next;
    }
    Step::More
}

/// The exception's class tells; it stands behind two numbers and three flags.
fn refused(frame: &[u8], version: Option<String>) -> Step {
    let class = part(frame, 12).and_then(|length| frame.get(14..)?.get(..usize::from(u16::from_be_bytes(length))));
    match class {
        Some(b"javax.jms.InvalidClientIDException" | b"jakarta.jms.InvalidClientIDException") => {
            Step::Done(Answer::Open(version))
        }
        Some(b"java.lang.SecurityException") => Step::Done(Answer::Closed),
        _ => unclear(NO_REASON),
    }
}

/// The version among the broker's options: a name, the kind of a string, its length.
fn told(frame: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"ProviderVersion\x09";
    let at = frame.windows(NAME.len()).position(|part| part == NAME)? + NAME.len();
    let length = part(frame, at).map(u16::from_be_bytes)?;
    Answer::version(frame.get(at + 2..)?.get(..usize::from(length))?)
}
