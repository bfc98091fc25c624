//! `hostward status`: what the resident knows.

use std::path::Path;

use hostward_checks::check::{Lang, Severity};

use super::{LangArg, language, print};
use crate::exit_code::ExitCode;
use crate::resident::line::Found;
use crate::resident::status::{SOCKET, Status, ask};
use crate::sanitize::escape;

mod remediation;
mod watch;

/// Say what the resident knows: what is open, when it last looked, what it watches and what it costs
///
/// Exit 0: it answers. Exit 3: none runs. With --watch it stays until Ctrl-C; a resident that goes away is waited for.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Stay, and show it again as it changes; with --json one line for each change
    #[arg(long)]
    watch: bool,
    /// Language of the text
    #[arg(long, value_enum)]
    lang: Option<LangArg>,
}

/// Asks and prints.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.watch {
        watch::watch(args.json, language(args.lang))?;
        return Ok(ExitCode::Clean);
    }
    let status = ask(Path::new(SOCKET))?;
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&status)?))?;
    } else {
        let shown = Shown::of(&status, language(args.lang));
        let lines = [shown.head, shown.findings, shown.foot].concat();
        print(&lines.into_iter().map(|line| line + "\n").collect::<String>())?;
    }
    Ok(ExitCode::Clean)
}

/// What is shown of a status, in lines.
#[derive(Debug, Default)]
struct Shown {
    /// What comes first.
    head: Vec<String>,
    /// What is open, the worst first.
    findings: Vec<String>,
    /// How it is known, what it costs, and what goes wrong.
    foot: Vec<String>,
}

impl Shown {
    fn of(status: &Status, lang: Lang) -> Self {
        Self { head: vec![head(status, lang)], findings: findings(status), foot: foot(status, lang) }
    }
}

fn findings(status: &Status) -> Vec<String> {
    let mut open: Vec<_> = status.findings.iter().collect();
    open.sort_by_key(|found| std::cmp::Reverse(Severity::from_word(&found.severity)));
    let line = |found: &&Found| {
        let about = if found.subject.is_empty() { String::new() } else { format!(" {}", escape(&found.subject)) };
        let (severity, check) = (escape(&found.severity), escape(&found.check));
        format!("  {severity:<8} {check}{about}: {}", escape(&found.message))
    };
    open.iter().map(line).collect()
}

fn head(status: &Status, lang: Lang) -> String {
    let say = |en: String, zh: String| if lang == Lang::Zh { zh } else { en };
    let Some(last) = &status.last else {
        return say("the first look is not over yet".to_owned(), "首次检查尚未完成".to_owned());
    };
    let (verdict, at, took, count) = (&last.verdict, &last.at, last.milliseconds, status.findings.len());
    let (extent, cause) = (&last.extent, &last.cause);
    say(
        format!("{verdict}: {count} findings open, last look {at} ({extent}, because of {cause}; {took} ms)"),
        format!("{verdict}：{count} 项未解决，最近一次检查 {at}（{extent}，起因 {cause}；{took} 毫秒）"),
    )
}

fn foot(status: &Status, lang: Lang) -> Vec<String> {
    let say = |en: String, zh: String| if lang == Lang::Zh { zh } else { en };
    let mut lines = Vec::new();
    let watching = &status.watching;
    let kernel = watching.trace_kib.map(|kib| format!(", {kib} KiB"));
    let listeners = watching.listeners.clone() + &kernel.unwrap_or_default();
    let (directories, files, polled) = (watching.directories, watching.files, watching.polled);
    let (firewall, every) = (&watching.firewall, watching.poll_seconds);
    lines.push(say(
        format!(
            "watches {directories} directories and {files} files; new listeners: {listeners}; firewall: {firewall}; \
             asks every {every} s for UDP sockets and {polled} directories"
        ),
        format!(
            "监视 {directories} 个目录和 {files} 个文件；新的监听：{listeners}；防火墙：{firewall}；\
             每 {every} 秒查询 UDP 套接字和 {polled} 个目录"
        ),
    ));
    lines.extend(status.remediation.iter().flat_map(|told| remediation::lines(told, lang)));
    lines.extend(cost(status, lang));
    for trouble in &status.troubles {
        lines.push(say(format!("trouble: {}", escape(trouble)), format!("异常：{}", escape(trouble))));
    }
    lines
}

/// What it costs, and what it does for it.
fn cost(status: &Status, lang: Lang) -> [String; 2] {
    let (cost, hours, since) = (&status.cost, status.full_look_in / 3600, &status.since);
    let (own, looks, count, audits) = (cost.own_cpu_ms, cost.looks_cpu_ms, cost.looks, cost.audits_cpu_ms);
    let full = status.last_full.as_deref();
    let pss = cost.pss_kib.map_or_else(|| "?".to_owned(), |kib| kib.to_string());
    let wakes: Vec<String> = cost.wakes.iter().map(|(reason, count)| format!("{} {count}", escape(reason))).collect();
    if lang == Lang::Zh {
        let full = full.unwrap_or("尚未完成");
        return [
            format!(
                "内存 {pss} KiB；自 {since} 起占用处理器 {own} 毫秒，{count} 次检查占用 {looks} 毫秒，口令审计占用 {audits} 毫秒；上次全面检查：{full}，{hours} 小时后再次进行"
            ),
            format!("唤醒次数及原因：{}", wakes.join("，")),
        ];
    }
    let full = full.unwrap_or("not yet");
    [
        format!(
            "{pss} KiB of memory; processor time since {since}: {own} ms, {looks} ms in {count} looks, {audits} ms in password \
             audits; looked at everything: {full}, again in {hours} h"
        ),
        format!("woken by: {}", wakes.join(", ")),
    ]
}
