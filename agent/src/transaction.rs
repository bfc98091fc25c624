//! Transactions: what a fix does and how it is undone, on disk before the first byte of the host changes.
//!
//! `<root>/var/lib/hostward/transactions/<id>/` holds `manifest.json`, the contents `before/N` and `after/N` (N: the effect's
//! place), `stage.json`, and what was found afterwards. It is root's alone, and entered by descriptor like every other path.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use hostward_checks::effect::{Effect, FileChange};
use hostward_checks::guard::Confirm;
use hostward_checks::plan::Plan;
use serde::{Deserialize, Serialize};

use crate::exit_code::{Ends, ExitCode};
use crate::lock::Lock;
use crate::tree::{Dir, Tree};

mod asked;
mod disk;
mod id;
mod manifest;
mod one;
mod side;
mod space;
mod stage;

pub use asked::Asked;
pub(crate) use id::token;
pub use manifest::{
    Content, EffectRecord, FileRecord, FindingRecord, Found, Manifest, OwnerRecord, ReasonRecord, Side, What,
    XattrRecord,
};
pub use stage::{Deadline, Moment, Record, Stage, Stages, Step};

/// Where transactions stand in a root.
pub const PATH: &str = "/var/lib/hostward/transactions";

/// The transactions of a root.
#[derive(Debug)]
pub struct Store {
    tree: Tree,
    dir: Option<Dir>,
    locks: Vec<Lock>,
}

/// What a new transaction is made of.
#[derive(Debug)]
pub struct New<'a> {
    /// What would be done.
    pub plan: &'a Plan,
    /// Who asks.
    pub asked: Asked,
    /// The command line.
    pub command: Vec<String>,
    /// How it is confirmed.
    pub confirm: Confirm,
    /// Within what time.
    pub confirm_within: Duration,
    /// What was found.
    pub found: Found,
    /// Accounts that keep a way in.
    pub keepers: Vec<String>,
}

/// A unit's state before it was asked anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitWas {
    /// Whether it ran.
    pub active: bool,
    /// Whether it starts at boot; None: that is not for the unit itself to say (static, generated, absent).
    pub enabled: Option<bool>,
}

/// A unit and its state before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct UnitRecord {
    unit: String,
    #[serde(flatten)]
    was: UnitWas,
}

/// One transaction on disk.
#[derive(Debug)]
pub struct Transaction {
    dir: Dir,
    manifest: Manifest,
    stages: Stages,
    /// Held by the process that wrote it down, and by the kernel no longer than that process lives.
    owner: Option<Lock>,
}

/// The transactions that can be read, oldest first, and those that cannot.
#[derive(Debug, Default)]
pub struct Listing {
    /// Those that can be read.
    pub transactions: Vec<Transaction>,
    /// Those that cannot: id and why.
    pub broken: Vec<(String, anyhow::Error)>,
}

const MANIFEST: &str = "manifest.json";
const STAGE: &str = "stage.json";
const UNITS: &str = "units.json";
const FOUND: &str = "found.json";
/// Room for undoing it on a disk that has been filled since.
const RESERVE: &str = "reserve";
/// Directories of contents.
const BEFORE: &str = "before";
const AFTER: &str = "after";

