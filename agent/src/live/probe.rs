//! Confirming by looking: what was verified once is verified again and again, until the time to confirm is nearly over.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::verify;
use crate::transaction::{Moment, Stage, Transaction};

/// How often to look: sshd counts who leaves without a login, and forgives within seconds.
const PERIOD: Duration = Duration::from_secs(20);
/// How long before the deadline the last look has been taken: it must be written down before the timer comes.
const MARGIN: Duration = Duration::from_secs(4);

/// Verifies again until shortly before the deadline. Returns early where somebody confirmed or undid it meanwhile.
///
/// # Errors
/// What is off; or the time was too short to look even once more.
pub fn probe(transaction: &Transaction) -> anyhow::Result<()> {
    let Stage::Waiting { deadline } = transaction.stage() else { bail!("it does not wait to be confirmed") };
    let Some(left) = deadline.left(&Moment::now()?) else { bail!("it was not confirmed in time") };
    let Some(time) = left.checked_sub(MARGIN) else { bail!("there was no time to look again before the deadline") };
    let until = Instant::now() + time;
    let period = PERIOD.min(time / 4);
    loop {
        std::thread::sleep(period.min(until.saturating_duration_since(Instant::now())));
        verify::verify(transaction.manifest())?;
        let again = crate::transaction::Store::open(std::path::Path::new("/"))?.get(transaction.id())?;
        if !matches!(again.stage(), Stage::Waiting { .. }) || Instant::now() >= until {
            return Ok(());
        }
    }
}
