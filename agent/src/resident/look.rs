//! One look, as a process of its own, and what it tells.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::resource::{UsageWho, getrusage};

use super::PROGRAM;
use super::line::{End, Found, Line, Place, Ran, is_secret};
use crate::exit_code::{Ends, ExitCode};
use crate::judge::{Judged, JudgedFinding};
use crate::report::message;
use crate::sanitize::escape;

/// A look that takes longer is ended.
const LONGEST: Duration = Duration::from_secs(300);
/// A line of an answer is never so long; what is longer is no answer.
const LINE: usize = 4 << 20;

/// Guesses take their time: they are a look of their own.
pub const GUESSES: &str = "accounts.weak-password";
/// What counts as an access to the metadata service in normal mode.
pub const ACCESS: &str = "metadata.hardened";
/// It rests on the logs of a month, which are read for a full look alone.
pub const LOGINS: &str = "platform.login-anomaly";
/// What reads hundreds of files that are not watched: once a day is enough.
pub const KEYS: &str = "credentials.access-key";
/// Package lists are many megabytes, and change once a day.
pub const UPDATES: &str = "platform.updates";
/// What asks services, which listeners that come and go are no reason for.
pub const QUESTIONS: &str = "ports.unauthenticated";
/// What a usual look leaves out.
pub const NOT_USUAL: [&str; 6] = [GUESSES, ACCESS, LOGINS, KEYS, UPDATES, QUESTIONS];

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// What changes tell of: no password is tried, no file is searched for AccessKeys, no package list is read, no service is
    /// asked, and not the metadata service for what counts as an access.
    Usual,
    /// Everything but passwords.
    Full,
    /// Passwords alone, which takes its time.
    Passwords,
}

impl Extent {
    /// Whether a look of this extent asks a check, where the policy wants it.
    pub fn asks(self, check: &str) -> bool {
        match self {
            Self::Usual => !NOT_USUAL.contains(&check),
            Self::Full => check != GUESSES,
            Self::Passwords => check == GUESSES,
        }
    }

    /// The word for it on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::Full => "full",
            Self::Passwords => "passwords",
        }
    }

    /// The extent of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Usual, Self::Full, Self::Passwords].into_iter().find(|extent| extent.word() == word)
    }
}

/// Writes what a look found, for the resident that started it.
///
/// # Errors
/// Nobody reads any more.
pub fn answer(places: Vec<Place>, judged: &[Judged], troubles: Vec<String>, end: End) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut tell = |line: &Line| -> anyhow::Result<()> {
        serde_json::to_writer(&mut out, line)?;
        out.write_all(b"\n").context("nobody reads")
    };
    for place in places {
        tell(&Line::Place(place))?;
    }
    for one in judged {
        tell(&Line::Check(Ran { id: one.check.id.to_owned(), undecided: !one.doubts.is_empty() }))?;
        for found in found(one) {
            tell(&Line::Finding(found))?;
        }
    }
    for trouble in troubles {
        tell(&Line::Trouble(trouble))?;
    }
    tell(&Line::End(end))?;
    out.flush().context("nobody reads")
}

/// The findings of a check that count. Those that are secret are one, without names.
fn found(one: &Judged) -> Vec<Found> {
    let counting = || one.findings.iter().filter(|finding| finding.waived.is_none());
    if !is_secret(one.check.id) {
        // Two ways to one subject are one finding: the worse, or else it would change with every look.
        let mut each: BTreeMap<&str, &JudgedFinding> = BTreeMap::new();
        for finding in counting() {
            let worst = each.entry(&finding.fingerprint).or_insert(finding);
            if finding.severity > worst.severity {
                *worst = finding;
            }
        }
        let each = each.into_values().map(|finding| Found {
            fingerprint: finding.fingerprint.clone(),
            check: one.check.id.to_owned(),
            severity: finding.severity.word().to_owned(),
            subject: escape(&finding.finding.subject),
            message: message(one, finding, hostward_checks::check::Lang::En),
        });
        return each.collect();
    }
    let worst = counting().map(|finding| finding.severity).max();
    let together = worst.map(|severity| Found {
        fingerprint: crate::judge::fingerprint(one.check.id, ""),
        check: one.check.id.to_owned(),
        severity: severity.word().to_owned(),
        subject: String::new(),
        message: format!(
            "{} accounts are concerned; `hostward scan --only {}` names them",
            counting().count(),
            one.check.id
        ),
    });
    together.into_iter().collect()
}

/// What a look told.
#[derive(Debug, Default)]
pub struct Answer {
    /// The directories to watch.
    pub places: Vec<Place>,
    /// The checks that ran.
    pub ran: Vec<Ran>,
    /// The findings that count.
    pub found: Vec<Found>,
    /// What could not be done as it should.
    pub troubles: Vec<String>,
    /// How it ended.
    pub end: Option<End>,
    /// How long it took.
    pub time: Duration,
}

/// A look under way.
#[derive(Debug)]
pub struct Look {
    /// How much is looked at.
    pub extent: Extent,
    child: Child,
    out: ChildStdout,
    pending: Vec<u8>,
    answer: Answer,
    began: Instant,
}

