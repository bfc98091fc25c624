//! Root file systems of real distributions: found in the cache, used through a throw-away overlay, run in by chroot.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;

/// The distributions that a run must have, oldest first.
pub const REQUIRED: [&str; 4] = ["bullseye", "bookworm", "trixie", "sid"];

/// The distributions that a run uses where their archive answered, oldest first.
pub const WHERE_ANSWERED: [&str; 5] = ["bionic", "focal", "jammy", "noble", "resolute"];

/// A distribution's root file system in the cache. It is never written.
#[derive(Debug)]
pub struct Suite {
    name: &'static str,
    root: PathBuf,
    /// Shared while it is in use, so that `tests/setup.sh` does not replace it.
    _lock: File,
}

impl fmt::Display for Suite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl Suite {
    /// The suite called `name`.
    ///
    /// # Errors
    /// It is not one of ours, or its root file system is not in the cache.
    pub fn find(name: &str) -> Result<Self> {
        let known = REQUIRED.iter().chain(&WHERE_ANSWERED).find(|known| **known == name);
        let Some(name) = known else { bail!("no suite is called {name}") };
        let root = crate::cache().join(format!("root-{name}"));
        let lock = root.with_extension("lock");
        let lock = File::options()
            .append(true)
            .create(true)
            .open(&lock)
            .with_context(|| format!("failed to open {}", lock.display()))?;
        lock.lock_shared().context("failed to lock a root file system")?;
        ensure!(
            root.join("usr/sbin/sshd").is_file(),
            "the root file system {} is missing: run tests/setup.sh",
            root.display()
        );
        Ok(Self { name, root, _lock: lock })
    }

    /// Every suite that there is, the required ones first.
    ///
    /// # Errors
    /// A required one is missing; for the others that is recorded as skipped, in the name of `test`.
    pub fn all(test: &str) -> Result<Vec<Self>> {
        let mut suites = REQUIRED.into_iter().map(Self::find).collect::<Result<Vec<_>>>()?;
        for name in WHERE_ANSWERED {
            match Self::find(name) {
                Ok(suite) => suites.push(suite),
                Err(_) => crate::results::skipped(test, name, "NOT TESTED: there is no root file system of it"),
            }
        }
        Ok(suites)
    }

    /// The code name: `bookworm`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it lies; to be read only.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The layer over it that holds the packages of other firewalls: ufw, firewalld, iptables, fail2ban, none of them enabled.
    ///
    /// # Errors
    /// It is not in the cache: the suite's archive did not answer.
    pub fn firewalls(&self) -> Result<PathBuf> {
        self.layer("firewalls")
    }

    /// The layer over it that holds cloud-init.
    ///
    /// # Errors
    /// It is not in the cache: the suite's archive did not answer.
    pub fn cloud_init(&self) -> Result<PathBuf> {
        self.layer("cloud-init")
    }

    /// The layer over it that holds services that can be asked, none of them enabled: redis, memcached, rsync.
    ///
    /// # Errors
    /// It is not in the cache: it is made for bookworm alone, where its archive answered.
    pub fn services(&self) -> Result<PathBuf> {
        self.layer("services")
    }

    /// The layer over it that holds the bigger ones: databases, queues, the programs that they need.
    ///
    /// # Errors
    /// It is not in the cache: it is made for bookworm alone, by the long tier.
    pub fn more_services(&self) -> Result<PathBuf> {
        self.layer("more-services")
    }

    /// The layer over it that holds a system logger, enabled: rsyslog, syslog-ng, busybox or inetutils.
    ///
    /// # Errors
    /// It is not in the cache: `tests/setup.sh loggers` makes it, where the archive has the package.
    pub fn logger(&self, name: &str) -> Result<PathBuf> {
        self.layer(name)
    }

    /// The layer over it that holds dockerd, containerd, runc, and a static busybox.
    ///
    /// # Errors
    /// It is not in the cache: it is made for bookworm, and by the long tier for the others whose archive answered.
    pub fn docker(&self) -> Result<PathBuf> {
        self.layer("docker")
    }

    fn layer(&self, kind: &str) -> Result<PathBuf> {
        let layer = crate::cache().join(format!("{kind}-{}", self.name));
        ensure!(
            layer.with_extension("version").is_file(),
            "the layer {} is missing: run tests/setup.sh",
            layer.display()
        );
        Ok(layer)
    }

    /// A writable copy for the calling thread and the processes and threads that it starts.
    ///
    /// # Errors
    /// No root, or the kernel has no overlay file system.
    pub fn overlay(&self) -> Result<Overlay> {
        self.overlay_over(&self.root.display().to_string())
    }

