//! `hostward history [ID]`: what fixes did, who asked for them, and what became of them.

use std::path::PathBuf;

use hostward_checks::check::Lang;
use hostward_checks::effect::Effect;
use serde::Serialize;

use super::apply::{root, services};
use super::{LangArg, language, print};
use crate::apply::is_abandoned;
use crate::exit_code::ExitCode;
use crate::plan::{diff, render};
use crate::sanitize::{brief, escape};
use crate::transaction::{Asked, Found, Record, Stage, Store, Transaction};

/// List what fixes did, or show one of them: its effects as diffs, who asked, and what was found before and after
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The transaction, or the beginning of its id
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Print for programs
    #[arg(long)]
    json: bool,
    /// In this directory: a disk mounted by a rescue system, or an image
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Language of the text
    #[arg(long, value_enum)]
    lang: Option<LangArg>,
}

/// The version of the JSON's shape.
const SCHEMA: &str = "hostward.history/1";

/// All transactions.
#[derive(Debug, Serialize)]
struct ListBlock {
    schema: &'static str,
    transactions: Vec<Line>,
    /// Transactions that cannot be read.
    broken: Vec<String>,
}

/// One transaction in the list.
#[derive(Debug, Serialize)]
struct Line {
    id: String,
    at: String,
    stage: &'static str,
    /// Why it was undone, where it was.
    why: Option<String>,
    uid: u32,
    effects: usize,
    checks: Vec<String>,
}

/// One transaction in full.
#[derive(Debug, Serialize)]
struct OneBlock<'a> {
    schema: &'static str,
    #[serde(flatten)]
    line: Line,
    version: &'a str,
    command: &'a [String],
    asked: &'a Asked,
    confirm: &'a str,
    confirm_within: u64,
    keepers: &'a [String],
    stages: &'a [Record],
    changes: Vec<Change>,
    before: &'a Found,
    after: Option<Found>,
}

/// One effect as it is shown: without secrets.
#[derive(Debug, Serialize)]
struct Change {
    text: String,
    detail: String,
    reasons: Vec<String>,
}

/// Lists or shows.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = Store::open(root(args.root.as_deref()))?;
    let lang = language(args.lang);
    match &args.id {
        None => list(&store, args.json, lang)?,
        Some(id) => show(&store.get(id)?, &store, args.json, lang)?,
    }
    Ok(ExitCode::Clean)
}

fn list(store: &Store, json: bool, lang: Lang) -> anyhow::Result<()> {
    let listing = store.list()?;
    let lines: Vec<Line> = listing.transactions.iter().map(|one| line(one, store, lang)).collect();
    if json {
        let broken = listing.broken.iter().map(|(id, error)| format!("{id}: {error:#}")).collect();
        let block = ListBlock { schema: SCHEMA, transactions: lines, broken };
        return print(&format!("{}\n", serde_json::to_string_pretty(&block)?));
    }
    for (id, error) in &listing.broken {
        super::warn(&format!("transaction {id} cannot be read: {error:#}"));
    }
    if lines.is_empty() {
        return print(pick(lang, "no transactions\n", "没有事务\n"));
    }
    let mut out = String::new();
    for line in lines {
        let checks = brief(&line.checks.join(", "), 60);
        out.push_str(&format!("{}  {:<9}  {}", line.id, line.stage, checks));
        if let Some(why) = line.why {
            out.push_str(&format!("  ({})", brief(&why, 80)));
        }
        out.push('\n');
    }
    print(&out)
}

fn line(one: &Transaction, store: &Store, lang: Lang) -> Line {
    let manifest = one.manifest();
    let reasons = manifest.effects.iter().flat_map(|effect| &effect.reasons);
    let mut checks: Vec<String> = reasons.map(|reason| reason.check.clone()).collect();
    checks.sort();
    checks.dedup();
    let why = match one.stage() {
        Stage::Undone { why } | Stage::Undoing { why, .. } | Stage::Stuck { why, .. } => Some(why.clone()),
        Stage::Prepared => abandoned(one, store, lang),
        _ => None,
    };
    Line {
        id: one.id().to_owned(),
        at: manifest.at.clone(),
        stage: one.stage().word(),
        why,
        uid: manifest.asked.uid,
        effects: manifest.effects.len(),
        checks,
    }
}

