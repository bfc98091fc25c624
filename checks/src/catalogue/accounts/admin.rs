//! `accounts.admin`: root is the only one who can administer.

use super::{BASELINE, PRACTICE, way_in};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::fact::Fact;

/// The check.
pub static CHECK: Check = Check {
    id: "accounts.admin",
    title: Text { en: "Somebody other than root can administer", zh: "存在 root 之外的管理账号" },
    rationale: Text {
        en: "While root is the only administrator, everybody shares it: nobody knows who did what, and logins as root cannot be \
             closed. Accounts with sudo are named in the logs.",
        zh: "如果只有 root 能管理，大家就只能共用 root：无法追溯是谁的操作，也无法禁止 root 登录。使用带 sudo 权限的个人账号，日志中才能区分到人。",
    },
    severity: Severity::Low,
    profiles: &[Profile::Enhanced],
    scope: Scope::Both,
    references: &[
        Reference { source: BASELINE, item: "使用非root账号登录实例" },
        Reference { source: PRACTICE, item: "do not log in as root" },
    ],
    reads: &["passwd", "sudoers", "the access matrix"],
    fix: None,
    remedy: Text {
        en: "`useradd -m -s /bin/bash -G wheel NAME` (group sudo on Debian and Ubuntu), put a key into its authorized_keys, log in as \
             it and try `sudo -i`; only then restrict root.",
        zh: "执行 `useradd -m -s /bin/bash -G wheel 账号`（Debian、Ubuntu 用 sudo 组），写入其 authorized_keys，用它登录并确认 `sudo -i` 可用，然后再限制 root。",
    },
    messages: &[Message {
        id: "only-root",
        text: Text {
            en: "no account but root can log in and become root through sudo",
            zh: "除 root 外没有账号可以登录并通过 sudo 成为 root",
        },
    }],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    super::doubt_users(input, &mut tally);
    let accounts = &input.host.accounts;
    for user in accounts.list().iter().filter(|user| !user.is_root() && user.has_login_shell()) {
        let way = way_in(input, user);
        if !way.shell && way.doubts.is_empty() {
            continue;
        }
        match input.host.sudo.is_admin(accounts, user) {
            Fact::Known(true) if way.shell => return Verdict::Pass,
            Fact::Known(true) => way.doubts.into_iter().for_each(|why| tally.doubt(super::subject(user), why)),
            Fact::Unknown(why) => tally.doubt(super::subject(user), why),
            Fact::Known(false) | Fact::Absent => {}
        }
    }
    if !matches!(tally.clone().verdict(), Verdict::Unknown(_)) {
        tally.fail(Finding::new(Severity::Low, "accounts:administrators", "only-root"));
    }
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;

    fn sudo(rules: &str) -> Case {
        Case::new()
            .file("/usr/bin/sudo", "")
            .owned("/usr/bin/sudo", 0, 0, 0o4755)
            .file("/etc/sudoers", &format!("{rules}\n"))
    }

    #[test]
    fn an_administrator_has_sudo_and_a_way_in() {
        let rule = "alice ALL=(ALL) NOPASSWD: ALL";
        sudo(rule).login("alice").clean(&CHECK);
        for case in [sudo(rule), sudo("").login("alice"), sudo("alice ALL=(ALL) ALL").login("alice"), Case::new()] {
            assert_eq!(case.login("root").findings(&CHECK), ["accounts:administrators only-root"]);
        }
    }

    #[test]
    fn what_cannot_be_told_is_unknown() {
        assert_eq!(sudo("").deny("/etc/sudoers").login("alice").doubts(&CHECK), ["account:alice"]);
        let doubtful = sudo("alice ALL=(ALL) NOPASSWD: ALL").doubtful();
        assert_eq!(doubtful.doubts(&CHECK), ["account:alice"]);
        assert_eq!(doubtful.login("alice").doubts(&CHECK), ["account:alice"], "a way that is not sure");
        assert_eq!(sudo("").file("/etc/nsswitch.conf", "passwd: files ldap\n").doubts(&CHECK), ["accounts"]);
        assert_eq!(Case::new().deny("/etc/passwd").doubts(&CHECK), ["file:/etc/passwd"]);
    }
}
