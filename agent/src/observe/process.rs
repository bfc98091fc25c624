//! Processes: who holds which socket, and what is told of each holder. Reads `/proc` and nothing else.

use std::fmt::Display;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::time::Duration;

use hostward_checks::access_keys::ENVIRONMENT_LIMIT;
use hostward_checks::fact::{Fact, Why};
use hostward_checks::observation::socket::Process;
use hostward_checks::parse::procfs;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, RawDir, openat, readlinkat, readlinkat_raw, statat};
use rustix::io::Errno;

/// Once every socket has an owner, processes with more descriptors than this are not read on for further holders.
const ENOUGH: usize = 1024;

/// The processes that there were when it was made.
#[derive(Debug)]
pub struct Processes {
    proc: OwnedFd,
    /// Ids of all processes, ascending.
    pub pids: Vec<i32>,
    /// When the host was started, in milliseconds since the epoch.
    boot_ms: Option<i64>,
    ticks: i64,
}

/// Who holds which socket.
#[derive(Debug, Default)]
pub struct Holders {
    /// Socket inode and process id, ascending, each pair once.
    pairs: Vec<(u64, i32)>,
    /// Whether some process could not be looked into: a socket without holder may have one.
    pub denied: bool,
}

impl Holders {
    /// The processes that hold a socket, ascending.
    pub fn of(&self, inode: u64) -> impl ExactSizeIterator<Item = i32> {
        let rest = self.pairs.get(self.pairs.partition_point(|(its, _)| *its < inode)..).unwrap_or_default();
        let count = rest.iter().take_while(|(its, _)| *its == inode).count();
        rest.iter().take(count).map(|(_, pid)| *pid)
    }

    /// How many sockets have a holder.
    pub fn sockets(&self) -> usize {
        self.pairs.chunk_by(|(one, _), (other, _)| one == other).count()
    }
}

/// The calling thread, where a process id is asked for: namespaces belong to threads.
pub const OWN: &str = "thread-self";

/// What is told of a process, and the container that it runs in.
#[derive(Clone, Debug)]
pub struct Described {
    /// The process.
    pub process: Process,
    /// The id of its parent.
    pub parent: i32,
    /// Runtime and id, as [`procfs::Group`] has them.
    pub container: Option<String>,
}

/// A path below `/proc/PID`, without an allocation for each.
#[derive(Debug)]
struct Name([u8; 40]);

impl Name {
    fn new(pid: impl Display, what: &str) -> Self {
        let mut name = [0; 40];
        // The longest is `2147483647/net/udp6`; what did not fit would be a path that is not there.
        let _ = write!(name.as_mut_slice(), "{pid}/{what}");
        Self(name)
    }

