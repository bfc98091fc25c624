//! AccessKeys that lie in files and environments: where, and as much of them as may be shown.

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
    /// The keys in environments of processes that run.
    pub environments: Vec<InEnvironment>,
    /// Why environments were not looked into, or not all of them.
    pub environments_unread: Option<Why>,
}

/// An AccessKey in the environment of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InEnvironment {
    /// Whose environment: a unit, else a program and its user. It stays the same when the process is started anew.
    pub holder: String,
    /// The first process that has it.
    pub pid: i32,
    /// The key. Its lines count variables.
    pub key: AccessKey,
}

/// An AccessKey in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFile {
    /// The file, where it really stands.
    pub path: PathBuf,
    /// The key.
    pub key: AccessKey,
}
