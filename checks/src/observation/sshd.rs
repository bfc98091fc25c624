//! Running sshd daemons and what they answer when asked.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{UnixNanos, UnixSeconds};
use crate::fact::Fact;

/// A running sshd that listens (not a session's child).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Its process id.
    pub pid: i32,
    /// Its command line. sshd rewrites its title (`sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups`); the agent undoes
    /// that with [`crate::parse::sshd_title::argv`], which cannot tell one space within an argument from several.
    pub argv: Vec<Vec<u8>>,
    /// Its executable.
    pub executable: Fact<PathBuf>,
    /// Whether the executable was replaced since.
    pub executable_deleted: bool,
    /// When it read its configuration: when it was started, or last re-executed by SIGHUP. Unknown where nothing tells for
    /// certain (no pid file of its own); then it was not before [`Self::process_started`].
    pub started: Fact<UnixNanos>,
    /// When the process was started; a re-execution does not change it.
    pub process_started: Option<UnixSeconds>,
    /// Addresses it listens on.
    pub listeners: Vec<SocketAddr>,
    /// The systemd unit it runs in.
    pub unit: Option<String>,
    /// Whether it lives in another mount namespace (a container): its files are not this root's.
    pub foreign_root: bool,
}

/// One `sshd -T -C …` asked of the real program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrossCheck {
    /// The command line asked.
    pub command: Vec<String>,
    /// The configuration file it read.
    pub config: PathBuf,
    /// The user and address asked for.
    pub user: String,
    /// The address asked for.
    pub address: String,
    /// Its output lines, or why it could not be asked.
    pub answer: Fact<Vec<String>>,
}
