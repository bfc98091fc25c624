//! Traditional DES crypt, its extended form of BSDi (`_`) and bigcrypt.
//!
//! All three encrypt a block of zeroes with the password as the key, 25 times or more, while the salt swaps bits of the
//! expanded half block (Morris and Thompson's guard against DES chips).

mod tables;

use super::base64::{push_high_first, value};
use tables::{KEY_SHIFTS, PC1, PC2, SBOX_PERMUTED};

/// Encryptions of the traditional form and of bigcrypt.
const TRADITIONAL_ROUNDS: u32 = 25;

/// Characters of a digest: 64 bits and two of padding.
const DIGEST_CHARS: usize = 11;

/// The most segments that bigcrypt uses: 128 characters of password.
const BIGCRYPT_SEGMENTS: usize = 16;

/// Which of the three a hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Eight characters count.
    Traditional,
    /// Every eight characters have a digest of their own, salted by the digest before.
    Big,
    /// All characters count; the setting names the rounds and 24 bits of salt.
    Extended,
}

/// A hash of this family, ready to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DesCrypt {
    pub(super) form: Form,
    pub(super) rounds: u32,
    salt: u32,
    expected: Vec<u8>,
}

impl DesCrypt {
    /// Reads the whole text. `None` where crypt(3) could never answer with it.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        if text.strip_prefix(b"_").is_some() {
            return Self::parse_extended(text);
        }
        let (salt, expected) = text.split_at_checked(2)?;
        let segments = expected.len() / DIGEST_CHARS;
        let whole = expected.len().is_multiple_of(DIGEST_CHARS) && (1..=BIGCRYPT_SEGMENTS).contains(&segments);
        let known = text.iter().all(|&c| value(c).is_some());
        (whole && known).then_some(())?;
        Some(Self {
            form: if segments == 1 { Form::Traditional } else { Form::Big },
            rounds: TRADITIONAL_ROUNDS,
            salt: number(salt)?,
            expected: expected.to_vec(),
        })
    }

    fn parse_extended(text: &[u8]) -> Option<Self> {
        let (rounds, rest) = text.get(1..)?.split_at_checked(4)?;
        let (salt, expected) = rest.split_at_checked(4)?;
        (expected.len() == DIGEST_CHARS).then_some(())?;
        Some(Self {
            form: Form::Extended,
            rounds: number(rounds)?.max(1),
            salt: number(salt)?,
            expected: expected.to_vec(),
        })
    }

    /// Whether this is the hash of `password`.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        match self.form {
            Form::Traditional => {
                let schedule = Schedule::new(key(password));
                encode(schedule.encrypt(0, self.salt, self.rounds)) == self.expected
            }
            Form::Big => self.matches_big(password),
            Form::Extended => {
                let mut folded = key(password);
                let mut rest = password;
                while let Some(tail) = rest.get(8..).filter(|tail| !tail.is_empty()) {
                    folded = Schedule::new(folded).encrypt(folded, 0, 1) ^ key(tail);
                    rest = tail;
                }
                encode(Schedule::new(folded).encrypt(0, self.salt, self.rounds)) == self.expected
            }
        }
    }

    fn matches_big(&self, password: &[u8]) -> bool {
        let used = password.get(..8 * BIGCRYPT_SEGMENTS).unwrap_or(password);
        if used.len().div_ceil(8) * DIGEST_CHARS != self.expected.len() {
            return false;
        }
        let mut salt = self.salt;
        for (segment, expected) in used.chunks(8).zip(self.expected.chunks(DIGEST_CHARS)) {
            let digest = encode(Schedule::new(key(segment)).encrypt(0, salt, self.rounds));
            if digest != expected {
                return false;
            }
            let Some(next) = digest.get(..2).and_then(number) else {
                return false;
            };
            salt = next;
        }
        true
    }
}

/// A number in base 64, least significant character first.
fn number(text: &[u8]) -> Option<u32> {
    text.iter().enumerate().try_fold(0, |acc, (i, &c)| Some(acc | value(c)? << (6 * i)))
}

