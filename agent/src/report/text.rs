//! The report for people: the verdict first at a terminal; last, short and without colour anywhere else.

use std::collections::HashMap;

use hostward_checks::check::{Lang, Severity};

use super::{Report, edits, message, reason};
use crate::judge::{Judged, JudgedFinding, State, Waived};
use crate::sanitize::{brief, escape};

/// The most bytes written when nobody sits at a terminal: what Cloud Assistant keeps.
pub const SHORT_LIMIT: usize = 12_000;
/// What one message or line of evidence may take on the screen.
const LINE: usize = 400;

/// How the text is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'a> {
    /// The language.
    pub lang: Lang,
    /// Colour.
    pub colour: bool,
    /// A terminal: verdict first, nothing left out. Else verdict last, under [`SHORT_LIMIT`] bytes.
    pub terminal: bool,
    /// Where the full report lies, to be named when something is left out.
    pub full_report: Option<&'a str>,
}

/// Renders a scan.
pub fn render(report: &Report, judged: &[Judged], layout: Layout<'_>) -> String {
    let verdict = verdict(report, layout);
    let mut blocks = finding_blocks(judged, layout);
    blocks.extend(doubt_blocks(judged, layout));
    blocks.extend(waived_block(judged, layout));
    if layout.terminal {
        return format!("{verdict}\n{}", blocks.concat());
    }
    let note = |left_out: usize| match (layout.lang, layout.full_report) {
        (_, _) if left_out == 0 => String::new(),
        (Lang::En, Some(path)) => format!("({left_out} more left out; the full report: {path})\n"),
        (Lang::En, None) => {
            format!("({left_out} more left out; use --format json --output FILE for the full report)\n")
        }
        (Lang::Zh, Some(path)) => format!("（另有 {left_out} 项未显示；完整报告：{path}）\n"),
        (Lang::Zh, None) => format!("（另有 {left_out} 项未显示；完整报告请用 --format json --output FILE）\n"),
    };
    let room = SHORT_LIMIT.saturating_sub(verdict.len() + note(blocks.len().max(1)).len() + 1);
    let (mut out, mut shown) = (String::new(), 0);
    for block in &blocks {
        if out.len() + block.len() > room {
            break;
        }
        out.push_str(block);
        shown += 1;
    }
    out.push_str(&note(blocks.len() - shown));
    out.push_str(&verdict);
    out
}

fn paint(text: &str, severity: Severity, colour: bool) -> String {
    let code = match severity {
        Severity::Critical => "1;31",
        Severity::High => "31",
        Severity::Medium => "33",
        Severity::Low => "36",
        Severity::Info => "2",
    };
    if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// The word for a severity in a language.
pub fn severity_word(severity: Severity, lang: Lang) -> &'static str {
    match (lang, severity) {
        (Lang::En, severity) => severity.word(),
        (Lang::Zh, Severity::Critical) => "严重",
        (Lang::Zh, Severity::High) => "高危",
        (Lang::Zh, Severity::Medium) => "中危",
        (Lang::Zh, Severity::Low) => "低危",
        (Lang::Zh, Severity::Info) => "提示",
    }
}

fn verdict(report: &Report, layout: Layout<'_>) -> String {
    let summary = &report.summary;
    let counts: Vec<String> = Severity::ALL
        .iter()
        .rev()
        .filter_map(|severity| {
            let count = *summary.counts.get(severity.word())?;
            (count > 0)
                .then(|| paint(&format!("{count} {}", severity_word(*severity, layout.lang)), *severity, layout.colour))
        })
        .collect();
    let counts = if counts.is_empty() { None } else { Some(counts.join(", ")) };
    let host = report.host.hostname.as_deref().unwrap_or(&report.host.root);
    let os = report.host.os.as_ref().map_or("", |os| os.name.as_str());
    let instance = report.host.instance.as_ref().and_then(|instance| instance.id.as_deref()).unwrap_or("");
    let subject =
        [host, instance, os].iter().filter(|part| !part.is_empty()).map(|part| brief(part, 80)).collect::<Vec<_>>();
    let about = subject.join(" · ");
    match layout.lang {
        Lang::En => {
            let word = match summary.verdict.as_str() {
                "pass" => "PASS",
                "fail" => "FAIL",
                _ => "UNDECIDED",
            };
            format!(
                "{word}: {}; {} undecided, {} waived, {} passed\n{about} · profile {} · {} ms\n",
                counts.unwrap_or_else(|| "nothing found".to_owned()),
                summary.unknown,
                summary.waived,
                summary.passed,
                report.profile,
                report.duration_ms
            )
        }
        Lang::Zh => {
            let word = match summary.verdict.as_str() {
                "pass" => "通过",
                "fail" => "未通过",
                _ => "无法判定",
            };
            format!(
                "{word}：{}；{} 项无法判定，{} 项已豁免，{} 项通过\n{about} · 方案 {} · {} 毫秒\n",
                counts.unwrap_or_else(|| "没有发现问题".to_owned()),
                summary.unknown,
                summary.waived,
                summary.passed,
                report.profile,
                report.duration_ms
            )
        }
    }
}

