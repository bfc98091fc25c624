//! What a run that died, a deadline that passed or a reboot left behind is ended here.

use std::time::Duration;

use super::{Outcome, Services, undo};
use crate::transaction::{Moment, Stage, Store, Transaction};

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
            Stage::Prepared => never_started(&mut transaction, &now),
            Stage::Waiting { deadline } if deadline.left(&now).is_some() => Ok(None),
            Stage::Waiting { deadline } => {
                let why = if deadline.boot_id == now.boot_id {
                    "it was not confirmed in time"
                } else {
                    "the host was started again before it was confirmed"
                };
                undo(store.tree(), &mut transaction, services, why).map(Some)
            }
            Stage::Applying { .. } | Stage::Verifying => {
                undo(store.tree(), &mut transaction, services, "it was interrupted").map(Some)
            }
            Stage::Undoing { why, .. } => undo(store.tree(), &mut transaction, services, &why).map(Some),
        };
        done.push(Recovered { id, outcome });
    }
    Ok(done)
}

/// How long a transaction may wait to be started: between writing it down and its unit's first look at it.
const TO_START: Duration = Duration::from_secs(60);

fn never_started(transaction: &mut Transaction, now: &Moment) -> anyhow::Result<Option<Outcome>> {
    let fresh = transaction.stages().last().is_some_and(|record| {
        record.since.boot_id == now.boot_id
            && now.boottime_ms.saturating_sub(record.since.boottime_ms) < TO_START.as_millis() as u64
    });
    if fresh {
        return Ok(None);
    }
    let why = "it was never started".to_owned();
    transaction.set_stage(Stage::Undone { why: why.clone() })?;
    Ok(Some(Outcome::Undone { why }))
}
