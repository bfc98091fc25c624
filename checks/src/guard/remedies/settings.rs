//! Ageing and lock-out settings that would shut people out by themselves.

use crate::access::SourceClass;
use crate::check::{Input, Message, Text};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::guard::{Circumstances, Guard, Rule};
use crate::plan::Said;

/// Nobody's password expires at once.
pub(crate) static AGEING: Guard = Guard {
    id: "accounts.ageing",
    title: Text { en: "No password expires within two weeks", zh: "口令不会在两周内过期" },
    rule: Rule::Edit(ageing),
};

/// pam_faillock is no means to lock the owner out.
pub(crate) static LOCKOUT: Guard = Guard {
    id: "accounts.lockout",
    title: Text {
        en: "Strangers cannot lock root, or anybody for ever", zh: "外部人员无法锁定 root 或永久锁定账号"
    },
    rule: Rule::Edit(lockout),
};

static EXPIRES: Message = Message {
    id: "expires-soon",
    text: Text {
        en: "the password of {user} would expire within {days} days: have it changed first (`passwd {user}`), then run fix again",
        zh: "账号 {user} 的口令将在 {days} 天内过期：请先修改口令（`passwd {user}`），再运行 fix",
    },
};
static NO_DATE: Message = Message {
    id: "no-change-date",
    text: Text {
        en: "nobody knows when the password of {user} was last changed, so it could expire at once: have it changed first (`passwd {user}`)",
        zh: "不知道账号 {user} 的口令上次修改时间，可能立即过期：请先修改口令（`passwd {user}`）",
    },
};
static LOCKS_OUT: Message = Message {
    id: "locks-out",
    text: Text {
        en: "{setting} of pam_faillock lets anybody who reaches ssh lock accounts ({what}): set `unlock_time = 900` and take `even_deny_root` out by hand, or close passwords over ssh first",
        zh: "pam_faillock 的 {setting} 会让任何能连上 ssh 的人锁定账号（{what}）：请手工设置 `unlock_time = 900` 并去掉 `even_deny_root`，或先关闭 ssh 口令登录",
    },
};

/// Days that a password must last at least.
const MARGIN: i64 = 14;

fn ageing(edit: &Edit, input: &Input<'_>, _: &Circumstances) -> Result<(), Said> {
    let Edit::SetAgeing { user, max: Some(max), .. } = edit else { return Ok(()) };
    let no_date = || Said::new(&NO_DATE).with("user", user);
    let shadow = input.host.accounts.by_name(user).map(|user| &user.shadow);
    let Some(Fact::Known(shadow)) = shadow else { return Err(no_date()) };
    // 0: it must be changed at the next login already; a day to come is a clock that was wrong.
    let today = input.seen.now.div_euclid(86_400);
    match shadow.last_change {
        Some(day) if day > 0 && day <= today => {
            let left = day.saturating_add(*max).saturating_sub(today);
            if left < MARGIN {
                return Err(Said::new(&EXPIRES).with("user", user).with("days", MARGIN.to_string()));
            }
            Ok(())
        }
        _ => Err(no_date()),
    }
}

fn lockout(edit: &Edit, input: &Input<'_>, _: &Circumstances) -> Result<(), Said> {
    let Edit::SetKey { file, key, value } = edit else { return Ok(()) };
    if file.file_name().is_none_or(|name| name != "faillock.conf") {
        return Ok(());
    }
    let refusal = |setting: &str, what: &str| {
        let setting = Said::new(&LOCKS_OUT).with("setting", setting);
        Err(setting.with("what", what))
    };
    let harm = |key: &str, value: &str| match key {
        "even_deny_root" => Some("even_deny_root"),
        "unlock_time" | "root_unlock_time" if endless(value) => Some("unlock_time"),
        _ => None,
    };
    if let Some(setting) = harm(key, value) {
        return refusal(setting, value);
    }
    // A limit of failures brings what stands beside it into effect.
    if *key == "deny" && value != "0" && open_to_the_world(input) {
        let settings = input.host.pam.faillock.known().map_or(&[][..], Vec::as_slice);
        let mut own: Vec<(&str, &str)> = settings.iter().map(|(_, s)| (s.key.as_str(), s.value.as_str())).collect();
        let services = input.host.pam.services.values();
        for module in services.flat_map(|service| service.auth_modules()).filter(|m| m.name == "pam_faillock") {
            own.extend(module.args.iter().map(|arg| arg.split_once('=').unwrap_or((arg.as_str(), ""))));
        }
        if let Some((setting, value)) = own.iter().find_map(|(key, value)| Some((harm(key, value)?, *value))) {
            return refusal(setting, value);
        }
    }
    Ok(())
}

