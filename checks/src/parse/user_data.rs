//! User data as ECS stores it, unpacked as cloud-init does: gzip, base64, MIME parts (`cloudinit/user_data.py`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::Defect;

/// Most bytes that one packing may unfold to. ECS takes 32 KiB of user data.
const MAX_UNPACKED: usize = 1 << 20;
/// Most parts.
const MAX_PARTS: usize = 64;
/// Deepest nesting of packings.
const MAX_DEPTH: usize = 6;

/// One document of the user data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its place: empty for a single document, else `part 2` or `part 2.1`.
    pub name: String,
    /// Its text.
    pub text: Vec<u8>,
    /// The line of the whole on which it begins, where nothing was packed; else 0.
    pub first_line: u32,
}

/// Unpacks user data into documents. A defect names what could not be unpacked and may hide something.
pub fn parts(bytes: &[u8]) -> (Vec<Part>, Vec<Defect>) {
    let mut unpacker = Unpacker::default();
    unpacker.unpack(bytes.to_vec(), String::new(), 1, 0);
    (unpacker.parts, unpacker.defects)
}

#[derive(Debug, Default)]
struct Unpacker {
    parts: Vec<Part>,
    defects: Vec<Defect>,
    unpacked: usize,
}

impl Unpacker {
    fn defect(&mut self, name: &str, first_line: u32, what: &str) {
        let place = if name.is_empty() { String::new() } else { format!("{name}: ") };
        self.defects.push(Defect { line: first_line, what: format!("{place}{what}") });
    }

    fn unpack(&mut self, bytes: Vec<u8>, name: String, first_line: u32, depth: usize) {
        if bytes.is_empty() {
            return;
        }
        if depth > MAX_DEPTH || self.parts.len() >= MAX_PARTS {
            self.defect(&name, first_line, "more parts, or packed deeper, than hostward unpacks");
            return;
        }
        if bytes.starts_with(&[0x1f, 0x8b]) {
            match self.gunzip(&bytes) {
                Some(inner) => self.unpack(inner, name, 0, depth + 1),
                None => self.defect(&name, first_line, "its gzip data is broken or unfolds to too much"),
            }
        } else if let Some(inner) = whole_base64(&bytes) {
            self.unpack(inner, name, 0, depth + 1);
        } else if let Some((body_at, headers)) = mime_head(&bytes)
            && let Some(boundary) = headers.boundary
        {
            self.multipart(&bytes, body_at, &boundary, &name, first_line, depth);
        } else {
            self.parts.push(Part { name, text: bytes, first_line });
        }
    }

    fn multipart(&mut self, bytes: &[u8], body_at: usize, boundary: &str, name: &str, first_line: u32, depth: usize) {
        let marker = [b"--", boundary.as_bytes()].concat();
        let mut number = 0;
        let mut line_at = first_line.saturating_add(lines(bytes.get(..body_at).unwrap_or_default()));
        // None before the first boundary: the preamble is nobody's text.
        let mut current: Option<(Vec<u8>, u32)> = None;
        let mut ended = false;
        for line in bytes.get(body_at..).unwrap_or_default().split_inclusive(|b| *b == b'\n') {
            let bare = line.trim_ascii_end();
            let last = bare.strip_prefix(marker.as_slice()) == Some(b"--");
            if bare == marker || last {
                if let Some((part, at)) = current.take() {
                    number += 1;
                    self.mime_part(&part, &part_name(name, number), at, depth);
                }
                ended = last;
                current = (!last).then(|| (Vec::new(), line_at.saturating_add(1)));
            } else if let Some((part, _)) = &mut current {
                part.extend_from_slice(line);
            }
            line_at = line_at.saturating_add(1);
            if ended {
                break;
            }
        }
        if let Some((part, at)) = current {
            number += 1;
            self.mime_part(&part, &part_name(name, number), at, depth);
        }
        if number == 0 {
            self.defect(name, first_line, "no part follows its MIME headers");
        }
    }

