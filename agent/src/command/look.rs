//! What `scan` and `baseline accept` do alike: read the configuration, choose the checks, look, judge.

use std::path::{Path, PathBuf};
use std::time::Instant;

use hostward_checks::access::Access;
use hostward_checks::catalogue;
use hostward_checks::check::{Check, Input, Profile};
use hostward_checks::fact::Fact;
use hostward_checks::observation::Mode;
use hostward_checks::policy::Policy;

use super::passwords;
use super::scan::profile;
use crate::baseline::Baseline;
use crate::config::{self, Budget, Configuration, CrossCheck, Settings, Sources};
use crate::exit_code::{Ends, ExitCode};
use crate::judge::{self, Judged, Rules};
use crate::known_sources;
use crate::observe::access_keys::Limits;
use crate::observe::cross_check::cross_checks;
use crate::observe::metadata::Endpoint;
use crate::observe::services;
use crate::resident::look::{KEYS, QUESTIONS, UPDATES};
use crate::survey::{Survey, Wanted, survey};

/// Where to look, and for what.
#[derive(Clone, Debug, clap::Args)]
pub struct Looking {
    /// Scan this directory as an offline root: nothing outside it is read
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Which checks run: basic, enhanced or image [default: the policy's, else enhanced; image with --root]
    #[arg(long, value_parser = profile)]
    pub profile: Option<Profile>,
    /// Run only these checks or areas (sshd, sshd.root-login, …), separated by commas
    #[arg(long, value_name = "CHECKS", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Leave out these checks or areas
    #[arg(long, value_name = "CHECKS", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// This policy instead of /etc/hostward/policy.toml and policy.d (with --root: instead of the built-in one)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// These settings instead of /etc/hostward/hostward.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// This baseline instead of /var/lib/hostward/baseline.json
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Ask the metadata service at this address, wherever this host is [default: http://100.100.100.200, on ECS only]
    #[arg(long, value_name = "URL")]
    pub metadata_endpoint: Option<Endpoint>,
    /// Try these words too, one a line, after hostward's own candidates; may be given several times
    #[arg(long, value_name = "FILE")]
    pub wordlist: Vec<PathBuf>,
    /// Processor time for trying passwords: a time with its unit, full, or 0 for not at all [default: 20s]
    #[arg(long, value_name = "TIME", value_parser = passwords::budget)]
    pub password_budget: Option<Budget>,
    /// Ask the running sshd whether it agrees: about no connection, one, or all [default: one]
    #[arg(long, value_enum)]
    pub cross_check: Option<CrossCheckArg>,
    /// Leave out the recent logins: no verdict rests on them, and a big journal takes its time
    #[arg(skip)]
    pub without_logins: bool,
}

/// `--cross-check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CrossCheckArg {
    /// Never ask
    None,
    /// Ask about root from a public address
    One,
    /// Ask about every account and source
    All,
}

impl Looking {
    /// The configuration in force.
    ///
    /// # Errors
    /// Exit code 78: a file is wrong.
    pub fn configuration(&self) -> anyhow::Result<Configuration> {
        let otherwise = if self.root.is_some() { Profile::Image } else { Profile::Enhanced };
        Configuration::load(&self.sources(), self.profile, otherwise)
    }

    /// The configuration in force for a resident: the last good one where the files are wrong, and then why.
    ///
    /// # Errors
    /// Exit code 78: a file is wrong, and there was no good one yet.
    pub fn lasting_configuration(&self) -> anyhow::Result<(Configuration, Option<String>)> {
        let kept = crate::survey::state_dir().join("config.json");
        config::kept::load(&self.sources(), self.profile, Profile::Enhanced, &kept)
    }

    fn sources(&self) -> Sources {
        let mut sources = Sources::of_host(self.root.is_some());
        (sources.policy, sources.settings) = (self.policy.clone(), self.config.clone());
        sources
    }

    /// The checks that would run.
    ///
    /// # Errors
    /// Exit code 64: a check that is named does not exist.
    pub fn checks(&self, all: &Configuration) -> anyhow::Result<Vec<&'static str>> {
        Ok(select(self, &all.policy)?.into_iter().map(|check| check.id).collect())
    }

    /// How many connections the running sshd is asked about.
    fn questions(&self, settings: &Settings) -> usize {
        let asked = self.cross_check.or(settings.cross_check.map(|configured| match configured {
            CrossCheck::None => CrossCheckArg::None,
            CrossCheck::One => CrossCheckArg::One,
            CrossCheck::All => CrossCheckArg::All,
        }));
        match asked.unwrap_or(CrossCheckArg::One) {
            CrossCheckArg::None => 0,
            CrossCheckArg::One => 1,
            CrossCheckArg::All => usize::MAX,
        }
    }

