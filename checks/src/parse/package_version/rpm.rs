//! Versions of RPM packages, ordered as `rpmdev-vercmp` orders them.

use std::cmp::Ordering;

use super::{numbers, run};

/// Epoch, version and release of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evr {
    /// None is the same as 0.
    pub epoch: u64,
    /// Version.
    pub version: String,
    /// Release.
    pub release: String,
}

impl Evr {
    /// Which is newer.
    pub fn order(&self, other: &Self) -> Ordering {
        let version = || rpm(self.version.as_bytes(), other.version.as_bytes());
        let release = || rpm(self.release.as_bytes(), other.release.as_bytes());
        self.epoch.cmp(&other.epoch).then_with(version).then_with(release)
    }

    /// `[epoch:]version-release`, as rpm prints it.
    pub fn text(&self) -> String {
        let epoch = if self.epoch == 0 { String::new() } else { format!("{}:", self.epoch) };
        format!("{epoch}{}-{}", self.version, self.release)
    }
}

/// Compares two versions, or two releases.
pub fn rpm(mut one: &[u8], mut other: &[u8]) -> Ordering {
    loop {
        let separates = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'~' && byte != b'^';
        (one, other) = (run(one, separates).1, run(other, separates).1);
        // `~` is before everything, the end too; `^` is behind the end and before everything else.
        match (one.split_first(), other.split_first()) {
            (Some((b'~', rest)), Some((b'~', its_rest))) | (Some((b'^', rest)), Some((b'^', its_rest))) => {
                (one, other) = (rest, its_rest);
                continue;
            }
            (Some((b'~', _)), _) => return Ordering::Less,
            (_, Some((b'~', _))) => return Ordering::Greater,
            (Some((b'^', _)), None) => return Ordering::Greater,
            (None, Some((b'^', _))) => return Ordering::Less,
            (Some((b'^', _)), Some(_)) => return Ordering::Less,
            (Some(_), Some((b'^', _))) => return Ordering::Greater,
            (Some(_), Some(_)) => {}
            (one, other) => return one.is_some().cmp(&other.is_some()),
        }
        let digits = one.first().is_some_and(u8::is_ascii_digit);
        let kind = |byte: u8| if digits { byte.is_ascii_digit() } else { byte.is_ascii_alphabetic() };
        let ((segment, rest), (its_segment, its_rest)) = (run(one, kind), run(other, kind));
        // The other one has a segment of the other kind: a number is newer than text.
        let order = match (its_segment.is_empty(), digits) {
            (true, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, true) => numbers(segment, its_segment),
            (false, false) => segment.cmp(its_segment),
        };
        if order.is_ne() {
            return order;
        }
        (one, other) = (rest, its_rest);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn orders_as_the_manual_says() {
        let ascending = [
            "1~~",
            "1~rc1",
            "1~rc1^git",
            "1",
            "1^",
            "1^20210501",
            "1a",
            "1.a",
            "1.0~rc1",
            "1.0",
            "1.0^git1",
            "1.0.a",
            "1.0.1",
            "1.9",
            "1.10",
            "2.el7",
            "2.el7_9",
            "10",
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (its, other) in ascending.iter().enumerate() {
                let equal = ["1a", "1.a"].contains(one) && ["1a", "1.a"].contains(other);
                let wanted = if equal { Ordering::Equal } else { at.cmp(&its) };
                assert_eq!(rpm(one.as_bytes(), other.as_bytes()), wanted, "{one} and {other}");
            }
        }
        for (one, other) in [("1.0", "1_0"), ("1.00", "1.0"), ("1.0.", "1.0")] {
            assert_eq!(rpm(one.as_bytes(), other.as_bytes()), Ordering::Equal, "{one} and {other}");
        }
    }

    #[test]
    fn the_epoch_comes_first() {
        let evr = |epoch, version: &str, release: &str| Evr { epoch, version: version.into(), release: release.into() };
        assert!(evr(1, "1", "1").order(&evr(0, "9", "9")).is_gt());
        assert!(evr(0, "1", "10").order(&evr(0, "1", "9")).is_gt());
        assert_eq!((evr(0, "1", "2").text(), evr(3, "1", "2").text()), ("1-2".to_owned(), "3:1-2".to_owned()));
    }

    proptest! {
        #[test]
        fn what_is_compared_both_ways_agrees(one in "[0-9a-b~^.]{0,8}", other in "[0-9a-b~^.]{0,8}") {
            prop_assert_eq!(rpm(one.as_bytes(), other.as_bytes()), rpm(other.as_bytes(), one.as_bytes()).reverse());
        }
    }
}
