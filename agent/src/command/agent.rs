//! `hostward agent`: the resident.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::look::{Looking, look};
use super::scan;
use crate::config;
use crate::exit_code::{Ends, ExitCode};
use crate::resident::line::End;
use crate::resident::look::{ACCESS, Extent, GUESSES, answer};
use crate::resident::{Setup, places, status, trace};

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
    let agent = args.looking.lasting_configuration()?.0.settings.agent;
    crate::resident::run(Setup {
        program: PathBuf::from("/proc/self/exe"),
        arguments: std::env::args_os().skip_while(|word| word != "agent").skip(1).collect::<Vec<OsString>>(),
        known: crate::survey::state_dir().join("known.json"),
        events: Some(events()?),
        door: PathBuf::from(status::SOCKET),
        full: agent.full_scan,
        poll: agent.poll,
        cpu_percent: agent.cpu_percent,
    })?;
    Ok(ExitCode::Clean)
}

/// Where events are written, one a line.
fn events() -> anyhow::Result<PathBuf> {
    let dir = Path::new("/var/log/hostward");
    crate::files::private_dir(dir).context("failed to find a place for events")?;
    Ok(dir.join("events.jsonl"))
}

fn look_once(looking: &Looking, extent: Extent) -> anyhow::Result<ExitCode> {
    let mut looking = looking.clone();
    let (all, trouble) = looking.lasting_configuration()?;
    let mut end = End { verdict: "pass".to_owned(), policy_digest: config::digest(&all.policy) };
    // They choose between remedies, which only the report of a full look tells.
    looking.without_logins = extent != Extent::Full;
    match extent {
        Extent::Usual => looking.skip.extend([GUESSES, ACCESS].map(str::to_owned)),
        Extent::Full => looking.skip.push(GUESSES.to_owned()),
        Extent::Passwords if looking.checks(&all)?.contains(&GUESSES) => looking.only = vec![GUESSES.to_owned()],
        // The policy does not want it.
        Extent::Passwords => {
            answer(Vec::new(), &[], Vec::new(), end)?;
            return Ok(ExitCode::Clean);
        }
    }
    let mut looked = look(&looking, &all, None)?;
    let report = scan::report(&looked, &all, None);
    if extent == Extent::Full {
        scan::keep(&report, &looked.survey);
    }
    end.verdict = report.summary.verdict;
    looked.survey.also_rests_on(&config::places());
    answer(places::places(&looked.survey.snapshot), &looked.judged, trouble.into_iter().collect(), end)?;
    Ok(ExitCode::Clean)
}
