//! Carrying a transaction out in a unit of its own: what becomes of the terminal, the ssh session or Cloud Assistant's command
//! that asked for it makes no difference to it.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::{manager, program};
use crate::exit_code::{Ends, ExitCode};
use crate::transaction::{Record, Stage, Transaction};

/// How often to look how far it has come.
const PERIOD: Duration = Duration::from_millis(100);
/// How often to ask systemd whether the unit is there.
const ASKING: Duration = Duration::from_secs(1);
/// How long a unit may be gone before its transaction has ended: what it leaves behind is then undone.
const GONE: Duration = Duration::from_secs(5);
/// How long to follow at most.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Makes sure that a fix can be carried out here at all.
///
/// # Errors
/// Exit code 3: this is no running system with systemd, and what to do instead.
pub fn possible() -> anyhow::Result<()> {
    if manager::is_booted() {
        return Ok(());
    }
    let message = "this system does not run under systemd, which has to undo a fix that is not confirmed: nothing was changed. In \
                   a chroot or an image build, edit the image from outside with --root DIR, or here with --root /";
    Err(Ends::with(ExitCode::Refused, message))
}

/// Starts the unit that carries out a transaction, and follows it until it waits for confirmation or has ended. Every stage is
/// told once. The lock must be free: the unit takes it.
///
/// # Errors
/// The unit cannot be started: then nothing was changed. Or it is gone and the transaction has not ended: `hostward recover`
/// undoes it.
pub fn run(transaction: &mut Transaction, mut told: impl FnMut(&Record)) -> anyhow::Result<Stage> {
    possible()?;
    let id = transaction.id().to_owned();
    let unit = crate::apply::unit(&id);
    if let Err(error) = start(&unit, &id) {
        // Nobody will carry it out: it is not to keep others waiting.
        transaction.set_stage(Stage::Undone { why: format!("{error:#}") })?;
        return Err(error);
    }
    let (from, mut asked) = (Instant::now(), Instant::now());
    let (mut gone_since, mut seen): (Option<Instant>, usize) = (None, 0);
    loop {
        transaction.refresh()?;
        for record in transaction.stages().get(seen..).unwrap_or_default() {
            told(record);
        }
        seen = transaction.stages().len();
        let stage = transaction.stage();
        if stage.is_final() || matches!(stage, Stage::Waiting { .. }) {
            return Ok(stage.clone());
        }
        if asked.elapsed() > ASKING {
            asked = Instant::now();
            // A systemd that is too busy to answer has not lost the unit.
            let now = manager::unit(&unit);
            let runs = now.map_or(true, |unit| unit.runs() || unit.active == "deactivating");
            gone_since = if runs { None } else { gone_since.or_else(|| Some(Instant::now())) };
        }
        if gone_since.is_some_and(|since| since.elapsed() > GONE) || from.elapsed() > LONGEST {
            let message = format!(
                "{unit} ended before the fix did: `hostward recover` undoes it, `journalctl -u {unit}` says why"
            );
            return Err(anyhow::anyhow!(message));
        }
        std::thread::sleep(PERIOD);
    }
}

fn start(unit: &str, id: &str) -> anyhow::Result<()> {
    let program = program::lasting()?;
    let program = program.to_str().context("the path to this program is no text")?;
    let plain = [
        "--quiet",
        "--collect",
        &format!("--unit={unit}"),
        "--description=hostward carries out a fix",
        // The kernel, short of memory, is to take another.
        "--property=OOMScoreAdjust=-900",
        // Whatever ends the process: what it left half done is undone at once, not at the deadline.
        &format!("--property=ExecStopPost={program} recover"),
        program,
        "apply",
        id,
    ];
    manager::run(&plain.map(str::to_owned)).with_context(|| format!("failed to start {unit}; nothing was changed"))
}