    fn mime_part(&mut self, part: &[u8], name: &str, first_line: u32, depth: usize) {
        let (body_at, headers) = mime_head(part).unwrap_or_default();
        if let Some(boundary) = headers.boundary {
            if depth < MAX_DEPTH {
                self.multipart(part, body_at, &boundary, name, first_line, depth + 1);
            } else {
                self.defect(name, first_line, "packed deeper than hostward unpacks");
            }
            return;
        }
        let body = part.get(body_at..).unwrap_or_default();
        let at = first_line.saturating_add(lines(part.get(..body_at).unwrap_or_default()));
        match headers.encoding.as_deref() {
            Some("base64") => match base64(body) {
                Some(inner) => self.unpack(inner, name.to_owned(), 0, depth + 1),
                None => self.defect(name, at, "its base64 is broken"),
            },
            Some("quoted-printable") => self.unpack(quoted_printable(body), name.to_owned(), 0, depth + 1),
            None | Some("7bit" | "8bit" | "binary") => self.unpack(body.to_vec(), name.to_owned(), at, depth + 1),
            Some(_) => self.defect(name, at, "its transfer encoding is unknown"),
        }
    }

    /// RFC 1952, first member.
    fn gunzip(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (flags, mut rest) = (*bytes.get(3)?, bytes.get(10..)?);
        if *bytes.get(2)? != 8 {
            return None;
        }
        if flags & 4 != 0 {
            let length = usize::from(u16::from_le_bytes([*rest.first()?, *rest.get(1)?]));
            rest = rest.get(2 + length..)?;
        }
        for flag in [8, 16] {
            if flags & flag != 0 {
                let end = rest.iter().position(|b| *b == 0)?;
                rest = rest.get(end + 1..)?;
            }
        }
        if flags & 2 != 0 {
            rest = rest.get(2..)?;
        }
        let room = MAX_UNPACKED.saturating_sub(self.unpacked);
        let inner = decompress_to_vec_with_limit(rest, room).ok()?;
        self.unpacked += inner.len();
        Some(inner)
    }
}

fn part_name(outer: &str, number: usize) -> String {
    if outer.is_empty() { format!("part {number}") } else { format!("{outer}.{number}") }
}

fn lines(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.iter().filter(|b| **b == b'\n').count()).unwrap_or(u32::MAX)
}

/// What matters of MIME headers.
#[derive(Debug, Default)]
struct Headers {
    boundary: Option<String>,
    encoding: Option<String>,
}

/// The headers at the start and where the body begins. None: it does not start with headers.
fn mime_head(bytes: &[u8]) -> Option<(usize, Headers)> {
    let mut unfolded: Vec<String> = Vec::new();
    let mut at = 0;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        at += line.len();
        let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
        if text.is_empty() {
            // A part may have no header at all: then its first line is empty.
            let mut headers = Headers::default();
            for header in &unfolded {
                let Some((name, value)) = header.split_once(':') else { continue };
                match name.to_ascii_lowercase().as_str() {
                    "content-type" => headers.boundary = boundary(value),
                    "content-transfer-encoding" => headers.encoding = Some(value.trim().to_ascii_lowercase()),
                    _ => {}
                }
            }
            return Some((at, headers));
        }
        match unfolded.last_mut() {
            Some(before) if text.starts_with([' ', '\t']) => before.push_str(&text),
            _ => {
                let named = text.split_once(':').is_some_and(|(name, _)| {
                    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                });
                if !named || unfolded.len() > 50 {
                    return None;
                }
                unfolded.push(text);
            }
        }
    }
    None
}

/// The boundary of `multipart/…; boundary="…"`.
fn boundary(value: &str) -> Option<String> {
    let lower = value.to_ascii_lowercase();
    if !lower.trim_start().starts_with("multipart/") {
        return None;
    }
    let at = lower.find("boundary=")? + "boundary=".len();
    let rest = value.get(at..)?;
    let boundary = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split([';', ' ', '\t']).next()?,
    };
    (!boundary.is_empty()).then(|| boundary.to_owned())
}

