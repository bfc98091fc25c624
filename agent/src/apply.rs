//! The one writer: carries a transaction out, or undoes it, so that a crash at any instant leaves every file old or new.

use std::time::Duration;

use hostward_checks::effect::{KernelSetting, NftTable, RemoteCall, UnitAction, Verb};
use hostward_checks::guard::Confirm;

use crate::transaction::{FileRecord, Manifest, Moment, Stage, Step, Transaction, UnitWas};
use crate::tree::{Tree, refused};

mod erase;
mod file;
mod obstacles;
mod passwords;
mod recover;

pub use file::{Settled, settled, standing};
pub use obstacles::obstacles;
pub use recover::{Recovered, is_abandoned, recover, set_aside, unit};

/// What is asked of the running system. Offline there is none.
pub trait Services {
    /// How a unit stands now.
    ///
    /// # Errors
    /// The service manager does not say.
    fn unit_state(&mut self, unit: &str) -> anyhow::Result<UnitWas>;

    /// Makes sure that what will really run accepts what is on disk now, before anything is reloaded.
    ///
    /// # Errors
    /// It does not: why.
    fn validate(&mut self, manifest: &Manifest) -> anyhow::Result<()>;

    /// Asks the service manager, and waits until it is done.
    ///
    /// # Errors
    /// It was not done.
    fn act(&mut self, action: &UnitAction) -> anyhow::Result<()>;

    /// Makes the old state effective again after the files were put back: a unit that died is started, not reloaded. It may be
    /// asked of a unit that was never touched, and more than once.
    ///
    /// # Errors
    /// It is not as it was.
    fn undo(&mut self, action: &UnitAction, was: &UnitWas) -> anyhow::Result<()>;

    /// Replaces our firewall table, or takes it away.
    ///
    /// # Errors
    /// The kernel refuses it; the old one stands.
    fn table(&mut self, table: &NftTable) -> anyhow::Result<()>;

    /// Sets a setting of the running kernel from its value before to the one after. It may be asked again with what holds already.
    ///
    /// # Errors
    /// It has neither value, or the kernel refuses.
    fn kernel(&mut self, setting: &KernelSetting) -> anyhow::Result<()>;

    /// Calls OpenAPI. It may be called again with what holds already.
    ///
    /// # Errors
    /// The endpoint's answer.
    fn call(&mut self, call: &RemoteCall) -> anyhow::Result<()>;

    /// Looks at the host again: everything must be as the manifest says, and nobody's way in lost.
    ///
    /// # Errors
    /// What is off.
    fn verify(&mut self, manifest: &Manifest) -> anyhow::Result<()>;

    /// Makes sure that the transaction is undone when the deadline passes, whatever happens to this process. Called before
    /// anything is changed, and again when the time begins to run.
    ///
    /// # Errors
    /// Nobody would undo it.
    fn arm(&mut self, manifest: &Manifest, within: Duration) -> anyhow::Result<()>;
}

/// An image root: nothing runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offline;

impl Services for Offline {
    fn unit_state(&mut self, unit: &str) -> anyhow::Result<UnitWas> {
        anyhow::bail!("{unit} cannot be asked: nothing runs in an image")
    }

    fn validate(&mut self, _: &Manifest) -> anyhow::Result<()> {
        Ok(())
    }

    fn act(&mut self, action: &UnitAction) -> anyhow::Result<()> {
        anyhow::bail!("{} cannot be asked to {}: nothing runs in an image", action.unit, action.verb.word())
    }

    fn undo(&mut self, action: &UnitAction, was: &UnitWas) -> anyhow::Result<()> {
        // A live fix that is rolled back from a rescue system: what starts at boot is said with links that we did not write.
        let way = match (action.verb, was.enabled) {
            (Verb::StopAndDisable, Some(true)) => "enable",
            (Verb::EnableAndStart, Some(false)) => "disable",
            _ => return Ok(()),
        };
        anyhow::bail!(
            "nothing runs here that could {way} it: `systemctl {way} --now {}` after the next boot",
            action.unit
        )
    }

    fn table(&mut self, _: &NftTable) -> anyhow::Result<()> {
        Ok(())
    }

