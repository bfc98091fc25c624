//! `json-summary`: what a fleet run collects, at most 8 KB whatever was found.

use serde::Serialize;

use super::Report;

/// The most bytes of a summary.
pub const LIMIT: usize = 8 << 10;

#[derive(Serialize)]
struct Short<'a> {
    schema: &'static str,
    tool_version: &'a str,
    hostname: Option<&'a str>,
    instance: Option<&'a super::InstanceBlock>,
    policy_digest: &'a str,
    profile: &'a str,
    started_at: &'a str,
    summary: &'a super::Summary,
    /// Check ids with the number of findings that count, worst first.
    failed: Vec<(&'a str, &'a str, usize)>,
    unknown: Vec<&'a str>,
    /// Entries of `failed` and `unknown` that did not fit.
    left_out: usize,
}

/// Renders the summary in one line.
pub fn render(report: &Report) -> serde_json::Result<String> {
    let mut failed: Vec<(&str, &str, usize)> = Vec::new();
    for check in &report.checks {
        let counting = check.findings.iter().filter(|finding| finding.waived.is_none());
        let worst =
            counting.clone().max_by_key(|finding| hostward_checks::check::Severity::from_word(&finding.severity));
        if let Some(worst) = worst {
            failed.push((&check.id, &worst.severity, counting.count()));
        }
    }
    failed.sort_by_key(|(_, severity, _)| std::cmp::Reverse(hostward_checks::check::Severity::from_word(severity)));
    let unknown =
        report.checks.iter().filter(|check| check.verdict == "unknown").map(|check| check.id.as_str()).collect();
    let mut short = Short {
        schema: "hostward.summary/1",
        tool_version: &report.tool.version,
        hostname: report.host.hostname.as_deref(),
        instance: report.host.instance.as_ref(),
        policy_digest: &report.policy_digest,
        profile: &report.profile,
        started_at: &report.started_at,
        summary: &report.summary,
        failed,
        unknown,
        left_out: 0,
    };
    loop {
        let line = serde_json::to_string(&short)?;
        if line.len() < LIMIT || (short.unknown.pop().is_none() && short.failed.pop().is_none()) {
            return Ok(line);
        }
        short.left_out += 1;
    }
}
