//! What locking a password takes with it.

use crate::access::Method;
use crate::check::{Message, Text};
use crate::fact::Fact;
use crate::guard::{Case, Guard, Rule, Ruling, access};
use crate::host::accounts::User;
use crate::host::sudo::Asks;
use crate::observation::Mode;
use crate::plan::Said;

/// root's password goes only where an administrator comes in without it.
pub(crate) static ROOT_PASSWORD: Guard = Guard {
    id: "passwords.root",
    title: Text {
        en: "root's password is locked only where an administrator proved another way in",
        zh: "仅在已有管理员证实可用其他方式登录时才锁定 root 口令",
    },
    rule: Rule::Host(root_password),
};

/// Locks do not shut keys out.
pub(crate) static BANG_LOCK: Guard = Guard {
    id: "passwords.bang-lock",
    title: Text { en: "Locking a password leaves keys their way in", zh: "锁定口令不影响密钥登录" },
    rule: Rule::Host(bang_lock),
};

/// Says what else asks for a password that is locked.
pub(crate) static PASSWORD_USES: Guard = Guard {
    id: "passwords.uses",
    title: Text {
        en: "What else asks for a locked password is told", zh: "列出还有哪些功能使用被锁定的口令"
    },
    rule: Rule::Host(password_uses),
};

static NO_OTHER_WAY: Message = Message {
    id: "no-other-way",
    text: Text {
        en: "the password of {user} would be locked, and no administrator is known to come in with a key: log in once by key, or name a key that you hold with `--i-hold SHA256:…`",
        zh: "账号 {user} 的口令将被锁定，但没有证据表明有管理员能用密钥登录：请先用密钥登录一次，或用 `--i-hold SHA256:…` 指明您持有的密钥",
    },
};
static VNC: Message = Message {
    id: "vnc",
    text: Text {
        en: "with the password of {user} goes rescue through the VNC console by password; resetting the password in the ECS console brings it back",
        zh: "锁定 {user} 的口令后，无法再用口令通过 VNC 控制台救援；可在 ECS 控制台重置密码恢复",
    },
};
static KEYS_SHUT_OUT: Message = Message {
    id: "keys-shut-out",
    text: Text {
        en: "`!` in front of the password of {user} would refuse its keys too, for {config} runs without PAM (UsePAM no): `*` has to stand there",
        zh: "{config} 未启用 PAM（UsePAM no），账号 {user} 的口令字段以 `!` 开头会连密钥登录一并拒绝：应改用 `*`",
    },
};
static USES: Message = Message {
    id: "password-uses",
    text: Text {
        en: "the password of {user} is locked; it was also asked for by: {uses}",
        zh: "账号 {user} 的口令被锁定；使用该口令的还有：{uses}",
    },
};

/// Accounts whose password could match before and cannot afterwards.
fn newly_locked<'a>(case: &Case<'a>) -> Vec<&'a User> {
    let open = |user: &User| matches!(user.password(), Fact::Known(password) if !password.field.is_locked());
    let before = case.before.host.accounts.list().iter().filter(|user| !user.hidden_name && open(user));
    before.filter(|user| !case.after.host.accounts.by_name(user.name().bytes()).is_some_and(open)).collect()
}

fn root_password(case: &Case<'_>) -> Ruling {
    let roots: Vec<&User> = newly_locked(case).into_iter().filter(|user| user.is_root()).collect();
    let name = |user: &User| user.name().text().into_owned();
    let mut said: Vec<Said> = roots.iter().map(|user| Said::new(&VNC).with("user", name(user))).collect();
    // An image has no administrator yet; its first boot is the access guard's.
    if roots.is_empty() || case.before.seen.mode == Mode::Offline {
        return Ruling::Holds(said);
    }
    match access::kept(case) {
        Ok(proof) => {
            said.push(proof);
            Ruling::Holds(said)
        }
        Err(_) => Ruling::Refuses(roots.iter().map(|user| Said::new(&NO_OTHER_WAY).with("user", name(user))).collect()),
    }
}

fn bang_lock(case: &Case<'_>) -> Ruling {
    let bang = |user: &User| matches!(user.password(), Fact::Known(password) if password.field.is_bang_locked());
    let without = case
        .after
        .access
        .daemons
        .iter()
        .find(|daemon| daemon.global.is_err() || daemon.settings().any(|settings| !settings.yes("usepam")));
    let Some(daemon) = without else { return Ruling::Holds(Vec::new()) };
    let fresh = case.after.host.accounts.list().iter().filter(|user| {
        let was = case.before.host.accounts.by_name(user.name().bytes()).is_some_and(bang);
        bang(user) && !was && !user.hidden_name
    });
    let config = crate::check::path_text(&daemon.config);
    let said = |user: &User| Said::new(&KEYS_SHUT_OUT).with("user", user.name().text()).with("config", &*config);
    let refused: Vec<Said> = fresh.map(said).collect();
    if refused.is_empty() { Ruling::Holds(refused) } else { Ruling::Refuses(refused) }
}

