//! `$y$`, `$gy$`, `$sm3y$` and `$7$`: yescrypt, its two wrappings, and the scrypt it contains.
//!
//! Our own code because a hash costs many megabytes and names the amount itself: the block is asked for without aborting where
//! memory is short, and kept for the next guess, which is most of what a static binary would lose.

mod pwxform;
mod salsa;
mod smix;

use hmac::{Hmac, KeyInit, Mac, SimpleHmac};
use sha2::{Digest, Sha256};
use sm3::Sm3;
use streebog::Streebog256;

use super::base64::{decode, encode, value};
use super::{OutOfMemory, Workspace};

const DIGEST_CHARS: usize = 43;

/// The longest decoded salt (yescrypt-common.c: saltbin).
const SALT_MAX: usize = 64;

/// What the flags ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// scrypt.
    Classic,
    /// scrypt with more loops (`t`).
    Worm,
    /// yescrypt's own, the only one that libxcrypt makes.
    ReadWrite,
}

/// What surrounds yescrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// `$y$`, `$7$`
    None,
    /// `$gy$`: HMAC with GOST R 34.11-2012.
    Gost,
    /// `$sm3y$`: HMAC with SM3.
    Sm3,
}

/// The numbers in the setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Params {
    mode: Mode,
    /// Blocks of memory; a power of two.
    n: u64,
    /// Size of a block in 128 bytes.
    r: u32,
    /// Independent (here: consecutive) lanes.
    p: u32,
    /// Extra time.
    t: u32,
}

/// A hash of this family, ready to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Yescrypt {
    params: Params,
    wrapping: Wrapping,
    salt: Vec<u8>,
    /// The setting without the digest, as the wrappings sign it.
    setting: Vec<u8>,
    expected: Vec<u8>,
}

impl Yescrypt {
    /// Reads the whole text of a `$y$`, `$gy$` or `$sm3y$` hash. `None` where crypt(3) could never answer with it.
    pub(super) fn parse(wrapping: Wrapping, prefix: &[u8], text: &[u8]) -> Option<Self> {
        let mut rest = text.strip_prefix(prefix)?;
        let params = Params::read(&mut rest)?;
        let rest = rest.strip_prefix(b"$")?;
        let (salt, expected) = split_at_last_dollar(rest)?;
        let decoded = decode(salt)?;
        (decoded.len() <= SALT_MAX && expected.len() == DIGEST_CHARS).then_some(())?;
        Some(Self {
            params,
            wrapping,
            salt: decoded,
            setting: text.get(..text.len() - DIGEST_CHARS - 1)?.to_vec(),
            expected: expected.to_vec(),
        })
    }

    /// Reads the whole text of a `$7$` hash: one character of N, five of r, five of p, the salt as it stands.
    pub(super) fn parse_scrypt(text: &[u8]) -> Option<Self> {
        let (&n, rest) = text.strip_prefix(b"$7$")?.split_first()?;
        let (r, rest) = rest.split_at_checked(5)?;
        let (p, rest) = rest.split_at_checked(5)?;
        let (salt, expected) = split_at_last_dollar(rest)?;
        let params = Params { mode: Mode::Classic, n: 1u64.checked_shl(value(n)?)?, r: fixed(r)?, p: fixed(p)?, t: 0 };
        let salt_known = salt.iter().all(|&c| c == b'$' || value(c).is_some());
        (params.valid() && salt_known && expected.len() == DIGEST_CHARS).then(|| Self {
            params,
            wrapping: Wrapping::None,
            salt: salt.to_vec(),
            setting: Vec::new(),
            expected: expected.to_vec(),
        })
    }

    /// Bytes that one guess needs.
    pub(super) fn memory(&self) -> u64 {
        self.params.memory()
    }

