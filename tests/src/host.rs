//! Test hosts: a distribution booted with its own systemd under systemd-nspawn, in a network of its own.
//!
//! The network is two namespaces and a cable: the instance (`eth0` 172.31.0.10/24) and the "VPC" around it, which owns the
//! gateway address, the metadata address and the address of a client on the internet. Nothing reaches the machine's network.

use std::ffi::OsString;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::cgroup::Cgroup;
use crate::netns::Netns;
use crate::suite::{Suite, run_directory, stdout_of, write};

/// The instance's only address besides loopback.
pub const INSTANCE: &str = "172.31.0.10";
/// A client in the instance's own private network; also its gateway.
pub const PRIVATE_CLIENT: &str = "172.31.0.253";
/// A client with a public address (RFC 5737).
pub const PUBLIC_CLIENT: &str = "203.0.113.7";
/// Where the metadata service answers, if a test starts one.
pub const METADATA: &str = "100.100.100.200";

/// How long a boot may take; the slowest suite needs 2 s on an idle machine.
const BOOT: Duration = Duration::from_secs(90);
/// How long nspawn may take to tidy up after its host has lost power.
const POWER_OFF: Duration = Duration::from_secs(15);

/// A host before its boot: what differs from the distribution.
#[derive(Debug)]
pub struct Plan<'suite> {
    suite: &'suite Suite,
    files: Vec<(String, Vec<u8>, u32)>,
    binds: Vec<(PathBuf, String)>,
    layers: Vec<PathBuf>,
}

impl<'suite> Plan<'suite> {
    /// A directory laid over the distribution's root file system, over those laid before.
    #[must_use]
    pub fn layer(mut self, directory: &Path) -> Self {
        self.layers.insert(0, directory.to_owned());
        self
    }

    /// A file that the host has from the start; an absolute path in it. Its owner is root.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        self.files.push((path.to_owned(), content.as_ref().to_vec(), mode));
        self
    }

    /// A file of this machine that the host sees, read-only, at `inside`: the binary under test.
    #[must_use]
    pub fn bind(mut self, outside: &Path, inside: &str) -> Self {
        self.binds.push((outside.to_owned(), inside.to_owned()));
        self
    }

    /// A program of this machine that the host lacks, read-only in /usr/local/bin, with those of its libraries whose names begin
    /// so; the host's C library must be as new as ours.
    ///
    /// # Errors
    /// It is not installed here.
    pub fn program(mut self, program: &Path, libraries: &[&str]) -> Result<Self> {
        let output = Command::new("ldd").arg(program).output().context("failed to run ldd")?;
        for line in stdout_of(output, "ldd")?.lines() {
            let (name, place) = (line.trim(), line.split_whitespace().nth(2).map(Path::new));
            if let Some(place) = place.filter(|_| libraries.iter().any(|library| name.starts_with(library))) {
                // /lib is a link in the hosts, as it is here.
                let inside = place.strip_prefix("/usr").or_else(|_| place.strip_prefix("/"))?;
                self.binds.push((place.canonicalize()?, format!("/usr/{}", inside.display())));
            }
        }
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(self.bind(program, &format!("/usr/local/bin/{name}")))
    }

    /// Boots it and returns when its systemd says that the start has finished.
    ///
    /// # Errors
    /// It does not boot in time; the message holds the end of its console.
    pub fn boot(self) -> Result<Host> {
        self.boot_beside(|_| Ok(())).map(|(host, ())| host)
    }

    /// The same, with something that is in the network around it before it boots: a metadata service that the first boot asks.
    ///
    /// # Errors
    /// As [`Plan::boot`]; or it does not start.
    pub fn boot_beside<T>(self, start: impl FnOnce(&Netns) -> Result<T>) -> Result<(Host, T)> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}{}", self.suite.name(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = run_directory(&name)?;
        for part in ["upper", "work", "root"] {
            fs::create_dir(directory.path().join(part))?;
        }
        let upper = directory.path().join("upper");
        write(&upper.join("etc/hostname"), name.as_bytes(), 0o644)?;
        write(&upper.join("etc/hosts"), format!("127.0.0.1 localhost\n127.0.1.1 {name}\n").as_bytes(), 0o644)?;
        for (path, content, mode) in &self.files {
            write(&upper.join(path.trim_start_matches('/')), content, *mode)?;
        }
        let (vpc, instance) = network()?;
        let beside = start(&vpc)?;
        let cgroup = Cgroup::new(&name)?;
        let mut lower = OsString::new();
        for layer in &self.layers {
            lower.push(layer);
            lower.push(":");
        }
        lower.push(self.suite.root());
        let lower = PathBuf::from(lower);
        let machine = Machine::start(&lower, &self.binds, &name, directory.path(), &cgroup, &instance)?;
        let Machine { leader, ended } = machine;
        let host =
            Host { name, leader, ended, vpc, instance, cgroup, directory, lower, binds: self.binds, down: false };
        Ok((host, beside))
    }
}