/// `never`, 0, or a day and more: pam_faillock takes up to a week.
fn endless(value: &str) -> bool {
    value.trim() == "never" || value.trim().parse::<u64>().is_ok_and(|seconds| seconds == 0 || seconds > 86_400)
}

/// Whether some sshd asks somebody from the internet for a password, or that is not known.
fn open_to_the_world(input: &Input<'_>) -> bool {
    input.access.daemons.iter().any(|daemon| {
        let asks = |settings: &crate::sshd::Effective| {
            settings.yes("passwordauthentication")
                || settings.yes("kbdinteractiveauthentication")
                || settings.yes("challengeresponseauthentication")
        };
        let mut sources = daemon.accounts.iter().flat_map(|account| &account.sources);
        daemon.global.is_err()
            || sources.any(|source| {
                matches!(source.class, SourceClass::Public | SourceClass::Region(_) | SourceClass::Exactly(_))
                    && source.class.is_public(source.example)
                    && daemon.effective(source).is_none_or(asks)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;

    #[test]
    fn nobodys_password_expires_within_two_weeks() {
        // 2001-09-09 is day 11574.
        for (day, max, want) in [
            ("11498", 90, None),
            ("11497", 90, Some("expires-soon")),
            ("11000", 90, Some("expires-soon")),
            ("0", 90, Some("no-change-date")),
            ("", 90, Some("no-change-date")),
            ("11600", 90, Some("no-change-date")),
            ("11574", 13, Some("expires-soon")),
            ("11574", i64::MAX, None),
            ("1", i64::MIN, Some("expires-soon")),
        ] {
            let case = Case::new().shadow("ann", &format!("hash:{day}:0:99999:7:::"));
            let edit = Edit::SetAgeing { user: "ann".into(), min: None, max: Some(max), warn: None };
            assert_eq!(case.refused(&AGEING, &edit), want, "{day} {max}");
        }
        let edit = |user: &str, max| Edit::SetAgeing { user: user.into(), min: Some(7), max, warn: Some(7) };
        assert_eq!(Case::new().refused(&AGEING, &edit("nobody", Some(90))), Some("no-change-date"));
        assert_eq!(Case::new().refused(&AGEING, &edit("ann", None)), None);
    }

    #[test]
    fn nobody_outside_can_lock_the_owner_out() {
        let set =
            |key, value: &str| Edit::SetKey { file: "/etc/security/faillock.conf".into(), key, value: value.into() };
        let plain = Case::new().world();
        for (key, value, want) in [
            ("even_deny_root", "", Some("locks-out")),
            ("unlock_time", "0", Some("locks-out")),
            ("unlock_time", "never", Some("locks-out")),
            ("unlock_time", "604800", Some("locks-out")),
            ("root_unlock_time", "0", Some("locks-out")),
            ("unlock_time", "900", None),
            ("deny", "5", None),
        ] {
            assert_eq!(plain.refused(&LOCKOUT, &set(key, value)), want, "{key} {value}");
        }
        let other = Edit::SetKey { file: "/etc/login.defs".into(), key: "unlock_time", value: "0".into() };
        assert_eq!(plain.refused(&LOCKOUT, &other), None);
        // A limit that would take effect together with what stands there.
        for conf in ["even_deny_root\n", "unlock_time = 0\n", "unlock_time=never\n"] {
            let case = plain.file("/etc/security/faillock.conf", conf);
            assert_eq!(case.refused(&LOCKOUT, &set("deny", "5")), Some("locks-out"), "{conf}");
            let closed = Case::new().file("/etc/security/faillock.conf", conf);
            assert_eq!(closed.refused(&LOCKOUT, &set("deny", "5")), None, "{conf}");
        }
        let pam = "auth required pam_faillock.so preauth even_deny_root\nauth sufficient pam_unix.so\n";
        let case = plain.file("/etc/pam.d/sshd", pam);
        assert_eq!(case.refused(&LOCKOUT, &set("deny", "5")), Some("locks-out"));
    }
}
