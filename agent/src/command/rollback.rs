//! `hostward rollback [ID]`: undoes a transaction, minutes or weeks later, here or in a root mounted by a rescue system.

use std::path::PathBuf;

use super::apply::{root, services, tidy, told};
use crate::apply::Outcome;
use crate::exit_code::{Ends, ExitCode};
use crate::transaction::{Stage, Store, Transaction};

/// Undo what a fix did: all of it, or nothing where a file was changed since
///
/// Exit 0: everything is as before the fix; 3: refused, and nothing was touched. `hostward history` lists what can be undone.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The transaction, or the beginning of its id [default: the newest one that stands]
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// In this directory: a disk mounted by a rescue system, or an image
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// Rolls back.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = Store::at_once(root(args.root.as_deref()))?;
    let mut transaction = match &args.id {
        Some(id) => store.get(id)?,
        None => newest(&store)?,
    };
    let outcome = crate::apply::rollback(store.tree(), &mut transaction, services(&store).as_mut())?;
    tidy(&store);
    told(transaction.id(), &outcome)?;
    Ok(match outcome {
        Outcome::Confirmed | Outcome::Waiting | Outcome::Undone { .. } => ExitCode::Clean,
        Outcome::Stuck { .. } => ExitCode::Internal,
    })
}

/// The newest transaction that stands: waiting, confirmed, or what a run that died left.
fn newest(store: &Store) -> anyhow::Result<Transaction> {
    let stands =
        |one: &Transaction| !matches!(one.stage(), Stage::Prepared | Stage::Undone { .. } | Stage::Stuck { .. });
    let newest = store.list()?.transactions.into_iter().rev().find(stands);
    newest.ok_or_else(|| Ends::with(ExitCode::Refused, "no transaction stands: there is nothing to roll back"))
}
