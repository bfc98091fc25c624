//! `accounts.uid0`: a second root, or two accounts that the system cannot tell apart.

use super::{BASELINE, MLPS, doubt_users, subject};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::host::accounts::{PASSWD, User};

/// The check.
pub static CHECK: Check = Check {
    id: "accounts.uid0",
    title: Text {
        en: "Only root has uid 0, and no uid or name stands twice",
        zh: "只有 root 的 UID 为 0，UID 和账号名不重复",
    },
    rationale: Text {
        en: "The kernel knows uids, not names: a second account with uid 0 is root under another name, a favourite of those who \
             want to come back. Two accounts with one uid own each other's files, and of two lines with one name only the first \
             counts.",
        zh: "内核只认 UID 不认账号名：另一个 UID 为 0 的账号就是换了名字的 root，是常见的后门手法。两个账号共用 UID 则可互相访问文件；同名的两行只有第一行生效。",
    },
    severity: Severity::Critical,
    profiles: &[Profile::Basic, Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: BASELINE, item: "CheckId 15 确保root是唯一的UID为0的帐户" },
        Reference { source: MLPS, item: "UID unique" },
    ],
    reads: &["passwd", "nsswitch.conf"],
    fix: None,
    remedy: Text {
        en: "Find out who made the account and what runs under it, then remove it (`userdel`), or give it a uid of its own \
             (`usermod -u`) and its files to it.",
        zh: "先查清账号由谁创建、哪些进程在使用，再删除（`userdel`），或改为独立的 UID（`usermod -u`）并调整其文件属主。",
    },
    messages: &[
        Message {
            id: "second-root",
            text: Text { en: "{user} has uid 0: it is root", zh: "账号 {user} 的 UID 为 0，等同于 root" },
        },
        Message {
            id: "uid-twice",
            text: Text {
                en: "{user} has uid {uid}, which is {other}'s",
                zh: "账号 {user} 与 {other} 的 UID 相同（{uid}）",
            },
        },
        Message {
            id: "name-twice",
            text: Text {
                en: "{user} stands in passwd twice, with uids {uid} and {other}",
                zh: "账号名 {user} 在 passwd 中出现两次，UID 分别为 {other} 和 {uid}",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    doubt_users(input, &mut tally);
    let accounts = &input.host.accounts;
    for user in accounts.list() {
        let name = user.name().text();
        // A look-up finds the first; where that is another line, it stands earlier.
        let earlier = |other: &&User| other.entry.line != user.entry.line;
        let same_name = accounts.by_name(user.name().bytes()).filter(earlier);
        let same_uid = accounts.by_uid(user.entry.uid).filter(earlier);
        let finding = if user.is_root() && *user.name() != "root" {
            Finding::new(Severity::Critical, subject(user), "second-root").with("user", name)
        } else if let Some(other) = same_name {
            Finding::new(Severity::High, subject(user), "name-twice")
                .with("user", name)
                .with_number("uid", user.entry.uid)
                .with_number("other", other.entry.uid)
        } else if let Some(other) = same_uid {
            Finding::new(Severity::High, subject(user), "uid-twice")
                .with("user", name)
                .with_number("uid", user.entry.uid)
                .with("other", other.name().text())
        } else {
            continue;
        };
        tally.fail(finding.seen(PASSWD, Some(user.entry.line), shown(user)));
    }
    tally.verdict()
}

/// The line without its password field.
fn shown(user: &User) -> String {
    format!("{}:…:{}:{}", user.name().text(), user.entry.uid, user.entry.gid)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;

    #[test]
    fn second_roots_and_clones_are_found() {
        Case::new().clean(&CHECK);
        for (line, want) in [
            ("toor:x:0:0::/root:/bin/sh", "account:toor second-root"),
            ("root:x:0:0::/root:/bin/sh", "account:root name-twice"),
            ("alice:x:0:0::/root:/bin/sh", "account:alice second-root"),
            ("alice:x:1005:0::/root:/bin/sh", "account:alice name-twice"),
            ("bob:x:1000:1000::/:/bin/sh", "account:bob uid-twice"),
            (" ghost:x:+0:0", "account:ghost second-root"),
        ] {
            assert_eq!(Case::new().user(line).findings(&CHECK), [want], "{line}");
        }
    }

    #[test]
    fn accounts_that_were_not_looked_at_are_unknown() {
        assert_eq!(Case::new().deny("/etc/passwd").doubts(&CHECK), ["file:/etc/passwd"]);
        let ldap = Case::new().file("/etc/nsswitch.conf", "passwd: files ldap\n");
        assert_eq!(ldap.doubts(&CHECK), ["accounts"]);
    }
}
