//! The two base-64 alphabets of crypt(3): the common one, least significant bits first, and bcrypt's.

/// The common alphabet, in order of value (crypt(5): `./0-9A-Za-z`).
const COMMON: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// bcrypt's alphabet, in order of value.
const BCRYPT: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The six-bit value of a character of the common alphabet.
pub(super) fn value(c: u8) -> Option<u32> {
    let v = match c {
        b'.' | b'/' => c - b'.',
        b'0'..=b'9' => c - b'0' + 2,
        b'A'..=b'Z' => c - b'A' + 12,
        b'a'..=b'z' => c - b'a' + 38,
        _ => return None,
    };
    Some(u32::from(v))
}

fn letter(alphabet: &[u8; 64], six_bits: u32) -> u8 {
    alphabet.get((six_bits & 63) as usize).copied().unwrap_or(b'.')
}

/// Appends `count` characters that carry the low bits of `bits`, least significant first.
pub(super) fn push_low_first(out: &mut Vec<u8>, mut bits: u32, count: usize) {
    for _ in 0..count {
        out.push(letter(COMMON, bits));
        bits >>= 6;
    }
}

/// Appends `count` characters that carry the top bits of the `6 × count` low bits of `bits`, most significant first.
pub(super) fn push_high_first(out: &mut Vec<u8>, bits: u64, count: usize) {
    for i in (0..count).rev() {
        out.push(letter(COMMON, (bits >> (6 * i)) as u32));
    }
}

/// Encodes bytes in groups of three, little-endian, as `$y$` and `$7$` do.
pub(super) fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().rev().fold(0u32, |acc, &b| acc << 8 | u32::from(b));
        push_low_first(&mut out, bits, group.len() + 1);
    }
    out
}

/// Decodes what [`encode`] makes; `None` where a character, the length or the unused bits are wrong.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.chunks(4) {
        if group.len() == 1 {
            return None;
        }
        let mut bits = 0;
        for (i, &c) in group.iter().enumerate() {
            bits |= value(c)? << (6 * i);
        }
        for _ in 1..group.len() {
            out.push((bits & 0xff) as u8);
            bits >>= 8;
        }
        if bits != 0 {
            return None;
        }
    }
    Some(out)
}

/// Decodes bcrypt's salt of 22 characters into 16 bytes; `None` where a character is foreign or the unused bits are set.
pub(super) fn decode_bcrypt_salt(text: &[u8; 22]) -> Option<[u8; 16]> {
    let mut out = [0u8; 16];
    let mut next = out.iter_mut();
    let (mut bits, mut have) = (0u32, 0);
    for &c in text {
        let v = BCRYPT.iter().position(|&l| l == c)?;
        bits = bits << 6 | v as u32;
        have += 6;
        if have >= 8 {
            have -= 8;
            *next.next()? = (bits >> have) as u8;
            bits &= (1 << have) - 1;
        }
    }
    (bits == 0).then_some(out)
}

/// Encodes bcrypt's digest of 23 bytes as 31 characters.
pub(super) fn encode_bcrypt(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 4 / 3 + 1);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |acc, &b| acc << 8 | u32::from(b)) << (8 * (3 - group.len()));
        for i in 0..=group.len() {
            out.push(letter(BCRYPT, bits >> (18 - 6 * i)));
        }
    }
    out
}
