//! The stage of a transaction: replaced whole at each change, with the clock that survives suspension and the boot it counts from.

use std::time::Duration;

use anyhow::Context;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The version of the stage file's shape.
pub(super) const SCHEMA: &str = "hostward.stage/1";

/// How far a transaction has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Stage {
    /// Written down, nothing changed yet.
    Prepared,
    /// Being applied; the step that was begun last.
    Applying {
        /// The step.
        step: Step,
    },
    /// Applied; being looked at.
    Verifying,
    /// Applied, verified, and undone at the deadline unless somebody confirms it.
    Waiting {
        /// When it is undone.
        deadline: Deadline,
    },
    /// It stays.
    Confirmed,
    /// Being undone.
    Undoing {
        /// Why.
        why: String,
        /// The step up to which it had been applied.
        step: Step,
    },
    /// Undone: everything is as it was.
    Undone {
        /// Why.
        why: String,
    },
    /// Not to be undone as a whole: some files are neither as before nor as after.
    Stuck {
        /// Why.
        why: String,
        /// What was left alone: paths and services.
        left: Vec<String>,
    },
}

/// The steps of applying, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// It is looked at once more; nothing is changed yet.
    Check,
    /// Files are written.
    Files,
    /// The firewall table is loaded.
    Table,
    /// The candidate is validated.
    Validate,
    /// Units are asked, and the running kernel is set.
    Units,
    /// Remote calls are made.
    Calls,
    /// What goes for good is taken away: everything else stands.
    Erase,
}

/// When something ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// On `CLOCK_BOOTTIME` of the boot below, in milliseconds.
    pub boottime_ms: u64,
    /// That boot.
    pub boot_id: String,
    /// The same by the wall clock, RFC 3339 in UTC: for people.
    pub at: String,
}

/// A moment: by the wall clock for people, by the boot's clock for deadlines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// RFC 3339 in UTC.
    pub at: String,
    /// `CLOCK_BOOTTIME`, in milliseconds.
    pub boottime_ms: u64,
    /// Which boot.
    pub boot_id: String,
}

impl Moment {
    /// Now.
    ///
    /// # Errors
    /// The clock or the boot id cannot be read.
    pub fn now() -> anyhow::Result<Self> {
        let clock = clock_gettime(ClockId::CLOCK_BOOTTIME).context("failed to read the clock")?;
        let boot_id = std::fs::read_to_string(BOOT_ID).with_context(|| format!("failed to read {BOOT_ID}"))?;
        Ok(Self {
            at: jiff::Timestamp::now().to_string(),
            boottime_ms: u64::try_from(Duration::from(clock).as_millis()).unwrap_or(u64::MAX),
            boot_id: boot_id.trim().to_owned(),
        })
    }

    /// So much later.
    pub fn after(&self, length: Duration) -> Deadline {
        let milliseconds = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let at = jiff::Timestamp::now().checked_add(length).map_or_else(|_| String::new(), |at| at.to_string());
        Deadline { boottime_ms: self.boottime_ms.saturating_add(milliseconds), boot_id: self.boot_id.clone(), at }
    }
}

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

impl Deadline {
    /// How long it is until then; None: it is over, or it was in another boot.
    pub fn left(&self, now: &Moment) -> Option<Duration> {
        let left = self.boottime_ms.checked_sub(now.boottime_ms).filter(|left| *left > 0)?;
        (self.boot_id == now.boot_id).then_some(Duration::from_millis(left))
    }
}

impl Stage {
    /// Whether nothing more comes by itself.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Confirmed | Self::Undone { .. } | Self::Stuck { .. })
    }

    /// Its word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Applying { .. } => "applying",
            Self::Verifying => "verifying",
            Self::Waiting { .. } => "waiting",
            Self::Confirmed => "confirmed",
            Self::Undoing { .. } => "undoing",
            Self::Undone { .. } => "undone",
            Self::Stuck { .. } => "stuck",
        }
    }

    /// The last step of applying that may have been begun; None: none.
    pub fn reached(&self) -> Option<Step> {
        match self {
            Self::Prepared | Self::Undone { .. } => None,
            Self::Applying { step } | Self::Undoing { step, .. } => Some(*step),
            Self::Verifying | Self::Waiting { .. } | Self::Confirmed | Self::Stuck { .. } => Some(Step::Calls),
        }
    }
}

/// A stage and when it began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When.
    #[serde(flatten)]
    pub since: Moment,
    /// Which.
    #[serde(flatten)]
    pub stage: Stage,
}

/// The stage file: every stage there was; the last one holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stages {
    /// [`SCHEMA`].
    pub schema: String,
    /// The stages, in order.
    pub stages: Vec<Record>,
}

impl Stages {
    /// The first stage.
    ///
    /// # Errors
    /// As [`Moment::now`].
    pub fn prepared() -> anyhow::Result<Self> {
        let record = Record { since: Moment::now()?, stage: Stage::Prepared };
        Ok(Self { schema: SCHEMA.to_owned(), stages: vec![record] })
    }

    /// The one that holds.
    pub fn last(&self) -> Option<&Record> {
        self.stages.last()
    }
}
