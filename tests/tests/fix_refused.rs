//! What a fix refuses on real hosts: nothing changes, whoever came in still does, and the words say what to do.

#![cfg(test)]

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::process::Output;

use hostward_tests::host::{Host, PUBLIC_CLIENT};
use hostward_tests::results;
use hostward_tests::ssh::{Client, Session, With};
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;
use serde_json::Value;

const SUITES: [&str; 6] = ["bookworm", "bionic", "jammy", "noble", "trixie", "resolute"];

/// In front of what the distribution configures, behind what a case does.
const OPEN: &str = "PermitRootLogin yes\nPasswordAuthentication yes\nMaxStartups 400:30:800\n";

/// Words of the scripts: `$C` is sshd_config, `$K` the line of the key, `$D` that of the DSA key.
const WORDS: &str = r#"
    C=/etc/ssh/sshd_config
    echo 'root:Pa55-root-word' | chpasswd
    keyed() { # USER LINE
        home=$(getent passwd $1 | cut -d: -f6)
        install -d -m 700 -o $1 -g $1 $home/.ssh; echo "$2" >$home/.ssh/authorized_keys
        chown $1: $home/.ssh/authorized_keys; chmod 600 $home/.ssh/authorized_keys
    }
    operator() { useradd -m -s /bin/bash ops; usermod -aG sudo ops; echo 'ops:Pa55-ops-word' | chpasswd; }
"#;

/// The confirmation that is asked for where nothing else is said; it costs no waiting.
const BY_LOGIN: &str = "--confirm-by login --confirm-within 5m";

/// How somebody comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Key,
    DsaKey,
    /// A key that gives no shell.
    KeyAlone,
    Password,
    /// One that anybody tries.
    WeakPassword,
}

/// What is asked of a suite before a case makes sense there.
type Fits = fn(&Place) -> bool;

/// A host and why it is not to be fixed.
struct Case {
    name: &'static str,
    fits: Fits,
    /// Lines in front of all others of sshd_config.
    config: &'static str,
    /// Accounts and keys.
    script: &'static str,
    /// Who comes in before, and afterwards.
    comes: &'static [(&'static str, By)],
    /// Who could come in, and still can.
    could: &'static [(&'static str, By)],
    /// Who asks for the fix from a session by password.
    sits: Option<&'static str>,
    /// What somebody else does after sshd has read its files.
    pending: &'static str,
    fix: &'static str,
    /// How it is confirmed.
    confirm: &'static str,
    /// Every message of a refusal; none where it is to pass at once.
    refused: &'static [&'static str],
    /// Parts of what is said, in English and in Chinese.
    says: &'static [&'static str],
    /// What the words name as a way out; `$F` is the key's fingerprint.
    passes: Option<&'static str>,
    /// Messages of findings that stay although the rest is mended.
    stays: &'static [&'static str],
    /// Who comes in after it has passed.
    keeps: &'static [(&'static str, By)],
}

const PLAIN: Case = Case {
    name: "",
    fits: |_| true,
    config: "",
    script: "",
    comes: &[],
    could: &[],
    sits: None,
    pending: "",
    fix: "sshd",
    confirm: BY_LOGIN,
    refused: &[],
    says: &[],
    passes: None,
    stays: &[],
    keeps: &[],
};

const PUT_ONE: [&str; 2] =
    ["put one into its authorized_keys and log in with it once", "请将密钥写入其 authorized_keys 并用它登录一次"];