/// That a transaction was never started, where whoever asked for it is gone: nothing was changed by it.
fn abandoned(one: &Transaction, store: &Store, lang: Lang) -> Option<String> {
    let gone = is_abandoned(one, services(store).as_mut()).unwrap_or_default();
    let en = "never started, and nothing changed: the next fix sets it aside";
    gone.then(|| pick(lang, en, "从未开始，未作任何更改：下一次 fix 会将其作废").to_owned())
}

fn pick<'t>(lang: Lang, en: &'t str, zh: &'t str) -> &'t str {
    if lang == Lang::Zh { zh } else { en }
}

fn show(one: &Transaction, store: &Store, json: bool, lang: Lang) -> anyhow::Result<()> {
    let manifest = one.manifest();
    let effects = one.effects()?;
    let changes = effects.iter().zip(&manifest.effects).map(|(effect, record)| Change {
        text: render::headline(effect, lang),
        detail: match effect {
            Effect::File(change) | Effect::Erase(change) => diff::unified(change),
            Effect::Table(table) => escape_lines(table.after.as_deref().unwrap_or_default()),
            Effect::Unit(_) | Effect::Kernel(_) | Effect::Remote(_) => String::new(),
        },
        reasons: record.reasons.iter().map(|reason| format!("{} {}", reason.check, reason.subject)).collect(),
    });
    let changes: Vec<Change> = changes.collect();
    let after = one.found_after()?;
    if json {
        let block = OneBlock {
            schema: SCHEMA,
            line: line(one, store, lang),
            version: &manifest.version,
            command: &manifest.command,
            asked: &manifest.asked,
            confirm: &manifest.confirm,
            confirm_within: manifest.confirm_within,
            keepers: &manifest.keepers,
            stages: one.stages(),
            changes,
            before: &manifest.found,
            after,
        };
        return print(&format!("{}\n", serde_json::to_string_pretty(&block)?));
    }
    let mut out = format!("{}  {}\n", one.id(), one.stage().word());
    let mut say = |en: &str, zh: &str, what: String| out.push_str(&format!("{:<9} {what}\n", pick(lang, en, zh)));
    say("asked by", "发起者", escape(&who(&manifest.asked)));
    say("command", "命令", escape(&manifest.command.join(" ")));
    for record in one.stages() {
        say("stage", "阶段", format!("{}  {}", record.since.at, escape(&stage(&record.stage))));
    }
    if let Some(why) = abandoned(one, store, lang) {
        say("", "", why);
    }
    if let Stage::Stuck { left, .. } = one.stage() {
        for what in left {
            say("left", "未还原", escape(what));
        }
    }
    say("before", "之前", found(&manifest.found));
    if let Some(after) = &after {
        say("after", "之后", found(after));
    }
    for change in changes {
        out.push_str(&format!("\n{}\n", change.text));
        for reason in change.reasons {
            out.push_str(&format!("  {}: {}\n", pick(lang, "for", "原因"), brief(&reason, 200)));
        }
        out.push_str(&change.detail);
    }
    print(&out)
}

fn escape_lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", escape(line))).collect()
}

fn who(asked: &Asked) -> String {
    let mut text = format!("uid {}", asked.uid);
    let more = [
        asked.via.as_ref().map(|user| format!("sudo by {user}")),
        asked.login_uid.map(|uid| format!("login uid {uid}")),
        asked.tty.clone(),
        asked.source.as_ref().map(|source| format!("ssh from {source}")),
    ];
    for one in more.into_iter().flatten() {
        text.push_str(&format!(", {one}"));
    }
    text
}

fn stage(stage: &Stage) -> String {
    match stage {
        Stage::Waiting { deadline } => format!("waiting until {}", deadline.at),
        Stage::Undoing { why, .. } | Stage::Undone { why } | Stage::Stuck { why, .. } => {
            format!("{}: {why}", stage.word())
        }
        other => other.word().to_owned(),
    }
}

fn found(found: &Found) -> String {
    if found.verdict.is_empty() {
        return "-".to_owned();
    }
    let mut text = format!("{} ({})", escape(&found.verdict), found.findings.len());
    for finding in &found.findings {
        text.push_str(&format!(
            "\n  {:<8}  {}  {}",
            escape(&finding.severity),
            escape(&finding.check),
            brief(&finding.subject, 100)
        ));
    }
    text
}
