//! `accounts.unknown`: accounts that nobody knows of, or that hide.

use super::{doubt_users, locking, subject, way_in};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::fact::Fact;
use crate::host::accounts::{PASSWD, SHADOW, User, vendor_of};

/// The check.
pub static CHECK: Check = Check {
    id: "accounts.unknown",
    title: Text { en: "Every account that can log in is known", zh: "没有未知或隐藏的登录账号" },
    rationale: Text {
        en: "An account that an intruder made looks like any other until somebody says which there should be. Names with blanks, \
             control characters or foreign letters that look like others are made to be overlooked.",
        zh: "入侵者创建的账号看上去与普通账号无异，只有明确列出应有的账号才能发现。名称中含空格、控制字符或形近字符的账号，往往是为了不被注意到。",
    },
    severity: Severity::High,
    profiles: &[Profile::Enhanced],
    scope: Scope::Live,
    references: &[Reference { source: "Alibaba Cloud 安骑士 baseline", item: "hidden and cloned accounts" }],
    reads: &["passwd", "shadow", "the access matrix", "policy: accounts.expected"],
    fix: Some(Text { en: "locks the password; key logins stay", zh: "锁定该口令，密钥登录不受影响" }),
    remedy: Text {
        en: "Ask who made it. `last USER`, `lastlog -u USER` and its processes tell whether it is in use; remove it with `userdel`, \
             or name it in the policy.",
        zh: "确认创建者；通过 `last 账号`、`lastlog -u 账号` 及其进程判断是否在用；用 `userdel` 删除，或将其写入策略。",
    },
    messages: &[
        Message {
            id: "unexpected",
            text: Text {
                en: "{user} can log in and is not among the accounts that policy expects",
                zh: "账号 {user} 可以登录，但不在策略列出的账号之中",
            },
        },
        Message {
            id: "hidden",
            text: Text {
                en: "the name of {user} is made to be overlooked: it is empty, or has blanks, control characters or letters beyond ASCII",
                zh: "账号 {user} 的名称容易被忽略：为空，或含有空格、控制字符、非 ASCII 字符",
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
        let message = if hides(user) {
            "hidden"
        } else if let Some(expected) = &input.policy.expected_accounts {
            let named = expected.iter().any(|name| name.as_bytes() == user.name().bytes());
            if named
                || *user.name() == "root"
                || vendor_of(user.name().bytes()).is_some()
                || !can_log_in(input, user, &mut tally)
            {
                continue;
            }
            "unexpected"
        } else {
            continue;
        };
        let finding = Finding::new(Severity::High, subject(user), message).with("user", user.name().text()).seen(
            PASSWD,
            Some(user.entry.line),
            format!("{}:…:{}:{}", user.name().text(), user.entry.uid, user.entry.gid),
        );
        tally.fail(locking(finding, user));
    }
    tally.verdict()
}

/// A name that lists do not show as it is. Leading dots and trailing `$` are odd, and in use.
fn hides(user: &User) -> bool {
    let name = user.name().bytes();
    name.is_empty() || name.iter().any(|byte| !byte.is_ascii_graphic())
}

/// A shell, and a way in or a password. What is not known counts against an account for people.
fn can_log_in(input: &Input<'_>, user: &User, tally: &mut Tally) -> bool {
    if !user.has_login_shell() {
        return false;
    }
    let way = way_in(input, user);
    let unsure = !way.doubts.is_empty() || matches!(user.password(), Fact::Unknown(_));
    if way.any || (unsure && input.host.accounts.is_human(user)) {
        return true;
    }
    match user.password() {
        Fact::Known(password) if !password.field.is_locked() => true,
        password => {
            if let Fact::Unknown(why) = password {
                tally.doubt(format!("file:{SHADOW}"), why);
            }
            way.doubts.into_iter().for_each(|why| tally.doubt(subject(user), why));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, SHA512};
    use super::*;
    use crate::catalogue::shown::Drawn;
    use crate::plan::testing::{planned, refusals};

    fn expecting(names: &[&str]) -> Case {
        let mut case = Case::new();
        case.policy.expected_accounts = Some(names.iter().map(|name| (*name).to_owned()).collect());
        case
    }

    #[test]
    fn logins_that_no_list_names_are_found() {
        Case::new().clean(&CHECK);
        expecting(&["alice"]).clean(&CHECK);
        expecting(&[]).clean(&CHECK);
        assert_eq!(expecting(&[]).password("alice", SHA512).findings(&CHECK), ["account:alice unexpected"]);
        assert_eq!(expecting(&[]).doubtful().findings(&CHECK), ["account:alice unexpected"]);
        assert_eq!(expecting(&["alice"]).password("web", SHA512).findings(&CHECK), ["account:web unexpected"]);
        assert_eq!(expecting(&["alice"]).login("web").findings(&CHECK), ["account:web unexpected"]);
        expecting(&["alice"]).user("ecs-user:x:1001:1001::/home/ecs-user:/bin/bash").clean(&CHECK);
        expecting(&["alice"]).user("bob:x:1001:1001::/home/bob:/sbin/nologin").clean(&CHECK);
    }

    #[test]
    fn the_fix_closes_a_password_and_a_key_is_told_again() {
        let case = expecting(&[]).password("alice", SHA512);
        assert!(case.becomes(&CHECK, "/etc/shadow").ends_with(&format!("\nalice:!{SHA512}:1000:0:99999:7:::\n")));
        let snapshot = case.login("alice").password("alice", "!").snapshot();
        let plan = case.login("alice").with(&snapshot, |input| {
            let Verdict::Fail(findings, _) = check(input) else { panic!("passes") };
            planned(&snapshot, input, &CHECK, &findings)
        });
        assert!(plan.is_empty());
        assert_eq!(refusals(&plan), ["locked-already"]);
    }

    #[test]
    fn names_that_hide_are_found_without_a_list() {
        for name in ["roоt", "ro ot", "a\u{1b}[2K", "x\r"] {
            let case = Case::new().user(&format!("{name}:x:1001:1001::/:/sbin/nologin"));
            assert_eq!(case.findings(&CHECK), [format!("account:{name} hidden")], "{name:?}");
        }
        Case::new().user("host$:x:1001:1001::/:/sbin/nologin").user(".svc:x:1002:1002::/:/sbin/nologin").clean(&CHECK);
    }

    #[test]
    fn what_cannot_be_told_is_unknown() {
        assert_eq!(Case::new().deny("/etc/passwd").doubts(&CHECK), ["file:/etc/passwd"]);
        assert_eq!(expecting(&["alice"]).deny("/etc/shadow").doubts(&CHECK), ["file:/etc/shadow"]);
        assert_eq!(expecting(&["alice"]).doubtful().doubts(&CHECK), ["account:web"]);
        let ldap = expecting(&["alice"]).file("/etc/nsswitch.conf", "passwd: files ldap\n");
        assert_eq!(ldap.doubts(&CHECK), ["accounts"]);
    }
}
