//! `sshd.root-login`: root, under any name with uid 0, logs in directly.

use super::{PASSWORD_METHODS, account_subject, accounts, close, evidence, fixed_by, paths, source_words};
use crate::access::{Grant, Method, SourceAccess, Way};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};

/// The check.
pub static CHECK: Check = Check {
    id: "sshd.root-login",
    title: Text { en: "Root does not log in directly", zh: "禁止 root 直接登录" },
    rationale: Text {
        en: "Root is the one account that every attacker knows by name, and its log lines do not say which person acted. \
             PermitRootLogin concerns uid 0 under any name. A password for root is the worst case; a key is a matter of \
             traceability.",
        zh: "root 是所有攻击者都知道名字的账号，而且其日志无法说明是哪个人在操作。PermitRootLogin 针对 uid 0，不论账号叫什么名字。\
             root 口令登录最为危险；root 密钥登录则关系到可追溯性。",
    },
    severity: Severity::Critical,
    profiles: &[Profile::Basic, Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: "Alibaba Cloud cloud protection practice table", item: "no direct root logon" },
        Reference { source: "Alibaba Cloud Security Center baseline", item: "PermitRootLogin" },
        Reference { source: "MLPS level 3", item: "identity authentication" },
    ],
    reads: &["sshd configuration", "passwd and shadow", "root's authorized_keys"],
    fix: Some(Text {
        en: "sets prohibit-password; `no` where another administrator's way in is in use",
        zh: "设为 prohibit-password；若另一管理员的登录途径确在使用，则设为 no",
    }),
    remedy: Text {
        en: "Set `PermitRootLogin prohibit-password`, or `no` once another administrator can log in with a key and use sudo.",
        zh: "设置 `PermitRootLogin prohibit-password`；当另一管理员能用密钥登录并使用 sudo 后，设为 `no`。",
    },
    messages: &[
        Message {
            id: "password",
            text: Text {
                en: "{user} (uid 0) can log in with only a password ({paths}) from: {sources}",
                zh: "{user}（uid 0）仅凭口令（{paths}）即可登录，来源：{sources}",
            },
        },
        Message {
            id: "key",
            text: Text {
                en: "{user} (uid 0) can log in directly ({paths}) from: {sources}",
                zh: "{user}（uid 0）可以直接登录（{paths}），来源：{sources}",
            },
        },
    ],
    check,
};

const KEYWORDS: [&str; 5] = [
    "PermitRootLogin",
    "PasswordAuthentication",
    "KbdInteractiveAuthentication",
    "PubkeyAuthentication",
    "AuthenticationMethods",
];

const METHODS: [Method; 6] =
    [Method::None, Method::Publickey, Method::Password, Method::KeyboardInteractive, Method::Hostbased, Method::Gssapi];

/// A way that makes somebody root: a session, not the forwarding that a forced command leaves.
fn session(way: &Way) -> bool {
    matches!(way.grants, Grant::Shell | Grant::Command | Grant::Sftp)
}

fn check(input: &Input<'_>) -> Verdict {
    let profile = input.policy.profile;
    let mut tally = Tally::default();
    // Another administrator with a way of its own lets root be closed altogether.
    let other = accounts(input.access).any(|(_, account)| {
        account.uid != 0
            && account.admin.known() == Some(&true)
            && account.sources.iter().any(|s| s.last_used.is_some() && s.sure().any(|way| way.grants == Grant::Shell))
    });
    for (daemon, account) in accounts(input.access).filter(|(_, account)| account.uid == 0) {
        let subject = account_subject(input.access, daemon, account);
        let by = |keep: &dyn Fn(&Way) -> bool| -> Vec<&SourceAccess> {
            account.sources.iter().filter(|source| source.sure().any(|way| session(way) && keep(way))).collect()
        };
        let password = by(&|way| way.password_only());
        // An image's first-boot user is root on ECS unless cloud-init says otherwise: its key is no fault there.
        let key = if profile == Profile::Enhanced || profile == Profile::Image && !first_user_is_root(input) {
            by(&|way| !way.password_only())
        } else {
            Vec::new()
        };
        let (open, severity, message) = match (password.is_empty(), key.is_empty()) {
            (false, _) => (password, Severity::Critical, "password"),
            (true, false) => (key, Severity::Medium, "key"),
            (true, true) => {
                let asked: &[Method] = if profile == Profile::Basic { &PASSWORD_METHODS } else { &METHODS };
                for source in &account.sources {
                    source.doubts_about(asked).for_each(|why| tally.doubt(subject.clone(), why.clone()));
                }
                continue;
            }
        };
        let Some(shown) = open.iter().find(|s| s.class.is_public(s.example)).or(open.first()) else { continue };
        let keep = |way: &Way| session(way) && way.password_only() == (message == "password");
        let finding = Finding::new(severity, subject, message)
            .with("user", &account.user)
            .with_list("paths", paths(shown, keep))
            .with_list("sources", source_words(open.iter().copied()))
            .reproduce(&shown.reproduce);
        let mut finding = evidence(finding, &shown.decided_by, &KEYWORDS);
        let value = if other { "no" } else { "prohibit-password" };
        if other || message == "password" {
            for source in &open {
                finding = fixed_by(finding, close(daemon, source, "PermitRootLogin", value));
            }
        }
        tally.fail(finding);
    }
    super::unread(input, &mut tally);
    tally.verdict()
}

/// Whether cloud-init makes root the user that gets the key at first boot.
fn first_user_is_root(input: &Input<'_>) -> bool {
    super::cloud_init::first_user_is_root(input.host)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, expect};
    use super::*;

    #[test]
    fn root_gets_in_or_not() {
        for case in [
            Case::pass("PermitRootLogin no\nUsePAM yes\n"),
            Case::pass("PermitRootLogin prohibit-password\nUsePAM yes\n"),
            Case::fail("PermitRootLogin yes\nUsePAM yes\n", &["account:root password", "account:toor password"]),
            Case::fail("PermitRootLogin prohibit-password\nUsePAM yes\n", &["account:root key"]).with_root_key(),
            Case::fail(
                "PermitRootLogin no\nUsePAM yes\nMatch Address 10.0.0.0/8\nPermitRootLogin yes\n",
                &["account:root password", "account:toor password"],
            ),
            // A block that changes nothing.
            Case::fail(
                "PermitRootLogin yes\nUsePAM yes\nMatch Address 10.0.0.0/8\nMatch all\n",
                &["account:root password", "account:toor password"],
            ),
            Case::unknown("PermitRootLogin yes\nUsePAM yes\n").without_shadow(),
        ] {
            expect(&CHECK, &case);
        }
    }

    #[test]
    fn a_key_that_only_says_good_bye_is_no_way_in() {
        let line = "no-port-forwarding,command=\"echo 'Please login as the user ecs-user';exit 142\" ";
        expect(&CHECK, &Case::pass("UsePAM yes\n").with_root_key_options(line));
    }
}
