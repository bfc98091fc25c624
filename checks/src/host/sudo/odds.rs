//! What a list of sudoers may answer where not everything is known: a set of outcomes instead of one.

use crate::parse::sudoers::{Entry, Member};

/// The outcomes that are possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Odds {
    pub(super) allow: bool,
    pub(super) deny: bool,
    pub(super) skip: bool,
}

impl Odds {
    /// It matches.
    pub(super) const YES: Self = Self { allow: true, deny: false, skip: false };
    /// It does not.
    pub(super) const NO: Self = Self { allow: false, deny: false, skip: true };
    /// It may.
    pub(super) const MAYBE: Self = Self { allow: true, deny: false, skip: true };

    pub(super) fn of(matches: bool) -> Self {
        if matches { Self::YES } else { Self::NO }
    }

    /// Whether it can only be a match.
    pub(super) fn certain(self) -> bool {
        self == Self::YES
    }

    fn negated(self) -> Self {
        Self { allow: self.deny, deny: self.allow, skip: self.skip }
    }
}

/// A list: the last member that matches decides (`match.c`).
pub(super) fn list(entries: &[Entry], mut member: impl FnMut(&Member) -> Odds) -> Odds {
    let mut out = Odds { allow: false, deny: false, skip: true };
    for entry in entries.iter().rev() {
        let odds = member(&entry.member);
        let odds = if entry.negated { odds.negated() } else { odds };
        out.allow |= odds.allow;
        out.deny |= odds.deny;
        if !odds.skip {
            out.skip = false;
            return out;
        }
    }
    out
}
