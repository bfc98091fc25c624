//! What will really run is asked whether it accepts what is on disk: before anything is reloaded.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use hostward_checks::check::bytes_text;
use hostward_checks::host::sshd::{Found, Instance};
use hostward_checks::sshd::{CommandLine, DEFAULT_FILE};

use super::listeners::unbindable;
use crate::observe::command::{Call, Ran};
use crate::survey::{Survey, Wanted, survey};
use crate::transaction::Manifest;

/// How long a program may take to judge its configuration. sshd generates nothing and resolves ListenAddress.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where visudo stands.
const VISUDO: [&str; 2] = ["/usr/sbin/visudo", "/sbin/visudo"];

/// Looks at the live host as far as services are concerned.
///
/// # Errors
/// The root cannot be opened.
pub(super) fn look() -> anyhow::Result<Survey> {
    survey(None, &Wanted { network: true, ..Wanted::default() })
}

/// Whether a transaction concerns an instance: it asks its unit, or changes a file that it reads.
pub(super) fn concerns(manifest: &Manifest, instance: &Instance) -> bool {
    let asked = manifest.units().iter().any(|action| instance.unit.as_deref() == Some(action.unit.as_str()));
    asked
        || touches(manifest, |path| {
            instance.configuration.files.iter().any(|(file, _)| file == path)
                || path.starts_with("/etc/ssh")
                || path.starts_with("/etc/default")
                || path.starts_with("/etc/sysconfig")
        })
}

fn touches(manifest: &Manifest, concerned: impl Fn(&Path) -> bool) -> bool {
    manifest.files().any(|(_, file)| concerned(&file.path))
}

/// Asks sshd and sudo.
///
/// # Errors
/// What they refuse, or what sshd could not bind.
pub(super) fn validate(manifest: &Manifest) -> anyhow::Result<()> {
    let survey = look()?;
    let instances: Vec<&Instance> =
        survey.host.sshd.instances.iter().filter(|instance| concerns(manifest, instance)).collect();
    for instance in &instances {
        accepts(instance)?;
    }
    if !instances.is_empty() {
        let refused = unbindable(&survey.host, &survey.seen);
        if !refused.is_empty() {
            let each: Vec<String> = refused.iter().map(|(address, why)| format!("{address}: {why}")).collect();
            bail!("sshd could not listen after a reload: {}", each.join("; "));
        }
    }
    if touches(manifest, |path| path.starts_with("/etc/sudoers.d") || path == Path::new("/etc/sudoers")) {
        sudoers()?;
    }
    Ok(())
}

/// `sshd -t` as the daemon itself would be executed again: its own program, name, options and environment.
fn accepts(instance: &Instance) -> anyhow::Result<()> {
    let call = test_of(instance);
    let shown = call.program.display().to_string();
    let run = || call.run().with_context(|| format!("failed to run {shown}"));
    let mut ran = run()?;
    if !ran.success()
        && let Some(_made) = missing_directory(&ran).map(Temporary::make).transpose()?
    {
        ran = run()?;
    }
    if !ran.success() {
        bail!("{shown} -t refuses {}: {}", instance.config_file().display(), ran.complaint());
    }
    Ok(())
}

fn test_of(instance: &Instance) -> Call {
    question_of(instance, &["-t"])
}

/// A question to an instance's program as the daemon itself would be executed again.
pub(crate) fn question_of(instance: &Instance, question: &[&str]) -> Call {
    let mut arguments: Vec<OsString> = Vec::new();
    let line = CommandLine::parse(&instance.argv);
    for (letter, argument) in &line.options {
        // What makes it run in the foreground, say more or nothing, or serve one connection, and other tests.
        if b"CDdeGiqtTV".contains(letter) {
            continue;
        }
        let mut word = vec![b'-', *letter];
        word.extend_from_slice(argument);
        arguments.push(OsString::from_vec(word));
    }
    // The file is named only where its own command line names another: what it takes without is the program's to say.
    if line.file != Path::new(DEFAULT_FILE) {
        arguments.push("-f".into());
        arguments.push(line.file.into_os_string());
    }
    arguments.extend(question.iter().map(OsString::from));
    let mut call = Call::new(instance.program.as_os_str(), arguments, PATIENCE);
    if let Found::Running { pid } = instance.found {
        call.environment = environment(pid);
    }
    call
}

