//! `hostward fix`: the plan, and with `--apply` what it says.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hostward_checks::check::{Lang, Profile};
use hostward_checks::guard::{Confirm, Consent};

use super::look::{Looked, Looking, look_alone};
use super::{LangArg, language, print, warn};
use crate::config::Configuration;
use crate::exit_code::{Ends, ExitCode};
use crate::plan::{Asked, Proposal, propose, render};
use crate::{apply, live, lock};

pub(super) mod carry_out;

/// How long a fix waits for its confirmation by a new login, and for how long a probe looks, where nobody says otherwise.
const BY_LOGIN: Duration = Duration::from_secs(5 * 60);
const BY_PROBE: Duration = Duration::from_secs(30);

/// Show what would close the findings, and with --apply close them without locking anybody out
///
/// Without --apply nothing is changed: exit 0: nothing to do, 1: there is a plan, 3: a guard refuses it.
/// With it: 0: done and verified, 1: done and something that cannot be fixed stays, 3: refused or rolled back.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Only these checks or areas (sshd, sshd.root-login, …) [default: all of the profile]
    #[arg(value_name = "CHECK")]
    checks: Vec<String>,
    #[command(flatten)]
    looking: Looking,
    /// Carry the plan out, as a unit of its own
    #[arg(long)]
    apply: bool,
    /// Print for programs
    #[arg(long)]
    json: bool,
    /// How it is confirmed: login, by `hostward confirm` from a new login; probe, by looking again [default: login at a terminal]
    #[arg(long, value_enum, value_name = "HOW")]
    confirm_by: Option<ConfirmBy>,
    /// It is undone unless it is confirmed within this time [default: 5m by login, 30s by probe]
    #[arg(long, value_parser = crate::config::length, value_name = "TIME")]
    confirm_within: Option<Duration>,
    /// No confirmation: for image roots, where it is the default
    #[arg(long, requires = "root", conflicts_with_all = ["confirm_by", "confirm_within"])]
    no_confirm: bool,
    /// A key that somebody is known to hold, though no login of the last 30 days shows it (SHA256:…)
    #[arg(long, value_name = "FINGERPRINT", value_delimiter = ',')]
    i_hold: Vec<String>,
    /// Let this account's recent way in be cut; '*': anybody's
    #[arg(long, value_name = "USER", value_delimiter = ',')]
    accept_cut: Vec<String>,
    /// Let changes of others take effect with our reload
    #[arg(long)]
    accept_pending: bool,
    /// Count Cloud Assistant's Session Manager as a way in, while its agent runs
    #[arg(long)]
    accept_session_manager: bool,
    /// Let this unit be stopped although others need it or talk to it
    #[arg(long, value_name = "UNIT", value_delimiter = ',')]
    accept_stop: Vec<String>,
    /// Language of the plan
    #[arg(long, value_enum)]
    lang: Option<LangArg>,
}

/// `--confirm-by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ConfirmBy {
    /// By a new login of an administrator
    Login,
    /// By looking again for some time
    Probe,
}

impl Args {
    /// A fix of one check that nobody watches, as Cloud Assistant asks for one.
    ///
    /// # Errors
    /// Exit code 64: these are no words of a command line.
    pub(super) fn unattended(check: &str) -> anyhow::Result<Self> {
        #[derive(clap::Parser)]
        struct Words {
            #[command(flatten)]
            args: Args,
        }
        let words = ["hostward fix", "--apply", "--confirm-by=probe", "--", check];
        let parsed = <Words as clap::Parser>::try_parse_from(words);
        parsed.map(|words| words.args).map_err(|error| Ends::with(ExitCode::Usage, error.to_string()))
    }

    /// What is looked at: what is asked for besides `--only`.
    pub(super) fn looking(&self) -> Looking {
        let mut looking = self.looking.clone();
        looking.only.extend(self.checks.iter().cloned());
        looking
    }

    /// How this fix would be confirmed.
    fn confirm(&self) -> Confirm {
        match self.confirm_by {
            _ if self.looking.root.is_some() => Confirm::None,
            Some(ConfirmBy::Login) => Confirm::Login,
            Some(ConfirmBy::Probe) => Confirm::Probe,
            None if std::io::stdin().is_terminal() || std::io::stdout().is_terminal() => Confirm::Login,
            None => Confirm::Probe,
        }
    }

