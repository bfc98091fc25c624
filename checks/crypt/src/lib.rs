//! Password hashes as crypt(3) makes them: what a field of shadow(5) is, what one guess would cost, and whether a guess is right.
//!
//! The rules are libxcrypt's (crypt(5)); the algorithms are our own on the primitives of RustCrypto, so that a hash that asks
//! for gigabytes or hours is told before anything is computed, memory is reused, and an allocation that fails is an answer.

mod base64;
mod bcrypt;
mod des;
mod md5crypt;
mod nt;
mod sha1crypt;
mod shacrypt;
mod sunmd5;
mod workspace;
mod yescrypt;

#[cfg(test)]
mod tests;

use std::fmt;

pub use workspace::{OutOfMemory, Workspace};

/// The longest passphrase that libxcrypt takes, in bytes (crypt.h: `CRYPT_MAX_PASSPHRASE_SIZE`, 512 with its terminating zero).
pub const PASSWORD_MAX: usize = 511;

/// A method of crypt(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// `$y$`
    Yescrypt,
    /// `$gy$`, yescrypt with GOST R 34.11-2012
    GostYescrypt,
    /// `$sm3y$`, yescrypt with SM3
    Sm3Yescrypt,
    /// `$7$`
    Scrypt,
    /// `$2b$` and `$2y$`
    Bcrypt,
    /// `$2a$`
    BcryptA,
    /// `$2x$`
    BcryptX,
    /// `$6$`
    Sha512,
    /// `$5$`
    Sha256,
    /// `$sm3$`
    Sm3,
    /// `$sha1$`
    Sha1,
    /// `$md5$` and `$md5,rounds=…$`, of Solaris
    SunMd5,
    /// `$1$`
    Md5,
    /// `$3$`, of FreeBSD
    Nt,
    /// `_`, extended DES of BSDi
    BsdiDes,
    /// Traditional DES in several segments
    BigCrypt,
    /// Traditional DES, eight characters
    Des,
}

impl Method {
    /// The name that crypt(5) gives it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Yescrypt => "yescrypt",
            Self::GostYescrypt => "gost-yescrypt",
            Self::Sm3Yescrypt => "sm3-yescrypt",
            Self::Scrypt => "scrypt",
            Self::Bcrypt => "bcrypt",
            Self::BcryptA => "bcrypt ($2a$)",
            Self::BcryptX => "bcrypt ($2x$)",
            Self::Sha512 => "sha512crypt",
            Self::Sha256 => "sha256crypt",
            Self::Sm3 => "sm3crypt",
            Self::Sha1 => "sha1crypt",
            Self::SunMd5 => "SunMD5",
            Self::Md5 => "md5crypt",
            Self::Nt => "NT",
            Self::BsdiDes => "bsdicrypt",
            Self::BigCrypt => "bigcrypt",
            Self::Des => "descrypt",
        }
    }

    /// Whether libxcrypt counts it among the strong ones (hashes.conf: `STRONG`), which `--enable-hashes=strong` keeps.
    #[must_use]
    pub fn strong(self) -> bool {
        match self {
            Self::Yescrypt
            | Self::GostYescrypt
            | Self::Sm3Yescrypt
            | Self::Scrypt
            | Self::Bcrypt
            | Self::BcryptA
            | Self::Sha512 => true,
            Self::BcryptX
            | Self::Sha256
            | Self::Sm3
            | Self::Sha1
            | Self::SunMd5
            | Self::Md5
            | Self::Nt
            | Self::BsdiDes
            | Self::BigCrypt
            | Self::Des => false,
        }
    }
}

/// What the password field of an account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hash {
    /// Nothing: no password is asked for.
    Empty,
    /// `!…` or `*…`: no password fits.
    Locked,
    /// Text that crypt(3) never answers with, so no password fits: `x`, a wrong salt, `rounds=10`.
    Unusable,
    /// The form of a hash, of a method that is not known here.
    Unrecognised,
    /// A hash that passwords can be tried against.
    Known(Crypt),
}

/// A hash of a known method.
#[derive(Clone, PartialEq, Eq)]
pub struct Crypt {
    method: Method,
    algorithm: Algorithm,
}

