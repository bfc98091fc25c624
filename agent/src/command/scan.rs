//! `hostward scan`: look, judge, report; nothing is changed.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use hostward_checks::access::Access;
use hostward_checks::catalogue;
use hostward_checks::check::{Check, Input, Profile, Scope, Severity, Verdict};
use hostward_checks::observation::Mode;
use hostward_checks::policy::Policy;

use super::{LangArg, language, print};
use crate::exit_code::{Ends, ExitCode};
use crate::judge::{self, Judged};
use crate::observe::metadata::Endpoint;
use crate::report::text::{self, Layout};
use crate::report::{Frame, HostBlock, InstanceBlock, OsBlock, Report};
use crate::survey::{Survey, Wanted, survey};

/// Look at this host, or at a mounted image, and report who can get in and what is exposed
///
/// Nothing is changed. The verdict counts findings at or above --fail-on; exit 0: none, 1: findings,
/// 2: none, but something at that level could not be decided.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Scan this directory as an offline root: nothing outside it is read
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Which checks run: basic, enhanced or image [default: enhanced; image with --root]
    #[arg(long, value_parser = profile)]
    profile: Option<Profile>,
    /// Run only these checks or areas (sshd, sshd.root-login, …), separated by commas
    #[arg(long, value_name = "CHECKS", value_delimiter = ',')]
    only: Vec<String>,
    /// Leave out these checks or areas
    #[arg(long, value_name = "CHECKS", value_delimiter = ',')]
    skip: Vec<String>,
    /// The least severity that fails: info, low, medium, high, critical
    #[arg(long, value_name = "SEVERITY", default_value = "medium", value_parser = severity)]
    fail_on: Severity,
    /// Exit 0 for findings and for what could not be decided
    #[arg(long)]
    exit_zero: bool,
    /// How to print the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write the report to this file (mode 0600) instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Language of the text report
    #[arg(long, value_enum)]
    lang: Option<LangArg>,
    /// Ask the metadata service at this address, wherever this host is [default: http://100.100.100.200, on ECS only]
    #[arg(long, value_name = "URL")]
    metadata_endpoint: Option<Endpoint>,
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
    let (began, started) = (Instant::now(), jiff::Timestamp::now());
    let profile = args.profile.unwrap_or(if args.root.is_some() { Profile::Image } else { Profile::Enhanced });
    let policy = Policy::builtin(profile);
    let checks = select(profile, args)?;
    let wanted = Wanted {
        network: true,
        metadata: checks.iter().any(|check| matches!(check.area(), "metadata" | "ports" | "keys")),
        logins: true,
        metadata_endpoint: args.metadata_endpoint,
        says_ecs: None,
    };
    let _lock = if args.root.is_none() { crate::lock::share(Path::new(crate::lock::PATH))? } else { None };
    let survey = survey(args.root.as_deref(), &wanted)?;
    let access = Access::resolve(&survey.host, &survey.seen);
    let input = Input { host: &survey.host, seen: &survey.seen, access: &access, policy: &policy };
    let judged: Vec<Judged> = checks.iter().map(|check| judge::judge(check, verdict(check, &input), &policy)).collect();
    let frame = Frame {
        host: host_block(&survey),
        policy_digest: String::new(),
        profile: profile.word(),
        started,
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        fail_on: args.fail_on,
    };
    let report = Report::new(frame, &judged);
    let full = keep(&report, &survey);
    deliver(args, &report, &judged, full.as_deref())?;
    Ok(match report.summary.verdict.as_str() {
        _ if args.exit_zero => ExitCode::Clean,
        "fail" => ExitCode::Findings,
        "undecided" => ExitCode::Undecided,
        _ => ExitCode::Clean,
    })
}

/// A check outside its scope does not apply; everywhere else it is run.
fn verdict(check: &Check, input: &Input<'_>) -> Verdict {
    match (check.scope, input.seen.mode) {
        (Scope::Live, Mode::Offline) => Verdict::NotApplicable(judge::LIVE_ONLY),
        _ => judge::run(check, input),
    }
}

fn select(profile: Profile, args: &Args) -> anyhow::Result<Vec<&'static Check>> {
    let known = |word: &str| catalogue::ALL.iter().any(|check| check.id == word || check.area() == word);
    if let Some(bad) = args.only.iter().chain(&args.skip).find(|word| !known(word)) {
        return Err(Ends::with(ExitCode::Usage, super::explain::unknown_check(bad)));
    }
    let names = |list: &[String], check: &Check| list.iter().any(|word| word == check.id || word == check.area());
    let chosen = catalogue::ALL.iter().copied().filter(|check| {
        let asked = if args.only.is_empty() { check.profiles.contains(&profile) } else { names(&args.only, check) };
        asked && !names(&args.skip, check)
    });
    Ok(chosen.collect())
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

/// Keeps the last full report of a live host where root may; the path, where it was kept.
fn keep(report: &Report, survey: &Survey) -> Option<String> {
    if survey.seen.mode != Mode::Live || !nix::unistd::geteuid().is_root() {
        return None;
    }
    let dir = crate::survey::state_dir();
    let path = dir.join("report.json");
    let bytes = serde_json::to_vec_pretty(report).ok()?;
    crate::files::private_dir(&dir).and_then(|()| crate::files::replace(&path, &bytes)).ok()?;
    Some(path.display().to_string())
}

fn deliver(args: &Args, report: &Report, judged: &[Judged], full: Option<&str>) -> anyhow::Result<()> {
    let terminal = args.output.is_none() && std::io::stdout().is_terminal();
    let out = match args.format {
        Format::Text => {
            let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            let layout = Layout {
                lang: language(args.lang),
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
        Some(path) => write(path, &out),
    }
}

fn write(path: &Path, out: &str) -> anyhow::Result<()> {
    crate::files::replace(path, out.as_bytes())
        .with_context(|| format!("failed to write the report to {}", path.display()))
}