/// The environment of a running daemon, without what systemd gave to that process alone.
fn environment(pid: i32) -> Vec<(OsString, OsString)> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let pairs = bytes.split(|byte| *byte == 0).filter_map(|word| {
        let at = word.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (word.get(..at)?, word.get(at + 1..)?);
        let own =
            name.starts_with(b"LISTEN_") || [&b"NOTIFY_SOCKET"[..], b"WATCHDOG_PID", b"WATCHDOG_USEC"].contains(&name);
        (!own).then(|| (OsString::from_vec(name.to_vec()), OsString::from_vec(value.to_vec())))
    });
    pairs.collect()
}

/// `Missing privilege separation directory: /run/sshd`: its unit makes it at each start (`RuntimeDirectory=`), and no test does.
pub(crate) fn missing_directory(ran: &Ran) -> Option<PathBuf> {
    let said = [&ran.errors, &ran.out].into_iter().find_map(|said| {
        let at = said.windows(MISSING.len()).position(|window| window == MISSING)?;
        said.get(at + MISSING.len()..)?.split(|byte| matches!(byte, b'\r' | b'\n')).next()
    })?;
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(said));
    ["/run", "/var/run"].iter().any(|dir| path.parent() == Some(Path::new(dir))).then_some(path)
}

const MISSING: &[u8] = b"Missing privilege separation directory: ";

/// A directory that is there for a test only.
struct Temporary(PathBuf);

impl Temporary {
    fn make(path: PathBuf) -> anyhow::Result<Self> {
        let made = std::fs::DirBuilder::new().mode(0o755).create(&path);
        made.with_context(|| format!("failed to make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // The unit may have been started meanwhile, and uses it: then it is empty all the same, and made again at its next start,
        // so that only a directory that nobody runs with is taken away.
        let used = super::manager::unit("ssh.service").is_ok_and(|unit| unit.runs())
            || super::manager::unit("sshd.service").is_ok_and(|unit| unit.runs());
        if !used {
            let _ = std::fs::remove_dir(&self.0);
        }
    }
}

/// visudo's path; None: it is not installed.
pub(crate) fn visudo() -> Option<&'static str> {
    VISUDO.into_iter().find(|place| Path::new(place).is_file())
}

/// `visudo -c`: every file that sudo reads, with owner and mode. Without visudo there is nothing to ask.
fn sudoers() -> anyhow::Result<()> {
    let Some(visudo) = visudo() else { return Ok(()) };
    let ran = Call::new(visudo, ["-c"], PATIENCE).run().with_context(|| format!("failed to run {visudo}"))?;
    if !ran.success() {
        bail!("visudo refuses the sudoers files: {}", bytes_text(ran.complaint().as_bytes()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_directory_of_run_is_made_for_a_test() {
        let ran = |errors: &[u8]| Ran { out: Vec::new(), errors: errors.to_vec(), status: Some(255), timed_out: false };
        let missing = |errors: &[u8]| missing_directory(&ran(errors));
        assert_eq!(missing(b"Missing privilege separation directory: /run/sshd\r\n"), Some("/run/sshd".into()));
        assert_eq!(
            missing(b"x\nMissing privilege separation directory: /var/run/sshd\n"),
            Some("/var/run/sshd".into())
        );
        assert_eq!(missing(b"Missing privilege separation directory: /etc/x"), None);
        assert_eq!(missing(b"Bad configuration option: x"), None);
    }
}
