//! From what the checks found to what counts: severities, waivers and the baseline of the policy applied.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hostward_checks::check::{Check, Doubt, Finding, Input, Scope, Severity, Text, Verdict};
use hostward_checks::fact::Why;
use hostward_checks::observation::{Mode, UnixSeconds};
use hostward_checks::policy::Policy;
use sha2::{Digest, Sha256};

use crate::baseline::Baseline;

/// One check judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The check.
    pub check: &'static Check,
    /// What came of it.
    pub state: State,
    /// Its findings, waived ones too.
    pub findings: Vec<JudgedFinding>,
    /// What could not be decided.
    pub doubts: Vec<Doubt>,
    /// The check's severity after policy.
    pub severity: Severity,
}

/// What came of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing wrong.
    Pass,
    /// At least one finding that counts.
    Fail,
    /// Findings, every one waived or accepted.
    Waived,
    /// The question does not arise.
    NotApplicable(Text),
    /// Nothing found, not everything seen.
    Unknown,
}

impl State {
    /// The word for it in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Waived => "waived",
            Self::NotApplicable(_) => "not_applicable",
            Self::Unknown => "unknown",
        }
    }
}

/// One finding judged.
#[derive(Clone, Debug)]
pub struct JudgedFinding {
    /// The finding.
    pub finding: Finding,
    /// Its severity after policy.
    pub severity: Severity,
    /// Stable over runs: check and subject.
    pub fingerprint: String,
    /// Why it does not count, where it does not.
    pub waived: Option<Waived>,
}

/// Why a finding does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waived {
    /// A waiver of the policy.
    Waiver {
        /// Its reason.
        reason: String,
        /// When it ends, seconds since the epoch.
        expires: Option<i64>,
    },
    /// It stood in the accepted baseline.
    Baseline,
}

/// Runs one check. A panic inside it is its own unknown and nobody else's.
pub fn run(check: &Check, input: &Input<'_>) -> Verdict {
    catch_unwind(AssertUnwindSafe(|| (check.check)(input))).unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let why = Why::Failed(format!("the check failed inside ({what}); please report it"));
        Verdict::Unknown(vec![Doubt { subject: format!("check:{}", check.id), why }])
    })
}

/// What a check says where it can look; a check outside its scope does not apply.
pub fn verdict(check: &Check, input: &Input<'_>) -> Verdict {
    match (check.scope, input.seen.mode) {
        (Scope::Live, Mode::Offline) => Verdict::NotApplicable(LIVE_ONLY),
        _ => run(check, input),
    }
}

/// The fingerprint of a finding: stable over runs, versions and languages.
pub fn fingerprint(check: &str, subject: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(check.as_bytes());
    hash.update([0]);
    hash.update(subject.as_bytes());
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Why a check that needs a running host does not apply to an offline root.
pub const LIVE_ONLY: Text = Text { en: "only a running host can tell", zh: "仅能在运行中的主机上判断" };

/// What findings are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// What is right.
    pub policy: &'a Policy,
    /// When the scan was made: waivers end.
    pub now: UnixSeconds,
    /// Findings accepted before, where only new ones count.
    pub baseline: Option<&'a Baseline>,
}

/// Applies severities, waivers and the baseline to what a check found.
pub fn judge(check: &'static Check, verdict: Verdict, rules: &Rules<'_>) -> Judged {
    let forced = rules.policy.severity.get(check.id).copied();
    let severity = forced.unwrap_or(check.severity);
    let (state, findings, doubts) = match verdict {
        Verdict::Pass => (State::Pass, Vec::new(), Vec::new()),
        Verdict::Fail(findings, doubts) => (State::Fail, findings, doubts),
        Verdict::NotApplicable(why) => (State::NotApplicable(why), Vec::new(), Vec::new()),
        Verdict::Unknown(doubts) => (State::Unknown, Vec::new(), doubts),
    };
    let findings: Vec<JudgedFinding> = findings
        .into_iter()
        .map(|finding| {
            let fingerprint = fingerprint(check.id, &finding.subject);
            let waiver = rules.policy.waiver(check.id, &finding.subject, rules.now);
            let waived = match waiver {
                Some(waiver) => Some(Waived::Waiver { reason: waiver.reason.clone(), expires: waiver.expires }),
                None => rules.baseline.filter(|baseline| baseline.accepts(&fingerprint)).map(|_| Waived::Baseline),
            };
            JudgedFinding { severity: forced.unwrap_or(finding.severity), fingerprint, waived, finding }
        })
        .collect();
    let state = match state {
        // What could not be looked at is covered by no waiver of what was found.
        State::Fail if findings.iter().all(|finding| finding.waived.is_some()) => {
            if doubts.is_empty() {
                State::Waived
            } else {
                State::Unknown
            }
        }
        state => state,
    };
    Judged { check, state, findings, doubts, severity }
}

