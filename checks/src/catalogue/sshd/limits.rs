//! `sshd.limits`: how many tries, how long, how many at once.

use super::{daemon_subject, fixed_by, set, setting, show};
use crate::access::DaemonAccess;
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::edit::Edit;
use crate::sshd::{Effective, Origin};

/// The check.
pub static CHECK: Check = Check {
    id: "sshd.limits",
    title: Text {
        en: "Tries, waiting and idle sessions are limited", zh: "限制登录尝试、等待与空闲会话"
    },
    rationale: Text {
        en: "Limits slow down guessing, keep half-open connections from filling sshd up, and end sessions that somebody left \
             open.",
        zh: "这些限制可减缓口令猜测，避免半开连接占满 sshd，并结束被遗忘的会话。",
    },
    severity: Severity::Low,
    profiles: &[Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference {
            source: "Alibaba Cloud Security Center baseline",
            item: "MaxAuthTries 3-6, LoginGraceTime, ClientAliveInterval 300-900, ClientAliveCountMax 0-3",
        },
        Reference { source: "MLPS level 3", item: "logon failure handling and idle timeout" },
    ],
    reads: &["sshd configuration"],
    fix: Some(Text { en: "sets the value", zh: "设置该值" }),
    remedy: Text {
        en: "Set MaxAuthTries 4, LoginGraceTime 60, MaxStartups 10:30:100, ClientAliveInterval 600 and ClientAliveCountMax 3.",
        zh: "设置 MaxAuthTries 4、LoginGraceTime 60、MaxStartups 10:30:100、ClientAliveInterval 600 和 ClientAliveCountMax 3。",
    },
    messages: &[
        Message {
            id: "range",
            text: Text {
                en: "{config}: {keyword} is {value}; it should lie between {least} and {most}",
                zh: "{config}：{keyword} 为 {value}；应在 {least} 与 {most} 之间",
            },
        },
        Message {
            id: "unlimited",
            text: Text {
                en: "{config}: {keyword} {value} sets no limit",
                zh: "{config}：{keyword} {value} 没有设置任何限制",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let limits = &input.policy.limits;
    let ranges = [
        ("MaxAuthTries", limits.max_auth_tries, "4"),
        ("LoginGraceTime", (1, limits.login_grace_seconds), "60"),
        ("ClientAliveInterval", limits.client_alive_seconds, "600"),
        ("ClientAliveCountMax", limits.client_alive_count, "3"),
    ];
    let mut tally = Tally::default();
    for daemon in &input.access.daemons {
        let config = crate::check::path_text(&daemon.config);
        for (keyword, (least, most), usual) in ranges {
            let key = keyword.to_ascii_lowercase();
            let off = |effective: &&Effective| effective.number(&key).is_some_and(|n| n < least || n > most);
            let all: Vec<&Effective> = daemon.settings().filter(off).collect();
            let Some(effective) = all.first() else { continue };
            let value = effective.number(&key).unwrap_or_default();
            let usual = if (least..=most).contains(&usual.parse().unwrap_or(least)) {
                usual.to_owned()
            } else {
                most.to_string()
            };
            let finding = Finding::new(Severity::Low, format!("{} {keyword}", daemon_subject(daemon)), "range")
                .with("config", &config)
                .with("keyword", keyword)
                .with_number("value", value)
                .with_number("least", least)
                .with_number("most", most)
                .reproduce(show(daemon));
            let edits = all.iter().map(|effective| set(daemon, effective, keyword, &usual)).collect();
            tally.fail(fixed_by(setting(finding, effective, keyword, &key), edits));
        }
        if let Ok(global) = &daemon.global {
            let value = global.text("maxstartups");
            if unlimited(value) {
                let finding =
                    Finding::new(Severity::Low, format!("{} MaxStartups", daemon_subject(daemon)), "unlimited")
                        .with("config", &config)
                        .with("keyword", "MaxStartups")
                        .with("value", value)
                        .reproduce(show(daemon))
                        .fixed_by(startups(daemon, global));
                tally.fail(setting(finding, global, "MaxStartups", "maxstartups"));
            }
        }
    }
    super::unread(input, &mut tally);
    tally.verdict()
}

/// The last MaxStartups wins before OpenSSH 10.1 (`servconf.c`), so that the line itself is changed.
fn startups(daemon: &DaemonAccess, global: &Effective) -> Edit {
    let (keyword, value) = ("MaxStartups", "10:30:100".to_owned());
    match global.value("maxstartups").map(|value| &value.origin) {
        Some(Origin::Line { file, line }) => Edit::SshdLine { file: file.clone(), line: *line, keyword, value },
        _ => Edit::SshdSet { config: daemon.config.clone(), keyword, value },
    }
}

/// `start:rate:full`: with a rate of 0 nothing is dropped before the last figure; beyond a thousand it protects nothing.
fn unlimited(value: &str) -> bool {
    let last = value.rsplit(':').next().and_then(|full| full.parse::<u64>().ok());
    last.is_some_and(|full| full > 1000)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, expect};
    use super::*;

    #[test]
    fn limits_are_in_range_or_not() {
        let good = "MaxAuthTries 4\nLoginGraceTime 60\nClientAliveInterval 10m\nClientAliveCountMax 3\n";
        for case in [
            Case::pass(good),
            Case::fail(&good.replace("Tries 4", "Tries 20"), &["sshd:/etc/ssh/sshd_config MaxAuthTries range"]),
            Case::fail(&good.replace("Time 60", "Time 0"), &["sshd:/etc/ssh/sshd_config LoginGraceTime range"]),
            Case::fail(&format!("MaxStartups 5000\n{good}"), &["sshd:/etc/ssh/sshd_config MaxStartups unlimited"]),
            Case::fail(
                &format!("{good}MaxStartups 2000\nMaxStartups 10:30:4000\n"),
                &["sshd:/etc/ssh/sshd_config MaxStartups unlimited"],
            ),
            Case::fail(
                &format!("{good}Match User ann\nMaxAuthTries 30\n"),
                &["sshd:/etc/ssh/sshd_config MaxAuthTries range"],
            ),
            Case::unknown(good).with_unreadable("/etc/ssh/sshd_config"),
        ] {
            expect(&CHECK, &case);
        }
    }
}
