//! What `fix` would do: the findings folded into a plan, the host simulated as it would be, the guards asked.
//!
//! A plan may bring new findings to light (cloud-init would open again what sshd closes): those are planned on the simulated
//! host, and the rounds joined, until nothing new can be mended.

use std::collections::BTreeSet;

use hostward_checks::access::Access;
use hostward_checks::check::{Check, Finding, Input, Severity};
use hostward_checks::effect::{self, Effect, FileChange};
use hostward_checks::fact::Fact;
use hostward_checks::guard::{self, Case, Circumstances, LATER, Outcome, Ruling};
use hostward_checks::host::Host;
use hostward_checks::host::sshd::Found;
use hostward_checks::observation::{Mode, Observations};
use hostward_checks::parse::passwd::Name;
use hostward_checks::plan::{self, Obstacles, Plan, Planned, Reason, Said, Unfixable, Wanted};
use hostward_checks::policy::Policy;
use hostward_checks::snapshot::{Reader, Snapshot};

use crate::judge::{self, Judged};
use crate::record::{Recorded, record_over};
use crate::root::{Budget, Root};
use crate::survey::Survey;

pub mod diff;
pub mod render;

/// More rounds than any fix needs; each mends what the one before brought to light.
const ROUNDS: usize = 4;
/// More readings than any chain of includes and links takes.
const READINGS: usize = 200;

/// A host, as it is or as it would be.
#[derive(Debug)]
pub struct View {
    /// Every answer the facts rest on.
    pub snapshot: Snapshot,
    /// Facts from files.
    pub host: Host,
    /// Facts that are not files.
    pub seen: Observations,
    /// Who gets in.
    pub access: Access,
}

/// What would be done, and what the guards say of it.
#[derive(Debug)]
pub struct Proposal {
    /// The plan.
    pub plan: Plan,
    /// The host as it would be.
    pub after: View,
    /// What the guards of the whole plan say.
    pub outcomes: Vec<Outcome>,
    /// Findings that stand after it although their fix is in the plan.
    pub remaining: Vec<Reason>,
}

impl Proposal {
    /// Whether it could cut anybody: a unit or the network is touched, a way in shrinks, or the next login meets another sshd. Such a fix has to be confirmed.
    pub fn could_cut(&self) -> bool {
        let quiet = |effect: &Effect| matches!(effect, Effect::File(_) | Effect::Kernel(_));
        let quiet = self.plan.effects.iter().all(|planned| quiet(&planned.effect));
        !quiet || self.outcomes.iter().any(guard::shrinks_a_way) || self.next_login_reads()
    }

    /// Whether an sshd that systemd starts with a connection reads what changes: nothing is reloaded, and the next login shows it.
    fn next_login_reads(&self) -> bool {
        let instances = self.after.host.sshd.instances.iter();
        let mut waiting =
            instances.filter(|one| matches!(one.found, Found::Unit { enabled: true }) && one.socket.is_some());
        waiting.any(|one| self.plan.files().any(|change| one.configuration.reads(&change.path)))
    }

    /// The accounts that keep a way in, as the guards saw it.
    pub fn keepers(&self) -> Vec<String> {
        self.outcomes.iter().filter_map(guard::keeper).collect()
    }

    /// Whether a guard refuses it.
    pub fn refused(&self) -> bool {
        self.outcomes.iter().any(|outcome| matches!(outcome.ruling, Ruling::Refuses(_)))
    }
}

/// Everything a proposal is made from.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The host as it was seen, with the root that answers more.
    pub survey: &'a Survey,
    /// Who gets in today.
    pub access: &'a Access,
    /// What the checks said.
    pub judged: &'a [Judged],
    /// What is right.
    pub policy: &'a Policy,
    /// What only the running system tells.
    pub circumstances: &'a Circumstances,
    /// Paths that cannot be written, and why.
    pub obstacles: fn(&Root, &[&FileChange]) -> Obstacles,
}

