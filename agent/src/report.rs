//! The report: versioned, complete, made once and rendered by its formats.

use std::collections::BTreeMap;

use hostward_checks::check::{Lang, Param, Severity, render};
use hostward_checks::edit::Edit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::{Judged, JudgedFinding, State, Waived};
use crate::sanitize::escape;

pub mod edits;
pub mod summary;
pub mod text;

/// The version of the report's shape. Fields may be added under one version; none changes its meaning or goes away.
pub const SCHEMA: &str = "hostward.report/1";

/// A whole scan.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// `hostward.report/1`
    pub schema: String,
    /// Who made it.
    pub tool: Tool,
    /// What was looked at.
    pub host: HostBlock,
    /// SHA-256 of the policy in force, in hex.
    pub policy_digest: String,
    /// The profile: basic, enhanced or image.
    pub profile: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// What came of it.
    pub summary: Summary,
    /// One entry a check that ran.
    pub checks: Vec<CheckBlock>,
}

/// Who made the report.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `hostward`
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What was looked at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HostBlock {
    /// `live` or `offline`.
    pub mode: String,
    /// The root directory.
    pub root: String,
    /// The host's name, where it is live.
    pub hostname: Option<String>,
    /// The distribution.
    pub os: Option<OsBlock>,
    /// The ECS instance, where the metadata service told.
    pub instance: Option<InstanceBlock>,
    /// Logical processors, where it is live.
    pub cpus: Option<u64>,
    /// Memory in bytes, where it is live.
    pub memory_bytes: Option<u64>,
    /// When it was booted, RFC 3339, where it is live.
    pub booted_at: Option<String>,
}

/// The distribution.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OsBlock {
    /// `ID` of os-release.
    pub id: String,
    /// `VERSION_ID`.
    pub version: String,
    /// `PRETTY_NAME`.
    pub name: String,
}

/// The ECS instance.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct InstanceBlock {
    /// `i-…`
    pub id: Option<String>,
    /// `cn-hangzhou`
    pub region: Option<String>,
    /// The image's id.
    pub image: Option<String>,
}

/// What came of a scan.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// `pass`, `fail` or `undecided`, at `fail_on`.
    pub verdict: String,
    /// The least severity that counts for the verdict.
    pub fail_on: String,
    /// Findings that count, by severity.
    pub counts: BTreeMap<String, u64>,
    /// Checks that could not be decided, wholly or in part.
    pub unknown: u64,
    /// Findings waived or accepted.
    pub waived: u64,
    /// Checks that passed.
    pub passed: u64,
    /// Checks whose question does not arise here.
    pub not_applicable: u64,
}

/// One check.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CheckBlock {
    /// `area.name`
    pub id: String,
    /// Its title, in English.
    pub title: String,
    /// Its severity after policy.
    pub severity: String,
    /// `pass`, `fail`, `waived`, `not_applicable` or `unknown`.
    pub verdict: String,
    /// Why it is unknown or not applicable; for a failed check, what could not be looked at.
    pub reason: Option<String>,
    /// What was found.
    pub findings: Vec<FindingBlock>,
}

/// One finding.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FindingBlock {
    /// After policy.
    pub severity: String,
    /// What it is about.
    pub subject: String,
    /// Which of the check's messages.
    pub message_id: String,
    /// Its parameters: strings, numbers or lists of strings.
    pub params: BTreeMap<String, serde_json::Value>,
    /// The message, in English.
    pub message: String,
    /// What it rests on.
    pub evidence: Vec<EvidenceBlock>,
    /// Stable over runs.
    pub fingerprint: String,
    /// A command that shows the same thing.
    pub reproduce: Option<String>,
    /// What `hostward fix` would do; empty: it can only explain.
    pub fix: Vec<EditBlock>,
    /// Why it does not count.
    pub waived: Option<WaivedBlock>,
}

/// A line that a finding rests on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceBlock {
    /// The file, or what else it is.
    pub file: String,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The text, secrets masked.
    pub text: String,
}

/// A proposed change.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EditBlock {
    /// What kind of change, e.g. `sshd-set`.
    pub action: String,
    /// What is changed: a file, an account, a unit.
    pub target: String,
    /// In words, in English.
    pub text: String,
}

/// Why a finding does not count.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WaivedBlock {
    /// `waiver` or `baseline`.
    pub by: String,
    /// The waiver's reason.
    pub reason: Option<String>,
    /// When it ends, RFC 3339.
    pub expires: Option<String>,
}

/// What a report is made of beside the judged checks.
#[derive(Debug)]
pub struct Frame {
    /// What was looked at.
    pub host: HostBlock,
    /// SHA-256 of the policy in force, in hex.
    pub policy_digest: String,
    /// The profile's word.
    pub profile: &'static str,
    /// When the scan began.
    pub started: jiff::Timestamp,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// The least severity that counts.
    pub fail_on: Severity,
}