impl Store {
    /// The transactions of a root directory: `/` for the live host. Nothing is made yet.
    ///
    /// # Errors
    /// The root cannot be opened, or what stands at [`PATH`] can be read or written by others.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        let tree = Tree::open(root)?;
        let dir = disk::private(&tree, false)?;
        Ok(Self { tree, dir, locks: Vec::new() })
    }

    /// As [`Store::open`], and nobody else changes this root until the value is dropped. On a live host no scan runs meanwhile.
    /// Whoever starts another process that is to apply a transaction drops it first.
    ///
    /// # Errors
    /// As [`Store::open`]; exit code 75: another run holds the lock.
    pub fn alone(root: &Path) -> anyhow::Result<Self> {
        Self::locked(root, crate::lock::alone)
    }

    /// As [`Store::alone`], waiting for no scan: for what must be undone now.
    ///
    /// # Errors
    /// As [`Store::alone`].
    pub fn at_once(root: &Path) -> anyhow::Result<Self> {
        Self::locked(root, crate::lock::at_once)
    }

    fn locked(root: &Path, lock: fn(&Path) -> anyhow::Result<Vec<Lock>>) -> anyhow::Result<Self> {
        let mut store = Self::open(root)?;
        if store.tree.is_live() {
            store.locks.extend(lock(Path::new(crate::lock::PATH))?);
        }
        if let Some(dir) = &store.dir {
            store.locks.push(crate::lock::directory(dir, Path::new(PATH))?);
        }
        Ok(store)
    }

    /// Makes sure that no transaction waits for something.
    ///
    /// # Errors
    /// Exit code 75: one does, with the way out. Else one cannot be read.
    pub fn idle(&self) -> anyhow::Result<()> {
        let Some(first) = self.pending()?.into_iter().next() else { return Ok(()) };
        let (id, stage) = (first.id(), first.stage());
        let way = match stage {
            Stage::Waiting { deadline } => format!(
                "transaction {id} waits to be confirmed until {}: `hostward confirm {id}` keeps it, `hostward rollback {id}` undoes it",
                deadline.at
            ),
            Stage::Prepared => format!("transaction {id} is about to be applied: wait for it to end, then try again"),
            _ => format!("transaction {id} was interrupted ({}): `hostward recover` undoes what it left", stage.word()),
        };
        Err(Ends::with(ExitCode::Busy, way))
    }

    /// The root directory.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Writes a transaction down, whole and synced. Nothing of the host is changed.
    ///
    /// # Errors
    /// Exit code 3: the host is not as it was planned from (stale), a path cannot be written, or there is no room for it.
    pub fn begin(&mut self, new: &New<'_>) -> anyhow::Result<Transaction> {
        let effects: Vec<&Effect> = new.plan.effects.iter().map(|planned| &planned.effect).collect();
        let files: Vec<&FileChange> = new.plan.files().collect();
        if self.dir.is_none() {
            self.dir = disk::private(&self.tree, true)?;
            // Somebody else may have made it at the same time.
            if let Some(dir) = &self.dir {
                self.locks.push(crate::lock::directory(dir, Path::new(PATH))?);
            }
        }
        let Some(store) = &self.dir else { bail!("failed to make {PATH}") };
        space::enough(&self.tree, store, &files)?;
        let id = id::next(store)?;
        let mut records = Vec::new();
        for planned in &new.plan.effects {
            let what = match (&planned.effect, What::of(&planned.effect)) {
                (Effect::File(change), _) => What::File(side::record(&self.tree, change, &files)?),
                (Effect::Erase(change), _) => What::Erase(side::bare(change)),
                (_, Some(what)) => what,
                (_, None) => bail!("an effect that cannot be written down"),
            };
            let reasons = planned
                .reasons
                .iter()
                .map(|reason| ReasonRecord { check: reason.check.to_owned(), subject: reason.subject.clone() });
            records.push(EffectRecord { reasons: reasons.collect(), what });
        }
        let manifest = Manifest {
            schema: manifest::SCHEMA.to_owned(),
            id: id.clone(),
            at: jiff::Timestamp::now().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: new.command.clone(),
            asked: new.asked.clone(),
            live: self.tree.is_live(),
            confirm: manifest::confirm_word(new.confirm).to_owned(),
            confirm_within: new.confirm_within.as_secs(),
            token: id::token()?,
            effects: records,
            found: new.found.clone(),
            keepers: new.keepers.clone(),
        };
        disk::write_transaction(&self.tree, store, &manifest, &effects, &Stages::prepared()?)?;
        let mut transaction = self.read(&id)?;
        // On a file system without locks nobody can tell whether we live.
        transaction.owner = crate::lock::directory(&transaction.dir, transaction.dir.path()).ok();
        Ok(transaction)
    }

    /// Every transaction.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> anyhow::Result<Listing> {
        let mut listing = Listing::default();
        for id in self.ids()? {
            match self.read(&id) {
                Ok(transaction) => listing.transactions.push(transaction),
                Err(error) => listing.broken.push((id, error)),
            }
        }
        Ok(listing)
    }

    /// The transaction with this id, or the only one that begins with it.
    ///
    /// # Errors
    /// There is none, or more than one; or it cannot be read.
    pub fn get(&self, id: &str) -> anyhow::Result<Transaction> {
        let ids = self.ids()?;
        if ids.iter().any(|known| known == id) {
            return self.read(id);
        }
        let mut fitting = ids.iter().filter(|known| known.starts_with(id));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => self.read(only),
            (Some(one), Some(other)) => bail!("{id} is more than one transaction: {one}, {other}"),
            _ => bail!("there is no transaction {id}: `hostward history` lists them"),
        }
    }

    /// Transactions that are not in a final stage, oldest first.
    ///
    /// # Errors
    /// One cannot be read, and nobody knows how far it came.
    pub fn pending(&self) -> anyhow::Result<Vec<Transaction>> {
        let listing = self.list()?;
        if let Some((id, error)) = listing.broken.into_iter().find(|(id, _)| !self.has_ended(id)) {
            let way = format!("look at {PATH}/{id}; move it away if you know what it did");
            return Err(error.context(format!("transaction {id} cannot be read ({way})")));
        }
        Ok(listing.transactions.into_iter().filter(|one| !one.stage().is_final()).collect())
    }

    /// Whether one has come to its end, which can be known of one that cannot be read: that of a later version.
    pub fn has_ended(&self, id: &str) -> bool {
        let stages = self.dir.as_ref().context("there are no transactions").and_then(|store| {
            let dir = self.tree.enter(store, OsStr::new(id))?;
            disk::read_json::<Stages>(&dir, STAGE)
        });
        stages.is_ok_and(|stages| {
            stages.schema == stage::SCHEMA && stages.last().is_some_and(|record| record.stage.is_final())
        })
    }

    /// Removes the oldest final transactions beyond so many, and those older than so long. One that is stuck is kept.
    ///
    /// # Errors
    /// One cannot be removed.
    pub fn prune(&self, keep: usize, age: Duration) -> anyhow::Result<usize> {
        let Some(store) = &self.dir else { return Ok(0) };
        let final_ones: Vec<Transaction> = self.list()?.transactions;
        let done = |one: &&Transaction| matches!(one.stage(), Stage::Confirmed | Stage::Undone { .. });
        let kept: Vec<&Transaction> = final_ones.iter().filter(done).collect();
        let beyond = kept.len().saturating_sub(keep);
        let oldest = jiff::Timestamp::now().checked_sub(age).ok();
        let mut removed = 0;
        for (index, one) in kept.iter().enumerate() {
            let at: Option<jiff::Timestamp> = one.manifest.at.parse().ok();
            let old = matches!((at, oldest), (Some(at), Some(oldest)) if at < oldest);
            if index < beyond || old {
                disk::remove(&self.tree, store, OsStr::new(one.id()))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn ids(&self) -> anyhow::Result<Vec<String>> {
        let Some(store) = &self.dir else { return Ok(Vec::new()) };
        let names = store.names().with_context(|| format!("failed to read {PATH}"))?;
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).filter(|name| id::is_id(name)).collect())
    }

    fn read(&self, id: &str) -> anyhow::Result<Transaction> {
        let store = self.dir.as_ref().context("there are no transactions")?;
        let dir = self.tree.enter(store, OsStr::new(id))?;
        let manifest: Manifest = disk::read_json(&dir, MANIFEST)?;
        if manifest.schema != manifest::SCHEMA || manifest.id != id {
            bail!("{PATH}/{id}/{MANIFEST} is of another version of hostward: {}", manifest.schema);
        }
        if let Some(strange) = manifest.effects.iter().find(|record| !record.what.is_known()) {
            bail!("{PATH}/{id}/{MANIFEST} holds an effect of another version of hostward: {:?}", strange.what);
        }
        let stages: Stages = disk::read_json(&dir, STAGE)?;
        if stages.schema != stage::SCHEMA || stages.last().is_none() {
            bail!("{PATH}/{id}/{STAGE} is of another version of hostward: {}", stages.schema);
        }
        Ok(Transaction { dir, manifest, stages, owner: None })
    }
}

#[cfg(test)]
pub(crate) mod tests;
