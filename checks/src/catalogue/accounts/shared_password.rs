//! `accounts.shared-password`: several accounts with the very same hash.

use std::collections::BTreeMap;

use super::{PRACTICE, passwords, shown};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::crypt::Hash;
use crate::host::accounts::{Password, User};

/// The check.
pub static CHECK: Check = Check {
    id: "accounts.shared-password",
    title: Text { en: "No two accounts have the same password hash", zh: "不同账号的密码哈希不相同" },
    rationale: Text {
        en: "Salts make hashes differ even where passwords are alike, so the same hash twice was copied: who learns one \
             password has both accounts, and a password that came with an image or a script is known to others.",
        zh: "由于加盐，即使口令相同哈希也不同；哈希完全一致说明是复制来的：知道其中一个口令就能登录所有这些账号，而随镜像或脚本分发的口令往往已为他人所知。",
    },
    severity: Severity::High,
    profiles: &[Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[Reference { source: PRACTICE, item: "one password for one account" }],
    reads: &["passwd", "shadow"],
    fix: None,
    remedy: Text {
        en: "Set a password of its own for each account (`passwd USER`), or lock what needs none (`passwd -l USER`).",
        zh: "为每个账号单独设置口令（`passwd 账号`），不需要口令的账号请锁定（`passwd -l 账号`）。",
    },
    messages: &[Message {
        id: "shared",
        text: Text { en: "{users} have the same password hash", zh: "账号 {users} 的密码哈希相同" },
    }],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    let mut by_hash: BTreeMap<&[u8], Vec<(&User, Password<'_>)>> = BTreeMap::new();
    for (user, password) in passwords(input, &mut tally) {
        if let Some(hash) = password.field.hash()
            && matches!(Hash::parse(hash), Hash::Known(_) | Hash::Unrecognised)
            && !user.hidden_name
        {
            by_hash.entry(hash).or_default().push((user, password));
        }
    }
    let mut shared: Vec<_> = by_hash.into_values().filter(|users| users.len() > 1).collect();
    // In the order of passwd, not of the hashes.
    shared.sort_by_key(|users| users.first().map(|(user, _)| user.entry.line));
    for users in shared {
        let names: Vec<String> = users.iter().map(|(user, _)| user.name().text().into_owned()).collect();
        let finding = Finding::new(Severity::High, format!("accounts:{}", names.join(",")), "shared");
        let finding = users.iter().fold(finding, |finding, (user, password)| shown(finding, user, password, "(hash)"));
        tally.fail(finding.with_list("users", names));
    }
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, SHA512};
    use super::*;

    #[test]
    fn the_same_hash_twice_is_found() {
        let case = Case::new().password("root", SHA512);
        case.clean(&CHECK);
        case.password("alice", &SHA512.replace("abcdefgh", "ijklmnop")).clean(&CHECK);
        assert_eq!(case.password("alice", SHA512).findings(&CHECK), ["accounts:root,alice shared"]);
        // Locked, empty and dummy fields are alike everywhere.
        for field in ["*", "!", "!!", "", "x"] {
            Case::new().password("root", field).password("alice", field).clean(&CHECK);
        }
    }

    #[test]
    fn an_unreadable_shadow_is_unknown() {
        assert_eq!(Case::new().deny("/etc/shadow").doubts(&CHECK), ["file:/etc/shadow"]);
        let elsewhere = Case::new().file("/etc/nsswitch.conf", "passwd: files\nshadow: files ldap\n");
        assert_eq!(elsewhere.doubts(&CHECK), ["passwords"]);
    }
}
