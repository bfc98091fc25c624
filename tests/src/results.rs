//! What a run has measured, one line each, for the table at the end of `tests/run`.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;

/// Says that `test` ran on `subject` (a suite, a parser …), with the figures that it reached.
pub fn tested(test: &str, subject: &str, figures: impl Display) {
    record(test, subject, "tested", &figures.to_string());
}

/// Says loudly that `test` did not run on `subject`, and why.
pub fn skipped(test: &str, subject: &str, why: impl Display) {
    record(test, subject, "skipped", &why.to_string());
}

fn record(test: &str, subject: &str, status: &str, detail: &str) {
    let line = format!("{test}\t{subject}\t{status}\t{detail}\n");
    // Past the test runner's capture, so that it is seen in a run that passes, too.
    let _ = std::io::stderr().write_all(format!("{status}: {test} {subject}: {detail}\n").as_bytes());
    let Some(path) = std::env::var_os("HOSTWARD_RESULTS") else {
        return;
    };
    // One write in append mode: lines of tests that run at the same time do not mix.
    if let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path) {
        let _ = file.write_all(line.as_bytes());
    }
}
