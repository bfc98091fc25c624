//! Finds Alibaba Cloud AccessKeys in any text: ids by their shape, secrets where they stand near an id.
//!
//! Of what is found nothing leaves this module but its kind, its lines and a shown form: the first four characters of the id and
//! the last two. Of a secret nothing leaves.

use std::collections::HashMap;

use super::Defect;

mod made_up;
mod packed;

use made_up::{is_filled_in, is_made_up, reads_as_words};

/// What stands for the rest of an id.
const MASK: &str = "****";
/// As many ids as one text is searched for, each counted once.
const MAX_IDS: usize = 100;
/// As many places of ids: a text with more is no settings and no script.
const MAX_PLACES: usize = 5000;
/// As many lines as are told of one id.
const MAX_LINES: usize = 5;
/// A secret belongs to an id that is at most so many lines and bytes away.
const NEAR: (usize, usize) = (10, 800);
/// An AccessKey's secret has so many letters and digits.
const SECRET: usize = 30;

/// What of an AccessKey stands in a text. The order is that of what it gives away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holds {
    /// The id of a signed request: `Signature=` stands beside it, so the secret need not.
    Signed,
    /// The id of temporary credentials (STS), which end by themselves.
    Temporary,
    /// The id of a long-lived AccessKey, and no secret near it.
    Id,
    /// The id of a long-lived AccessKey and what looks like its secret.
    Pair,
}

/// An AccessKey in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// What stands there.
    pub holds: Holds,
    /// The first lines with its id, from 1.
    pub lines: Vec<u32>,
    /// The id as it may be shown: `LTAI****yZ`.
    pub shown: String,
}

/// Where an id stands.
#[derive(Clone, Copy, Debug)]
struct Place<'t> {
    id: &'t [u8],
    start: usize,
    end: usize,
    line: u32,
    holds: Holds,
}

/// The AccessKeys of a text, each once, by the line where it stands first. A defect says that there are more than are searched for.
///
/// Ids are `LTAI` and 12 to 20 letters and digits, both lengths that Alibaba Cloud has used and what lies between, or `STS.` and 18
/// to 32. What is masked, or made up for a document or a test, is none. Base64 is looked into.
pub fn access_keys(text: &[u8]) -> (Vec<AccessKey>, Vec<Defect>) {
    let written_out = packed::written_out(text);
    in_plain(written_out.as_deref().unwrap_or(text))
}

fn in_plain(text: &[u8]) -> (Vec<AccessKey>, Vec<Defect>) {
    let (mut keys, mut defects): (Vec<AccessKey>, Vec<Defect>) = (Vec::new(), Vec::new());
    let mut known: HashMap<&[u8], usize> = HashMap::new();
    for (count, place) in places(text).enumerate() {
        let index = known.get(place.id).copied();
        if count == MAX_PLACES || (index.is_none() && keys.len() == MAX_IDS) {
            let what = "more AccessKeys than hostward looks for in one text".to_owned();
            defects.push(Defect { line: place.line, what });
            break;
        }
        let holds = holds(text, &place);
        // Words that look like an id are one only beside a secret.
        if holds != Holds::Pair && reads_as_words(place.id) {
            continue;
        }
        match index.and_then(|index| keys.get_mut(index)) {
            Some(key) => {
                key.holds = key.holds.max(holds);
                if key.lines.len() < MAX_LINES && key.lines.last() != Some(&place.line) {
                    key.lines.push(place.line);
                }
            }
            None => {
                known.insert(place.id, keys.len());
                keys.push(AccessKey { holds, lines: vec![place.line], shown: shown(place.id) });
            }
        }
    }
    (keys, defects)
}

/// The text with every id in it, a made-up one too, as it may be shown: for names of files.
pub fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut told = 0;
    for (start, end) in shapes(text.as_bytes()) {
        // Ids are ASCII, so these are borders of characters.
        out.push_str(text.get(told..start).unwrap_or_default());
        out.push_str(&shown(text.as_bytes().get(start..end).unwrap_or_default()));
        told = end;
    }
    out.push_str(text.get(told..).unwrap_or_default());
    out
}

fn shown(id: &[u8]) -> String {
    let ascii = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let head = ascii(id.get(..4).unwrap_or_default());
    let tail = ascii(id.get(id.len().saturating_sub(2).max(4)..).unwrap_or_default());
    format!("{head}{MASK}{tail}")
}

