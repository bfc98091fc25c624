//! Folding: every finding's edits on one draft, whole or not at all; then the draft as effects.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::draft::Draft;
use super::{
    Obstacle, Obstacles, Plan, Planned, Reason, Said, Unfixable, Wanted, accounts, files, kernel, settings, sshd, table,
};
use crate::check::Input;
use crate::edit::Edit;
use crate::effect::{Effect, KernelSetting, RemoteCall, UnitAction, Verb};
use crate::guard::{self, Circumstances, Guard, Rule};
use crate::snapshot::Reader;

/// Why an edit cannot be made: the path, and what stands in the way there.
pub(super) type Refused = (PathBuf, Obstacle);

/// What has been folded so far.
#[derive(Clone, Debug)]
pub(super) struct Work<'r, 's> {
    /// The files.
    pub(super) draft: Draft<'r, 's>,
    /// What is set for each sshd in a place of ours, by its main file.
    pub(super) sshd: BTreeMap<PathBuf, sshd::Placed>,
    /// What the firewall table is to do.
    pub(super) table: table::Rules,
    /// Where this program stands.
    pub(super) program: Option<PathBuf>,
    /// Daemons that their unit cannot reload.
    pub(super) beside: Vec<i32>,
    /// What is set in the running kernel.
    pub(super) kernel: Vec<KernelSetting>,
    /// Requests to the service manager, in order.
    units: Vec<UnitAction>,
    /// Requests that come with a change of a file, and only with it.
    after: Vec<(PathBuf, UnitAction)>,
    /// Calls to the ECS endpoint.
    remote: Vec<RemoteCall>,
}

impl Work<'_, '_> {
    /// Asks the service manager, once.
    pub(super) fn ask(&mut self, unit: &str, verb: Verb) {
        let action = UnitAction { unit: unit.to_owned(), verb };
        if !self.units.contains(&action) {
            self.units.push(action);
        }
    }

    /// Asks the service manager once this file has changed.
    pub(super) fn ask_after(&mut self, file: &Path, unit: &str, verb: Verb) {
        let request = (file.to_path_buf(), UnitAction { unit: unit.to_owned(), verb });
        if !self.after.contains(&request) {
            self.after.push(request);
        }
    }
}

/// One edit that was folded in: for whom, and what it touched.
struct Folded<'e> {
    edit: &'e Edit,
    reason: Reason,
    paths: Vec<PathBuf>,
    units: Vec<UnitAction>,
    table: bool,
    remote: Vec<RemoteCall>,
}

pub(super) fn fold(
    reader: &Reader<'_>,
    input: &Input<'_>,
    wanted: &[Wanted<'_>],
    obstacles: &Obstacles,
    circumstances: &Circumstances,
) -> Plan {
    let mut work = Work {
        draft: Draft::new(reader, obstacles),
        sshd: BTreeMap::new(),
        table: table::Rules::default(),
        program: circumstances.program.clone(),
        beside: circumstances.beside.clone(),
        kernel: Vec::new(),
        units: Vec::new(),
        after: Vec::new(),
        remote: Vec::new(),
    };
    let (mut folded, mut plan) = (Vec::new(), Plan::default());
    for wanted in wanted {
        match mend(&work, input, wanted, circumstances) {
            Ok((next, mut edits)) => {
                work = next;
                folded.append(&mut edits);
            }
            Err(why) => plan.unfixable.push(Unfixable { reason: reason(wanted), why }),
        }
    }
    plan.effects = effects(&work, &folded, input);
    plan
}

fn reason(wanted: &Wanted<'_>) -> Reason {
    Reason { check: wanted.check, subject: wanted.finding.subject.clone() }
}

/// All edits of one finding, on a copy.
fn mend<'r, 's, 'e>(
    work: &Work<'r, 's>,
    input: &Input<'_>,
    wanted: &Wanted<'e>,
    circumstances: &Circumstances,
) -> Result<(Work<'r, 's>, Vec<Folded<'e>>), Said> {
    let (mut next, mut folded) = (work.clone(), Vec::new());
    for edit in &wanted.finding.fix {
        guard::permits(edit, input, circumstances)?;
        // What this edit asks for stands alone, so that it is told apart from what others asked for before.
        let (mut units, mut remote) = (std::mem::take(&mut next.units), std::mem::take(&mut next.remote));
        let rules = next.table.clone();
        make(&mut next, input, edit).map_err(|(path, obstacle)| obstacle.said(&path))?;
        folded.push(Folded {
            edit,
            reason: reason(wanted),
            paths: next.draft.take_touched(),
            units: next.units.clone(),
            table: next.table != rules,
            remote: next.remote.clone(),
        });
        units.extend(
            std::mem::take(&mut next.units).into_iter().filter(|action| !units.contains(action)).collect::<Vec<_>>(),
        );
        remote.extend(
            std::mem::take(&mut next.remote).into_iter().filter(|call| !remote.contains(call)).collect::<Vec<_>>(),
        );
        (next.units, next.remote) = (units, remote);
    }
    Ok((next, folded))
}

