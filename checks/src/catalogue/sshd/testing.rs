//! A host to judge: root, toor (uid 0 too), ann with a password, bob without; drawn by hand.

use std::collections::BTreeMap;

use crate::catalogue::shown::Drawn;
use crate::check::{Check, Finding, Profile, Verdict};
use crate::fact::{Fact, Why};
use crate::observation::login::{Login, Logins, Teller};
use crate::observation::sshd::Daemon;
use crate::observation::{Observations, UnixNanos};
use crate::policy::Policy;
use crate::snapshot::{Sketch, Snapshot};

/// An Ed25519 key: `SHA256:8gN4OgU99kLqnOmMzbQ4OFKtG43g2XnqdhaMHivcaF0`.
pub(super) const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPPMv7HtfAAGwIvQMkx1wyxFESKRoAX1NIoCm6/Voy1a a\n";
/// An RSA key of 1,024 bits.
pub(super) const SHORT_RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDY+OGEyPzGQeUysWtg7laf46qV/OFQyEzKMMDvr21c9jS4v0PWcK1VTVMgDBHFmU6E+lXz6nV+5DCkxpvBpB2WFH7kUCFtp2nit+kckaJFKRN8ESNcBYsmfuakb3M0or5hkY3EaiGBtSlw6iB0FHCNQ66LS3oZX8cJZNLcejlJFw== short\n";

/// A hash that some password matches.
const HASH: &str = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

/// Keywords that the sshd of the drawing knows beyond those of every version.
const KEYWORDS: &[&str] = &[
    "OpenSSH_9.2p1 Debian-2+deb12u3",
    "include",
    "pubkeyacceptedalgorithms",
    "hostbasedacceptedalgorithms",
    "casignaturealgorithms",
    "requiredrsasize",
    "persourcemaxstartups",
    "permitlisten",
    "disableforwarding",
    "exposeauthinfo",
    "authenticationmethods",
    "streamlocalbindmask",
    "aes256-ctr",
    "aes128-cbc",
    "3des-cbc",
    "aes256-gcm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-256",
    "curve25519-sha256",
    "diffie-hellman-group14-sha1",
    "ssh-ed25519",
    "ssh-rsa",
    "rsa-sha2-256",
    "rsa-sha2-512",
];

/// What a case must come to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Want {
    Pass,
    /// `subject message` of each finding, sorted.
    Fail(Vec<String>),
    Unknown,
    NotApplicable,
}

/// A host with its sshd_config, and the verdict on it.
#[derive(Clone, Debug)]
pub(super) struct Case {
    config: String,
    want: Want,
    files: BTreeMap<String, Result<String, Why>>,
    owners: BTreeMap<String, (u32, u32)>,
    bob: &'static str,
    profile: Profile,
    /// Running daemons.
    pub(super) daemons: Fact<Vec<Daemon>>,
}

impl Case {
    fn new(config: &str, want: Want) -> Self {
        Self {
            config: config.to_owned(),
            want,
            files: BTreeMap::new(),
            owners: BTreeMap::new(),
            bob: "*",
            profile: Profile::Enhanced,
            daemons: Fact::Unknown(Why::NotAsked("not asked")),
        }
    }

    pub(super) fn pass(config: &str) -> Self {
        Self::new(config, Want::Pass)
    }

    pub(super) fn fail(config: &str, findings: &[&str]) -> Self {
        let mut findings: Vec<String> = findings.iter().map(|text| (*text).to_owned()).collect();
        findings.sort();
        Self::new(config, Want::Fail(findings))
    }

    pub(super) fn unknown(config: &str) -> Self {
        Self::new(config, Want::Unknown)
    }

    pub(super) fn not_applicable(config: &str) -> Self {
        Self::new(config, Want::NotApplicable)
    }

    pub(super) fn with_file(mut self, path: &str, content: &str) -> Self {
        self.files.insert(path.to_owned(), Ok(content.to_owned()));
        self
    }

    pub(super) fn with_unreadable(mut self, path: &str) -> Self {
        self.files.insert(path.to_owned(), Err(Why::Denied));
        self
    }

    pub(super) fn without_shadow(self) -> Self {
        self.with_unreadable("/etc/shadow")
    }

    pub(super) fn owned(mut self, path: &str, uid: u32, mode: u32) -> Self {
        self.owners.insert(path.to_owned(), (uid, mode));
        self
    }

    pub(super) fn with_root_key(self) -> Self {
        self.with_root_key_options("")
    }

    pub(super) fn with_root_key_options(self, options: &str) -> Self {
        self.with_file("/root/.ssh/authorized_keys", &format!("{options}{KEY}"))
    }

    pub(super) fn with_ann_key(self) -> Self {
        self.with_file("/home/ann/.ssh/authorized_keys", KEY)
    }

    pub(super) fn with_empty_password(mut self) -> Self {
        self.bob = "";
        self
    }

