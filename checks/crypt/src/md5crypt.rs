//! `$1$`: md5crypt, Kamp's construction over MD5, 1000 rounds.

use md5::{Digest, Md5};

use super::base64::push_low_first;

const ROUNDS: u32 = 1000;
const SALT_MAX: usize = 8;
const DIGEST_CHARS: usize = 22;

/// A hash of this method, ready to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Md5Crypt {
    salt: Vec<u8>,
    expected: Vec<u8>,
}

impl Md5Crypt {
    /// Reads what follows `$1$`. `None` where crypt(3) could never answer with this text.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let end = text.iter().position(|&c| c == b'$')?;
        let (salt, expected) = text.split_at_checked(end)?;
        let expected = expected.get(1..)?;
        (salt.len() <= SALT_MAX && expected.len() == DIGEST_CHARS)
            .then(|| Self { salt: salt.to_vec(), expected: expected.to_vec() })
    }

    /// Whether this is the hash of `password`.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        encode(&self.digest(password)) == self.expected
    }

    fn digest(&self, password: &[u8]) -> [u8; 16] {
        let salt = self.salt.as_slice();
        let inner: [u8; 16] = md5(&[password, salt, password]);
        let mut first = Md5::new();
        first.update(password);
        first.update(b"$1$");
        first.update(salt);
        for (&b, _) in inner.iter().cycle().zip(password) {
            first.update([b]);
        }
        // The original's slip, kept by everyone: a zero byte for each set bit of the length, else the first character.
        let mut n = password.len();
        while n > 0 {
            match password.first() {
                Some(&c) if n & 1 == 0 => first.update([c]),
                _ => first.update([0]),
            }
            n >>= 1;
        }
        let mut digest: [u8; 16] = first.finalize().into();
        for round in 0..ROUNDS {
            let odd = round % 2 == 1;
            let salt = if round.is_multiple_of(3) { &[] } else { salt };
            let again = if round.is_multiple_of(7) { &[] } else { password };
            digest = if odd { md5(&[password, salt, again, &digest]) } else { md5(&[&digest, salt, again, password]) };
        }
        digest
    }
}

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Md5::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// The byte order of md5crypt's text.
pub(super) fn encode(d: &[u8; 16]) -> Vec<u8> {
    let mut out = Vec::with_capacity(DIGEST_CHARS);
    for [a, b, c] in
        [[d[0], d[6], d[12]], [d[1], d[7], d[13]], [d[2], d[8], d[14]], [d[3], d[9], d[15]], [d[4], d[10], d[5]]]
    {
        push_low_first(&mut out, u32::from_be_bytes([0, a, b, c]), 4);
    }
    push_low_first(&mut out, u32::from(d[11]), 2);
    out
}