/// A booted host. Dropping it is a power cut: nothing of it outlives the handle.
#[derive(Debug)]
pub struct Host {
    name: String,
    leader: Pid,
    ended: Receiver<Option<ExitStatus>>,
    vpc: Netns,
    instance: Netns,
    cgroup: Cgroup,
    directory: TempDir,
    /// What `lowerdir=` takes.
    lower: PathBuf,
    binds: Vec<(PathBuf, String)>,
    down: bool,
}

/// How a host goes down before it comes up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// Its systemd stops everything and syncs: `systemctl reboot`.
    Orderly,
    /// Nothing is told: what was not written is lost.
    PowerCut,
}

impl Host {
    /// Plans a host of `suite`.
    #[must_use]
    pub fn of(suite: &Suite) -> Plan<'_> {
        Plan { suite, files: Vec::new(), binds: Vec::new(), layers: Vec::new() }
    }

    /// Its host name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The network around it: clients and the metadata service run there.
    #[must_use]
    pub fn vpc(&self) -> &Netns {
        &self.vpc
    }

    /// The network of the instance itself.
    #[must_use]
    pub fn network(&self) -> &Netns {
        &self.instance
    }

    /// The process, as this machine numbers it, that is the host's process 1.
    #[must_use]
    pub fn leader(&self) -> Pid {
        self.leader
    }

    /// A command in the host, with all rights: for arranging and looking. It is not confined as a unit is.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.leader.to_string(), "-m", "-u", "-i", "-n", "-p", "-C", "--wd=/", "--", program]);
        command.env_clear().envs([
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/root"),
            ("LC_ALL", "C"),
        ]);
        command.stdin(Stdio::null());
        command
    }

    /// A command in a transient unit of the host, as a service there would run it; it waits and passes the output on.
    pub fn unit(&self, program: &str) -> Command {
        let mut command = self.command("systemd-run");
        command.args(["--quiet", "--pipe", "--wait", "--collect", "--", program]);
        command
    }

    /// Runs a shell script in the host and returns what it prints.
    ///
    /// # Errors
    /// It fails; the message holds its standard error.
    pub fn shell(&self, script: &str) -> Result<String> {
        stdout_of(self.command("sh").args(["-ec", script]).output().context("failed to run nsenter")?, script)
    }

    /// Lets it go down, and boots it again with the files that it had.
    ///
    /// # Errors
    /// It does not go down or come up in time; it is gone then.
    pub fn reboot(&mut self, down: Down) -> Result<()> {
        match down {
            Down::Orderly => drop(self.command("systemctl").arg("reboot").output()),
            Down::PowerCut => kill(self.leader, Signal::SIGKILL)?,
        }
        if self.ended.recv_timeout(BOOT).is_err() {
            self.cgroup.kill();
            let _ = self.ended.recv_timeout(POWER_OFF);
        }
        fs::remove_file(self.directory.path().join("notify"))?;
        let machine =
            Machine::start(&self.lower, &self.binds, &self.name, self.directory.path(), &self.cgroup, &self.instance)?;
        (self.leader, self.ended) = (machine.leader, machine.ended);
        Ok(())
    }

    /// Lets it go down for good, so that its disk can be taken.
    ///
    /// # Errors
    /// It does not go down in time.
    pub fn halt(&mut self) -> Result<()> {
        drop(self.command("systemctl").arg("poweroff").output());
        self.down = true;
        match self.ended.recv_timeout(BOOT) {
            Err(RecvTimeoutError::Timeout) => bail!("{} does not go down", self.name),
            _ => Ok(()),
        }
    }

    /// The layer that holds what was changed since it first booted, and what it was given: for other hosts to boot from once it
    /// is down.
    #[must_use]
    pub fn changes(&self) -> PathBuf {
        self.directory.path().join("upper")
    }

    /// The paths outside that exist as long as the host does, and must not afterwards.
    #[must_use]
    pub fn traces(&self) -> Vec<PathBuf> {
        vec![self.directory.path().to_owned(), self.cgroup.path().to_owned()]
    }

    /// The end of what the console has shown since the boot.
    #[must_use]
    pub fn console(&self) -> String {
        console(self.directory.path())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The number may be somebody else's by now.
        if !self.down {
            let _ = kill(self.leader, Signal::SIGKILL);
        }
        if self.ended.recv_timeout(POWER_OFF).is_err() {
            self.cgroup.kill();
            let _ = self.ended.recv_timeout(POWER_OFF);
        }
    }
}

/// The two namespaces of a host, with their addresses and routes.
fn network() -> Result<(Netns, Netns)> {
    let (vpc, instance) = (Netns::new()?, Netns::new()?);
    vpc.connect("vpc0", &instance, "eth0")?;
    for address in [format!("{PRIVATE_CLIENT}/24"), format!("{METADATA}/32"), format!("{PUBLIC_CLIENT}/32")] {
        vpc.ip(&format!("addr add {address} dev vpc0"))?;
    }
    instance.ip(&format!("addr add {INSTANCE}/24 dev eth0"))?;
    instance.ip(&format!("route add default via {PRIVATE_CLIENT}"))?;
    Ok((vpc, instance))
}