impl Look {
    /// Starts a look with the resident's own arguments.
    ///
    /// # Errors
    /// No process can be started.
    pub fn start(arguments: &[OsString], extent: Extent) -> anyhow::Result<Self> {
        let mut child = Command::new(PROGRAM)
            .arg0("hostward")
            .arg("agent")
            .args(arguments)
            .arg(format!("--look={}", extent.word()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // It tells its own unit, not ours.
            .env_remove("NOTIFY_SOCKET")
            .spawn()
            .context("failed to start a look")?;
        let out = child.stdout.take().context("a look has no output")?;
        fcntl(&out, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).context("failed to read from a look")?;
        let (pending, answer, began) = (Vec::new(), Answer::default(), Instant::now());
        Ok(Self { extent, child, out, pending, answer, began })
    }

    /// When it is ended if it has not ended by then.
    pub fn deadline(&self) -> Instant {
        // The audit has a budget of its own, of thirty days at most.
        self.began + if self.extent == Extent::Passwords { 31 * Duration::from_secs(86_400) } else { LONGEST }
    }

    /// Reads what there is. None: more may come; else whether what came is an answer.
    pub fn hear(&mut self) -> Option<anyhow::Result<()>> {
        let mut buffer = [0_u8; 16 << 10];
        loop {
            match self.out.read(&mut buffer) {
                Ok(0) => return Some(Ok(())),
                Ok(count) => {
                    self.pending.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    if let Err(error) = self.lines() {
                        return Some(Err(error));
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(error).context("failed to read from a look")),
            }
        }
    }

    fn lines(&mut self) -> anyhow::Result<()> {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &self.pending) {
            let line = self.pending.get(start..end).unwrap_or_default();
            start = end + 1;
            match serde_json::from_slice(line).context("a look told what is no answer")? {
                Line::Place(place) => self.answer.places.push(place),
                Line::Check(ran) => self.answer.ran.push(ran),
                Line::Finding(found) => self.answer.found.push(found),
                Line::Trouble(trouble) => self.answer.troubles.push(trouble),
                Line::End(end) => self.answer.end = Some(end),
            }
        }
        self.pending.drain(..start);
        if self.pending.len() > LINE {
            bail!("a look told what is no answer: a line without an end");
        }
        Ok(())
    }

    /// Waits for its end, which is near once all was read, and gives its answer with the processor time that it took. What it told is
    /// not used where it failed, or told what is no answer: then it is ended.
    pub fn end(mut self, heard: anyhow::Result<()>) -> (anyhow::Result<Answer>, Duration) {
        if heard.is_err() {
            // It may have ended by itself.
            let _ = self.child.kill();
        }
        // A child's time is counted when it is waited for: what comes in between is this one's.
        let before = children();
        let status = self.child.wait().context("failed to wait for a look");
        let cpu = children().saturating_sub(before);
        self.answer.time = self.began.elapsed();
        let answer = heard.and(status).and_then(|status| match &self.answer.end {
            Some(_) if status.success() => Ok(self.answer),
            _ => Err(failed(status)),
        });
        (answer, cpu)
    }

    /// Ends it.
    pub fn kill(mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl AsFd for Look {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.out.as_fd()
    }
}

/// Why a look gave no answer.
fn failed(status: std::process::ExitStatus) -> anyhow::Error {
    let wrong = ExitCode::Config;
    if status.code() == Some(wrong as i32) {
        return Ends::with(wrong, "the configuration is wrong, and there was no good one yet");
    }
    anyhow::anyhow!("a look failed ({status}): the journal of this unit says why")
}

/// Processor time of all children that have ended.
fn children() -> Duration {
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or(Duration::ZERO, |usage| super::status::taken(&usage))
}

#[cfg(test)]
mod tests {
    use hostward_checks::check::{Finding, Profile, Severity, Verdict};
    use hostward_checks::policy::Policy;

    use super::*;
    use crate::judge::{Rules, judge};

    #[test]
    fn one_subject_is_one_finding_and_the_worse() {
        let check = hostward_checks::catalogue::ALL.iter().find(|check| check.id == "accounts.sudo").unwrap();
        let found_at = |severities: [Severity; 3]| {
            let each = severities.into_iter().zip(["a", "a", "b"]);
            let findings = each.map(|(severity, subject)| Finding::new(severity, subject, "everyone")).collect();
            let policy = Policy::builtin(Profile::Enhanced);
            let rules = Rules { policy: &policy, now: 0, baseline: None };
            let told = found(&judge(check, Verdict::Fail(findings, Vec::new()), &rules));
            let mut told: Vec<(String, String)> = told.into_iter().map(|one| (one.subject, one.severity)).collect();
            told.sort();
            told
        };
        let told = |first: &str| [("a", first), ("b", "low")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(found_at([Severity::Low, Severity::High, Severity::Low]), told("high"));
        assert_eq!(found_at([Severity::High, Severity::Low, Severity::Low]), told("high"));
    }
}
