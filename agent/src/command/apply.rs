//! `hostward apply ID`: carries a transaction out that was written down; `hostward fix --apply` starts it as a unit of its own.

use std::path::{Path, PathBuf};

use hostward_checks::guard::Confirm;

use super::print;
use crate::apply::{Offline, Outcome, Services};
use crate::exit_code::ExitCode;
use crate::live::LiveServices;
use crate::sanitize::escape;
use crate::transaction::{Stage, Store, Transaction};

/// Carry out a transaction that `hostward fix` wrote down
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The transaction
    #[arg(value_name = "ID")]
    id: String,
    /// In this directory as an offline root
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// Applies.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Whoever wrote it down had the host alone. A scan that has begun since reads what it reads.
    let store = Store::at_once(root(args.root.as_deref()))?;
    let mut transaction = store.get(&args.id)?;
    let outcome = crate::apply::run(store.tree(), &mut transaction, services(&store).as_mut())?;
    told(transaction.id(), &outcome)?;
    let outcome = match outcome {
        Outcome::Waiting if transaction.manifest().confirm() == Confirm::Probe => {
            drop(store);
            probe(&transaction)?
        }
        outcome => {
            tidy(&store);
            outcome
        }
    };
    Ok(match outcome {
        Outcome::Confirmed | Outcome::Waiting => ExitCode::Clean,
        Outcome::Undone { .. } => ExitCode::Refused,
        Outcome::Stuck { .. } => ExitCode::Internal,
    })
}

/// The root that `--root` means.
pub(super) fn root(dir: Option<&Path>) -> &Path {
    dir.unwrap_or(Path::new("/"))
}

/// The services of a root: the running system's, or none.
pub(super) fn services(store: &Store) -> Box<dyn Services> {
    if store.tree().is_live() { Box::new(LiveServices) } else { Box::new(Offline) }
}

/// Takes away what was to undo a transaction, once none waits. What cannot be taken away undoes nothing: it is told.
pub(super) fn tidy(store: &Store) {
    if let Err(error) = crate::live::tidy(store) {
        super::warn(&format!("{error:#}"));
    }
}

/// Looks again and again until the time to confirm is nearly over, with the lock free in between; then it stays. Whatever is off
/// has it undone.
fn probe(transaction: &Transaction) -> anyhow::Result<Outcome> {
    let id = transaction.id().to_owned();
    let verdict = crate::live::probe(transaction);
    let store = Store::at_once(Path::new("/"))?;
    let mut transaction = store.get(&id)?;
    let outcome = match (transaction.stage(), verdict) {
        // Somebody undid it meanwhile, or confirmed it.
        (Stage::Undone { why }, _) => return Ok(Outcome::Undone { why: why.clone() }),
        (Stage::Stuck { why, left }, _) => return Ok(Outcome::Stuck { why: why.clone(), left: left.clone() }),
        (stage, _) if !matches!(stage, Stage::Waiting { .. }) => return Ok(Outcome::Confirmed),
        (_, Ok(())) => {
            transaction.set_stage(Stage::Confirmed)?;
            Outcome::Confirmed
        }
        (_, Err(error)) => {
            let why = format!("{error:#}");
            crate::apply::undo(store.tree(), &mut transaction, services(&store).as_mut(), &why)?
        }
    };
    told(&id, &outcome)?;
    tidy(&store);
    Ok(outcome)
}

/// Prints how it ended.
pub(super) fn told(id: &str, outcome: &Outcome) -> anyhow::Result<()> {
    let text = match outcome {
        Outcome::Confirmed => format!("transaction {id}: applied\n"),
        Outcome::Waiting => format!(
            "transaction {id}: applied; it is undone unless it is confirmed in time: `hostward confirm {id}` from a new login\n"
        ),
        Outcome::Undone { why } => format!("transaction {id}: everything is as before: {}\n", escape(why)),
        Outcome::Stuck { why, left } => {
            let mut text =
                format!("transaction {id}: {}; not everything could be put back. Left alone:\n", escape(why));
            for one in left {
                text.push_str(&format!("  {}\n", escape(one)));
            }
            text.push_str(&format!("What they were: `hostward history {id}`\n"));
            text
        }
    };
    print(&text)
}
