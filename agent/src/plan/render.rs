//! A proposal for people and for programs.

use hostward_checks::catalogue;
use hostward_checks::check::{Lang, Message, Text, render as fill};
use hostward_checks::effect::{Effect, Verb};
use hostward_checks::guard::{Outcome, Ruling};
use hostward_checks::plan::{Planned, Reason, Said, Unfixable};
use serde::Serialize;

use super::{Proposal, diff};
use crate::sanitize::{brief, escape};

/// The version of the plan's JSON.
pub const SCHEMA: &str = "hostward.plan/1";

/// What is said of a finding that no edit mends.
pub static BY_HAND: Message = Message {
    id: "by-hand",
    text: Text {
        en: "hostward has no safe fix for this; by hand:",
        zh: "hostward 对此没有安全的自动修复；请手工处理：",
    },
};

/// A text in the language, with its parameters escaped.
pub fn words(said: &Said, lang: Lang) -> String {
    fill(said.message.text.get(lang), &said.params, escape)
}

/// What an effect does, in one line.
pub fn headline(effect: &Effect, lang: Lang) -> String {
    let zh = lang == Lang::Zh;
    match effect {
        Effect::File(change) => {
            let path = escape(&hostward_checks::check::path_text(change.path.clone()));
            if zh { format!("修改 {path}") } else { format!("change {path}") }
        }
        Effect::Erase(change) => {
            let path = escape(&hostward_checks::check::path_text(change.path.clone()));
            if zh { format!("彻底清除 {path}（不可撤销）") } else { format!("erase {path} for good") }
        }
        Effect::Unit(action) => {
            let unit = escape(&action.unit);
            match (action.verb, zh) {
                (Verb::Reload, false) => format!("reload {unit}"),
                (Verb::Reload, true) => format!("重新加载 {unit}"),
                (Verb::StopAndDisable, false) => format!("stop and disable {unit}"),
                (Verb::StopAndDisable, true) => format!("停止并禁用 {unit}"),
                (Verb::EnableAndStart, false) => format!("enable and start {unit}"),
                (Verb::EnableAndStart, true) => format!("启用并启动 {unit}"),
            }
        }
        Effect::Table(table) => match (&table.after, zh) {
            (Some(_), false) => "load the nftables table inet hostward".to_owned(),
            (Some(_), true) => "加载 nftables 表 inet hostward".to_owned(),
            (None, false) => "remove the nftables table inet hostward".to_owned(),
            (None, true) => "移除 nftables 表 inet hostward".to_owned(),
        },
        Effect::Kernel(setting) => {
            let (key, before, after) = (escape(&setting.key), escape(&setting.before), escape(&setting.after));
            if zh {
                format!("将运行中内核的 {key} 由 {before} 改为 {after}")
            } else {
                format!("set {key} of the running kernel from {before} to {after}")
            }
        }
        Effect::Remote(call) => format!(
            "ModifyInstanceMetadataOptions {} HttpTokens={} ({})",
            escape(&call.instance),
            call.tokens_after,
            escape(&call.region)
        ),
    }
}

/// What an effect changes, in full.
fn detail(effect: &Effect) -> String {
    match effect {
        Effect::File(change) | Effect::Erase(change) => diff::unified(change),
        Effect::Table(table) => table.after.clone().unwrap_or_default(),
        Effect::Unit(_) | Effect::Kernel(_) | Effect::Remote(_) => String::new(),
    }
}

/// The plan as text, without its last line. Where it may take only so many bytes the diffs go first, then what stays, then the end.
pub fn text(proposal: &Proposal, lang: Lang, most: Option<usize>) -> String {
    let most = most.unwrap_or(usize::MAX);
    let whole = whole(proposal, lang, true);
    if whole.len() <= most {
        return whole;
    }
    let note = match lang {
        Lang::En => "(shortened: --json for all of it)\n",
        Lang::Zh => "（已缩短：完整内容请用 --json）\n",
    };
    let short = self::whole(proposal, lang, false);
    let room = most.saturating_sub(note.len());
    let cut = short.lines().scan(0, |length, line| {
        *length += line.len() + 1;
        (*length <= room).then_some(line)
    });
    cut.map(|line| format!("{line}\n")).collect::<String>() + note
}

fn whole(proposal: &Proposal, lang: Lang, details: bool) -> String {
    let zh = lang == Lang::Zh;
    let mut out = String::new();
    for planned in &proposal.plan.effects {
        out.push_str(&effect_block(planned, lang, details));
    }
    for outcome in &proposal.outcomes {
        out.push_str(&guard_block(outcome, lang));
    }
    for stays in &proposal.plan.unfixable {
        out.push_str(&stays_block(stays, lang));
    }
    for reason in &proposal.remaining {
        let why = if zh {
            "修复之后仍然存在：请查看其证据"
        } else {
            "stands after the fix too: look at its evidence"
        };
        out.push_str(&format!("{} {}  {why}\n", if zh { "仍存在  " } else { "stays   " }, about(reason)));
    }
    out
}

