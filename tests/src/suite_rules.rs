//! Packet filter rules that a suite's own programs load and tell, in a network namespace of a test.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use hostward::observe;
use hostward_checks::observation::firewall::Network;
use hostward_checks::parse::ruleset::Ruleset;
use nix::mount::{MsFlags, mount};

use crate::suite::{Overlay, Suite};

/// Where programs are.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is known of a host's packet filter: its rules, its network, and which programs told the rules.
pub type Told = (Ruleset, Network, &'static str);

/// A throw-away root of a suite with its firewalls, for the calling thread and what it starts.
#[derive(Debug)]
pub struct SuiteRules {
    root: PathBuf,
    _overlay: Overlay,
}

impl SuiteRules {
    /// Mounts it; the calling thread's network namespace is the one whose rules are meant.
    ///
    /// # Errors
    /// No root, or no such layer of the suite.
    pub fn mount(suite: &Suite) -> Result<Self> {
        Self::mount_over(suite, &suite.firewalls()?)
    }

    /// The same with dockerd.
    ///
    /// # Errors
    /// As [`Self::mount`].
    pub fn mount_with_docker(suite: &Suite) -> Result<Self> {
        // What `lowerdir=` takes.
        let layers = format!("{}:{}", suite.docker()?.display(), suite.firewalls()?.display());
        Self::mount_over(suite, Path::new(&layers))
    }

    fn mount_over(suite: &Suite, layers: &Path) -> Result<Self> {
        let overlay = suite.overlay_with(layers)?;
        let root = overlay.root().to_owned();
        for (kind, at) in [("proc", "proc"), ("sysfs", "sys"), ("devtmpfs", "dev")] {
            mount(Some(kind), &root.join(at), Some(kind), MsFlags::empty(), None::<&str>)?;
        }
        Ok(Self { root, _overlay: overlay })
    }

    /// Its root directory, as the mounting thread sees it.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Runs a script inside: what it said.
    ///
    /// # Errors
    /// It fails, with what it said.
    pub fn run(&self, script: &str) -> Result<String> {
        let mut shell = Command::new("chroot");
        let output = shell.arg(&self.root).args(["sh", "-c", script]).env_clear().env("PATH", PATH).output()?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{said}");
        Ok(said)
    }

    /// What the suite's programs say of the rules.
    ///
    /// # Errors
    /// They are missing or fail.
    pub fn told(&self) -> Result<Told> {
        // This thread alone: its file system is its own since the overlay was mounted.
        let outside = std::fs::File::open("/")?;
        std::os::unix::fs::chroot(&self.root)?;
        std::env::set_current_dir("/")?;
        let (rules, network) = (observe::firewall::rules(), observe::network::network());
        nix::unistd::fchdir(&outside)?;
        std::os::unix::fs::chroot(".").context("failed to come out again")?;
        let (rules, source) = rules.map_err(|why| anyhow!("{why:?}"))?;
        Ok((rules, network, source))
    }
}
