//! `hostward status`: what the resident knows.

use std::path::Path;

use hostward_checks::check::Lang;

use super::{LangArg, language, print};
use crate::exit_code::ExitCode;
use crate::resident::status::{SOCKET, Status, ask};
use crate::sanitize::escape;

/// Say what the resident knows: what is open, when it last looked, what it watches and what it costs
///
/// Exit 0: it answers. Exit 3: none runs.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Language of the text
    #[arg(long, value_enum)]
    lang: Option<LangArg>,
}

/// Asks and prints.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let status = ask(Path::new(SOCKET))?;
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&status)?))?;
    } else {
        print(&text(&status, language(args.lang)))?;
    }
    Ok(ExitCode::Clean)
}

fn text(status: &Status, lang: Lang) -> String {
    let say = |en: String, zh: String| if lang == Lang::Zh { zh } else { en };
    let mut lines = Vec::new();
    if let Some(last) = &status.last {
        let (verdict, at, took) = (&last.verdict, &last.at, last.milliseconds);
        lines.push(say(
            format!(
                "{verdict}: {} findings open, last look {at} ({}, because of {}; {took} ms)",
                status.findings.len(),
                last.extent,
                last.cause
            ),
            format!(
                "{verdict}：{} 项未解决，最近一次检查 {at}（{}，起因 {}；{took} 毫秒）",
                status.findings.len(),
                last.extent,
                last.cause
            ),
        ));
    } else {
        lines.push(say("the first look is not over yet".to_owned(), "首次检查尚未完成".to_owned()));
    }
    for found in &status.findings {
        let about = if found.subject.is_empty() { String::new() } else { format!(" {}", escape(&found.subject)) };
        lines.push(format!(
            "  {:<8} {}{about}: {}",
            escape(&found.severity),
            escape(&found.check),
            escape(&found.message)
        ));
    }
    let watching = &status.watching;
    let kernel = watching.trace_kib.map(|kib| format!(", {kib} KiB"));
    let listeners = watching.listeners.clone() + &kernel.unwrap_or_default();
    lines.push(say(
        format!(
            "watches {} directories, asks for {} more and for sockets every {} s ({})",
            watching.directories, watching.polled, watching.poll_seconds, listeners
        ),
        format!(
            "监视 {} 个目录，另有 {} 个目录和套接字每 {} 秒查询一次（{}）",
            watching.directories, watching.polled, watching.poll_seconds, listeners
        ),
    ));
    lines.extend(cost(status, lang));
    for trouble in &status.troubles {
        lines.push(say(format!("trouble: {}", escape(trouble)), format!("异常：{}", escape(trouble))));
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// What it costs, and what it does for it.
fn cost(status: &Status, lang: Lang) -> [String; 2] {
    let (cost, hours, since) = (&status.cost, status.full_look_in / 3600, &status.since);
    let (own, looks, count, audits) = (cost.own_cpu_ms, cost.looks_cpu_ms, cost.looks, cost.audits_cpu_ms);
    let pss = cost.pss_kib.map_or_else(|| "?".to_owned(), |kib| kib.to_string());
    let wakes: Vec<String> = cost.wakes.iter().map(|(reason, count)| format!("{} {count}", escape(reason))).collect();
    if lang == Lang::Zh {
        return [
            format!(
                "内存 {pss} KiB；自 {since} 起占用处理器 {own} 毫秒，{count} 次检查占用 {looks} 毫秒，口令审计占用 {audits} 毫秒；{hours} 小时后全面检查"
            ),
            format!("唤醒次数及原因：{}", wakes.join("，")),
        ];
    }
    [
        format!(
            "{pss} KiB of memory; processor time since {since}: {own} ms, {looks} ms in {count} looks, {audits} ms in password \
             audits; everything is looked at again in {hours} h"
        ),
        format!("woken by: {}", wakes.join(", ")),
    ]
}
