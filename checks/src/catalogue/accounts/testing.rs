//! A host to judge: its account files, drawn by hand.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use crate::access::{Access, AccessDoubt, AccountAccess, DaemonAccess, Grant, Method, SourceAccess, SourceClass, Way};
use crate::catalogue::shown::Drawn;
use crate::check::{Check, Finding, Input, Profile, Verdict, placeholders};
use crate::fact::{Fact, Why};
use crate::host::Host;
use crate::observation::Observations;
use crate::observation::password::{AccountAudit, Outcome, PasswordAudit};
use crate::parse::passwd::Name;
use crate::policy::Policy;
use crate::snapshot::{Reader, Sketch, Snapshot};
use crate::sshd::{Effective, Origin, Setting, Value};

/// A sha512crypt hash.
pub(super) const SHA512: &str =
    "$6$abcdefgh$BGHPYnkaWUYd5Iz0Sc8bN1A9sYtxhPuTMDXNEbPgOcDCPHIYm1dWy7YoLbcDfjYjbUb1j3Td3x1Tj2J0lJ3yq1";

/// A host and a policy. Alice (1000) and a service account `web` (900) stand beside root.
#[derive(Clone)]
pub(super) struct Case {
    files: BTreeMap<String, Result<String, Why>>,
    hidden: Vec<String>,
    owners: BTreeMap<String, (u32, u32, u32)>,
    shadow: Vec<(String, String)>,
    logins: Vec<String>,
    doubtful: bool,
    pam: bool,
    /// The policy.
    pub(super) policy: Policy,
    /// What was observed.
    pub(super) seen: Observations,
}

impl Case {
    /// Nobody has a password, at 2001-09-09.
    pub(super) fn new() -> Self {
        let mut case = Self {
            files: BTreeMap::new(),
            hidden: Vec::new(),
            owners: BTreeMap::new(),
            shadow: ["root", "web", "alice"].map(|name| (name.to_owned(), "*:1000:0:99999:7:::".to_owned())).to_vec(),
            logins: Vec::new(),
            doubtful: false,
            pam: true,
            policy: Policy::builtin(Profile::Enhanced),
            seen: Observations::offline(1_000_000_000),
        };
        let passwd =
            "root:x:0:0::/root:/bin/bash\nweb:x:900:900::/srv:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/bash\n";
        case.files.insert("/etc/passwd".to_owned(), Ok(passwd.to_owned()));
        case.files
            .insert("/etc/group".to_owned(), Ok("root:x:0:\nshadow:x:42:\nalice:x:1000:\nweb:x:900:\n".to_owned()));
        case
    }

    /// An account's password field, with the ageing fields of a new account.
    pub(super) fn password(&self, user: &str, field: &str) -> Self {
        self.shadow(user, &format!("{field}:1000:0:99999:7:::"))
    }

    /// An account's shadow fields behind the name.
    pub(super) fn shadow(&self, user: &str, fields: &str) -> Self {
        let mut case = self.clone();
        case.shadow.retain(|(name, _)| name != user);
        case.shadow.push((user.to_owned(), fields.to_owned()));
        case
    }

    /// A file.
    pub(super) fn file(&self, path: &str, content: &str) -> Self {
        let mut case = self.clone();
        case.files.insert(path.to_owned(), Ok(content.to_owned()));
        case
    }

    /// One more line of passwd.
    pub(super) fn user(&self, line: &str) -> Self {
        let passwd = self.files.get("/etc/passwd").and_then(|file| file.clone().ok()).unwrap_or_default();
        self.file("/etc/passwd", &format!("{passwd}{line}\n"))
    }

    /// A file that cannot be read.
    pub(super) fn deny(&self, path: &str) -> Self {
        let mut case = self.clone();
        case.files.insert(path.to_owned(), Err(Why::Denied));
        case
    }

    /// Something that does not even show what it is.
    pub(super) fn hide(&self, path: &str) -> Self {
        let mut case = self.clone();
        case.hidden.push(path.to_owned());
        case
    }

    /// Owner, group and mode of a file.
    pub(super) fn owned(&self, path: &str, uid: u32, gid: u32, mode: u32) -> Self {
        let mut case = self.clone();
        case.owners.insert(path.to_owned(), (uid, gid, mode));
        case
    }

    /// An account that can log in with a key, and gets a shell.
    pub(super) fn login(&self, user: &str) -> Self {
        let mut case = self.clone();
        case.logins.push(user.to_owned());
        case
    }

    /// Logins cannot all be decided.
    pub(super) fn doubtful(&self) -> Self {
        Self { doubtful: true, ..self.clone() }
    }

    /// An sshd that runs without PAM.
    pub(super) fn without_pam(&self) -> Self {
        Self { pam: false, ..self.clone() }
    }

    /// What the password audit found.
    pub(super) fn audit(&self, user: &str, tried: u64, outcome: Outcome) -> Self {
        let mut case = self.clone();
        let mut audit = case.seen.passwords.known().cloned().unwrap_or_default();
        audit.accounts.push(AccountAudit { user: Name::new(user), method: None, tried, of: 5000, outcome });
        case.seen.passwords = Fact::Known(PasswordAudit { ..audit });
        case
    }

