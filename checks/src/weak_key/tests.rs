//! Tests of weak keys: sound ones pass, each weakness is found, and any number is survived.

use num_bigint::BigUint;
use proptest::prelude::*;

use super::*;
use crate::parse::authorized_keys;
use crate::parse::key_blob::samples;

fn key(line: &str) -> PublicKey {
    authorized_keys::parse(line.as_bytes()).0.remove(0).key
}

fn big(hex: &str) -> BigUint {
    BigUint::parse_bytes(hex.replace(char::is_whitespace, "").as_bytes(), 16).unwrap()
}

/// A Miller–Rabin test to fixed bases: enough to make test numbers.
fn is_prime(n: &BigUint) -> bool {
    let one = BigUint::from(1u8);
    let less = n - 1u8;
    let twos = less.trailing_zeros().unwrap();
    let odd = &less >> twos;
    [2u8, 3, 5, 7, 11, 13, 17, 19, 23].into_iter().all(|base| {
        let mut x = BigUint::from(base).modpow(&odd, n);
        if x == one || x == less {
            return true;
        }
        (1..twos).any(|_| {
            x = x.modpow(&BigUint::from(2u8), n);
            x == less
        })
    })
}

fn next_prime(mut n: BigUint) -> BigUint {
    if !n.bit(0) {
        n += 1u8;
    }
    while !is_prime(&n) {
        n += 2u8;
    }
    n
}

/// Some fixed number of so many bits, both top bits set.
fn number(bits: u64, seed: u64) -> BigUint {
    let mut state = seed;
    let mut n = BigUint::default();
    for _ in 0..bits.div_ceil(64) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        n = (n << 64u8) + (state ^ state >> 29);
    }
    n %= BigUint::from(1u8) << bits;
    n.set_bit(bits - 1, true);
    n.set_bit(bits - 2, true);
    n
}

fn judge(n: &BigUint) -> Option<Weakness> {
    arithmetic(&n.to_bytes_be(), &[1, 0, 1])
}

#[test]
fn sound_keys_pass() {
    for sample in [&samples::RSA, &samples::ED25519, &samples::ECDSA256, &samples::SK_ED25519] {
        assert_eq!(weaknesses(&key(sample.line), 2048, &Blocklist::new()), [], "{}", sample.line);
    }
    let n = next_prime(number(512, 1)) * next_prime(number(512, 2));
    assert_eq!(judge(&n), None);
}

#[test]
fn short_and_dsa_are_told() {
    let rsa = key(samples::RSA.line);
    assert_eq!(weaknesses(&rsa, 3072, &Blocklist::new()), [Weakness::Short { bits: 2048, least: 3072 }]);
    assert_eq!(weaknesses(&key(samples::DSA.line), 2048, &Blocklist::new()), [Weakness::Dsa]);
}

#[test]
fn exponents() {
    let n = next_prime(number(512, 1)) * next_prime(number(512, 2));
    for (exponent, bad) in [
        (&[1u8][..], true),
        (&[0, 1], true),
        (&[2], true),
        (&[1, 0, 0], true),
        (&[], true),
        (&[3], false),
        (&[35], false),
        (&[1, 0, 1], false),
    ] {
        let found = arithmetic(&n.to_bytes_be(), exponent);
        assert_eq!(found == Some(Weakness::BadExponent), bad, "{exponent:?}");
    }
}

#[test]
fn small_factors_are_found_and_named() {
    let large = next_prime(number(1024, 3));
    for factor in [2u32, 3, 5, 251, 257, 4093, 8191] {
        assert_eq!(judge(&(&large * factor)), Some(Weakness::SmallFactor(factor)));
    }
    assert_eq!(judge(&(&large * 8191u32 * 3u32)), Some(Weakness::SmallFactor(3)));
    for trivial in [0u32, 1] {
        let found = judge(&BigUint::from(trivial));
        assert!(found.is_some(), "{trivial}: {found:?}");
    }
    assert_eq!(arithmetic(&[], &[1, 0, 1]), Some(Weakness::SmallFactor(2)));
}

#[test]
fn close_primes_are_split() {
    let p = next_prime(number(1024, 4));
    let q = next_prime(&p + 2u8);
    assert_eq!(judge(&(&p * &q)), Some(Weakness::ClosePrimes));
    assert_eq!(judge(&(&p * &p)), Some(Weakness::ClosePrimes));
    // Some steps away: a difference of d takes about d² / 8·√n steps.
    let far = next_prime(&p + (BigUint::from(1u8) << 516u32));
    assert_eq!(judge(&(&p * &far)), Some(Weakness::ClosePrimes));
    let apart = next_prime(&p + (BigUint::from(1u8) << 900u32));
    assert_eq!(judge(&(&p * &apart)), None);
}

#[test]
fn the_mark_of_roca_is_found() {
    // Made as the defective library does: p = k·M + 65537ᵃ mod M, with M the product of the first 39 primes.
    let m: BigUint = (2u32..168).filter(|n| (2..*n).all(|d| n % d != 0)).map(BigUint::from).product();
    let make = |seed: u64, power: u32| {
        let base = BigUint::from(65_537u32).modpow(&BigUint::from(power), &m);
        let mut candidate = number(512, seed) / &m * &m + base;
        while !is_prime(&candidate) {
            candidate += &m;
        }
        candidate
    };
    assert_eq!(judge(&(make(5, 1234) * make(6, 98_765))), Some(Weakness::Roca));
}

#[test]
fn published_keys_are_known() {
    let vagrant = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y";
    let found = weaknesses(&key(vagrant), 2048, &Blocklist::new());
    assert!(matches!(found.as_slice(), [Weakness::Published(known)] if known.owner.contains("Vagrant")), "{found:?}");
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ==";
    assert!(matches!(weaknesses(&key(rsa), 2048, &Blocklist::new()).as_slice(), [Weakness::Published(_)]));
}

#[test]
fn a_blocklist_of_the_host_is_used() {
    let rsa = key(samples::RSA.line);
    let digits: String = rsa.md5().trim_start_matches("MD5:").replace(':', "");
    for entry in [digits.as_str(), &digits[12..]] {
        let mut list = Blocklist::new();
        list.add(format!("# comment\n0123456789abcdef0123\n{entry}\nnot hex at all, really\n").as_bytes());
        assert_eq!(weaknesses(&rsa, 2048, &list), [Weakness::Blocklisted], "{entry}");
        assert_eq!(weaknesses(&key(samples::ED25519.line), 2048, &list), []);
    }
    let paths = Blocklist::paths(&rsa);
    assert!(paths.iter().any(|path| path.ends_with("ssh/blacklist.RSA-2048")), "{paths:?}");
}

#[test]
fn words_are_least_first() {
    assert_eq!(words(&[1, 2, 0, 0, 0, 0, 0, 0, 0, 3]), [3, 0x0102]);
    let n = big("ffffffffffffffff 0123456789abcdef");
    assert_eq!(words(&n.to_bytes_be()), [0x0123_4567_89ab_cdef, u64::MAX]);
}

proptest! {
    #[test]
    fn trial_division_agrees_with_division(bytes in proptest::collection::vec(any::<u8>(), 1..80)) {
        let n = BigUint::from_bytes_be(&bytes);
        let mine = small_factor::smallest(&words(&bytes));
        let theirs = (2u32..8192).find(|d| (&n % d) == BigUint::ZERO);
        prop_assert_eq!(mine, theirs);
    }

    #[test]
    fn any_numbers_are_survived(
        modulus in proptest::collection::vec(any::<u8>(), 0..300),
        exponent in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let _ = arithmetic(&modulus, &exponent);
    }
}
