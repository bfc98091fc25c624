//! Writes the transaction of `hostward_tests::transact` down for a root and carries it out, in one process: `transact DIR`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use hostward::apply::{Offline, Outcome};
use hostward::transaction::Store;
use hostward_tests::transact;

fn main() -> Result<ExitCode> {
    let dir = PathBuf::from(std::env::args_os().nth(1).context("usage: transact DIR")?);
    let plan = transact::plan(&dir)?;
    let mut store = Store::alone(&dir)?;
    let mut transaction = store.begin(&transact::new(&plan))?;
    let outcome = hostward::apply::run(store.tree(), &mut transaction, &mut Offline)?;
    Ok(ExitCode::from(if outcome == Outcome::Confirmed { 0 } else { 3 }))
}