/// Where ids stand that are not made up, in order.
fn places(text: &[u8]) -> impl Iterator<Item = Place<'_>> {
    let (mut line, mut counted) = (1_u32, 0);
    shapes(text).filter_map(move |(start, end)| {
        let feeds = text.get(counted..start)?.iter().filter(|byte| **byte == b'\n').count();
        line = line.saturating_add(u32::try_from(feeds).unwrap_or(u32::MAX));
        counted = start;
        let id = text.get(start..end)?;
        let tail = id.get(4..)?;
        if is_made_up(tail) || is_filled_in(tail) || is_cut(text.get(end..)?) {
            return None;
        }
        let holds = if id.starts_with(b"STS.") { Holds::Temporary } else { Holds::Id };
        Some(Place { id, start, end, line, holds })
    })
}

/// Where something stands that has the shape of an id.
fn shapes(text: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut after = 0;
    text.windows(4).enumerate().filter_map(move |(start, four)| {
        let lengths = match four {
            b"LTAI" => 12..=20,
            b"STS." => 18..=32,
            _ => return None,
        };
        if start < after {
            return None;
        }
        let rest = text.get(start + 4..)?;
        let length = rest.iter().take(33).take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let end = start + 4 + length;
        let fits = lengths.contains(&length) && begins(text, start);
        fits.then(|| {
            after = end;
            (start, end)
        })
    })
}

/// Whether a word begins here: nothing that belongs to it stands before, but what belongs to an escape before it may
/// (`\n`, `\u0022`, `%3D`, `=3D`, a terminal's colour).
fn begins(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let length = before.iter().rev().take(9).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let (before, own) = before.split_at(before.len() - length);
    let is_hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    match (before.last(), own) {
        (_, []) => true,
        (Some(b'\\'), [b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'0']) => true,
        (Some(b'\\'), [b'x', digits @ ..]) => digits.len() == 2 && is_hex(digits),
        (Some(b'\\'), [b'u', digits @ ..]) => digits.len() == 4 && is_hex(digits),
        (Some(b'\\'), digits) => digits.len() == 3 && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)),
        (Some(b'%'), digits) => matches!(digits, [_, _] | [b'2', b'5', _, _]) && is_hex(digits),
        (Some(b'='), digits) => digits == b"3D",
        (Some(b'[' | b';'), [digits @ .., b'm']) => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Whether the id goes on in what stands for more of it.
fn is_cut(rest: &[u8]) -> bool {
    let marks: [&[u8]; 8] = [b"*", b"??", b"...", "…".as_bytes(), "•".as_bytes(), b"${", b"{{", b"%s"];
    marks.iter().any(|mark| rest.starts_with(mark))
}

/// What stands there, looked at from around the id.
fn holds(text: &[u8], place: &Place<'_>) -> Holds {
    if place.holds == Holds::Temporary {
        return place.holds;
    }
    let is_feed = |byte: &u8| *byte == b'\n';
    let before = last(text.get(..place.start).unwrap_or_default());
    let after = first(text.get(place.end..).unwrap_or_default());
    if before.rsplit(is_feed).take(NEAR.0 + 1).chain(after.split(is_feed).take(NEAR.0 + 1)).any(has_secret) {
        return Holds::Pair;
    }
    let mut own = before.rsplit(is_feed).take(1).chain(after.split(is_feed).take(1));
    let signed = own.any(|part| part.windows(9).any(|nine| nine.eq_ignore_ascii_case(b"signature")));
    if signed { Holds::Signed } else { Holds::Id }
}

/// The end of the text as far as it is near, without half of a word.
fn last(text: &[u8]) -> &[u8] {
    let near = text.get(text.len().saturating_sub(NEAR.1)..).unwrap_or_default();
    let half =
        if near.len() < text.len() { near.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count() } else { 0 };
    near.get(half..).unwrap_or_default()
}

/// The beginning of the text as far as it is near, without half of a word.
fn first(text: &[u8]) -> &[u8] {
    let Some(near) = text.get(..NEAR.1) else { return text };
    let half = near.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    near.get(..near.len() - half).unwrap_or_default()
}

/// Whether a word of the text looks like an AccessKey's secret.
fn has_secret(text: &[u8]) -> bool {
    let (mut start, mut found) = (0, false);
    for word in text.split(|byte| !byte.is_ascii_alphanumeric()) {
        let end = start + word.len();
        if let Some(secret) = word.len().checked_sub(SECRET).and_then(|skipped| word.get(skipped..)) {
            found |= begins(text, end - SECRET) && is_secret(secret);
        }
        start = end + 1;
    }
    found
}

fn is_secret(word: &[u8]) -> bool {
    let mixed = word.iter().any(u8::is_ascii_lowercase) && word.iter().any(u8::is_ascii_uppercase);
    mixed && !is_made_up(word) && !reads_as_words(word)
}

#[cfg(test)]
mod tests;
