//! The one way to a path: the live `/` or an image directory, entered component by component by descriptor.
//!
//! No link is ever followed by the kernel on our behalf: the reader in `checks` resolves links from what was recorded
//! and asks again. So nothing outside the root can be reached, whatever the root holds.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use hostward_checks::fact::Why;
use hostward_checks::snapshot::{Answer, Body, Kind, Marks, Meta, Need, Snapshot, Want, wanted_mark};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};

mod mounts;
mod stream;

pub use mounts::ForeignMounts;

/// The most bytes read of one file.
const FILE_LIMIT: u64 = 16 << 20;
/// The most bytes read of all files: a thousand users cannot fill the memory together.
const TOTAL_LIMIT: u64 = 256 << 20;
/// The most names read of one directory.
const NAMES_LIMIT: usize = 100_000;
/// The longest string kept of a program's binary.
const MARK_LIMIT: usize = 8 << 10;
/// Nothing shorter is a mark: most of a program's bytes are looked at once and left.
const MARK_LEAST: usize = 3;

/// A root directory, entered once.
#[derive(Debug)]
pub struct Root {
    top: OwnedFd,
    path: PathBuf,
    foreign: ForeignMounts,
}

/// Directories entered on the way to the last path: the next path starts where they part.
#[derive(Debug, Default)]
struct Trail(Vec<(PathBuf, OwnedFd)>);

impl Root {
    /// Opens a root directory: `/` for the live host.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let top = nix::fcntl::open(path, flags, Mode::empty())
            .with_context(|| format!("failed to open root {}", path.display()))?;
        let real = std::fs::canonicalize(path).with_context(|| format!("failed to open root {}", path.display()))?;
        // The root of another mount namespace (/proc/PID/root) reads as a link to `/` and is another directory.
        let id = |stat: &nix::sys::stat::FileStat| (stat.st_dev, stat.st_ino);
        let same = nix::sys::stat::stat(&real)
            .is_ok_and(|named| nix::sys::stat::fstat(&top).is_ok_and(|opened| id(&named) == id(&opened)));
        let opened = if same { real } else { path.to_path_buf() };
        let foreign = ForeignMounts::below(&opened, path);
        Ok(Self { top, path: opened, foreign })
    }

    /// Whether this is the running system.
    pub fn is_live(&self) -> bool {
        self.path == Path::new("/")
    }

    /// The directory it was opened as.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory itself, open for looking up names.
    pub fn top(&self) -> BorrowedFd<'_> {
        self.top.as_fd()
    }

    /// Whether something is mounted at this path of the root: over a single file, say, as containers have it.
    pub fn is_mount_point(&self, path: &Path) -> bool {
        let inside = path.strip_prefix("/").unwrap_or(path);
        ForeignMounts::is_point(&self.path.join(inside))
    }

    /// Mount points below the root that may hang and are not entered.
    pub fn foreign(&self) -> &ForeignMounts {
        &self.foreign
    }

    /// Answers every need into the snapshot.
    pub fn answer(&self, need: &Need, snapshot: &mut Snapshot, budget: &mut Budget) {
        let mut trail = Trail::default();
        for (path, wants) in need {
            self.answer_one(path, wants, snapshot, budget, &mut trail);
        }
    }

    fn answer_one(&self, path: &Path, wants: &[Want], out: &mut Snapshot, budget: &mut Budget, trail: &mut Trail) {
        let names: Vec<&OsStr> = path
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => Some(name),
                _ => None,
            })
            .collect();
        if names.is_empty() || out.get(Path::new("/")).is_none() {
            let answer = self.look(
                self.top.as_fd(),
                OsStr::new("."),
                Path::new("/"),
                if names.is_empty() { wants } else { &[] },
                budget,
            );
            out.put(PathBuf::from("/"), answer);
        }
        // Go back to where this path and the last one part.
        let kept = trail.0.iter().zip(&names).take_while(|((known, _), name)| known.file_name() == Some(name)).count();
        trail.0.truncate(kept.min(names.len().saturating_sub(1)));
        let mut here: PathBuf = trail.0.last().map_or_else(|| PathBuf::from("/"), |(path, _)| path.clone());
        for (index, name) in names.iter().enumerate().skip(trail.0.len()) {
            let dir = trail.0.last().map_or_else(|| self.top.as_fd(), |(_, fd)| fd.as_fd());
            here.push(name);
            if let Some(kind) = self.foreign.kind(&here) {
                out.put(here, Answer::Unreadable(Why::Foreign(kind.to_owned())));
                return;
            }
            let last = index + 1 == names.len();
            let answer = self.look(dir, name, &here, if last { wants } else { &[] }, budget);
            let go_on = !last && matches!(&answer, Answer::Node { meta, .. } if meta.kind == Kind::Dir);
            out.put(here.clone(), answer);
            if !go_on {
                return;
            }
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            match openat(dir, *name, flags, Mode::empty()) {
                Ok(fd) => trail.0.push((here.clone(), fd)),
                Err(errno) => {
                    // It was a directory a moment ago: what stands below cannot be told.
                    out.put(here, Answer::Unreadable(why(errno)));
                    return;
                }
            }
        }
    }

    fn look(&self, dir: impl AsFd, name: &OsStr, path: &Path, wants: &[Want], budget: &mut Budget) -> Answer {
        let stat = match fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT) {
            Ok(stat) => stat,
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Answer::Absent,
            Err(errno) => return Answer::Unreadable(why(errno)),
        };
        let meta = meta(&stat);
        let mut body = Body::default();
        if meta.kind == Kind::Link {
            match readlinkat(&dir, name) {
                Ok(target) => body.target = Some(PathBuf::from(target)),
                Err(errno) => return Answer::Unreadable(why(errno)),
            }
        }
        for want in wants {
            match (want, meta.kind) {
                (Want::Names, Kind::Dir) => body.names = Some(names(&dir, name)),
                (Want::Content, Kind::File) => body.content = Some(content(&dir, name, meta, budget)),
                (Want::Marks, Kind::File) => body.marks = Some(marks(&dir, name, meta).map(Arc::new)),
                _ => {}
            }
        }
        let _ = path;
        Answer::Node { meta, body }
    }
}

