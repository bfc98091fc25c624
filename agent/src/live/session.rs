//! The ssh connection that this process was started over: found by walking up its parents to sshd.
//!
//! Nothing is taken from the environment: `SSH_CONNECTION` outlives its session inside tmux, and anyone may set it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use hostward_checks::check::bytes_text;
use hostward_checks::guard;
use hostward_checks::parse::{procfs, sshd_title};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

use crate::observe::process::Processes;

/// More parents than any chain of shells has.
const DEEPEST: usize = 256;

/// The sshd process that serves a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// Its process id: of the oldest process of the connection, root's.
    pub pid: i32,
    /// When it was started, which is when the connection was made: since the boot, suspended time counted.
    pub since_boot: Duration,
    /// The account that logged in.
    pub user: String,
    /// The user id that the session runs as.
    pub uid: u32,
    /// The client's address. None: the socket is gone, or it is none of TCP.
    pub peer: Option<IpAddr>,
}

/// The connection that carries this process. None: a console, a timer, Cloud Assistant, or something that lives on without
/// its session (tmux, screen, at).
pub fn serving() -> Option<Serving> {
    of_process(&Processes::list().ok()?, own())
}

/// The session that asks for a fix. A terminal multiplexer that was started over ssh counts as the connection it was
/// started over, as long as that lasts.
pub fn session() -> Option<guard::Session> {
    let processes = Processes::list().ok()?;
    let serving = of_process(&processes, own()).or_else(|| of_scope(&processes))?;
    let since = now()?.checked_sub(uptime()?.checked_sub(serving.since_boot)?)?;
    let since = i64::try_from(since.as_secs()).ok()?;
    Some(guard::Session { user: serving.user, source: serving.peer, since })
}

/// The time since the boot, suspended time counted.
pub fn uptime() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_BOOTTIME).ok().map(Duration::from)
}

fn now() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_REALTIME).ok().map(Duration::from)
}

fn own() -> i32 {
    i32::try_from(std::process::id()).unwrap_or_default()
}

/// One process on the way up.
struct Link {
    pid: i32,
    parent: i32,
    start_ticks: u64,
    uid: u32,
    title: Vec<u8>,
}

impl Link {
    fn read(processes: &Processes, pid: i32) -> Option<Self> {
        let mut buffer = Vec::new();
        let stat = procfs::stat(processes.read(pid, "stat", &mut buffer).ok()?)?;
        let title = processes.read(pid, "cmdline", &mut buffer).unwrap_or_default().to_vec();
        let uid = processes.uid(pid)?;
        Some(Self { pid, parent: stat.parent, start_ticks: stat.start_ticks, uid, title })
    }
}

/// Whether the program of a process is one of sshd's that serve connections. The name alone is the process's own choice.
fn is_sshd(pid: i32) -> bool {
    let Ok(program) = std::fs::read_link(format!("/proc/{pid}/exe")) else { return false };
    let name = program.file_name().map(std::ffi::OsStr::as_encoded_bytes).unwrap_or_default();
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    [&b"sshd"[..], b"sshd-session", b"sshd-auth"].contains(&name)
}

fn of_process(processes: &Processes, from: i32) -> Option<Serving> {
    let mut pid = from;
    let mut chain = Vec::new();
    for _ in 0..DEEPEST {
        if pid <= 1 {
            break;
        }
        let link = Link::read(processes, pid)?;
        let parent = link.parent;
        let sshd = is_sshd(pid);
        // Above the connection's own processes stands the listener.
        if sshd && sshd_title::argv(&link.title).is_some_and(|argv| !argv.iter().any(|word| word == b"-i")) {
            break;
        }
        match (sshd, chain.is_empty()) {
            (true, _) => chain.push(link),
            // A login from within another one: the outermost connection is not ours to judge, the innermost is.
            (false, false) => break,
            (false, true) => {}
        }
        pid = parent;
    }
    serving_of(processes, &chain)
}

/// Of the processes of one connection, innermost first.
fn serving_of(processes: &Processes, chain: &[Link]) -> Option<Serving> {
    let (inner, outer) = (chain.first()?, chain.last()?);
    // The one that holds the connection is root's; anything else is a user's program of that name.
    if outer.uid != 0 {
        return None;
    }
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok())?;
    let since_boot = Duration::from_millis(outer.start_ticks.checked_mul(1000)?.checked_div(ticks)?);
    let user = user_in(&inner.title).or_else(|| user_in(&outer.title))?;
    let peer = peer(processes, outer.pid).or_else(|| peer(processes, inner.pid));
    Some(Serving { pid: outer.pid, since_boot, user, uid: inner.uid, peer })
}

