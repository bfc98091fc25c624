//! `hostward firewall`: what the firewall's unit runs, and counting who asks the metadata service.

use std::path::Path;

use clap::Subcommand;
use hostward_checks::plan::table;

use super::print;
use crate::exit_code::ExitCode;
use crate::firewall::{hold, observe};
use crate::sanitize::escape;

/// Hold hostward's firewall table, or count who asks the metadata service
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Load the table and put it back when somebody takes it away: what the unit runs
    #[command(hide = true)]
    Hold,
    /// Begin to count who asks the metadata service (100.100.100.200); nobody is stopped. Without --again, shows who was seen
    Observe {
        /// Forget who was seen and begin anew
        #[arg(long)]
        again: bool,
        /// End counting
        #[arg(long, conflicts_with = "again")]
        end: bool,
    },
}

/// Does what was asked.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Hold => hold::hold(Path::new(table::STATE))?,
        What::Observe { end: true, .. } => observe::stop()?,
        What::Observe { again, .. } => {
            let now = jiff::Timestamp::now();
            let Some(observed) = observe::observed().filter(|_| !again) else {
                observe::start(now.as_second())?;
                print("counting who asks 100.100.100.200 from now on, until the next boot\n")?;
                return Ok(ExitCode::Clean);
            };
            let users = observed.users.iter().map(|uid| name(*uid)).collect::<Vec<_>>().join(", ");
            let since =
                jiff::Timestamp::from_second(observed.since).map_or_else(|_| "?".to_owned(), |at| at.to_string());
            let users = if users.is_empty() { "nobody but root".to_owned() } else { escape(&users) };
            print(&format!("since {since}: asked by {users}\n"))?;
        }
    }
    Ok(ExitCode::Clean)
}

/// The user's name with its id, where the passwd file has one.
fn name(uid: u32) -> String {
    let file = std::fs::read("/etc/passwd").unwrap_or_default();
    let text = String::from_utf8_lossy(&file);
    let user = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    user.map_or_else(|| uid.to_string(), |user| format!("{user} ({uid})"))
}
