//! One transaction: its stage, its contents, and what was noted beside its manifest.

use std::ffi::OsString;

use anyhow::Context;
use hostward_checks::effect::{Effect, FileChange, State, UnitAction};

use super::{
    AFTER, BEFORE, FOUND, Found, Manifest, Moment, RESERVE, Record, STAGE, Side, Stage, Transaction, UNITS, UnitRecord,
    UnitWas, What, disk,
};

impl Transaction {
    /// Its id: sortable by time, `20261122-044905-ab12`.
    pub fn id(&self) -> &str {
        &self.manifest.id
    }

    /// What it does.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How far it has come.
    pub fn stage(&self) -> &Stage {
        self.stages.last().map_or(&Stage::Prepared, |record| &record.stage)
    }

    /// Every stage so far, with its time.
    pub fn stages(&self) -> &[Record] {
        &self.stages.stages
    }

    /// Changes the stage, on disk first.
    ///
    /// # Errors
    /// It cannot be written; the stage is the old one.
    pub fn set_stage(&mut self, stage: Stage) -> anyhow::Result<()> {
        let mut stages = self.stages.clone();
        stages.stages.push(Record { since: Moment::now()?, stage });
        disk::replace_json(&self.dir, STAGE, &stages)?;
        self.stages = stages;
        Ok(())
    }

    /// Whether the process that wrote it down lives and has not let go of it; None: nobody can tell.
    pub fn is_owned(&self) -> Option<bool> {
        if self.owner.is_some() { Some(true) } else { crate::lock::is_held(&self.dir) }
    }

    /// Gives up the room that was kept aside for undoing it.
    pub(crate) fn release(&self) {
        // Without it the disk is as full as it was.
        let _ = self.dir.unlink(RESERVE);
    }

    /// Reads the stage again: another process may have changed it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn refresh(&mut self) -> anyhow::Result<()> {
        self.stages = disk::read_json(&self.dir, STAGE)?;
        Ok(())
    }

    /// The content of one side of a file change, checked against its digest.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written.
    pub fn content(&self, index: usize, side: &Side, after: bool) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(content) = side.content() else { return Ok(None) };
        disk::read_blob(&self.dir, if after { AFTER } else { BEFORE }, index, content).map(Some)
    }

    /// The effects, as they were planned.
    ///
    /// # Errors
    /// A content cannot be read.
    pub fn effects(&self) -> anyhow::Result<Vec<Effect>> {
        let mut effects = Vec::new();
        for (index, record) in self.manifest.effects.iter().enumerate() {
            let state = |side: &Side, after| -> anyhow::Result<State> {
                Ok(match (side, side.owner()) {
                    (Side::File { .. }, Some(owner)) => {
                        State::File { content: self.content(index, side, after)?.map(Into::into), owner }
                    }
                    (Side::Dir { .. }, Some(owner)) => State::Dir { owner },
                    _ => State::Absent,
                })
            };
            effects.push(match &record.what {
                What::File(file) => Effect::File(FileChange {
                    path: file.path.clone(),
                    before: state(&file.before, false)?,
                    after: state(&file.after, true)?,
                }),
                What::Erase(file) => {
                    let before = match (&file.before, file.before.owner()) {
                        (Side::Dir { .. }, Some(owner)) => State::Dir { owner },
                        (_, Some(owner)) => State::File { content: None, owner },
                        (_, None) => State::Absent,
                    };
                    Effect::Erase(FileChange { path: file.path.clone(), before, after: state(&file.after, true)? })
                }
                other => other.effect().with_context(|| format!("effect {index} is of another version of hostward"))?,
            });
        }
        Ok(effects)
    }

    /// Writes down how the units stood before they were asked anything.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_units(&mut self, units: &[(UnitAction, UnitWas)]) -> anyhow::Result<()> {
        let records: Vec<UnitRecord> =
            units.iter().map(|(action, was)| UnitRecord { unit: action.unit.clone(), was: was.clone() }).collect();
        disk::replace_json(&self.dir, UNITS, &records)
    }

    /// How a unit stood before it was asked anything; None: it was not asked yet.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn unit_was(&self, unit: &str) -> anyhow::Result<Option<UnitWas>> {
        if self.dir.stat(UNITS).with_context(|| format!("failed to look at {UNITS}"))?.is_none() {
            return Ok(None);
        }
        let records: Vec<UnitRecord> = disk::read_json(&self.dir, UNITS)?;
        Ok(records.into_iter().find(|record| record.unit == unit).map(|record| record.was))
    }

    /// Keeps what was found afterwards.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_found_after(&self, found: &Found) -> anyhow::Result<()> {
        disk::replace_json(&self.dir, FOUND, found)
    }

    /// What was found afterwards; None: nobody looked.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn found_after(&self) -> anyhow::Result<Option<Found>> {
        if self.dir.stat(FOUND).with_context(|| format!("failed to look at {FOUND}"))?.is_none() {
            return Ok(None);
        }
        disk::read_json(&self.dir, FOUND).map(Some)
    }

    /// The name of a temporary file of this transaction. No program takes it for a configuration file.
    pub fn temporary(&self, index: usize) -> OsString {
        OsString::from(format!(".hostward-{}-{index}", self.manifest.token))
    }
}
