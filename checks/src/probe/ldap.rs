//! LDAP: without a bind, whether the entry at the top of the directory is shown. None of its attributes are asked for.

use super::{Heard, NO_REASON, Step, stranger, unclear};
use crate::observation::service::Answer;

/// An UnbindRequest.
pub(super) const UNBIND: &[u8] = b"\x30\x05\x02\x01\x03\x42\0";

const SEQUENCE: u8 = 0x30;
const STRING: u8 = 0x04;
const SEARCH: u8 = 0x63;
const ENTRY: u8 = 0x64;
const DONE: u8 = 0x65;

/// The first entry of a search, and its result.
#[derive(Debug, Default)]
struct Found<'a> {
    entry: Option<&'a [u8]>,
    result: Option<u8>,
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length @ 0..=127) => out.push(length),
        _ => {
            out.push(0x82);
            out.extend(u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend(content);
    out
}

/// A search for one entry itself, with one attribute; it may take two seconds.
fn search(number: u8, base: &[u8], attribute: &[u8]) -> Vec<u8> {
    let request = [
        element(STRING, base),
        // This entry alone, aliases as they are, at most one, two seconds, types and values.
        b"\x0a\x01\0\x0a\x01\0\x02\x01\x01\x02\x01\x02\x01\x01\0".to_vec(),
        // (objectClass=*)
        element(0x87, b"objectClass"),
        element(SEQUENCE, &element(STRING, attribute)),
    ];
    element(SEQUENCE, &[vec![2, 1, number], element(SEARCH, &request.concat())].concat())
}

pub(super) fn question() -> Vec<u8> {
    search(1, b"", b"namingContexts")
}

/// The first element, and what follows it. None: it is not whole.
fn take(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=127 => (usize::from(first), rest),
        // At most three bytes of length: more than is ever read.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length).map(|(content, rest)| (tag, content, rest))
}

/// What came of a search, as far as it came.
fn messages(mut bytes: &[u8]) -> Result<Found<'_>, ()> {
    let mut found = Found::default();
    if bytes.first().is_some_and(|tag| *tag != SEQUENCE) {
        return Err(());
    }
    while let Some((tag, message, rest)) = take(bytes) {
        let Some((2, _, operation)) = take(message).filter(|_| tag == SEQUENCE) else { return Err(()) };
        match take(operation) {
            Some((ENTRY, entry, _)) => found.entry = found.entry.or(Some(entry)),
            Some((DONE, result, _)) => {
                found.result = Some(take(result).and_then(|(_, code, _)| code.first().copied()).unwrap_or(u8::MAX));
                return Ok(found);
            }
            // A reference, or a notice of disconnection.
            Some(_) => {}
            None => return Err(()),
        }
        bytes = rest;
    }
    Ok(found)
}

/// The first value of an entry's first attribute.
fn value(entry: &[u8]) -> Option<&[u8]> {
    let (_, _, rest) = take(entry)?;
    let (_, attributes, _) = take(rest)?;
    let (_, attribute, _) = take(attributes)?;
    let (_, _, rest) = take(attribute)?;
    let (_, values, _) = take(rest)?;
    take(values).map(|(_, value, _)| value)
}

pub(super) fn hear(heard: &Heard<'_>) -> Step {
    let Ok(found) = messages(heard.bytes) else { return stranger(heard.bytes) };
    let Some(result) = found.result else { return Step::More };
    match (heard.turn, found.entry, result) {
        (0, Some(entry), 0 | 4) => match value(entry).filter(|base| !base.is_empty() && base.len() < 1024) {
            Some(base) => Step::Say(search(2, base, b"1.1")),
            None => unclear("it does not say what it holds"),
        },
        (_, Some(_), 0 | 4) => Step::Done(Answer::Open(None)),
        (_, None, 0 | 32) => Step::Done(Answer::Closed),
        (_, _, 1 | 8 | 13 | 48 | 49 | 50 | 53) => Step::Done(Answer::Closed),
        _ => unclear(NO_REASON),
    }
}
