//! `$md5$` and `$md5,rounds=N$`: Muffett's MD5 scheme of Solaris, which tosses a coin each round for a speech of Hamlet's.

use md5::{Digest, Md5};

use super::base64::value;
use super::md5crypt::encode;
use super::shacrypt::decimal;

/// Rounds that are always made; the setting's number comes on top.
const BASIC_ROUNDS: u32 = 4096;
const DIGEST_CHARS: usize = 22;

/// Shakespeare, Hamlet III.1, in the spelling that the scheme hashes; the zero byte that ends it is hashed too.
const SPEECH: &str = include_str!("sunmd5/speech.txt");

/// A hash of this method, ready to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SunMd5 {
    pub(super) rounds: u32,
    /// Everything before the last `$`: it is hashed whole.
    setting: Vec<u8>,
    expected: Vec<u8>,
}

impl SunMd5 {
    /// Reads the whole text. `None` where crypt(3) could never answer with it.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let at = text.iter().rposition(|&c| c == b'$')?;
        let (setting, rest) = text.split_at_checked(at)?;
        let expected = rest.get(1..)?;
        // "$md5" and a character, "$" or ",": behind either may come the rounds.
        let mut salt = setting.get(5..)?;
        let mut rounds = BASIC_ROUNDS;
        if let Some(more) = salt.strip_prefix(b"rounds=") {
            let end = more.iter().position(|&c| c == b'$')?;
            let (digits, behind) = more.split_at_checked(end)?;
            rounds = rounds.wrapping_add(decimal(digits)?);
            salt = behind.get(1..)?;
        }
        // The salt, and one `$` more where the setting was made with one.
        let letters = salt.strip_suffix(b"$").unwrap_or(salt);
        let known = letters.iter().all(|&c| value(c).is_some());
        (known && expected.len() == DIGEST_CHARS).then(|| Self {
            rounds,
            setting: setting.to_vec(),
            expected: expected.to_vec(),
        })
    }

    /// Whether this is the hash of `password`.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut digest: [u8; 16] = Md5::new().chain_update(password).chain_update(&self.setting).finalize().into();
        for round in 0..self.rounds {
            let mut hasher = Md5::new_with_prefix(digest);
            if heads(&digest, round) {
                hasher.update(SPEECH);
                hasher.update([0]);
            }
            hasher.update(round.to_string());
            digest = hasher.finalize().into();
        }
        encode(&digest) == self.expected
    }
}

/// Muffett's coin: two numbers of eight bits are drawn from the digest by the digest, and two of its bits are compared.
fn heads(digest: &[u8; 16], round: u32) -> bool {
    let byte = |at: usize| digest.get(at % 16).copied().map_or(0, u32::from);
    let bit = |n: u32| byte((n % 128 / 8) as usize) >> (n % 8) & 1;
    let draw = |from: usize| {
        (from..from + 8).zip(0..).fold(0, |drawn, (at, place)| {
            let (a, b) = (byte(at), byte(at + 3));
            let picked = byte((a >> (b % 5)) as usize) >> (b >> (a % 8) & 1);
            drawn | bit(picked) << place
        })
    };
    let (x, y) = (draw(0) >> bit(round), draw(8) >> bit(round.wrapping_add(64)));
    bit(x) != bit(y)
}
