//! What the tests show of each check: a host where all is well, one where something is not, one that cannot be read, and the
//! second one mended. Each area has a table of it, one row for each of its checks.
#![cfg(test)]

use crate::access::Access;
use crate::check::{Check, Finding, Input, Verdict};
use crate::effect::Effect;
use crate::guard::Circumstances;
use crate::host::Host;
use crate::observation::Observations;
use crate::plan::testing::planned_in;
use crate::plan::{self, Plan};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

/// A host drawn by hand, as each area draws its own.
pub(crate) trait Drawn {
    /// The files.
    fn snapshot(&self) -> Snapshot;

    /// What was observed.
    fn seen(&self) -> Observations;

    /// The policy.
    fn policy(&self) -> Policy;

    /// Who can log in.
    fn access(&self, host: &Host, seen: &Observations) -> Access {
        Access::resolve(host, seen)
    }

    /// What the agent tells before it mends.
    fn circumstances(&self) -> Circumstances {
        Circumstances::default()
    }

    /// Does something with what a check may look at, where these are the files and that was observed.
    fn look<T>(&self, snapshot: &Snapshot, seen: &Observations, act: impl FnOnce(&Input<'_>) -> T) -> T {
        let (host, need) = Host::read(snapshot, seen);
        assert!(need.is_empty(), "a drawing is complete: {need:?}");
        let access = self.access(&host, seen);
        act(&Input { host: &host, seen, access: &access, policy: &self.policy() })
    }

    /// What the check says.
    fn judged(&self, check: &Check) -> Verdict {
        self.look(&self.snapshot(), &self.seen(), |input| (check.check)(input))
    }

    /// The files once what is planned about these findings is laid on the drawing, as `hostward fix` lays it on the host that
    /// it simulates; the plan; and what the check says then.
    fn mended(&self, check: &'static Check, findings: &[Finding]) -> (Snapshot, Plan, Verdict) {
        let (mut snapshot, mut seen) = (self.snapshot(), self.seen());
        let plan =
            self.look(&snapshot, &seen, |input| planned_in(&self.circumstances(), &snapshot, input, check, findings));
        plan::lay(&mut snapshot, &plan);
        plan::table::lay_observed(&mut seen, &plan);
        plan::kernel::lay_observed(&mut seen, &plan);
        let verdict = self.look(&snapshot, &seen, |input| (check.check)(input));
        (snapshot, plan, verdict)
    }

    /// What the check would mend is mended by that; what it only explains, and what the plan refuses to do here, may stay.
    fn mends_its_own(&self, check: &'static Check, findings: &[Finding]) {
        let ours = |finding: &&Finding| !finding.fix.is_empty();
        if findings.iter().any(|finding| ours(&finding)) {
            let (_, plan, verdict) = self.mended(check, findings);
            let Verdict::Fail(left, _) = verdict else { return };
            let refused =
                |finding: &Finding| plan.unfixable.iter().any(|unfixable| unfixable.reason.subject == finding.subject);
            let left: Vec<&Finding> = left.iter().filter(ours).filter(|finding| !refused(finding)).collect();
            assert!(left.is_empty(), "{} after its own fix: {left:#?}\n{:#?}", check.id, plan.effects);
        }
    }
}

/// What the tests show of a check.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The check.
    pub(crate) check: &'static Check,
    /// Its verdict where all is well.
    pub(crate) pass: Verdict,
    /// Where something is wrong.
    pub(crate) fail: Verdict,
    /// Where something cannot be read; else why that cannot be.
    pub(crate) unknown: Result<Verdict, &'static str>,
    /// What becomes of `fail` by its own fix, where it has one.
    pub(crate) fixed: Option<Fixed>,
}

/// What a check's own fix does to the host that fails.
#[derive(Debug)]
pub(crate) struct Fixed {
    /// What is planned, in order.
    pub(crate) effects: Vec<String>,
    /// What the check says afterwards.
    pub(crate) verdict: Verdict,
    /// All that is planned, where a drawing does not become what the host would: only that can be shown here.
    pub(crate) only: Option<&'static [&'static str]>,
}

impl Shown {
    /// A check with the host that passes, the one that fails, and the one that cannot be read.
    pub(crate) fn of(check: &'static Check, pass: &impl Drawn, fail: &impl Drawn, unknown: &impl Drawn) -> Self {
        let failed = fail.judged(check);
        let fixed = |findings: &[Finding]| {
            let (_, plan, verdict) = fail.mended(check, findings);
            assert_eq!(plan.unfixable, [], "{}", check.id);
            Fixed { effects: plan.effects.iter().map(|planned| words(&planned.effect)).collect(), verdict, only: None }
        };
        Self {
            check,
            pass: pass.judged(check),
            fixed: match (&failed, check.fix) {
                (Verdict::Fail(findings, _), Some(_)) => Some(fixed(findings)),
                _ => None,
            },
            fail: failed,
            unknown: Ok(unknown.judged(check)),
        }
    }

    /// The same of a check whose fix is no change of a drawing: all that it plans. Who uses it says which test shows the rest.
    pub(crate) fn only_planned(mut self, effects: &'static [&'static str]) -> Self {
        if let Some(fixed) = &mut self.fixed {
            fixed.only = Some(effects);
        }
        self
    }

    /// The row is whole, and says what it must.
    pub(crate) fn holds(&self) {
        let id = self.check.id;
        assert_eq!(self.pass, Verdict::Pass, "{id}");
        assert!(matches!(&self.fail, Verdict::Fail(findings, _) if !findings.is_empty()), "{id}: {:?}", self.fail);
        match &self.unknown {
            Ok(Verdict::Unknown(doubts)) => assert!(!doubts.is_empty(), "{id}"),
            Ok(verdict) => panic!("{id}: not everything can be read, and it says {verdict:?}"),
            Err(why) => assert!(!why.is_empty(), "{id}"),
        }
        assert_eq!(self.fixed.is_some(), self.check.fix.is_some(), "{id}: a check that mends is shown to mend");
        match &self.fixed {
            Some(Fixed { only: Some(only), effects, .. }) => assert_eq!(effects, only, "{id}"),
            Some(Fixed { verdict, effects, .. }) => {
                assert!(!effects.is_empty(), "{id}: nothing is planned");
                assert_eq!(*verdict, Verdict::Pass, "{id} after its own fix: {effects:?}");
            }
            None => {}
        }
    }
}

/// An effect in words.
fn words(effect: &Effect) -> String {
    match effect {
        Effect::File(change) => format!("file {}", change.path.display()),
        Effect::Erase(change) => format!("erase {}", change.path.display()),
        Effect::Unit(action) => format!("{} {}", action.verb.word(), action.unit),
        Effect::Table(_) => "firewall table".to_owned(),
        Effect::Kernel(setting) => format!("kernel {}={}", setting.key, setting.after),
        Effect::Remote(call) => format!("remote HttpTokens={}", call.tokens_after),
    }
}