/// Plans, simulates, asks the guards.
pub fn propose(asked: &Asked<'_>) -> Proposal {
    let survey = asked.survey;
    let mut obstacles = Obstacles::new();
    loop {
        let proposal = attempt(asked, &obstacles);
        let changes: Vec<&FileChange> = proposal.plan.files().collect();
        let found = (asked.obstacles)(&survey.root, &changes);
        let known = obstacles.len();
        obstacles.extend(found);
        // What cannot be written drops out of the plan, with its whole finding; what is left is planned anew.
        if obstacles.len() == known {
            return judge_whole(asked, survey, proposal);
        }
    }
}

fn attempt(asked: &Asked<'_>, obstacles: &Obstacles) -> Proposal {
    let survey = asked.survey;
    let mut now = View {
        snapshot: survey.snapshot.clone(),
        host: survey.host.clone(),
        seen: survey.seen.clone(),
        access: asked.access.clone(),
    };
    let mut findings = found(asked.judged);
    // A finding that stands and would be mended otherwise than before is tried again.
    let key = |check: &Check, finding: &Finding| (check.id, finding.subject.clone(), format!("{:?}", finding.fix));
    let mut tried = BTreeSet::new();
    let mut whole = Plan::default();
    for round in 0..ROUNDS {
        let fresh: Vec<&(&Check, Finding)> =
            findings.iter().filter(|(check, finding)| !tried.contains(&key(check, finding))).collect();
        let (mendable, other): (Vec<_>, Vec<_>) = fresh.into_iter().partition(|(_, finding)| !finding.fix.is_empty());
        if round == 0 {
            // What is only worth knowing is nothing to be mended.
            let wrong = other.iter().filter(|(_, finding)| finding.severity > Severity::Info);
            whole.unfixable.extend(wrong.map(|(check, finding)| explained(check, finding)));
        }
        if mendable.is_empty() {
            break;
        }
        tried.extend(mendable.iter().map(|(check, finding)| key(check, finding)));
        let wanted: Vec<Wanted<'_>> =
            mendable.iter().map(|(check, finding)| Wanted { check: check.id, finding }).collect();
        let part = fold(&survey.root, &mut now, asked.policy, &wanted, obstacles, asked.circumstances);
        let next = simulate(&survey.root, &now, &part);
        join(&mut whole, part);
        now = next;
        findings = again(asked, &now, &whole);
    }
    let remaining = remaining(&whole, &findings);
    Proposal { plan: whole, after: now, outcomes: Vec::new(), remaining }
}

fn judge_whole(asked: &Asked<'_>, survey: &Survey, mut proposal: Proposal) -> Proposal {
    let after = &proposal.after;
    let mut later = after.seen.clone();
    later.now += LATER;
    let far = Access::resolve(&after.host, &later);
    let policy = asked.policy;
    let boot = (survey.seen.mode == Mode::Offline).then(|| first_boot(survey, after));
    let user = guard::first_user(&after.host);
    let booted = boot.as_ref().map(|boot| Input { host: &boot.host, seen: &boot.seen, access: &boot.access, policy });
    let case = Case {
        before: &Input { host: &survey.host, seen: &survey.seen, access: asked.access, policy },
        after: &Input { host: &after.host, seen: &after.seen, access: &after.access, policy },
        later: &Input { host: &after.host, seen: &later, access: &far, policy },
        plan: &proposal.plan,
        circumstances: asked.circumstances,
        first_boot: booted.as_ref().map(|input| guard::FirstBoot { user: &user, input }),
    };
    let checks: Vec<&str> = asked.judged.iter().map(|one| one.check.id).collect();
    proposal.outcomes = guard::evaluate(&case, &checks);
    proposal
}

/// The image at its first boot, with the key that it gets then.
fn first_boot(survey: &Survey, after: &View) -> View {
    let (mut snapshot, mut budget) = (after.snapshot.clone(), Budget::default());
    let mut additions = Vec::new();
    for _ in 0..READINGS {
        let reader = Reader::new(&snapshot);
        additions = guard::additions(&after.host, &reader);
        let need = reader.need();
        if need.is_empty() {
            break;
        }
        survey.root.answer(&need, &mut snapshot, &mut budget);
    }
    let lay = |snapshot: &mut Snapshot| additions.iter().for_each(|change| plan::draft::lay(snapshot, change));
    let Recorded { snapshot, host } = record_over(&survey.root, &after.seen, snapshot, lay);
    let access = Access::resolve(&host, &after.seen);
    View { snapshot, host, seen: after.seen.clone(), access }
}

