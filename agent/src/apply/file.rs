//! One path forward or backward: checked, written beside, synced, renamed; or its owner and mode changed by descriptor.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;
use hostward_checks::effect::Owner;
use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use crate::transaction::{FileRecord, Side, Transaction};
use crate::tree::{Dir, Node, Standing, Tree, look, refused, same, xattr};

/// How a path stands to a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// As before it.
    Before,
    /// As after it.
    After,
    /// Half of an owner or mode of ours: what a crash leaves.
    Between,
    /// Somebody else's doing.
    Neither,
}

/// How a path stands to a change.
pub fn settled(file: &FileRecord, standing: &Standing) -> Settled {
    if file.after.is(standing) {
        return Settled::After;
    }
    if file.before.is(standing) {
        return Settled::Before;
    }
    // An owner and a mode are two system calls. A new owner takes set-id bits away.
    let (Some(there), Some(before), Some(after)) = (standing.owner(), file.before.owner(), file.after.owner()) else {
        return Settled::Neither;
    };
    let ids = |owner: Owner| (owner.uid, owner.gid);
    let same_kind = matches!(
        (&file.before, &file.after, standing),
        (Side::File { content: None, .. }, Side::File { content: None, .. }, Standing::File { .. })
            | (Side::Dir { .. }, Side::Dir { .. }, Standing::Dir { .. })
    );
    let modes = [before.mode, after.mode].map(|mode| [mode, mode & 0o3777, mode & 0o1777]);
    let ours =
        same_kind && [ids(before), ids(after)].contains(&ids(there)) && modes.as_flattened().contains(&there.mode);
    if ours { Settled::Between } else { Settled::Neither }
}

/// What a change turns into what.
struct Turn<'a> {
    index: usize,
    path: &'a Path,
    from: &'a Side,
    to: &'a Side,
    /// Whether it is done, not undone.
    forward: bool,
}

fn record(transaction: &Transaction, index: usize) -> anyhow::Result<&FileRecord> {
    let mut files = transaction.manifest().files();
    let found = files.find(|(at, _)| *at == index).map(|(_, file)| file);
    found.with_context(|| format!("effect {index} of transaction {} is no file", transaction.id()))
}

/// Makes sure that a change can be made: the path stands as before it.
///
/// # Errors
/// Exit code 3: it does not.
pub(super) fn check(tree: &Tree, transaction: &Transaction, index: usize) -> anyhow::Result<()> {
    let file = record(transaction, index)?;
    let made = |path: &Path| {
        let mut files = transaction.manifest().files();
        files.any(|(_, other)| {
            other.path == path && matches!((&other.before, &other.after), (Side::Absent, Side::Dir { .. }))
        })
    };
    if file.path.parent().is_some_and(made) {
        return Ok(());
    }
    let (dir, name) = tree.parent(&file.path).map_err(crate::tree::stale)?;
    let node = look(&dir, name).map_err(crate::tree::stale)?;
    file.before.check(&file.path, &node.standing, dir.user().is_some())
}

/// How a path stands now.
///
/// # Errors
/// It cannot be looked at.
pub fn standing(tree: &Tree, file: &FileRecord) -> anyhow::Result<Standing> {
    match file.path.parent().map(|parent| (tree.dir(parent), file.path.file_name())) {
        Some((Ok(dir), Some(name))) => Ok(look(&dir, name)?.standing),
        Some((Err(error), _)) => match error.downcast_ref::<Errno>() {
            // Its directory is one that the plan makes, or somebody took it away.
            Some(&Errno::NOENT) => Ok(Standing::Absent),
            _ => Err(error),
        },
        _ => Err(refused(format!("{} is no path of a file", file.path.display()))),
    }
}

/// Makes a change.
///
/// # Errors
/// The path does not stand as before it, or the system refuses a call.
pub(super) fn forward(tree: &Tree, transaction: &Transaction, index: usize) -> anyhow::Result<()> {
    let file = record(transaction, index)?;
    let turn = Turn { index, path: &file.path, from: &file.before, to: &file.after, forward: true };
    let (dir, name) = tree.parent(&file.path)?;
    let node = look(&dir, name)?;
    turn.from.check(turn.path, &node.standing, dir.user().is_some())?;
    turn.make(tree, transaction, &dir, name, node)
}

