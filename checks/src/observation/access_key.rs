//! AccessKeys that lie in files: where, and as much of them as may be shown.

use std::path::PathBuf;

use crate::fact::Why;
use crate::parse::access_key::AccessKey;

/// What the search for AccessKeys found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessKeys {
    /// The keys, file by file.
    pub found: Vec<InFile>,
    /// Files and directories that were not looked into, or not to the end.
    pub unread: Vec<(PathBuf, Why)>,
    /// How many files were read.
    pub files: u64,
}

/// An AccessKey in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFile {
    /// The file, where it really stands.
    pub path: PathBuf,
    /// The key.
    pub key: AccessKey,
}
