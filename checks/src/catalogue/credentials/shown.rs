//! What the tests show of the check of credentials.
#![cfg(test)]

use std::path::PathBuf;

use super::access_key;
use crate::catalogue::shown::{Drawn, Shown};
use crate::check::Profile;
use crate::fact::{Fact, Why};
use crate::observation::Observations;
use crate::observation::access_key::{AccessKeys, InFile};
use crate::parse::access_key::access_keys;
use crate::policy::Policy;
use crate::snapshot::{Sketch, Snapshot};

/// What was found in the places.
pub(super) struct Searched(pub(super) Fact<AccessKeys>);

impl Drawn for Searched {
    fn snapshot(&self) -> Snapshot {
        Sketch::new().file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n").snapshot()
    }

    fn seen(&self) -> Observations {
        Observations { access_keys: self.0.clone(), ..Observations::offline(0) }
    }

    fn policy(&self) -> Policy {
        Policy::builtin(Profile::Enhanced)
    }
}

/// The keys of files.
pub(super) fn found(files: &[(&str, String)]) -> AccessKeys {
    let in_file = |path: &str, text: &str| -> Vec<InFile> {
        let keys = access_keys(text.as_bytes()).0.into_iter();
        keys.map(|key| InFile { path: PathBuf::from(path), key }).collect()
    };
    let found = files.iter().flat_map(|(path, text)| in_file(path, text)).collect();
    AccessKeys { found, files: files.len() as u64, ..AccessKeys::default() }
}

/// One row for the check.
pub(crate) fn rows() -> Vec<Shown> {
    let id = concat!("LTAI", "5tQ7xKp2VmZs9RwGd3Hc").to_owned();
    let unread = vec![(PathBuf::from("/root/.bash_history"), Why::TooLarge(8))];
    vec![Shown::of(
        &access_key::CHECK,
        &Searched(Fact::Known(AccessKeys::default())),
        &Searched(Fact::Known(found(&[("/root/.ossutilconfig", id)]))),
        &Searched(Fact::Known(AccessKeys { unread, ..AccessKeys::default() })),
    )]
}