/// One edit.
fn make(work: &mut Work<'_, '_>, input: &Input<'_>, edit: &Edit) -> Result<(), Refused> {
    match edit {
        Edit::SshdSet { config, keyword, value } => sshd::set(work, input, config, keyword, value),
        Edit::SshdLine { file, line, keyword, value } => sshd::line(work, input, file, *line, keyword, value),
        Edit::SshdReload { unit } => {
            work.ask(unit, Verb::Reload);
            Ok(())
        }
        Edit::LockPassword { user } => accounts::lock(work, input, user),
        Edit::ForgetPassword { user } => accounts::forget(work, input, user),
        Edit::SetShell { user, shell } => accounts::shell(work, input, user, shell),
        Edit::SetAgeing { user, min, max, warn } => accounts::ageing(work, input, user, [*min, *max, *warn]),
        Edit::SetKey { file, key, value } => settings::set(work, file, key, value),
        Edit::SetKernel { key, value } => kernel::set(work, input, key, *value),
        Edit::WriteFile { file, content, mode } => files::write(work, file, content, *mode),
        Edit::RemoveLine { file, line, key } => files::remove_line(work, input, file, *line, key),
        Edit::Chmod { file, mode } => files::chmod(work, input, file, *mode),
        Edit::Chown { file, uid, gid } => files::chown(work, input, file, *uid, *gid),
        Edit::RemoveFile { file } => files::remove(work, file),
        Edit::Erase { path, leave_empty } => files::erase(work, input, path, *leave_empty),
        Edit::StopUnit { unit } => {
            work.ask(unit, Verb::StopAndDisable);
            Ok(())
        }
        Edit::LimitPort { .. } | Edit::LimitMetadata { .. } => table::limit(work, input, edit),
        Edit::RequireMetadataTokens { instance, region } => {
            work.remote.push(RemoteCall {
                instance: instance.clone(),
                region: region.clone(),
                tokens_before: "optional",
                tokens_after: "required",
            });
            Ok(())
        }
    }
}

/// The draft as effects, each with its reasons and guards.
fn effects(work: &Work<'_, '_>, folded: &[Folded<'_>], input: &Input<'_>) -> Vec<Planned> {
    let mut effects = Vec::new();
    let mut add = |effect: Effect, touches: &dyn Fn(&Folded<'_>) -> bool| {
        let (mut reasons, mut guards): (Vec<Reason>, Vec<&'static Guard>) = (Vec::new(), Vec::new());
        for one in folded.iter().filter(|one| touches(one)) {
            if !reasons.contains(&one.reason) {
                reasons.push(one.reason.clone());
            }
            for guard in guard::of(one.edit) {
                if matches!(guard.rule, Rule::Host(_)) && !guards.iter().any(|known| std::ptr::eq(*known, guard)) {
                    guards.push(guard);
                }
            }
        }
        effects.push(Planned { effect, reasons, guards });
    };
    let changes = work.draft.changes();
    for change in &changes {
        add(Effect::File(change.clone()), &|one| one.paths.contains(&change.path));
    }
    if let Some(table) = table::effect(&work.table, input) {
        add(Effect::Table(table), &|one| one.table);
    }
    let changed = |path: &PathBuf| changes.iter().any(|change| change.path == *path);
    let mut units = work.units.clone();
    let due = work.after.iter().filter(|(path, _)| changed(path)).map(|(_, action)| action);
    for action in due {
        if !units.contains(action) {
            units.push(action.clone());
        }
    }
    for action in &units {
        let files: Vec<&PathBuf> = work.after.iter().filter(|(_, its)| its == action).map(|(path, _)| path).collect();
        add(Effect::Unit(action.clone()), &|one| {
            one.units.contains(action) || one.paths.iter().any(|path| files.contains(&path))
        });
    }
    for setting in &work.kernel {
        let its = |one: &Folded<'_>| matches!(one.edit, Edit::SetKernel { key, .. } if *key == setting.key);
        add(Effect::Kernel(setting.clone()), &its);
    }
    for call in &work.remote {
        add(Effect::Remote(call.clone()), &|one| one.remote.contains(call));
    }
    for change in work.draft.erasures() {
        add(Effect::Erase(change.clone()), &|one| one.paths.contains(&change.path));
    }
    effects
}
