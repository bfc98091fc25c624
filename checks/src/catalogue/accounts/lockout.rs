//! `accounts.lockout`: guessing passwords goes on for ever.

use super::MLPS;
use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::edit::Edit;
use crate::fact::Fact;

const FAILLOCK: &str = "/etc/security/faillock.conf";

/// The check.
pub static CHECK: Check = Check {
    id: "accounts.lockout",
    title: Text { en: "Guessing passwords is stopped", zh: "多次登录失败后锁定账号" },
    rationale: Text {
        en: "MLPS asks for an account to be locked for a while after some failed logins. It slows guessing where passwords are \
             accepted; key logins are better still.",
        zh: "等保要求登录失败达到一定次数后暂时锁定账号。在允许口令登录时，这能减缓暴力破解；改用密钥登录更好。",
    },
    severity: Severity::Medium,
    profiles: &[Profile::Enhanced],
    scope: Scope::Both,
    references: &[Reference { source: MLPS, item: "login-failure handling" }],
    reads: &["PAM: sshd, login", "faillock.conf"],
    fix: Some(Text {
        en: "sets deny in faillock.conf where pam_faillock is wired (never even_deny_root)",
        zh: "在已启用 pam_faillock 时设置 faillock.conf 的 deny（不会设置 even_deny_root）",
    }),
    remedy: Text {
        en: "Wire pam_faillock (`authselect enable-feature with-faillock`, or preauth before and authfail behind pam_unix), and set \
             `deny = 5` and `unlock_time = 900` in /etc/security/faillock.conf. Leave root out: others could lock it for you.",
        zh: "启用 pam_faillock（`authselect enable-feature with-faillock`，或在 pam_unix 前后分别加 preauth 与 authfail），并在 /etc/security/faillock.conf 中设置 `deny = 5`、`unlock_time = 900`。不要包含 root，否则他人可借此锁定 root。",
    },
    messages: &[
        Message {
            id: "not-wired",
            text: Text {
                en: "nothing locks an account after failed logins through {service}: no faillock before and behind pam_unix, no tally2",
                zh: "通过 {service} 登录失败后不会锁定账号：pam_unix 前后没有 faillock，也没有 tally2",
            },
        },
        Message {
            id: "deny",
            text: Text {
                en: "{module} at {service} locks after {value} failures; 1 to {most} are asked for",
                zh: "{service} 的 {module} 在 {value} 次失败后锁定，要求 1～{most} 次",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let (pam, most) = (&input.host.pam, input.policy.limits.lockout_attempts);
    let mut tally = Tally::new();
    let mut any = false;
    for service in ["sshd", "login"].into_iter().filter_map(|name| pam.service(name)) {
        let subject = format!("pam:{}", service.name);
        any |= service.auth != Fact::Absent;
        match pam.lockout(service) {
            Fact::Unknown(why) => tally.doubt(subject, why),
            Fact::Absent if service.auth == Fact::Absent => {}
            Fact::Absent => {
                tally.fail(Finding::new(Severity::Medium, subject, "not-wired").with("service", service.name.as_str()));
            }
            Fact::Known(lockout) if (1..=most).contains(&lockout.deny.value) => {}
            Fact::Known(lockout) => {
                let module = &lockout.module;
                let finding = Finding::new(Severity::Medium, subject, "deny")
                    .with("module", module.name.as_str())
                    .with("service", service.name.as_str())
                    .with_number("value", lockout.deny.value)
                    .with_number("most", most)
                    .seen(path_text(&module.file), Some(module.line), module.text());
                let by_argument = lockout.deny.place.as_ref().is_some_and(|(file, _)| *file == module.file);
                tally.fail(if module.name == "pam_faillock" && !by_argument {
                    let value = most.clamp(1, 5).to_string();
                    finding.fixed_by(Edit::SetKey { file: FAILLOCK.into(), key: "deny", value })
                } else {
                    finding
                });
            }
        }
    }
    if any { tally.verdict() } else { Verdict::NotApplicable(NO_PAM) }
}

const NO_PAM: Text = Text { en: "no login goes through PAM here", zh: "此处没有经过 PAM 的登录" };

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;

    const WIRED: &str = "auth required pam_faillock.so preauth\nauth sufficient pam_unix.so\nauth [default=die] pam_faillock.so authfail\n";

    #[test]
    fn faillock_counts_where_it_stands_on_both_sides() {
        let case = Case::new().file("/etc/pam.d/sshd", WIRED);
        case.clean(&CHECK);
        case.file(FAILLOCK, "deny = 10\n").clean(&CHECK);
        let loose = case.file(FAILLOCK, "deny = 11\n");
        assert_eq!(loose.findings(&CHECK), ["pam:sshd deny"]);
        assert_eq!(loose.finding(&CHECK).fix.len(), 1);
        let mended = loose.file(FAILLOCK, "# deny = 3\ndeny=20 # x\nunlock_time = 60\n").becomes(&CHECK, FAILLOCK);
        assert_eq!(mended, "0:0 0644 # deny = 3\ndeny = 5 # x\nunlock_time = 60\n");
        assert_eq!(case.file(FAILLOCK, "deny = 0\n").findings(&CHECK), ["pam:sshd deny"]);
        let half = WIRED.replace("authfail", "audit");
        assert_eq!(case.file("/etc/pam.d/sshd", &half).findings(&CHECK), ["pam:sshd not-wired"]);
        let tally = case.file("/etc/pam.d/login", "auth required pam_tally2.so deny=6\nauth required pam_unix.so\n");
        tally.clean(&CHECK);
    }

    #[test]
    fn what_cannot_be_read_is_unknown_and_without_pam_there_is_no_question() {
        assert_eq!(Case::new().deny("/etc/pam.d/sshd").doubts(&CHECK), ["pam:sshd"]);
        let case = Case::new().file("/etc/pam.d/sshd", WIRED).deny(FAILLOCK);
        assert_eq!(case.doubts(&CHECK), ["pam:sshd"]);
        assert!(matches!(Case::new().verdict(&CHECK), Verdict::NotApplicable(_)));
    }
}