/// What all files of one recording may cost together.
#[derive(Debug)]
pub struct Budget {
    left: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: TOTAL_LIMIT }
    }
}

fn why(errno: Errno) -> Why {
    match errno {
        Errno::EACCES | Errno::EPERM => Why::Denied,
        Errno::ELOOP => Why::LinkLoop,
        Errno::ENOENT | Errno::ENOTDIR => Why::Unstable,
        other => Why::Failed(other.desc().to_lowercase()),
    }
}

/// Owner, mode and identity, as `stat(2)` tells them.
pub(crate) fn meta(stat: &FileStat) -> Meta {
    let kind = match stat.st_mode & nix::libc::S_IFMT {
        nix::libc::S_IFREG => Kind::File,
        nix::libc::S_IFDIR => Kind::Dir,
        nix::libc::S_IFLNK => Kind::Link,
        nix::libc::S_IFIFO => Kind::Fifo,
        nix::libc::S_IFSOCK => Kind::Socket,
        nix::libc::S_IFCHR => Kind::CharDevice,
        _ => Kind::BlockDevice,
    };
    let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Meta {
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime_ns: nanos(stat.st_mtime, stat.st_mtime_nsec),
        ctime_ns: nanos(stat.st_ctime, stat.st_ctime_nsec),
        id: (stat.st_dev, stat.st_ino),
    }
}

