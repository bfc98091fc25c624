//! Which processes are sshd daemons that listen, with which command line, and since when with this configuration.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use hostward_checks::fact::{Fact, Why};
use hostward_checks::observation::UnixNanos;
use hostward_checks::observation::socket::{Process, Protocol, Sockets};
use hostward_checks::observation::sshd::Daemon;
use hostward_checks::parse::sshd_title;

use super::process::Processes;

/// `PidFile` as compiled in, for every distribution.
const PID_FILES: [&str; 2] = ["/run/sshd.pid", "/var/run/sshd.pid"];

/// The listening sshd daemons among the owners of the sockets, by process id. An sshd that a socket unit will start
/// is not there yet: its socket belongs to systemd.
pub fn daemons(sockets: &Fact<Sockets>) -> Fact<Vec<Daemon>> {
    let listeners = match sockets {
        Fact::Known(sockets) => &sockets.listeners,
        Fact::Absent => return Fact::Known(Vec::new()),
        Fact::Unknown(why) => return Fact::Unknown(why.clone()),
    };
    let processes = match Processes::list() {
        Ok(processes) => processes,
        Err(error) => return Fact::Unknown(Why::Failed(format!("failed to list /proc: {error}"))),
    };
    let mut found: BTreeMap<i32, (&Process, Vec<SocketAddr>, bool)> = BTreeMap::new();
    for listener in listeners.iter().filter(|listener| listener.protocol == Protocol::Tcp) {
        for process in listener.owners.known().into_iter().flatten().filter(|process| is_daemon(process)) {
            let foreign = listener.container.is_some() || listener.namespace.is_some();
            let (_, addresses, elsewhere) = found.entry(process.pid).or_insert_with(|| (process, Vec::new(), false));
            addresses.push(SocketAddr::new(listener.address, listener.port));
            *elsewhere |= foreign;
        }
    }
    let daemons = found.into_values().filter_map(|(process, mut listeners, elsewhere)| {
        let mut buffer = Vec::new();
        let argv = sshd_title::argv(processes.read(process.pid, "cmdline", &mut buffer).ok()?)?;
        listeners.sort_unstable();
        listeners.dedup();
        let foreign_root = other_root(process.pid).unwrap_or(elsewhere);
        Some(Daemon {
            pid: process.pid,
            started: read_configuration(process, &argv, foreign_root),
            argv,
            executable: process.executable.clone(),
            executable_deleted: process.deleted,
            process_started: process.started,
            listeners,
            unit: process.unit.clone(),
            foreign_root,
        })
    });
    Fact::Known(daemons.collect())
}

/// An sshd of root's: one of a user's lets in nobody but that user. What its command line names is what root would run to ask it, so
/// whoever may write that command line has to be root.
fn is_daemon(process: &Process) -> bool {
    process.uid == 0 && is_sshd(process)
}

fn is_sshd(process: &Process) -> bool {
    let file = process.executable.known().and_then(|path| path.file_name());
    file.map_or(process.name == "sshd", |name| name.as_bytes() == b"sshd")
}

/// Whether the process's root directory is another one than ours. None: not allowed to look.
fn other_root(pid: i32) -> Option<bool> {
    let theirs = std::fs::metadata(format!("/proc/{pid}/root/")).ok()?;
    let ours = std::fs::metadata("/").ok()?;
    Some((theirs.dev(), theirs.ino()) != (ours.dev(), ours.ino()))
}

/// sshd writes its pid file each time it starts, SIGHUP included, right after it read its configuration (`sshd.c`): that
/// file's time is the one certain trace of a re-execution, which leaves the process's own start time as it was.
fn read_configuration(process: &Process, argv: &[Vec<u8>], foreign_root: bool) -> Fact<UnixNanos> {
    let files = named_pid_file(argv).map_or_else(|| PID_FILES.map(PathBuf::from).to_vec(), |file| vec![file]);
    let written = files.iter().filter(|_| !foreign_root).find_map(|file| written_by(file, process.pid));
    match written {
        // A file from before this process was started names it by chance.
        Some((at, _))
            if process.started.is_none_or(|started| at.div_euclid(1_000_000_000) + 1 >= i128::from(started)) =>
        {
            Fact::Known(at)
        }
        _ => Fact::Unknown(Why::NotAsked("no pid file tells when sshd last read its configuration")),
    }
}

/// When the pid file of a daemon was last written, and its inode. None: there is none that names it.
pub fn pid_file(daemon: &Daemon) -> Option<(UnixNanos, u64)> {
    let files = named_pid_file(&daemon.argv).map_or_else(|| PID_FILES.map(PathBuf::from).to_vec(), |file| vec![file]);
    files.iter().find_map(|file| written_by(file, daemon.pid))
}

/// `-o PidFile=…` on the command line.
fn named_pid_file(argv: &[Vec<u8>]) -> Option<PathBuf> {
    let mut options = argv.iter().zip(argv.iter().skip(1)).filter(|(option, _)| *option == b"-o");
    options.find_map(|(_, value)| {
        let (keyword, rest) = value.split_at_checked(7)?;
        let path = rest.trim_ascii_start().strip_prefix(b"=").unwrap_or(rest).trim_ascii();
        keyword.eq_ignore_ascii_case(b"pidfile").then(|| PathBuf::from(std::ffi::OsStr::from_bytes(path)))
    })
}

/// When a file that holds this process id was written, and its inode.
fn written_by(file: &Path, pid: i32) -> Option<(UnixNanos, u64)> {
    let meta = std::fs::symlink_metadata(file).ok().filter(|meta| meta.is_file() && meta.len() < 32)?;
    let content = std::fs::read_to_string(file).ok()?;
    let at = UnixNanos::from(meta.mtime()) * 1_000_000_000 + UnixNanos::from(meta.mtime_nsec());
    (content.trim().parse() == Ok(pid)).then(|| (at, meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_on_the_command_line_is_found_in_every_spelling() {
        let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        for value in ["PidFile=/run/x.pid", "pidfile /run/x.pid", "PIDFILE = /run/x.pid"] {
            let argv = words(&["sshd", "-D", "-o", "Port=1", "-o", value]);
            assert_eq!(named_pid_file(&argv), Some(PathBuf::from("/run/x.pid")), "{value}");
        }
        assert_eq!(named_pid_file(&words(&["sshd", "-o"])), None);
    }

    #[test]
    fn only_a_pid_file_that_names_the_process_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sshd.pid");
        std::fs::write(&file, "77\n").unwrap();
        assert!(written_by(&file, 77).is_some());
        assert_eq!(written_by(&file, 7), None);
        assert_eq!(written_by(&dir.path().join("none"), 77), None);
    }
}