/// The findings that count, with their checks.
fn found(judged: &[Judged]) -> Vec<(&'static Check, Finding)> {
    let counted = judged.iter().flat_map(|one| one.findings.iter().map(move |finding| (one.check, finding)));
    counted.filter(|(_, finding)| finding.waived.is_none()).map(|(check, one)| (check, one.finding.clone())).collect()
}

/// A finding that no edit mends: its check says how to do it by hand.
fn explained(check: &'static Check, finding: &Finding) -> Unfixable {
    Unfixable { reason: Reason { check: check.id, subject: finding.subject.clone() }, why: Said::new(&render::BY_HAND) }
}

/// Folds, recording what the planners need in between.
fn fold(
    root: &Root,
    now: &mut View,
    policy: &Policy,
    wanted: &[Wanted<'_>],
    obstacles: &Obstacles,
    circumstances: &Circumstances,
) -> Plan {
    let mut budget = Budget::default();
    let mut readings = 0;
    loop {
        let input = Input { host: &now.host, seen: &now.seen, access: &now.access, policy };
        let (plan, need) = plan::fold(&now.snapshot, &input, wanted, obstacles, circumstances);
        readings += 1;
        if need.is_empty() || readings == READINGS {
            return plan;
        }
        root.answer(&need, &mut now.snapshot, &mut budget);
    }
}

/// The host with the plan's file changes laid over it.
fn simulate(root: &Root, now: &View, plan: &Plan) -> View {
    let mut seen = now.seen.clone();
    lay_observed(&mut seen, plan);
    let Recorded { snapshot, host } =
        record_over(root, &seen, now.snapshot.clone(), |snapshot| plan::lay(snapshot, plan));
    forget(&mut seen, &now.host, &host);
    lay_observed(&mut seen, plan);
    let access = Access::resolve(&host, &seen);
    View { snapshot, host, seen, access }
}

/// What would be seen of the running system.
fn lay_observed(seen: &mut Observations, plan: &Plan) {
    plan::table::lay_observed(seen, plan);
    plan::kernel::lay_observed(seen, plan);
}

/// What was observed of passwords that the plan changes, and what a running sshd said, no longer holds.
fn forget(seen: &mut Observations, before: &Host, after: &Host) {
    seen.cross_checks.clear();
    let field = |host: &Host, name: &Name| {
        host.accounts
            .by_name(name.bytes())
            .and_then(|user| user.password().known().map(|password| password.field.clone()))
    };
    if let Fact::Known(audit) = &mut seen.passwords {
        audit.accounts.retain(|account| field(before, &account.user) == field(after, &account.user));
    }
}

/// What the checks concerned say of the simulated host. cloud-init is asked whenever sshd's settings change: it may undo them.
fn again(asked: &Asked<'_>, now: &View, plan: &Plan) -> Vec<(&'static Check, Finding)> {
    let input = Input { host: &now.host, seen: &now.seen, access: &now.access, policy: asked.policy };
    let sshd = plan.effects.iter().flat_map(|planned| &planned.reasons).any(|reason| reason.check.starts_with("sshd."));
    let companion = &hostward_checks::catalogue::sshd::cloud_init::CHECK;
    let chosen = asked.judged.iter().map(|one| one.check);
    let mut checks: Vec<&'static Check> = chosen.collect();
    if sshd && !checks.iter().any(|check| check.id == companion.id) {
        checks.push(companion);
    }
    let rules = judge::Rules { policy: asked.policy, now: now.seen.now, baseline: None };
    let judged: Vec<Judged> =
        checks.into_iter().map(|check| judge::judge(check, judge::verdict(check, &input), &rules)).collect();
    found(&judged)
}

/// Joins a later round to the plan: a file that both change goes from what it was to what it becomes.
fn join(whole: &mut Plan, part: Plan) {
    whole.unfixable.extend(part.unfixable);
    for planned in part.effects {
        let same = whole.effects.iter_mut().find(|known| match (&known.effect, &planned.effect) {
            (Effect::File(known) | Effect::Erase(known), Effect::File(new) | Effect::Erase(new)) => {
                known.path == new.path
            }
            (Effect::Table(_), Effect::Table(_)) => true,
            (Effect::Kernel(known), Effect::Kernel(new)) => known.key == new.key,
            (known, new) => known == new,
        });
        match same {
            Some(known) => merge(known, planned),
            None => whole.effects.push(planned),
        }
    }
    let idle = |effect: &Effect| matches!(effect, Effect::File(change) | Effect::Erase(change) if change.before == change.after);
    whole.effects.retain(|planned| !idle(&planned.effect));
    whole.effects.sort_by_key(|planned| match &planned.effect {
        Effect::File(change) => (0, 0, Some(change.path.clone())),
        Effect::Table(_) => (1, 0, None),
        Effect::Unit(_) => (2, 0, None),
        Effect::Kernel(_) => (3, 0, None),
        Effect::Remote(_) => (4, 0, None),
        // What opens the host goes last of all, without host keys nobody enters: a build that fails before can still be looked at.
        Effect::Erase(change) if is_host_key(&change.path) => (8, 0, Some(change.path.clone())),
        Effect::Erase(change) if planned.reasons.iter().any(|reason| opens(reason.check)) => {
            (7, 0, Some(change.path.clone()))
        }
        // A directory after what is in it.
        Effect::Erase(change) if matches!(change.before, effect::State::Dir { .. }) => {
            (6, usize::MAX - change.path.components().count(), Some(change.path.clone()))
        }
        Effect::Erase(change) => (5, 0, Some(change.path.clone())),
    });
}

/// Whether what this check has taken away is what somebody logs in with.
fn opens(check: &str) -> bool {
    ["image.credentials", "sshd.host-keys"].contains(&check)
}

/// Whether this is half of a host key where sshd looks for them.
fn is_host_key(path: &std::path::Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"ssh_host_"))
}

