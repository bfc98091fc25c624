//! The two tiers of the tests: the same tests at two sample sizes.

/// How much of everything is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// The ordinary run, also of `cargo test`: minutes.
    Quick,
    /// `tests/run --long`: the full figures, hours.
    Long,
}

impl Tier {
    /// The tier of this run: `HOSTWARD_TIER`, quick where it is not set.
    #[must_use]
    pub fn current() -> Self {
        if std::env::var_os("HOSTWARD_TIER").is_some_and(|tier| tier == "long") { Self::Long } else { Self::Quick }
    }

    /// `quick` or `long`, whichever this tier asks for.
    #[must_use]
    pub fn pick<T>(self, quick: T, long: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Long => long,
        }
    }
}
