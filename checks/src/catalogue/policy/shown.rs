//! What the tests show of the check of hostward's own policy.
#![cfg(test)]

use super::waivers;
use crate::catalogue::shown::{Drawn, Shown};
use crate::check::Profile;
use crate::observation::{Observations, UnixSeconds};
use crate::policy::{Policy, Waiver};
use crate::snapshot::{Sketch, Snapshot};

/// A policy with one waiver that ends then, looked at now.
pub(super) struct Waived {
    pub(super) expires: Option<UnixSeconds>,
    pub(super) now: UnixSeconds,
}

impl Drawn for Waived {
    fn snapshot(&self) -> Snapshot {
        Sketch::new().snapshot()
    }

    fn seen(&self) -> Observations {
        Observations::offline(self.now)
    }

    fn policy(&self) -> Policy {
        let (check, subject, reason) = ("keys.weak".to_owned(), Some("key:x".to_owned()), "OPS-1".to_owned());
        let waivers = vec![Waiver { check, subject, reason, expires: self.expires }];
        Policy { waivers, ..Policy::builtin(Profile::Enhanced) }
    }
}

/// One row for the check.
pub(crate) fn rows() -> Vec<Shown> {
    let at = |now| Waived { expires: Some(86_400), now };
    let (before, after) = (at(0), at(86_400));
    let row = Shown::of(&waivers::CHECK, &before, &after, &after);
    vec![Shown {
        unknown: Err("a policy that cannot be read is refused as a whole, and the clock always tells"),
        ..row
    }]
}
