//! The way to a path for those who write: directories entered one by one by descriptor, no link followed, and below a directory
//! that is not root's only with its owner's rights.
//!
//! Who races with links, pipes and directory swaps below their own home gains nothing outside it: names are looked up,
//! made, renamed and removed there with that user's rights, so the kernel refuses what the user could not do.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::exit_code::{Ends, ExitCode};
use crate::root::Root;

mod rights;
mod standing;
pub mod xattr;

pub use rights::User;
pub use standing::{Node, Seen, Standing, digest, look, same, seen};

/// A root directory for those who write.
#[derive(Debug)]
pub struct Tree {
    root: Root,
    /// Our own user: root, but for an image that belongs to whoever builds it.
    me: u32,
}

/// A directory that was entered.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    /// Its path in the root.
    path: PathBuf,
    user: Option<User>,
}

/// A path that is not as it was planned, or that must not be written: exit code 3, nothing of it touched.
pub fn refused(message: impl Into<String>) -> anyhow::Error {
    Ends::with(ExitCode::Refused, message)
}

/// An error before anything was written: what is gone by now makes the plan stale, which is no fault of ours.
pub fn stale(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<Errno>() {
        Some(&(Errno::NOENT | Errno::ACCESS)) => refused(format!("{error:#}: it has changed, run fix again")),
        _ => error,
    }
}

impl Tree {
    /// Opens a root directory: `/` for the live host.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(Self { root: Root::open(path)?, me: nix::unistd::geteuid().as_raw() })
    }

    /// Whether this is the running system.
    pub fn is_live(&self) -> bool {
        self.root.is_live()
    }

    /// The directory it was opened as.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// The user we are.
    pub fn me(&self) -> u32 {
        self.me
    }

    /// Whether the kernel keeps users from making names for files of others (`fs.protected_hardlinks`).
    pub fn links_are_protected(&self) -> bool {
        std::fs::read("/proc/sys/fs/protected_hardlinks").is_ok_and(|value| value.trim_ascii() != b"0")
    }

    /// The root directory itself.
    ///
    /// # Errors
    /// It cannot be opened again, or others can write it.
    pub fn top(&self) -> anyhow::Result<Dir> {
        let fd = rustix::fs::openat(self.root.top(), ".", PASS, Mode::empty())
            .with_context(|| format!("failed to open root {}", self.path().display()))?;
        let top = self.judge(fd, PathBuf::from("/"), None, false)?;
        if let Some(user) = top.user {
            let message = format!(
                "{} belongs to user {}, who could put something else in its place: chown it to root first",
                self.path().display(),
                user.uid
            );
            return Err(refused(message));
        }
        Ok(top)
    }

    /// Enters a directory of the root.
    ///
    /// # Errors
    /// A component is not there, is no directory, may hang in the kernel, or can be changed by others than its owner.
    pub fn dir(&self, path: &Path) -> anyhow::Result<Dir> {
        let mut here = self.top()?;
        for name in names(path) {
            here = self.enter(&here, name)?;
        }
        Ok(here)
    }

    /// Enters the directory of a path; the path's last name with it.
    ///
    /// # Errors
    /// As [`Tree::dir`]; or the path has no name.
    pub fn parent<'p>(&self, path: &'p Path) -> anyhow::Result<(Dir, &'p OsStr)> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(refused(format!("{} is no path of a file", path.display())));
        };
        Ok((self.dir(parent)?, name))
    }

    /// The same for taking the last name away, which follows nothing and trusts nothing that is there: also in directories where
    /// others write (/tmp, a group's spool).
    ///
    /// # Errors
    /// As [`Tree::parent`], but for such directories.
    pub fn parent_of_erased<'p>(&self, path: &'p Path) -> anyhow::Result<(Dir, &'p OsStr)> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(refused(format!("{} is no path of a file", path.display())));
        };
        let mut here = self.top()?;
        for part in names(parent) {
            here = self.go(&here, part, true)?;
        }
        Ok((here, name))
    }

    /// Whether a user other than us decides what stands at a path.
    pub fn is_users(&self, path: &Path) -> bool {
        let Ok(mut here) = self.top() else { return false };
        for name in path.parent().into_iter().flat_map(names) {
            match self.enter(&here, name) {
                Ok(dir) => here = dir,
                Err(_) => break,
            }
        }
        here.user.is_some()
    }

    /// Enters a directory in a directory.
    ///
    /// # Errors
    /// As [`Tree::dir`].
    pub fn enter(&self, dir: &Dir, name: &OsStr) -> anyhow::Result<Dir> {
        self.go(dir, name, false)
    }

    fn go(&self, dir: &Dir, name: &OsStr, shared: bool) -> anyhow::Result<Dir> {
        let path = dir.path.join(name);
        if let Some(kind) = self.root.foreign().kind(&path) {
            return Err(refused(format!("{} is on a file system of type {kind}, which may hang", path.display())));
        }
        let fd = dir.open(name, PASS).map_err(|error| entering(error, &path))?;
        self.judge(fd, path, dir.user, shared)
    }

    fn judge(&self, fd: OwnedFd, path: PathBuf, user: Option<User>, shared: bool) -> anyhow::Result<Dir> {
        let stat = rustix::fs::fstat(&fd).with_context(|| format!("failed to look at {}", path.display()))?;
        let (owner, group, mode) = (stat.st_uid, stat.st_gid, stat.st_mode);
        let user = match user {
            Some(user) if owner != user.uid && owner != 0 => {
                let why = "it belongs to neither root nor the owner of the directories above it";
                return Err(refused(format!("{} is not entered: {why}", path.display())));
            }
            Some(user) => Some(user),
            None if owner == self.me || owner == 0 => None,
            None if self.me == 0 => Some(User { uid: owner, gid: group }),
            None => {
                return Err(refused(format!("{} belongs to somebody else: run this as root", path.display())));
            }
        };
        // A user's own directory is written with that user's rights, whoever else may write there.
        if user.is_none() && others_write(group, mode) && !shared {
            let why = "others than its owner can change what is in it; mend that first";
            return Err(refused(format!("{} is not entered: {why}", path.display())));
        }
        Ok(Dir { fd, path, user })
    }
}

