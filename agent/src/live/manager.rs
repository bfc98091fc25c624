//! systemd, asked through its own tools: what it knows of a unit, and what it is to do. Understands 237 and later.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hostward_checks::effect::{UnitAction, Verb};
use hostward_checks::host::Host;
use hostward_checks::host::sshd::Found;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::rereading::Rereading;
use crate::observe::command::{Call, Ran};
use crate::transaction::UnitWas;

/// Where the tools stand.
const SYSTEMCTL: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];
const SYSTEMD_RUN: [&str; 2] = ["/usr/bin/systemd-run", "/bin/systemd-run"];
/// How long a question may take.
const QUESTION: Duration = Duration::from_secs(15);
/// How long a unit may take to do as it is told: systemd's own limit for starting one, and a little.
const ACTION: Duration = Duration::from_secs(100);
/// How long a unit is given to become what its state says it is becoming.
const SETTLING: Duration = Duration::from_secs(10);

/// What systemd says of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Its own name: an alias stands for another.
    pub(crate) id: String,
    /// `active`, `inactive`, `failed`, `activating` …
    pub(crate) active: String,
    /// `enabled`, `disabled`, `static` …; empty where there is no file.
    pub(crate) file_state: String,
    /// `loaded`, `not-found`, `masked` …
    pub(crate) load: String,
    /// Its main process.
    pub(crate) main_pid: Option<i32>,
    /// Whether it says how it is reloaded.
    pub(crate) can_reload: bool,
    /// Whether its files are newer than what systemd has read.
    pub(crate) stale: bool,
}

impl Unit {
    /// Whether it runs or is about to.
    pub(crate) fn runs(&self) -> bool {
        ["active", "reloading", "activating", "refreshing"].contains(&self.active.as_str())
    }

    fn enabled(&self) -> Option<bool> {
        match self.file_state.as_str() {
            "enabled" | "enabled-runtime" => Some(true),
            "disabled" => Some(false),
            _ => None,
        }
    }
}

/// Whether the host runs under systemd (`sd_booted(3)`); in a chroot it does not, whatever runs outside.
pub(crate) fn is_booted() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn tool(places: &[&'static str]) -> anyhow::Result<&'static str> {
    let found = places.iter().find(|place| Path::new(place).is_file());
    found.copied().with_context(|| format!("{} is missing", places.first().unwrap_or(&"")))
}

/// Runs `systemctl`.
///
/// # Errors
/// It is missing, or cannot be started.
fn systemctl<'a>(arguments: impl IntoIterator<Item = &'a str>, time: Duration) -> anyhow::Result<Ran> {
    let program = tool(&SYSTEMCTL)?;
    Call::new(program, arguments, time).run().with_context(|| format!("failed to run {program}"))
}

/// The version of systemd's tools, as they say it: `252 (252.39-1~deb12u1)`.
///
/// # Errors
/// They are missing, or do not say.
pub(crate) fn version() -> anyhow::Result<String> {
    let ran = systemctl(["--version"], QUESTION)?;
    let said = hostward_checks::check::bytes_text(&ran.out);
    let version = said.lines().next().and_then(|line| line.strip_prefix("systemd "));
    version.map(str::to_owned).context("systemctl does not say its version")
}

/// Whether there is a `systemd-run`.
pub(crate) fn runs_units() -> bool {
    tool(&SYSTEMD_RUN).is_ok()
}

/// Runs `systemctl`, which must say that it did as it was told.
///
/// # Errors
/// What it said.
pub(super) fn command(arguments: &[&str]) -> anyhow::Result<()> {
    let ran = systemctl(arguments.iter().copied(), ACTION)?;
    if !ran.success() {
        bail!("`systemctl {}` failed: {}", arguments.join(" "), ran.complaint());
    }
    Ok(())
}

/// Runs `systemd-run`.
///
/// # Errors
/// What it said.
pub(super) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let program = tool(&SYSTEMD_RUN)?;
    let ran = Call::new(program, arguments, QUESTION).run().with_context(|| format!("failed to run {program}"))?;
    if !ran.success() {
        bail!("systemd-run failed: {}", ran.complaint());
    }
    Ok(())
}

