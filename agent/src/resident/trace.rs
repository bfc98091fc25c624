//! New listeners as the kernel makes them: the tracepoint `sock:inet_sock_set_state`, filtered to sockets that begin to listen, in
//! an instance of tracefs that is ours alone.
//!
//! The instance is made and removed by commands of the unit that run outside its sandbox ([`prepare`], [`remove`]); the resident only
//! reads. Its events come from every network namespace of the kernel, so they say that sockets are to be looked at, and no more.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{FsType, statfs};

/// Where tracefs is mounted; before 4.1 there was none but below debugfs, and no such tracepoint.
const TRACEFS: &str = "/sys/kernel/tracing";
/// The tracepoint, below an instance.
const EVENT: &str = "events/sock/inet_sock_set_state";
// linux/magic.h
const TRACEFS_MAGIC: FsType = FsType(0x7472_6163);
/// A socket that begins or ceases to listen: TCP_LISTEN of net/tcp_states.h.
const FILTER: &str = "newstate == 10 || oldstate == 10";
/// The buffer of a processor, KiB: room for some two hundred events, which are read at once.
const BUFFER: &str = "16";

/// The instance of this network namespace: hosts in containers share the kernel, and its instances, with others.
fn instance() -> anyhow::Result<PathBuf> {
    let namespace = std::fs::metadata("/proc/self/ns/net").context("failed to look at /proc/self/ns/net")?.ino();
    Ok(Path::new(TRACEFS).join(format!("instances/hostward-{namespace}")))
}

fn is_mounted() -> bool {
    statfs(TRACEFS).is_ok_and(|stat| stat.filesystem_type() == TRACEFS_MAGIC)
}

/// How much of the tracepoint is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traced {
    /// The kernel has it.
    Known,
    /// The kernel has no such tracepoint.
    No,
    /// Tracefs is not mounted, which the unit does before the resident starts, and may not be by us.
    NotMounted,
    /// Tracefs is there and closed to us.
    Denied,
}

/// Looks. Where tracefs is not mounted it is mounted for this one look, and nobody else sees it.
pub fn traced() -> Traced {
    if is_mounted() {
        return seen();
    }
    let known = std::fs::read_to_string("/proc/filesystems").is_ok_and(|text| text.contains("tracefs"));
    let look = std::thread::Builder::new().spawn(|| {
        // From here on this thread has mounts of its own, which end with it.
        unshare(CloneFlags::CLONE_NEWNS).ok()?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).ok()?;
        mount_tracefs().ok().map(|()| seen())
    });
    let unseen = if known { Traced::NotMounted } else { Traced::No };
    look.ok().and_then(|look| look.join().ok()).flatten().unwrap_or(unseen)
}

fn seen() -> Traced {
    match std::fs::metadata(Path::new(TRACEFS).join(EVENT)) {
        Ok(_) => Traced::Known,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Traced::Denied,
        Err(_) => Traced::No,
    }
}

fn mount_tracefs() -> Result<(), Errno> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tracefs"), TRACEFS, Some("tracefs"), flags, None::<&str>)
}

/// Makes the instance.
///
/// # Errors
/// The kernel has no tracefs or no such tracepoint (before 4.16), or forbids it. Then listeners are asked for every so often.
pub fn prepare() -> anyhow::Result<()> {
    if !is_mounted() {
        // A unit that is confined has mounts of its own, also for its commands that are not.
        let host = File::open("/proc/1/ns/mnt").context("failed to open /proc/1/ns/mnt")?;
        setns(host, CloneFlags::CLONE_NEWNS).context("failed to enter the host's mounts")?;
    }
    if !is_mounted() {
        mount_tracefs().with_context(|| format!("failed to mount tracefs at {TRACEFS}"))?;
    }
    let instance = instance()?;
    match std::fs::create_dir(&instance) {
        // Left by a resident that was killed.
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("failed to make {}", instance.display()));
        }
        _ => {}
    }
    if !instance.join(EVENT).exists() {
        remove()?;
        bail!("this kernel does not tell of sockets that begin to listen (sock:inet_sock_set_state)");
    }
    let write = |file: &str, text: &str| {
        let path = instance.join(file);
        std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
    };
    write("buffer_size_kb", BUFFER)?;
    write(&format!("{EVENT}/filter"), FILTER)?;
    // Who waits is woken by the first event, not by a buffer half full. Older kernels have no such file and do so anyway.
    let _ = write("buffer_percent", "0");
    write(&format!("{EVENT}/enable"), "1")
}

/// Removes the instance; it is fine where there is none.
///
/// # Errors
/// Somebody reads it.
pub fn remove() -> anyhow::Result<()> {
    let instance = instance()?;
    match std::fs::remove_dir(&instance) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", instance.display()))
        }
        _ => Ok(()),
    }
}

/// The kernel's news of listeners.
#[derive(Debug)]
pub struct Trace {
    news: File,
    /// Memory of the kernel that its buffers take, KiB. None: the kernel does not tell.
    pub kib: Option<u64>,
}

impl Trace {
    /// Opens the instance. None: it was not made.
    pub fn open() -> Option<Self> {
        let instance = instance().ok()?;
        let flags = nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC;
        let news = OpenOptions::new().read(true).custom_flags(flags).open(instance.join("trace_pipe")).ok()?;
        // In every processor's buffer: "16", or "7 (expanded: 1408)" where none was written yet.
        let text = std::fs::read_to_string(instance.join("buffer_total_size_kb")).unwrap_or_default();
        Some(Self { news, kib: text.split_whitespace().next().and_then(|number| number.parse().ok()) })
    }

    /// Reads all news there are: what they say is not needed. Whether more may come.
    pub fn drain(&mut self) -> bool {
        let mut buffer = [0_u8; 4096];
        loop {
            match self.news.read(&mut buffer) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => {
                    let kind = error.kind();
                    return kind == std::io::ErrorKind::WouldBlock || kind == std::io::ErrorKind::Interrupted;
                }
            }
        }
    }
}

impl std::os::fd::AsFd for Trace {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.news.as_fd()
    }
}
