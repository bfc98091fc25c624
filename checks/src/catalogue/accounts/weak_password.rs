//! `accounts.weak-password`: a password that is among the first that anybody tries.

use std::collections::HashMap;

use super::{BASELINE, PROTECTION, locking, passwords, shown, subject};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::crypt::Hash;
use crate::fact::{Fact, Why};
use crate::observation::password::{AccountAudit, NotTried, Outcome};
use crate::parse::passwd::Name;

/// The check.
pub static CHECK: Check = Check {
    id: "accounts.weak-password",
    title: Text { en: "No account has a weak password", zh: "没有账号使用弱口令" },
    rationale: Text {
        en: "Machines on the internet try common passwords, and the names of the account, host and company with the usual \
             changes, from the minute an instance has an address. Such a password is no password.",
        zh: "实例一旦有了公网地址，扫描程序就会不停尝试常见口令，以及账号名、主机名、公司名加上常见变化。这样的口令形同虚设。",
    },
    severity: Severity::Critical,
    profiles: &[Profile::Basic, Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: BASELINE, item: "系统登录弱口令" },
        Reference { source: PROTECTION, item: "弱口令" },
    ],
    reads: &["passwd", "shadow", "the password audit"],
    fix: Some(Text { en: "locks the password; key logins stay", zh: "锁定该口令，密钥登录不受影响" }),
    remedy: Text {
        en: "Log in by key and lock the password (`passwd -l USER`), or set a long random one (`passwd USER`).",
        zh: "改用密钥登录并锁定口令（`passwd -l 账号`），或设置足够长的随机口令（`passwd 账号`）。",
    },
    messages: &[Message {
        id: "weak",
        text: Text {
            en: "the password of {user} is among the common or guessable ones",
            zh: "账号 {user} 的口令属于常见口令或极易猜到的口令",
        },
    }],
    check,
};

/// The likeliest candidates. Whose password is none of them was looked at, even where the budget ended before the list: a strong
/// method lets through only some dozens a second, and every host that uses one would be undecided.
const ENOUGH: u64 = 1000;

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    let audits = input.seen.passwords.known().map_or(&[][..], |audit| &audit.accounts);
    let audited: HashMap<&Name, &AccountAudit> = audits.iter().map(|account| (&account.user, account)).collect();
    for (user, password) in passwords(input, &mut tally) {
        let hash = password.field.hash().map(Hash::parse);
        if !matches!(hash, Some(Hash::Known(_) | Hash::Unrecognised)) {
            continue;
        }
        match &input.seen.passwords {
            Fact::Known(_) => {}
            Fact::Absent => continue,
            Fact::Unknown(why) => {
                tally.doubt(subject(user), why.clone());
                continue;
            }
        }
        let entry = audited.get(user.name()).copied();
        match entry.map(|account| (&account.outcome, account)) {
            Some((Outcome::Weak(_), _)) => {
                let finding = Finding::new(Severity::Critical, subject(user), "weak").with("user", user.name().text());
                tally.fail(locking(shown(finding, user, &password, "(hash)"), user));
            }
            Some((Outcome::NotFound, account)) if account.tried < account.of.min(ENOUGH) => {
                let why =
                    format!("{} of {} candidates were tried before the budget was spent", account.tried, account.of);
                tally.doubt(subject(user), Why::Failed(why));
            }
            Some((Outcome::NotFound | Outcome::Empty | Outcome::Locked | Outcome::Unusable, _)) => {}
            Some((Outcome::NotTried(why), _)) => tally.doubt(subject(user), untried(why)),
            None => tally.doubt(subject(user), Why::NotAsked("the password audit left it out")),
        }
    }
    if let Some(why) = input.seen.passwords.known().and_then(|audit| audit.word_list.as_ref()) {
        tally.doubt("word list", why.clone());
    }
    tally.verdict()
}

fn untried(why: &NotTried) -> Why {
    match why {
        NotTried::Unreadable(why) => why.clone(),
        NotTried::Unrecognised => Why::Failed("its hash is of a method that hostward does not know".to_owned()),
        NotTried::TooCostly(refusal) => Why::Failed(refusal.to_string()),
        NotTried::OutOfMemory => Why::Failed("there was no memory for one guess".to_owned()),
        NotTried::OutOfBudget => Why::TimedOut,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, SHA512};
    use super::*;
    use crate::edit::Edit;
    use crate::observation::password::Rank;

    #[test]
    fn what_the_audit_found_is_told_and_what_it_did_not_try_is_unknown() {
        let case = Case::new().password("alice", SHA512);
        assert_eq!(case.audit("alice", 10, Outcome::Weak(Rank::First1000)).findings(&CHECK), ["account:alice weak"]);
        case.audit("alice", 1000, Outcome::NotFound).clean(&CHECK);
        assert_eq!(case.audit("alice", 999, Outcome::NotFound).doubts(&CHECK), ["account:alice"]);
        assert_eq!(case.audit("alice", 0, Outcome::NotTried(NotTried::OutOfBudget)).doubts(&CHECK), ["account:alice"]);
        assert_eq!(case.doubts(&CHECK), ["account:alice"], "no audit was made");
        assert_eq!(case.audit("root", 1, Outcome::NotFound).doubts(&CHECK), ["account:alice"]);
        assert_eq!(case.deny("/etc/shadow").doubts(&CHECK), ["file:/etc/shadow"]);
    }

    #[test]
    fn the_fix_locks_it_and_keeps_the_hash_where_keys_survive_that() {
        let case = Case::new().password("alice", SHA512).audit("alice", 1000, Outcome::Weak(Rank::First1000));
        let want = format!("\nalice:!{SHA512}:1000:0:99999:7:::\n");
        assert!(case.becomes(&CHECK, "/etc/shadow").ends_with(&want));
        assert!(case.without_pam().becomes(&CHECK, "/etc/shadow").ends_with("\nalice:*:1000:0:99999:7:::\n"));
        let own = Case::new().user(&format!("bob:{SHA512}:1003:1003::/:/bin/sh"));
        let own = own.audit("bob", 1000, Outcome::Weak(Rank::First1000));
        assert!(own.becomes(&CHECK, "/etc/passwd").ends_with(&format!("\nbob:!{SHA512}:1003:1003::/:/bin/sh\n")));
        let both = own.password("bob", SHA512);
        assert!(both.becomes(&CHECK, "/etc/passwd").ends_with("\nbob:x:1003:1003::/:/bin/sh\n"));
        assert!(both.becomes(&CHECK, "/etc/shadow").ends_with(&format!("\nbob:!{SHA512}:1000:0:99999:7:::\n")));
    }

    #[test]
    fn without_a_password_there_is_none_to_guess() {
        Case::new().clean(&CHECK);
        Case::new().password("alice", &format!("!{SHA512}")).clean(&CHECK);
    }

    #[test]
    fn alibabas_own_accounts_are_not_locked() {
        let case = Case::new().password("alice", SHA512).audit("alice", 1, Outcome::Weak(Rank::First1000));
        assert_eq!(case.finding(&CHECK).fix, [Edit::LockPassword { user: "alice".to_owned() }]);
        let case = Case::new()
            .user("ecs-assist-user:x:1001:1001::/home/ecs-assist-user:/sbin/nologin")
            .password("ecs-assist-user", SHA512)
            .audit("ecs-assist-user", 1, Outcome::Weak(Rank::First1000));
        assert_eq!(case.finding(&CHECK).fix, []);
    }
}
