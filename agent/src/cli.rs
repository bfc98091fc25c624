//! The command line.

use clap::{Parser, Subcommand};

use crate::command;
use crate::exit_code::{Ends, ExitCode};

/// Who can get in to this Alibaba Cloud ECS Linux instance, and what is exposed.
#[derive(Debug, Parser)]
#[command(name = "hostward", version, about, max_term_width = 100, after_help = AFTER)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "Exit codes: 0 clean · 1 findings · 2 undecided · 3 fix refused or rolled back · 4 internal error · 64 usage · 75 busy · 78 bad configuration or policy";

#[derive(Debug, Subcommand)]
enum Command {
    Scan(Box<command::scan::Args>),
    Fix(Box<command::fix::Args>),
    Confirm(command::confirm::Args),
    Rollback(command::rollback::Args),
    Recover(command::recover::Args),
    History(command::history::Args),
    #[command(hide = true)]
    Apply(command::apply::Args),
    #[command(hide = true)]
    Remedy(command::remedy::Args),
    SshdConfig(command::sshd_config::Args),
    Access(command::access::Args),
    Baseline(command::baseline::Args),
    Agent(Box<command::agent::Args>),
    Status(command::status::Args),
    Doctor(command::doctor::Args),
    Validate(command::validate::Args),
    List(command::list::Args),
    Explain(command::explain::Args),
    /// Print the JSON Schema of the report
    Schema,
    Completions(command::completions::Args),
    Firewall(command::firewall::Args),
}

impl Cli {
    fn run(&self) -> anyhow::Result<ExitCode> {
        match &self.command {
            Command::Scan(args) => command::scan::run(args),
            Command::Fix(args) => command::fix::run(args),
            Command::Confirm(args) => command::confirm::run(args),
            Command::Rollback(args) => command::rollback::run(args),
            Command::Recover(args) => command::recover::run(args),
            Command::History(args) => command::history::run(args),
            Command::Apply(args) => command::apply::run(args),
            Command::Remedy(args) => command::remedy::run(args),
            Command::SshdConfig(args) => command::sshd_config::run(args),
            Command::Access(args) => command::access::run(args),
            Command::Baseline(args) => command::baseline::run(args),
            Command::Agent(args) => command::agent::run(args),
            Command::Status(args) => command::status::run(args),
            Command::Doctor(args) => command::doctor::run(args),
            Command::Validate(args) => command::validate::run(args),
            Command::List(args) => command::list::run(args),
            Command::Explain(args) => command::explain::run(args),
            Command::Schema => command::schema::run(),
            Command::Firewall(args) => command::firewall::run(args),
            Command::Completions(args) => command::completions::run(args),
        }
    }
}

/// Runs the program: parses the command line, does what it says, prints an error once, with its chain of causes.
pub fn main() -> ExitCode {
    if let Some(stayed) = command::agent::resident(std::env::args_os().skip(1)) {
        return ended(stayed);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let usage = error.use_stderr();
            // Nothing is left to do where not even the message can be written.
            let _ = error.print();
            return if usage { ExitCode::Usage } else { ExitCode::Clean };
        }
    };
    ended(cli.run())
}

fn ended(how: anyhow::Result<ExitCode>) -> ExitCode {
    match how {
        Ok(code) => code,
        Err(error) => {
            let line = format!("hostward: {}\n", crate::sanitize::escape(&format!("{error:#}")));
            let _ = std::io::Write::write_all(&mut std::io::stderr().lock(), line.as_bytes());
            error.downcast_ref::<Ends>().map_or(ExitCode::Internal, |ends| ends.code)
        }
    }
}