#[cfg(test)]
mod tests {
    use hostward_checks::check::Profile;
    use hostward_checks::policy::Waiver;

    use super::*;
    use crate::baseline::Accepted;

    const CHECK: &Check = &hostward_checks::catalogue::metadata::hardened::CHECK;

    fn fail(subjects: &[&str], doubts: usize) -> Verdict {
        let findings = subjects.iter().map(|subject| Finding::new(Severity::High, *subject, "open")).collect();
        let doubt = Doubt { subject: "x".into(), why: Why::TimedOut };
        Verdict::Fail(findings, vec![doubt; doubts])
    }

    fn waiver(subject: Option<&str>, expires: i64) -> Waiver {
        Waiver {
            check: CHECK.id.into(),
            subject: subject.map(Into::into),
            reason: "agreed".into(),
            expires: Some(expires),
        }
    }

    #[test]
    fn severities_of_the_policy_count() {
        let mut policy = Policy::builtin(Profile::Enhanced);
        policy.severity.insert(CHECK.id.into(), Severity::Low);
        let judged = judge(CHECK, fail(&["a"], 0), &Rules { policy: &policy, now: 0, baseline: None });
        assert_eq!((judged.severity, judged.findings[0].severity), (Severity::Low, Severity::Low));
    }

    #[test]
    fn waivers_cover_what_they_name_while_they_hold() {
        let mut policy = Policy::builtin(Profile::Enhanced);
        policy.waivers = vec![waiver(Some("a"), 100)];
        for (subjects, doubts, now, want) in [
            (&["a"][..], 0, 99, State::Waived),
            (&["a"], 0, 100, State::Fail),
            (&["a", "b"], 0, 99, State::Fail),
            (&["a"], 1, 99, State::Unknown),
        ] {
            let judged = judge(CHECK, fail(subjects, doubts), &Rules { policy: &policy, now, baseline: None });
            assert_eq!(judged.state, want, "{subjects:?} {doubts} {now}");
            assert_eq!(judged.findings.len(), subjects.len(), "a waived finding is still told");
        }
        policy.waivers = vec![waiver(None, 100)];
        let all = judge(CHECK, fail(&["a", "b"], 0), &Rules { policy: &policy, now: 0, baseline: None });
        assert_eq!(all.state, State::Waived);
        assert_eq!(all.findings[0].waived, Some(Waived::Waiver { reason: "agreed".into(), expires: Some(100) }));
    }

    #[test]
    fn the_baseline_covers_what_stood_in_it() {
        let policy = Policy::builtin(Profile::Enhanced);
        let accepted = Accepted {
            fingerprint: fingerprint(CHECK.id, "a"),
            check: CHECK.id.into(),
            subject: "a".into(),
            severity: "high".into(),
        };
        let baseline = Baseline::new("now".into(), vec![accepted]);
        let rules = Rules { policy: &policy, now: 0, baseline: Some(&baseline) };
        assert_eq!(judge(CHECK, fail(&["a"], 0), &rules).state, State::Waived);
        let judged = judge(CHECK, fail(&["a", "b"], 0), &rules);
        assert_eq!(judged.state, State::Fail);
        let waived: Vec<bool> = judged.findings.iter().map(|finding| finding.waived.is_some()).collect();
        assert_eq!(waived, [true, false]);
    }
}
