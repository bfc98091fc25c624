//! What a host would carry into an image made of it: secrets, its own identity, and what was done on it.
//!
//! Looked for only where a check of images reads it ([`Observations::image`](crate::observation::Observations::image)): a whole tree
//! of logs is nothing to record for anybody else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::accounts::Accounts;
use crate::fact::Why;
use crate::snapshot::Reader;

mod places;
mod walk;

pub use places::{GENERATE_NAME, INITIATOR_NAME};
use walk::Finder;

/// What was found, and where could not be looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// What lies there, in the order in which it is looked for; what is in a directory before the directory.
    pub found: Vec<Leftover>,
    /// What could not be read, or not to its end.
    pub unread: Vec<(What, PathBuf, Why)>,
}

/// Something that does not belong into an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub what: What,
    /// Where it stands; no link leads there.
    pub path: PathBuf,
    /// The directory that was looked through.
    pub within: PathBuf,
    /// What should be there instead.
    pub becomes: Becomes,
}

/// What a leftover is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A file with password hashes beside the account files: a backup, or the passwords that are not to be used again.
    Hashes,
    /// The private half of a host key.
    HostKey,
    /// A public half of a host key, or a certificate for one.
    HostKeyPublic,
    /// The machine id.
    MachineId,
    /// What random numbers begin with.
    Seed,
    /// What this host encrypts secrets with.
    HostSecret,
    /// A lease of DHCP, or what a host tells itself apart with there.
    Lease,
    /// The name that iSCSI's servers know this host by.
    InitiatorName,
    /// What cloud-init remembers of the instance that it prepared.
    CloudInit,
    /// What somebody typed.
    History,
    /// A log.
    Log,
    /// Mail.
    Mail,
    /// The memory of a program that crashed.
    Dump,
    /// A stored login for another service.
    Login,
    /// Something that an installer or a tool that builds images has left.
    Build,
    /// A file in a directory for temporary files.
    Temporary,
    /// What hostward knows about the host: which passwords are weak, what it changed.
    Own,
}

/// What should be where a leftover is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// Nothing: it is made when it is needed.
    Nothing,
    /// An empty file: programs count on it, with its owner and mode.
    Empty,
    /// Nothing: it is a directory that is empty then.
    NoDirectory,
    /// A line of [`GENERATE_NAME`].
    GenerateName,
    /// Nothing here makes it anew: it stays, and is told.
    Stays,
}

impl Image {
    /// Looks everywhere.
    pub fn read(reader: &Reader<'_>, accounts: &Accounts) -> Self {
        let mut finder = Finder::new(reader);
        places::credentials(&mut finder);
        places::identity(&mut finder);
        places::traces(&mut finder);
        for home in homes(accounts) {
            places::home(&mut finder, home);
        }
        places::own(&mut finder);
        // Last, for they may be large: what they use up of the limits nothing else lacks.
        for home in homes(accounts) {
            places::caches(&mut finder, home);
        }
        finder.end()
    }

    /// What was found of this kind.
    pub fn of(&self, what: What) -> impl Iterator<Item = &Leftover> {
        self.found.iter().filter(move |one| one.what == what)
    }
}

/// Every account's home, each once. What the kernel makes up is nobody's home.
fn homes(accounts: &Accounts) -> BTreeSet<&Path> {
    let none = ["/dev", "/proc", "/run", "/sys", "/var/run"];
    let homes = accounts.list().iter().map(|user| user.entry.home.as_path());
    homes
        .filter(|home| home.has_root() && home.parent().is_some() && !none.iter().any(|not| home.starts_with(not)))
        .collect()
}

#[cfg(test)]
mod tests;
