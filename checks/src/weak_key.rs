//! Keys that somebody else can use: mathematics that gives the private half away, and keys whose private half is published.

mod blocklist;
mod fermat;
mod published;
mod roca;
mod small_factor;

pub use blocklist::Blocklist;
pub use published::{Published, published};

use crate::parse::key_blob::{KeyKind, PublicKey};

/// Why a key is weak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// The private half can be downloaded.
    Published(&'static Published),
    /// It stands in a blocklist of this host (openssh-blacklist: Debian's predictable keys of 2006–2008).
    Blocklisted,
    /// DSA: 1,024 bits and SHA-1; OpenSSH has dropped it.
    Dsa,
    /// The RSA modulus is shorter than asked for.
    Short {
        /// Its bits.
        bits: u32,
        /// The bits asked for.
        least: u32,
    },
    /// The RSA modulus has a small prime factor.
    SmallFactor(u32),
    /// The two primes of the RSA modulus are close together: Fermat's method splits it at once.
    ClosePrimes,
    /// The RSA modulus comes from a chip with the ROCA defect (CVE-2017-15361).
    Roca,
    /// The RSA exponent is 1 or even: what it encrypts is open, or it is no RSA key at all.
    BadExponent,
}

impl Weakness {
    /// Whether others can make signatures with it today, or nearly so (the rest is a matter of strength).
    pub fn is_broken(&self) -> bool {
        match self {
            Self::Dsa => false,
            Self::Short { bits, .. } => *bits <= 1024,
            Self::Published(_)
            | Self::Blocklisted
            | Self::SmallFactor(_)
            | Self::ClosePrimes
            | Self::Roca
            | Self::BadExponent => true,
        }
    }
}

/// What is wrong with a key, worst first. `least_rsa_bits` is what the policy asks of RSA.
pub fn weaknesses(key: &PublicKey, least_rsa_bits: u32, blocklist: &Blocklist) -> Vec<Weakness> {
    let mut found = Vec::new();
    found.extend(published(key.fingerprint()).map(Weakness::Published));
    if blocklist.holds(key) {
        found.push(Weakness::Blocklisted);
    }
    found.extend(key.rsa().and_then(|rsa| arithmetic(rsa.modulus, rsa.exponent)));
    match key.kind() {
        KeyKind::Dsa => found.push(Weakness::Dsa),
        KeyKind::Rsa if key.bits() < least_rsa_bits => {
            found.push(Weakness::Short { bits: key.bits(), least: least_rsa_bits });
        }
        _ => {}
    }
    found
}

/// What arithmetic tells of an RSA key, the first that is found. Both numbers are big-endian. The work is bounded whatever the
/// numbers are.
pub fn arithmetic(modulus: &[u8], exponent: &[u8]) -> Option<Weakness> {
    let significant: Vec<u8> = exponent.iter().copied().skip_while(|byte| *byte == 0).collect();
    let even = significant.last().is_none_or(|last| last % 2 == 0);
    // An exponent of 3 or 35 is not flagged: it harms careless encryption, not the signatures of SSH, and OpenSSH itself
    // generated 35 for years.
    if even || significant == [1] {
        return Some(Weakness::BadExponent);
    }
    let words = words(modulus);
    if let Some(factor) = small_factor::smallest(&words) {
        return Some(Weakness::SmallFactor(factor));
    }
    if roca::matches(&words) {
        return Some(Weakness::Roca);
    }
    fermat::splits(modulus).then_some(Weakness::ClosePrimes)
}

/// A big-endian number as 64-bit words, least first.
fn words(number: &[u8]) -> Vec<u64> {
    number.rchunks(8).map(|chunk| chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))).collect()
}

#[cfg(test)]
mod tests;
