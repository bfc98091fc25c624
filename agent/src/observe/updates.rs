//! Security updates that are pending, by the package manager's own files, which are big and are read as they stream by.

mod apt;
mod restart;
mod rpm;
mod stream;

use hostward_checks::fact::Fact;
use hostward_checks::observation::updates::{Restart, Updates};

use crate::root::Root;
use stream::Allowance;

/// What is pending, and for a running system whether what runs is older than what is installed. It costs seconds of processor time: who
/// only wants to know what changed does not ask.
pub fn look(root: &Root) -> (Fact<Updates>, Option<Fact<Restart>>) {
    let mut allowance = Allowance::default();
    let apt = apt::look(root, &mut allowance);
    let restart = root.is_live().then(|| restart::look(root, apt.as_ref().map(|(packages, _)| packages)));
    let updates = apt.map(|(_, updates)| updates).or_else(|| rpm::look(root, &mut allowance));
    (updates.map_or(Fact::Absent, Fact::Known), restart)
}