fn finding_blocks(judged: &[Judged], layout: Layout<'_>) -> Vec<String> {
    let mut found: Vec<(&Judged, &JudgedFinding)> =
        judged.iter().flat_map(|one| one.findings.iter().map(move |finding| (one, finding))).collect();
    found.retain(|(_, finding)| finding.waived.is_none());
    found.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.severity));
    // What rests on the same lines and is mended by the same step is told once, with everybody whom it concerns.
    let mut groups: Vec<(&Judged, &JudgedFinding, Vec<&str>)> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (one, judged) in found {
        let finding = &judged.finding;
        let key = (!finding.evidence.is_empty() && !finding.fix.is_empty()).then(|| {
            let said = (one.check.id, finding.message, judged.severity);
            format!("{said:?} {:?} {:?}", finding.evidence, finding.fix)
        });
        match key.as_ref().and_then(|key| known.get(key)).and_then(|at| groups.get_mut(*at)) {
            Some((_, _, others)) => others.push(&finding.subject),
            None => {
                known.extend(key.map(|key| (key, groups.len())));
                groups.push((one, judged, Vec::new()));
            }
        }
    }
    groups
        .iter()
        .map(|(one, finding, others)| finding_block(one, finding, layout) + &alike(others, layout.lang))
        .collect()
}

/// Whom else a finding concerns.
fn alike(others: &[&str], lang: Lang) -> String {
    const NAMED: usize = 10;
    if others.is_empty() {
        return String::new();
    }
    let named: Vec<String> = others.iter().take(NAMED).map(|subject| brief(subject, 60)).collect();
    let (count, named) = (others.len(), named.join(", "));
    let more = if count > NAMED { ", …" } else { "" };
    match lang {
        Lang::En => format!("         and {count} more alike: {named}{more}\n"),
        Lang::Zh => format!("         另有 {count} 项相同：{named}{more}\n"),
    }
}

fn finding_block(one: &Judged, finding: &JudgedFinding, layout: Layout<'_>) -> String {
    let lang = layout.lang;
    let severity = paint(&format!("{:8}", severity_word(finding.severity, lang)), finding.severity, layout.colour);
    let mut out = format!("{severity} {}  {}\n", one.check.id, brief(&message(one, finding, lang), LINE));
    for seen in finding.finding.evidence.iter().take(6) {
        let line = seen.line.map(|line| format!(":{line}")).unwrap_or_default();
        let text = if seen.text.is_empty() { String::new() } else { format!(": {}", brief(&seen.text, 200)) };
        out.push_str(&format!("         {}{line}{text}\n", brief(&seen.file, 200)));
    }
    let more = finding.finding.evidence.len().saturating_sub(6);
    if more > 0 {
        out.push_str(&format!("         … +{more}\n"));
    }
    let (show, fix) = match lang {
        Lang::En => ("see:", "fix:"),
        Lang::Zh => ("复现:", "修复:"),
    };
    if let Some(command) = &finding.finding.reproduce {
        out.push_str(&format!("         {show} {}\n", brief(command, LINE)));
    }
    for edit in finding.finding.fix.iter().take(6) {
        out.push_str(&format!("         {fix} {}\n", brief(&edits::words(edit, lang), LINE)));
    }
    out
}

fn doubt_blocks(judged: &[Judged], layout: Layout<'_>) -> Vec<String> {
    let unknown = match layout.lang {
        Lang::En => "unknown ",
        Lang::Zh => "无法判定",
    };
    judged
        .iter()
        .filter(|one| !one.doubts.is_empty())
        .map(|one| {
            let why = reason(one, layout.lang).unwrap_or_default();
            format!("{unknown} {}  {}\n", one.check.id, brief(&why, LINE))
        })
        .collect()
}

fn waived_block(judged: &[Judged], layout: Layout<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for one in judged.iter().filter(|one| matches!(one.state, State::Waived | State::Fail)) {
        for finding in &one.findings {
            let why = match (&finding.waived, layout.lang) {
                (None, _) => continue,
                (Some(Waived::Waiver { reason, .. }), _) => escape(reason),
                (Some(Waived::Baseline), Lang::En) => "in the baseline".to_owned(),
                (Some(Waived::Baseline), Lang::Zh) => "已在基线中接受".to_owned(),
            };
            let word = match layout.lang {
                Lang::En => "waived  ",
                Lang::Zh => "已豁免",
            };
            out.push(format!(
                "{word} {}  {} ({})\n",
                one.check.id,
                brief(&finding.finding.subject, 200),
                brief(&why, 200)
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use hostward_checks::catalogue;
    use hostward_checks::check::{Finding, Verdict};
    use hostward_checks::edit::Edit;
    use hostward_checks::policy::Policy;

    use super::*;
    use crate::judge::{self, Rules};

    #[test]
    fn what_one_step_mends_is_told_once() {
        let check = catalogue::ALL.iter().copied().find(|check| check.id == "sshd.forwarding").unwrap();
        let message = check.messages.first().unwrap().id;
        let finding = |subject: &str, line: u32| {
            Finding::new(Severity::Low, subject, message)
                .seen("/etc/ssh/sshd_config", Some(line), "X11Forwarding yes".to_owned())
                .fixed_by(Edit::StopUnit { unit: "x.service".into() })
        };
        let mut found: Vec<Finding> = (0..14).map(|n| finding(&format!("account:u{n}"), 90)).collect();
        found.push(finding("account:other", 91));
        let policy = Policy::builtin(hostward_checks::check::Profile::Enhanced);
        let rules = Rules { policy: &policy, now: 0, baseline: None };
        let judged = [judge::judge(check, Verdict::Fail(found, Vec::new()), &rules)];
        let layout = Layout { lang: Lang::En, colour: false, terminal: true, full_report: None };
        let blocks = finding_blocks(&judged, layout);
        assert_eq!(blocks.len(), 2);
        assert_eq!(
            blocks[0].lines().last().unwrap().trim(),
            "and 13 more alike: account:u1, account:u2, account:u3, account:u4, account:u5, account:u6, account:u7, account:u8, account:u9, account:u10, …"
        );
        assert!(blocks[1].contains("sshd_config:91") && !blocks[1].contains("alike"));
    }
}
