//! What the kernel must know.

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use rustix::fs::{AtFlags, CWD, StatxFlags};

use super::{Item, State, Words, item, named, works};
use crate::observe::netlink;
use crate::observe::process::Processes;
use crate::resident::trace::{Traced, traced};
use crate::root::ForeignMounts;

/// A resident that has fewer watches left may have to ask for some directories every so often.
const FEW: u64 = 512;

/// `poll` is how often is asked for what the kernel does not tell of.
pub(super) fn items(poll: Duration) -> Vec<Item> {
    let seconds = poll.as_secs();
    vec![
        release(),
        proc(),
        mountinfo(),
        openat2(),
        statx(),
        sock_diag(),
        tracepoint(seconds),
        inotify(seconds),
        cgroup(),
    ]
}

fn release() -> Item {
    let release = sysinfo::System::kernel_version().unwrap_or_default();
    let without = Words::new("nothing is told of it", "无法得知");
    item(
        "kernel",
        State::of(!release.is_empty()),
        Words::plain(format!("Linux {} {}", named(&release), std::env::consts::ARCH)),
        without,
    )
}

fn proc() -> Item {
    let there =
        Processes::list().is_ok_and(|processes| !processes.pids.is_empty()) && Path::new("/proc/self/exe").exists();
    let without = Words::new(
        "who listens, what runs and what is mounted are unknown, and nothing is fixed on the running system",
        "无法得知监听者、运行中的进程与挂载情况，也不在运行中的系统上做任何修复",
    );
    item("proc", if there { State::There } else { State::Fatal }, works(there), without)
}

fn mountinfo() -> Item {
    let without = Words::new(
        "homes on network and automounted file systems are not told from others, and may hold a scan",
        "无法辨认网络文件系统与自动挂载的家目录，扫描可能因此停住",
    );
    let told = ForeignMounts::are_told();
    item("mountinfo", State::of(told), works(told), without)
}

fn openat2() -> Item {
    let there = crate::tree::has_openat2();
    let without = Words::new(
        "a fix in a home enters file systems that its owner mounted there",
        "修复家目录中的文件时，会进入用户自行挂载的文件系统",
    );
    item("openat2", State::of(there), works(there), without)
}

fn statx() -> Item {
    let there = rustix::fs::statx(CWD, "/", AtFlags::EMPTY_PATH, StatxFlags::empty()).is_ok();
    let without = Words::new(
        "whether a file is immutable is asked file by file (FS_IOC_GETFLAGS)",
        "逐个文件查询是否不可修改（FS_IOC_GETFLAGS）",
    );
    item("statx", State::of(there), works(there), without)
}

fn sock_diag() -> Item {
    let without = Words::new(
        "sockets are read from /proc/net, which is slower and does not tell which refuse IPv4",
        "改从 /proc/net 读取套接字：较慢，且无法得知哪些套接字拒绝 IPv4",
    );
    let there = netlink::listeners().is_ok();
    item("sock_diag", State::of(there), works(there), without)
}

fn tracepoint(seconds: u64) -> Item {
    let without = Words::new(
        format!("new TCP listeners are asked for every {seconds} s, as UDP sockets always are"),
        format!("每 {seconds} 秒查询一次新的 TCP 监听（UDP 始终如此）"),
    );
    let (state, found) = match traced() {
        Traced::Known => (State::There, Words::plain("sock:inet_sock_set_state")),
        Traced::No => (
            State::Missing,
            Words::new("the kernel has no sock:inet_sock_set_state", "内核没有 sock:inet_sock_set_state"),
        ),
        Traced::NotMounted => (
            State::Unseen,
            Words::new(
                "tracefs is not mounted; hostward.service mounts it when it starts",
                "tracefs 未挂载；hostward.service 启动时会挂载",
            ),
        ),
        Traced::Denied => (State::Unseen, Words::new("only root may look at tracefs", "只有 root 可以查看 tracefs")),
    };
    item("tracepoint", state, found, without)
}

fn inotify(seconds: u64) -> Item {
    let without = Words::new(
        format!("what the kernel grants no watch for is looked at every {seconds} s"),
        format!("内核不提供监视的目录，每 {seconds} 秒查看一次"),
    );
    let granted =
        Inotify::init(InitFlags::IN_CLOEXEC).and_then(|inotify| inotify.add_watch("/", AddWatchFlags::IN_DELETE_SELF));
    if let Err(errno) = granted {
        let found = Words::new(format!("refused: {}", errno.desc()), format!("被拒绝：{}", errno.desc()));
        return item("inotify", State::Missing, found, without);
    }
    let limit =
        |name: &str| std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse::<u64>().ok();
    let used = watches();
    let (Some(most), Some(instances)) = (limit("max_user_watches"), limit("max_user_instances")) else {
        return item("inotify", State::There, works(true), without);
    };
    let found = Words::new(
        format!("{most} watches, {used} of them in use; {instances} instances"),
        format!("监视上限 {most}，已用 {used}；实例上限 {instances}"),
    );
    item("inotify", State::of(most.saturating_sub(used) >= FEW), found, without)
}

/// The watches of this user's processes, as far as we may look.
fn watches() -> u64 {
    let Ok(processes) = Processes::list() else { return 0 };
    let own = nix::unistd::geteuid().as_raw();
    let mine = processes.pids.iter().filter(|pid| processes.uid(**pid) == Some(own));
    mine.map(|pid| {
        let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let inotify = entries
            .filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to == Path::new("anon_inode:inotify")));
        inotify
            .map(|entry| {
                let info = format!("/proc/{pid}/fdinfo/{}", entry.file_name().display());
                let text = std::fs::read_to_string(info).unwrap_or_default();
                text.lines().filter(|line| line.starts_with("inotify ")).count() as u64
            })
            .sum::<u64>()
    })
    .sum()
}

fn cgroup() -> Item {
    let without = Words::new(
        "the unit of a process and the resident's own limits are not told",
        "无法得知进程所属的单元，常驻进程自身的限额也不生效",
    );
    let kind = |path: &str| statfs(path).map(|stat| stat.filesystem_type());
    let found = match kind("/sys/fs/cgroup") {
        Ok(kind) if kind == CGROUP2_SUPER_MAGIC => Some("v2"),
        _ if kind("/sys/fs/cgroup/unified") == Ok(CGROUP2_SUPER_MAGIC) => Some("v1, with v2 beside it"),
        _ if Path::new("/sys/fs/cgroup/systemd").is_dir() || Path::new("/sys/fs/cgroup/cpu").is_dir() => Some("v1"),
        Err(Errno::EACCES) => return item("cgroup", State::Unseen, Words::new("closed", "无权查看"), without),
        _ => None,
    };
    item("cgroup", State::of(found.is_some()), found.map_or_else(|| works(false), Words::plain), without)
}
