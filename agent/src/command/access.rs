//! `hostward access`: who can log in, how, from where, and what it gives.

use std::net::IpAddr;
use std::path::PathBuf;

use hostward_checks::access::{Access, AccountAccess, DaemonAccess, SourceAccess};
use hostward_checks::check::path_text;
use hostward_checks::sshd::Origin;
use serde::Serialize;

use super::print;
use crate::exit_code::{Ends, ExitCode};
use crate::sanitize::escape;
use crate::survey::{Wanted, survey};

/// Show who can log in, how, from where, and what it gives
///
/// One line an account and class of source. With USER only that account, with its reasons; with --from exactly that
/// address. Every line rests on settings of sshd; --json names the file and line of each, and the `sshd -T -C …`
/// command that shows the same.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Only this account, with the reasons
    user: Option<String>,
    /// From exactly this address
    #[arg(long, value_name = "ADDR")]
    from: Option<IpAddr>,
    /// Look at this directory as an offline root: nothing outside it is read
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Print JSON (schema hostward.access/1)
    #[arg(long)]
    json: bool,
}

/// Resolves and prints.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let wanted = Wanted { network: true, logins: true, ..Wanted::default() };
    let survey = survey(args.root.as_deref(), &wanted)?;
    let access = Access::resolve_for(&survey.host, &survey.seen, args.user.as_deref(), args.from);
    if let Some(user) = &args.user
        && survey.host.accounts.by_name(user).is_none()
    {
        let text = format!("no account is called {}", crate::sanitize::brief(user, 80));
        return Err(Ends::with(ExitCode::Usage, text));
    }
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&Document::of(&access))?))?;
    } else {
        print(&text(&access, args.user.is_some()))?;
    }
    Ok(ExitCode::Clean)
}

/// The JSON document, `hostward.access/1`.
#[derive(Debug, Serialize)]
struct Document {
    schema: &'static str,
    sshd: Vec<DaemonBlock>,
}

#[derive(Debug, Serialize)]
struct DaemonBlock {
    config: String,
    unit: Option<String>,
    listeners: Vec<String>,
    /// Why sshd refuses the configuration: then nobody gets in through it once it is started anew.
    refused: Option<String>,
    doubts: Vec<String>,
    accounts: Vec<AccountBlock>,
}

#[derive(Debug, Serialize)]
struct AccountBlock {
    user: String,
    uid: u32,
    /// Null: not known.
    admin: Option<bool>,
    sources: Vec<SourceBlock>,
}

#[derive(Debug, Serialize)]
struct SourceBlock {
    class: String,
    example: IpAddr,
    methods: Vec<MethodBlock>,
    usable_keys: Vec<String>,
    last_used: Option<String>,
    refused_because: Vec<String>,
    doubts: Vec<String>,
    decided_by: Vec<DecisionBlock>,
    reproduce: String,
}

#[derive(Debug, Serialize)]
struct MethodBlock {
    path: String,
    grants: &'static str,
    /// The keys any of which serves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    /// False: it rests on what `doubts` names.
    certain: bool,
}

#[derive(Debug, Serialize)]
struct DecisionBlock {
    keyword: &'static str,
    value: String,
    /// The file, `(command line)` or `(default)`.
    file: String,
    line: Option<u32>,
}

impl Document {
    fn of(access: &Access) -> Self {
        Self { schema: "hostward.access/1", sshd: access.daemons.iter().map(DaemonBlock::of).collect() }
    }
}

impl DaemonBlock {
    fn of(daemon: &DaemonAccess) -> Self {
        Self {
            config: escape(&path_text(&daemon.config)),
            unit: daemon.unit.as_deref().map(escape),
            listeners: daemon.listeners.iter().map(ToString::to_string).collect(),
            refused: refused(daemon),
            doubts: daemon.doubts.iter().map(|why| escape(&why.to_string())).collect(),
            accounts: daemon.accounts.iter().map(AccountBlock::of).collect(),
        }
    }
}

impl AccountBlock {
    fn of(account: &AccountAccess) -> Self {
        Self {
            user: escape(&account.user),
            uid: account.uid,
            admin: account.admin.known().copied(),
            sources: account.sources.iter().map(SourceBlock::of).collect(),
        }
    }
}

impl SourceBlock {
    fn of(source: &SourceAccess) -> Self {
        let method = |way: &hostward_checks::access::Way| MethodBlock {
            path: way.path(),
            grants: way.grants.word(),
            keys: way.keys.clone(),
            certain: way.certain,
        };
        Self {
            class: escape(&source.class.word()),
            example: source.example,
            methods: source.ways.iter().map(method).collect(),
            usable_keys: source.usable_keys.clone(),
            last_used: source.last_used.and_then(|at| jiff::Timestamp::from_second(at).ok()).map(|at| at.to_string()),
            refused_because: source.refused_because.iter().map(|why| escape(why)).collect(),
            doubts: doubts(source),
            decided_by: source
                .decided_by
                .iter()
                .map(|decision| {
                    let (file, line) = match &decision.origin {
                        Origin::Default => ("(default)".to_owned(), None),
                        Origin::CommandLine(_) => ("(command line)".to_owned(), None),
                        Origin::Line { file, line } => (escape(&path_text(file)), Some(*line)),
                    };
                    DecisionBlock { keyword: decision.keyword, value: escape(&decision.value), file, line }
                })
                .collect(),
            reproduce: escape(&source.reproduce),
        }
    }
}

