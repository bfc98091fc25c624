//! PostgreSQL: the start of a session as `postgres`, given up as soon as a password is asked for.

use super::wire::{c_string, framed, part};
use super::{Heard, NO_REASON, Step, stranger, unclear};
use crate::observation::service::Answer;

/// Ends the session that was opened.
pub(super) const TERMINATE: &[u8] = b"X\0\0\0\x04";

pub(super) fn question() -> Vec<u8> {
    let mut body = 0x0003_0000_u32.to_be_bytes().to_vec();
    for word in ["user", "postgres", "database", "postgres", "application_name", "hostward", ""] {
        body.extend(word.as_bytes());
        body.push(0);
    }
    framed(&body, true)
}

pub(super) fn hear(heard: &Heard<'_>) -> Step {
    let bytes = heard.bytes;
    let length = part(bytes, 1).map(u32::from_be_bytes);
    match (bytes.first(), length) {
        (None, _) => Step::More,
        (Some(b'R' | b'E'), None) => Step::More,
        (Some(b'R'), Some(8..=4096)) => match part(bytes, 5).map(u32::from_be_bytes) {
            None => Step::More,
            Some(0) => Step::Done(Answer::Open(None)),
            Some(_) => Step::Done(Answer::Closed),
        },
        (Some(b'E'), Some(length @ 5..=4096)) => match bytes.get(5..length as usize + 1) {
            None => Step::More,
            Some(fields) => refused(fields),
        },
        _ => stranger(bytes),
    }
}

/// An error's SQLSTATE tells.
fn refused(mut fields: &[u8]) -> Step {
    while let Some((code, rest)) = fields.split_first().filter(|(code, _)| **code != 0) {
        let Some((value, rest)) = c_string(rest) else { break };
        if *code == b'C' {
            return match value {
                // pg_hba.conf lets nobody in so; a password; pgbouncer knows no such user or database.
                b"28000" | b"28P01" | b"08P01" => Step::Done(Answer::Closed),
                b"53300" => unclear("it has too many clients"),
                b"57P03" => unclear("it is starting or stopping"),
                _ => unclear(NO_REASON),
            };
        }
        fields = rest;
    }
    unclear(NO_REASON)
}
