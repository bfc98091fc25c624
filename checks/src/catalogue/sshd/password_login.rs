//! `sshd.password-login`: an account that a password alone opens.

use super::{PASSWORD_METHODS, account_subject, accounts, close, evidence, fixed_by, paths, source_words};
use crate::access::{Grant, SourceAccess};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::observation::password::Outcome;

/// The check.
pub static CHECK: Check = Check {
    id: "sshd.password-login",
    title: Text { en: "Nobody logs in with only a password", zh: "禁止仅凭口令登录" },
    rationale: Text {
        en: "Passwords are guessed, reused and phished; every instance with port 22 open to the internet is tried all day. A key \
             cannot be guessed. `PasswordAuthentication no` alone is not enough: with UsePAM, keyboard-interactive asks for the \
             same password.",
        zh: "口令会被猜测、复用和钓鱼；凡是向互联网开放 22 端口的实例都会全天遭受尝试。密钥无法被猜出。仅设置 \
             `PasswordAuthentication no` 并不够：启用 UsePAM 时，keyboard-interactive 询问的是同一个口令。",
    },
    severity: Severity::High,
    profiles: &[Profile::Basic, Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: "Alibaba Cloud ECS security best practices", item: "log on with key pairs" },
        Reference { source: "Alibaba Cloud Security Center baseline", item: "SSH password logon" },
    ],
    reads: &["sshd configuration", "passwd and shadow", "PAM stacks of sshd"],
    fix: Some(Text {
        en: "closes password methods globally and in the Match block that opens them, once an administrator's key is proven",
        zh: "在确认管理员可用密钥登录之后，在全局及打开它的 Match 块中关闭口令类方式",
    }),
    remedy: Text {
        en: "Set `PasswordAuthentication no` and `KbdInteractiveAuthentication no` (`ChallengeResponseAuthentication no` before \
             OpenSSH 8.7), then reload sshd. Make sure that a key opens an administrator's account first.",
        zh: "设置 `PasswordAuthentication no` 和 `KbdInteractiveAuthentication no`（OpenSSH 8.7 之前为 \
             `ChallengeResponseAuthentication no`），然后重载 sshd。请先确认有密钥能登录管理员账号。",
    },
    messages: &[
        Message {
            id: "open",
            text: Text {
                en: "{user} can log in with only a password ({paths}) from: {sources}",
                zh: "{user} 仅凭口令（{paths}）即可登录，来源：{sources}",
            },
        },
        Message {
            id: "weak",
            text: Text {
                en: "{user} can log in with only a password ({paths}) from: {sources}; its password is weak or empty",
                zh: "{user} 仅凭口令（{paths}）即可登录，来源：{sources}；且其口令为弱口令或空口令",
            },
        },
    ],
    check,
};

const KEYWORDS: [&str; 6] = [
    "PasswordAuthentication",
    "KbdInteractiveAuthentication",
    "ChallengeResponseAuthentication",
    "UsePAM",
    "AuthenticationMethods",
    "PermitRootLogin",
];

fn opens(source: &SourceAccess) -> bool {
    source.sure().any(|way| way.password_only() && way.grants != Grant::Nothing)
}

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::default();
    for (daemon, account) in accounts(input.access) {
        let subject = account_subject(input.access, daemon, account);
        let open: Vec<&SourceAccess> = account.sources.iter().filter(|source| opens(source)).collect();
        let Some(shown) = open.iter().find(|s| s.class.is_public(s.example)).or(open.first()) else {
            for source in &account.sources {
                source.doubts_about(&PASSWORD_METHODS).for_each(|why| tally.doubt(subject.clone(), why.clone()));
            }
            continue;
        };
        let public = open.iter().any(|source| source.class.is_public(source.example));
        let empty = shown.ways.iter().any(|way| way.methods.contains(&crate::access::Method::None));
        let weak = empty
            || input.seen.passwords.known().is_some_and(|audit| {
                audit.accounts.iter().any(|a| a.user == account.user.as_str() && matches!(a.outcome, Outcome::Weak(_)))
            });
        let severity = if weak && public { Severity::Critical } else { Severity::High };
        let finding = Finding::new(severity, subject, if weak { "weak" } else { "open" })
            .with("user", &account.user)
            .with_list("paths", paths(shown, |way| way.password_only()))
            .with_list("sources", source_words(open.iter().copied()))
            .reproduce(&shown.reproduce);
        let mut finding = evidence(finding, &shown.decided_by, &KEYWORDS);
        for source in &open {
            for keyword in ["PasswordAuthentication", "KbdInteractiveAuthentication"] {
                finding = fixed_by(finding, close(daemon, source, keyword, "no"));
            }
            if daemon.knows("challengeresponseauthentication") {
                finding = fixed_by(finding, close(daemon, source, "ChallengeResponseAuthentication", "no"));
            }
        }
        tally.fail(finding);
    }
    super::unread(input, &mut tally);
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, expect};
    use super::*;
    use crate::edit::Edit;

    #[test]
    fn a_password_alone_opens_it_or_not() {
        for case in [
            Case::pass("PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM yes\n"),
            Case::pass("AuthenticationMethods publickey,password\nUsePAM yes\n"),
            Case::fail("UsePAM yes\n", &["account:ann open"]),
            Case::fail("PasswordAuthentication no\nUsePAM yes\n", &["account:ann open"]),
            Case::fail(
                "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM yes\nMatch Address 10.0.0.0/8\n\
                 PasswordAuthentication yes\n",
                &["account:ann open"],
            ),
            Case::unknown("UsePAM yes\n").without_shadow(),
        ] {
            expect(&CHECK, &case);
        }
    }

    #[test]
    fn a_block_with_crlf_is_told_apart() {
        let closed = "PasswordAuthentication no\r\nKbdInteractiveAuthentication no\r\nUsePAM yes\r\n";
        let open = "Match Address 203.0.113.0/24\r\n\tPasswordAuthentication yes\r\n";
        let findings = expect(&CHECK, &Case::fail(&format!("{closed}{open}"), &["account:ann open"]));
        let file = "/etc/ssh/sshd_config".into();
        let want = Edit::SshdLine { file, line: 5, keyword: "PasswordAuthentication", value: "no".to_owned() };
        assert_eq!(findings[0].fix, [want]);
    }

    #[test]
    fn what_match_all_opens_is_closed_in_both_places() {
        let config = "KbdInteractiveAuthentication no\nUsePAM yes\nMatch all\nPasswordAuthentication yes\n";
        let findings = expect(&CHECK, &Case::fail(config, &["account:ann open"]));
        let lines = findings[0].fix.iter().filter(|edit| matches!(edit, Edit::SshdLine { line: 4, .. })).count();
        assert_eq!((lines, findings[0].fix.len()), (1, 2), "{:?}", findings[0].fix);
    }

    #[test]
    fn the_fix_edits_the_match_block_that_opens_it() {
        let case = Case::fail(
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM yes\nMatch Address 10.0.0.0/8\n\
             PasswordAuthentication yes\n",
            &["account:ann open"],
        );
        let findings = expect(&CHECK, &case);
        let file = "/etc/ssh/sshd_config".into();
        let want = Edit::SshdLine { file, line: 5, keyword: "PasswordAuthentication", value: "no".to_owned() };
        assert_eq!(findings[0].fix, [want]);
        assert!(findings[0].evidence.iter().any(|e| e.line == Some(5)), "{:?}", findings[0].evidence);
        assert!(findings[0].reproduce.as_ref().unwrap().contains("addr=10."), "{:?}", findings[0].reproduce);
    }
}