    fn kernel(&mut self, _: &KernelSetting) -> anyhow::Result<()> {
        // The kernel that ran with it is gone.
        Ok(())
    }

    fn call(&mut self, _: &RemoteCall) -> anyhow::Result<()> {
        anyhow::bail!("an image calls nobody")
    }

    fn verify(&mut self, _: &Manifest) -> anyhow::Result<()> {
        Ok(())
    }

    fn arm(&mut self, _: &Manifest, _: Duration) -> anyhow::Result<()> {
        Ok(())
    }
}

/// How applying or undoing ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Applied, and it stays.
    Confirmed,
    /// Applied; undone at the deadline unless somebody confirms it.
    Waiting,
    /// Everything is as it was.
    Undone {
        /// Why.
        why: String,
    },
    /// Not everything could be put back.
    Stuck {
        /// Why it was undone.
        why: String,
        /// What was left alone.
        left: Vec<String>,
    },
}

/// Carries out a prepared transaction. What goes wrong is undone, and the outcome says so.
///
/// # Errors
/// It is not prepared; or the store fails, so that nobody can tell how far it came: `hostward recover` then goes on.
pub fn run(tree: &Tree, transaction: &mut Transaction, services: &mut dyn Services) -> anyhow::Result<Outcome> {
    if transaction.stage() != &Stage::Prepared {
        anyhow::bail!("transaction {} is {}, not prepared", transaction.id(), transaction.stage().word());
    }
    // From here on it is nobody's to start, and `recover` need not wait for anybody.
    transaction.set_stage(Stage::Applying { step: Step::Check })?;
    if let Err(error) = prepare(tree, transaction, services) {
        let why = format!("{error:#}");
        transaction.set_stage(Stage::Undone { why: why.clone() })?;
        return Ok(Outcome::Undone { why });
    }
    transaction.set_stage(Stage::Applying { step: Step::Files })?;
    match carry_out(tree, transaction, services) {
        Ok(outcome) => Ok(outcome),
        Err(error) => undo(tree, transaction, services, &format!("{error:#}")),
    }
}

/// Everything that can be seen to be wrong before anything is changed.
fn prepare(tree: &Tree, transaction: &mut Transaction, services: &mut dyn Services) -> anyhow::Result<()> {
    for (index, _) in transaction.manifest().files() {
        file::check(tree, transaction, index)?;
    }
    let mut units = Vec::new();
    for action in transaction.manifest().units() {
        let was = services.unit_state(&action.unit)?;
        units.push((action, was));
    }
    if !units.is_empty() {
        transaction.set_units(&units)?;
    }
    erase::check(tree, transaction)?;
    let waits = transaction.manifest().confirm() != Confirm::None;
    if waits && transaction.manifest().erasures().next().is_some() {
        anyhow::bail!(
            "what goes for good cannot wait for a confirmation: make an image of this system as the last step"
        );
    }
    if waits {
        services.arm(transaction.manifest(), within(transaction.manifest()))?;
    }
    Ok(())
}

fn within(manifest: &Manifest) -> Duration {
    Duration::from_secs(manifest.confirm_within)
}

fn carry_out(tree: &Tree, transaction: &mut Transaction, services: &mut dyn Services) -> anyhow::Result<Outcome> {
    {
        let _lock = passwords::lock(tree, transaction.manifest())?;
        let files: Vec<usize> = transaction.manifest().files().map(|(index, _)| index).collect();
        for index in files {
            file::forward(tree, transaction, index)?;
        }
    }
    if let Some(table) = transaction.manifest().table() {
        transaction.set_stage(Stage::Applying { step: Step::Table })?;
        services.table(&table)?;
    }
    transaction.set_stage(Stage::Applying { step: Step::Validate })?;
    services.validate(transaction.manifest())?;
    let (units, kernel) = (transaction.manifest().units(), transaction.manifest().kernel());
    if !units.is_empty() || !kernel.is_empty() {
        transaction.set_stage(Stage::Applying { step: Step::Units })?;
    }
    for action in units {
        services.act(&action)?;
    }
    for setting in kernel {
        services.kernel(&setting)?;
    }
    let calls = transaction.manifest().calls();
    if !calls.is_empty() {
        transaction.set_stage(Stage::Applying { step: Step::Calls })?;
    }
    for call in calls {
        services.call(&call)?;
    }
    transaction.set_stage(Stage::Verifying)?;
    services.verify(transaction.manifest())?;
    if transaction.manifest().confirm() == Confirm::None {
        return finish(tree, transaction);
    }
    let within = within(transaction.manifest());
    services.arm(transaction.manifest(), within)?;
    transaction.set_stage(Stage::Waiting { deadline: Moment::now()?.after(within) })?;
    Ok(Outcome::Waiting)
}

