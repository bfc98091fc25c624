//! `hostward sshd-config`: the effective settings of an sshd as `sshd -T` prints them, without asking sshd.

use std::io::Write;
use std::path::{Path, PathBuf};

use hostward_checks::host::accounts::Accounts;
use hostward_checks::host::sshd::PROGRAM;
use hostward_checks::snapshot::Reader;
use hostward_checks::sshd::{Build, CommandLine, Configuration, Effective, Origin, Refusal, Subject, default_file};
use serde::Serialize;

use super::print;
use crate::exit_code::{Ends, ExitCode};
use crate::record;
use crate::root::Root;
use crate::sanitize::escape;

/// Print sshd's effective settings, as `sshd -T` would, with the line that sets each
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Look at a mounted root or an unpacked image instead of the running system
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The configuration file (inside the root); the default is the one that this sshd reads
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// The connection that Match blocks are tested against: user=,host=,addr=,laddr=,lport=,rdomain=,invalid-user
    #[arg(short = 'C', long = "connection", value_name = "SPEC")]
    connection: Vec<String>,
    /// Add where each value comes from: file and line, the command line, or the compiled default
    #[arg(long)]
    origin: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the settings, or what sshd would say before it refuses the configuration.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let root = Root::open(args.root.as_deref().unwrap_or(Path::new("/")))?;
    let file = args.file.as_deref().map(|file| located(&root, file)).transpose()?;
    let mut subject = (!args.connection.is_empty()).then(Subject::test);
    for spec in &args.connection {
        let subject = subject.get_or_insert_with(Subject::test);
        subject.add(spec).map_err(|why| Ends::with(ExitCode::Usage, why))?;
    }
    let (configuration, groups) = record::settle(&root, |snapshot| {
        let reader = Reader::new(snapshot);
        let command_line = CommandLine::of_file(file.clone().unwrap_or_else(|| default_file(&reader)));
        let configuration = Configuration::read(&reader, Build::read(&reader, Path::new(PROGRAM)), command_line);
        let user = subject.as_ref().and_then(|subject| subject.user.clone());
        let groups = user.and_then(|user| {
            let accounts = Accounts::read(&reader);
            let user = accounts.by_name(user)?;
            Some(accounts.groups_of(user).known()?.iter().map(|name| name.bytes().to_vec()).collect())
        });
        ((configuration, groups), reader.need())
    });
    if let Some(subject) = &mut subject {
        subject.groups = groups;
    }
    match configuration.dump(subject.as_ref()) {
        Ok(effective) if args.json => json(&configuration, &effective),
        Ok(effective) => text(&effective, args.origin),
        Err(refusal) => refuse(&refusal),
    }
}

/// A file named on the command line as a path of the root: on the running system a relative one starts here.
fn located(root: &Root, file: &Path) -> anyhow::Result<PathBuf> {
    if file.is_absolute() || file.as_os_str().eq_ignore_ascii_case("none") {
        Ok(file.to_path_buf())
    } else if root.is_live() {
        Ok(std::path::absolute(file)?)
    } else {
        Ok(Path::new("/").join(file))
    }
}

/// One line of output: a tab may stand in a value as it is.
fn line(text: &str) -> String {
    text.split('\t').map(escape).collect::<Vec<_>>().join("\t")
}

fn text(effective: &Effective, origin: bool) -> anyhow::Result<ExitCode> {
    let mut out = String::new();
    for setting in &effective.settings {
        for value in &setting.values {
            out.push_str(&line(&format!("{} {}", setting.keyword, value.text)));
            if origin {
                out.push_str(&format!("  # {}", line(&place(&value.origin))));
            }
            out.push('\n');
        }
    }
    print(&out)?;
    Ok(ExitCode::Clean)
}

fn place(origin: &Origin) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        Origin::CommandLine(option) => format!("command line {option}"),
        Origin::Line { file, line } => format!("{}:{line}", file.display()),
    }
}

/// What the JSON of this command holds.
#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    sshd: &'a str,
    file: String,
    settings: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    keyword: &'a str,
    value: &'a str,
    words: &'a [String],
    #[serde(flatten)]
    place: Place<'a>,
}

#[derive(Serialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
enum Place<'a> {
    Default,
    CommandLine { option: &'a str },
    File { file: String, line: u32 },
}

fn json(configuration: &Configuration, effective: &Effective) -> anyhow::Result<ExitCode> {
    let entries = effective.settings.iter().flat_map(|setting| {
        setting.values.iter().map(|value| Entry {
            keyword: setting.keyword,
            value: &value.text,
            words: &value.words,
            place: match &value.origin {
                Origin::Default => Place::Default,
                Origin::CommandLine(option) => Place::CommandLine { option },
                Origin::Line { file, line } => Place::File { file: file.to_string_lossy().into_owned(), line: *line },
            },
        })
    });
    let report = Report {
        schema: "hostward.sshd-config/1",
        sshd: &configuration.build.release,
        file: configuration.file.to_string_lossy().into_owned(),
        settings: entries.collect(),
    };
    print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    Ok(ExitCode::Clean)
}

/// Says what sshd would say. Nothing is left to do where not even that can be written.
fn refuse(refusal: &Refusal) -> anyhow::Result<ExitCode> {
    let mut err = std::io::stderr().lock();
    for said in &refusal.said {
        let _ = writeln!(err, "{}", line(said));
    }
    Ok(ExitCode::Findings)
}
