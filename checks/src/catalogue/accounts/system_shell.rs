//! `accounts.system-shell`: an account of a service that can be logged in to.

use super::{MLPS, subject, way_in};
use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::host::accounts::{PASSWD, SHADOW, vendor_of};

/// The check.
pub static CHECK: Check = Check {
    id: "accounts.system-shell",
    title: Text { en: "Accounts of services cannot be logged in to", zh: "系统账号和服务账号不能登录" },
    rationale: Text {
        en: "Nobody watches the logins of a service account. With a shell and a key or password it is a quiet way in, often with \
             the service's data at hand.",
        zh: "服务账号的登录往往无人留意。一旦有可登录的 shell 以及密钥或口令，就成了隐蔽的入口，而且往往能直接接触业务数据。",
    },
    severity: Severity::Medium,
    profiles: &[Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[Reference { source: MLPS, item: "system and database accounts nologin" }],
    reads: &["passwd", "shadow", "login.defs", "the access matrix"],
    fix: Some(Text { en: "sets the shell to nologin", zh: "将 shell 设为 nologin" }),
    remedy: Text {
        en: "`usermod -s /usr/sbin/nologin USER`, or remove its password and keys where the service itself needs the shell.",
        zh: "执行 `usermod -s /usr/sbin/nologin 账号`；若服务本身需要 shell，则清除其口令和密钥。",
    },
    messages: &[
        Message {
            id: "login",
            text: Text {
                en: "the service account {user} has the shell {shell} and can log in through sshd",
                zh: "服务账号 {user} 的 shell 为 {shell}，且可通过 sshd 登录",
            },
        },
        Message {
            id: "password",
            text: Text {
                en: "the service account {user} has the shell {shell} and a password",
                zh: "服务账号 {user} 的 shell 为 {shell}，且设有口令",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    super::doubt_users(input, &mut tally);
    let accounts = &input.host.accounts;
    for user in accounts.list() {
        if !accounts.is_system(user) || !user.has_login_shell() || vendor_of(user.name().bytes()).is_some() {
            continue;
        }
        let way = way_in(input, user);
        let message = match user.password() {
            _ if way.any => "login",
            Fact::Known(password) if !password.field.is_locked() => "password",
            password => {
                if let Fact::Unknown(why) = password {
                    tally.doubt(format!("file:{SHADOW}"), why);
                }
                way.doubts.into_iter().for_each(|why| tally.doubt(subject(user), why));
                continue;
            }
        };
        let shell = path_text(user.shell());
        let finding = Finding::new(Severity::Medium, subject(user), message)
            .with("user", user.name().text())
            .with("shell", shell.as_str())
            .seen(PASSWD, Some(user.entry.line), format!("{}:…:{}:…:{shell}", user.name().text(), user.entry.uid));
        tally.fail(match std::str::from_utf8(user.name().bytes()) {
            Ok(name) => finding.fixed_by(Edit::SetShell { user: name.to_owned(), shell: "/usr/sbin/nologin" }),
            Err(_) => finding,
        });
    }
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, SHA512};
    use super::*;

    #[test]
    fn a_shell_needs_a_way_to_it() {
        Case::new().clean(&CHECK);
        Case::new().login("alice").password("alice", SHA512).clean(&CHECK);
        assert_eq!(Case::new().login("web").findings(&CHECK), ["account:web login"]);
        let case = Case::new().password("web", SHA512);
        assert_eq!(case.findings(&CHECK), ["account:web password"]);
        let edit = Edit::SetShell { user: "web".to_owned(), shell: "/usr/sbin/nologin" };
        assert_eq!(case.finding(&CHECK).fix, [edit]);
        assert!(case.becomes(&CHECK, "/etc/passwd").contains("\nweb:x:900:900::/srv:/usr/sbin/nologin\n"));
        case.file("/etc/passwd", "web:x:900:900::/srv:/usr/sbin/nologin\n").clean(&CHECK);
        Case::new().user("aegis:x:950:950::/:/bin/sh").login("aegis").clean(&CHECK);
    }

    #[test]
    fn what_cannot_be_told_is_unknown() {
        assert_eq!(Case::new().deny("/etc/shadow").doubts(&CHECK), ["file:/etc/shadow"]);
        assert_eq!(Case::new().doubtful().doubts(&CHECK), ["account:web"]);
        assert_eq!(Case::new().doubtful().login("web").doubts(&CHECK), ["account:web"], "a way that is not sure");
        assert_eq!(Case::new().deny("/etc/passwd").doubts(&CHECK), ["file:/etc/passwd"]);
    }
}
