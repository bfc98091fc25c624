//! A real dockerd with its containerd and runc, in namespaces and a control group of its own, in the network of a test.

use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cgroup::Cgroup;
use crate::netns::Netns;
use crate::suite_rules::{PATH, SuiteRules};

/// $1 control group, $2 root; the rest is for dockerd. Its process namespace has a /proc of its own, through which it cannot set
/// what belongs to the machine (`kernel.keys.root_maxkeys`).
const SCRIPT: &str = r#"
echo 0 >"$1/cgroup.procs"
shift
exec unshare --mount --propagation private --pid --cgroup --ipc --uts --fork --kill-child sh -ec '
  root=$1; shift
  mount -t proc proc "$root/proc"
  mount --bind "$root/proc/sys/kernel" "$root/proc/sys/kernel"
  mount -o remount,bind,ro "$root/proc/sys/kernel"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  exec chroot "$root" sh -c "
    containerd >/run/containerd.log 2>&1 &
    while [ ! -S /run/containerd/containerd.sock ]; do sleep 0.1; done
    dockerd --containerd=/run/containerd/containerd.sock -H unix:///run/docker.sock --storage-driver=vfs \
      --exec-opt native.cgroupdriver=cgroupfs \"\$@\" >/run/dockerd.log 2>&1 &
    wait" sh "$@"' sh "$@"
"#;

/// An image of a static busybox that does nothing: nothing is pulled.
const IMAGE: &str = "mkdir -p /image/bin && cp /bin/busybox /image/bin/ && ln -s busybox /image/bin/sleep &&
    tar -C /image -c . | docker import - idle";

/// A dockerd that answers. It ends, with its containers, with its handle.
#[derive(Debug)]
pub struct Docker<'s> {
    inside: &'s SuiteRules,
    process: Child,
    cgroup: Cgroup,
}

impl<'s> Docker<'s> {
    /// Starts it with these options in the calling thread's network namespace, by the programs of a suite that this thread has
    /// mounted.
    ///
    /// # Errors
    /// It does not answer; what it said.
    pub fn start(inside: &'s SuiteRules, options: &[&str]) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let cgroup = Cgroup::new(&format!("docker{}", COUNT.fetch_add(1, Ordering::Relaxed)))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "sh", "-ec", SCRIPT, "sh"]).arg(cgroup.path()).arg(inside.root());
        command.args(options).env_clear().env("PATH", PATH).process_group(0);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("failed to run setpriv")?;
        let made = Self { inside, process, cgroup };
        for _ in 0..300 {
            if inside.run("docker version").is_ok() {
                inside.run(IMAGE)?;
                return Ok(made);
            }
            thread::sleep(Duration::from_millis(100));
        }
        bail!("dockerd does not answer: {}", made.log())
    }

    /// The end of what dockerd said.
    #[must_use]
    pub fn log(&self) -> String {
        self.inside.run("tail -n 15 /run/dockerd.log").unwrap_or_else(|error| error.to_string())
    }

    /// Runs a container that idles, with these options.
    ///
    /// # Errors
    /// It does not run; what was said.
    pub fn container(&self, name: &str, options: &str) -> Result<Container> {
        let script = format!("docker run -d --name {name} {options} idle /bin/sleep 100000");
        self.inside.run(&script).with_context(|| self.log())?;
        let asked = "{{.NetworkSettings.SandboxKey}}{{range .NetworkSettings.Networks}} {{.IPAddress}} {{.GlobalIPv6Address}}{{end}}";
        let told = self.inside.run(&format!("docker inspect -f '{asked}' {name}"))?;
        let mut words = told.split_whitespace();
        let key = words.next().and_then(|key| key.strip_prefix("/var/")).context("no network namespace is named")?;
        let network = Netns::open(&self.root()?.join(key))?;
        // Older ones write "invalid IP" where there is none.
        let addresses = words.filter_map(|word| word.parse().ok()).collect();
        Ok(Container { network, addresses })
    }

    /// dockerd's own root, with what it mounted: by the process that is the first of its namespace.
    fn root(&self) -> Result<PathBuf> {
        let id = self.process.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let child = children.split_whitespace().next().context("dockerd has ended")?;
        Ok(Path::new("/proc").join(child).join("root"))
    }
}

impl Drop for Docker<'_> {
    fn drop(&mut self) {
        self.cgroup.kill();
        let _ = self.process.wait();
    }
}

/// A container that idles.
#[derive(Debug)]
pub struct Container {
    /// Its network.
    pub network: Netns,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}
