//! The mark of the ROCA defect (CVE-2017-15361): primes of the form k·M + 65537ᵃ mod M with M a primorial, so the
//! modulus is a power of 65537 modulo every small prime ("The Return of Coppersmith's Attack", CCS 2017, §2 and §3).

use std::sync::LazyLock;

const GENERATOR: u64 = 65_537;

/// The odd primes of the smallest M that the defective library uses (for 512-bit keys): common to all key sizes.
const PRIMES: [u64; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// For each prime the residues that are powers of the generator, as a bit set.
static POWERS: LazyLock<Vec<(u64, [u64; 3])>> = LazyLock::new(|| {
    PRIMES
        .iter()
        .map(|&prime| {
            let mut set = [0u64; 3];
            let mut power = 1u64;
            loop {
                if contains(&set, power) {
                    return (prime, set);
                }
                if let Some(word) = usize::try_from(power / 64).ok().and_then(|index| set.get_mut(index)) {
                    *word |= 1 << (power % 64);
                }
                power = power * GENERATOR % prime;
            }
        })
        .collect()
});

fn contains(set: &[u64; 3], residue: u64) -> bool {
    usize::try_from(residue / 64)
        .ok()
        .and_then(|index| set.get(index))
        .is_some_and(|word| word >> (residue % 64) & 1 == 1)
}

/// Whether the modulus bears the mark. A sound key does with a chance of about 2⁻²⁸, and falls out at the first
/// primes. Words of 64 bits, least first.
pub(super) fn matches(words: &[u64]) -> bool {
    POWERS.iter().all(|(prime, set)| contains(set, residue(words, *prime)))
}

/// The remainder of a division by a small prime.
fn residue(words: &[u64], prime: u64) -> u64 {
    // Half words keep the arithmetic within 64 bits.
    words.iter().rev().fold(0, |remainder, word| {
        let high = (remainder << 32 | word >> 32) % prime;
        (high << 32 | word & 0xffff_ffff) % prime
    })
}
