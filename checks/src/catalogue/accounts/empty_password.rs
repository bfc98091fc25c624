//! `accounts.empty-password`: an account without a password, or with its hash where everybody can read it.

use super::{BASELINE, locking, passwords, shown, subject};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::host::accounts::PASSWD;

/// The check.
pub static CHECK: Check = Check {
    id: "accounts.empty-password",
    title: Text { en: "Every account has a password or is locked", zh: "不存在空口令账号" },
    rationale: Text {
        en: "An empty field means that anybody may log in, at the console, with su, and through every service that allows it. A \
             hash in /etc/passwd can be read, and so guessed at leisure, by every local user.",
        zh: "密码字段为空时，任何人都可以通过控制台、su 以及允许空口令的服务登录。密码哈希写在 /etc/passwd 中，则任何本地用户都能读取并离线破解。",
    },
    severity: Severity::Critical,
    profiles: &[Profile::Basic, Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: BASELINE, item: "CheckId 1 检查系统空密码账户" },
        Reference {
            source: "Alibaba Cloud image documentation",
            item: "passwd -d leaves an empty password: lock instead",
        },
    ],
    reads: &["passwd", "shadow"],
    fix: Some(Text { en: "locks the password; key logins stay", zh: "锁定该口令，密钥登录不受影响" }),
    remedy: Text {
        en: "`passwd -l USER` locks, `passwd USER` sets a password; `pwconv` moves hashes from passwd to shadow.",
        zh: "`passwd -l 账号` 锁定，`passwd 账号` 设置口令；`pwconv` 可把哈希从 passwd 移到 shadow。",
    },
    messages: &[
        Message { id: "empty", text: Text { en: "{user} has an empty password", zh: "账号 {user} 的密码为空" } },
        Message {
            id: "in-passwd",
            text: Text {
                en: "the password hash of {user} stands in /etc/passwd, which everybody can read",
                zh: "账号 {user} 的密码哈希写在所有人可读的 /etc/passwd 中",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    for (user, password) in passwords(input, &mut tally) {
        let name = user.name().text();
        if password.field.is_empty() {
            // Where no session is to be had, only services that ask for nothing but the password are open.
            let severity = if user.has_login_shell() { Severity::Critical } else { Severity::High };
            let finding = Finding::new(severity, subject(user), "empty").with("user", name);
            tally.fail(locking(shown(finding, user, &password, ""), user));
        } else if password.file == PASSWD && password.field.hash().is_some() {
            let finding = Finding::new(Severity::High, subject(user), "in-passwd").with("user", name);
            tally.fail(shown(finding, user, &password, "(hash)"));
        }
    }
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, SHA512};
    use super::*;
    use crate::edit::Edit;

    #[test]
    fn empty_fields_and_hashes_in_passwd_are_found() {
        Case::new().password("alice", SHA512).clean(&CHECK);
        let case = Case::new().password("alice", "");
        assert_eq!(case.findings(&CHECK), ["account:alice empty"]);
        let finding = case.finding(&CHECK);
        assert_eq!(finding.severity, Severity::Critical);
        assert_eq!(finding.fix, [Edit::LockPassword { user: "alice".to_owned() }]);
        assert_eq!(finding.evidence[0].text, "alice::…");
        case.password("alice", "!").clean(&CHECK);

        let old = Case::new().user("old::1002:1002::/:/bin/sh").user(&format!("bob:{SHA512}:1003:1003::/:/bin/sh"));
        assert_eq!(old.findings(&CHECK), ["account:old empty", "account:bob in-passwd"]);
        let mute = Case::new().user("mute::1002:1002::/:/sbin/nologin").finding(&CHECK);
        assert_eq!(mute.severity, Severity::High);
    }

    #[test]
    fn the_fix_leaves_no_field_empty() {
        let case = Case::new().password("alice", "");
        assert!(case.becomes(&CHECK, "/etc/shadow").starts_with("0:42 0640 root:*:"));
        assert!(case.becomes(&CHECK, "/etc/shadow").ends_with("\nalice:!:1000:0:99999:7:::\n"));
        assert!(case.without_pam().becomes(&CHECK, "/etc/shadow").ends_with("\nalice:*:1000:0:99999:7:::\n"));
        let old = Case::new().user("old::1002:1002::/:/bin/sh");
        assert!(old.becomes(&CHECK, "/etc/passwd").ends_with("\nold:!:1002:1002::/:/bin/sh\n"));
        let shadowed = old.password("old", "");
        assert!(shadowed.becomes(&CHECK, "/etc/passwd").ends_with("\nold:x:1002:1002::/:/bin/sh\n"));
    }

    #[test]
    fn an_unreadable_shadow_is_unknown() {
        assert_eq!(Case::new().deny("/etc/shadow").doubts(&CHECK), ["file:/etc/shadow"]);
        assert_eq!(Case::new().deny("/etc/passwd").doubts(&CHECK), ["file:/etc/passwd"]);
    }
}