const CASES: &[Case] = &[
    Case { name: "no key anywhere", could: &[("root", By::Password)], refused: &["no-key"], says: &PUT_ONE, ..PLAIN },
    Case {
        name: "the only key is DSA",
        script: "keyed root \"$D\"",
        could: &[("root", By::Password)],
        refused: &["no-key"],
        says: &["ssh-dss", PUT_ONE[0], PUT_ONE[1]],
        ..PLAIN
    },
    Case {
        name: "the only key is DSA, and this sshd takes it",
        fits: |place| place.knows_dsa,
        config: "PubkeyAcceptedKeyTypes +ssh-dss",
        script: "keyed root \"$D\"",
        comes: &[("root", By::DsaKey)],
        fix: "sshd.password-login",
        keeps: &[("root", By::DsaKey)],
        passes: Some(""),
        ..PLAIN
    },
    Case {
        name: "the only key has a forced exit",
        script: "keyed root \"command=\\\"exit 1\\\" $K\"",
        comes: &[("root", By::KeyAlone)],
        could: &[("root", By::Password)],
        refused: &["no-key"],
        says: &["a key gives", PUT_ONE[0], PUT_ONE[1]],
        ..PLAIN
    },
    Case {
        name: "StrictModes refuses the file of the only key",
        script: "keyed root \"$K\"; chmod 666 /root/.ssh/authorized_keys",
        could: &[("root", By::Password)],
        refused: &["no-key"],
        says: &["StrictModes: ", PUT_ONE[0], PUT_ONE[1]],
        ..PLAIN
    },
    Case {
        name: "the same fix mends what StrictModes refuses",
        script: "keyed root \"$K\"; chmod 666 /root/.ssh/authorized_keys",
        could: &[("root", By::Password)],
        fix: "sshd keys.permissions",
        refused: &["not-held"],
        says: &["--i-hold $F", "请用其中之一登录一次"],
        passes: Some("--i-hold $F"),
        keeps: &[("root", By::Key)],
        ..PLAIN
    },
    Case {
        name: "the only key is outside AllowUsers",
        config: "AllowUsers ops",
        script: "keyed root \"$K\"; operator",
        could: &[("ops", By::Password)],
        refused: &["no-key"],
        says: &["AllowUsers", PUT_ONE[0], PUT_ONE[1]],
        ..PLAIN
    },
    Case {
        name: "the only key was never used",
        script: "keyed root \"$K\"",
        could: &[("root", By::Key), ("root", By::Password)],
        refused: &["not-held"],
        says: &["--i-hold $F", "log in with one of them", "请用其中之一登录一次"],
        passes: Some("--i-hold $F"),
        keeps: &[("root", By::Key)],
        ..PLAIN
    },
    Case {
        name: "the only key was used with another account",
        script: "keyed root \"$K\"; useradd -m -s /bin/bash dev; keyed dev \"$K\"",
        comes: &[("dev", By::Key)],
        passes: Some(""),
        keeps: &[("root", By::Key), ("dev", By::Key)],
        ..PLAIN
    },
    Case {
        name: "the only administrator sits here by password",
        script: "keyed root \"$K\"",
        could: &[("root", By::Key), ("root", By::Password)],
        sits: Some("root"),
        fix: "sshd --i-hold $F",
        refused: &["cut"],
        says: &["--accept-cut root lets it go", "使用 --accept-cut root 表示接受"],
        passes: Some("--accept-cut root"),
        keeps: &[("root", By::Key)],
        ..PLAIN
    },
    Case {
        name: "sudo needs a password that would be locked",
        config: "PermitRootLogin no",
        script: "passwd -q -l root; operator; keyed ops \"$K\"; usermod -p '$1$abcdefgh$KJHEbEnUJaxWv269o9nH60' ops",
        comes: &[("ops", By::Key)],
        fix: "accounts.weak-password --password-budget 20s",
        refused: &["no-key", "sudo-password"],
        says: &["set another one (passwd ops)", "请先设置其他口令（passwd ops）"],
        ..PLAIN
    },
    Case {
        name: "root's weak password is all there is",
        script: "usermod -p '$1$abcdefgh$KJHEbEnUJaxWv269o9nH60' root",
        comes: &[("root", By::WeakPassword)],
        fix: "accounts.weak-password --password-budget 20s",
        refused: &["cut", "no-key", "no-other-way"],
        says: &["log in once by key", "请先用密钥登录一次", "--i-hold SHA256:", PUT_ONE[0]],
        ..PLAIN
    },
    Case {
        name: "AuthorizedKeysCommand only",
        config: "AuthorizedKeysCommand /usr/local/sbin/keys-of\nAuthorizedKeysCommandUser nobody",
        script: "printf '#!/bin/sh\\necho \"%s\"\\n' \"$K\" >/usr/local/sbin/keys-of; chmod 755 /usr/local/sbin/keys-of",
        comes: &[("root", By::Key)],
        could: &[("root", By::Password)],
        refused: &["no-key"],
        says: &["AuthorizedKeysCommand", PUT_ONE[0], PUT_ONE[1]],
        ..PLAIN
    },
    Case {
        name: "a Match block is the only way in",
        config: "PasswordAuthentication no\nPubkeyAuthentication no",
        script: "printf 'Match Address 203.0.113.0/24\\n\\tPasswordAuthentication yes\\n' >>$C",
        comes: &[("root", By::Password)],
        refused: &["cut", "no-key"],
        says: &[PUT_ONE[0], PUT_ONE[1], "--accept-cut root"],
        ..PLAIN
    },
    Case {
        name: "a ListenAddress that cannot be bound",
        fits: |place| !place.activated,
        script: "keyed root \"$K\"",
        comes: &[("root", By::Key)],
        pending: "sed -i '1i ListenAddress 192.0.2.1' $C",
        fix: "sshd --accept-pending",
        refused: &["unbindable"],
        says: &["192.0.2.1:22", "mend ListenAddress first", "请先修正 ListenAddress"],
        ..PLAIN
    },
    Case {
        name: "a ListenAddress that nobody binds, for the socket is systemd's",
        fits: |place| place.activated,
        script: "keyed root \"$K\"",
        comes: &[("root", By::Key)],
        pending: "sed -i '1i ListenAddress 192.0.2.1' $C",
        refused: &["waits"],
        says: &["--accept-pending", "请先自行重新加载"],
        passes: Some("--accept-pending"),
        keeps: &[("root", By::Key)],
        ..PLAIN
    },
    Case {
        name: "a foreign edit waits that breaks sshd",
        script: "keyed root \"$K\"",
        comes: &[("root", By::Key)],
        pending: "echo 'Nonsense yes' >>$C",
        refused: &["refuses", "waits"],
        says: &["Nonsense", "mend that first", "请先修复"],
        ..PLAIN
    },
    Case {
        name: "a foreign edit waits",
        script: "keyed root \"$K\"",
        comes: &[("root", By::Key)],
        pending: "sed -i '1i PrintMotd no' $C",
        refused: &["waits"],
        says: &["/etc/ssh/sshd_config", "--accept-pending", "请先自行重新加载"],
        passes: Some("--accept-pending"),
        keeps: &[("root", By::Key)],
        ..PLAIN
    },
    Case {
        name: "members of AllowGroups elsewhere",
        config: "AllowGroups admins",
        script: "groupadd admins; usermod -aG admins root; keyed root \"$K\"
            sed -i '/^group:/d' /etc/nsswitch.conf; echo 'group: files ldap' >>/etc/nsswitch.conf",
        comes: &[("root", By::Key)],
        refused: &["groups-elsewhere"],
        says: &["ldap", "--accept-cut '*' if you know", "请使用 --accept-cut '*'"],
        passes: Some("--accept-cut *"),
        keeps: &[("root", By::Key)],
        ..PLAIN
    },
    Case {
        name: "an algorithm of which a probe tells nothing",
        // A probe takes its whole time.
        fits: |_| Tier::current() == Tier::Long,
        config: "Ciphers aes128-ctr,aes256-cbc",
        script: "keyed root \"$K\"",
        comes: &[("root", By::Key)],
        confirm: "--confirm-by probe --confirm-within 12s",
        passes: Some(""),
        stays: &["not-by-probe"],
        keeps: &[("root", By::Key)],
        ..PLAIN
    },
];

