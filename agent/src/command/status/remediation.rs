//! What the resident may fix by itself, what stands against that, and what it tried.

use hostward_checks::check::Lang;

use crate::remedy::hold;
use crate::remedy::ledger::Outcome;
use crate::resident::remedies::{Attempt, Told};
use crate::sanitize::{brief, escape};

/// The lines of it.
pub(super) fn lines(told: &Told, lang: Lang) -> Vec<String> {
    let say = |en: String, zh: String| if lang == Lang::Zh { zh } else { en };
    let named = &told.named;
    let checks = escape(&named.checks.join(", "));
    let mut lines = vec![if named.checks.is_empty() {
        say("may fix nothing by itself".to_owned(), "不自动修复任何问题".to_owned())
    } else {
        say(format!("may fix by itself: {checks}"), format!("可自动修复：{checks}"))
    }];
    if let Some(reason) = &named.hold {
        let reason = if reason.is_empty() { String::new() } else { format!(": {}", escape(reason)) };
        lines.push(say(
            format!("  not while {} stands{reason}", hold::PATH),
            format!("  {} 存在期间不修复{reason}", hold::PATH),
        ));
    }
    if !named.windows.is_empty() {
        let windows = escape(&named.windows.join("; "));
        lines.push(if told.open {
            say(format!("  in its window ({windows})"), format!("  在维护窗口内（{windows}）"))
        } else {
            say(format!("  not now: its window is {windows}"), format!("  现在不修复：维护窗口为 {windows}"))
        });
    }
    if let Some(check) = &told.asking {
        lines.push(say(format!("  at work: {}", escape(check)), format!("  正在处理：{}", escape(check))));
    }
    lines.extend(told.attempts.iter().map(|one| attempt(one, lang)));
    lines
}

fn attempt(one: &Attempt, lang: Lang) -> String {
    let more = [one.transaction.as_deref(), one.why.as_deref()].into_iter().flatten();
    let more: String = more.map(|text| format!("  {}", brief(text, 200))).collect();
    let word = if lang == Lang::Zh { chinese(one.outcome) } else { one.outcome.word() };
    format!("  {}  {word}  {}{more}", escape(&one.at), escape(&one.check))
}

fn chinese(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Attempted => "已开始",
        Outcome::Fixed => "已修复",
        Outcome::RolledBack => "已回滚",
        Outcome::Refused => "已拒绝",
        Outcome::Contended => "反复出现",
    }
}