    /// KiB of the memory that one guess writes or reads, roughly: what its time is proportional to.
    pub(super) fn traffic_kib(&self) -> u64 {
        let Params { mode, n, r, .. } = self.params;
        let block = u64::from(r).saturating_mul(128);
        let second = match mode {
            Mode::ReadWrite => smix::loops(&self.params).0,
            Mode::Classic | Mode::Worm => smix::loops(&self.params).0.saturating_mul(u64::from(self.params.p)),
        };
        let first = match mode {
            Mode::ReadWrite => n,
            Mode::Classic | Mode::Worm => n.saturating_mul(u64::from(self.params.p)),
        };
        first.saturating_add(second).saturating_mul(block) / 1024
    }

    /// Whether the classic, Salsa20/8 mixing is used.
    pub(super) fn is_classic(&self) -> bool {
        self.params.mode != Mode::ReadWrite
    }

    /// Whether this is the hash of `password`.
    pub(super) fn matches(&self, password: &[u8], workspace: &mut Workspace) -> Result<bool, OutOfMemory> {
        let inner = derive(password, &self.salt, &self.params, workspace)?;
        let digest = match self.wrapping {
            Wrapping::None => inner,
            Wrapping::Gost => {
                let middle = sign::<SimpleHmac<Streebog256>>(&Streebog256::digest(password), &self.setting);
                sign::<SimpleHmac<Streebog256>>(&middle, &inner)
            }
            Wrapping::Sm3 => {
                // Here libxcrypt counts the setting's characters in a text that begins two later, and gives its HMAC the key last.
                let signed = self.setting.get(..self.setting.len().saturating_sub(2)).unwrap_or_default();
                let middle = sign::<SimpleHmac<Sm3>>(signed, &Sm3::digest(password));
                sign::<SimpleHmac<Sm3>>(&inner, &middle)
            }
        };
        Ok(encode(&digest) == self.expected)
    }
}

/// HMAC; all that are used here give 32 bytes.
fn sign<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut out = [0u8; 32];
    if let Ok(mac) = <M as KeyInit>::new_from_slice(key) {
        let tag = mac.chain_update(message).finalize().into_bytes();
        out.iter_mut().zip(tag).for_each(|(to, from)| *to = from);
    }
    out
}

fn split_at_last_dollar(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().rposition(|&c| c == b'$')?;
    let (salt, rest) = text.split_at_checked(at)?;
    Some((salt, rest.get(1..)?))
}

/// Thirty bits in five characters, least significant first.
fn fixed(text: &[u8]) -> Option<u32> {
    text.iter().enumerate().try_fold(0, |acc, (i, &c)| Some(acc | value(c)? << (6 * i)))
}

/// yescrypt's number of variable length, at least `least`.
fn variable(text: &mut &[u8], least: u32) -> Option<u32> {
    let (&first, mut rest) = text.split_first()?;
    let first = value(first)?;
    let (mut start, mut end, mut more, mut bits) = (0u32, 47u32, 0u32, 0u32);
    let mut n = least;
    while first > end {
        n = n.checked_add((end + 1 - start).checked_shl(bits)?)?;
        start = end + 1;
        end = start + (62 - end) / 2;
        more += 1;
        bits += 6;
    }
    n = n.checked_add((first - start).checked_shl(bits)?)?;
    for _ in 0..more {
        let (&c, tail) = rest.split_first()?;
        rest = tail;
        bits -= 6;
        n = n.checked_add(value(c)?.checked_shl(bits)?)?;
    }
    *text = rest;
    Some(n)
}

impl Params {
    fn read(text: &mut &[u8]) -> Option<Self> {
        let mode = match variable(text, 0)? {
            0 => Mode::Classic,
            1 => Mode::Worm,
            // 6 rounds, 4 gathers, 2 lanes, 12 KiB of S-boxes: the one flavour that exists (yescrypt.h: YESCRYPT_RW_DEFAULTS).
            47 => Mode::ReadWrite,
            _ => return None,
        };
        let n = 1u64.checked_shl(variable(text, 1)?)?;
        let r = variable(text, 1)?;
        let (mut p, mut t) = (1, 0);
        if text.first().is_some_and(|&c| c != b'$') {
            let have = variable(text, 1)?;
            if have & 1 != 0 {
                p = variable(text, 2)?;
            }
            if have & 2 != 0 {
                t = variable(text, 1)?;
            }
            // Upgraded hashes and a ROM are not implemented by libxcrypt either.
            if have & !3 != 0 {
                return None;
            }
        }
        let params = Self { mode, n, r, p, t };
        params.valid().then_some(params)
    }

