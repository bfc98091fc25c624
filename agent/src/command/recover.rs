//! `hostward recover`: finishes or undoes what a run that died, a reboot or a deadline left. Safe to run at any time.

use std::path::PathBuf;

use super::apply::{root, services, told};
use super::print;
use crate::exit_code::ExitCode;
use crate::transaction::Store;

/// Undo fixes that were interrupted, and those that nobody confirmed in time
///
/// Run by hostward's own unit at boot, before sshd, and by the timer of a fix. Exit 0: nothing is left to undo.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// In this directory: a disk mounted by a rescue system, or an image
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// Recovers.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = Store::alone(root(args.root.as_deref()))?;
    let mut code = ExitCode::Clean;
    for (id, error) in store.list()?.broken {
        super::warn(&format!("transaction {id} cannot be read: {error:#}"));
        code = ExitCode::Internal;
    }
    let recovered = crate::apply::recover(&store, services(&store).as_mut())?;
    for one in &recovered {
        match &one.outcome {
            Ok(Some(outcome)) => {
                told(&one.id, outcome)?;
                if let crate::apply::Outcome::Stuck { .. } = outcome {
                    code = ExitCode::Internal;
                }
            }
            Ok(None) => {
                let stage = store.get(&one.id)?;
                print(&format!("transaction {}: {}; left as it is\n", one.id, stage.stage().word()))?;
            }
            Err(error) => {
                super::warn(&format!("transaction {}: {error:#}", one.id));
                code = ExitCode::Internal;
            }
        }
    }
    if recovered.is_empty() && code == ExitCode::Clean {
        print("nothing to recover\n")?;
    }
    Ok(code)
}