/// Opens a file that was seen to be regular, and makes sure that it still is the same one.
fn open_regular(dir: impl AsFd, name: &OsStr, seen: Meta) -> Result<std::fs::File, Why> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let fd = openat(dir, name, flags, Mode::empty()).map_err(why)?;
    let now = meta(&fstat(&fd).map_err(why)?);
    match now.kind {
        Kind::File if now.id == seen.id => Ok(std::fs::File::from(fd)),
        Kind::File => Err(Why::Unstable),
        other => Err(Why::WrongKind(other.noun())),
    }
}

fn content(dir: impl AsFd, name: &OsStr, seen: Meta, budget: &mut Budget) -> Result<Arc<[u8]>, Why> {
    if seen.size > FILE_LIMIT {
        return Err(Why::TooLarge(FILE_LIMIT));
    }
    for _ in 0..3 {
        let mut file = open_regular(&dir, name, seen)?;
        let before = fstat(&file).map_err(why)?;
        let limit = FILE_LIMIT.min(budget.left);
        let mut bytes = Vec::with_capacity(usize::try_from(seen.size.min(limit)).unwrap_or(0).saturating_add(1));
        Read::by_ref(&mut file).take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > limit {
            return Err(Why::TooLarge(limit));
        }
        let after = fstat(&file).map_err(why)?;
        if (before.st_mtime, before.st_mtime_nsec, before.st_size)
            == (after.st_mtime, after.st_mtime_nsec, after.st_size)
        {
            budget.left = budget.left.saturating_sub(bytes.len() as u64);
            return Ok(Arc::from(bytes));
        }
    }
    Err(Why::Unstable)
}

fn failed(error: std::io::Error) -> Why {
    error.raw_os_error().map_or_else(|| Why::Failed(error.to_string()), |code| why(Errno::from_raw(code)))
}

fn names(dir: impl AsFd, name: &OsStr) -> Result<Arc<[PathBuf]>, Why> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = openat(dir, name, flags, Mode::empty()).map_err(why)?;
    let mut listing = Dir::from_fd(fd).map_err(why)?;
    let mut names = Vec::new();
    for entry in listing.iter() {
        let entry = entry.map_err(why)?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        if names.len() == NAMES_LIMIT {
            return Err(Why::Failed(format!("more than {NAMES_LIMIT} entries")));
        }
        names.push(PathBuf::from(name));
    }
    names.sort();
    Ok(names.into())
}

/// Reads a program once, from front to back, and keeps only the strings that [`wanted_mark`] lets through.
fn marks(dir: impl AsFd, name: &OsStr, seen: Meta) -> Result<Marks, Why> {
    const PROGRAM_LIMIT: u64 = 64 << 20;
    let file = open_regular(dir, name, seen)?;
    let mut file = file.take(PROGRAM_LIMIT);
    let mut kept = HashSet::new();
    let mut strings = Vec::new();
    // What was read and not looked at yet: a chunk, and before it what may be the beginning of a string.
    let mut bytes: Vec<u8> = Vec::with_capacity((64 << 10) + MARK_LIMIT + 1);
    loop {
        if Read::by_ref(&mut file).take(64 << 10).read_to_end(&mut bytes).map_err(failed)? == 0 {
            return Ok(Marks { strings });
        }
        let mut start = 0;
        for end in memchr::memchr_iter(0, &bytes) {
            let before = bytes.get(start..end).unwrap_or_default();
            start = end + 1;
            let length = before.iter().rev().take_while(|byte| matches!(byte, b' '..=b'~')).count();
            if !(MARK_LEAST..=MARK_LIMIT).contains(&length) {
                continue;
            }
            let string = before.get(before.len() - length..).unwrap_or_default();
            if wanted_mark(string) && kept.insert(string.to_vec()) {
                strings.push(String::from_utf8_lossy(string).into_owned());
            }
        }
        // A string that is longer than the limit by a byte is as good as one that is much longer.
        bytes.drain(..start.max(bytes.len().saturating_sub(MARK_LIMIT + 1)));
    }
}

#[cfg(test)]
mod tests;