/// The account in a session's title: `sshd: bob@pts/0`, `sshd-session: bob [priv]`.
fn user_in(title: &[u8]) -> Option<String> {
    let end = title.iter().rposition(|byte| !matches!(byte, 0 | b' ' | b'\n'))?;
    let title = title.get(..=end)?;
    let rest = title.strip_prefix(b"sshd: ").or_else(|| title.strip_prefix(b"sshd-session: "))?;
    let name = rest
        .strip_suffix(b" [priv]")
        .or_else(|| rest.iter().rposition(|byte| *byte == b'@').and_then(|at| rest.get(..at)))
        .unwrap_or(rest);
    (!name.is_empty() && !name.contains(&b' ')).then(|| bytes_text(name))
}

/// The far end of the connection: of the TCP sockets that a process holds, the one with the lowest descriptor, because
/// sshd has it before it forwards anything.
fn peer(processes: &Processes, pid: i32) -> Option<IpAddr> {
    let mut sockets: BTreeMap<i32, u64> = BTreeMap::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        sockets.extend(inode.map(|inode| (number, inode)));
    }
    let (mut peers, mut buffer) = (BTreeMap::new(), Vec::new());
    for table in ["net/tcp", "net/tcp6"] {
        let bytes = processes.read(pid, table, &mut buffer).unwrap_or_default();
        peers.extend(procfs::connections(bytes).into_iter().map(|line| (line.inode, line.peer)));
    }
    sockets.values().find_map(|inode| peers.get(inode)).map(|address| address.to_canonical())
}

/// The connection of the login session (`session-3.scope`) that this process belongs to although no parent of it does.
fn of_scope(processes: &Processes) -> Option<Serving> {
    let mut buffer = Vec::new();
    let own = procfs::cgroup(processes.read(own(), "cgroup", &mut buffer).ok()?).unit?;
    if !own.starts_with("session-") {
        return None;
    }
    let members = processes.pids.iter().copied().filter(|pid| is_sshd(*pid)).filter(|pid| {
        let mut buffer = Vec::new();
        let group = processes.read(*pid, "cgroup", &mut buffer).map(procfs::cgroup).unwrap_or_default();
        group.unit.as_deref() == Some(own.as_str())
    });
    let mut members: Vec<i32> = members.collect();
    members.sort_unstable();
    members.into_iter().rev().find_map(|pid| of_process(processes, pid))
}

/// Whether a process with this id and start is still there: the connection that was seen, not another that took its number.
pub fn lives(serving: &Serving) -> bool {
    Path::new("/proc").join(serving.pid.to_string()).exists()
        && Processes::list()
            .ok()
            .and_then(|processes| of_process(&processes, serving.pid))
            .is_some_and(|now| now.since_boot == serving.since_boot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_of_sessions_name_the_account() {
        let cases: [(&[u8], Option<&str>); 9] = [
            (b"sshd: root@pts/0\0\0", Some("root")),
            (b"sshd: bob [priv]\0", Some("bob")),
            (b"sshd-session: bob@notty\0", Some("bob")),
            (b"sshd-session: carol [priv]", Some("carol")),
            (b"sshd: dave@corp@pts/1,pts/2\0", Some("dave@corp")),
            (b"sshd: [accepted]", Some("[accepted]")),
            (b"/usr/sbin/sshd -D\0", None),
            (b"sshd: ", None),
            (b"", None),
        ];
        for (title, expected) in cases {
            assert_eq!(user_in(title).as_deref(), expected, "{}", String::from_utf8_lossy(title));
        }
    }

    /// Tests are not run over an sshd of their own: what matters here is that a chain without one ends.
    #[test]
    fn a_process_that_is_its_own_program_named_sshd_is_no_connection() {
        assert!(!is_sshd(own()));
        let processes = Processes::list().unwrap();
        let link = Link::read(&processes, own()).unwrap();
        let ours = Link { uid: 1000, title: b"sshd: root@pts/0".to_vec(), ..link };
        assert_eq!(serving_of(&processes, &[ours]), None);
    }
}