/// A booted host with its client.
struct Place {
    host: Host,
    client: Client,
    suite: String,
    /// ED25519 and DSA: private key, line.
    key: (std::path::PathBuf, String),
    dsa: (std::path::PathBuf, String),
    print: String,
    /// Whether the socket is systemd's.
    activated: bool,
    /// Whether its sshd can be told to take DSA keys.
    knows_dsa: bool,
}

impl Place {
    fn new(suite: &Suite) -> Self {
        let host = Host::of(suite).bind(&hostward_tests::binary().unwrap(), "/usr/local/bin/hostward").boot().unwrap();
        host.keep().unwrap();
        let client = Client::of(&host).unwrap();
        let key = client.key("key", "ed25519", None).unwrap();
        let dsa = client.key("dsa", "dsa", None).unwrap();
        let print = std::process::Command::new("ssh-keygen").arg("-lf").arg(&key.0).output().unwrap();
        let print = String::from_utf8(print.stdout).unwrap().split(' ').nth(1).unwrap().to_owned();
        let activated = host.shell("systemctl -q is-active ssh.socket").is_ok();
        let dsa_line = "install -d /run/sshd; /usr/sbin/sshd -T -o PubkeyAcceptedKeyTypes=+ssh-dss";
        let knows_dsa = host.shell(dsa_line).is_ok();
        Self { host, client, suite: suite.name().to_owned(), key, dsa, print, activated, knows_dsa }
    }