/// Takes away what goes for good, once everything else stands; after a crash too.
///
/// # Errors
/// The stage cannot be written.
fn finish(tree: &Tree, transaction: &mut Transaction) -> anyhow::Result<Outcome> {
    if transaction.manifest().erasures().next().is_some() {
        transaction.set_stage(Stage::Applying { step: Step::Erase })?;
        for what in erase::all(tree, transaction) {
            crate::warning::warn(&format!("not erased: {what}"));
        }
    }
    transaction.set_stage(Stage::Confirmed)?;
    Ok(Outcome::Confirmed)
}

/// What is said of what cannot be put back.
fn but_for_erased(transaction: &Transaction) -> String {
    let finished = matches!(transaction.stage(), Stage::Confirmed | Stage::Applying { step: Step::Erase });
    match transaction.manifest().erasures().count() {
        0 => String::new(),
        _ if !finished => String::new(),
        count => format!(", but for {count} paths that are gone for good"),
    }
}

/// Undoes a transaction in reverse order, however far it came: files, then the firewall table, then the services. Where a
/// file is neither as before nor as after it is left alone, and so said. May be run again after a crash.
///
/// # Errors
/// The disk or the store fails: it stays to be undone, by `hostward recover`.
pub fn undo(
    tree: &Tree,
    transaction: &mut Transaction,
    services: &mut dyn Services,
    why: &str,
) -> anyhow::Result<Outcome> {
    let step = transaction.stage().reached().unwrap_or(Step::Check);
    let why = match transaction.stage() {
        Stage::Undoing { why, .. } => why.clone(),
        _ => format!("{why}{}", but_for_erased(transaction)),
    };
    if step == Step::Check {
        // Nothing was touched: whatever stands there now is not ours to judge.
        transaction.set_stage(Stage::Undone { why: why.clone() })?;
        return Ok(Outcome::Undone { why });
    }
    transaction.release();
    if let Err(error) = transaction.set_stage(Stage::Undoing { why: why.clone(), step }) {
        // What is on disk may be newer than what we know: a stage that got its name and was not synced.
        transaction.refresh()?;
        if transaction.stage().is_final() {
            // Nobody would go on with it after a crash.
            return Err(error);
        }
        // On a disk that takes no stage `recover` finds the old one, and undoes it once more. What keeps somebody out is put back now.
    }
    let mut left = Vec::new();
    if step >= Step::Calls {
        for call in transaction.manifest().calls().into_iter().rev() {
            let back =
                RemoteCall { tokens_before: call.tokens_after, tokens_after: call.tokens_before, ..call.clone() };
            if let Err(error) = services.call(&back) {
                left.push(format!("the metadata options of {}: {error:#}", call.instance));
            }
        }
    }
    let failed = put_back(tree, transaction, &mut left);
    if step >= Step::Table
        && let Some(table) = transaction.manifest().table()
        && let Err(error) = services.table(&NftTable { before: table.after, after: table.before })
    {
        left.push(format!("the firewall table: {error:#}"));
    }
    if step >= Step::Units {
        for setting in transaction.manifest().kernel().into_iter().rev() {
            let (before, after) = (setting.after, setting.before);
            if let Err(error) = services.kernel(&KernelSetting { key: setting.key.clone(), before, after }) {
                left.push(format!("{}: {error:#}", setting.key));
            }
        }
        for action in transaction.manifest().units().into_iter().rev() {
            let undone = match transaction.unit_was(&action.unit) {
                Ok(Some(was)) => services.undo(&action, &was),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = undone {
                left.push(format!("{}: {error:#}", action.unit));
            }
        }
    }
    if let Some(error) = failed {
        // What the disk refuses today it may take tomorrow: the stage says that it is still to be undone.
        return Err(error
            .context(format!("transaction {} is not undone yet: `hostward recover` tries again", transaction.id())));
    }
    if left.is_empty() {
        transaction.set_stage(Stage::Undone { why: why.clone() })?;
        return Ok(Outcome::Undone { why });
    }
    transaction.set_stage(Stage::Stuck { why: why.clone(), left: left.clone() })?;
    Ok(Outcome::Stuck { why, left })
}

/// Puts every file back, in reverse order, also where one fails. Some: the first error that may pass.
fn put_back(tree: &Tree, transaction: &Transaction, left: &mut Vec<String>) -> Option<anyhow::Error> {
    let mut failed = None;
    let mut fail = |error: anyhow::Error| {
        if failed.is_none() {
            failed = Some(error);
        }
    };
    // Nothing is locked for a file that was never written: its disk may be what failed.
    let written =
        |file: &FileRecord| !matches!(standing(tree, file), Ok(there) if settled(file, &there) == Settled::Before);
    let concerned = transaction.manifest().files().any(|(_, file)| passwords::concerns(&file.path) && written(file));
    let lock = if concerned { passwords::lock(tree, transaction.manifest()) } else { Ok(None) };
    let (locked, _held) = match lock {
        Ok(held) => (true, held),
        Err(error) => {
            fail(error);
            (false, None)
        }
    };
    for (index, file) in transaction.manifest().files().rev() {
        if !locked && passwords::concerns(&file.path) {
            continue;
        }
        match file::backward(tree, transaction, index) {
            Ok(None) => {}
            Ok(Some(what)) => left.push(what),
            // What a user does in their own home must not keep the rest of the host from ending.
            Err(error) if is_of_users(&error) && tree.is_users(&file.path) => left.push(format!("{error:#}")),
            Err(error) => fail(error),
        }
    }
    failed
}

/// Whether an error is one that the owner of a directory can bring about in it, for as long as they like.
fn is_of_users(error: &anyhow::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        error.downcast_ref(),
        Some(
            &Errno::ACCESS
                | &Errno::PERM
                | &Errno::NOENT
                | &Errno::NOTDIR
                | &Errno::ISDIR
                | &Errno::LOOP
                | &Errno::XDEV
                | &Errno::EXIST
                | &Errno::NOTEMPTY
                | &Errno::DQUOT
        )
    )
}

