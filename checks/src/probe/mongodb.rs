//! MongoDB: `listDatabases` with a filter that no database fits, which wants a login all the same.

use super::wire::{c_string, part};
use super::{Heard, NO_REASON, Step, stranger, unclear};
use crate::observation::service::Answer;

/// OP_MSG (MongoDB 3.6 and later)
const MESSAGE: u32 = 2013;

/// A document of elements that are complete.
fn document(elements: &[u8]) -> Vec<u8> {
    let length = u32::try_from(elements.len()).unwrap_or_default() + 5;
    [&length.to_le_bytes(), elements, &[0]].concat()
}

pub(super) fn question() -> Vec<u8> {
    let filter = document(b"\x02name\0\x01\0\0\0\0");
    let elements = [
        &b"\x10listDatabases\0\x01\0\0\0"[..],
        b"\x08nameOnly\0\x01",
        b"\x03filter\0",
        &filter,
        b"\x02$db\0\x06\0\0\0admin\0",
    ];
    let body = document(&elements.concat());
    let length = u32::try_from(body.len()).unwrap_or_default() + 21;
    let header = [length, 1, 0, MESSAGE, 0].map(u32::to_le_bytes);
    [header.as_flattened(), &[0], &body].concat()
}

pub(super) fn hear(heard: &Heard<'_>) -> Step {
    let bytes = heard.bytes;
    let Some(kind) = part(bytes, 12).map(u32::from_le_bytes) else { return Step::More };
    if kind != MESSAGE {
        return stranger(bytes);
    }
    let length = part(bytes, 0).map_or(0, u32::from_le_bytes) as usize;
    match bytes.get(..length) {
        None => Step::More,
        Some(whole) => match whole.get(25..).map(outcome) {
            Some((Some(1), _)) => Step::Done(Answer::Open(None)),
            Some((_, Some(13 | 18))) => Step::Done(Answer::Closed),
            Some((Some(0), _)) => unclear(NO_REASON),
            _ => stranger(bytes),
        },
    }
}

/// The elements `ok` and `code`, of what follows a document's length.
fn outcome(mut rest: &[u8]) -> (Option<i64>, Option<i64>) {
    let (mut ok, mut code) = (None, None);
    while let Some((&kind, after)) = rest.split_first().filter(|(kind, _)| **kind != 0) {
        let Some((name, value)) = c_string(after) else { break };
        let Some(length) = length(kind, value) else { break };
        let Some(next) = value.get(length..) else { break };
        match name {
            b"ok" => ok = number(kind, value),
            b"code" => code = number(kind, value),
            _ => {}
        }
        rest = next;
    }
    (ok, code)
}

/// How long a value is (bsonspec.org).
fn length(kind: u8, value: &[u8]) -> Option<usize> {
    let counted = || part(value, 0).map(|bytes| u32::from_le_bytes(bytes) as usize);
    match kind {
        0x06 | 0x0a | 0x7f | 0xff => Some(0),
        0x08 => Some(1),
        0x10 => Some(4),
        0x01 | 0x09 | 0x11 | 0x12 => Some(8),
        0x07 => Some(12),
        0x13 => Some(16),
        0x02 | 0x0d | 0x0e => counted()?.checked_add(4),
        0x03 | 0x04 | 0x0f => counted().filter(|length| *length >= 5),
        0x05 => counted()?.checked_add(5),
        0x0b => c_string(value).and_then(|(first, rest)| Some(first.len() + c_string(rest)?.0.len() + 2)),
        _ => None,
    }
}

fn number(kind: u8, value: &[u8]) -> Option<i64> {
    match kind {
        #[expect(clippy::cast_possible_truncation, reason = "0 and 1 are meant, and a cast of others saturates")]
        0x01 => part(value, 0).map(|bytes| f64::from_le_bytes(bytes) as i64),
        0x08 => value.first().map(|byte| i64::from(*byte)),
        0x10 => part(value, 0).map(|bytes| i64::from(i32::from_le_bytes(bytes))),
        0x12 => part(value, 0).map(i64::from_le_bytes),
        _ => None,
    }
}
