//! What stands at a path: opened without waiting, judged by descriptor, and read whole.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use anyhow::Context;
use hostward_checks::effect::Owner;
use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::{Dir, refused, xattr};

/// The most bytes of a file that is changed, as everywhere.
const LIMIT: u64 = 16 << 20;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Absent,
    /// A regular file.
    File {
        /// Whose it is.
        owner: Owner,
        /// SHA-256 of its content, in hexadecimal.
        sha256: String,
        /// Whether this is its only name.
        alone: bool,
    },
    /// A directory.
    Dir {
        /// Whose it is.
        owner: Owner,
    },
    /// Something else: its noun.
    Other(&'static str),
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Standing {
    /// Whose it is; None where there is nothing, or nothing that is looked at.
    pub fn owner(&self) -> Option<Owner> {
        match self {
            Self::File { owner, .. } | Self::Dir { owner } => Some(*owner),
            Self::Absent | Self::Other(_) => None,
        }
    }
}

/// A node that was opened, and what it is.
#[derive(Debug)]
pub struct Node {
    /// Open for reading; None where nothing stands, or nothing that is opened.
    pub fd: Option<OwnedFd>,
    /// What it is.
    pub standing: Standing,
    /// Its attributes.
    pub xattrs: Vec<xattr::Xattr>,
    /// What tells whether it was changed since.
    pub seen: Option<Seen>,
}

/// What a change of a node changes: size, times, names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    size: i64,
    changed: (i64, i128),
    written: (i64, i128),
}

/// What a later look is compared with.
pub fn seen(stat: &Stat) -> Seen {
    Seen {
        size: stat.st_size,
        changed: (stat.st_ctime, i128::from(stat.st_ctime_nsec)),
        written: (stat.st_mtime, i128::from(stat.st_mtime_nsec)),
    }
}

/// Looks at a name in a directory. Nothing but a regular file or a directory is opened, and nothing is waited for.
///
/// # Errors
/// It cannot be read, or is another one from one moment to the next.
pub fn look(dir: &Dir, name: &OsStr) -> anyhow::Result<Node> {
    let path = dir.path().join(name);
    let context = || format!("failed to look at {}", path.display());
    let none = |standing| Ok(Node { fd: None, standing, xattrs: Vec::new(), seen: None });
    let pinned = match dir.open(name, OFlags::PATH) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return none(Standing::Absent),
        Err(Errno::XDEV) => return Err(refused(format!("{} is a mount point in a user's directory", path.display()))),
        Err(error) => return Err(error).with_context(context),
    };
    let first = rustix::fs::fstat(&pinned).with_context(context)?;
    let kind = FileType::from_raw_mode(first.st_mode);
    let flags = match kind {
        FileType::RegularFile => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
        FileType::Directory => OFlags::RDONLY | OFlags::DIRECTORY,
        FileType::Symlink => return none(Standing::Other("link")),
        FileType::Fifo => return none(Standing::Other("named pipe")),
        FileType::Socket => return none(Standing::Other("socket")),
        _ => return none(Standing::Other("device")),
    };
    let fd = dir.open_ourselves(name, flags).with_context(context)?;
    let now = rustix::fs::fstat(&fd).with_context(context)?;
    if !same(&first, &now) {
        return Err(refused(format!("{} is being changed at this moment: try again", path.display())));
    }
    let xattrs = xattr::read(&fd).with_context(context)?;
    let owner = owner(&now);
    if kind == FileType::Directory {
        return Ok(Node { fd: Some(fd), standing: Standing::Dir { owner }, xattrs, seen: Some(seen(&now)) });
    }
    let mut content = Vec::new();
    let mut file = File::from(fd);
    Read::by_ref(&mut file).take(LIMIT + 1).read_to_end(&mut content).with_context(context)?;
    if content.len() as u64 > LIMIT {
        return Err(refused(format!("{} is larger than {LIMIT} bytes", path.display())));
    }
    let standing = Standing::File { owner, sha256: digest(&content), alone: now.st_nlink == 1 };
    Ok(Node { fd: Some(file.into()), standing, xattrs, seen: Some(seen(&now)) })
}

/// Whether two looks saw the same node.
pub fn same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// Owner and mode of a node.
fn owner(stat: &Stat) -> Owner {
    Owner { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode & 0o7777 }
}