/// The last line: what it comes to.
pub fn summary(proposal: &Proposal, lang: Lang) -> String {
    let changes = proposal.plan.effects.len();
    let stays = proposal.plan.unfixable.len() + proposal.remaining.len();
    match (lang, proposal.refused(), changes) {
        (Lang::En, true, _) => format!("REFUSED: {changes} effects planned, nothing is done; {stays} findings stay\n"),
        (Lang::Zh, true, _) => format!("已拒绝：计划了 {changes} 项操作，未做任何修改；{stays} 项问题保留\n"),
        (Lang::En, false, 0) => format!("NOTHING TO DO: {stays} findings stay\n"),
        (Lang::Zh, false, 0) => format!("无需修改：{stays} 项问题保留\n"),
        (Lang::En, false, _) => format!("PLAN: {changes} effects; {stays} findings stay. Carry it out with --apply\n"),
        (Lang::Zh, false, _) => format!("计划：{changes} 项操作；{stays} 项问题保留。使用 --apply 执行\n"),
    }
}

/// Why nothing can be done, on one line: what guards refuse, and why findings stay.
pub fn refusal(proposal: &Proposal) -> String {
    let refused = proposal.outcomes.iter().filter_map(|outcome| match &outcome.ruling {
        Ruling::Refuses(said) => Some(said),
        Ruling::Holds(_) => None,
    });
    let refused = refused.flatten().chain(proposal.plan.unfixable.iter().map(|stays| &stays.why));
    let mut said: Vec<String> = refused.map(|said| brief(&words(said, Lang::En), 600)).collect();
    said.dedup();
    said.join("; ")
}

/// What a proposal is about, without what differs from one minute to the next: its effects, and which guards refuse it.
pub fn gist(proposal: &Proposal) -> String {
    let effects =
        proposal.plan.effects.iter().map(|planned| headline(&planned.effect, Lang::En) + &detail(&planned.effect));
    let refused = proposal.outcomes.iter().filter(|outcome| matches!(outcome.ruling, Ruling::Refuses(_)));
    let refused = refused.map(|outcome| outcome.guard.id.to_owned());
    let stays = proposal.plan.unfixable.iter().map(|stays| about(&stays.reason) + stays.why.message.id);
    effects.chain(refused).chain(stays).collect::<Vec<_>>().join("\n")
}

fn about(reason: &Reason) -> String {
    format!("{} {}", reason.check, brief(&reason.subject, 120))
}

fn effect_block(planned: &Planned, lang: Lang, details: bool) -> String {
    let mut out = format!("{}\n", headline(&planned.effect, lang));
    let mut checks: Vec<&str> = planned.reasons.iter().map(|reason| reason.check).collect();
    checks.dedup();
    for check in checks {
        let subjects: Vec<String> =
            planned.reasons.iter().filter(|one| one.check == check).map(|one| brief(&one.subject, 60)).collect();
        let named = subjects.iter().take(6).cloned().collect::<Vec<_>>().join(", ");
        let more = if subjects.len() > 6 { format!(" +{}", subjects.len() - 6) } else { String::new() };
        let word = if lang == Lang::Zh { "原因" } else { "for" };
        out.push_str(&format!("  {word}: {check} ({named}{more})\n"));
    }
    for line in detail(&planned.effect).lines().filter(|_| details) {
        out.push_str(&format!("  | {}\n", brief(line, 400)));
    }
    out
}

fn guard_block(outcome: &Outcome, lang: Lang) -> String {
    let (word, said) = match (&outcome.ruling, lang) {
        (Ruling::Holds(said), Lang::En) => ("guard    ", said),
        (Ruling::Holds(said), Lang::Zh) => ("保护通过 ", said),
        (Ruling::Refuses(said), Lang::En) => ("REFUSED  ", said),
        (Ruling::Refuses(said), Lang::Zh) => ("已拒绝   ", said),
    };
    let mut out = format!("{word}{}  {}\n", outcome.guard.id, outcome.guard.title.get(lang));
    for one in said {
        out.push_str(&format!("         {}\n", brief(&words(one, lang), 600)));
    }
    out
}

fn stays_block(stays: &Unfixable, lang: Lang) -> String {
    let word = if lang == Lang::Zh { "仍存在  " } else { "stays   " };
    let mut why = words(&stays.why, lang);
    if stays.why.message.id == BY_HAND.id
        && let Some(check) = catalogue::ALL.iter().find(|check| check.id == stays.reason.check)
    {
        why = format!("{why} {}", check.remedy.get(lang));
    }
    format!("{word} {}  {}\n", about(&stays.reason), brief(&why, 600))
}