impl fmt::Debug for Crypt {
    /// The method only: a hash is nothing to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crypt").field("method", &self.method).finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq, Eq)]
enum Algorithm {
    Yescrypt(yescrypt::Yescrypt),
    Bcrypt(bcrypt::Bcrypt),
    Sha(shacrypt::ShaCrypt),
    Sha1(sha1crypt::Sha1Crypt),
    Md5(md5crypt::Md5Crypt),
    SunMd5(sunmd5::SunMd5),
    Nt(nt::Nt),
    Des(des::DesCrypt),
}

/// What one guess costs, read from the hash itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Rounds, or the base-2 logarithm of them for bcrypt; `None` where the method has no such number.
    pub rounds: Option<u32>,
    /// Bytes of memory that one guess works in.
    pub memory: u64,
    /// CPU time of one guess in microseconds, roughly, on a server core of 2024.
    pub micros: u64,
}

/// What one guess may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: u64,
    /// Microseconds of estimated CPU time.
    pub micros: u64,
}

impl Default for Limits {
    /// 68 MiB, which lets the 64 MiB of a strong `$7$` or `$y$` hash through, and two seconds.
    fn default() -> Self {
        Self { memory: 68 << 20, micros: 2_000_000 }
    }
}

/// Why a hash is not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// One guess wants more memory than allowed.
    #[error("one guess needs {bytes} bytes of memory")]
    Memory {
        /// Bytes that the hash asks for.
        bytes: u64,
    },
    /// One guess takes longer than allowed.
    #[error("one guess takes about {micros} microseconds")]
    Time {
        /// Microseconds that one guess would take.
        micros: u64,
    },
}

impl Hash {
    /// Recognises a password field.
    #[must_use]
    pub fn parse(field: &[u8]) -> Self {
        match field {
            [] => return Self::Empty,
            [b'!' | b'*', ..] => return Self::Locked,
            _ => {}
        }
        if field.iter().any(|&c| refused_everywhere(c)) {
            return Self::Unusable;
        }
        match Crypt::parse(field) {
            Ok(Some(known)) => Self::Known(known),
            Ok(None) => Self::Unusable,
            Err(NotAMethod) if matches!(field, [b'$', ..]) => Self::Unrecognised,
            Err(NotAMethod) => Self::Unusable,
        }
    }
}

/// Characters that make libxcrypt refuse any setting (crypt.c: `check_badsalt_chars`).
fn refused_everywhere(c: u8) -> bool {
    !(0x21..0x7f).contains(&c) || matches!(c, b'!' | b'*' | b':' | b';' | b'\\')
}

struct NotAMethod;

