//! `hostward agent`: the resident.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use hostward_checks::policy::Remediate;

use super::look::{Looking, look, look_alone};
use super::scan;
use crate::config;
use crate::exit_code::{Ends, ExitCode};
use crate::remedy::Named;
use crate::resident::line::{End, Pace};
use crate::resident::look::{Extent, GUESSES, NOT_USUAL, answer};
use crate::resident::{Setup, places, status, trace};

/// The first word of the process that stays. No command has it.
const STAYS: &str = "@resident";

/// Stay, watch what the last scan rested on, and report what becomes different
///
/// Run by hostward.service. New, resolved and changed findings go to the journal and to /var/log/hostward/events.jsonl. SIGHUP
/// has everything looked at again; `hostward status` says what is open and what is watched.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    looking: Looking,
    /// Look once for the resident that asks, in lines for it alone
    #[arg(long, hide = true, value_parser = extent)]
    look: Option<Extent>,
    /// Have the kernel tell of new listeners, or no more, for the unit
    #[arg(long, hide = true, value_enum)]
    trace: Option<Step>,
}

/// `--trace`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    /// Before the resident is started
    Begin,
    /// After it ended
    End,
}

fn extent(word: &str) -> Result<Extent, String> {
    Extent::from_word(word).ok_or_else(|| "usual, full or passwords".to_owned())
}

/// Stays until it is told to end; or looks once.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.looking.root.is_some() {
        let message = "a resident watches a running host: --root is for `hostward scan`";
        return Err(Ends::with(ExitCode::Usage, message));
    }
    if let Some(extent) = args.look {
        return look_once(&args.looking, extent);
    }
    if let Some(step) = args.trace {
        let done = if step == Step::Begin { trace::prepare() } else { trace::remove() };
        // Without it listeners are asked for every so often.
        if let Err(error) = done {
            super::warn(&format!("{error:#}"));
        }
        return Ok(ExitCode::Clean);
    }
    stay()
}

/// Stays, in this process made anew: what reading the command line took of its memory is not carried along for months.
fn stay() -> anyhow::Result<ExitCode> {
    let words = std::env::args_os().skip_while(|word| word != "agent").skip(1);
    let error = Command::new(crate::resident::PROGRAM).arg0("hostward").arg(STAYS).args(words).exec();
    Err(error).context("failed to start the resident")
}

/// The resident, if this is its process: the first word says so, and the others are those of its looks.
pub fn resident(mut words: impl Iterator<Item = OsString>) -> Option<anyhow::Result<ExitCode>> {
    words.next().filter(|word| word == STAYS)?;
    // Else it would be called by the link that it was started through. It is a name, and no more.
    let _ = nix::sys::prctl::set_name(c"hostward");
    let stayed = crate::resident::run(Setup {
        arguments: words.collect(),
        known: crate::survey::state_dir().join("known.json"),
        events: Some(PathBuf::from("/var/log/hostward/events.jsonl")),
        door: PathBuf::from(status::SOCKET),
    });
    Some(stayed.map(|()| ExitCode::Clean))
}

fn look_once(looking: &Looking, extent: Extent) -> anyhow::Result<ExitCode> {
    let mut looking = looking.clone();
    let (all, trouble) = looking.lasting_configuration()?;
    let agent = all.settings.agent;
    let pace = Pace { full: agent.full_scan, poll: agent.poll, cpu_percent: agent.cpu_percent };
    // While the policy is wrong nobody knows what it would let be fixed.
    let remediate = if trouble.is_none() { all.policy.remediate.clone() } else { Remediate::default() };
    let (policy_digest, named) = (config::digest(&all.policy), Named::of(&remediate));
    let mut end = End { verdict: "pass".to_owned(), policy_digest, firewall: false, pace, named };
    // They choose between remedies, which only the report of a full look tells.
    looking.without_logins = extent != Extent::Full;
    match extent {
        Extent::Usual => looking.skip.extend(NOT_USUAL.map(str::to_owned)),
        Extent::Full => looking.skip.push(GUESSES.to_owned()),
        Extent::Passwords if looking.checks(&all)?.contains(&GUESSES) => looking.only = vec![GUESSES.to_owned()],
        // The policy does not want it.
        Extent::Passwords => {
            answer(Vec::new(), &[], Vec::new(), end)?;
            return Ok(ExitCode::Clean);
        }
    }
    // Who guesses for hours is in nobody's way: an account is judged by what was read of it at once.
    let looks = if extent == Extent::Passwords { look_alone } else { look };
    let mut looked = looks(&looking, &all, None)?;
    let report = scan::report(&looked, &all, None);
    if extent == Extent::Full {
        scan::keep(&report, &looked.survey);
    }
    end.verdict = report.summary.verdict;
    end.firewall = looked.judged.iter().any(|one| one.check.reads.contains(&"host firewall"));
    looked.survey.also_rests_on(&config::places());
    looked.survey.also_rests_on(&crate::remedy::places());
    answer(places::places(&looked.survey.snapshot), &looked.judged, trouble.into_iter().collect(), end)?;
    Ok(ExitCode::Clean)
}
