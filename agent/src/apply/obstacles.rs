//! Why paths cannot be written although they can be read, told while planning.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::path::Path;

use hostward_checks::check::{Message, Text, path_text};
use hostward_checks::effect::FileChange;
use hostward_checks::plan::{Obstacle, Obstacles, Said};
use rustix::fs::{AtFlags, FileType, IFlags, OFlags, StatVfsMountFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use crate::exit_code::Ends;
use crate::root::Root;
use crate::tree::{Dir, Tree};

static WAY: Message = Message {
    id: "way",
    text: Text {
        en: "{path} is not written: {dir} on the way to it belongs to another user, is a mount point in a user's directory, or may hang; \
             look at it first",
        zh: "不写入 {path}：途经的 {dir} 属于另一用户、是用户目录中的挂载点，或可能导致挂起；请先检查",
    },
};

static SECOND_NAME: Message = Message {
    id: "second-name",
    text: Text {
        en: "{path} has a second name (hard link), perhaps where its user cannot write: replace it by a copy first",
        zh: "{path} 有另一个名字（硬链接），可能位于该用户无权写入之处：请先用副本替换它",
    },
};

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
        dir = match tree.enter(&dir, part) {
            Ok(inside) => inside,
            // A directory that the plan makes is made in this one.
            Err(error) if error.downcast_ref::<Errno>() == Some(&Errno::NOENT) => return of_directory(&dir),
            Err(error) => return on_the_way(&dir, part, path, &error),
        };
    }
    let Ok(node) = dir.open(name, OFlags::PATH) else { return of_directory(&dir) };
    let stat = rustix::fs::fstat(&node).ok()?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    // A directory is changed itself; of a file it is the directory that takes a new one.
    if kind == FileType::Directory && is_read_only(&node) {
        return Some(Obstacle::ReadOnly);
    }
    if kind == FileType::RegularFile && root.is_mount_point(path) {
        return Some(Obstacle::MountPoint);
    }
    if kind == FileType::RegularFile && dir.user().is_some() && stat.st_nlink > 1 {
        let said = Said::new(&SECOND_NAME).with("path", path_text(path));
        return Some(Obstacle::Refused(said));
    }
    if is_fixed(&node) || by_flags(&dir, name, kind) {
        return Some(Obstacle::Immutable);
    }
    of_directory(&dir)
}

/// Why nothing can be put into a directory.
fn of_directory(dir: &Dir) -> Option<Obstacle> {
    if is_read_only(dir) {
        return Some(Obstacle::ReadOnly);
    }
    is_fixed(dir).then_some(Obstacle::Immutable)
}

/// Why a directory is not entered. Links are the reader's to tell.
fn on_the_way(dir: &Dir, part: &OsStr, path: &Path, error: &anyhow::Error) -> Option<Obstacle> {
    let inside = path_text(dir.path().join(part));
    let stat = dir.stat(part);
    if let Ok(Some(stat)) = stat {
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return None;
        }
        if dir.user().is_none() && crate::tree::others_write(stat.st_gid, stat.st_mode) {
            return Some(Obstacle::Shared(inside));
        }
    }
    let said = || Said::new(&WAY).with("path", path_text(path)).with("dir", inside);
    error.downcast_ref::<Ends>().is_some().then(|| Obstacle::Refused(said()))
}

fn is_read_only(node: impl AsFd) -> bool {
    rustix::fs::fstatvfs(node).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// `chattr +i` or `+a`, as statx(2) tells it.
fn is_fixed(node: impl AsFd) -> bool {
    let attributes = rustix::fs::statx(node, "", AtFlags::EMPTY_PATH, StatxFlags::empty());
    attributes.is_ok_and(|found| found.stx_attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND))
}

/// The same by `FS_IOC_GETFLAGS`, for file systems and kernels whose statx(2) does not tell it.
fn by_flags(dir: &Dir, name: &OsStr, kind: FileType) -> bool {
    if !matches!(kind, FileType::RegularFile | FileType::Directory) {
        return false;
    }
    let opened = dir.open(name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY);
    opened.is_ok_and(|node| {
        rustix::fs::ioctl_getflags(&node).is_ok_and(|flags| flags.intersects(IFlags::IMMUTABLE | IFlags::APPEND))
    })
}