impl Crypt {
    fn parse(field: &[u8]) -> Result<Option<Self>, NotAMethod> {
        use yescrypt::{Wrapping, Yescrypt};
        let known = |method, algorithm: Option<Algorithm>| Ok(algorithm.map(|algorithm| Self { method, algorithm }));
        let sha = |core, rest| shacrypt::ShaCrypt::parse(core, rest).map(Algorithm::Sha);
        let bcrypt = |variant, rest| bcrypt::Bcrypt::parse(variant, rest).map(Algorithm::Bcrypt);
        let yescrypt = |wrapping, prefix| Yescrypt::parse(wrapping, prefix, field).map(Algorithm::Yescrypt);
        let Some(text) = field.strip_prefix(b"$") else {
            let Some(des) = des::DesCrypt::parse(field) else {
                return Err(NotAMethod);
            };
            let method = match des.form {
                des::Form::Traditional => Method::Des,
                des::Form::Big => Method::BigCrypt,
                des::Form::Extended => Method::BsdiDes,
            };
            return known(method, Some(Algorithm::Des(des)));
        };
        let end = text.iter().position(|&c| c == b'$' || c == b',').unwrap_or(text.len());
        let (id, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
        let rest = rest.get(1..).unwrap_or_default();
        match id {
            b"y" => known(Method::Yescrypt, yescrypt(Wrapping::None, b"$y$")),
            b"gy" => known(Method::GostYescrypt, yescrypt(Wrapping::Gost, b"$gy$")),
            b"sm3y" => known(Method::Sm3Yescrypt, yescrypt(Wrapping::Sm3, b"$sm3y$")),
            b"7" => known(Method::Scrypt, Yescrypt::parse_scrypt(field).map(Algorithm::Yescrypt)),
            b"2b" | b"2y" => known(Method::Bcrypt, bcrypt(bcrypt::Variant::Correct, rest)),
            b"2a" => known(Method::BcryptA, bcrypt(bcrypt::Variant::Guarded, rest)),
            b"2x" => known(Method::BcryptX, bcrypt(bcrypt::Variant::Buggy, rest)),
            b"6" => known(Method::Sha512, sha(shacrypt::Core::Sha512, rest)),
            b"5" => known(Method::Sha256, sha(shacrypt::Core::Sha256, rest)),
            b"sm3" => known(Method::Sm3, sha(shacrypt::Core::Sm3, rest)),
            b"sha1" => known(Method::Sha1, sha1crypt::Sha1Crypt::parse(rest).map(Algorithm::Sha1)),
            b"1" => known(Method::Md5, md5crypt::Md5Crypt::parse(rest).map(Algorithm::Md5)),
            b"md5" => known(Method::SunMd5, sunmd5::SunMd5::parse(field).map(Algorithm::SunMd5)),
            b"3" => known(Method::Nt, nt::Nt::parse(rest).map(Algorithm::Nt)),
            _ => Err(NotAMethod),
        }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// What one guess costs.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let (rounds, memory, micros) = match &self.algorithm {
            Algorithm::Yescrypt(y) => {
                let per_kib = if y.is_classic() { 1200 } else { 550 };
                (None, y.memory(), y.traffic_kib().saturating_mul(per_kib) / 1000)
            }
            Algorithm::Bcrypt(b) => (Some(b.cost), 4 << 10, 50 << b.cost),
            Algorithm::Sha(s) => {
                let nanos_a_round = match s.core {
                    shacrypt::Core::Sha512 => 175,
                    shacrypt::Core::Sha256 => 130,
                    shacrypt::Core::Sm3 => 230,
                };
                (Some(s.rounds), 1 << 14, u64::from(s.rounds) * nanos_a_round / 1000)
            }
            Algorithm::Sha1(s) => (Some(s.rounds), 1 << 10, u64::from(s.rounds) / 4 + 1),
            Algorithm::Md5(_) => (None, 1 << 10, 110),
            Algorithm::Des(d) => (Some(d.rounds), 1 << 10, u64::from(d.rounds) / 4 + 1),
            Algorithm::SunMd5(s) => (Some(s.rounds), 1 << 12, u64::from(s.rounds).saturating_mul(11) / 10),
            Algorithm::Nt(_) => (None, 1 << 10, 1),
        };
        Cost { rounds, memory, micros }
    }

    /// Makes the hash ready to be tried, unless one guess costs more than `limits`.
    ///
    /// # Errors
    /// The [`Refusal`] says which.
    pub fn verifier(self, limits: &Limits) -> Result<Verifier, Refusal> {
        let cost = self.cost();
        if cost.memory > limits.memory {
            return Err(Refusal::Memory { bytes: cost.memory });
        }
        if cost.micros > limits.micros {
            return Err(Refusal::Time { micros: cost.micros });
        }
        Ok(Verifier { hash: self, cost })
    }
}

/// A hash whose price is accepted.
#[derive(Clone, Debug)]
pub struct Verifier {
    hash: Crypt,
    cost: Cost,
}

impl Verifier {
    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.hash.method
    }

    /// What one guess costs.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Whether `password` is right. One that holds a zero byte or is longer than [`PASSWORD_MAX`] never is: crypt(3) cannot be given it.
    ///
    /// # Errors
    /// Where the memory that the hash asks for cannot be had.
    pub fn matches(&self, password: &[u8], workspace: &mut Workspace) -> Result<bool, OutOfMemory> {
        if password.len() > PASSWORD_MAX || password.contains(&0) {
            return Ok(false);
        }
        match &self.hash.algorithm {
            Algorithm::Yescrypt(y) => y.matches(password, workspace),
            Algorithm::Bcrypt(b) => Ok(b.matches(password)),
            Algorithm::Sha(s) => Ok(s.matches(password)),
            Algorithm::Sha1(s) => Ok(s.matches(password)),
            Algorithm::Md5(m) => Ok(m.matches(password)),
            Algorithm::Des(d) => Ok(d.matches(password)),
            Algorithm::SunMd5(m) => Ok(m.matches(password)),
            Algorithm::Nt(n) => Ok(n.matches(password)),
        }
    }

    /// The first of `passwords` that is right. For more than one this may be faster than asking one by one.
    ///
    /// # Errors
    /// As [`Verifier::matches`].
    pub fn first_match(&self, passwords: &[&[u8]], workspace: &mut Workspace) -> Result<Option<usize>, OutOfMemory> {
        for (i, password) in passwords.iter().enumerate() {
            if self.matches(password, workspace)? {
                return Ok(Some(i));
            }
        }
        Ok(None)
    }
}
