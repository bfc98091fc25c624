//! `hostward validate [FILES]`: is the configuration right, without running anything.

use std::path::PathBuf;

use hostward_checks::check::Profile;

use super::print;
use crate::config::{self, Configuration, Problem, Sources};
use crate::exit_code::ExitCode;
use crate::sanitize::escape;

/// Check configuration and policy files without running anything
///
/// A file called hostward.toml is read as settings, every other as policy. Exit 0: right, 78: wrong.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The files [default: those in /etc/hostward]
    #[arg(value_name = "FILES")]
    files: Vec<PathBuf>,
}

/// Tells every mistake, one a line.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (files, problems) = if args.files.is_empty() { host() } else { named(&args.files) };
    let mut out = String::new();
    for problem in &problems {
        out.push_str(&escape(&problem.to_string()));
        out.push('\n');
    }
    if problems.is_empty() {
        out = match files.as_slice() {
            [] => format!("no file in {}: the built-in policy is in force\n", config::DIRECTORY),
            files => files.iter().map(|file| format!("{}: right\n", escape(&file.display().to_string()))).collect(),
        };
    }
    print(&out)?;
    Ok(if problems.is_empty() { ExitCode::Clean } else { ExitCode::Config })
}

fn host() -> (Vec<PathBuf>, Vec<Problem>) {
    match Configuration::read(&Sources::of_host(false), None, Profile::default()) {
        Ok(all) => (all.files, Vec::new()),
        Err(problems) => (Vec::new(), problems),
    }
}

fn named(files: &[PathBuf]) -> (Vec<PathBuf>, Vec<Problem>) {
    let problems = files.iter().filter_map(|file| config::validate(file).err()).flatten().collect();
    (files.to_vec(), problems)
}
