//! What goes for good: taken away last, when everything else has been done and verified; a crash leaves it there or gone.
//!
//! Nothing of it is kept, so nothing here is undone: whoever comes after a crash goes on with it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;

use anyhow::Context as _;
use hostward_checks::effect::Owner;
use rustix::fs::{FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::passwords;
use crate::transaction::{FileRecord, Side, Transaction};
use crate::tree::{Dir, Tree, look, refused, xattr};

/// Makes sure that what the new content was computed from is still there.
///
/// # Errors
/// Exit code 3: it is not.
pub(super) fn check(tree: &Tree, transaction: &Transaction) -> anyhow::Result<()> {
    for (_, file) in transaction.manifest().erasures().filter(|(_, file)| file.before.content().is_some()) {
        let (dir, name) = tree.parent_of_erased(&file.path).map_err(crate::tree::stale)?;
        fits(&dir, name, file)?;
    }
    Ok(())
}

/// Takes all of it away, as far as the system lets us; a look afterwards shows what stays. What stays, with the reason.
pub(super) fn all(tree: &Tree, transaction: &Transaction) -> Vec<String> {
    let mut stays = Vec::new();
    let accounts = transaction.manifest().erasures().any(|(_, file)| passwords::concerns(&file.path));
    let lock = accounts.then(|| passwords::lock_patiently(tree)).transpose();
    let locked = lock.is_ok();
    if let Err(error) = &lock {
        stays.push(format!("{error:#}"));
    }
    for (index, file) in transaction.manifest().erasures() {
        if !locked && passwords::concerns(&file.path) {
            continue;
        }
        if let Err(error) = one(tree, transaction, index, file) {
            stays.push(format!("{}: {error:#}", file.path.display()));
        }
    }
    stays
}

fn one(tree: &Tree, transaction: &Transaction, index: usize, file: &FileRecord) -> anyhow::Result<()> {
    let (dir, name) = match tree.parent_of_erased(&file.path) {
        Ok(entered) => entered,
        Err(error) if error.downcast_ref() == Some(&Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error),
    };
    let Some(stat) = dir.stat(name)? else { return Ok(()) };
    match (FileType::from_raw_mode(stat.st_mode), &file.after) {
        (FileType::Directory, Side::Absent) => match dir.remove(name) {
            // Somebody has put something there since.
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        },
        (kind, Side::Absent) if kind == FileType::RegularFile || (kind == FileType::Symlink && may_be_link(file)) => {
            match dir.unlink(name) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        (FileType::RegularFile, after @ Side::File { owner, .. }) => {
            if file.before.content().is_some() && !after.is(&look(&dir, name)?.standing) {
                fits(&dir, name, file)?;
            }
            let content = transaction.content(index, after, true)?.unwrap_or_default();
            let temporary = transaction.temporary(index);
            let done = replace(&dir, name, &temporary, (*owner).into(), &content);
            if done.is_err() {
                // The first error is the one to tell.
                let _ = dir.unlink(&temporary);
            }
            done?;
        }
        _ => return Err(refused("something else stands there now")),
    }
    dir.sync()?;
    Ok(())
}

/// A link that was planned for, itself and never what it leads to: its mode is 0777 (`symlink(7)`), and that of what somebody would
/// put a link in place of is not.
fn may_be_link(file: &FileRecord) -> bool {
    matches!(&file.before, Side::File { owner, .. } if owner.mode == 0o777)
}

/// What the new content was computed from stands there.
fn fits(dir: &Dir, name: &OsStr, file: &FileRecord) -> anyhow::Result<()> {
    file.before.check(&file.path, &look(dir, name)?.standing, dir.user().is_some())
}

/// A new file of the same owner, mode and attributes takes the place of the old one, whose bytes nobody reads.
fn replace(dir: &Dir, name: &OsStr, temporary: &OsString, owner: Owner, content: &[u8]) -> anyhow::Result<()> {
    let old = dir.open_ourselves(name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    let attributes = xattr::read(&old)?;
    match dir.unlink(temporary) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let fd = dir.open(temporary, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)?;
    rustix::fs::fchown(&fd, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
    xattr::write(&fd, &attributes)?;
    let mut file = File::from(fd);
    file.write_all(content)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(owner.mode))?;
    file.sync_all().context("failed to sync")?;
    dir.rename(temporary, name, true)?;
    Ok(())
}

#[cfg(test)]
mod tests;
