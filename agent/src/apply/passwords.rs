//! The lock of the account files, as `lckpwdf(3)` takes it: `useradd`, `passwd` and friends wait for us, and we for them.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::fs::{FileType, FlockOperation, OFlags};
use rustix::io::Errno;

use crate::transaction::Manifest;
use crate::tree::{Tree, refused};

/// The files it stands for.
const ACCOUNTS: [&str; 4] = ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"];
/// How long `lckpwdf(3)` waits.
const PATIENCE: Duration = Duration::from_secs(15);

/// The lock, where the manifest changes an account file.
#[derive(Debug)]
pub(super) struct Held {
    /// The kernel gives the lock up when this is closed.
    _file: File,
}

/// Whether a path is one of the account files.
pub(super) fn concerns(path: &Path) -> bool {
    ACCOUNTS.iter().any(|account| Path::new(account) == path)
}

/// Takes the lock where the manifest changes an account file.
///
/// # Errors
/// Exit code 3: somebody else holds it for too long; or it cannot be taken.
pub(super) fn lock(tree: &Tree, manifest: &Manifest) -> anyhow::Result<Option<Held>> {
    if !manifest.files().any(|(_, file)| concerns(&file.path)) {
        return Ok(None);
    }
    lock_patiently(tree).map(Some)
}

/// Takes the lock, waiting as long as `lckpwdf(3)` does.
///
/// # Errors
/// As [`lock`].
pub(super) fn lock_patiently(tree: &Tree) -> anyhow::Result<Held> {
    lock_within(tree, PATIENCE)
}

pub(super) fn lock_within(tree: &Tree, patience: Duration) -> anyhow::Result<Held> {
    let dir = tree.dir(Path::new("/etc"))?;
    let context = || "failed to lock /etc/.pwd.lock".to_owned();
    let fd: OwnedFd = dir
        .open(".pwd.lock", OFlags::WRONLY | OFlags::CREATE | OFlags::NONBLOCK | OFlags::NOCTTY)
        .with_context(context)?;
    let stat = rustix::fs::fstat(&fd).with_context(context)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(refused("/etc/.pwd.lock is no regular file"));
    }
    let until = Instant::now() + patience;
    loop {
        match rustix::fs::fcntl_lock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Held { _file: File::from(fd) }),
            Err(Errno::ACCESS | Errno::AGAIN | Errno::INTR) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(Errno::ACCESS | Errno::AGAIN | Errno::INTR) => {
                return Err(refused(format!(
                    "the account files are locked by another program for more than {} s (/etc/.pwd.lock): try again later",
                    patience.as_secs()
                )));
            }
            Err(error) => return Err(error).with_context(context),
        }
    }
}
