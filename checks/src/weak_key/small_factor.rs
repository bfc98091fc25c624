//! Trial division by every prime below 8,192: an RSA modulus with so small a factor was not made of two large primes.

use std::sync::LazyLock;

/// Primes are tried below this.
const LIMIT: u32 = 8192;

/// Several odd primes whose product fits a word, so that one pass over the modulus serves all of them.
#[derive(Debug)]
struct Batch {
    primes: Vec<u32>,
    product: u64,
    /// The product's inverse modulo 2⁶⁴.
    inverse: u64,
}

static BATCHES: LazyLock<Vec<Batch>> = LazyLock::new(|| {
    let mut batches: Vec<Batch> = Vec::new();
    for prime in primes() {
        match batches.last_mut().and_then(|batch| Some((batch.product.checked_mul(u64::from(prime))?, batch))) {
            Some((product, batch)) => {
                batch.product = product;
                batch.primes.push(prime);
            }
            None => batches.push(Batch { primes: vec![prime], product: u64::from(prime), inverse: 0 }),
        }
    }
    for batch in &mut batches {
        batch.inverse = inverse(batch.product);
    }
    batches
});

/// Odd primes below the limit.
fn primes() -> impl Iterator<Item = u32> {
    (3..LIMIT).step_by(2).filter(|n| (3..).step_by(2).take_while(|d| d * d <= *n).all(|d| n % d != 0))
}

/// The inverse of an odd number modulo 2⁶⁴, by Newton's iteration: each step doubles the right bits.
fn inverse(odd: u64) -> u64 {
    (0..6).fold(odd, |inverse, _| inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse))))
}

/// The smallest prime factor below the limit, if any. The number is given in 64-bit words, least first; zero counts as
/// even.
pub(super) fn smallest(words: &[u64]) -> Option<u32> {
    if words.first().is_none_or(|low| low % 2 == 0) {
        return Some(2);
    }
    BATCHES.iter().find_map(|batch| {
        let residue = scaled_residue(words, batch.product, batch.inverse);
        batch.primes.iter().copied().find(|prime| residue.is_multiple_of(u64::from(*prime)))
    })
}

/// The number times a power of 2 (up to its sign) modulo an odd `modulus`: zero modulo a prime of it exactly when
/// the number is. Hensel's division from the low end needs multiplications only, where a true remainder divides.
fn scaled_residue(words: &[u64], modulus: u64, inverse: u64) -> u64 {
    let mut carry = 0u64;
    for word in words {
        let (difference, borrow) = word.overflowing_sub(carry);
        let quotient = difference.wrapping_mul(inverse);
        let high = (u128::from(quotient) * u128::from(modulus)) >> 64;
        // `high` is below the modulus, so the sum does not overflow.
        carry = u64::try_from(high).unwrap_or(0).wrapping_add(u64::from(borrow));
    }
    carry
}
