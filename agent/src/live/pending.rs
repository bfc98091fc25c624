//! What others have changed since a running sshd read it: our reload would make that effective too (openssh.md 32).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hostward_checks::host::Host;
use hostward_checks::observation::sshd::Daemon;
use hostward_checks::observation::{Observations, UnixNanos};

use super::listeners::daemon_of;
use crate::root::Root;

/// Where distributions include drop-ins from: a file that was taken away leaves its trace here only.
const DROP_INS: &str = "/etc/ssh/sshd_config.d";

/// Files of a running sshd's configuration, directories that they are included from and its program, that changed since it read
/// them, or may have, with the daemon's unit. A daemon that no pid file tells of counts from its start.
pub fn pending(host: &Host, seen: &Observations, root: &Root) -> Vec<(String, PathBuf)> {
    let mut out = BTreeSet::new();
    for instance in &host.sshd.instances {
        let Some(daemon) = daemon_of(instance, seen) else { continue };
        let unit = instance.unit.clone().unwrap_or_else(|| instance.program.display().to_string());
        let files: BTreeSet<&Path> = instance.configuration.files.iter().map(|(path, _)| path.as_path()).collect();
        let main = instance.configuration.file.as_path();
        let dirs = files.iter().filter(|file| **file != main).filter_map(|file| file.parent());
        let dirs: BTreeSet<&Path> = dirs.chain([Path::new(DROP_INS)]).collect();
        let started = daemon.process_started.map(|seconds| UnixNanos::from(seconds) * 1_000_000_000);
        let read = daemon.started.known().copied().or(started);
        // The program is read when the process is started and at every re-execution.
        for path in files.iter().chain(&dirs).copied().chain([instance.program.as_path()]) {
            if changed(root, path).is_some_and(|changed| read.is_none_or(|read| changed >= read)) {
                out.insert((unit.clone(), path.to_path_buf()));
            }
        }
        if replaced(daemon) {
            out.insert((unit, instance.program.clone()));
        }
    }
    out.into_iter().collect()
}

fn replaced(daemon: &Daemon) -> bool {
    daemon.executable_deleted
}

/// When a file last changed, content or inode: a file moved into place keeps its old time of content. A link's target counts.
fn changed(root: &Root, path: &Path) -> Option<UnixNanos> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = std::fs::metadata(root.path().join(path.strip_prefix("/").unwrap_or(path))).ok()?;
    let nanos = |seconds: i64, nanos: i64| UnixNanos::from(seconds) * 1_000_000_000 + UnixNanos::from(nanos);
    Some(nanos(meta.mtime(), meta.mtime_nsec()).max(nanos(meta.ctime(), meta.ctime_nsec())))
}
