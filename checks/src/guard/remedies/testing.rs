//! A host to guard: root with a password and a key, ann (who may use sudo) with a key, bob; and the host that edits make of it.

use std::collections::BTreeMap;

use crate::access::Access;
use crate::check::{Finding, Input, Profile, Severity};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::guard::{Case as Between, Circumstances, Guard, LATER, Rule, Ruling};
use crate::host::Host;
use crate::observation::login::{Login, Logins, Teller};
use crate::observation::socket::{Listener, Process, Protocol, Sockets};
use crate::observation::{Mode, Observations};
use crate::parse::key_blob::samples;
use crate::plan::{self, Plan, Said};
use crate::policy::Policy;
use crate::snapshot::{Sketch, Snapshot};

/// 2001-09-09.
const NOW: i64 = 1_000_000_000;

/// What the drawn sshd knows.
const PROGRAM: &[&str] = &[
    "OpenSSH_9.2p1 Debian-2+deb12u3",
    "include",
    "pubkeyacceptedalgorithms",
    "hostbasedacceptedalgorithms",
    "casignaturealgorithms",
    "requiredrsasize",
    "authenticationmethods",
    "ssh-ed25519",
    "rsa-sha2-256",
    "rsa-sha2-512",
];

/// A live host, its policy, and what the agent tells.
#[derive(Clone)]
pub(super) struct Case {
    files: BTreeMap<String, String>,
    owners: BTreeMap<String, (u32, u32, u32)>,
    config: String,
    shadow: Vec<(String, String)>,
    /// The policy.
    pub(super) policy: Policy,
    /// What was observed.
    pub(super) seen: Observations,
    /// What only the agent can tell.
    pub(super) circumstances: Circumstances,
}

impl Case {
    pub(super) fn new() -> Self {
        let mut seen = Observations::offline(NOW);
        seen.mode = Mode::Live;
        seen.daemons = Fact::Known(Vec::new());
        let case = Self {
            files: BTreeMap::new(),
            owners: BTreeMap::new(),
            config: "UsePAM yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n".to_owned(),
            shadow: [("root", "$6$root"), ("ann", "$6$ann"), ("bob", "*")]
                .map(|(name, field)| (name.to_owned(), format!("{field}:11500:0:99999:7:::")))
                .to_vec(),
            policy: Policy::builtin(Profile::Enhanced),
            seen,
            circumstances: Circumstances::default(),
        };
        let key = samples::ED25519.line;
        case.file(
            "/etc/passwd",
            "root:x:0:0::/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\nbob:x:1005:1005::/home/bob:/bin/sh\n",
        )
        .file("/etc/group", "root:x:0:\nann:x:1000:\nbob:x:1005:\n")
        .file("/bin/bash", "")
        .owned("/bin/bash", 0, 0, 0o755)
        .file("/bin/sh", "")
        .owned("/bin/sh", 0, 0, 0o755)
        .file("/usr/sbin/nologin", "")
        .owned("/usr/sbin/nologin", 0, 0, 0o755)
        .file("/usr/bin/sudo", "")
        .owned("/usr/bin/sudo", 0, 0, 0o4755)
        .file("/etc/sudoers", "ann ALL=(ALL) NOPASSWD: ALL\n")
        .owned("/etc/sudoers", 0, 0, 0o440)
        .file("/etc/pam.d/sshd", "auth required pam_unix.so\naccount required pam_unix.so\n")
        .file("/etc/pam.d/su", "auth sufficient pam_rootok.so\nauth required pam_unix.so\n")
        .file("/etc/pam.d/login", "auth required pam_unix.so\n")
        .file("/root/.ssh/authorized_keys", key)
        .file("/home/ann/.ssh/authorized_keys", key)
        .owned("/home/ann", 1000, 1000, 0o755)
        .owned("/home/ann/.ssh", 1000, 1000, 0o700)
        .owned("/home/ann/.ssh/authorized_keys", 1000, 1000, 0o600)
    }

    pub(super) fn file(&self, path: &str, content: &str) -> Self {
        let mut case = self.clone();
        case.files.insert(path.to_owned(), content.to_owned());
        case
    }

    pub(super) fn without(&self, path: &str) -> Self {
        let mut case = self.clone();
        case.files.remove(path);
        case
    }

    pub(super) fn owned(&self, path: &str, uid: u32, gid: u32, mode: u32) -> Self {
        let mut case = self.clone();
        case.owners.insert(path.to_owned(), (uid, gid, mode));
        case
    }

    pub(super) fn user(&self, line: &str) -> Self {
        let passwd = self.files.get("/etc/passwd").cloned().unwrap_or_default();
        self.file("/etc/passwd", &format!("{passwd}{line}\n"))
    }

    pub(super) fn shadow(&self, user: &str, fields: &str) -> Self {
        let mut case = self.clone();
        case.shadow.retain(|(name, _)| name != user);
        case.shadow.push((user.to_owned(), fields.to_owned()));
        case
    }

    /// Lines in front of sshd's configuration.
    pub(super) fn sshd(&self, lines: &str) -> Self {
        Self { config: format!("{lines}\n{}", self.config), ..self.clone() }
    }

    pub(super) fn command(&self, command: &str) -> Self {
        self.sshd(&format!("AuthorizedKeysCommand {command}\nAuthorizedKeysCommandUser nobody"))
    }

    pub(super) fn trusted(&self, file: &str) -> Self {
        self.sshd(&format!("TrustedUserCAKeys {file}"))
    }

    /// Everybody may try passwords.
    pub(super) fn world(&self) -> Self {
        self.sshd("PasswordAuthentication yes")
    }

