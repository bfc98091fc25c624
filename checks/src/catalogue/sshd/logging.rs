//! `sshd.logging`: logins leave no trace.

use super::{daemon_subject, fixed_by, set, setting, show};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::sshd::Effective;

/// The check.
pub static CHECK: Check = Check {
    id: "sshd.logging",
    title: Text { en: "Logins are logged", zh: "记录登录日志" },
    rationale: Text {
        en: "Below LogLevel INFO sshd does not say who logged in, from where and with which key: neither an investigation nor \
             hostward's own lock-out guard can tell which ways are in use.",
        zh: "LogLevel 低于 INFO 时，sshd 不会记录谁、从哪里、用哪个密钥登录：无论是事后调查还是 hostward 自身的防锁定保护，都无法\
             得知哪些登录途径正在使用。",
    },
    severity: Severity::Low,
    profiles: &[Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[Reference { source: "Alibaba Cloud Security Center baseline", item: "LogLevel INFO" }],
    reads: &["sshd configuration"],
    fix: Some(Text { en: "sets LogLevel INFO", zh: "设置 LogLevel INFO" }),
    remedy: Text { en: "Set `LogLevel INFO` or `VERBOSE`.", zh: "设置 `LogLevel INFO` 或 `VERBOSE`。" },
    messages: &[Message {
        id: "quiet",
        text: Text { en: "{config}: LogLevel is {value}", zh: "{config}：LogLevel 为 {value}" },
    }],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::default();
    for daemon in &input.access.daemons {
        let quiet = |effective: &&Effective| {
            let level = effective.text("loglevel");
            ["quiet", "silent", "fatal", "error"].iter().any(|low| level.eq_ignore_ascii_case(low))
        };
        let quiet: Vec<&Effective> = daemon.settings().filter(quiet).collect();
        let Some(effective) = quiet.first() else { continue };
        let finding = Finding::new(Severity::Low, daemon_subject(daemon), "quiet")
            .with("config", crate::check::path_text(&daemon.config))
            .with("value", effective.text("loglevel"))
            .reproduce(show(daemon));
        let edits = quiet.iter().map(|effective| set(daemon, effective, "LogLevel", "INFO")).collect();
        tally.fail(fixed_by(setting(finding, effective, "LogLevel", "loglevel"), edits));
    }
    super::unread(input, &mut tally);
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, expect};
    use super::*;

    #[test]
    fn levels_below_info_fail() {
        for case in [
            Case::pass(""),
            Case::pass("LogLevel VERBOSE\n"),
            Case::fail("LogLevel ERROR\n", &["sshd:/etc/ssh/sshd_config quiet"]),
            Case::fail("Match User ann\nLogLevel QUIET\n", &["sshd:/etc/ssh/sshd_config quiet"]),
            Case::unknown("").with_unreadable("/etc/ssh/sshd_config"),
        ] {
            expect(&CHECK, &case);
        }
    }
}
