//! Runs `hostward scan` as a user does and reads its report.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// A finished scan: its exit code and its JSON report.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The exit code: 0 to 2.
    pub code: i32,
    /// The report.
    pub report: Value,
    /// How long it took, in wall time.
    pub took: Duration,
}

/// `hostward scan --root DIRECTORY` with 20 s of processor time, two minutes in all and 1 GiB of addresses: a hang or a
/// flood is a failure, a busy machine is none.
///
/// # Errors
/// There is no binary.
pub fn offline(directory: &Path) -> Result<Command> {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "120", "prlimit", "--cpu=20", "--as=1073741824"]).arg(crate::binary()?);
    command.arg("scan").arg("--root").arg(directory);
    command.env_clear();
    Ok(command)
}

/// Runs a prepared `hostward scan` with `--format json` and checks what every report keeps to.
///
/// # Errors
/// It ends with a code that is not a verdict, or prints something else than a clean report.
pub fn json(mut command: Command) -> Result<Scan> {
    let from = Instant::now();
    let output = command.args(["--format", "json"]).output().context("failed to run hostward")?;
    let took = from.elapsed();
    let code = verdict_code(&output)?;
    assert_printable(&output)?;
    let report: Value = serde_json::from_slice(&output.stdout).with_context(|| {
        format!("not JSON: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    })?;
    let summary = report.get("summary").and_then(|summary| summary.get("verdict")).and_then(Value::as_str);
    ensure!(report.get("schema").is_some_and(|schema| schema == "hostward.report/1"), "the schema of {report}");
    let agree = matches!((summary, code), (Some("pass"), 0) | (Some("fail"), 1) | (Some("undecided"), 2));
    ensure!(agree, "exit code {code} with the verdict {summary:?}");
    Ok(Scan { code, report, took })
}

/// Runs a prepared `hostward scan` for people, in both languages, and checks what holds away from a terminal.
///
/// # Errors
/// It ends with a code that is not a verdict, prints a control character, or prints too much.
pub fn text(make: impl Fn() -> Result<Command>) -> Result<String> {
    let mut english = String::new();
    for language in ["zh", "en"] {
        let output = make()?.args(["--lang", language]).output().context("failed to run hostward")?;
        verdict_code(&output)?;
        assert_printable(&output)?;
        // Cloud Assistant keeps the end of at most 12,000 bytes.
        ensure!(output.stdout.len() < 12_000, "{} bytes of text", output.stdout.len());
        english = String::from_utf8(output.stdout).context("the text is not UTF-8")?;
    }
    Ok(english)
}

fn verdict_code(output: &Output) -> Result<i32> {
    match output.status.code() {
        Some(code @ 0..=2) => Ok(code),
        code => bail!("exit code {code:?} ({}): {}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}

/// No control character and no bidirectional override reaches a terminal; line feeds end lines only.
fn assert_printable(output: &Output) -> Result<()> {
    for stream in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(stream);
        let bad = text.chars().find(|c| {
            (c.is_control() && *c != '\n')
                || ('\u{202a}'..='\u{202e}').contains(c)
                || ('\u{2066}'..='\u{2069}').contains(c)
        });
        ensure!(bad.is_none(), "{bad:?} in the output: {}", text.escape_debug());
    }
    Ok(())
}

impl Scan {
    /// Every check that ran, as the report has it.
    pub fn checks(&self) -> impl Iterator<Item = &Value> {
        self.report.get("checks").and_then(Value::as_array).into_iter().flatten()
    }

    /// The checks that could not be decided: id and reason.
    #[must_use]
    pub fn unknown(&self) -> Vec<(String, String)> {
        let unknown = self.checks().filter(|check| word(check, "verdict") == "unknown");
        unknown.map(|check| (word(check, "id"), check.get("reason").map_or(String::new(), Value::to_string))).collect()
    }

    /// The verdict of one check, or nothing where it did not run.
    #[must_use]
    pub fn verdict(&self, id: &str) -> String {
        self.checks().find(|check| word(check, "id") == id).map_or(String::new(), |check| word(check, "verdict"))
    }

    /// What was found: check → its verdict and its findings' severities and subjects, files without their paths.
    #[must_use]
    pub fn verdicts(&self) -> BTreeMap<String, (String, Vec<String>)> {
        let verdict = |check: &Value| {
            let findings = check.get("findings").and_then(Value::as_array).into_iter().flatten();
            let subject = |finding: &Value| {
                let subject = word(finding, "subject");
                let kind = if subject.starts_with("file:") { "file" } else { subject.as_str() };
                format!("{} {kind}", word(finding, "severity"))
            };
            (word(check, "verdict"), findings.map(subject).collect())
        };
        self.checks().map(|check| (word(check, "id"), verdict(check))).collect()
    }

    /// The report without what differs from run to run.
    #[must_use]
    pub fn timeless(&self) -> Value {
        let mut report = self.report.clone();
        if let Some(fields) = report.as_object_mut() {
            fields.remove("started_at");
            fields.remove("duration_ms");
        }
        report
    }
}

/// A field that is a string.
fn word(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}