/// Whether others than the owner can put something else into a directory.
pub fn others_write(group: u32, mode: u32) -> bool {
    mode & 0o002 != 0 || (mode & 0o020 != 0 && group != 0)
}

/// Looking up names only.
const PASS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How a user's directory is passed through where the kernel has openat2(2): a user may mount a file system of their own making
/// below their home; whoever looks into it may wait forever.
const CONFINED: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);

/// Whether openat2(2) is there: not before Linux 5.6, nor behind a seccomp filter that does not know it.
pub fn has_openat2() -> bool {
    let opened = rustix::fs::openat2(rustix::fs::CWD, ".", PASS, Mode::empty(), CONFINED);
    !matches!(opened, Err(Errno::NOSYS | Errno::PERM))
}

fn names(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    })
}

fn entering(error: Errno, path: &Path) -> anyhow::Error {
    let what = match error {
        Errno::LOOP | Errno::NOTDIR => "it is a link or no directory",
        Errno::XDEV => "it is a mount point in a user's directory",
        other => return anyhow::Error::from(other).context(format!("failed to enter {}", path.display())),
    };
    refused(format!("{} is not entered: {what}", path.display()))
}

impl Dir {
    /// Its path in the root.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose rights are used in it; None: our own.
    pub fn user(&self) -> Option<User> {
        self.user
    }

    /// Opens a name in it without following a link; in a user's directory no mount point either, and with the user's rights.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(&self, name: impl AsRef<OsStr>, flags: OFlags) -> Result<OwnedFd, Errno> {
        let (name, flags) = (name.as_ref(), flags | OFlags::NOFOLLOW | OFlags::CLOEXEC);
        rights::with(self.user, || self.open_as_we_are(name, flags))
    }

    /// [`Dir::open`] with our own rights: for a node that was judged by descriptor before, and is judged again afterwards.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open_ourselves(&self, name: impl AsRef<OsStr>, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.open_as_we_are(name.as_ref(), flags | OFlags::NOFOLLOW | OFlags::CLOEXEC)
    }

    fn open_as_we_are(&self, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        let mode = if flags.contains(OFlags::CREATE) { Mode::RUSR | Mode::WUSR } else { Mode::empty() };
        if self.user.is_some() {
            match rustix::fs::openat2(&self.fd, name, flags, mode, CONFINED) {
                // See [`has_openat2`].
                Err(Errno::NOSYS | Errno::PERM) => {}
                answer => return answer,
            }
        }
        rustix::fs::openat(&self.fd, name, flags, mode)
    }

    /// What stands at a name, without following a link; None: nothing.
    ///
    /// # Errors
    /// The kernel's.
    pub fn stat(&self, name: impl AsRef<OsStr>) -> Result<Option<Stat>, Errno> {
        match self.open(name, OFlags::PATH) {
            Ok(fd) => rustix::fs::fstat(&fd).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a directory in it that only its owner may enter.
    ///
    /// # Errors
    /// The kernel's.
    pub fn make(&self, name: impl AsRef<OsStr>) -> Result<(), Errno> {
        rights::with(self.user, || rustix::fs::mkdirat(&self.fd, name.as_ref(), Mode::RWXU))
    }

    /// Renames within it. Where nothing may be replaced, the kernel makes sure of it if it can.
    ///
    /// # Errors
    /// The kernel's.
    pub fn rename(&self, from: &OsStr, to: &OsStr, replace: bool) -> Result<(), Errno> {
        rights::with(self.user, || {
            if !replace {
                match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
                    // Linux before 3.15, or a file system that cannot.
                    Err(Errno::NOSYS | Errno::INVAL) => {}
                    answer => return answer,
                }
                if rustix::fs::statat(&self.fd, to, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                    return Err(Errno::EXIST);
                }
            }
            rustix::fs::renameat(&self.fd, from, &self.fd, to)
        })
    }

    /// Takes a file away.
    ///
    /// # Errors
    /// The kernel's.
    pub fn unlink(&self, name: impl AsRef<OsStr>) -> Result<(), Errno> {
        rights::with(self.user, || rustix::fs::unlinkat(&self.fd, name.as_ref(), AtFlags::empty()))
    }

    /// Takes an empty directory away.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> Result<(), Errno> {
        rights::with(self.user, || rustix::fs::unlinkat(&self.fd, name.as_ref(), AtFlags::REMOVEDIR))
    }

    /// Waits until its names are on disk.
    ///
    /// # Errors
    /// The kernel's.
    pub fn sync(&self) -> Result<(), Errno> {
        rustix::fs::fsync(self.readable()?)
    }

    /// The names in it, but for `.` and `..`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn names(&self) -> Result<Vec<std::ffi::OsString>, Errno> {
        use std::os::unix::ffi::OsStringExt;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(self.readable()?)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(std::ffi::OsString::from_vec(name));
            }
        }
        names.sort();
        Ok(names)
    }

    /// The same directory, open for reading. The descriptor names it, so there is nothing to race with.
    ///
    /// # Errors
    /// The kernel's.
    pub fn readable(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, ".", flags, Mode::empty())
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests;
