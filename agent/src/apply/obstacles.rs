//! Why paths cannot be written although they can be read, told while planning.

use std::os::fd::AsFd;
use std::path::Path;

use hostward_checks::effect::FileChange;
use hostward_checks::plan::{Obstacle, Obstacles};
use rustix::fs::{AtFlags, FileType, IFlags, OFlags, StatVfsMountFlags, StatxAttributes, StatxFlags};

use crate::root::Root;
use crate::tree::{Dir, Tree};

/// Looks at the path of each change, without changing anything: attributes, mounts, and who else may write its directory. A
/// path that cannot be looked at has no obstacle here; writing it will say why.
pub fn obstacles(root: &Root, changes: &[&FileChange]) -> Obstacles {
    let Ok(tree) = Tree::open(root.path()) else { return Obstacles::new() };
    let each = changes.iter().filter_map(|change| Some((change.path.clone(), of(root, &tree, &change.path)?)));
    each.collect()
}

fn of(root: &Root, tree: &Tree, path: &Path) -> Option<Obstacle> {
    let name = path.file_name()?;
    let mut dir = tree.top().ok()?;
    for part in path.parent()?.iter().skip(1) {
        let inside = dir.path().join(part);
        dir = match tree.enter(&dir, part) {
            Ok(dir) => dir,
            Err(_) => {
                // Where it is a directory that others can change, that is the obstacle; links are the reader's to tell.
                let stat = dir.stat(part).ok()??;
                let shared = FileType::from_raw_mode(stat.st_mode) == FileType::Directory
                    && crate::tree::others_write(stat.st_gid, stat.st_mode);
                return shared.then(|| Obstacle::Shared(inside.display().to_string()));
            }
        };
    }
    let node = dir.open(name, OFlags::PATH).ok();
    let kind =
        node.as_ref().and_then(|node| rustix::fs::fstat(node).ok()).map(|stat| FileType::from_raw_mode(stat.st_mode));
    // A directory is changed itself; of a file it is the directory that takes a new one.
    if rustix::fs::fstatvfs(&dir).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY)) {
        return Some(Obstacle::ReadOnly);
    }
    if let Some(node) = &node {
        if kind == Some(FileType::RegularFile) && root.is_mount_point(path) {
            return Some(Obstacle::MountPoint);
        }
        if is_fixed(node) || by_flags(&dir, name, kind) {
            return Some(Obstacle::Immutable);
        }
    }
    is_fixed(&dir).then_some(Obstacle::Immutable)
}

/// `chattr +i` or `+a`, as statx(2) tells it.
fn is_fixed(node: impl AsFd) -> bool {
    let attributes = rustix::fs::statx(node, "", AtFlags::EMPTY_PATH, StatxFlags::empty());
    attributes.is_ok_and(|found| found.stx_attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND))
}

/// The same by `FS_IOC_GETFLAGS`, for file systems and kernels whose statx(2) does not tell it.
fn by_flags(dir: &Dir, name: &std::ffi::OsStr, kind: Option<FileType>) -> bool {
    if !matches!(kind, Some(FileType::RegularFile | FileType::Directory)) {
        return false;
    }
    let opened = dir.open(name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY);
    opened.is_ok_and(|node| {
        rustix::fs::ioctl_getflags(&node).is_ok_and(|flags| flags.intersects(IFlags::IMMUTABLE | IFlags::APPEND))
    })
}