    pub(super) fn approve(&self, keys: &[&str]) -> Self {
        let mut case = self.clone();
        case.policy.approved_keys = Some(keys.iter().map(|key| (*key).to_owned()).collect());
        case
    }

    /// A login by the key that root and ann have.
    pub(super) fn seen(&self, user: &str, days_ago: i64, told_by: Teller) -> Self {
        let mut case = self.clone();
        let mut logins = case.seen.logins.known().cloned().unwrap_or_default();
        logins.accepted.push(Login {
            at: NOW - days_ago * 86_400,
            user: user.to_owned(),
            method: "publickey".to_owned(),
            source: Some([203, 0, 113, 5].into()),
            key: Some(samples::ED25519.fingerprint.to_owned()),
            authority: None,
            told_by,
        });
        case.seen.logins = Fact::Known(Logins { ..logins });
        case
    }

    pub(super) fn hold(&self, key: &str) -> Self {
        let mut case = self.clone();
        case.circumstances.consent.held.push(key.to_owned());
        case
    }

    pub(super) fn offline(&self) -> Self {
        let mut case = self.clone();
        case.seen.mode = Mode::Offline;
        case
    }

    pub(super) fn listener(&self, executable: &str, unit: &str) -> Self {
        let mut case = self.clone();
        let mut sockets = case.seen.sockets.known().cloned().unwrap_or_default();
        let process = Process {
            pid: 7,
            name: "x".to_owned(),
            executable: Fact::Known(executable.into()),
            deleted: false,
            uid: 0,
            unit: Some(unit.to_owned()),
            started: None,
        };
        sockets.listeners.push(Listener {
            protocol: Protocol::Tcp,
            address: [0, 0, 0, 0].into(),
            port: 1,
            v6only: None,
            device: None,
            inode: 1,
            uid: 0,
            namespace: None,
            owners: Fact::Known(vec![process]),
            container: None,
        });
        case.seen.sockets = Fact::Known(Sockets { ..sockets });
        case
    }

    fn snapshot(&self) -> Snapshot {
        let lines: String = self.shadow.iter().map(|(name, fields)| format!("{name}:{fields}\n")).collect();
        let mut sketch = Sketch::new()
            .program("/usr/sbin/sshd", PROGRAM)
            .file("/etc/ssh/sshd_config", &self.config)
            .file("/etc/shadow", lines)
            .owned("/etc/shadow", 0, 42, 0o640);
        for (path, content) in &self.files {
            sketch = sketch.file(path, content);
        }
        for (path, (uid, gid, mode)) in &self.owners {
            sketch = sketch.owned(path, *uid, *gid, *mode);
        }
        sketch.snapshot()
    }

    fn with<T>(&self, snapshot: &Snapshot, act: impl FnOnce(&Input<'_>) -> T) -> T {
        self.at(&self.seen, snapshot, act)
    }

    fn at<T>(&self, seen: &Observations, snapshot: &Snapshot, act: impl FnOnce(&Input<'_>) -> T) -> T {
        let (host, need) = Host::read(snapshot, seen);
        assert!(need.is_empty(), "{need:?}");
        let access = Access::resolve(&host, seen);
        act(&Input { host: &host, seen, access: &access, policy: &self.policy })
    }

    /// What a guard of one edit answers: None: nothing against it.
    pub(super) fn refused(&self, guard: &Guard, edit: &Edit) -> Option<&'static str> {
        self.refusal(guard, edit).map(|said| said.message.id)
    }

    /// The same in full.
    pub(super) fn refusal(&self, guard: &Guard, edit: &Edit) -> Option<Said> {
        let Rule::Edit(rule) = guard.rule else { panic!("{} looks at the host", guard.id) };
        self.with(&self.snapshot(), |input| rule(edit, input, &self.circumstances)).err()
    }

    /// What a guard of the host answers to these edits.
    pub(super) fn rules(&self, guard: &Guard, edits: &[Edit]) -> Ruling {
        let before = self.snapshot();
        let finding = Finding { fix: edits.to_vec(), ..Finding::new(Severity::High, "x", "x") };
        let check = &crate::catalogue::accounts::weak_password::CHECK;
        let plan = self.with(&before, |input| plan::testing::planned(&before, input, check, &[finding]));
        let mut after = before.clone();
        plan::lay(&mut after, &plan);
        self.judge(guard, &before, &after, &plan)
    }

    /// What it answers where this host became that one.
    pub(super) fn becomes(&self, guard: &Guard, other: &Self) -> Ruling {
        self.judge(guard, &self.snapshot(), &other.snapshot(), &Plan::default())
    }

    fn judge(&self, guard: &Guard, before: &Snapshot, after: &Snapshot, plan: &Plan) -> Ruling {
        let Rule::Host(rule) = guard.rule else { panic!("{} looks at one edit", guard.id) };
        let far = Observations { now: self.seen.now + LATER, ..self.seen.clone() };
        let (circumstances, first_boot) = (&self.circumstances, None);
        self.with(before, |before| {
            self.at(&far, after, |later| {
                self.with(after, |after| rule(&Between { before, after, later, plan, circumstances, first_boot }))
            })
        })
    }
}

/// The ids of what a ruling says; a refusal has `!` in front.
pub(super) fn told(ruling: &Ruling) -> Vec<String> {
    match ruling {
        Ruling::Holds(said) => said.iter().map(|said| said.message.id.to_owned()).collect(),
        Ruling::Refuses(said) => said.iter().map(|said| format!("!{}", said.message.id)).collect(),
    }
}
