//! Any bytes as two versions: one order, whoever is asked first.
#![no_main]

use hostward_checks::parse::package_version::{debian, rpm};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (one, other) = input.split_at(input.len() / 2);
    assert_eq!(debian(one, other), debian(other, one).reverse());
    assert_eq!(rpm(one, other), rpm(other, one).reverse());
    assert!(debian(one, one).is_eq() && rpm(one, one).is_eq());
});