/// The plan for programs.
#[derive(Debug, Serialize)]
pub struct PlanBlock {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// `plan`, `nothing` or `refused`.
    pub verdict: &'static str,
    /// The effects, in order.
    pub effects: Vec<EffectBlock>,
    /// The guards of the whole plan.
    pub guards: Vec<GuardBlock>,
    /// Findings that stay.
    pub stays: Vec<StaysBlock>,
    /// What became of it, where it was carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction: Option<DoneBlock>,
}

/// What became of a plan.
#[derive(Debug, Serialize)]
pub struct DoneBlock {
    /// The transaction.
    pub id: String,
    /// How far it came: `confirmed`, `waiting`, `undone` or `stuck`.
    pub stage: &'static str,
    /// Until when it waits for its confirmation.
    pub until: Option<String>,
    /// Why it was undone.
    pub why: Option<String>,
    /// How many findings stay.
    pub stays: usize,
}

/// One effect.
#[derive(Debug, Serialize)]
pub struct EffectBlock {
    /// `file`, `erase`, `unit`, `table` or `remote`.
    pub kind: &'static str,
    /// The path, unit or instance.
    pub target: String,
    /// What is done.
    pub text: String,
    /// The unified diff, or the table.
    pub detail: String,
    /// For which findings.
    pub reasons: Vec<ReasonBlock>,
    /// Guards of the whole plan that it names.
    pub guards: Vec<&'static str>,
}

/// A finding.
#[derive(Debug, Serialize)]
pub struct ReasonBlock {
    /// The check.
    pub check: &'static str,
    /// The subject.
    pub subject: String,
}

/// A guard and what it says.
#[derive(Debug, Serialize)]
pub struct GuardBlock {
    /// Its id.
    pub id: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// By what evidence, or why not.
    pub said: Vec<SaidBlock>,
}

/// Something said.
#[derive(Debug, Serialize)]
pub struct SaidBlock {
    /// The message.
    pub id: &'static str,
    /// In English.
    pub text: String,
}

/// A finding that stays.
#[derive(Debug, Serialize)]
pub struct StaysBlock {
    /// Which.
    #[serde(flatten)]
    pub reason: ReasonBlock,
    /// The message, `stands` where the fix does not mend it.
    pub id: &'static str,
    /// Why.
    pub text: String,
}

/// The proposal as a block, with what became of it.
pub fn block(proposal: &Proposal, transaction: Option<DoneBlock>) -> PlanBlock {
    let reason = |reason: &Reason| ReasonBlock { check: reason.check, subject: escape(&reason.subject) };
    let said = |said: &Said| SaidBlock { id: said.message.id, text: words(said, Lang::En) };
    let effects = proposal.plan.effects.iter().map(|planned| {
        let (kind, target) = match &planned.effect {
            Effect::File(change) => ("file", hostward_checks::check::path_text(change.path.clone())),
            Effect::Erase(change) => ("erase", hostward_checks::check::path_text(change.path.clone())),
            Effect::Unit(action) => ("unit", action.unit.clone()),
            Effect::Table(_) => ("table", "inet hostward".to_owned()),
            Effect::Kernel(setting) => ("kernel", setting.key.clone()),
            Effect::Remote(call) => ("remote", call.instance.clone()),
        };
        EffectBlock {
            kind,
            target: escape(&target),
            text: headline(&planned.effect, Lang::En),
            detail: detail(&planned.effect),
            reasons: planned.reasons.iter().map(reason).collect(),
            guards: planned.guards.iter().map(|guard| guard.id).collect(),
        }
    });
    let guards = proposal.outcomes.iter().map(|outcome| {
        let (holds, list) = match &outcome.ruling {
            Ruling::Holds(list) => (true, list),
            Ruling::Refuses(list) => (false, list),
        };
        GuardBlock { id: outcome.guard.id, holds, said: list.iter().map(said).collect() }
    });
    let unfixable = proposal.plan.unfixable.iter().map(|one| StaysBlock {
        reason: reason(&one.reason),
        id: one.why.message.id,
        text: words(&one.why, Lang::En),
    });
    let remaining = proposal.remaining.iter().map(|one| StaysBlock {
        reason: reason(one),
        id: "stands",
        text: "stands after the fix too".to_owned(),
    });
    PlanBlock {
        schema: SCHEMA,
        verdict: match (proposal.refused(), proposal.plan.is_empty()) {
            (true, _) => "refused",
            (false, true) => "nothing",
            (false, false) => "plan",
        },
        effects: effects.collect(),
        guards: guards.collect(),
        stays: unfixable.chain(remaining).collect(),
        transaction,
    }
}
