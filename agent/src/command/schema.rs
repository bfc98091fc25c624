//! `hostward schema`: the JSON Schema of the report.

use super::print;
use crate::exit_code::ExitCode;
use crate::report::Report;

/// The JSON Schema of the report, as text with a final line feed.
pub fn text() -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(&schemars::schema_for!(Report))?))
}

/// Prints the schema.
pub fn run() -> anyhow::Result<ExitCode> {
    print(&text()?)?;
    Ok(ExitCode::Clean)
}