fn doubts(source: &SourceAccess) -> Vec<String> {
    let word = |doubt: &hostward_checks::access::AccessDoubt| match doubt.method {
        Some(method) => escape(&format!("{}: {}", method.word(), doubt.why)),
        None => escape(&doubt.why.to_string()),
    };
    source.doubts.iter().map(word).collect()
}

fn refused(daemon: &DaemonAccess) -> Option<String> {
    let refusal = daemon.global.as_ref().err()?;
    let line = refusal.line.map(|line| format!(" line {line}")).unwrap_or_default();
    Some(escape(&format!("{}{line}: {}", path_text(&refusal.file), refusal.message)))
}

/// The table for people: accounts that somebody can get into first, the rest in one line; with `reasons` all of it.
fn text(access: &Access, reasons: bool) -> String {
    let mut out = String::new();
    if access.daemons.is_empty() {
        out.push_str("No sshd is installed.\n");
    }
    for daemon in &access.daemons {
        let listeners: Vec<String> = daemon.listeners.iter().map(ToString::to_string).collect();
        out.push_str(&format!("sshd {}", escape(&path_text(&daemon.config))));
        if !listeners.is_empty() {
            out.push_str(&format!(" on {}", listeners.join(", ")));
        }
        out.push('\n');
        if let Some(refused) = refused(daemon) {
            out.push_str(&format!("  sshd refuses this configuration: {refused}\n"));
        }
        for why in &daemon.doubts {
            out.push_str(&format!("  not certain: {}\n", escape(&why.to_string())));
        }
        if reasons {
            daemon.accounts.iter().for_each(|account| detail(account, &mut out));
        } else {
            table(daemon, &mut out);
        }
    }
    out
}

fn table(daemon: &DaemonAccess, out: &mut String) {
    let mut rows: Vec<[String; 4]> = Vec::new();
    let mut shut: Vec<String> = Vec::new();
    for account in &daemon.accounts {
        let open = account.sources.iter().any(|source| !source.ways.is_empty() || !source.doubts.is_empty());
        if !open {
            shut.push(escape(&account.user));
            continue;
        }
        for (ways, classes) in merged(account) {
            let role = match account.admin.known() {
                Some(true) => "admin",
                Some(false) => "",
                None => "admin?",
            };
            rows.push([escape(&account.user), role.to_owned(), classes.join(", "), ways]);
        }
    }
    let heading = ["ACCOUNT", "ROLE", "FROM", "WAYS IN"].map(str::to_owned);
    let mut widths = [0; 4];
    for row in std::iter::once(&heading).chain(&rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut before = String::new();
    for row in std::iter::once(&heading).chain(&rows) {
        let mut line = String::from("  ");
        for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
            // An account is named once.
            let cell = if index == 0 && *cell == before { "" } else { cell.as_str() };
            line.push_str(&format!("{cell:width$}  "));
        }
        before.clone_from(row.first().unwrap_or(&String::new()));
        out.push_str(line.trim_end());
        out.push('\n');
    }
    if !shut.is_empty() {
        out.push_str(&format!("  nobody gets in as: {}\n", shut.join(", ")));
    }
}

/// Sources of one account with the same ways, together.
fn merged(account: &AccountAccess) -> Vec<(String, Vec<String>)> {
    let mut out: Vec<(String, Vec<String>)> = Vec::new();
    for source in &account.sources {
        let ways = ways(source);
        let class = escape(&source.class.word());
        match out.iter_mut().find(|(known, _)| *known == ways) {
            Some((_, classes)) => {
                if !classes.contains(&class) {
                    classes.push(class);
                }
            }
            None => out.push((ways, vec![class])),
        }
    }
    out
}

fn ways(source: &SourceAccess) -> String {
    let mut words: Vec<String> = Vec::new();
    for way in &source.ways {
        let keys = match way.keys.len() {
            0 => String::new(),
            1 => " (1 key)".to_owned(),
            n => format!(" ({n} keys)"),
        };
        let perhaps = if way.certain { "" } else { "perhaps " };
        words.push(format!("{perhaps}{} → {}{keys}", way.path(), way.grants.word()));
    }
    if !source.doubts.is_empty() {
        words.push("not certain".to_owned());
    }
    if words.is_empty() { "none".to_owned() } else { words.join("; ") }
}

fn detail(account: &AccountAccess, out: &mut String) {
    let role = match account.admin.known() {
        Some(true) => ", administrator",
        Some(false) => "",
        None => ", perhaps an administrator",
    };
    out.push_str(&format!("\n{} (uid {}{role})\n", escape(&account.user), account.uid));
    for source in &account.sources {
        out.push_str(&format!("  from {} (e.g. {})\n", escape(&source.class.word()), source.example));
        out.push_str(&format!("    ways in: {}\n", ways(source)));
        let mut list = |name: &str, items: Vec<String>| {
            for item in items {
                out.push_str(&format!("    {name}: {item}\n"));
            }
        };
        list("key", source.usable_keys.clone());
        list("not", source.refused_because.iter().map(|why| escape(why)).collect());
        list("not certain", doubts(source));
        let block = SourceBlock::of(source);
        list("last used", block.last_used.into_iter().collect());
        let decided = block.decided_by.iter().map(|decision| {
            let line = decision.line.map(|line| format!(":{line}")).unwrap_or_default();
            format!("{} {} ({}{line})", decision.keyword, decision.value, decision.file)
        });
        list("set", decided.collect());
        list("see", vec![block.reproduce]);
    }
}