    pub(super) fn image(mut self) -> Self {
        self.profile = Profile::Image;
        self
    }
}

impl Drawn for Case {
    fn snapshot(&self) -> Snapshot {
        let mut sketch = Sketch::new()
            .program("/usr/sbin/sshd", KEYWORDS)
            .program("/bin/sh", &[])
            .file("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
            .file(
                "/etc/passwd",
                "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/toor:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n\
                 bob:x:1001:1001::/home/bob:/bin/sh\n",
            )
            .file("/etc/group", "root:x:0:\nann:x:1000:\nbob:x:1001:\n")
            .file(
                "/etc/shadow",
                format!(
                    "root:{HASH}:19000:0:99999:7:::\ntoor:{HASH}:19000:0:99999:7:::\nann:{HASH}:19000:0:99999:7:::\n\
                     bob:{}:19000:0:99999:7:::\n",
                    self.bob
                ),
            )
            .file("/etc/pam.d/sshd", "auth required pam_unix.so nullok\naccount required pam_unix.so\n")
            .file("/etc/ssh/sshd_config", &self.config)
            .dir("/root")
            .dir("/home/ann");
        for (path, content) in &self.files {
            sketch = match content {
                Ok(content) => sketch.file(path, content),
                Err(why) => sketch.unreadable(path, why.clone()),
            };
        }
        for (path, (uid, mode)) in &self.owners {
            sketch = sketch.owned(path, *uid, *uid, *mode);
        }
        sketch.snapshot()
    }

    fn seen(&self) -> Observations {
        let mut seen = Observations::offline(1_700_000_000);
        seen.daemons = self.daemons.clone();
        seen
    }

    fn policy(&self) -> Policy {
        Policy::builtin(self.profile)
    }
}

/// A running sshd of ssh.service, and when it was started or last reloaded.
pub(super) fn process(argv: &[&str], started: Fact<UnixNanos>) -> Daemon {
    Daemon {
        pid: 7,
        argv: argv.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
        executable: Fact::Known("/usr/sbin/sshd".into()),
        executable_deleted: false,
        process_started: Some(1),
        started,
        listeners: Vec::new(),
        unit: Some("ssh.service".to_owned()),
        foreign_root: false,
    }
}

/// Everybody came in from a public and from a private address.
fn logins() -> Fact<Logins> {
    let from = |address: [u8; 4]| {
        ["root", "toor", "ann", "bob"].map(|user| Login {
            at: 1_699_999_999,
            user: user.to_owned(),
            method: "publickey".to_owned(),
            source: Some(address.into()),
            key: None,
            authority: None,
            told_by: Teller::Journal,
        })
    };
    Fact::Known(Logins { accepted: [from([203, 0, 113, 1]), from([10, 0, 0, 1])].concat(), ..Logins::default() })
}

/// What a verdict says, without what would mend it: that may depend on who else comes in.
fn said(verdict: &Verdict) -> Vec<String> {
    let Verdict::Fail(findings, doubts) = verdict else { return vec![format!("{verdict:?}")] };
    let each =
        findings.iter().map(|one| format!("{} {} {} {:?}", one.severity.word(), one.subject, one.message, one.params));
    each.chain([format!("{doubts:?}")]).collect()
}

/// Runs a check on a case; what it finds. The verdict must be the one that the case wants, and what the check would mend is
/// mended by that.
pub(super) fn expect(check: &'static Check, case: &Case) -> Vec<Finding> {
    let verdict = case.judged(check);
    let seen = Observations { logins: logins(), ..case.seen() };
    let used = case.look(&case.snapshot(), &seen, |input| (check.check)(input));
    assert_eq!(said(&verdict), said(&used), "{}: what is found rests on who logged in", check.id);
    let (got, findings) = match &verdict {
        Verdict::Pass => (Want::Pass, Vec::new()),
        Verdict::Unknown(_) => (Want::Unknown, Vec::new()),
        Verdict::NotApplicable(_) => (Want::NotApplicable, Vec::new()),
        Verdict::Fail(findings, _) => {
            let mut words: Vec<String> = findings.iter().map(|f| format!("{} {}", f.subject, f.message)).collect();
            words.sort();
            (Want::Fail(words), findings.clone())
        }
    };
    assert_eq!(got, case.want, "{}\n{case:?}\n{verdict:?}", check.id);
    if check.id != "sshd.running" {
        case.mends_its_own(check, &findings);
    }
    for finding in &findings {
        let message = check.message(finding.message).unwrap_or_else(|| panic!("no message {}", finding.message));
        let known: Vec<&str> = finding.params.iter().map(|(name, _)| *name).collect();
        for name in crate::check::placeholders(message.text.en) {
            assert!(known.contains(&name), "{}: {} lacks {name}", check.id, finding.message);
        }
    }
    findings
}
