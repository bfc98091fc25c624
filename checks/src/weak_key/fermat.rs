//! Fermat's factorisation, a bounded number of steps: it splits a modulus whose primes are close together, as a defective
//! generator made them (CVE-2022-26320).

use num_bigint::BigUint;

/// Steps tried. The keys found in the wild fall within the first 20.
const STEPS: u32 = 100;

/// Whether a few steps of Fermat's method split the modulus (big-endian, odd).
pub(super) fn splits(modulus: &[u8]) -> bool {
    let n = BigUint::from_bytes_be(modulus);
    let mut a = n.sqrt();
    if &a * &a == n {
        return true;
    }
    a += 1u8;
    // n = a² − b² = (a − b)(a + b): look for an a that leaves a square. From one a to the next, a² grows by 2a + 1.
    let mut rest = &a * &a - &n;
    let mut growth = (&a << 1u8) + 1u8;
    for _ in 0..STEPS {
        if is_square(&rest) {
            // b = a − 1 would be the split into 1 and n.
            return (&growth >> 1u8) != rest.sqrt() + 1u8;
        }
        rest += &growth;
        growth += 2u8;
    }
    false
}

/// Residues modulo 256 of squares, as a bit set: 44 of 256, so five in six candidates fall out here.
const SQUARES_256: [u64; 4] = squares_256();

const fn squares_256() -> [u64; 4] {
    let mut set = [0u64; 4];
    let mut n = 0usize;
    while n < 256 {
        let square = n * n % 256;
        #[expect(clippy::indexing_slicing, reason = "a constant expression: an index out of bounds would not compile")]
        {
            set[square / 64] |= 1 << (square % 64);
        }
        n += 1;
    }
    set
}

fn is_square(number: &BigUint) -> bool {
    let low = number.iter_u64_digits().next().unwrap_or(0) % 256;
    let bit =
        usize::try_from(low / 64).ok().and_then(|index| SQUARES_256.get(index)).map_or(0, |set| set >> (low % 64));
    if bit & 1 == 0 {
        return false;
    }
    // Modulo three more numbers; what is left is squared.
    let small = u64::try_from(number % (63u64 * 65 * 11 * 17 * 19 * 23 * 31)).unwrap_or(0);
    let quadratic = |m: u64| (0..m).any(|n| n * n % m == small % m);
    if ![63, 65, 11, 17, 19, 23, 31].into_iter().all(quadratic) {
        return false;
    }
    let root = number.sqrt();
    &root * &root == *number
}
