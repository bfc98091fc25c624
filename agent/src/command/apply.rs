//! `hostward apply ID`: carries a transaction out that was written down; `hostward fix --apply` starts it as a unit of its own.

use std::path::{Path, PathBuf};

use super::print;
use crate::apply::{Offline, Outcome, Services};
use crate::exit_code::ExitCode;
use crate::sanitize::escape;
use crate::transaction::Store;

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
    let store = Store::alone(root(args.root.as_deref()))?;
    let mut transaction = store.get(&args.id)?;
    let outcome = crate::apply::run(store.tree(), &mut transaction, services(&store).as_mut())?;
    told(transaction.id(), &outcome)?;
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
pub(super) fn services(_store: &Store) -> Box<dyn Services> {
    Box::new(Offline)
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
