//! `keys.shared`: one key opens several accounts.

use std::collections::BTreeSet;

use super::{by_key, doubt_unread, key_subject, places, seen, users};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};

/// The check.
pub static CHECK: Check = Check {
    id: "keys.shared",
    title: Text { en: "Each key opens one account", zh: "每个密钥只对应一个账号" },
    rationale: Text {
        en: "Where one key opens several accounts, the logs no longer tell who did what, and losing the key loses them all.",
        zh: "同一密钥可登录多个账号时，日志无法区分操作者，密钥一旦泄露所有账号都会失守。",
    },
    severity: Severity::Medium,
    profiles: &[Profile::Enhanced],
    scope: Scope::Both,
    references: &[Reference {
        source: "Alibaba Cloud ECS security best practices",
        item: "one key pair a person and purpose",
    }],
    reads: &["authorized_keys of every account"],
    fix: None,
    remedy: Text {
        en: "Give each account a key of its own, and let administrators use sudo instead of a second key line.",
        zh: "为每个账号配置各自的密钥，管理员使用 sudo，而不是再添加一行密钥。",
    },
    messages: &[Message {
        id: "shared",
        text: Text {
            en: "{key} opens {count} accounts: {users}", zh: "密钥 {key} 可登录 {count} 个账号：{users}"
        },
    }],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    for places in by_key(places(input).filter(|place| place.line.is_plain())).values() {
        // Two names with one uid are one account to the system; `accounts.uid0` speaks of those.
        let uids: BTreeSet<u32> = places.iter().map(|place| place.account.uid).collect();
        let (Some(first), true) = (places.first(), uids.len() > 1) else { continue };
        let finding = Finding::new(Severity::Medium, key_subject(&first.line.key), "shared")
            .with("key", first.line.key.fingerprint().to_string())
            .with_number("count", i64::try_from(uids.len()).unwrap_or(i64::MAX))
            .with_list("users", users(places));
        tally.fail(seen(finding, places));
    }
    doubt_unread(input, &mut tally);
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use crate::parse::key_blob::samples;

    #[test]
    fn a_key_in_two_accounts_is_shared() {
        let line = samples::ED25519.line;
        Case::new().bob(line).root(samples::RSA.line).clean(&CHECK);
        Case::new().bob(&format!("{line}\n{line}\n")).clean(&CHECK);
        assert_eq!(Case::new().bob(line).root(line).findings(&CHECK), ["medium shared"]);
        // An authority and a line that sshd ignores open nothing by themselves.
        Case::new().bob(line).root(&format!("cert-authority {line}\nfoo {line}\n")).clean(&CHECK);
        assert_eq!(Case::new().unreadable().doubts(&CHECK).len(), 1);
    }
}
