//! Everything that the files of a host say, parsed: the facts that checks judge.

use crate::observation::Observations;
use crate::snapshot::{Need, Reader, Snapshot};

pub mod accounts;
pub mod os;

/// The facts of one host.
#[derive(Clone, Debug)]
pub struct Host {
    /// What distribution it is.
    pub os: os::Os,
    /// Accounts and groups.
    pub accounts: accounts::Accounts,
}

impl Host {
    /// Parses what is recorded. The second value is what is still needed; while it is not empty the facts are
    /// provisional, and the caller records the needs and calls again.
    pub fn read(snapshot: &Snapshot, seen: &Observations) -> (Self, Need) {
        let reader = Reader::new(snapshot);
        let host = Self { os: os::Os::read(&reader), accounts: accounts::Accounts::read(&reader) };
        let _ = seen;
        (host, reader.need())
    }
}
