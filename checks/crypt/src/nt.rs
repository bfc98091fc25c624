//! `$3$`: the NT hash, MD4 of the password with a zero byte behind each byte, without salt.

use md4::{Digest, Md4};

/// A hash of this method, ready to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Nt {
    expected: Vec<u8>,
}

impl Nt {
    /// Reads what follows `$3$`: another `$` and 32 hexadecimal digits. `None` where crypt(3) could never answer with this text.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let expected = text.strip_prefix(b"$")?;
        (expected.len() == 32).then(|| Self { expected: expected.to_vec() })
    }

    /// Whether this is the hash of `password`.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let wide: Vec<u8> = password.iter().flat_map(|&byte| [byte, 0]).collect();
        let digits = Md4::digest(wide).into_iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        digits.map(hexadecimal).eq(self.expected.iter().copied())
    }
}

fn hexadecimal(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}
