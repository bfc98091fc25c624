//! `hostward recover`: finishes or undoes what a run that died, a reboot or a deadline left. Safe to run at any time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::apply::{root, services, tidy, told};
use super::print;
use crate::exit_code::ExitCode;
use crate::transaction::{Moment, Stage, Store, Transaction};

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
    let root = root(args.root.as_deref());
    await_deadline(root)?;
    let store = Store::at_once(root)?;
    let mut code = ExitCode::Clean;
    for (id, error) in store.list()?.broken.into_iter().filter(|(id, _)| !store.has_ended(id)) {
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
    tidy(&store);
    if recovered.is_empty() && code == ExitCode::Clean {
        print("nothing to recover\n")?;
    }
    Ok(code)
}

/// The timer of a fix fires a moment before its deadline, so that the program is up by then.
fn await_deadline(root: &Path) -> anyhow::Result<()> {
    const MOMENT: Duration = Duration::from_secs(3);
    let now = Moment::now()?;
    let left = |one: &Transaction| match one.stage() {
        Stage::Waiting { deadline } => deadline.left(&now),
        _ => None,
    };
    let waiting = Store::open(root)?.list()?.transactions;
    if let Some(left) = waiting.iter().filter_map(left).filter(|left| *left < MOMENT).min() {
        std::thread::sleep(left + Duration::from_millis(1));
    }
    Ok(())
}
