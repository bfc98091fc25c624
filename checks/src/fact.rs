//! A fact is known, absent, or unknown with the reason; "could not read" never becomes "not set".

use std::fmt;

/// What is known of one thing on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    /// It was read and understood.
    Known(T),
    /// It was looked for and is not there.
    Absent,
    /// It could not be read or understood.
    Unknown(Why),
}

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// The kernel refused: no permission.
    Denied,
    /// Larger than what hostward reads of such a file; the limit in bytes.
    TooLarge(u64),
    /// Not a regular file or directory where one was wanted; what it is instead.
    WrongKind(&'static str),
    /// More symbolic links than the kernel would follow.
    LinkLoop,
    /// On a file system that may hang (network, FUSE, autofs); its type.
    Foreign(String),
    /// Changed while it was being read, repeatedly.
    Unstable,
    /// Took longer than its budget.
    TimedOut,
    /// Not asked, because this run does not look there; the reason in words.
    NotAsked(&'static str),
    /// Contains something that hostward does not understand and that could hide something.
    Defect(String),
    /// Any other failure, in words.
    Failed(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("permission denied"),
            Self::TooLarge(limit) => write!(f, "larger than {limit} bytes"),
            Self::WrongKind(kind) => write!(f, "is a {kind}"),
            Self::LinkLoop => f.write_str("too many levels of symbolic links"),
            Self::Foreign(kind) => write!(f, "on a {kind} file system, which may hang"),
            Self::Unstable => f.write_str("kept changing while it was read"),
            Self::TimedOut => f.write_str("timed out"),
            Self::NotAsked(reason) => f.write_str(reason),
            Self::Defect(what) | Self::Failed(what) => f.write_str(what),
        }
    }
}

impl<T> Fact<T> {
    /// The value, where it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unknown(_) => None,
        }
    }

    /// Why it is unknown, where it is.
    pub fn why(&self) -> Option<&Why> {
        match self {
            Self::Unknown(why) => Some(why),
            Self::Known(_) | Self::Absent => None,
        }
    }

    /// The same fact about something derived from the value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Self::Known(value) => Fact::Known(f(value)),
            Self::Absent => Fact::Absent,
            Self::Unknown(why) => Fact::Unknown(why),
        }
    }

    /// The same fact, borrowed.
    pub fn as_ref(&self) -> Fact<&T> {
        match self {
            Self::Known(value) => Fact::Known(value),
            Self::Absent => Fact::Absent,
            Self::Unknown(why) => Fact::Unknown(why.clone()),
        }
    }
}