    /// The same, with a layer between.
    ///
    /// # Errors
    /// As [`Self::overlay`].
    pub fn overlay_with(&self, layer: &Path) -> Result<Overlay> {
        self.overlay_over(&format!("{}:{}", layer.display(), self.root.display()))
    }

    fn overlay_over(&self, lower: &str) -> Result<Overlay> {
        private_mounts()?;
        let directory = run_directory(self.name)?;
        let root = directory.path().join("root");
        for part in ["upper", "work", "root"] {
            fs::create_dir(directory.path().join(part))?;
        }
        let options = format!(
            "lowerdir={lower},upperdir={},workdir={}",
            directory.path().join("upper").display(),
            directory.path().join("work").display()
        );
        mount(Some("overlay"), &root, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .with_context(|| format!("failed to mount an overlay of {self}"))?;
        Ok(Overlay { root, directory })
    }
}

/// These suites, or of them the one that `HOSTWARD_SUITE` names: for looking at one alone.
#[must_use]
pub fn chosen(names: &[&'static str]) -> Vec<&'static str> {
    let only = std::env::var("HOSTWARD_SUITE").ok();
    names.iter().copied().filter(|name| only.as_ref().is_none_or(|only| only == name)).collect()
}

/// Gives the calling thread a mount namespace of its own: what it mounts is seen by nobody else and ends with it.
///
/// # Errors
/// No root.
pub fn private_mounts() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("failed to make a mount namespace (the tests need root)")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("failed to make the mounts private")
}

/// A directory of this run in the cache, on a file system that overlays can be made of; removed with its handle.
///
/// # Errors
/// The cache cannot be written.
pub fn run_directory(name: &str) -> Result<TempDir> {
    let parent = crate::cache().join("run");
    fs::create_dir_all(&parent).with_context(|| format!("failed to create {}", parent.display()))?;
    remove_abandoned(&parent);
    let prefix = format!("{}-{name}-", std::process::id());
    let directory = tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent)?;
    // The directory is the `/` that a chroot's unprivileged accounts walk through.
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
    Ok(directory)
}

/// Removes what killed test processes have left; its name begins with their process id.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A writable root file system, gone with its handle.
#[derive(Debug)]
pub struct Overlay {
    root: PathBuf,
    directory: TempDir,
}

impl Overlay {
    /// Its root directory, as this thread sees it.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The layer that holds what was changed, for a host to boot from over the same suite.
    #[must_use]
    pub fn changes(&self) -> PathBuf {
        self.directory.path().join("upper")
    }

    /// The place of an absolute path of the root file system; links on the way are not resolved.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside.trim_start_matches('/'))
    }

    /// Writes a file, making its parents.
    ///
    /// # Errors
    /// The path cannot be written.
    pub fn write(&self, inside: &str, content: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        write(&self.path(inside), content.as_ref(), mode)
    }

    /// A command in the root file system, with process, network, IPC and host name namespaces of its own and `/proc`.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"]);
        // Mounted after the change of root.
        command.arg("--mount-proc=/proc");
        command.arg(format!("--root={}", self.root.display())).arg("--wd=/").arg("--").arg(program);
        command.env_clear().envs([
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/root"),
            ("LC_ALL", "C"),
        ]);
        command
    }

    /// Runs a shell script inside and returns what it prints.
    ///
    /// # Errors
    /// It fails; the message holds its standard error.
    pub fn shell(&self, script: &str) -> Result<String> {
        stdout_of(self.command("sh").args(["-ec", script]).output().context("failed to run unshare")?, script)
    }

    /// What sshd wants before it runs or tests a configuration: its run directory (host keys come with the package).
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn prepare_sshd(&self) -> Result<()> {
        fs::create_dir_all(self.path("/run/sshd"))?;
        fs::set_permissions(self.path("/run/sshd"), Permissions::from_mode(0o755))?;
        Ok(())
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        // Where the handle is dropped by another thread than the maker, the mount ends with the maker's thread.
        let _ = umount2(&self.root, MntFlags::MNT_DETACH);
    }
}

/// Writes a file with exactly `mode`, making its parents.
///
/// # Errors
/// The path cannot be written.
pub(crate) fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("failed to create {}", parent.display()))?;
    }
    fs::write(path, content).with_context(|| format!("failed to write {}", path.display()))?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(())
}

/// The standard output of a command that must succeed; `what` names it in the error.
pub(crate) fn stdout_of(output: Output, what: &str) -> Result<String> {
    ensure!(output.status.success(), "{what}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
