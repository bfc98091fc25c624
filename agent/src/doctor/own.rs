//! hostward itself: its rights, its directories and its configuration.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hostward_checks::fact::Fact;
use nix::sys::statvfs::{FsFlags, statvfs};

use super::{Item, State, Words, item, named, nothing};
use crate::config::{self, Configuration, Problem};
use crate::survey::{Survey, state_dir};

/// Less room than this is little for a fix, which keeps what it changes, MiB.
const LITTLE: u64 = 16;

pub(super) fn version() -> Item {
    let linked = if cfg!(target_feature = "crt-static") { "static" } else { "dynamic" };
    let found = format!("{} {} {linked}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    item("hostward", State::There, Words::plain(found), nothing())
}

pub(super) fn rights() -> Item {
    let root = nix::unistd::geteuid().is_root();
    let without = Words::new(
        "what only root may read is unknown, and nothing is fixed",
        "只有 root 可读的内容无法判定，也不做任何修复",
    );
    let found = if root { Words::plain("root") } else { Words::new("not root", "不是 root") };
    item("rights", if root { State::There } else { State::Unseen }, found, without)
}

pub(super) fn system(survey: Option<&Survey>) -> Item {
    let release = survey.map_or(&Fact::Absent, |survey| &survey.host.os.release);
    let without = Words::new(
        "an sshd that does not say its version is taken for the newest one",
        "不报告版本的 sshd 视为最新版本",
    );
    match release {
        Fact::Known(os) => {
            let found = format!("{} {}", named(&os.id), named(&os.version));
            item("os", State::There, Words::plain(found.trim().to_owned()), without)
        }
        Fact::Absent => item("os", State::Missing, Words::new("no os-release", "没有 os-release"), without),
        Fact::Unknown(_) => {
            item("os", State::Unseen, Words::new("os-release cannot be read", "无法读取 os-release"), without)
        }
    }
}

pub(super) fn places() -> [Item; 3] {
    [
        place(
            "state",
            &state_dir(),
            true,
            Words::new("nothing is fixed, and every scan begins anew", "不做修复，每次扫描都从头开始"),
        ),
        place(
            "log",
            Path::new("/var/log/hostward"),
            true,
            Words::new("events go to the journal alone", "事件只写入 journal"),
        ),
        place(
            "config",
            Path::new(config::DIRECTORY),
            false,
            Words::new("the built-in policy is in force", "使用内置策略"),
        ),
    ]
}

/// `writes`: whether hostward writes there itself.
fn place(id: &'static str, dir: &Path, writes: bool, without: Words) -> Item {
    let meta = match std::fs::metadata(dir) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let state = if writes {
                dir.parent().map_or(State::Missing, |above| State::of(room(above).is_some()))
            } else {
                State::Idle
            };
            return item(id, state, Words::new("not there yet", "尚不存在"), without);
        }
        Err(_) => return item(id, State::Unseen, Words::new("cannot be looked at", "无法查看"), without),
    };
    let mode = meta.mode() & 0o7777;
    let owner = if meta.uid() == 0 { "root" } else { "not root" };
    let (private, room) = (meta.is_dir() && meta.uid() == 0 && mode & 0o022 == 0, room(dir));
    let free = room.map_or_else(
        || Words::new("read-only", "只读"),
        |mib| Words::new(format!("{mib} MiB free"), format!("剩余 {mib} MiB")),
    );
    let good = private && (!writes || room.is_some_and(|mib| mib >= LITTLE));
    let found = Words::new(format!("{owner} {mode:04o}, {}", free.en), format!("{owner} {mode:04o}，{}", free.zh));
    item(id, State::of(good), found, without)
}

/// The room on a file system that can be written, MiB.
fn room(dir: &Path) -> Option<u64> {
    let stat = statvfs(dir).ok()?;
    let free = stat.blocks_available().saturating_mul(stat.fragment_size()) >> 20;
    (!stat.flags().contains(FsFlags::ST_RDONLY)).then_some(free)
}

pub(super) fn configuration(configured: &Result<Configuration, Vec<Problem>>) -> Item {
    let without = Words::new("no scan and no fix is made: exit code 78", "不扫描也不修复：退出码 78");
    let (state, found) = match configured {
        Ok(all) if all.files.is_empty() => {
            (State::There, Words::new("no file: the built-in policy", "没有文件：使用内置策略"))
        }
        Ok(all) => {
            let count = all.files.len();
            (State::There, Words::new(format!("{count} files, right"), format!("{count} 个文件，正确")))
        }
        // What they say is the administrator's own.
        Err(problems) => {
            let count = problems.len();
            let en = format!("{count} mistakes: `hostward validate` tells them");
            (State::Fatal, Words::new(en, format!("{count} 处错误：用 `hostward validate` 查看")))
        }
    };
    item("configuration", state, found, without)
}