/// Prepares a private view of the machine and runs nspawn in it. $1 cgroup, $2 lower, $3 directory; the rest is for nspawn.
///
/// A cgroup of its own, and --keep-unit, because two hosts would share one otherwise; the v1 controllers are hidden because
/// systemd refuses them from 258 on; an empty /run because nspawn leaves directories there.
const SCRIPT: &str = r#"
echo 0 >"$1/cgroup.procs"
umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /run
mount -t overlay overlay -o "lowerdir=$2,upperdir=$3/upper,workdir=$3/work" "$3/root"
export UNIFIED_CGROUP_HIERARCHY=1 SYSTEMD_NSPAWN_API_VFS_WRITABLE=network NOTIFY_SOCKET="$3/notify"
directory=$3
shift 3
systemd-nspawn --boot --register=no --keep-unit --notify-ready=yes -D "$directory/root" \
  --network-namespace-path=/proc/self/ns/net --resolv-conf=off --timezone=off --link-journal=no --console=read-only \
  --capability=CAP_NET_ADMIN,CAP_NET_RAW,CAP_BPF,CAP_PERFMON,CAP_IPC_LOCK \
  --system-call-filter="bpf perf_event_open @keyring mlockall landlock_create_ruleset landlock_add_rule landlock_restrict_self fanotify_init fanotify_mark" \
  "$@"
exit $?
"#;

/// A started host, before there is a handle that stops it.
struct Machine {
    leader: Pid,
    ended: Receiver<Option<ExitStatus>>,
}

impl Machine {
    fn start(
        lower: &Path,
        binds: &[(PathBuf, String)],
        name: &str,
        directory: &Path,
        cgroup: &Cgroup,
        instance: &Netns,
    ) -> Result<Self> {
        let notify = UnixDatagram::bind(directory.join("notify")).context("failed to bind the notification socket")?;
        notify.set_read_timeout(Some(Duration::from_millis(200)))?;
        let console = fs::File::create(directory.join("console"))?;
        // A process namespace of its own, because nspawn, when it is killed, leaves its host running.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "--pid", "--fork"]);
        command.args(["--kill-child", "--mount-proc", "sh", "-ec", SCRIPT, "sh"]);
        command.arg(cgroup.path()).arg(lower).arg(directory).arg(format!("--machine={name}"));
        for (outside, inside) in binds {
            command.arg(format!("--bind-ro={}:{inside}", outside.display()));
        }
        command.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console);
        // The parent whose death is the child's is the spawning thread: it stays as long as the host.
        let (started, child) = channel();
        let (end, ended) = channel();
        let network = instance.try_clone()?;
        thread::Builder::new().name(format!("host {name}")).spawn(move || {
            let spawned = network.enter().and_then(|()| command.spawn().context("failed to run setpriv"));
            match spawned {
                Ok(mut process) => {
                    let _ = started.send(Ok(process.id()));
                    let _ = end.send(process.wait().ok());
                }
                Err(error) => drop(started.send(Err(error))),
            }
        })?;
        let child = child.recv().context("the host's thread is gone")??;
        match wait_until_ready(&notify, &ended, child) {
            Ok(leader) => Ok(Self { leader, ended }),
            Err(error) => {
                cgroup.kill();
                let _ = ended.recv_timeout(POWER_OFF);
                Err(error.context(format!("{name} did not boot; its console:\n{}", self::console(directory))))
            }
        }
    }
}

/// Waits for nspawn's READY, and returns the host's process 1.
fn wait_until_ready(notify: &UnixDatagram, ended: &Receiver<Option<ExitStatus>>, child: u32) -> Result<Pid> {
    let from = Instant::now();
    let mut buffer = [0; 4096];
    while from.elapsed() < BOOT {
        if let Ok(status) = ended.try_recv() {
            bail!("nspawn ended: {status:?}");
        }
        let Ok(length) = notify.recv(&mut buffer) else {
            continue;
        };
        let message = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
        if message.lines().any(|line| line == "READY=1") {
            return leader(child).context("the host's first process cannot be found");
        }
    }
    bail!("not ready after {} s", BOOT.as_secs())
}

/// The descendant of `process` that is process 1 of a namespace two below ours: nspawn's, then the host's.
fn leader(process: u32) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let numbers: Vec<&str> = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().collect();
    if numbers.len() > 2 && numbers.last() == Some(&"1") {
        return Some(Pid::from_raw(process.try_into().ok()?));
    }
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
    children.split_whitespace().filter_map(|child| child.parse().ok()).find_map(leader)
}

/// The end of what nspawn and the host have printed.
fn console(directory: &Path) -> String {
    let text = fs::read(directory.join("console")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n")
}