    /// Does something with what a check may look at.
    pub(super) fn with<T>(&self, snapshot: &Snapshot, act: impl FnOnce(&Input<'_>) -> T) -> T {
        self.look(snapshot, &self.seen, act)
    }

    /// What the check says.
    pub(super) fn verdict(&self, check: &'static Check) -> Verdict {
        let verdict = self.judged(check);
        if let Verdict::Fail(findings, _) = &verdict {
            findings.iter().for_each(|finding| complete(check, finding));
            self.mends_its_own(check, findings);
        }
        verdict
    }

    /// The file, the owner in front, after the check's findings are mended.
    pub(super) fn becomes(&self, check: &'static Check, path: &str) -> String {
        let Verdict::Fail(findings, _) = self.judged(check) else { panic!("{}: nothing is wrong", check.id) };
        let (after, _, verdict) = self.mended(check, &findings);
        assert_eq!(verdict, Verdict::Pass, "{} after its own fix", check.id);
        let reader = Reader::new(&after);
        let view = reader.file(Path::new(path)).unwrap();
        format!("{}:{} {:04o} {}", view.meta.uid, view.meta.gid, view.meta.mode, str::from_utf8(view.bytes).unwrap())
    }

    /// The findings, as subject and message.
    pub(super) fn findings(&self, check: &'static Check) -> Vec<String> {
        match self.verdict(check) {
            Verdict::Fail(findings, _) => findings.iter().map(|f| format!("{} {}", f.subject, f.message)).collect(),
            Verdict::Pass | Verdict::Unknown(_) => Vec::new(),
            Verdict::NotApplicable(why) => panic!("not applicable: {}", why.en),
        }
    }

    /// The first finding.
    pub(super) fn finding(&self, check: &'static Check) -> Finding {
        match self.verdict(check) {
            Verdict::Fail(mut findings, _) => findings.remove(0),
            verdict => panic!("{verdict:?}"),
        }
    }

    /// The subjects of the doubts.
    pub(super) fn doubts(&self, check: &'static Check) -> Vec<String> {
        match self.verdict(check) {
            Verdict::Fail(_, doubts) | Verdict::Unknown(doubts) => doubts.into_iter().map(|d| d.subject).collect(),
            Verdict::Pass | Verdict::NotApplicable(_) => Vec::new(),
        }
    }

    /// Passes.
    pub(super) fn clean(&self, check: &'static Check) {
        assert_eq!(self.verdict(check), Verdict::Pass, "{}", check.id);
    }
}

impl Drawn for Case {
    fn snapshot(&self) -> Snapshot {
        let lines: String = self.shadow.iter().map(|(name, fields)| format!("{name}:{fields}\n")).collect();
        let mut sketch = Sketch::new()
            .file("/etc/shadow", lines)
            .owned("/etc/shadow", 0, 42, 0o640)
            .file("/usr/sbin/nologin", "")
            .owned("/usr/sbin/nologin", 0, 0, 0o755);
        for (path, content) in &self.files {
            sketch = match content {
                Ok(content) => sketch.file(path, content),
                Err(why) => sketch.unreadable(path, why.clone()),
            };
        }
        for path in &self.hidden {
            sketch = sketch.hidden(path, Why::Denied);
        }
        for (path, (uid, gid, mode)) in &self.owners {
            sketch = sketch.owned(path, *uid, *gid, *mode);
        }
        sketch.snapshot()
    }

    fn seen(&self) -> Observations {
        self.seen.clone()
    }

    fn policy(&self) -> Policy {
        self.policy.clone()
    }

    fn access(&self, host: &Host, _: &Observations) -> Access {
        let source = |ways| SourceAccess {
            class: SourceClass::Private,
            settings: 0,
            example: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
            ways,
            usable_keys: Vec::new(),
            last_used: None,
            refused_because: Vec::new(),
            decided_by: Vec::new(),
            reproduce: String::new(),
            doubts: if self.doubtful { vec![AccessDoubt { method: None, why: Why::Denied }] } else { Vec::new() },
        };
        let key =
            Way { methods: vec![Method::Publickey], grants: Grant::Shell, keys: Vec::new(), certain: !self.doubtful };
        let account = |user: &crate::host::accounts::User| {
            let name = user.name().text().into_owned();
            let ways = if self.logins.contains(&name) { vec![key.clone()] } else { Vec::new() };
            AccountAccess { user: name, uid: user.entry.uid, admin: Fact::Absent, sources: vec![source(ways)] }
        };
        let accounts = host.accounts.list().iter().map(account).collect();
        let config = PathBuf::from("/etc/ssh/sshd_config");
        let value = if self.pam { "yes" } else { "no" };
        let value = Value { text: value.to_owned(), words: vec![value.to_owned()], origin: Origin::Default };
        let settings = Effective { settings: vec![Setting { keyword: "usepam", values: vec![value] }] };
        let daemon = DaemonAccess {
            config,
            unit: None,
            listeners: Vec::new(),
            accounts,
            doubts: Vec::new(),
            global: Ok(settings.clone()),
            blocks: Vec::new(),
            effective: vec![settings],
            program: String::new(),
            options: String::new(),
        };
        Access { daemons: vec![daemon] }
    }
}

/// Every placeholder of the finding's message has its parameter, no parameter goes unused, and no evidence shows a hash.
fn complete(check: &Check, finding: &Finding) {
    let message = check.message(finding.message).unwrap_or_else(|| panic!("{}: {}", check.id, finding.message));
    let given = finding.params.iter().map(|(name, _)| *name).collect();
    assert_eq!(placeholders(message.text.en), given, "{}: {}", check.id, finding.message);
    assert!(!finding.evidence.iter().any(|e| e.text.contains("$6$")), "{}: a hash is shown", check.id);
}