/// Has a unit started, by a process that ends when the unit's work is done and says on its second value what went wrong.
///
/// # Errors
/// It cannot be asked.
pub fn start_unit(name: &str) -> anyhow::Result<(Child, ChildStderr)> {
    let program = tool(&SYSTEMCTL)?;
    let mut command = Command::new(program);
    command.args(["--quiet", "--no-ask-password", "start", "--", name]).env_clear().env("LC_ALL", "C").current_dir("/");
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.with_context(|| format!("failed to run {program}"))?;
    let said = child.stderr.take().context("systemctl has no standard error")?;
    Ok((child, said))
}

/// What systemd says of a unit.
///
/// # Errors
/// It does not answer.
pub(crate) fn unit(name: &str) -> anyhow::Result<Unit> {
    const ASKED: [&str; 7] =
        ["Id", "ActiveState", "UnitFileState", "LoadState", "MainPID", "CanReload", "NeedDaemonReload"];
    let asked = ASKED.iter().flat_map(|property| ["-p", property]);
    let ran = systemctl(["show"].into_iter().chain(asked).chain(["--", name]), QUESTION)?;
    if !ran.success() {
        bail!("systemd does not say how {name} is: {}", ran.complaint());
    }
    Ok(told(&hostward_checks::check::bytes_text(&ran.out)))
}

fn told(text: &str) -> Unit {
    let said: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let value = |property: &str| said.get(property).copied().unwrap_or_default().to_owned();
    Unit {
        id: value("Id"),
        active: value("ActiveState"),
        file_state: value("UnitFileState"),
        load: value("LoadState"),
        main_pid: value("MainPID").parse().ok().filter(|pid| *pid > 0),
        can_reload: value("CanReload") == "yes",
        stale: value("NeedDaemonReload") == "yes",
    }
}

/// How a unit stands, for its inverse.
///
/// # Errors
/// systemd does not say; or an sshd runs in the unit that is not its to reload.
pub(super) fn was(name: &str) -> anyhow::Result<UnitWas> {
    let unit = unit(name)?;
    let daemons = Rereading::of(&unit.id).pids();
    if let Some(main) = unit.main_pid.filter(|main| !daemons.is_empty() && !daemons.contains(main)) {
        bail!("an sshd runs in {name} that is not its main process ({main}), so that {name} cannot reload it");
    }
    Ok(UnitWas { active: unit.runs(), enabled: unit.enabled() })
}

/// Running daemons whose service has another main process: somebody started them from within it (a terminal of Cloud Assistant's, a
/// user's own service manager), and its reload would be that program's. Where systemd does not say, [`was`] asks again.
pub(super) fn beside(host: &Host) -> Vec<i32> {
    let mut out = Vec::new();
    for instance in &host.sshd.instances {
        let service = instance.unit.as_deref().filter(|unit| unit.ends_with(".service"));
        let (Found::Running { pid }, Some(service)) = (&instance.found, service) else { continue };
        if unit(service).is_ok_and(|unit| unit.main_pid.is_some_and(|main| main != *pid)) {
            out.push(*pid);
        }
    }
    out
}

/// Whether the system is still coming up: then a job that is waited for may wait for us.
fn is_starting() -> bool {
    let state = systemctl(["is-system-running"], QUESTION).map(|ran| ran.out).unwrap_or_default();
    matches!(state.trim_ascii(), b"initializing" | b"starting")
}

/// Does what is asked, and waits until it is done.
///
/// # Errors
/// It was not done.
pub(super) fn act(action: &UnitAction) -> anyhow::Result<()> {
    let name = action.unit.as_str();
    match action.verb {
        Verb::Reload => reload(name),
        Verb::StopAndDisable => {
            if unit(name)?.enabled() == Some(true) {
                command(&["disable", "--", name])?;
            }
            command(&["stop", "--", name])?;
            expect(name, false)
        }
        Verb::EnableAndStart => {
            command(&["daemon-reload"])?;
            if unit(name)?.enabled() == Some(false) {
                command(&["enable", "--", name])?;
            }
            command(&["start", "--", name])?;
            expect(name, true)
        }
    }
}

