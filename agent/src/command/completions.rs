//! `hostward completions SHELL`: made from the command line's own definition.

use clap::CommandFactory;

use super::print;
use crate::cli::Cli;
use crate::exit_code::ExitCode;

/// Print the completions of a shell
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints them.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hostward", &mut out);
    print(&String::from_utf8_lossy(&out))?;
    Ok(ExitCode::Clean)
}
