//! Settings of the running kernel, below `/proc/sys`.

use std::path::Path;

use anyhow::{Context, bail};
use hostward_checks::effect::KernelSetting;
use hostward_checks::fact::Fact;
use hostward_checks::parse::sysctl;

use crate::observe::platform::setting;
use crate::transaction::Manifest;

/// Sets one from its value before to the one after; nothing where it is so already.
///
/// # Errors
/// It has neither value, or the kernel refuses.
pub(super) fn set(wanted: &KernelSetting) -> anyhow::Result<()> {
    let KernelSetting { key, before, after } = wanted;
    match setting(key) {
        Fact::Known(now) if now == *after => return Ok(()),
        Fact::Known(now) if now == *before => {}
        Fact::Known(now) => bail!("{key} is {now} now, neither {before} nor {after}: somebody else changed it"),
        Fact::Absent => bail!("this kernel has no setting {key}"),
        Fact::Unknown(why) => bail!("{key} cannot be read: {why}"),
    }
    let path = Path::new("/proc/sys").join(sysctl::path(key));
    std::fs::write(&path, format!("{after}\n")).with_context(|| format!("failed to write {}", path.display()))
}

/// Every setting is what the plan says.
///
/// # Errors
/// One is not.
pub(super) fn verify(manifest: &Manifest) -> anyhow::Result<()> {
    for KernelSetting { key, after, .. } in manifest.kernel() {
        if setting(&key) != Fact::Known(after.clone()) {
            bail!("{key} is not {after}, as it was set a moment ago: somebody else changes it");
        }
    }
    Ok(())
}
