//! Findings mended on a drawn host, as tests of checks and planners want it.

use super::{Obstacles, Plan, Wanted, fold, lay};
use crate::check::{Check, Finding, Input};
use crate::guard::Circumstances;
use crate::snapshot::Snapshot;

/// What would be done about these findings.
pub(crate) fn planned(snapshot: &Snapshot, input: &Input<'_>, check: &'static Check, findings: &[Finding]) -> Plan {
    planned_in(&Circumstances::default(), snapshot, input, check, findings)
}

/// The same where the agent tells something.
pub(crate) fn planned_in(
    circumstances: &Circumstances,
    snapshot: &Snapshot,
    input: &Input<'_>,
    check: &'static Check,
    findings: &[Finding],
) -> Plan {
    let wanted: Vec<Wanted<'_>> = findings.iter().map(|finding| Wanted { check: check.id, finding }).collect();
    let (plan, need) = fold(snapshot, input, &wanted, &Obstacles::new(), circumstances);
    assert!(need.is_empty(), "{need:?}");
    plan
}

/// The host after its findings are mended, all of them.
pub(crate) fn mended(snapshot: &Snapshot, input: &Input<'_>, check: &'static Check, findings: &[Finding]) -> Snapshot {
    let plan = planned(snapshot, input, check, findings);
    assert_eq!(plan.unfixable, [], "{}", check.id);
    assert!(!plan.is_empty(), "{}: nothing is planned", check.id);
    let mut after = snapshot.clone();
    lay(&mut after, &plan);
    after
}

/// Why findings stay, by the ids of the words.
pub(crate) fn refusals(plan: &Plan) -> Vec<&'static str> {
    plan.unfixable.iter().map(|unfixable| unfixable.why.message.id).collect()
}