    /// What yescrypt_kdf_body accepts (yescrypt-opt.c).
    fn valid(&self) -> bool {
        let Self { mode, n, r, p, t } = *self;
        n > 1
            && r >= 1
            && p >= 1
            && u64::from(r) * u64::from(p) < 1 << 30
            && n.checked_mul(128 * u64::from(r)).is_some()
            && n.checked_mul(u64::from(t) + 1).is_some()
            && (mode != Mode::Classic || t == 0)
            && (mode != Mode::ReadWrite || n / u64::from(p) > 1)
    }

    fn memory(&self) -> u64 {
        let r = u64::from(self.r);
        let lanes = u64::from(self.p).saturating_mul(128 * r + smix::SBOX_BYTES);
        self.n.saturating_mul(128 * r).saturating_add(lanes).saturating_add(256 * r)
    }
}

/// yescrypt with 32 bytes of output.
fn derive(password: &[u8], salt: &[u8], params: &Params, workspace: &mut Workspace) -> Result<[u8; 32], OutOfMemory> {
    let lane = params.n / u64::from(params.p);
    // A cheap pass first, so that the costly one starts from something already slow (yescrypt_kdf).
    if params.mode == Mode::ReadWrite && lane >= 0x100 && lane * u64::from(params.r) >= 0x20000 {
        let cheap = Params { n: params.n >> 6, t: 0, ..*params };
        let first = body(password, salt, &cheap, b"yescrypt-prehash", workspace)?;
        let last = body(&first, salt, params, b"yescrypt", workspace)?;
        return Ok(client_and_stored_key(&last));
    }
    let out = body(password, salt, params, b"yescrypt", workspace)?;
    Ok(match params.mode {
        Mode::Classic => out,
        Mode::Worm | Mode::ReadWrite => client_and_stored_key(&out),
    })
}

/// The last steps, as SCRAM has them (RFC 5802).
fn client_and_stored_key(key: &[u8; 32]) -> [u8; 32] {
    Sha256::digest(sign::<Hmac<Sha256>>(key, b"Client Key")).into()
}

fn body(
    password: &[u8],
    salt: &[u8],
    params: &Params,
    label: &[u8],
    workspace: &mut Workspace,
) -> Result<[u8; 32], OutOfMemory> {
    let keyed;
    let mut key: [u8; 32] = [0; 32];
    let mut secret = password;
    if params.mode != Mode::Classic {
        keyed = sign::<Hmac<Sha256>>(label, password);
        secret = &keyed;
    }
    let mut lanes = workspace.lanes(params.p as usize * params.r as usize * 128)?;
    pbkdf2_once(secret, salt, &mut lanes);
    if params.mode != Mode::Classic {
        key.iter_mut().zip(&lanes).for_each(|(to, &from)| *to = from);
    }
    smix::smix(&mut lanes, params, &mut key, workspace)?;
    let mut out = [0u8; 32];
    let secret: &[u8] = match params.mode {
        Mode::Classic => password,
        Mode::Worm | Mode::ReadWrite => &key,
    };
    pbkdf2_once(secret, &lanes, &mut out);
    Ok(out)
}

/// PBKDF2-HMAC-SHA256 with one iteration.
fn pbkdf2_once(password: &[u8], salt: &[u8], out: &mut [u8]) {
    let Ok(keyed) = <Hmac<Sha256> as KeyInit>::new_from_slice(password) else {
        return;
    };
    let salted = keyed.chain_update(salt);
    for (block, number) in out.chunks_mut(32).zip(1u32..) {
        let tag = salted.clone().chain_update(number.to_be_bytes()).finalize().into_bytes();
        block.iter_mut().zip(tag).for_each(|(to, from)| *to = from);
    }
}
