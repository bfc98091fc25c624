//! The password audit as a scan runs it: whose passwords, with what words, at what price, and a bar for who waits.

use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hostward_checks::crypt::Limits;
use hostward_checks::fact::{Fact, Why};
use hostward_checks::host::Host;
use hostward_checks::observation::password::PasswordAudit;
use hostward_checks::observation::{Mode, Observations};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::audit::{self, Memory, Progress, Request};
use crate::config::{Budget, length};

/// What a scan spends where nobody says otherwise.
pub const USUAL: Budget = Budget::Time(Duration::from_secs(20));
/// How much longer than its processor time the audit may take on the clock: an idle-priority thread on a busy host waits.
const PATIENCE: u32 = 2;

/// Parses `--password-budget`: a time, `full`, or `0`.
///
/// # Errors
/// What is wrong with the word.
pub fn budget(word: &str) -> Result<Budget, String> {
    match word {
        "full" => Ok(Budget::Full),
        "0" => Ok(Budget::Time(Duration::ZERO)),
        time => length(time).map(Budget::Time).map_err(|what| format!("{what}, full or 0")),
    }
}

/// Tries the passwords of every account, or says why not.
pub fn try_passwords(
    host: &Host,
    seen: &Observations,
    budget: Budget,
    word_lists: Vec<PathBuf>,
) -> Fact<PasswordAudit> {
    if budget == Budget::Time(Duration::ZERO) {
        return Fact::Unknown(Why::NotAsked("the password audit was turned off"));
    }
    match &host.accounts.users {
        Fact::Known(_) => {}
        Fact::Absent => return Fact::Absent,
        Fact::Unknown(why) => return Fact::Unknown(why.clone()),
    }
    let terminal = std::io::stderr().is_terminal();
    let time = match budget {
        Budget::Time(time) => Some(time),
        Budget::Full => None,
    };
    let name = seen.hostname.known().cloned().unwrap_or_default();
    let request = Request {
        accounts: audit::accounts_of(&host.accounts),
        host_words: name.split(|c: char| !c.is_alphanumeric()).map(|word| word.as_bytes().to_vec()).collect(),
        year: audit::year_of(seen.now),
        word_lists,
        cpu: time,
        wall: time.map(|time| time.saturating_mul(PATIENCE)),
        limits: Limits::default(),
        threads: if terminal { cores() } else { NonZeroUsize::MIN },
        idle: !terminal,
        cancel: &AtomicBool::new(false),
    };
    let mut memory = memory(seen.mode);
    let bar = terminal.then(Bar::new);
    let progress: &dyn Progress = bar.as_ref().map_or(&(), |bar| bar);
    Fact::Known(audit::run(&request, &mut memory, progress))
}

/// What earlier audits of this very host have tried, where we may know it; an image has no memory of its own.
fn memory(mode: Mode) -> Memory {
    match mode {
        Mode::Live if nix::unistd::geteuid().is_root() => Memory::open(&crate::survey::state_dir().join("tried.json")),
        _ => Memory::none(),
    }
}

/// The processors that this process may run on. The standard library's answer reads files of the host, which an offline scan
/// does not.
fn cores() -> NonZeroUsize {
    let allowed = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0));
    let count =
        allowed.map_or(1, |set| (0..nix::sched::CpuSet::count()).filter(|cpu| set.is_set(*cpu) == Ok(true)).count());
    NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
}

/// A progress bar on standard error; it leaves no trace.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(5));
        if let Ok(style) = ProgressStyle::with_template("passwords {wide_bar} {percent}% {eta}") {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl Progress for Bar {
    fn advance(&self, tried: u64, of: u64) {
        self.0.set_length(of);
        self.0.set_position(tried);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_have_units() {
        for (word, want) in [
            ("20s", Some(USUAL)),
            ("full", Some(Budget::Full)),
            ("0", Some(Budget::Time(Duration::ZERO))),
            ("2h", Some(Budget::Time(Duration::from_secs(7200)))),
            ("20", None),
            ("fast", None),
        ] {
            assert_eq!(budget(word).ok(), want, "{word}");
        }
    }
}