    fn with(&self, user: &str, by: By) -> With {
        match by {
            By::Key | By::KeyAlone => With::Key(self.key.0.clone()),
            By::DsaKey => With::Key(self.dsa.0.clone()),
            By::Password => With::Password(format!("Pa55-{user}-word")),
            By::WeakPassword => With::Password("123456".to_owned()),
        }
    }

    fn log_in(&self, people: &[(&str, By)], case: &Case, when: &str) {
        self.host.sshd_answers().unwrap();
        for (user, by) in people {
            let outcome = self.client.login(user, PUBLIC_CLIENT, &self.with(user, *by)).unwrap();
            let expected = if *by == By::KeyAlone { outcome.authenticated && !outcome.shell } else { outcome.shell };
            assert!(expected, "{}, {}: {when}: {user} by {by:?}: {}", self.suite, case.name, outcome.log);
        }
    }

    fn arrange(&self, case: &Case) -> Option<Session> {
        self.host.reset().unwrap();
        let front = format!("{}\n{OPEN}", case.config);
        let (key, dsa) = (&self.key.1, &self.dsa.1);
        let words = format!("K='{key}'; D='{dsa}'{WORDS}");
        let arrange = format!("{words}\nprintf '%s' '{front}' | cat - $C >/tmp/n; cat /tmp/n >$C\n{}", case.script);
        self.host.shell(&arrange).unwrap();
        self.host.reload_sshd().unwrap();
        self.log_in(case.comes, case, "before");
        let sits =
            case.sits.map(|user| self.client.open(user, PUBLIC_CLIENT, &self.with(user, By::Password), &[]).unwrap());
        if !case.pending.is_empty() {
            // Times of files are told in seconds here and there.
            self.host.shell(&format!("sleep 1.2; {words}\n{}", case.pending)).unwrap();
        }
        self.host.sync_logs().unwrap();
        sits
    }

    /// Runs a fix, from the session where somebody sits in one: exit code, standard output and error.
    fn fix(&self, case: &Case, more: &str, session: Option<&mut Session>) -> (Option<i32>, String, String) {
        let line = format!("{} {} {more}", case.fix, case.confirm).replace("$F", &self.print);
        let budget = if line.contains("--password-budget") { "" } else { "--password-budget 0" };
        let line = format!("hostward fix {line} {budget}");
        match session {
            Some(session) => {
                let (out, status) = session.run(&format!("{} 2>/tmp/errors", line.replace('*', "'*'"))).unwrap();
                (Some(status), out, self.host.shell("cat /tmp/errors").unwrap())
            }
            None => {
                let mut words = line.split_whitespace();
                let mut command = self.host.unit(&format!("/usr/local/bin/{}", words.next().unwrap()));
                let Output { status, stdout, stderr } = command.args(words).output().unwrap();
                let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                (status.code(), text(stdout), text(stderr))
            }
        }
    }

    fn try_case(&self, case: &Case) {
        let context = format!("{}, {}", self.suite, case.name);
        let mut sits = self.arrange(case);
        if !case.refused.is_empty() {
            self.is_refused(case, sits.as_mut(), &context);
        }
        if let Some(more) = case.passes {
            // The logins that showed who still comes in are evidence now.
            let _sits = self.arrange(case);
            self.passes(more, case, &context);
        }
        if let Some(session) = &mut sits {
            assert_eq!(session.run("echo here").unwrap(), ("here\n".to_owned(), 0), "{context}: the session ended");
        }
    }

