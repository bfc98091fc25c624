//! The program that units of ours run: this very one, where it will still be when the unit starts.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::sys::statvfs::{FsFlags, statvfs};

/// Where programs are installed to stay.
const LASTING: [&str; 4] = ["/usr", "/opt", "/sbin", "/bin"];

/// The path to this program for a unit: its own where it is installed, else a copy in the state directory.
///
/// # Errors
/// It cannot be copied, or nothing may be executed there.
pub(super) fn lasting() -> anyhow::Result<PathBuf> {
    let own = std::fs::read_link("/proc/self/exe").context("failed to read /proc/self/exe")?;
    if LASTING.iter().any(|dir| own.starts_with(dir)) && own.is_file() {
        return Ok(own);
    }
    let dir = crate::survey::state_dir().join("bin");
    crate::files::private_dir(&crate::survey::state_dir())?;
    crate::files::private_dir(&dir)?;
    let flags = statvfs(&dir).with_context(|| format!("failed to look at {}", dir.display()))?.flags();
    if flags.contains(FsFlags::ST_NOEXEC) {
        bail!(
            "{} is mounted noexec and {} is no place that lasts: install hostward as /usr/local/bin/hostward",
            dir.display(),
            own.display()
        );
    }
    let copy = dir.join("hostward");
    let program = std::fs::read("/proc/self/exe").context("failed to read this program")?;
    if !same(&copy, &program) {
        crate::files::replace(&copy, &program)?;
    }
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&copy, mode).with_context(|| format!("failed to make {} executable", copy.display()))?;
    Ok(copy)
}

fn same(path: &Path, content: &[u8]) -> bool {
    std::fs::read(path).is_ok_and(|there| there == content)
}
