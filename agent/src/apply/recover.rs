//! What a run that died, a deadline that passed or a reboot left behind is ended here.

use std::time::Duration;

use super::{Outcome, Services, undo};
use crate::transaction::{Moment, Stage, Step, Store, Transaction};

/// What `recover` did with a transaction.
#[derive(Debug)]
pub struct Recovered {
    /// Its id.
    pub id: String,
    /// How it ended, or why it could not be undone; None: it is left to whoever confirms it.
    pub outcome: anyhow::Result<Option<Outcome>>,
}

/// Finishes what a run that died, a deadline that passed or a reboot left behind. Whoever calls it holds the lock, so nobody is
/// applying.
///
/// # Errors
/// The store cannot be read.
pub fn recover(store: &Store, services: &mut dyn Services) -> anyhow::Result<Vec<Recovered>> {
    let now = Moment::now()?;
    let mut done = Vec::new();
    // The newest first: it may have changed what an older one changed.
    for mut transaction in store.list()?.transactions.into_iter().rev() {
        let id = transaction.id().to_owned();
        let outcome = match transaction.stage().clone() {
            Stage::Confirmed | Stage::Undone { .. } | Stage::Stuck { .. } => continue,
            Stage::Prepared => never_started(&mut transaction, services),
            Stage::Waiting { deadline } if deadline.left(&now).is_some() => Ok(None),
            Stage::Waiting { deadline } => {
                let why = if deadline.boot_id == now.boot_id {
                    "it was not confirmed in time"
                } else {
                    "the host was started again before it was confirmed"
                };
                undo(store.tree(), &mut transaction, services, why).map(Some)
            }
            // All of it stands and was looked at, and some of what goes is gone already.
            Stage::Applying { step: Step::Erase } => super::finish(store.tree(), &mut transaction).map(Some),
            Stage::Applying { .. } | Stage::Verifying => {
                undo(store.tree(), &mut transaction, services, "it was interrupted").map(Some)
            }
            Stage::Undoing { why, .. } => undo(store.tree(), &mut transaction, services, &why).map(Some),
        };
        done.push(Recovered { id, outcome });
    }
    Ok(done)
}

/// How long a transaction may wait to be started where nobody can tell whether it still will be.
const TO_START: Duration = Duration::from_secs(60);
/// Why such a transaction is over.
const NEVER_STARTED: &str = "it was never started: whoever asked for it was ended before; nothing had been changed";

/// Whether a transaction was written down, and nobody will carry it out any more: whoever asked for it is gone (a time-out that
/// kills all, a closed terminal), and no unit of it runs.
///
/// # Errors
/// The clock cannot be read.
pub fn is_abandoned(transaction: &Transaction, services: &mut dyn Services) -> anyhow::Result<bool> {
    let now = Moment::now()?;
    let (Stage::Prepared, Some(record)) = (transaction.stage(), transaction.stages().last()) else { return Ok(false) };
    if record.since.boot_id != now.boot_id {
        return Ok(true);
    }
    let waited = now.boottime_ms.saturating_sub(record.since.boottime_ms);
    let long_enough = u128::from(waited) >= TO_START.as_millis();
    Ok(match transaction.is_owned() {
        Some(true) => false,
        Some(false) if !transaction.manifest().live => true,
        // Between the command that asked and its unit's first look there is the unit alone.
        Some(false) => match services.unit_state(&unit(transaction.id())) {
            Ok(unit) => !unit.active,
            Err(_) => long_enough,
        },
        None => long_enough,
    })
}

/// The unit that carries a transaction out.
pub fn unit(id: &str) -> String {
    format!("hostward-fix-{id}.service")
}

/// Ends the transactions that were written down and that nobody will carry out, and returns their ids. Whoever calls it holds the
/// lock; a unit that starts late after all finds that there is nothing to do.
///
/// # Errors
/// The store fails.
pub fn set_aside(store: &Store, services: &mut dyn Services) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    for mut transaction in store.pending()? {
        if never_started(&mut transaction, services)?.is_some() {
            ids.push(transaction.id().to_owned());
        }
    }
    Ok(ids)
}

fn never_started(transaction: &mut Transaction, services: &mut dyn Services) -> anyhow::Result<Option<Outcome>> {
    if !is_abandoned(transaction, services)? {
        return Ok(None);
    }
    let why = NEVER_STARTED.to_owned();
    transaction.set_stage(Stage::Undone { why: why.clone() })?;
    Ok(Some(Outcome::Undone { why }))
}
