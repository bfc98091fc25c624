//! Memcached: a request that does nothing in its binary protocol, with the text one behind it.

use super::wire::{line, part};
use super::{Heard, NO_REASON, Step, stranger, unclear};
use crate::observation::service::Answer;

/// Over UDP: the frame's header, and the text command.
pub(super) const DATAGRAM: &[u8] = b"\0\x01\0\0\0\x01\0\0version\r\n";

const REQUEST: u8 = 0x80;
const RESPONSE: u8 = 0x81;
const NOOP: u8 = 0x0a;
/// `PROTOCOL_BINARY_RESPONSE_AUTH_ERROR`
const AUTH_ERROR: u16 = 0x20;

/// Who speaks the binary protocol answers the NOOP, which SASL lets nobody have before the login; a server bound to text takes that for
/// one bad line and answers the command behind it.
pub(super) fn question() -> Vec<u8> {
    let mut question = vec![REQUEST, NOOP];
    question.resize(24, 0);
    question.extend(b"\r\nversion\r\n");
    question
}

pub(super) fn hear(heard: &Heard<'_>) -> Step {
    let bytes = heard.bytes;
    match bytes.first() {
        None => Step::More,
        Some(&RESPONSE) => match part(bytes, 6).map(u16::from_be_bytes).filter(|_| bytes.len() >= 24) {
            None => Step::More,
            Some(0) => Step::Done(Answer::Open(None)),
            Some(AUTH_ERROR) => Step::Done(Answer::Closed),
            Some(_) => unclear(NO_REASON),
        },
        Some(_) => text(bytes),
    }
}

/// The lines of a server that speaks text.
fn text(bytes: &[u8]) -> Step {
    let Some(first) = line(bytes) else {
        return if b"ERRORCLIENT_VERSION".contains(bytes.first().unwrap_or(&0)) { Step::More } else { stranger(bytes) };
    };
    if let Some(version) = first.strip_prefix(b"VERSION ") {
        return Step::Done(Answer::Open(Answer::version(version)));
    }
    match first {
        b"CLIENT_ERROR unauthenticated" => Step::Done(Answer::Closed),
        b"ERROR Too many open connections" => unclear("it has too many clients"),
        // To the bytes that are no text: NOOP is a line feed, so they are two lines.
        b"ERROR" => bytes.get(first.len() + 2..).map_or(Step::More, after_error),
        _ => stranger(bytes),
    }
}

/// What follows the first of two errors.
fn after_error(bytes: &[u8]) -> Step {
    let after = bytes.strip_prefix(b"ERROR\r\n").unwrap_or(bytes);
    match line(after).map(|line| (line, line.strip_prefix(b"VERSION "))) {
        None | Some((b"ERROR", _)) => Step::More,
        Some((_, Some(version))) => Step::Done(Answer::Open(Answer::version(version))),
        Some((_, None)) => unclear(NO_REASON),
    }
}

pub(super) fn hear_datagram(heard: &Heard<'_>) -> Step {
    match heard.bytes {
        [] => Step::More,
        bytes => match bytes.get(8..) {
            Some(text) if bytes.starts_with(b"\0\x01") && text.starts_with(b"VERSION ") => {
                Step::Done(Answer::Open(line(text).and_then(|line| Answer::version(line.get(8..)?))))
            }
            _ => stranger(bytes),
        },
    }
}