/// The content, where the whole is base64 of something that cloud-init would run.
fn whole_base64(bytes: &[u8]) -> Option<Vec<u8>> {
    let inner = base64(bytes)?;
    let known = inner.starts_with(&[0x1f, 0x8b])
        || inner.starts_with(b"#")
        || inner.get(..12).is_some_and(|start| start.eq_ignore_ascii_case(b"content-type"))
        || inner.get(..12).is_some_and(|start| start.eq_ignore_ascii_case(b"mime-version"));
    known.then_some(inner)
}

fn base64(bytes: &[u8]) -> Option<Vec<u8>> {
    let packed: Vec<u8> = bytes.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    STANDARD.decode(packed).ok()
}

/// RFC 2045 §6.7; what is no escape stays as it is.
fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            out.push(byte);
        } else if let Some(tail) = after.strip_prefix(b"\r\n").or_else(|| after.strip_prefix(b"\n")) {
            rest = tail;
        } else {
            let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
            match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
                Some(decoded) => {
                    out.push(decoded);
                    rest = after.get(2..).unwrap_or_default();
                }
                None => out.push(byte),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut out = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3];
        out.extend(b"name\0");
        out.extend(miniz_oxide::deflate::compress_to_vec(text, 6));
        out.extend([0; 8]);
        out
    }

    #[test]
    fn every_packing_unfolds() {
        const SCRIPT: &[u8] = b"#!/bin/sh\necho hi\n";
        let packed = gzip(SCRIPT);
        let mime = format!(
            "Content-Type: multipart/mixed;\n boundary=\"==B==\"\nMIME-Version: 1.0\n\npreamble\n--==B==\nContent-Type: text/x-shellscript\n\n#!/bin/sh\necho hi\n\
             --==B==\nContent-Transfer-Encoding: base64\n\n{}\n--==B==\nContent-Transfer-Encoding: quoted-printable\n\n#!/bin/sh=0Aecho h=\ni\n--==B==--\nepilogue\n",
            STANDARD.encode(&packed)
        );
        for (bytes, want) in [
            (SCRIPT.to_vec(), vec![("", 1)]),
            (packed.clone(), vec![("", 0)]),
            (STANDARD.encode(SCRIPT).into_bytes(), vec![("", 0)]),
            (STANDARD.encode(&packed).into_bytes(), vec![("", 0)]),
            (mime.clone().into_bytes(), vec![("part 1", 9), ("part 2", 0), ("part 3", 0)]),
            (gzip(mime.as_bytes()), vec![("part 1", 8), ("part 2", 0), ("part 3", 0)]),
        ] {
            let (parts, defects) = parts(&bytes);
            assert_eq!(defects, []);
            let told: Vec<_> = parts.iter().map(|part| (part.name.as_str(), part.first_line)).collect();
            assert_eq!(told, want);
            for part in &parts {
                assert_eq!(part.text.trim_ascii(), SCRIPT.trim_ascii(), "{}", part.name);
            }
        }
    }

    #[test]
    fn what_cannot_be_unpacked_is_told() {
        let bomb = gzip(&vec![b'x'; 2 << 20]);
        let mut matryoshka = b"#!/bin/sh\n".to_vec();
        for _ in 0..10 {
            matryoshka = gzip(&matryoshka);
        }
        for bytes in [
            bomb,
            matryoshka,
            b"\x1f\x8b\x08broken".to_vec(),
            b"Content-Type: multipart/mixed; boundary=x\n\nnothing\n".to_vec(),
            b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Transfer-Encoding: base64\n\n!!\n--x--\n"
                .to_vec(),
        ] {
            let (parts, defects) = parts(&bytes);
            assert_eq!((parts.len(), defects.len()), (0, 1), "{:?}", bytes.get(..40));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_input_makes_it_fail(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = parts(&bytes);
            let _ = parts(&[&[0x1f, 0x8b, 8], bytes.as_slice()].concat());
        }

        #[test]
        fn nor_do_mime_parts(text in "(Content-Type: multipart/mixed; boundary=x\n|Content-Transfer-Encoding: base64\n|--x\n|--x--\n|\n|[a-z=]{1,5}){0,30}") {
            let _ = parts(text.as_bytes());
        }
    }
}