/// Undoes a change and removes what a crash left of it. Some: it is neither as before nor as after, and was left alone.
///
/// # Errors
/// The system refuses a call.
pub(super) fn backward(tree: &Tree, transaction: &Transaction, index: usize) -> anyhow::Result<Option<String>> {
    let file = record(transaction, index)?;
    let turn = Turn { index, path: &file.path, from: &file.after, to: &file.before, forward: false };
    let left = || Ok(Some(file.path.display().to_string()));
    let (dir, name) = match tree.parent(&file.path) {
        Ok(entered) => entered,
        // Nothing can be below a directory that was not made.
        Err(error) if error.downcast_ref::<Errno>() == Some(&Errno::NOENT) => {
            return if file.before == Side::Absent { Ok(None) } else { left() };
        }
        // Somebody put something in the way that we do not enter.
        Err(error) if error.downcast_ref::<crate::exit_code::Ends>().is_some() => return left(),
        Err(error) => return Err(error),
    };
    sweep(&dir, &transaction.temporary(index))?;
    let node = match look(&dir, name) {
        Ok(node) => node,
        Err(error) if error.downcast_ref::<crate::exit_code::Ends>().is_some() => return left(),
        Err(error) => return Err(error),
    };
    let several = dir.user().is_some() && matches!(node.standing, Standing::File { alone: false, .. });
    match settled(file, &node.standing) {
        Settled::Before => {
            // Whoever wrote it may have died before it was on disk.
            dir.sync().with_context(|| format!("failed to sync {}", dir.path().display()))?;
            return Ok(None);
        }
        Settled::Neither => return left(),
        _ if several => return left(),
        Settled::After | Settled::Between => {}
    }
    match turn.make(tree, transaction, &dir, name, node) {
        Ok(()) => Ok(None),
        // A directory of ours in which somebody put something.
        Err(error) if error.downcast_ref::<Errno>() == Some(&Errno::NOTEMPTY) => left(),
        Err(error) if error.downcast_ref::<crate::exit_code::Ends>().is_some() => left(),
        Err(error) => Err(error),
    }
}

/// Takes away a temporary file or directory of ours.
fn sweep(dir: &Dir, name: &OsStr) -> anyhow::Result<()> {
    let context = || format!("failed to remove {}", dir.path().join(name).display());
    // Where nothing can be written nothing was left.
    if dir.stat(name).with_context(context)?.is_none() {
        return Ok(());
    }
    match dir.unlink(name) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => dir.remove(name).with_context(context),
        Err(error) => Err(error).with_context(context),
    }
}

