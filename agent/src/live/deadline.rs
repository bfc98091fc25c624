//! That a fix which nobody confirms is undone: a timer of systemd's that outlives every process of ours, and a unit that undoes it
//! after a reboot, before any sshd starts. Both are there before the first write, and gone when nothing waits any more.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::{manager, program};
use crate::transaction::Store;

/// Its name.
const UNIT: &str = "hostward-recover.service";
/// Where ours stands while something waits.
const OURS: &str = "/etc/systemd/system/hostward-recover.service";
/// What starts it with the system, early.
const WANTS: &str = "/etc/systemd/system/sysinit.target.wants";
/// Where a package puts its own.
const PACKAGED: [&str; 2] =
    ["/usr/lib/systemd/system/hostward-recover.service", "/lib/systemd/system/hostward-recover.service"];
/// What it brings, and the program in it.
const PACKAGE: &str = include_str!("../../../systemd/hostward-recover.service");
const PROGRAM: &str = "/usr/bin/hostward";
/// Gone with the boot that a transaction was begun in: while it is there the unit has nothing to do, and is not to wait for the lock
/// in the way of what a fix itself starts.
const THIS_BOOT: &str = "/run/hostward-armed";
/// How much earlier than its time a timer fires: `hostward recover` is up by then, and waits for the very moment.
const EARLY: Duration = Duration::from_secs(1);
/// The first line of our unit: nothing else is ever removed.
const MARK: &str = "# Written by hostward for the time of one fix, and removed with its end.";
/// The line that says that the directory of the link was made too.
const WITH_DIRECTORY: &str = "# with its directory";

/// Makes sure that a transaction is undone when so much time has passed. Called again it counts anew, with no moment between in
/// which nobody counts.
///
/// # Errors
/// No timer can be started, or the unit for the next boot cannot be written.
pub(super) fn arm(id: &str, within: Duration) -> anyhow::Result<()> {
    let program = program::lasting()?;
    let program = program.to_str().context("the path to this program is no text")?;
    at_boot(program)?;
    let first = format!("hostward-revert-{id}");
    let again = manager::unit(&format!("{first}.timer"))?.runs();
    let name = if again { format!("{first}-again") } else { first.clone() };
    let arguments = [
        "--quiet",
        "--collect",
        &format!("--unit={name}"),
        "--description=hostward undoes a fix that was not confirmed",
        &format!("--on-active={}ms", within.saturating_sub(EARLY).as_millis()),
        "--timer-property=AccuracySec=100ms",
        "--property=Restart=on-abnormal",
        "--property=RestartSec=500ms",
        program,
        "recover",
    ];
    manager::run(&arguments.map(str::to_owned)).context("failed to start the timer that would undo the fix")?;
    if again {
        // It has counted from before the first write, and would come too early now.
        let _ = manager::command(&["stop", "--", &format!("{first}.timer")]);
    }
    Ok(())
}

/// Takes timers and unit away once no transaction waits for anything any more.
///
/// # Errors
/// They cannot be taken away, or the transactions cannot be read.
pub fn tidy(store: &Store) -> anyhow::Result<()> {
    if !store.tree().is_live() || !manager::is_booted() || !store.pending()?.is_empty() {
        return Ok(());
    }
    // Nothing is there to be stopped after a reboot.
    let _ = manager::command(&["stop", "--", "hostward-revert-*.timer"]);
    remove_unit()?;
    sweep();
    absent(std::fs::remove_file(THIS_BOOT)).with_context(|| format!("failed to remove {THIS_BOOT}"))
}

fn absent(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Has the next boot undo what was not confirmed.
fn at_boot(program: &str) -> anyhow::Result<()> {
    std::fs::write(THIS_BOOT, b"").with_context(|| format!("failed to write {THIS_BOOT}"))?;
    let packaged = PACKAGED.iter().any(|path| Path::new(path).is_file());
    if packaged && manager::unit(UNIT).is_ok_and(|unit| unit.file_state == "enabled") {
        return Ok(());
    }
    let wants = Path::new(WANTS);
    let made = !wants.exists();
    let ours = std::fs::read_to_string(OURS).ok();
    let kept_directory = ours.as_deref().is_some_and(|text| text.contains(WITH_DIRECTORY));
    crate::files::replace(Path::new(OURS), unit_text(program, made || kept_directory).as_bytes())?;
    std::fs::create_dir_all(wants).with_context(|| format!("failed to make {WANTS}"))?;
    match symlink(OURS, link()) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("failed to write {}", link().display()));
        }
        _ => {}
    }
    let sync = |dir: &Path| std::fs::File::open(dir).and_then(|dir| dir.sync_all());
    let dirs = [wants.parent().unwrap_or(wants), wants];
    dirs.into_iter().try_for_each(sync).with_context(|| format!("failed to sync {WANTS}"))
}

fn link() -> PathBuf {
    Path::new(WANTS).join(UNIT)
}

/// The unit that a package brings, for this program. Ordered before sysinit.target, after which every ordinary service starts, and
/// before sshd by all its names, wherever those are ordered.
fn unit_text(program: &str, with_directory: bool) -> String {
    let directory = if with_directory { format!("{WITH_DIRECTORY}\n") } else { String::new() };
    format!("{MARK}\n{directory}{}", PACKAGE.replace(PROGRAM, program))
}

/// Removes what a run left that died while it wrote the unit. systemd takes none of it for a unit, so what stays does no harm.
fn sweep() {
    let entries = Path::new(OURS).parent().and_then(|dir| std::fs::read_dir(dir).ok());
    for entry in entries.into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".hostward-") {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Removes the unit, if it is ours, and its link.
fn remove_unit() -> anyhow::Result<()> {
    let Ok(text) = std::fs::read_to_string(OURS) else { return Ok(()) };
    if !text.starts_with(MARK) {
        return Ok(());
    }
    absent(std::fs::remove_file(link())).with_context(|| format!("failed to remove {}", link().display()))?;
    if text.contains(WITH_DIRECTORY) {
        // Somebody else may have put something there meanwhile.
        let _ = std::fs::remove_dir(WANTS);
    }
    absent(std::fs::remove_file(OURS)).with_context(|| format!("failed to remove {OURS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_runs_before_every_sshd_and_not_in_the_boot_of_the_fix() {
        let text = unit_text("/usr/local/bin/hostward", true);
        assert!(text.starts_with(MARK) && text.contains(WITH_DIRECTORY));
        for line in [
            "DefaultDependencies=no",
            "Before=sysinit.target ssh.service sshd.service ssh.socket sshd.socket shutdown.target",
            &format!("ConditionPathExists=!{THIS_BOOT}"),
            "RequiresMountsFor=/var/lib/hostward /etc /usr/local/bin/hostward",
            "ExecStart=/usr/local/bin/hostward recover",
        ] {
            assert!(text.lines().any(|have| have == line), "{line}");
        }
        assert!(!unit_text("/x", false).contains(WITH_DIRECTORY));
    }
}