    fn is_refused(&self, case: &Case, mut sits: Option<&mut Session>, context: &str) {
        let before = self.host.files().unwrap();
        let (code, out, errors) = self.fix(case, "--apply --json", sits.as_deref_mut());
        let after = self.host.files().unwrap();
        let changed: Vec<_> = after.lines().filter(|line| !before.contains(*line)).collect();
        assert!(before == after, "{context}: changed: {changed:?}\n{out}");
        assert_eq!(code, Some(3), "{context}: {out}{errors}");
        let plan: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{context}: {out}{errors}"));
        assert_eq!(plan["verdict"], "refused", "{context}: {out}");
        let said: BTreeSet<&str> = refusals(&plan).map(|said| said["id"].as_str().unwrap()).collect();
        assert_eq!(said, case.refused.iter().copied().collect(), "{context}: {out}");
        let kept = self.host.shell("ls /var/lib/hostward/transactions 2>/dev/null || true").unwrap();
        assert_eq!(kept, "", "{context}: a transaction was begun");
        // The words for people, without --apply.
        let (code, chinese, errors) = self.fix(case, "--lang zh", sits);
        assert_eq!(code, Some(3), "{context}: {chinese}{errors}");
        assert!(chinese.contains("已拒绝："), "{context}: {chinese}");
        let english: Vec<&str> = refusals(&plan).map(|said| said["text"].as_str().unwrap()).collect();
        let told = [english.join("\n"), chinese];
        for words in case.says {
            let words = words.replace("$F", &self.print);
            assert!(
                told.iter().any(|text| text.contains(&words)),
                "{context}: {words} is not said: {}",
                told.join("\n")
            );
        }
        self.log_in(case.comes, case, "after the refusal");
        self.log_in(case.could, case, "after the refusal");
    }

    fn passes(&self, more: &str, case: &Case, context: &str) {
        let (code, out, errors) = self.fix(case, &format!("{more} --apply --json"), None);
        let journal = || self.host.shell("journalctl -q --no-pager -o cat -n 60 -u 'hostward-*'").unwrap_or_default();
        assert!(matches!(code, Some(0 | 1)), "{context}: {out}{errors}{}", journal());
        let plan: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{context}: {out}{errors}"));
        let stage = if case.confirm == BY_LOGIN { "waiting" } else { "confirmed" };
        assert_eq!(plan["transaction"]["stage"], stage, "{context}: {out}{}", journal());
        for id in case.stays {
            assert!(plan["stays"].as_array().unwrap().iter().any(|one| one["id"] == *id), "{context}: {id}: {out}");
        }
        self.log_in(case.keeps, case, "after the fix");
        if let (Some((user, by)), "waiting") = (case.keeps.first(), stage) {
            let With::Key(key) = self.with(user, *by) else { panic!("{context}: a new login is by key") };
            let confirm = format!("hostward confirm {}", plan["transaction"]["id"].as_str().unwrap());
            let confirmed = self.client.run(user, PUBLIC_CLIENT, &key, &[], &confirm).unwrap();
            assert!(confirmed.status.success(), "{context}: {confirmed:?}");
        }
        let outcome = self.client.login("root", PUBLIC_CLIENT, &self.with("root", By::Password)).unwrap();
        assert!(!outcome.authenticated, "{context}: the password still opens: {out}");
    }
}

/// What the guards that refuse say.
fn refusals(plan: &Value) -> impl Iterator<Item = &Value> {
    let guards = plan["guards"].as_array().unwrap().iter();
    guards.filter(|guard| guard["holds"] == false).flat_map(|guard| guard["said"].as_array().unwrap())
}

#[test]
fn a_fix_that_could_lock_out_is_refused_and_says_why() {
    let only = std::env::var("HOSTWARD_TEST_SUITE").ok();
    let number = Tier::current().pick(1, SUITES.len());
    let mut failed = Vec::new();
    let chosen = SUITES.iter().enumerate().filter(|(index, name)| match &only {
        Some(only) => only == *name,
        None => *index < number,
    });
    for (_, name) in chosen {
        let Ok(suite) = Suite::find(name) else {
            results::skipped("fix-refused", name, "no root file system");
            continue;
        };
        let place = Place::new(&suite);
        let cases: Vec<&Case> = CASES.iter().filter(|case| (case.fits)(&place)).collect();
        let tried = |case: &&Case| std::panic::catch_unwind(AssertUnwindSafe(|| place.try_case(case))).is_err();
        failed.extend(cases.iter().copied().filter(tried).map(|case| format!("{name}: {}", case.name)));
        let refused = cases.iter().filter(|case| !case.refused.is_empty()).count();
        let passed = cases.iter().filter(|case| case.passes.is_some()).count();
        results::tested(
            "fix-refused",
            name,
            format!("{} cases: {refused} refused and nothing changed, {passed} passed where told how", cases.len()),
        );
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