fn password_uses(case: &Case<'_>) -> Ruling {
    let said = newly_locked(case).into_iter().filter_map(|user| {
        let uses = uses(case, user);
        (!uses.is_empty()).then(|| Said::new(&USES).with("user", user.name().text()).with_list("uses", uses))
    });
    Ruling::Holds(said.collect())
}

/// Who asks for an account's password: sshd, the console, su to it, its own sudo, the sudo of others by `rootpw` and the like.
fn uses(case: &Case<'_>, user: &User) -> Vec<String> {
    let (host, mut uses) = (case.before.host, Vec::new());
    let name = user.name().text();
    let asks = |other: &User| match host.sudo.can_become_root(&host.accounts, other) {
        Fact::Known(right) => Some((right.asks, right)),
        Fact::Absent | Fact::Unknown(_) => None,
    };
    let by_password = case.before.access.daemons.iter().any(|daemon| {
        let mine = daemon.accounts.iter().filter(|account| account.user == name);
        mine.flat_map(|account| &account.sources).flat_map(|source| &source.ways).any(|way| {
            way.methods.iter().any(|method| matches!(method, Method::Password | Method::KeyboardInteractive))
        })
    });
    if by_password {
        uses.push("sshd".to_owned());
    }
    for service in ["login", "su"] {
        let auth = host.pam.service(service).map(|service| service.auth_modules());
        if user.has_login_shell() && auth.is_some_and(|modules| modules.iter().any(|m| m.name == "pam_unix")) {
            uses.push(service.to_owned());
        }
    }
    if let Some((Asks::OwnPassword, right)) = asks(user) {
        uses.push(format!("sudo ({}:{})", crate::check::path_text(&right.file), right.line));
    }
    if user.is_root() {
        for other in host.accounts.list().iter().filter(|other| !other.is_root() && !other.hidden_name) {
            if let Some((Asks::OtherPassword, right)) = asks(other) {
                let file = crate::check::path_text(&right.file);
                uses.push(format!("sudo: {} ({file}:{})", other.name().text(), right.line));
            }
        }
    }
    uses
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, told};
    use super::*;
    use crate::check::Param;
    use crate::edit::Edit;
    use crate::observation::login::Teller;
    use crate::parse::key_blob::samples;

    fn lock(user: &str) -> [Edit; 1] {
        [Edit::LockPassword { user: user.to_owned() }]
    }

    #[test]
    fn roots_password_stays_until_another_way_is_proved() {
        let refused = ["!no-other-way"];
        let case = Case::new();
        assert_eq!(told(&case.rules(&ROOT_PASSWORD, &lock("root"))), refused, "the key was never used");
        for (days, teller, want) in [
            (1, Teller::Journal, &["vnc", "keeps"][..]),
            (29, Teller::Journal, &["vnc", "keeps"]),
            (31, Teller::Journal, &refused),
            (1, Teller::Log, &refused),
            (1, Teller::Wtmp, &refused),
        ] {
            // Whoever came in as bob, who administers nothing, holds the key, and root's file names the same one.
            for user in ["root", "ann", "bob"] {
                let case = case.seen(user, days, teller);
                assert_eq!(told(&case.rules(&ROOT_PASSWORD, &lock("root"))), want, "{user} {days} {teller:?}");
            }
        }
        // A key that opens bob only proves nothing, however often he comes.
        let bobs = case.without("/root/.ssh/authorized_keys").without("/home/ann/.ssh/authorized_keys");
        let bobs = bobs.file("/home/bob/.ssh/authorized_keys", samples::ED25519.line).seen("bob", 1, Teller::Journal);
        assert_eq!(told(&bobs.rules(&ROOT_PASSWORD, &lock("root"))), refused, "bob administers nothing");
        let held = case.hold(samples::ED25519.fingerprint);
        assert_eq!(told(&held.rules(&ROOT_PASSWORD, &lock("root"))), ["vnc", "keeps-held"]);
        let other = case.hold(samples::RSA.fingerprint);
        assert_eq!(told(&other.rules(&ROOT_PASSWORD, &lock("root"))), refused);
        // The login was seen, and the key opens nothing any more.
        let ann = case.without("/root/.ssh/authorized_keys").seen("ann", 1, Teller::Journal);
        assert_eq!(told(&ann.rules(&ROOT_PASSWORD, &lock("root"))), ["vnc", "keeps"]);
        for broken in [
            ann.without("/home/ann/.ssh/authorized_keys"),
            ann.sshd("PubkeyAuthentication no"),
            ann.sshd("DenyUsers ann"),
            ann.owned("/home/ann/.ssh", 1000, 1000, 0o777),
            ann.file("/home/ann/.ssh/authorized_keys", &format!("command=\"exit 142\" {}", samples::ED25519.line)),
            ann.file("/etc/sudoers", "ann ALL=(ALL) /bin/ls\n"),
            ann.file("/etc/sudoers", "Defaults rootpw\nann ALL=(ALL) ALL\n"),
            ann.sshd("AuthenticationMethods publickey,password"),
        ] {
            assert_eq!(told(&broken.rules(&ROOT_PASSWORD, &lock("root"))), refused);
        }
        // It opens today, and not for a month; or not from where anybody comes.
        for options in ["expiry-time=\"20010920\"", "from=\"10.0.0.0/8\""] {
            let line = format!("{options} {}", samples::ED25519.line);
            let ending = ann.file("/root/.ssh/authorized_keys", &line).file("/home/ann/.ssh/authorized_keys", &line);
            assert_eq!(told(&ending.rules(&ROOT_PASSWORD, &lock("root"))), refused, "{options}");
        }
        // An image has nobody yet; another account's password is no concern of this guard.
        assert_eq!(told(&case.offline().rules(&ROOT_PASSWORD, &lock("root"))), ["vnc"]);
        assert!(told(&case.rules(&ROOT_PASSWORD, &lock("ann"))).is_empty());
        // uid 0 under another name is root.
        let toor = case.user("toor:x:0:0::/root:/bin/bash").shadow("toor", "$6$toor:11500:0:99999:7:::");
        assert_eq!(told(&toor.rules(&ROOT_PASSWORD, &lock("toor"))), refused);
    }

    #[test]
    fn a_lock_never_shuts_keys_out() {
        for (config, field) in [("", "!$6$ann"), ("UsePAM no", "*")] {
            let case = Case::new().sshd(config);
            assert!(told(&case.rules(&BANG_LOCK, &lock("ann"))).is_empty(), "{config}");
            let locked = case.shadow("ann", &format!("{field}:11500:0:99999:7:::"));
            assert!(told(&case.becomes(&BANG_LOCK, &locked)).is_empty(), "{config}");
        }
        let case = Case::new().sshd("UsePAM no");
        for field in ["!", "!!", "!$6$ann", "!*"] {
            let locked = case.shadow("ann", &format!("{field}:11500:0:99999:7:::"));
            assert_eq!(told(&case.becomes(&BANG_LOCK, &locked)), ["!keys-shut-out"], "{field}");
            assert!(told(&locked.becomes(&BANG_LOCK, &locked)).is_empty(), "it was so before: {field}");
        }
        let broken = Case::new().sshd("Nonsense");
        let locked = broken.shadow("ann", "!:11500:0:99999:7:::");
        assert_eq!(told(&broken.becomes(&BANG_LOCK, &locked)), ["!keys-shut-out"]);
        assert!(told(&broken.rules(&BANG_LOCK, &lock("ann"))).is_empty());
    }

    #[test]
    fn who_else_asks_for_the_password_is_told() {
        let uses = |case: &Case, user: &str| match case.rules(&PASSWORD_USES, &lock(user)) {
            Ruling::Holds(said) => said.iter().map(|said| said.params[1].1.clone()).collect::<Vec<_>>(),
            refused => panic!("{refused:?}"),
        };
        let list = |words: &[&str]| vec![Param::List(words.iter().map(|word| (*word).to_owned()).collect())];
        let case = Case::new();
        assert_eq!(uses(&case, "ann"), list(&["login", "su"]));
        let asks = case.file("/etc/sudoers", "ann ALL=(ALL) ALL\n");
        assert_eq!(uses(&asks.world(), "ann"), list(&["sshd", "login", "su", "sudo (/etc/sudoers:1)"]));
        let rootpw = case.file("/etc/sudoers", "Defaults rootpw\nann ALL=(ALL) ALL\n");
        assert_eq!(uses(&rootpw, "root"), list(&["login", "su", "sudo: ann (/etc/sudoers:2)"]));
    }
}