/// Makes what was before effective again, once the files are back.
///
/// # Errors
/// It is not as it was.
pub(super) fn undo(action: &UnitAction, was: &UnitWas) -> anyhow::Result<()> {
    let name = action.unit.as_str();
    let now = unit(name)?;
    match action.verb {
        // What runs has read what was undone, or may have; what died with it is started.
        Verb::Reload if now.runs() => match reload(name) {
            Ok(()) => Ok(()),
            // The same process as before has still read what was undone: starting what runs would change nothing.
            Err(error) if now.main_pid.is_some() && unit(name)?.main_pid == now.main_pid => Err(error),
            Err(_) => start(name),
        },
        Verb::Reload if was.active => start(name),
        Verb::Reload => Ok(()),
        Verb::StopAndDisable => {
            if was.enabled == Some(true) && now.enabled() != Some(true) {
                command(&["enable", "--", name])?;
            }
            if was.active { start(name) } else { Ok(()) }
        }
        Verb::EnableAndStart => {
            if was.enabled == Some(false) && now.enabled() == Some(true) {
                command(&["disable", "--", name])?;
            }
            if !was.active && now.runs() {
                command(&["stop", "--", name])?;
            }
            if unlink(name)? { command(&["daemon-reload"]) } else { Ok(()) }
        }
    }
}

/// Removes the links by which a unit is enabled whose file went with the undoing: `systemctl disable` knows no such unit. True: there
/// were some.
fn unlink(name: &str) -> anyhow::Result<bool> {
    let places = std::fs::read_dir("/etc/systemd/system").context("failed to list /etc/systemd/system")?;
    let mut removed = false;
    for place in places.flatten().map(|entry| entry.path()) {
        let link = place.join(name);
        let wants = place.extension().is_some_and(|kind| kind == "wants" || kind == "requires");
        if wants && link.is_symlink() && !link.exists() {
            std::fs::remove_file(&link).with_context(|| format!("failed to remove {}", link.display()))?;
            removed = true;
        }
    }
    Ok(removed)
}

/// Starts a unit that may have failed before. While the system comes up it is only put in the queue: this very process may be what
/// the unit waits for.
fn start(name: &str) -> anyhow::Result<()> {
    // A limit on starts, which failures have used up, would refuse this one.
    let _ = command(&["reset-failed", "--", name]);
    if is_starting() {
        return command(&["start", "--no-block", "--", name]);
    }
    command(&["start", "--", name])?;
    expect(name, true)
}

/// Waits until a unit runs, or does not.
fn expect(name: &str, running: bool) -> anyhow::Result<()> {
    let until = Instant::now() + SETTLING;
    loop {
        let now = unit(name)?;
        let there = if running { now.active == "active" } else { !now.runs() && now.active != "deactivating" };
        if there {
            return Ok(());
        }
        if Instant::now() > until {
            bail!("{name} is {} and should {}", now.active, if running { "run" } else { "be stopped" });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Has a unit read its configuration again, and waits until it has. A unit that does not run has nothing to read.
fn reload(name: &str) -> anyhow::Result<()> {
    // A template's instances are one a connection, and read the configuration themselves.
    if name.contains("@.") {
        return Ok(());
    }
    if !name.ends_with(".service") {
        return hang_up(&Rereading::of(name), name);
    }
    let mut now = unit(name)?;
    if now.stale {
        command(&["daemon-reload"])?;
        now = unit(name)?;
    }
    if !now.runs() {
        return Ok(());
    }
    let watch = Rereading::of(&now.id);
    if now.can_reload {
        command(&["reload", "--", name])?;
        watch.done()
    } else if let Some(pid) = now.main_pid {
        signal(pid).with_context(|| format!("failed to tell {name} to read its configuration"))?;
        watch.done()
    } else {
        bail!("{name} has no way to read its configuration again: neither a reload command nor a main process")
    }
}

/// For daemons that no service runs: started by hand, in a login session.
fn hang_up(watch: &Rereading, name: &str) -> anyhow::Result<()> {
    let pids = watch.pids();
    if pids.is_empty() {
        bail!("no daemon of {name} is there to read its configuration");
    }
    for pid in pids {
        signal(pid).with_context(|| format!("failed to tell process {pid} of {name} to read its configuration"))?;
    }
    watch.done()
}

fn signal(pid: i32) -> Result<(), Errno> {
    kill(Pid::from_raw(pid), Signal::SIGHUP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_systemd_is_read() {
        let unit = told(
            "Id=ssh.service\nActiveState=active\nUnitFileState=enabled\nLoadState=loaded\nMainPID=35\nCanReload=yes\nNeedDaemonReload=no\n",
        );
        assert!(unit.runs() && unit.can_reload && !unit.stale);
        assert_eq!((unit.id.as_str(), unit.main_pid, unit.enabled()), ("ssh.service", Some(35), Some(true)));
        let gone = told("Id=x.service\nActiveState=inactive\nUnitFileState=\nLoadState=not-found\nMainPID=0\n");
        assert!(!gone.runs() && gone.main_pid.is_none() && gone.enabled().is_none());
    }
}
