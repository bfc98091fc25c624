//! Why a path cannot be changed, each with its way out.

use super::Said;
use crate::check::{message, path_text};
use crate::fact::Why;
use std::path::Path;

/// Why a path cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It has to be read first.
    Pending,
    /// It is a symbolic link, to there: whoever made it owns what it stands for.
    Link(String),
    /// It is neither a regular file nor a directory.
    Special(&'static str),
    /// It could not be read.
    Unreadable(Why),
    /// It is not there.
    Missing,
    /// A line is no longer what the finding was made from.
    Stale,
    /// It holds bytes that hostward does not edit around (NUL).
    Binary,
    /// `chattr +i` or `+a`.
    Immutable,
    /// A file system mounted read-only.
    ReadOnly,
    /// It is a mount point itself: a single file mounted over another (containers).
    MountPoint,
    /// Somebody other than its owner and root can put something else in its place.
    Shared(String),
    /// hostward does not change this.
    Refused(Said),
}

impl PartialEq<Said> for Obstacle {
    fn eq(&self, other: &Said) -> bool {
        matches!(self, Self::Refused(said) if said == other)
    }
}

impl Eq for Said {}

message!(PENDING, "pending", "{path} was not read", "未读取 {path}");
message!(
    LINK,
    "link",
    "{path} is a link to {target}: change it where it is managed (authselect, configuration management), or replace the link by a file",
    "{path} 是指向 {target} 的链接：请在管理它的地方修改（authselect、配置管理工具），或将链接替换为文件"
);
message!(SPECIAL, "special", "{path} is a {kind}", "{path} 是 {kind}");
message!(UNREADABLE, "unreadable", "{path} cannot be read: {why}", "无法读取 {path}：{why}");
message!(MISSING, "missing", "{path} is not there", "{path} 不存在");
message!(
    STALE,
    "stale",
    "{path} has changed since it was looked at: run fix again",
    "{path} 在查看之后已被修改：请重新运行 fix"
);
message!(BINARY, "binary", "{path} holds NUL bytes: mend it by hand first", "{path} 含有 NUL 字节：请先手工修复");
message!(
    IMMUTABLE,
    "immutable",
    "{path} is immutable: somebody made it so on purpose; `chattr -i -a {path}` if you are sure",
    "{path} 带有不可变属性：这是有人有意设置的；确定要修改时请执行 `chattr -i -a {path}`"
);
message!(
    READ_ONLY,
    "read-only",
    "{path} is on a file system mounted read-only: remount it, or change the image it comes from",
    "{path} 位于只读挂载的文件系统：请重新挂载，或修改其来源镜像"
);
message!(
    MOUNT_POINT,
    "mount-point",
    "{path} is a mount point of its own: change the file that is mounted there",
    "{path} 本身是一个挂载点：请修改被挂载的源文件"
);
message!(
    SHARED,
    "shared",
    "{path}: {what} can be changed by others than its owner; mend that first",
    "{path}：{what} 可被其属主之外的人修改；请先修复"
);

impl Obstacle {
    /// The words for it.
    pub fn said(&self, path: &Path) -> Said {
        let about = |message| Said::new(message).with("path", path_text(path));
        match self {
            Self::Pending => about(&PENDING),
            Self::Link(target) => about(&LINK).with("target", target),
            Self::Special(kind) => about(&SPECIAL).with("kind", *kind),
            Self::Unreadable(why) => about(&UNREADABLE).with("why", why.to_string()),
            Self::Missing => about(&MISSING),
            Self::Stale => about(&STALE),
            Self::Binary => about(&BINARY),
            Self::Immutable => about(&IMMUTABLE),
            Self::ReadOnly => about(&READ_ONLY),
            Self::MountPoint => about(&MOUNT_POINT),
            Self::Shared(what) => about(&SHARED).with("what", what),
            Self::Refused(said) => said.clone(),
        }
    }
}
