//! `hostward baseline accept|show`: what stands today is accepted; `scan --new-only` tells what came since.

use std::path::Path;

use super::look::{Looking, look};
use super::print;
use crate::baseline::{Accepted, Baseline};
use crate::exit_code::{Ends, ExitCode};
use crate::judge::Judged;
use crate::sanitize::{brief, escape};

/// Accept today's findings, or show what was accepted
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Scan, and write what is found as accepted: `scan --new-only` then counts only what is new
    ///
    /// An earlier baseline is replaced. Findings that a waiver of the policy covers are left out: the waiver ends, a
    /// baseline does not.
    Accept(Box<Looking>),
    /// Print what was accepted, and when
    Show(Show),
}

#[derive(Clone, Debug, clap::Args)]
struct Show {
    /// This baseline instead of /var/lib/hostward/baseline.json
    #[arg(long, value_name = "FILE")]
    baseline: Option<std::path::PathBuf>,
}

/// Accepts or shows.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Accept(looking) => accept(looking),
        Action::Show(show) => {
            let file = show.baseline.clone().unwrap_or_else(Baseline::path);
            print(&page(&file, Baseline::read(&file)?.as_ref()))?;
            Ok(ExitCode::Clean)
        }
    }
}

fn accept(looking: &Looking) -> anyhow::Result<ExitCode> {
    let file = looking.baseline_file()?;
    if looking.baseline.is_none() {
        if !nix::unistd::geteuid().is_root() {
            let message =
                format!("{} is written by root only: run it as root, or name a file with --baseline", file.display());
            return Err(Ends::with(ExitCode::Usage, message));
        }
        crate::files::private_dir(&crate::survey::state_dir())?;
    }
    let all = looking.configuration()?;
    let looked = look(looking, &all, None)?;
    let findings: Vec<Accepted> = looked.judged.iter().flat_map(accepted).collect();
    let undecided = looked.judged.iter().filter(|one| !one.doubts.is_empty()).count();
    let baseline = Baseline::new(looked.started.to_string(), findings);
    baseline.write(&file)?;
    let mut out = format!("{} findings accepted in {}\n", baseline.findings.len(), escape(&file.display().to_string()));
    if undecided > 0 {
        out.push_str(&format!("{undecided} checks could not look at everything: what they find later will be new\n"));
    }
    print(&out)?;
    Ok(ExitCode::Clean)
}

fn accepted(one: &Judged) -> impl Iterator<Item = Accepted> + '_ {
    one.findings.iter().filter(|finding| finding.waived.is_none()).map(|finding| Accepted {
        check: one.check.id.to_owned(),
        subject: finding.finding.subject.clone(),
        fingerprint: finding.fingerprint.clone(),
        severity: finding.severity.word().to_owned(),
    })
}

fn page(file: &Path, baseline: Option<&Baseline>) -> String {
    let file = escape(&file.display().to_string());
    let Some(baseline) = baseline else {
        return format!("no baseline: {file} is not there (hostward baseline accept writes it)\n");
    };
    let when = brief(&baseline.accepted_at, 40);
    let mut out = format!("{} findings accepted on {when} in {file}\n", baseline.findings.len());
    for finding in &baseline.findings {
        let (severity, check) = (brief(&finding.severity, 10), brief(&finding.check, 60));
        out.push_str(&format!("  {severity:<8}  {check}  {}\n", brief(&finding.subject, 200)));
    }
    out
}
