//! `hostward scan`: look, judge, report; nothing is changed.

use std::io::IsTerminal;
use std::path::PathBuf;

use hostward_checks::check::{Lang, Profile, Severity};
use hostward_checks::observation::Mode;

use super::look::{Looked, Looking, look};
use super::{LangArg, language, print};
use crate::baseline::Baseline;
use crate::config::{self, Configuration};
use crate::exit_code::ExitCode;
use crate::judge::Judged;
use crate::report::text::{self, Layout};
use crate::report::{Frame, HostBlock, InstanceBlock, OsBlock, Report};
use crate::survey::Survey;

/// Look at this host, or at a mounted image, and report who can get in and what is exposed
///
/// Nothing is changed. The verdict counts findings at or above --fail-on; exit 0: none, 1: findings,
/// 2: none, but something at that level could not be decided.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    looking: Looking,
    /// Count only findings that the baseline does not hold (see `hostward baseline`)
    #[arg(long)]
    new_only: bool,
    /// The least severity that fails: info, low, medium, high, critical [default: medium]
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    fail_on: Option<Severity>,
    /// Exit 0 for findings and for what could not be decided
    #[arg(long)]
    exit_zero: bool,
    /// How to print the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write the report to this file (mode 0600, replaced whole) instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Language of the text report
    #[arg(long, value_enum)]
    lang: Option<LangArg>,
}

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// Complete, versioned (hostward schema)
    Json,
    /// At most 8 KB, for collecting over a fleet
    JsonSummary,
}

/// Parses a profile's word.
pub fn profile(word: &str) -> Result<Profile, String> {
    Profile::from_word(word).ok_or_else(|| "one of basic, enhanced, image".to_owned())
}

fn severity(word: &str) -> Result<Severity, String> {
    Severity::from_word(word).ok_or_else(|| "one of info, low, medium, high, critical".to_owned())
}

/// Scans and reports.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let all = args.looking.configuration()?;
    let baseline = if args.new_only { Baseline::read(&args.looking.baseline_file()?)? } else { None };
    let looked = look(&args.looking, &all, baseline.as_ref())?;
    let report = report(&looked, &all, args.fail_on);
    let full = keep(&report, &looked.survey);
    deliver(args, all.settings.language, &report, &looked.judged, full.as_deref())?;
    Ok(match report.summary.verdict.as_str() {
        _ if args.exit_zero => ExitCode::Clean,
        "fail" => ExitCode::Findings,
        "undecided" => ExitCode::Undecided,
        _ => ExitCode::Clean,
    })
}

/// The report of a look. `fail_on` is what the command line says.
pub fn report(looked: &Looked, all: &Configuration, fail_on: Option<Severity>) -> Report {
    let frame = Frame {
        host: host_block(&looked.survey),
        policy_digest: config::digest(&all.policy),
        profile: all.policy.profile.word(),
        started: looked.started,
        duration_ms: looked.milliseconds,
        fail_on: fail_on.or(all.settings.fail_on).unwrap_or(Severity::Medium),
    };
    Report::new(frame, &looked.judged)
}

fn host_block(survey: &Survey) -> HostBlock {
    let live = survey.seen.mode == Mode::Live;
    let metadata = survey.seen.metadata.known();
    let instance = metadata.map(|metadata| InstanceBlock {
        id: metadata.instance_id.known().cloned(),
        region: metadata.region_id.known().cloned(),
        image: metadata.image_id.known().cloned(),
    });
    let os = survey.host.os.release.known().map(|os| OsBlock {
        id: crate::sanitize::escape(&os.id),
        version: crate::sanitize::escape(&os.version),
        name: crate::sanitize::escape(&os.pretty),
    });
    let ram = sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram());
    let machine = live.then(|| sysinfo::System::new_with_specifics(ram)).and_then(Result::ok);
    let booted = live.then(sysinfo::System::boot_time).and_then(Result::ok).and_then(|at| i64::try_from(at).ok());
    HostBlock {
        mode: if live { "live" } else { "offline" }.to_owned(),
        root: crate::sanitize::escape(&hostward_checks::check::path_text(survey.root.path())),
        hostname: survey.seen.hostname.known().map(|name| crate::sanitize::escape(name)),
        os,
        instance,
        cpus: live.then(|| std::thread::available_parallelism().map_or(1, |n| n.get() as u64)),
        memory_bytes: machine.map(|machine| machine.total_memory()),
        booted_at: booted.and_then(|at| jiff::Timestamp::from_second(at).ok()).map(|at| at.to_string()),
    }
}

/// Keeps the last full report of a live host where root may; the path, where it was kept. A report that cannot be kept is told
/// and still printed.
pub fn keep(report: &Report, survey: &Survey) -> Option<String> {
    if survey.seen.mode != Mode::Live || !nix::unistd::geteuid().is_root() {
        return None;
    }
    let dir = crate::survey::state_dir();
    crate::files::sweep(&dir);
    let path = dir.join("report.json");
    let kept = crate::files::private_dir(&dir)
        .and_then(|()| Ok(serde_json::to_vec_pretty(report)?))
        .and_then(|bytes| crate::files::replace(&path, &bytes));
    match kept {
        Ok(()) => Some(path.display().to_string()),
        Err(error) => {
            super::warn(&format!("the full report is not kept: {error:#}"));
            None
        }
    }
}

fn deliver(
    args: &Args,
    configured: Option<Lang>,
    report: &Report,
    judged: &[Judged],
    full: Option<&str>,
) -> anyhow::Result<()> {
    let terminal = args.output.is_none() && std::io::stdout().is_terminal();
    let out = match args.format {
        Format::Text => {
            let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            let layout = Layout {
                lang: args
                    .lang
                    .map_or_else(|| configured.unwrap_or_else(|| language(None)), |asked| language(Some(asked))),
                colour,
                terminal: terminal || args.output.is_some(),
                full_report: full,
            };
            text::render(report, judged, layout)
        }
        Format::Json => format!("{}\n", serde_json::to_string_pretty(report)?),
        Format::JsonSummary => format!("{}\n", crate::report::summary::render(report)?),
    };
    match &args.output {
        None => print(&out),
        Some(path) => crate::files::deliver(path, out.as_bytes()),
    }
}