/// Eight characters as a key: seven bits each, the parity bit below them left empty.
fn key(password: &[u8]) -> u64 {
    let mut bytes = [0u8; 8];
    for (to, from) in bytes.iter_mut().zip(password) {
        *to = from << 1;
    }
    u64::from_be_bytes(bytes)
}

fn encode(block: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(DIGEST_CHARS);
    push_high_first(&mut out, block >> 4, 10);
    push_high_first(&mut out, (block & 0xf) << 2, 1);
    out
}

/// The sixteen round keys, each as eight groups of six bits, the first in the highest bits of the lower 48.
struct Schedule([u64; 16]);

impl Schedule {
    fn new(key: u64) -> Self {
        let pc1 = permute(key, 64, &PC1);
        let (mut c, mut d) = ((pc1 >> 28) as u32, (pc1 & 0x0fff_ffff) as u32);
        let mut keys = [0u64; 16];
        for (round, shift) in keys.iter_mut().zip(KEY_SHIFTS) {
            c = (c << shift | c >> (28 - shift)) & 0x0fff_ffff;
            d = (d << shift | d >> (28 - shift)) & 0x0fff_ffff;
            *round = permute(u64::from(c) << 28 | u64::from(d), 56, &PC2);
        }
        Self(keys)
    }

    /// Encrypts `block` `count` times; `salt` bit n swaps bits n and n + 24 of the expanded half.
    fn encrypt(&self, block: u64, salt: u32, count: u32) -> u64 {
        let swap = mirror(salt);
        let start = initial(block);
        let (mut l, mut r) = ((start >> 32) as u32, start as u32);
        for _ in 0..count {
            for round in &self.0 {
                (l, r) = (r, l ^ feistel(r, *round, swap));
            }
            (l, r) = (r, l);
        }
        // Between two encryptions the final and the initial permutation cancel out.
        last(u64::from(l) << 32 | u64::from(r))
    }
}

/// The salt's bit 0 speaks of the first bit of the expansion, which is the highest here.
fn mirror(salt: u32) -> u64 {
    u64::from((salt & 0x00ff_ffff).reverse_bits() >> 8)
}

#[expect(clippy::indexing_slicing, reason = "six masked bits index tables of 64")]
fn feistel(r: u32, key: u64, swap: u64) -> u32 {
    let e = expand(r);
    let (high, low) = (e >> 24, e & 0x00ff_ffff);
    let changed = (high ^ low) & swap;
    let x = ((high ^ changed) << 24 | (low ^ changed)) ^ key;
    let mut out = 0;
    for (i, table) in SBOX_PERMUTED.iter().enumerate() {
        out |= table[(x >> (42 - 6 * i) & 63) as usize];
    }
    out
}

/// DES's expansion: eight overlapping groups of six bits.
fn expand(r: u32) -> u64 {
    let mut out = 0;
    let turned = u64::from(r.rotate_right(1));
    let wide = turned << 32 | turned;
    for i in 0..8 {
        out = out << 6 | wide >> (58 - 4 * i) & 63;
    }
    out
}

/// Picks bits of a `width`-bit value, 1 being the highest.
fn permute(value: u64, width: u32, table: &[u8]) -> u64 {
    table.iter().fold(0, |out, &from| out << 1 | value >> (width - u32::from(from)) & 1)
}

/// The initial permutation: output bit 8 × row + column (from the highest) is input bit `58 + 2 × row − 8 × column`, rows wrapping.
fn initial(block: u64) -> u64 {
    (0..64).fold(0, |out, at: u32| out << 1 | block >> (63 - source(at)) & 1)
}

/// The inverse of [`initial`].
fn last(block: u64) -> u64 {
    (0..64).fold(0, |out, at: u32| out | (block >> (63 - at) & 1) << (63 - source(at)))
}

/// Where bit `at` (0 the highest) of the initial permutation comes from.
fn source(at: u32) -> u32 {
    let (row, column) = (at / 8, at % 8);
    let odd = if row < 4 { 2 * row + 1 } else { 2 * (row - 4) };
    8 * (7 - column) + odd
}
