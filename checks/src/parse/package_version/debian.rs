//! Versions of Debian packages, ordered as `dpkg --compare-versions` orders them.

use std::cmp::Ordering;

use super::{numbers, run};

/// Compares two versions: epoch, upstream version, revision.
pub fn debian(one: &[u8], other: &[u8]) -> Ordering {
    let ((epoch, rest), (its_epoch, its_rest)) = (epoch(one), epoch(other));
    let ((upstream, revision), (its_upstream, its_revision)) = (revision(rest), revision(its_rest));
    numbers(epoch, its_epoch).then_with(|| part(upstream, its_upstream)).then_with(|| part(revision, its_revision))
}

/// What stands before the first colon, and what behind it.
fn epoch(version: &[u8]) -> (&[u8], &[u8]) {
    match version.iter().position(|byte| *byte == b':').and_then(|at| version.split_at_checked(at)) {
        Some((epoch, rest)) => (epoch, rest.get(1..).unwrap_or_default()),
        None => (b"", version),
    }
}

/// What stands before the last hyphen, and what behind it.
fn revision(version: &[u8]) -> (&[u8], &[u8]) {
    match version.iter().rposition(|byte| *byte == b'-').and_then(|at| version.split_at_checked(at)) {
        Some((upstream, rest)) => (upstream, rest.get(1..).unwrap_or_default()),
        None => (version, b""),
    }
}

/// Text and numbers by turns.
fn part(mut one: &[u8], mut other: &[u8]) -> Ordering {
    while !one.is_empty() || !other.is_empty() {
        let ((text, rest), (its_text, its_rest)) = (split_text(one), split_text(other));
        let ((number, rest), (its_number, its_rest)) = (split_number(rest), split_number(its_rest));
        let order = texts(text, its_text).then_with(|| numbers(number, its_number));
        if order.is_ne() {
            return order;
        }
        (one, other) = (rest, its_rest);
    }
    Ordering::Equal
}

fn split_text(bytes: &[u8]) -> (&[u8], &[u8]) {
    run(bytes, |byte| !byte.is_ascii_digit())
}

fn split_number(bytes: &[u8]) -> (&[u8], &[u8]) {
    run(bytes, |byte| byte.is_ascii_digit())
}

/// Byte by byte: `~` before the end, the end before letters, letters before all else.
fn texts(one: &[u8], other: &[u8]) -> Ordering {
    let rank = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    let longest = one.len().max(other.len());
    let orders = (0..longest).map(|at| rank(one.get(at)).cmp(&rank(other.get(at))));
    orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn orders_as_the_manual_says() {
        let ascending = [
            "1.0~~",
            "1.0~~a",
            "1.0~",
            "1.0~rc1-1",
            "1.0-0~deb12u1",
            "1.0",
            "1.0-1~bpo12+1",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1+deb12u1",
            "1.0-1.1",
            "1.0-9",
            "1.0-10",
            "1.0a-1",
            "1.0+dfsg-1",
            "1.0.1-1",
            "1.9",
            "1.10",
            "1:0.1",
            "1:0.1-1",
            "10:0",
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (its, other) in ascending.iter().enumerate() {
                assert_eq!(debian(one.as_bytes(), other.as_bytes()), at.cmp(&its), "{one} and {other}");
            }
        }
        for (one, other) in [("0:1.0", "1.0"), ("1.0-0", "1.0"), ("1.00-01", "1.0-1"), ("1.a0", "1.a")] {
            assert_eq!(debian(one.as_bytes(), other.as_bytes()), Ordering::Equal, "{one} and {other}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_in_one_order(versions in prop::array::uniform3("([0-9]:)?[0-9a-b~+.:-]{0,8}")) {
            let [a, b, c] = versions.each_ref().map(|version| version.as_bytes());
            prop_assert_eq!(debian(a, b), debian(b, a).reverse());
            if debian(a, b).is_le() && debian(b, c).is_le() {
                prop_assert!(debian(a, c).is_le());
            }
        }
    }
}
