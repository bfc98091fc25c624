//! `sshd.empty-password`: an empty password is let through.

use super::{account_subject, accounts, close, daemon_subject, evidence, fixed_by, setting, show, source_words};
use crate::access::{Method, SourceAccess};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::edit::Edit;

/// The check.
pub static CHECK: Check = Check {
    id: "sshd.empty-password",
    title: Text { en: "Empty passwords open nothing", zh: "禁止空口令登录" },
    rationale: Text {
        en: "With PermitEmptyPasswords an account without a password is open to everybody who knows its name, without any \
             question asked.",
        zh: "启用 PermitEmptyPasswords 后，没有口令的账号对任何知道其名字的人开放，不会有任何询问。",
    },
    severity: Severity::Critical,
    profiles: &[Profile::Basic, Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[Reference { source: "Alibaba Cloud Security Center baseline", item: "PermitEmptyPasswords no" }],
    reads: &["sshd configuration", "passwd and shadow", "PAM stacks of sshd"],
    fix: Some(Text { en: "switches PermitEmptyPasswords off", zh: "关闭 PermitEmptyPasswords" }),
    remedy: Text {
        en: "Set `PermitEmptyPasswords no` (in Match blocks too), reload sshd, and lock accounts that have no password.",
        zh: "设置 `PermitEmptyPasswords no`（Match 块中也要），重载 sshd，并锁定没有口令的账号。",
    },
    messages: &[
        Message {
            id: "reached",
            text: Text {
                en: "{user} has no password and can log in without one from: {sources}",
                zh: "{user} 没有口令，无需口令即可登录，来源：{sources}",
            },
        },
        Message {
            id: "allowed",
            text: Text {
                en: "PermitEmptyPasswords is on in {config}; no account without a password can be reached today",
                zh: "{config} 中 PermitEmptyPasswords 已开启；目前没有可被利用的空口令账号",
            },
        },
    ],
    check,
};

const METHODS: [Method; 3] = [Method::None, Method::Password, Method::KeyboardInteractive];

/// The way that asks for nothing, alone or as the last of several steps.
fn reached(source: &SourceAccess) -> bool {
    source.sure().any(|way| way.methods.contains(&Method::None))
}

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::default();
    for daemon in &input.access.daemons {
        let mut found = false;
        for (_, account) in accounts(input.access).filter(|(its, _)| its.config == daemon.config) {
            let subject = account_subject(input.access, daemon, account);
            let open: Vec<&SourceAccess> = account.sources.iter().filter(|source| reached(source)).collect();
            let Some(shown) = open.iter().find(|s| s.class.is_public(s.example)).or(open.first()) else {
                let lax = |source: &&SourceAccess| {
                    source.decided_by.iter().any(|d| d.keyword == "PermitEmptyPasswords" && d.value == "yes")
                };
                for source in account.sources.iter().filter(lax) {
                    source.doubts_about(&METHODS).for_each(|why| tally.doubt(subject.clone(), why.clone()));
                }
                continue;
            };
            found = true;
            let finding = Finding::new(Severity::Critical, subject, "reached")
                .with("user", &account.user)
                .with_list("sources", source_words(open.iter().copied()))
                .reproduce(&shown.reproduce);
            let mut finding = evidence(finding, &shown.decided_by, &["PermitEmptyPasswords", "PasswordAuthentication"]);
            for source in &open {
                finding = fixed_by(finding, close(daemon, source, "PermitEmptyPasswords", "no"));
            }
            tally.fail(finding);
        }
        if let (false, Ok(global)) = (found, &daemon.global)
            && global.yes("permitemptypasswords")
        {
            let edit = Edit::SshdSet {
                config: daemon.config.clone(),
                keyword: "PermitEmptyPasswords",
                value: "no".to_owned(),
            };
            let finding = Finding::new(Severity::Critical, daemon_subject(daemon), "allowed")
                .with("config", crate::check::path_text(&daemon.config))
                .reproduce(show(daemon))
                .fixed_by(edit);
            tally.fail(setting(finding, global, "PermitEmptyPasswords", "permitemptypasswords"));
        }
    }
    super::unread(input, &mut tally);
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, expect};
    use super::*;

    #[test]
    fn an_empty_password_opens_it_or_not() {
        for case in [
            Case::pass("UsePAM yes\n").with_empty_password(),
            Case::fail("UsePAM yes\nPermitEmptyPasswords yes\n", &["sshd:/etc/ssh/sshd_config allowed"]),
            Case::fail("UsePAM yes\nPermitEmptyPasswords yes\n", &["account:bob reached"]).with_empty_password(),
            Case::fail("UsePAM yes\nMatch User bob\nPermitEmptyPasswords yes\n", &["account:bob reached"])
                .with_empty_password(),
            Case::unknown("UsePAM yes\nMatch User bob\nPermitEmptyPasswords yes\n").without_shadow(),
        ] {
            expect(&CHECK, &case);
        }
    }
}
