//! From what the checks propose to what would be done: the intents of all findings folded into effects.
//!
//! A finding is mended whole or not at all: where one of its edits cannot be made, none of them is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::check::{Finding, Input, Message, Params};
use crate::effect::Effect;
use crate::guard::{Circumstances, Guard};
use crate::snapshot::{Need, Reader, Snapshot};

mod accounts;
pub mod draft;
mod files;
mod fold;
pub mod kernel;
mod obstacle;
mod settings;
mod sshd;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;

pub use obstacle::Obstacle;

/// Something said to the user: a message with its parameters.
#[derive(Clone, Debug)]
pub struct Said {
    /// Which words.
    pub message: &'static Message,
    /// What is put into them.
    pub params: Params,
}

impl PartialEq for Said {
    fn eq(&self, other: &Self) -> bool {
        self.message.id == other.message.id && self.params == other.params
    }
}

impl Said {
    /// A message without parameters.
    pub fn new(message: &'static Message) -> Self {
        Self { message, params: Params::new() }
    }

    /// Adds a text parameter.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.params.push((name, crate::check::Param::Text(value.into())));
        self
    }

    /// Adds a list.
    #[must_use]
    pub fn with_list(mut self, name: &'static str, values: Vec<String>) -> Self {
        self.params.push((name, crate::check::Param::List(values)));
        self
    }
}

/// A finding that is to be mended.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The check that found it.
    pub check: &'static str,
    /// What was found.
    pub finding: &'a Finding,
}

/// For which finding an effect is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// The check.
    pub check: &'static str,
    /// The finding's subject.
    pub subject: String,
}

/// One effect with the reason for it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What is done.
    pub effect: Effect,
    /// For which findings.
    pub reasons: Vec<Reason>,
    /// What must hold for it: evaluated on the simulated host, all of them, before anything is written.
    pub guards: Vec<&'static Guard>,
}

/// A finding that stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfixable {
    /// Which.
    pub reason: Reason,
    /// Why, and the way out.
    pub why: Said,
}

/// What would be done, in this order: files, firewall table, units, kernel settings, remote calls, what goes for good.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The effects.
    pub effects: Vec<Planned>,
    /// Findings that stay.
    pub unfixable: Vec<Unfixable>,
}

impl Plan {
    /// Whether nothing would be done.
    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }

    /// Every change of a path, in order: the file changes, and what goes for good.
    pub fn paths(&self) -> impl Iterator<Item = &crate::effect::FileChange> {
        self.effects.iter().filter_map(|planned| match &planned.effect {
            Effect::File(change) | Effect::Erase(change) => Some(change),
            _ => None,
        })
    }

    /// The file changes, in order.
    pub fn files(&self) -> impl Iterator<Item = &crate::effect::FileChange> {
        self.effects.iter().filter_map(|planned| match &planned.effect {
            Effect::File(change) => Some(change),
            _ => None,
        })
    }
}

/// What only the agent can tell of paths: why a path cannot be written although its content can be read.
pub type Obstacles = BTreeMap<PathBuf, Obstacle>;

/// Folds the proposals of these findings into a plan. The second value is what must be recorded first; while it is not
/// empty the plan is provisional.
pub fn fold(
    snapshot: &Snapshot,
    input: &Input<'_>,
    wanted: &[Wanted<'_>],
    obstacles: &Obstacles,
    circumstances: &Circumstances,
) -> (Plan, Need) {
    let reader = Reader::new(snapshot);
    let plan = fold::fold(&reader, input, wanted, obstacles, circumstances);
    (plan, reader.need())
}

/// The snapshot with the plan's file changes laid over it: what the host would be.
pub fn lay(snapshot: &mut Snapshot, plan: &Plan) {
    for change in plan.paths() {
        draft::lay(snapshot, change);
    }
}

/// The names under which drop-ins of ours stand.
pub fn is_ours(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().windows(8).any(|part| part == b"hostward"))
}