    fn as_bytes(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

fn refused(error: Errno) -> bool {
    matches!(error, Errno::ACCESS | Errno::PERM)
}

impl Processes {
    /// Lists `/proc`.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn list() -> Result<Self, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = openat(rustix::fs::CWD, "/proc", flags, Mode::empty())?;
        let mut pids = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 32 * 1024];
        let mut entries = RawDir::new(&proc, &mut buffer);
        while let Some(entry) = entries.next() {
            pids.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok()));
        }
        pids.sort_unstable();
        let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().filter(|ticks| *ticks > 0).unwrap_or(100);
        Ok(Self { proc, pids, boot_ms: boot_ms(), ticks })
    }

    /// Finds the processes that hold any of these sockets. Links are read, not followed: to follow one would ask the file
    /// system behind it, which may hang.
    pub fn holders(&self, inodes: impl IntoIterator<Item = u64>) -> Holders {
        let mut wanted: Vec<(u64, bool)> =
            inodes.into_iter().filter(|inode| *inode != 0).map(|inode| (inode, false)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let (mut missing, mut held) = (wanted.len(), Holders::default());
        if missing == 0 {
            return held;
        }
        let mut buffer = [MaybeUninit::uninit(); 8 * 1024];
        let mut target = [MaybeUninit::uninit(); 32];
        for &pid in &self.pids {
            let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
            let dir = match openat(&self.proc, Name::new(pid, "fd").as_bytes(), flags, Mode::empty()) {
                Ok(dir) => dir,
                Err(error) => {
                    held.denied |= refused(error);
                    continue;
                }
            };
            let mut entries = RawDir::new(&dir, &mut buffer);
            let mut read = 0;
            while missing > 0 || read < ENOUGH {
                let Some(Ok(entry)) = entries.next() else { break };
                // No descriptor: `.` and `..`.
                if entry.file_name().to_bytes().starts_with(b".") {
                    continue;
                }
                read += 1;
                let inode = match readlinkat_raw(&dir, entry.file_name(), &mut target) {
                    Ok((target, _)) => socket_inode(target),
                    Err(error) if refused(error) => {
                        held.denied = true;
                        break;
                    }
                    // Closed meanwhile.
                    Err(_) => continue,
                };
                let Some(inode) = inode else { continue };
                let place = wanted.binary_search_by_key(&inode, |(its, _)| *its).ok();
                if let Some((_, seen)) = place.and_then(|place| wanted.get_mut(place)) {
                    missing -= usize::from(!std::mem::replace(seen, true));
                    held.pairs.push((inode, pid));
                }
            }
        }
        held.pairs.sort_unstable();
        held.pairs.dedup();
        held
    }

    /// The inode of the process's network namespace. None: gone, or not allowed to look.
    pub fn network_namespace(&self, pid: impl Display) -> Option<u64> {
        let mut target = [MaybeUninit::uninit(); 40];
        let (target, _) = readlinkat_raw(&self.proc, Name::new(pid, "ns/net").as_bytes(), &mut target).ok()?;
        number_in(target, b"net:[")
    }

    /// The process's effective user. None: it is gone.
    ///
    /// The kernel gives this directory to the effective user whatever else it keeps back (`fs/proc/base.c:task_dump_owner`):
    /// the same number as in `status`, which costs it far more to write.
    pub fn uid(&self, pid: i32) -> Option<u32> {
        statat(&self.proc, Name::new(pid, "").as_bytes(), AtFlags::empty()).ok().map(|stat| stat.st_uid)
    }

    /// The process's network namespace, to be entered.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn open_network_namespace(&self, pid: i32) -> Result<OwnedFd, Errno> {
        openat(&self.proc, Name::new(pid, "ns/net").as_bytes(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    }

    /// What is told of a process, read through `buffer`. None: it is gone.
    pub fn describe(&self, pid: i32, buffer: &mut Vec<u8>) -> Option<Described> {
        let stat = procfs::stat(self.read_one(pid, "stat", buffer).ok()?)?;
        let uid = self.uid(pid)?;
        let group = self.read_one(pid, "cgroup", buffer).map(procfs::cgroup).unwrap_or_default();
        let (executable, deleted) = self.executable(pid);
        let since_boot =
            i64::try_from(stat.start_ticks).ok().and_then(|ticks| Some(ticks.checked_mul(1000)? / self.ticks));
        let started = self.boot_ms.zip(since_boot).map(|(boot, since)| boot.saturating_add(since) / 1000);
        let parent = stat.parent;
        let process = Process { pid, name: stat.name, executable, deleted, uid, unit: group.unit, started };
        Some(Described { process, parent, container: group.container })
    }

    /// The executable and whether it is deleted: the kernel appends ` (deleted)` to the link's text.
    pub fn executable(&self, pid: i32) -> (Fact<PathBuf>, bool) {
        use std::os::unix::ffi::OsStringExt as _;
        match readlinkat(&self.proc, Name::new(pid, "exe").as_bytes(), Vec::new()) {
            Ok(target) => {
                let mut bytes = target.into_bytes();
                let stem = bytes.strip_suffix(b" (deleted)").map(<[u8]>::len);
                bytes.truncate(stem.unwrap_or(bytes.len()));
                (Fact::Known(PathBuf::from(std::ffi::OsString::from_vec(bytes))), stem.is_some())
            }
            Err(error) if refused(error) => (Fact::Unknown(Why::Denied), false),
            // A kernel thread has none.
            Err(Errno::NOENT) => (Fact::Absent, false),
            Err(error) => (Fact::Unknown(Why::Failed(format!("failed to read /proc/{pid}/exe: {error}"))), false),
        }
    }

    /// Reads a file of the process whole, at most [`Self::LIMIT`] bytes of it.
    ///
    /// # Errors
    /// What the kernel said; `ESRCH` or `ENOENT` once the process is gone.
    pub fn read<'b>(&self, pid: impl Display, what: &str, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], Errno> {
        let flags = OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(&self.proc, Name::new(pid, what).as_bytes(), flags, Mode::empty())?;
        buffer.clear();
        read_up_to(&file, Self::LIMIT, buffer)?;
        Ok(buffer)
    }

    /// The environment that the process was started with, as it stands in its memory now. None: it is longer than is read.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn environment<'b>(&self, pid: i32, buffer: &'b mut Vec<u8>) -> Result<Option<&'b [u8]>, Errno> {
        let flags = OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(&self.proc, Name::new(pid, "environ").as_bytes(), flags, Mode::empty())?;
        buffer.clear();
        read_up_to(&file, ENVIRONMENT_LIMIT + 1, buffer)?;
        Ok(Some(buffer.as_slice()).filter(|bytes| bytes.len() <= ENVIRONMENT_LIMIT))
    }

    /// Reads a file of the process that the kernel writes in one piece, as `stat` and `cgroup` are: what comes back shorter
    /// than asked for is all there is, and no second call asks for the end.
    fn read_one<'b>(&self, pid: i32, what: &str, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], Errno> {
        let file = openat(&self.proc, Name::new(pid, what).as_bytes(), OFlags::CLOEXEC, Mode::empty())?;
        buffer.clear();
        buffer.reserve(4096);
        let asked = buffer.capacity();
        match rustix::io::read(&file, rustix::buffer::spare_capacity(buffer)) {
            Ok(read) if read < asked => {}
            Ok(_) | Err(Errno::INTR) => read_up_to(&file, Self::LIMIT, buffer)?,
            Err(error) => return Err(error),
        }
        Ok(buffer)
    }

    /// As much as is read of one file of a process: a hundred thousand sockets of a network namespace.
    pub const LIMIT: usize = 16 << 20;
}

