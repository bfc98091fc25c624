//! `hostward doctor`: what hostward rests on here, for who asks why it does less, or reports a fault.

use hostward_checks::check::{Lang, Profile};
use serde_json::json;

use super::{LangArg, language, print};
use crate::config::{Configuration, Sources};
use crate::doctor::{Item, State, Verdict, examine};
use crate::exit_code::ExitCode;
use crate::sanitize::escape;

/// Say which of the things that hostward rests on are there, and what it does without each
///
/// The answer names no account, address, host or key: it can be shown to strangers. Exit 0: it works, fully or with less.
/// Exit 2: something could not be looked at, most often for want of root. Exit 3: it cannot work.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Language of the text
    #[arg(long, value_enum)]
    lang: Option<LangArg>,
}

/// Looks and tells.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let configured = Configuration::read(&Sources::of_host(false), None, Profile::default());
    let lang = match (&configured, args.lang) {
        (Ok(all), None) => all.settings.language.unwrap_or_else(|| language(None)),
        (_, asked) => language(asked),
    };
    let items = examine(&configured);
    let verdict = Verdict::of(&items);
    print(&if args.json { document(&items, verdict, lang)? } else { text(&items, verdict, lang) })?;
    Ok(match verdict {
        Verdict::Full | Verdict::Less => ExitCode::Clean,
        Verdict::Undecided => ExitCode::Undecided,
        Verdict::Cannot => ExitCode::Refused,
    })
}

fn document(items: &[Item], verdict: Verdict, lang: Lang) -> anyhow::Result<String> {
    let each = |item: &Item| {
        json!({
            "id": item.id,
            "state": item.state.word(),
            "found": escape(item.found.text(lang)),
            "without": item.without.text(lang),
        })
    };
    let document = json!({
        "schema": "hostward.doctor/1",
        "verdict": verdict.word(),
        "summary": sentence(items, verdict, lang),
        "items": items.iter().map(each).collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn text(items: &[Item], verdict: Verdict, lang: Lang) -> String {
    let without = if lang == Lang::Zh { " — 缺少时：" } else { " — without it: " };
    let mut lines: Vec<String> = items
        .iter()
        .map(|item| {
            let mark = match item.state {
                State::There => "+",
                State::Idle => " ",
                State::Unseen => "?",
                State::Missing => "-",
                State::Fatal => "!",
            };
            let found = escape(item.found.text(lang));
            let rest = match item.state {
                State::There | State::Idle => String::new(),
                _ => format!("{without}{}", item.without.text(lang)),
            };
            format!("{mark} {:<25} {found}{rest}", item.id)
        })
        .collect();
    lines.push(sentence(items, verdict, lang));
    lines.into_iter().map(|line| line + "\n").collect()
}

fn sentence(items: &[Item], verdict: Verdict, lang: Lang) -> String {
    let of = |state: State| {
        items.iter().filter(|item| item.state == state).map(|item| item.id).collect::<Vec<_>>().join(", ")
    };
    let (missing, unseen, fatal) = (of(State::Missing), of(State::Unseen), of(State::Fatal));
    match (verdict, lang) {
        (Verdict::Full, Lang::En) => "hostward works here in full.".to_owned(),
        (Verdict::Full, Lang::Zh) => "hostward 在此可完整工作。".to_owned(),
        (Verdict::Less, Lang::En) => format!("hostward works here with less, for want of: {missing}."),
        (Verdict::Less, Lang::Zh) => format!("hostward 在此可工作，但功能减少，因为缺少：{missing}。"),
        (Verdict::Undecided, Lang::En) => {
            format!("hostward works here; not looked at: {unseen}; missing: {}.", or_none(&missing, "nothing"))
        }
        (Verdict::Undecided, Lang::Zh) => {
            format!("hostward 在此可工作；未能查看：{unseen}；缺少：{}。", or_none(&missing, "无"))
        }
        (Verdict::Cannot, Lang::En) => format!("hostward cannot work here, because of: {fatal}."),
        (Verdict::Cannot, Lang::Zh) => format!("hostward 在此无法工作，原因：{fatal}。"),
    }
}

fn or_none<'a>(names: &'a str, none: &'a str) -> &'a str {
    if names.is_empty() { none } else { names }
}
