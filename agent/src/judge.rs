//! From what the checks found to what counts: severities, waivers and the baseline of the policy applied.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hostward_checks::check::{Check, Doubt, Finding, Input, Severity, Text, Verdict};
use hostward_checks::fact::Why;
use sha2::{Digest, Sha256};

/// One check judged.
#[derive(Debug)]
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
#[derive(Debug)]
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

/// Applies the policy to what a check found.
pub fn judge(check: &'static Check, verdict: Verdict, policy: &hostward_checks::policy::Policy) -> Judged {
    let forced = policy.severity.get(check.id).copied();
    let severity = forced.unwrap_or(check.severity);
    let (state, findings, doubts) = match verdict {
        Verdict::Pass => (State::Pass, Vec::new(), Vec::new()),
        Verdict::Fail(findings, doubts) => (State::Fail, findings, doubts),
        Verdict::NotApplicable(why) => (State::NotApplicable(why), Vec::new(), Vec::new()),
        Verdict::Unknown(doubts) => (State::Unknown, Vec::new(), doubts),
    };
    let findings = findings
        .into_iter()
        .map(|finding| JudgedFinding {
            severity: forced.unwrap_or(finding.severity),
            fingerprint: fingerprint(check.id, &finding.subject),
            waived: None,
            finding,
        })
        .collect();
    Judged { check, state, findings, doubts, severity }
}
