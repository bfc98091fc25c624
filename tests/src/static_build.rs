//! Benches measure the code that is shipped, which is static: musl's memory functions and start-up are part of its cost.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// Says that the build at hand is to be measured instead, whatever C library it has.
const AS_BUILT: &str = "--as-built";

/// Runs the bench `name` as it is in the static build, with the same arguments. None: this is that build, or the build at
/// hand was asked for with `--as-built`.
///
/// # Errors
/// cargo cannot be run.
pub fn bench(name: &str) -> Result<Option<ExitCode>> {
    if cfg!(target_env = "musl") || std::env::args().any(|argument| argument == AS_BUILT) {
        return Ok(None);
    }
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = std::env::args_os().skip(1).filter(|argument| argument != "--bench");
    let status = Command::new(cargo)
        .args(["bench", "--package", "hostward-tests", "--bench", name, "--target", &target, "--"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .context("failed to run cargo for the static build")?;
    Ok(Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}