    /// Where the baseline is kept.
    ///
    /// # Errors
    /// Exit code 64: an offline root has none of its own, and none was named.
    pub fn baseline_file(&self) -> anyhow::Result<PathBuf> {
        match (&self.baseline, &self.root) {
            (Some(file), _) => Ok(file.clone()),
            (None, None) => Ok(Baseline::path()),
            (None, Some(_)) => {
                let message = "an offline root has no baseline of its own: name one with --baseline FILE";
                Err(Ends::with(ExitCode::Usage, message))
            }
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Looked {
    /// What was seen.
    pub survey: Survey,
    /// Who gets in.
    pub access: Access,
    /// What the checks say, judged.
    pub judged: Vec<Judged>,
    /// When it began.
    pub started: jiff::Timestamp,
    /// How long it took.
    pub milliseconds: u64,
}

/// Looks and judges, sharing the host with other scans. With a baseline only what is new counts.
///
/// # Errors
/// A check that does not exist, another run that holds the host, a root that is not there.
pub fn look(args: &Looking, all: &Configuration, baseline: Option<&Baseline>) -> anyhow::Result<Looked> {
    let _lock = if args.root.is_none() { crate::lock::share(Path::new(crate::lock::PATH))? } else { None };
    look_alone(args, all, baseline)
}

/// The same for who holds the host's lock already.
///
/// # Errors
/// A check that does not exist, a root that is not there.
pub fn look_alone(args: &Looking, all: &Configuration, baseline: Option<&Baseline>) -> anyhow::Result<Looked> {
    let (began, started) = (Instant::now(), jiff::Timestamp::now());
    let checks = select(args, &all.policy)?;
    let wanted = Wanted {
        network: true,
        metadata: checks.iter().any(|check| matches!(check.area(), "metadata" | "ports" | "keys")),
        tokenless: checks.iter().any(|check| check.id == "metadata.hardened"),
        platform: checks.iter().any(|check| check.area() == "platform"),
        logins: !args.without_logins,
        image: checks.iter().any(|check| check.area() == "image"),
        metadata_endpoint: args.metadata_endpoint.or(all.settings.metadata_endpoint),
        says_ecs: all.settings.platform.says_ecs(),
    };
    let mut survey = survey(args.root.as_deref(), &wanted)?;
    let access = Access::resolve(&survey.host, &survey.seen);
    if survey.seen.mode == Mode::Live {
        survey.seen.cross_checks = cross_checks(&access, args.questions(&all.settings));
    }
    if checks.iter().any(|check| check.id == "accounts.weak-password") {
        let budget = args.password_budget.or(all.settings.password_budget).unwrap_or(passwords::USUAL);
        let words = if args.wordlist.is_empty() { &all.settings.wordlists } else { &args.wordlist };
        survey.seen.passwords = passwords::try_passwords(&survey.host, &survey.seen, budget, words.clone());
    }
    if checks.iter().any(|check| check.id == "platform.login-anomaly") && nix::unistd::geteuid().is_root() {
        let now = survey.seen.now;
        if let Fact::Known(logins) = &mut survey.seen.logins {
            logins.known_sources = known_sources::note(&crate::survey::state_dir(), logins, now);
        }
    }
    if checks.iter().any(|check| check.id == KEYS) {
        let mode = survey.seen.mode;
        let keys = crate::observe::access_keys(&survey.root, &survey.host, &all.policy, mode, Limits::default());
        survey.seen.access_keys = Fact::Known(keys);
    }
    if checks.iter().any(|check| check.id == UPDATES) {
        let (updates, restart) = crate::observe::updates::look(&survey.root);
        survey.seen.updates = updates;
        survey.seen.restart = restart.unwrap_or(survey.seen.restart);
    }
    if survey.seen.mode == Mode::Live && all.policy.ask_services && checks.iter().any(|check| check.id == QUESTIONS) {
        let conf = survey.content(Path::new("/etc/rsyncd.conf"));
        survey.seen.services = services::ask(&survey.seen, &crate::survey::state_dir(), conf.as_deref());
    }
    let input = Input { host: &survey.host, seen: &survey.seen, access: &access, policy: &all.policy };
    let rules = Rules { policy: &all.policy, now: survey.seen.now, baseline };
    let judged = checks.iter().map(|check| judge::judge(check, judge::verdict(check, &input), &rules)).collect();
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Looked { survey, access, judged, started, milliseconds })
}

/// The command line's `--only`, else what the policy selects; without what `--skip` names.
fn select(args: &Looking, policy: &Policy) -> anyhow::Result<Vec<&'static Check>> {
    let known = |word: &str| catalogue::ALL.iter().any(|check| check.id == word || check.area() == word);
    if let Some(bad) = args.only.iter().chain(&args.skip).find(|word| !known(word)) {
        return Err(Ends::with(ExitCode::Usage, super::explain::unknown_check(bad)));
    }
    let names = |list: &[String], check: &Check| list.iter().any(|word| word == check.id || word == check.area());
    let chosen = catalogue::ALL.iter().copied().filter(|check| {
        let in_profile = check.profiles.contains(&policy.profile);
        let asked = if args.only.is_empty() {
            policy.selects(check.id, check.area(), in_profile)
        } else {
            names(&args.only, check)
        };
        asked && !names(&args.skip, check)
    });
    Ok(chosen.collect())
}
