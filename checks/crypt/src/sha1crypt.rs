//! `$sha1$`: NetBSD's sha1crypt, iterated HMAC-SHA1.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::base64::{push_low_first, value};

const DIGEST_CHARS: usize = 28;

/// A hash of this method, ready to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sha1Crypt {
    pub(super) rounds: u32,
    prefix: Vec<u8>,
    expected: Vec<u8>,
}

impl Sha1Crypt {
    /// Reads what follows `$sha1$`. `None` where crypt(3) could never answer with this text.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut fields = text.split(|&c| c == b'$');
        let (digits, salt, expected) = (fields.next()?, fields.next()?, fields.next()?);
        let digits = std::str::from_utf8(digits).ok()?;
        let rounds: u32 = digits.parse().ok()?;
        let canonical = rounds.to_string() == digits;
        let salt_fits = !salt.is_empty() && salt.iter().all(|&c| value(c).is_some());
        (canonical && salt_fits && fields.next().is_none() && expected.len() == DIGEST_CHARS).then(|| Self {
            rounds,
            prefix: [salt, b"$sha1$", digits.as_bytes()].concat(),
            expected: expected.to_vec(),
        })
    }

    /// Whether this is the hash of `password`.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let Ok(keyed) = Hmac::<Sha1>::new_from_slice(password) else {
            return false;
        };
        let sign = |message: &[u8]| -> [u8; 20] { keyed.clone().chain_update(message).finalize().into_bytes().into() };
        let mut digest = sign(&self.prefix);
        for _ in 1..self.rounds {
            digest = sign(&digest);
        }
        // The last group takes the first byte again.
        let mut out = Vec::with_capacity(DIGEST_CHARS);
        let mut ring = digest.iter().chain(digest.first()).copied();
        while let (Some(a), Some(b), Some(c)) = (ring.next(), ring.next(), ring.next()) {
            push_low_first(&mut out, u32::from_be_bytes([0, a, b, c]), 4);
        }
        out == self.expected
    }
}
