//! `hostward fix`: the plan, and with `--apply` what it says.

use std::io::IsTerminal;

use hostward_checks::check::Lang;
use hostward_checks::guard::{Circumstances, Confirm, Consent};
use hostward_checks::plan::Obstacles;

use super::look::{Looking, look};
use super::{LangArg, language, print};
use crate::exit_code::ExitCode;
use crate::plan::{Asked, Proposal, propose, render};

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
    /// Carry the plan out
    #[arg(long)]
    apply: bool,
    /// Print for programs
    #[arg(long)]
    json: bool,
    /// A key that somebody is known to hold, though no login of the last 30 days shows it (SHA256:…)
    #[arg(long, value_name = "FINGERPRINT", value_delimiter = ',')]
    i_hold: Vec<String>,
    /// Let this account's recent way in be cut
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

/// Plans, and applies where asked to.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut looking = args.looking.clone();
    looking.only.extend(args.checks.iter().cloned());
    let all = looking.configuration()?;
    let looked = look(&looking, &all, None)?;
    let circumstances = Circumstances {
        consent: Consent {
            held: args.i_hold.clone(),
            cut: args.accept_cut.clone(),
            pending: args.accept_pending,
            session_manager: args.accept_session_manager,
            stop: args.accept_stop.clone(),
        },
        confirm: if looking.root.is_some() { Confirm::None } else { Confirm::Login },
        ..Circumstances::default()
    };
    let proposal = propose(&Asked {
        survey: &looked.survey,
        access: &looked.access,
        judged: &looked.judged,
        policy: &all.policy,
        circumstances: &circumstances,
        obstacles: |_, _| Obstacles::new(),
    });
    show(
        args,
        &proposal,
        args.lang
            .map_or_else(|| all.settings.language.unwrap_or_else(|| language(None)), |asked| language(Some(asked))),
    )?;
    let _ = std::io::stdout().is_terminal();
    Ok(match (proposal.refused(), proposal.plan.is_empty()) {
        (true, _) => ExitCode::Refused,
        (false, true) => ExitCode::Clean,
        (false, false) => ExitCode::Findings,
    })
}

fn show(args: &Args, proposal: &Proposal, lang: Lang) -> anyhow::Result<()> {
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&render::block(proposal))?));
    }
    print(&render::text(proposal, lang))
}
