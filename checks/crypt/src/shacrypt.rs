//! `$6$`, `$5$` and `$sm3$`: Drepper's SHA-crypt over SHA-512, SHA-256 and SM3.
//!
//! Every round hashes one of 42 messages that differ only in the digest of the round before, so they are laid out and padded
//! once a password and then compressed in place.

use sha2::block_api::{compress256, compress512};
use sha2::{Digest, Sha256, Sha512};
use sm3::Sm3;

use super::base64::push_low_first;

/// The digest under a SHA-crypt hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Core {
    /// SHA-512 (`$6$`).
    Sha512,
    /// SHA-256 (`$5$`).
    Sha256,
    /// SM3, GB/T 32905 (`$sm3$`, libxcrypt 4.5).
    Sm3,
}

/// Rounds where the setting names none.
const DEFAULT_ROUNDS: u32 = 5000;

/// What libxcrypt accepts (crypt-sha512.c: ROUNDS_MIN, ROUNDS_MAX).
const ROUNDS: std::ops::RangeInclusive<u32> = 1000..=999_999_999;

/// The longest salt that is used.
const SALT_MAX: usize = 16;

/// The rounds repeat their message pattern after 2 × 3 × 7.
const PATTERNS: u32 = 42;

/// A hash of this family, ready to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShaCrypt {
    pub(super) core: Core,
    pub(super) rounds: u32,
    salt: Vec<u8>,
    expected: Vec<u8>,
}

impl ShaCrypt {
    /// Reads what follows `$6$`. `None` where crypt(3) could never answer with this text.
    pub(super) fn parse(core: Core, text: &[u8]) -> Option<Self> {
        let (rounds, text) = match text.strip_prefix(b"rounds=") {
            Some(rest) => {
                let end = rest.iter().position(|&c| c == b'$')?;
                let (digits, rest) = rest.split_at_checked(end)?;
                (decimal(digits).filter(|n| ROUNDS.contains(n))?, rest.get(1..)?)
            }
            None => (DEFAULT_ROUNDS, text),
        };
        let end = text.iter().position(|&c| c == b'$')?;
        let (salt, expected) = text.split_at_checked(end)?;
        let expected = expected.get(1..)?;
        let length = match core {
            Core::Sha512 => 86,
            Core::Sha256 | Core::Sm3 => 43,
        };
        (salt.len() <= SALT_MAX && expected.len() == length).then(|| Self {
            core,
            rounds,
            salt: salt.to_vec(),
            expected: expected.to_vec(),
        })
    }

    /// Whether this is the hash of `password`.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let text = match self.core {
            Core::Sha512 => encode_64(&self.digest::<64>(password, sha512, padded_sha512)),
            Core::Sha256 => encode_32(&self.digest::<32>(password, sha256, padded_sha256)),
            Core::Sm3 => encode_32(
                &self.digest::<32>(password, sm3, |message, length| sm3(&[message.get(..length).unwrap_or(message)])),
            ),
        };
        text == self.expected
    }

    fn digest<const N: usize>(
        &self,
        password: &[u8],
        hash: impl Fn(&[&[u8]]) -> [u8; N],
        hash_padded: impl Fn(&[u8], usize) -> [u8; N],
    ) -> [u8; N] {
        let start = Start::new(password, &self.salt, &hash);
        let block = if N == 64 { 128 } else { 64 };
        let mut messages: Vec<Message> = (0..PATTERNS).map(|i| Message::new(i, &start, block)).collect();
        let mut digest = start.digest;
        let mut left = self.rounds;
        while left > 0 {
            for message in messages.iter_mut().take(left.min(PATTERNS) as usize) {
                message.set(&digest);
                digest = hash_padded(&message.padded, message.length);
            }
            left -= left.min(PATTERNS);
        }
        digest
    }
}

/// What the rounds start from: the first digest and the two byte sequences (steps 1 to 20 of the specification).
struct Start<const N: usize> {
    digest: [u8; N],
    p: Vec<u8>,
    s: Vec<u8>,
}