/// Undoes a transaction that somebody wants undone, weeks later perhaps: all of it, or nothing where a file was changed since.
///
/// # Errors
/// Exit code 3: it was never applied, is undone already, or files were changed since, which are named. Else as [`undo`].
pub fn rollback(tree: &Tree, transaction: &mut Transaction, services: &mut dyn Services) -> anyhow::Result<Outcome> {
    match transaction.stage() {
        Stage::Undone { why } => {
            return Err(refused(format!("transaction {} is undone already: {why}", transaction.id())));
        }
        Stage::Prepared => {
            return Err(refused(format!("transaction {} was not applied", transaction.id())));
        }
        // A run that died is undone as far as it goes.
        Stage::Applying { .. } | Stage::Verifying | Stage::Undoing { .. } => {}
        Stage::Waiting { .. } | Stage::Confirmed | Stage::Stuck { .. } => {
            let mut changed = Vec::new();
            for (_, file) in transaction.manifest().files() {
                if settled(file, &standing(tree, file)?) == Settled::Neither {
                    changed.push(file.path.display().to_string());
                }
            }
            if !changed.is_empty() {
                let message = format!(
                    "transaction {} is not rolled back: {} changed since; nothing was touched (hostward history {} shows what it did)",
                    transaction.id(),
                    changed.join(", "),
                    transaction.id()
                );
                return Err(refused(message));
            }
        }
    }
    undo(tree, transaction, services, "it was rolled back")
}

#[cfg(test)]
mod tests;