fn merge(known: &mut Planned, later: Planned) {
    match (&mut known.effect, later.effect) {
        (Effect::File(first), Effect::File(new)) => *first = together(first, new),
        (Effect::File(first) | Effect::Erase(first), Effect::File(new) | Effect::Erase(new)) => {
            known.effect = Effect::Erase(together(first, new));
        }
        // What is put back is the table as it was before the first round.
        (Effect::Table(known), Effect::Table(new)) => known.after = new.after,
        (known, new) => *known = new,
    }
    for reason in later.reasons {
        if !known.reasons.contains(&reason) {
            known.reasons.push(reason);
        }
    }
    for guard in later.guards {
        if !known.guards.iter().any(|other| std::ptr::eq(*other, guard)) {
            known.guards.push(guard);
        }
    }
}

/// Two changes of one path, one after the other. A change that leaves the bytes alone does not know them.
fn together(first: &FileChange, second: FileChange) -> FileChange {
    use hostward_checks::effect::State::File;
    let mut out = FileChange { path: first.path.clone(), before: first.before.clone(), after: second.after };
    if let (File { content: Some(bytes), .. }, File { content: had @ None, .. }) = (&first.after, &mut out.after) {
        *had = Some(bytes.clone());
    }
    if let (File { content: Some(_), .. }, File { content: had @ None, .. }, Some(bytes)) =
        (&out.after, &mut out.before, second.before.content())
    {
        *had = Some(bytes.clone());
    }
    out
}

/// Findings whose fix is in the plan and that stand all the same. What only a unit or the ECS endpoint mends shows afterwards.
fn remaining(plan: &Plan, findings: &[(&'static Check, Finding)]) -> Vec<Reason> {
    let simulated = plan
        .effects
        .iter()
        .filter(|one| matches!(one.effect, Effect::File(_) | Effect::Erase(_) | Effect::Table(_) | Effect::Kernel(_)));
    let mut planned: Vec<&Reason> = simulated.flat_map(|planned| &planned.reasons).collect();
    planned.sort();
    planned.dedup();
    let stands = |reason: &Reason| {
        findings.iter().any(|(check, finding)| {
            // What is only told of (a listener that the firewall closes) is no longer wrong.
            check.id == reason.check && finding.subject == reason.subject && finding.severity > Severity::Info
        })
    };
    planned.into_iter().filter(|reason| stands(reason)).cloned().collect()
}
