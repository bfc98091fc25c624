//! A control group for each test host, killed and removed with its handle.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// The start of the name of every group that the tests make; the id of the owning process follows.
const PREFIX: &str = "hostward-test-";

/// A group of its own in the unified hierarchy, below its root.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes the group `name`; names are unique within this process.
    ///
    /// # Errors
    /// There is no cgroup2 file system, or it cannot be written.
    pub fn new(name: &str) -> Result<Self> {
        let parent = mount_point()?;
        remove_abandoned(&parent);
        let path = parent.join(format!("{PREFIX}{}-{name}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("failed to create {}", path.display()))?;
        Ok(Self { path })
    }

    /// The group's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Kills every process of the group and of the groups below.
    pub fn kill(&self) {
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.kill();
        for _ in 0..50 {
            remove_tree(&self.path);
            if !self.path.exists() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Where cgroup2 is mounted: below the v1 controllers on a hybrid machine.
fn mount_point() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("failed to read /proc/self/mounts")?;
    let mut fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let found = fields.find(|fields| fields.get(2) == Some(&"cgroup2"));
    found.and_then(|fields| fields.get(1).map(PathBuf::from)).context("no cgroup2 file system is mounted")
}

/// Removes a group without processes, children first: only directories can be removed there.
fn remove_tree(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}

/// Removes the empty groups of killed test processes.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            remove_tree(&entry.path());
        }
    }
}