impl Report {
    /// Makes the report of a scan.
    pub fn new(frame: Frame, judged: &[Judged]) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            tool: Tool { name: "hostward".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            host: frame.host,
            policy_digest: frame.policy_digest,
            profile: frame.profile.to_owned(),
            started_at: frame.started.round(jiff::Unit::Second).unwrap_or(frame.started).to_string(),
            duration_ms: frame.duration_ms,
            summary: summarise(judged, frame.fail_on),
            checks: judged.iter().map(check_block).collect(),
        }
    }
}

fn summarise(judged: &[Judged], fail_on: Severity) -> Summary {
    let mut counts: BTreeMap<String, u64> = Severity::ALL.iter().map(|s| (s.word().to_owned(), 0)).collect();
    let (mut waived, mut failed, mut undecided) = (0, false, false);
    for one in judged {
        for finding in &one.findings {
            if finding.waived.is_some() {
                waived += 1;
                continue;
            }
            *counts.entry(finding.severity.word().to_owned()).or_default() += 1;
            failed |= finding.severity >= fail_on;
        }
        undecided |= !one.doubts.is_empty() && one.severity >= fail_on;
    }
    let count = |wanted: fn(State) -> bool| judged.iter().filter(|one| wanted(one.state)).count() as u64;
    let verdict = match (failed, undecided) {
        (true, _) => "fail",
        (false, true) => "undecided",
        (false, false) => "pass",
    };
    Summary {
        verdict: verdict.to_owned(),
        fail_on: fail_on.word().to_owned(),
        counts,
        unknown: judged.iter().filter(|one| !one.doubts.is_empty()).count() as u64,
        waived,
        passed: count(|state| state == State::Pass),
        not_applicable: count(|state| matches!(state, State::NotApplicable(_))),
    }
}

fn check_block(one: &Judged) -> CheckBlock {
    CheckBlock {
        id: one.check.id.to_owned(),
        title: one.check.title.en.to_owned(),
        severity: one.severity.word().to_owned(),
        verdict: one.state.word().to_owned(),
        reason: reason(one, Lang::En),
        findings: one.findings.iter().map(|finding| finding_block(one, finding)).collect(),
    }
}

/// Why a check is unknown, not applicable, or incomplete.
pub fn reason(one: &Judged, lang: Lang) -> Option<String> {
    if let State::NotApplicable(text) = one.state {
        return Some(text.get(lang).to_owned());
    }
    let doubts: Vec<String> = one
        .doubts
        .iter()
        .map(|doubt| format!("{}: {}", escape(&doubt.subject), escape(&doubt.why.to_string())))
        .collect();
    (!doubts.is_empty()).then(|| doubts.join("; "))
}

/// The words of a finding.
pub fn message(one: &Judged, finding: &JudgedFinding, lang: Lang) -> String {
    let template = one.check.message(finding.finding.message).map_or(finding.finding.message, |m| m.text.get(lang));
    render(template, &finding.finding.params, escape)
}

fn finding_block(one: &Judged, judged: &JudgedFinding) -> FindingBlock {
    let finding = &judged.finding;
    let params = finding.params.iter().map(|(name, value)| {
        let value = match value {
            Param::Text(text) => escape(text).into(),
            Param::Number(number) => (*number).into(),
            Param::List(list) => list.iter().map(|item| escape(item)).collect(),
        };
        ((*name).to_owned(), value)
    });
    let evidence = finding.evidence.iter().map(|seen| EvidenceBlock {
        file: escape(&seen.file),
        line: seen.line,
        text: escape(&seen.text),
    });
    FindingBlock {
        severity: judged.severity.word().to_owned(),
        subject: escape(&finding.subject),
        message_id: finding.message.to_owned(),
        params: params.collect(),
        message: message(one, judged, Lang::En),
        evidence: evidence.collect(),
        fingerprint: judged.fingerprint.clone(),
        reproduce: finding.reproduce.as_deref().map(escape),
        fix: finding.fix.iter().map(|edit: &Edit| edits::block(edit)).collect(),
        waived: judged.waived.as_ref().map(|waived| match waived {
            Waived::Baseline => WaivedBlock { by: "baseline".to_owned(), reason: None, expires: None },
            Waived::Waiver { reason, expires } => WaivedBlock {
                by: "waiver".to_owned(),
                reason: Some(escape(reason)),
                expires: expires.and_then(|at| jiff::Timestamp::from_second(at).ok()).map(|at| at.to_string()),
            },
        }),
    }
}
