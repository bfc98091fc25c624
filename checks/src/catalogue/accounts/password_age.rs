//! `accounts.password-age`: passwords that never have to change, for accounts that have one.

use super::{BASELINE, passwords, subject};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::edit::Edit;
use crate::fact::{Fact, Why};
use crate::host::accounts::{LOGIN_DEFS, SHADOW, User, vendor_of};
use crate::parse::passwd::ShadowEntry;

/// What hostward sets: what Alibaba Cloud suggests within its own bounds.
const MAX_DAYS: i64 = 90;
const MIN_DAYS: i64 = 7;
const WARN_DAYS: i64 = 7;
/// An account whose password would expire sooner than this is not touched.
const MARGIN_DAYS: i64 = 14;

/// The check.
pub static CHECK: Check = Check {
    id: "accounts.password-age",
    title: Text { en: "Passwords expire, and warn before they do", zh: "口令设置了有效期和到期提醒" },
    rationale: Text {
        en: "A password that leaked is good until it changes. Alibaba Cloud and MLPS ask for a change every 60 to 180 days, not \
             sooner than 7 days after the last, with a warning. Accounts that use keys only are left out.",
        zh: "泄露的口令在修改之前一直有效。阿里云基线和等保要求口令 60～180 天内更换、两次修改至少间隔 7 天，并提前提醒。仅使用密钥的账号不在此列。",
    },
    severity: Severity::Low,
    profiles: &[Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: BASELINE, item: "CheckId 3 设置密码失效时间" },
        Reference { source: BASELINE, item: "CheckId 4 设置密码修改最小间隔时间" },
        Reference { source: BASELINE, item: "CheckId 5 确保密码到期警告天数为7或更多" },
    ],
    reads: &["shadow", "login.defs"],
    fix: Some(Text {
        en: "sets login.defs for new accounts, and the accounts whose password would not expire at once",
        zh: "为新账号设置 login.defs；对不会立即过期的现有账号设置有效期",
    }),
    remedy: Text {
        en: "PASS_MAX_DAYS 90, PASS_MIN_DAYS 7 and PASS_WARN_AGE 7 in /etc/login.defs; `chage -M 90 -m 7 -W 7 USER` for accounts \
             that exist, after their password was changed.",
        zh: "在 /etc/login.defs 中设置 PASS_MAX_DAYS 90、PASS_MIN_DAYS 7、PASS_WARN_AGE 7；现有账号先修改口令，再执行 `chage -M 90 -m 7 -W 7 账号`。",
    },
    messages: &[
        Message {
            id: "defs",
            text: Text {
                en: "{key} in login.defs is {value}; {least} to {most} days are asked for",
                zh: "login.defs 中 {key} 为 {value}，要求 {least}～{most} 天",
            },
        },
        Message {
            id: "account",
            text: Text {
                en: "the password of {user}: {odd}; asked for: changed within {least}–{most} days",
                zh: "账号 {user} 的口令：{odd}；要求 {least}～{most} 天内更换",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    let limits = &input.policy.limits;
    let bounds = [
        ("PASS_MAX_DAYS", limits.password_max_days, MAX_DAYS),
        ("PASS_MIN_DAYS", limits.password_min_days, MIN_DAYS),
        ("PASS_WARN_AGE", limits.password_warn_days, WARN_DAYS),
    ];
    let with_password: Vec<&User> = passwords(input, &mut tally)
        .into_iter()
        .filter(|(user, password)| password.field.hash().is_some() && vendor_of(user.name().bytes()).is_none())
        .map(|(user, _)| user)
        .collect();
    if with_password.is_empty() {
        return tally.verdict();
    }
    match &input.host.accounts.login_defs {
        Fact::Unknown(why) => tally.doubt(format!("file:{LOGIN_DEFS}"), why.clone()),
        defs => {
            for (key, (least, most), wanted) in bounds {
                let setting = defs.known().and_then(|defs| defs.get(key));
                let value = defs.known().and_then(|defs| defs.number(key));
                if value.is_some_and(|value| (least..=most).contains(&value)) {
                    continue;
                }
                let written = setting.map_or("-", |setting| setting.value.as_str());
                let value = wanted.clamp(least, most.max(least)).to_string();
                let edit = Edit::SetKey { file: LOGIN_DEFS.into(), key, value };
                let finding = Finding::new(Severity::Low, format!("login.defs:{key}"), "defs")
                    .with("key", key)
                    .with("value", written)
                    .with_number("least", least)
                    .with_number("most", most)
                    .seen(LOGIN_DEFS, setting.map(|setting| setting.line), format!("{key} {written}"));
                tally.fail(finding.fixed_by(edit));
            }
        }
    }
    for user in with_password {
        if let Fact::Known(shadow) = &user.shadow {
            let odd = odd(shadow, &bounds);
            if !odd.is_empty() {
                let (least, most) = limits.password_max_days;
                let finding = Finding::new(Severity::Low, subject(user), "account")
                    .with("user", user.name().text())
                    .with_list("odd", odd.clone())
                    .with_number("least", least)
                    .with_number("most", most)
                    .seen(SHADOW, Some(shadow.line), format!("{}: {}", user.name().text(), odd.join(", ")));
                let wanted = bounds.map(|(_, (least, most), wanted)| wanted.clamp(least, most.max(least)));
                tally.fail(fixing(finding, input, user, shadow, wanted));
            }
        } else {
            tally.doubt(subject(user), Why::Failed("its password has no shadow line, so it has no age".to_owned()));
        }
    }
    tally.verdict()
}

/// The fields out of bounds, as `chage -l` names them.
fn odd(shadow: &ShadowEntry, bounds: &[(&str, (i64, i64), i64); 3]) -> Vec<String> {
    let values = [("max", shadow.max), ("min", shadow.min), ("warn", shadow.warn)];
    let out = values
        .iter()
        .zip(bounds)
        .filter(|((_, value), (_, (least, most), _))| !value.is_some_and(|value| (*least..=*most).contains(&value)));
    out.map(|((name, value), _)| value.map_or_else(|| format!("{name}=-"), |value| format!("{name}={value}"))).collect()
}

/// Proposes the ageing fields, unless the password would expire within two weeks: that would lock its owner out.
fn fixing(
    finding: Finding,
    input: &Input<'_>,
    user: &User,
    shadow: &ShadowEntry,
    [max, min, warn]: [i64; 3],
) -> Finding {
    let today = input.seen.now.div_euclid(86400);
    let safe = shadow.last_change.is_some_and(|day| day > 0 && day + max >= today + MARGIN_DAYS);
    match std::str::from_utf8(user.name().bytes()) {
        Ok(name) if safe => finding.fixed_by(Edit::SetAgeing {
            user: name.to_owned(),
            min: Some(min),
            max: Some(max),
            warn: Some(warn),
        }),
        _ => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, SHA512};
    use super::*;

    const GOOD: &str = "PASS_MAX_DAYS 90\nPASS_MIN_DAYS 7\nPASS_WARN_AGE 7\n";

    #[test]
    fn ages_count_for_accounts_with_a_password() {
        Case::new().file("/etc/login.defs", "PASS_MAX_DAYS 99999\n").clean(&CHECK);
        let case = Case::new().file("/etc/login.defs", GOOD);
        let fields = |days: &str| case.shadow("alice", &format!("{SHA512}:{days}:::"));
        fields("11500:7:90:7").clean(&CHECK);
        fields("11500:14:180:14").clean(&CHECK);
        for days in ["11500:0:90:7", "11500:7:99999:7", "11500:7:59:7", "11500:7::7", "11500:7:90:"] {
            assert_eq!(fields(days).findings(&CHECK), ["account:alice account"], "{days}");
        }
        assert_eq!(case.user(&format!("old:{SHA512}:1002:1002::/:/bin/sh")).doubts(&CHECK), ["account:old"]);
        assert_eq!(case.deny("/etc/shadow").doubts(&CHECK), ["file:/etc/shadow"]);
    }

    #[test]
    fn login_defs_is_judged_where_a_password_is_in_use() {
        let case = Case::new().shadow("alice", &format!("{SHA512}:11500:7:90:7:::"));
        case.file("/etc/login.defs", GOOD).clean(&CHECK);
        let loose = case.file("/etc/login.defs", "PASS_MAX_DAYS 99999\nPASS_MIN_DAYS 0 # x\n");
        let want = ["PASS_MAX_DAYS", "PASS_MIN_DAYS", "PASS_WARN_AGE"].map(|key| format!("login.defs:{key} defs"));
        assert_eq!(loose.findings(&CHECK), want);
        assert_eq!(case.findings(&CHECK), want, "without a file nothing is set");
        assert_eq!(case.deny("/etc/login.defs").doubts(&CHECK), ["file:/etc/login.defs"]);
    }

    #[test]
    fn the_fix_sets_what_policy_asks_for() {
        let case = Case::new().file("/etc/login.defs", "# ages\nPASS_MAX_DAYS\t99999\nPASS_MIN_DAYS 0 # x\n");
        let mut case = case.shadow("alice", &format!("{SHA512}:11560:0:99999:7:::"));
        let defs = "0:0 0644 # ages\nPASS_MAX_DAYS\t90\n# x\nPASS_MIN_DAYS 7\nPASS_WARN_AGE\t7\n";
        assert_eq!(case.becomes(&CHECK, "/etc/login.defs"), defs);
        assert!(case.becomes(&CHECK, "/etc/shadow").ends_with(&format!("\nalice:{SHA512}:11560:7:90:7:::\n")));
        // The short form of the line, which has no place for the warning.
        let short = case.shadow("alice", &format!("{SHA512}:11560:0:99999:"));
        assert!(short.becomes(&CHECK, "/etc/shadow").ends_with(&format!("\nalice:{SHA512}:11560:7:90:7:::\n")));
        case.policy.limits.password_max_days = (30, 60);
        assert!(case.becomes(&CHECK, "/etc/shadow").ends_with(&format!("\nalice:{SHA512}:11560:7:60:7:::\n")));
        // A missing file is made, of the vendor's where there is one.
        let none = Case::new().shadow("alice", &format!("{SHA512}:11560:7:90:7:::"));
        let fresh = "PASS_MAX_DAYS\t90\nPASS_MIN_DAYS\t7\nPASS_WARN_AGE\t7\n";
        assert_eq!(none.becomes(&CHECK, "/etc/login.defs"), format!("0:0 0644 {fresh}"));
        let vendors = none.file("/usr/etc/login.defs", "UMASK 022\n");
        assert_eq!(vendors.becomes(&CHECK, "/etc/login.defs"), format!("0:0 0644 UMASK 022\n{fresh}"));
    }

    #[test]
    fn nobody_is_expired_at_once() {
        // 2001-09-09 is day 11574: 90 days from day 11499 leave 15 days, from day 11497 13.
        let fix = |day: i64| {
            let case = Case::new().file("/etc/login.defs", GOOD);
            case.shadow("alice", &format!("{SHA512}:{day}:0:99999:7:::")).finding(&CHECK).fix.len()
        };
        assert_eq!((fix(11499), fix(11497), fix(0)), (1, 0, 0));
    }
}