/// Reads on until the end or the limit, through the buffer's spare capacity.
fn read_up_to(file: impl AsFd, limit: usize, buffer: &mut Vec<u8>) -> Result<(), Errno> {
    loop {
        if buffer.len() >= limit {
            return Ok(());
        }
        buffer.reserve(2048);
        match rustix::io::read(&file, rustix::buffer::spare_capacity(buffer)) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The inode in `socket:[123]`.
fn socket_inode(target: &[u8]) -> Option<u64> {
    number_in(target, b"socket:[")
}

fn number_in(target: &[u8], prefix: &[u8]) -> Option<u64> {
    std::str::from_utf8(target.strip_prefix(prefix)?.strip_suffix(b"]")?).ok()?.parse().ok()
}

/// When the host was started, on the clock that `now` is read from.
fn boot_ms() -> Option<i64> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_REALTIME).ok()?);
    let up = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
    i64::try_from(now.checked_sub(up)?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_this_process_and_finds_its_sockets() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&listener))).unwrap();
        let inode = socket_inode(link.as_os_str().as_encoded_bytes()).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();

        let processes = Processes::list().unwrap();
        assert!(processes.pids.contains(&own));
        let holders = processes.holders([inode, 0]);
        assert_eq!(holders.of(inode).collect::<Vec<_>>(), [own]);
        assert_eq!((holders.sockets(), holders.of(0).len()), (1, 0));

        let described = processes.describe(own, &mut Vec::new()).unwrap().process;
        assert_eq!(described.executable, Fact::Known(std::env::current_exe().unwrap()));
        assert!(!described.deleted);
        assert_eq!(described.uid, nix::unistd::geteuid().as_raw());
        let now = clock_gettime(ClockId::CLOCK_REALTIME).unwrap().tv_sec();
        assert!((now - 3600..=now + 1).contains(&described.started.unwrap()), "{:?}", described.started);
        assert_eq!(processes.network_namespace(own), processes.network_namespace(own));
        assert!(processes.network_namespace(own).is_some());
        assert!(processes.describe(i32::MAX, &mut Vec::new()).is_none());
    }
}
