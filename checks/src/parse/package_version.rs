//! Which of two versions of a package is newer, as its package manager has it: `deb-version(7)`, `rpm-version(7)`.

use std::cmp::Ordering;

mod debian;
mod rpm;

pub use debian::debian;
pub use rpm::{Evr, rpm};

/// The longest prefix of which every byte passes, and the rest.
fn run(bytes: &[u8], of: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().take_while(|byte| of(**byte)).count())
}

/// Compares two runs of digits of any length by their value.
fn numbers(one: &[u8], other: &[u8]) -> Ordering {
    let significant = |digits| run(digits, |byte| byte == b'0').1;
    let (one, other): (&[u8], &[u8]) = (significant(one), significant(other));
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}