impl<const N: usize> Start<N> {
    fn new(password: &[u8], salt: &[u8], hash: &impl Fn(&[&[u8]]) -> [u8; N]) -> Self {
        let b = hash(&[password, salt, password]);
        let stretched = stretch(&b, password.len());
        let mut parts: Vec<&[u8]> = vec![password, salt, &stretched];
        let mut n = password.len();
        while n > 0 {
            parts.push(if n & 1 == 1 { &b } else { password });
            n >>= 1;
        }
        let digest = hash(&parts);
        let p = hash(&vec![password; password.len()]);
        let repeat = 16 + digest.first().copied().map_or(0, usize::from);
        let s = hash(&vec![salt; repeat]);
        Self { digest, p: stretch(&p, password.len()), s: stretch(&s, salt.len()) }
    }
}

fn stretch(bytes: &[u8], length: usize) -> Vec<u8> {
    bytes.iter().copied().cycle().take(length).collect()
}

/// The message of one round, padded, with a hole for the digest of the round before.
struct Message {
    padded: Vec<u8>,
    length: usize,
    hole: usize,
}

impl Message {
    fn new<const N: usize>(round: u32, start: &Start<N>, block: usize) -> Self {
        let odd = round % 2 == 1;
        let hole_bytes = [0u8; N];
        let mut padded = Vec::new();
        padded.extend_from_slice(if odd { &start.p } else { &hole_bytes });
        if !round.is_multiple_of(3) {
            padded.extend_from_slice(&start.s);
        }
        if !round.is_multiple_of(7) {
            padded.extend_from_slice(&start.p);
        }
        let hole = if odd { padded.len() } else { 0 };
        padded.extend_from_slice(if odd { &hole_bytes } else { &start.p });
        let length = padded.len();
        // SHA-2 padding: 0x80, zeroes, and the length in bits in the last 8 (of 16) bytes.
        let bits = (length as u64).wrapping_mul(8).to_be_bytes();
        let total = (length + 1 + block / 8).next_multiple_of(block);
        padded.push(0x80);
        padded.resize(total - bits.len(), 0);
        padded.extend_from_slice(&bits);
        Self { padded, length, hole }
    }

    fn set(&mut self, digest: &[u8]) {
        if let Some(hole) = self.padded.get_mut(self.hole..).and_then(|rest| rest.get_mut(..digest.len())) {
            hole.copy_from_slice(digest);
        }
    }
}

fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    let mut hasher = Sha512::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

fn sm3(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sm3::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

fn padded_sha512(message: &[u8], _: usize) -> [u8; 64] {
    let mut state = SHA512_START;
    compress512(&mut state, message.as_chunks().0);
    let mut out = [0u8; 64];
    for (bytes, word) in out.as_chunks_mut::<8>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    out
}

fn padded_sha256(message: &[u8], _: usize) -> [u8; 32] {
    let mut state = SHA256_START;
    compress256(&mut state, message.as_chunks().0);
    let mut out = [0u8; 32];
    for (bytes, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    out
}

/// FIPS 180-4, 5.3.5.
const SHA512_START: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// FIPS 180-4, 5.3.3.
const SHA256_START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Three interleaved byte columns, each turn starting with the next column.
fn encode_64(digest: &[u8; 64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(86);
    let (mut a, mut b, mut c) = (0, 21, 42);
    for _ in 0..21 {
        push_low_first(&mut out, triple(digest, a, b, c), 4);
        (a, b, c) = (b + 1, c + 1, a + 1);
    }
    push_low_first(&mut out, byte(digest, 63), 2);
    out
}

fn encode_32(digest: &[u8; 32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(43);
    let (mut a, mut b, mut c) = (0, 10, 20);
    for _ in 0..10 {
        push_low_first(&mut out, triple(digest, a, b, c), 4);
        (a, b, c) = (c + 1, a + 1, b + 1);
    }
    push_low_first(&mut out, byte(digest, 31) << 8 | byte(digest, 30), 3);
    out
}

fn byte(digest: &[u8], at: usize) -> u32 {
    digest.get(at).copied().map_or(0, u32::from)
}

fn triple(digest: &[u8], a: usize, b: usize, c: usize) -> u32 {
    byte(digest, a) << 16 | byte(digest, b) << 8 | byte(digest, c)
}

/// A decimal number without leading zeroes or signs.
pub(super) fn decimal(digits: &[u8]) -> Option<u32> {
    if !matches!(digits, [b'1'..=b'9', ..]) || digits.len() > 10 {
        return None;
    }
    let mut n: u64 = 0;
    for &d in digits {
        n = n * 10 + u64::from(char::from(d).to_digit(10)?);
    }
    u32::try_from(n).ok()
}
