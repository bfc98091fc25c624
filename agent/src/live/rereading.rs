//! Whether an sshd that was told to read its configuration again has done so: it closes its sockets and opens new ones, writes
//! its pid file, or is gone.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use hostward_checks::observation::socket::Protocol;
use hostward_checks::observation::sshd::Daemon;

/// How long sshd may take to be back; loading host keys and binding take some milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait for an sshd that shows no trace: its sockets are systemd's and it writes no pid file.
const BLIND: Duration = Duration::from_secs(2);
/// How often to look.
const PERIOD: Duration = Duration::from_millis(20);

/// The daemons of a unit before they were told.
#[derive(Debug)]
pub(super) struct Rereading {
    unit: String,
    before: Vec<Traces>,
}

/// What a re-execution changes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Traces {
    pid: i32,
    /// The inodes of its listening sockets.
    sockets: BTreeSet<u64>,
    /// When its pid file was written, with the file's inode.
    pid_file: Option<(i128, u64)>,
}

impl Rereading {
    /// The sshd daemons of a unit as they are.
    pub(super) fn of(unit: &str) -> Self {
        Self { unit: unit.to_owned(), before: traces(unit) }
    }

    /// Their process ids.
    pub(super) fn pids(&self) -> Vec<i32> {
        self.before.iter().map(|traces| traces.pid).collect()
    }

    /// Waits until each of them is back. A unit without an sshd that listens is taken at systemd's word.
    ///
    /// # Errors
    /// One is gone, or listens no more.
    pub(super) fn done(&self) -> anyhow::Result<()> {
        let from = Instant::now();
        loop {
            let now = traces(&self.unit);
            let back = |was: &Traces| now.iter().any(|is| is.pid == was.pid && is != was);
            if self.before.iter().all(back) {
                return Ok(());
            }
            let gone = |was: &&Traces| !Path::new("/proc").join(was.pid.to_string()).exists();
            if let Some(was) = self.before.iter().find(gone) {
                bail!("sshd (process {} of {}) ended when it was to read its configuration again", was.pid, self.unit);
            }
            let there = |was: &Traces| now.iter().any(|is| is.pid == was.pid);
            if from.elapsed() > BLIND && self.before.iter().all(there) {
                return Ok(());
            }
            if from.elapsed() > PATIENCE {
                bail!("sshd of {} listens no more since it was to read its configuration again", self.unit);
            }
            std::thread::sleep(PERIOD);
        }
    }
}

fn traces(unit: &str) -> Vec<Traces> {
    let sockets = crate::observe::sockets();
    let daemons = crate::observe::daemons(&sockets);
    let listeners = sockets.known().map(|sockets| sockets.listeners.as_slice()).unwrap_or_default();
    let of_unit = |daemon: &&Daemon| !daemon.foreign_root && daemon.unit.as_deref() == Some(unit);
    let each = daemons.known().into_iter().flatten().filter(of_unit).map(|daemon| {
        let own = listeners.iter().filter(|listener| {
            listener.protocol == Protocol::Tcp
                && listener.owners.known().is_some_and(|owners| owners.iter().any(|owner| owner.pid == daemon.pid))
        });
        Traces {
            pid: daemon.pid,
            sockets: own.map(|listener| listener.inode).collect(),
            pid_file: crate::observe::daemons::pid_file(daemon),
        }
    });
    each.collect()
}
