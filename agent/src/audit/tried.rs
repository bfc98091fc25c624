//! How far a hash is tried.

use hostward_checks::observation::password::Rank;
use serde::{Deserialize, Serialize};

/// How far one hash is tried with one list of candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tried {
    /// So many from the beginning do not fit.
    pub(super) count: u64,
    /// That is all of them.
    pub(super) all: bool,
    /// One of them fits. Which one would be the password: it is not kept, and nor is how many do not.
    pub(super) found: Option<Found>,
}

/// [`Rank`], as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Found {
    First1000,
    Guessable,
    WordList,
}

impl From<Rank> for Found {
    fn from(rank: Rank) -> Self {
        match rank {
            Rank::First1000 => Self::First1000,
            Rank::Guessable => Self::Guessable,
            Rank::WordList => Self::WordList,
        }
    }
}

impl From<Found> for Rank {
    fn from(found: Found) -> Self {
        match found {
            Found::First1000 => Self::First1000,
            Found::Guessable => Self::Guessable,
            Found::WordList => Self::WordList,
        }
    }
}

impl Tried {
    /// What two audits know together.
    pub(super) fn and(self, other: Self) -> Self {
        match (self.found, other.found) {
            (Some(_), _) => self,
            (None, Some(_)) => other,
            (None, None) => Self { count: self.count.max(other.count), all: self.all || other.all, found: None },
        }
    }
}
