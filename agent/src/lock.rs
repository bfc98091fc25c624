//! One lock for the host: scans share it, a fix takes it alone.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::stat::Mode;

use crate::exit_code::{Ends, ExitCode};

/// Where the lock stands: gone with every boot.
pub const PATH: &str = "/run/hostward.lock";
/// How long a busy lock is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A held lock; dropped with the value, and by the kernel with the process.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its drop")] Flock<File>);

/// Takes the scan's share of the lock. None where this user cannot have one (not root): such a scan changes no state.
pub fn share(path: &Path) -> anyhow::Result<Option<Lock>> {
    take(path, FlockArg::LockSharedNonblock, PATIENCE)
}

/// Where the lock of those who change the host stands, for a lock of scans.
fn writers(path: &Path) -> PathBuf {
    path.with_extension("fix.lock")
}

/// Takes the lock alone, to be held as long as all of what is returned: waits for whoever changes the host, and for every scan.
///
/// # Errors
/// Exit code 75: it is still held after 30 s. Else it cannot be had at all.
pub fn alone(path: &Path) -> anyhow::Result<Vec<Lock>> {
    let writer = writer(path, PATIENCE)?;
    let scans = take(path, FlockArg::LockExclusiveNonblock, PATIENCE)?;
    Ok([writer].into_iter().chain(scans).collect())
}

fn writer(path: &Path, patience: Duration) -> anyhow::Result<Lock> {
    let lock = take(&writers(path), FlockArg::LockExclusiveNonblock, patience)?;
    lock.with_context(|| format!("failed to lock {}: run it as root", path.display()))
}

/// Takes the lock alone for what must be undone now: waits for whoever changes the host, and for no scan. One that
/// tries passwords for minutes is not to keep a fix past its deadline, and reads what it has read.
///
/// # Errors
/// Exit code 75: somebody else has been changing the host for longer than any change takes. Else it cannot be had at all.
pub fn at_once(path: &Path) -> anyhow::Result<Vec<Lock>> {
    const CHANGE: Duration = Duration::from_secs(300);
    let writer = writer(path, CHANGE)?;
    let scans = take(path, FlockArg::LockExclusiveNonblock, Duration::ZERO).ok().flatten();
    Ok([writer].into_iter().chain(scans).collect())
}

/// Takes a directory alone: one run of hostward changes an image at a time.
///
/// # Errors
/// As [`alone`].
pub fn directory(dir: impl AsFd, path: &Path) -> anyhow::Result<Lock> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let context = || format!("failed to lock {}", path.display());
    let fd = nix::fcntl::openat(dir, ".", flags, Mode::empty()).with_context(context)?;
    held(File::from(fd), path, FlockArg::LockExclusiveNonblock, PATIENCE)?.with_context(context)
}

/// Whether somebody holds a directory alone; None: its file system has no locks.
pub fn is_held(dir: impl AsFd) -> Option<bool> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let fd = nix::fcntl::openat(dir, ".", flags, Mode::empty()).ok()?;
    // Shared, so that two who ask are not in each other's way.
    match Flock::lock(File::from(fd), FlockArg::LockSharedNonblock) {
        Ok(_) => Some(false),
        Err((_, Errno::EAGAIN)) => Some(true),
        Err(_) => None,
    }
}

fn take(path: &Path, how: FlockArg, patience: Duration) -> anyhow::Result<Option<Lock>> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(nix::libc::O_NOFOLLOW);
    // A unit that cannot write /run can still open it to read, and locks it as well.
    let reading = || std::fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path);
    let Ok(file) = options.open(path).or_else(|_| reading()) else { return Ok(None) };
    held(file, path, how, patience)
}

fn held(mut file: File, path: &Path, how: FlockArg, patience: Duration) -> anyhow::Result<Option<Lock>> {
    let until = Instant::now() + patience;
    loop {
        match Flock::lock(file, how) {
            Ok(lock) => return Ok(Some(Lock(lock))),
            Err((back, Errno::EAGAIN | Errno::EINTR)) if Instant::now() < until => {
                file = back;
                std::thread::sleep(Duration::from_millis(50));
            }
            Err((_, Errno::EAGAIN | Errno::EINTR)) => {
                let message = format!(
                    "{} is held by another run of hostward: wait for it to end, then try again",
                    path.display()
                );
                return Err(Ends::with(ExitCode::Busy, message));
            }
            // A file system without locks: nothing to wait for.
            Err(_) => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_share_and_wait_for_who_holds_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = share(&path).unwrap();
        let second = share(&path).unwrap();
        assert!(first.is_some() && second.is_some());
        drop((first, second));
        let alone = take(&path, FlockArg::LockExclusiveNonblock, Duration::ZERO).unwrap();
        let error = take(&path, FlockArg::LockSharedNonblock, Duration::ZERO).unwrap_err();
        assert_eq!(error.downcast_ref::<Ends>().unwrap().code, ExitCode::Busy);
        drop(alone);
        let open = || std::fs::File::open(dir.path()).unwrap();
        assert_eq!(is_held(open()), Some(false));
        let first = directory(open(), dir.path()).unwrap();
        assert_eq!((is_held(open()), is_held(open())), (Some(true), Some(true)));
        let second = std::fs::File::open(dir.path()).unwrap();
        let error = held(second, dir.path(), FlockArg::LockExclusiveNonblock, Duration::ZERO).unwrap_err();
        assert_eq!(error.downcast_ref::<Ends>().unwrap().code, ExitCode::Busy);
        drop(first);
        directory(std::fs::File::open(dir.path()).unwrap(), dir.path()).unwrap();
        assert!(share(&path).unwrap().is_some());
        assert!(share(Path::new("/nonexistent/lock")).unwrap().is_none());
    }

    #[test]
    fn what_must_be_undone_does_not_wait_for_a_scan() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let scan = share(&path).unwrap();
        let begun = Instant::now();
        let undoing = at_once(&path).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5));
        let other = take(&writers(&path), FlockArg::LockExclusiveNonblock, Duration::ZERO);
        assert!(other.is_err(), "one at a time changes the host");
        drop((scan, undoing));
        let alone = alone(&path).unwrap();
        assert!(take(&path, FlockArg::LockSharedNonblock, Duration::ZERO).is_err());
        drop(alone);
        assert!(share(&path).unwrap().is_some());
    }
}
