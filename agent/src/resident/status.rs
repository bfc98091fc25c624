//! What the resident says of itself, over a socket that only root can reach.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use nix::sys::socket::{getsockopt, sockopt};
use serde::{Deserialize, Serialize};

use super::line::Found;
use super::remedies::Told;
use crate::exit_code::{Ends, ExitCode};

/// Where the socket stands: made by systemd for the unit, and gone with it.
pub const SOCKET: &str = "/run/hostward/status";
/// An answer is never so long.
const MOST: u64 = 16 << 20;

/// What the resident says of itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// `hostward.status/1`
    pub schema: String,
    /// The program's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since when it runs, RFC 3339.
    pub since: String,
    /// The last look that came to its end.
    pub last: Option<Last>,
    /// When it last looked at everything, RFC 3339. None: not yet since it started.
    #[serde(default)]
    pub last_full: Option<String>,
    /// Why a look is due or under way; `unheard`: none is, but nobody is heard before processor time may be taken again. None: all
    /// that was heard of has been looked at.
    #[serde(default)]
    pub pending: Option<String>,
    /// When everything is looked at again, seconds from now.
    pub full_look_in: u64,
    /// What is open.
    pub findings: Vec<Found>,
    /// How changes are heard of.
    pub watching: Watching,
    /// What it may fix, and what it tried. None: nothing.
    #[serde(default)]
    pub remediation: Option<Told>,
    /// What is not as it should be.
    pub troubles: Vec<String>,
    /// What it costs.
    pub cost: Cost,
}

/// The last look.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Last {
    /// When it ended, RFC 3339.
    pub at: String,
    /// `usual` or `full`.
    pub extent: String,
    /// What made it begin: `start`, `files`, `sockets`, `firewall`, `mounts`, `time` or `asked`.
    pub cause: String,
    /// How long it took, milliseconds.
    pub milliseconds: u64,
    /// `pass`, `fail` or `undecided`.
    pub verdict: String,
    /// SHA-256 of the policy in force, in hex.
    pub policy_digest: String,
}

/// How changes are heard of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Watching {
    /// Directories that the kernel tells of.
    pub directories: usize,
    /// Files that the kernel tells of, whatever name they are written through.
    pub files: usize,
    /// Directories that are looked at every so often, because the kernel grants no watch for them or for a file in them.
    pub polled: usize,
    /// `tracepoint`: new listeners are told by the kernel; `poll`: they are asked for.
    pub listeners: String,
    /// `netlink`: changes of nftables rules are told by the kernel; `look`: they are seen by the next look; `none`: no verdict rests
    /// on them.
    pub firewall: String,
    /// Memory of the kernel that the tracepoint's buffers take, KiB. None: there are none, or the kernel does not tell.
    pub trace_kib: Option<u64>,
    /// How often is asked for what nobody tells of, seconds.
    pub poll_seconds: u64,
}

/// What the resident costs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Its proportional share of memory (PSS), KiB. None: the kernel does not tell.
    pub pss_kib: Option<u64>,
    /// Its own processor time, milliseconds.
    pub own_cpu_ms: u64,
    /// As much of it went into answers like this one, milliseconds.
    pub asked_cpu_ms: u64,
    /// Processor time of its looks, milliseconds.
    pub looks_cpu_ms: u64,
    /// Processor time of password audits, milliseconds, which have a budget of their own.
    pub audits_cpu_ms: u64,
    /// Looks so far.
    pub looks: u64,
    /// The most memory that a look or an audit, or a program that it asked, had at once, KiB.
    pub looks_peak_kib: u64,
    /// What woke it how often. One wake-up may have several reasons.
    pub wakes: BTreeMap<String, u64>,
}

impl Cost {
    /// With what the kernel says of this process.
    #[must_use]
    pub fn with_own(mut self) -> Self {
        use nix::sys::resource::{UsageWho, getrusage};
        let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
        let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        self.pss_kib = pss.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        self.own_cpu_ms = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| milliseconds(taken(&usage)));
        let peak = getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0, |usage| usage.max_rss());
        self.looks_peak_kib = u64::try_from(peak).unwrap_or(0);
        self
    }
}