impl Turn<'_> {
    fn make(&self, tree: &Tree, transaction: &Transaction, dir: &Dir, name: &OsStr, node: Node) -> anyhow::Result<()> {
        let temporary = transaction.temporary(self.index);
        let done = match (self.to, self.to.owner()) {
            (Side::File { content: Some(_), .. }, Some(owner)) => {
                let content = transaction.content(self.index, self.to, self.forward)?.unwrap_or_default();
                let done = self.write(dir, name, &temporary, owner, &content, &node);
                tidy(dir, &temporary, done)
            }
            (Side::Dir { .. }, Some(owner)) if node.standing == Standing::Absent => {
                let done = self.make_dir(tree, dir, name, &temporary, owner);
                tidy(dir, &temporary, done)
            }
            (Side::File { .. } | Side::Dir { .. }, Some(owner)) => self.own(tree, dir, &node, owner),
            _ => match node.standing {
                Standing::Absent => Ok(()),
                Standing::Dir { .. } => dir.remove(name).map_err(anyhow::Error::from),
                _ => self.unchanged(dir, name, &node).and_then(|()| Ok(dir.unlink(name)?)),
            },
        };
        done.and_then(|()| Ok(dir.sync()?)).with_context(|| format!("failed to change {}", self.path.display()))
    }

    /// A file beside it, complete and on disk, takes its place.
    fn write(
        &self,
        dir: &Dir,
        name: &OsStr,
        temporary: &OsStr,
        owner: Owner,
        content: &[u8],
        node: &Node,
    ) -> anyhow::Result<()> {
        let fd = dir.open(temporary, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)?;
        set_owner(&fd, owner)?;
        if let Some(xattrs) = self.to.xattrs() {
            xattr::write(&fd, &xattrs)?;
            // An access list carries a mode of its own.
            set_mode(&fd, owner.mode)?;
        } else {
            xattr::inherit_label(dir.readable()?, &fd)?;
        }
        let mut file = File::from(fd);
        file.write_all(content)?;
        // Writing takes set-id bits away.
        if owner.mode & 0o6000 != 0 {
            set_mode(&file, owner.mode)?;
        }
        file.sync_all()?;
        self.unchanged(dir, name, node)?;
        dir.rename(temporary, name, node.standing != Standing::Absent)?;
        let (made, there) = (rustix::fs::fstat(&file)?, dir.stat(name)?);
        if there.is_none_or(|there| !same(&there, &made)) {
            return Err(refused(format!("{} was replaced while it was written", self.path.display())));
        }
        Ok(())
    }

    /// A directory is made beside its place, so that it is never seen half made.
    fn make_dir(&self, tree: &Tree, dir: &Dir, name: &OsStr, temporary: &OsStr, owner: Owner) -> anyhow::Result<()> {
        dir.make(temporary)?;
        let made = tree.enter(dir, temporary)?;
        let opened =
            rustix::fs::openat(&made, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        set_owner(&opened, owner)?;
        xattr::inherit_label(dir.readable()?, &opened)?;
        rustix::fs::fsync(&opened)?;
        dir.rename(temporary, name, false)?;
        Ok(())
    }

    /// Owner and mode of what stands there, by its descriptor.
    fn own(&self, tree: &Tree, dir: &Dir, node: &Node, owner: Owner) -> anyhow::Result<()> {
        let fd = node.fd.as_ref().context("it is not there")?;
        let there = node.standing.owner().context("it has no owner")?;
        // In a user's directory root gives a file away only where the kernel keeps the user from making names for the
        // files of others.
        if (there.uid, there.gid) != (owner.uid, owner.gid) && dir.user().is_some() && !tree.links_are_protected() {
            let why = "fs.protected_hardlinks is 0, so its owner could have put another file there";
            return Err(refused(format!("{}: {why}; set it to 1 first", self.path.display())));
        }
        if (there.uid, there.gid) != (owner.uid, owner.gid) {
            set_ids(fd, owner)?;
        }
        match dir.user() {
            Some(user) if user.uid == owner.uid => user.act(|| set_mode(fd, owner.mode))?,
            _ => set_mode(fd, owner.mode)?,
        }
        rustix::fs::fsync(fd)?;
        Ok(())
    }

    /// What was looked at is still there, and nobody wrote into it since.
    fn unchanged(&self, dir: &Dir, name: &OsStr, node: &Node) -> anyhow::Result<()> {
        let now = dir.stat(name)?;
        let known = node.fd.as_ref().map(rustix::fs::fstat).transpose()?;
        let fits = match (&known, &now) {
            (None, None) => true,
            (Some(known), Some(now)) => {
                same(known, now) && node.seen.is_some_and(|seen| seen == crate::tree::seen(now))
            }
            _ => false,
        };
        if fits {
            return Ok(());
        }
        Err(refused(format!("{} has changed since it was looked at: run fix again", self.path.display())))
    }
}

/// What failed leaves no temporary file; a crash leaves one that is swept later.
fn tidy(dir: &Dir, temporary: &OsString, done: anyhow::Result<()>) -> anyhow::Result<()> {
    if done.is_err() {
        // The first error is the one to tell.
        let _ = sweep(dir, temporary);
    }
    done
}

fn set_owner(node: impl AsFd, owner: Owner) -> Result<(), Errno> {
    set_ids(&node, owner)?;
    set_mode(&node, owner.mode)
}

fn set_ids(node: impl AsFd, owner: Owner) -> Result<(), Errno> {
    let stat = rustix::fs::fstat(&node)?;
    if (stat.st_uid, stat.st_gid) == (owner.uid, owner.gid) {
        return Ok(());
    }
    rustix::fs::fchown(node, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))
}

fn set_mode(node: impl AsFd, mode: u32) -> Result<(), Errno> {
    rustix::fs::fchmod(node, Mode::from_raw_mode(mode))
}
