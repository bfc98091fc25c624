//! `$2b$`, `$2y$`, `$2a$` and `$2x$`: bcrypt, with crypt_blowfish's treatment of 8-bit characters in each variant.

use blowfish::Blowfish;

use super::base64::{decode_bcrypt_salt, encode_bcrypt};

const SALT_CHARS: usize = 22;
const DIGEST_CHARS: usize = 31;

/// Key words that Blowfish's schedule takes in: 18, that is 72 bytes of password.
const KEY_WORDS: usize = 18;

/// How a variant expands the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// `$2b$` and `$2y$`: as meant.
    Correct,
    /// `$2a$`: as meant, and set apart from what [`Variant::Buggy`] could collide with.
    Guarded,
    /// `$2x$`: with the sign extension of old crypt_blowfish.
    Buggy,
}

/// A hash of this method, ready to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bcrypt {
    variant: Variant,
    /// Base-2 logarithm of the rounds.
    pub(super) cost: u32,
    salt: [u8; 16],
    expected: Vec<u8>,
}

impl Bcrypt {
    /// Reads what follows `$2b$`. `None` where crypt(3) could never answer with this text.
    pub(super) fn parse(variant: Variant, text: &[u8]) -> Option<Self> {
        let (&[tens, ones, b'$'], rest) = text.split_first_chunk::<3>()? else {
            return None;
        };
        if !tens.is_ascii_digit() || !ones.is_ascii_digit() {
            return None;
        }
        let cost = u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
        let (salt, expected) = rest.split_first_chunk::<SALT_CHARS>()?;
        let salt = decode_bcrypt_salt(salt)?;
        ((4..=31).contains(&cost) && expected.len() == DIGEST_CHARS).then(|| Self {
            variant,
            cost,
            salt,
            expected: expected.to_vec(),
        })
    }

    /// Whether this is the hash of `password`.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let key = self.key(password);
        let mut first = key;
        if self.variant == Variant::Guarded && needs_guard(password) {
            // crypt_blowfish.c flips bit 16 of the P-box's first word; only the first expansion ever sees it.
            first[1] ^= 1;
        }
        let mut state = Blowfish::bc_init_state();
        state.salted_expand_key(&self.salt, &first);
        for _ in 0..1u32 << self.cost {
            state.bc_expand_key(&key);
            state.bc_expand_key(&self.salt);
        }
        self.finish(state)
    }

    fn finish(&self, state: Blowfish) -> bool {
        let mut out = [0u8; 24];
        // "OrpheanBeholderScryDoubt", encrypted 64 times in three blocks.
        let plain = [[0x4f72_7068, 0x6561_6e42], [0x6568_6f6c, 0x6465_7253], [0x6372_7944, 0x6f75_6274]];
        for (bytes, block) in out.as_chunks_mut::<8>().0.iter_mut().zip(plain) {
            let [l, r] = (0..64).fold(block, |b, _| state.bc_encrypt(b));
            *bytes = (u64::from(l) << 32 | u64::from(r)).to_be_bytes();
        }
        // The last byte of the digest is not part of the text.
        encode_bcrypt(out.split_last().map_or(&[], |(_, rest)| rest)) == self.expected
    }

    /// The 72 bytes that the key schedule takes from the password and its terminating zero, repeated.
    fn key(&self, password: &[u8]) -> [u8; 4 * KEY_WORDS] {
        let (correct, buggy) = words(password);
        let chosen = if self.variant == Variant::Buggy { buggy } else { correct };
        let mut key = [0u8; 4 * KEY_WORDS];
        for (bytes, word) in key.as_chunks_mut::<4>().0.iter_mut().zip(chosen) {
            *bytes = word.to_be_bytes();
        }
        key
    }
}

/// The key words as meant, and as the sign-extending code made them.
fn words(password: &[u8]) -> ([u32; KEY_WORDS], [u32; KEY_WORDS]) {
    let mut stream = password.iter().copied().chain([0]).cycle();
    let (mut correct, mut buggy) = ([0u32; KEY_WORDS], [0u32; KEY_WORDS]);
    for (c, b) in correct.iter_mut().zip(buggy.iter_mut()) {
        for byte in stream.by_ref().take(4) {
            *c = *c << 8 | u32::from(byte);
            *b = *b << 8 | i32::from(byte as i8) as u32;
        }
    }
    (correct, buggy)
}

/// Whether `$2a$` must be set apart for this password (crypt_blowfish.c, BF_set_key): both expansions are equal although a
/// character behind the first of its word was sign-extended.
fn needs_guard(password: &[u8]) -> bool {
    let (correct, buggy) = words(password);
    correct == buggy && correct.iter().any(|word| word & 0x0080_8080 != 0)
}