    /// Within what time.
    fn within(&self, confirm: Confirm) -> Duration {
        self.confirm_within.unwrap_or(if confirm == Confirm::Probe { BY_PROBE } else { BY_LOGIN })
    }

    fn consent(&self) -> Consent {
        Consent {
            held: self.i_hold.clone(),
            cut: self.accept_cut.clone(),
            pending: self.accept_pending,
            session_manager: self.accept_session_manager,
            stop: self.accept_stop.clone(),
            last_step: self.is_last_step(),
        }
    }

    /// Whether what a running system needs may go, because an image is about to be made of it: somebody has named that.
    fn is_last_step(&self) -> bool {
        let names = |check: &String| check == "image" || check.starts_with("image.") || check == "sshd.host-keys";
        self.checks.iter().chain(&self.looking.only).any(names)
    }

    /// The last step of a build edits the running system as an image: nothing is reloaded, and no login is to confirm it.
    fn as_image(&self, profile: Profile) -> Self {
        let mut args = self.clone();
        if profile == Profile::Image && self.is_last_step() && self.looking.root.is_none() {
            args.looking.root = Some(PathBuf::from("/"));
        }
        args
    }
}

/// Plans, and applies where asked to.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let all = args.looking().configuration()?;
    let args = &args.as_image(all.policy.profile);
    let looking = args.looking();
    let lang =
        args.lang.map_or_else(|| all.settings.language.unwrap_or_else(|| language(None)), |it| language(Some(it)));
    let offline = looking.root.is_some();
    if args.apply && !nix::unistd::geteuid().is_root() {
        return Err(Ends::with(ExitCode::Refused, "only root can carry out a fix: run it with sudo"));
    }
    if args.apply && !offline {
        live::launch::possible()?;
    }
    let path = Path::new(lock::PATH);
    let held = if args.apply && !offline { lock::alone(path)? } else { Vec::new() };
    let _shared = if args.apply || offline { None } else { lock::share(path)? };
    let store = if args.apply { Some(carry_out::free_store(looking.root.as_deref())?) } else { None };
    let looked = look_alone(&looking, &all, None)?;
    let proposal = plan(args, &all, &looked);
    let Some(store) = store.filter(|_| !proposal.refused() && !proposal.plan.is_empty()) else {
        show(args, &proposal, None, lang)?;
        return Ok(code(&proposal, args.apply));
    };
    let carried =
        carry_out::CarryOut { args, looking: &looking, all: &all, looked: &looked, proposal: &proposal, lang };
    carried.run(store, held)
}

pub(super) fn plan(args: &Args, all: &Configuration, looked: &Looked) -> Proposal {
    let circumstances = live::circumstances(&looked.survey, args.consent(), args.confirm());
    propose(&Asked {
        survey: &looked.survey,
        access: &looked.access,
        judged: &looked.judged,
        policy: &all.policy,
        circumstances: &circumstances,
        obstacles: apply::obstacles,
    })
}

/// The exit code of a proposal that is not carried out.
fn code(proposal: &Proposal, apply: bool) -> ExitCode {
    let stays = !proposal.plan.unfixable.is_empty() || !proposal.remaining.is_empty();
    match (proposal.refused(), proposal.plan.is_empty()) {
        (true, _) => ExitCode::Refused,
        (false, true) if apply && stays => ExitCode::Findings,
        (false, true) => ExitCode::Clean,
        (false, false) => ExitCode::Findings,
    }
}

/// Prints the plan, and what became of it.
fn show(args: &Args, proposal: &Proposal, done: Option<&carry_out::Done>, lang: Lang) -> anyhow::Result<()> {
    if args.json {
        let block = render::block(proposal, done.map(carry_out::Done::block));
        return print(&format!("{}\n", serde_json::to_string_pretty(&block)?));
    }
    match done {
        None => print(&(render::text(proposal, lang, room()) + &render::summary(proposal, lang))),
        Some(done) => print(&done.text(lang)),
    }
}

/// What the plan may take: Cloud Assistant keeps little, and its end tells what became of it.
fn room() -> Option<usize> {
    const LAST_LINES: usize = 1000;
    (!std::io::stdout().is_terminal()).then_some(crate::report::text::SHORT_LIMIT - LAST_LINES)
}

/// A warning that does not end the fix.
fn tell(result: anyhow::Result<()>, what: &str) {
    if let Err(error) = result {
        warn(&format!("{what}: {error:#}"));
    }
}