/// Processor time of a process, or of several.
pub(super) fn taken(usage: &nix::sys::resource::Usage) -> Duration {
    let one = |time: nix::sys::time::TimeVal| {
        let seconds = Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or(0));
        seconds + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0))
    };
    one(usage.user_time()) + one(usage.system_time())
}

/// A time in whole milliseconds.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Answers who asks.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
}

impl Door {
    /// Opens the socket, in the place of one that a killed resident left.
    ///
    /// # Errors
    /// Another resident answers there, or the socket cannot be made.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if UnixStream::connect(path).is_ok() {
            let message = format!("another resident runs: {} is answered", path.display());
            return Err(Ends::with(ExitCode::Busy, message));
        }
        let context = || format!("failed to make {}", path.display());
        if let Some(dir) = path.parent() {
            crate::files::private_dir(dir)?;
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).with_context(context),
            _ => {}
        }
        let listener = UnixListener::bind(path).with_context(context)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).with_context(context)?;
        listener.set_nonblocking(true).with_context(context)?;
        Ok(Self { listener, path: path.to_path_buf() })
    }

    /// Answers everybody who waits. `status` is made once somebody may know it.
    pub fn answer(&self, status: impl Fn() -> Status) {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // Who asks stays at the door, and would be heard of again at once.
                    std::thread::sleep(Duration::from_millis(100));
                    return;
                }
            };
            let peer = getsockopt(&stream, sockopt::PeerCredentials).map(|peer| peer.uid());
            let allowed = peer.is_ok_and(|uid| uid == 0 || uid == nix::unistd::geteuid().as_raw());
            if !allowed || stream.set_write_timeout(Some(Duration::from_secs(1))).is_err() {
                continue;
            }
            // Who goes away before the end does not want it.
            let _ = serde_json::to_vec(&status()).map(|bytes| stream.write_all(&bytes));
        }
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // systemd removes the directory anyway.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Asks the resident.
///
/// # Errors
/// Exit code 3: none runs. Else it does not answer, or not in this program's words.
pub fn ask(path: &Path) -> anyhow::Result<Status> {
    let mut stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(Ends::with(ExitCode::Internal, format!("failed to ask {}: run it as root", path.display())));
        }
        Err(_) => {
            let message = format!(
                "no resident answers at {}: `systemctl start hostward`, or see `systemctl status hostward`",
                path.display()
            );
            return Err(Ends::with(ExitCode::Refused, message));
        }
    };
    stream.set_read_timeout(Some(Duration::from_secs(10))).context("failed to ask the resident")?;
    let mut bytes = Vec::new();
    Read::by_ref(&mut stream).take(MOST).read_to_end(&mut bytes).context("the resident does not answer")?;
    serde_json::from_slice(&bytes).context("the resident answers in other words: is it another version?")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            schema: "hostward.status/1".to_owned(),
            version: "1".to_owned(),
            pid: 1,
            since: String::new(),
            last: None,
            last_full: None,
            pending: None,
            full_look_in: 5,
            findings: Vec::new(),
            watching: Watching {
                directories: 1,
                files: 1,
                polled: 0,
                listeners: "poll".to_owned(),
                firewall: "netlink".to_owned(),
                trace_kib: None,
                poll_seconds: 60,
            },
            remediation: None,
            troubles: Vec::new(),
            cost: Cost::default().with_own(),
        }
    }

    #[test]
    fn who_asks_is_answered_and_a_second_resident_is_not_started() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own/status");
        assert_eq!(ask(&path).unwrap_err().downcast_ref::<Ends>().unwrap().code, ExitCode::Refused);
        let door = Door::open(&path).unwrap();
        let asked = path.clone();
        let answer = std::thread::spawn(move || ask(&asked));
        while !answer.is_finished() {
            door.answer(status);
            std::thread::yield_now();
        }
        let answer = answer.join().unwrap().unwrap();
        assert!(answer.full_look_in == 5 && answer.cost.pss_kib.unwrap() > 100);
        assert_eq!(Door::open(&path).unwrap_err().downcast_ref::<Ends>().unwrap().code, ExitCode::Busy);
        std::mem::forget(door);
        std::fs::remove_file(&path).unwrap();
        std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert!(Door::open(&path).is_ok(), "a socket that nobody answers is replaced");
    }
}
