//! A host to judge: bob and root with their key files, drawn by hand.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::access::Access;
use crate::catalogue::shown::Drawn;
use crate::check::{Check, Finding, Profile, Verdict};
use crate::fact::{Fact, Why};
use crate::host::Host;
use crate::observation::metadata::Metadata;
use crate::observation::{Mode, Observations};
use crate::parse::key_blob::{put_number, put_string};
use crate::plan::Plan;
use crate::plan::testing::planned;
use crate::policy::Policy;
use crate::snapshot::{Sketch, Snapshot};

/// Vagrant's published key.
pub(super) const VAGRANT: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y vagrant";

const BOB: &str = "/home/bob/.ssh/authorized_keys";

/// A key line of these RSA numbers.
pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> String {
    let mut blob = Vec::new();
    put_string(&mut blob, b"ssh-rsa");
    put_number(&mut blob, exponent);
    put_number(&mut blob, modulus);
    format!("ssh-rsa {}", STANDARD.encode(blob))
}

/// A host and a policy.
#[derive(Clone)]
pub(super) struct Case {
    files: BTreeMap<String, Result<String, Why>>,
    hidden: Vec<String>,
    owners: BTreeMap<String, (u32, u32, u32)>,
    links: Vec<(String, String)>,
    os: &'static str,
    home: String,
    policy: Policy,
    seen: Observations,
}

impl Case {
    /// Two accounts without a key, at 2001-09-09T01:46:40Z.
    pub(super) fn new() -> Self {
        let owners = [("/home/bob", 0o755), ("/home/bob/.ssh", 0o700), (BOB, 0o600)];
        Self {
            files: BTreeMap::new(),
            hidden: Vec::new(),
            owners: owners.into_iter().map(|(path, mode)| (path.to_owned(), (1001, 1001, mode))).collect(),
            links: Vec::new(),
            os: "ID=debian\n",
            home: "/home/bob".to_owned(),
            policy: Policy::builtin(Profile::Enhanced),
            seen: Observations::offline(1_000_000_000),
        }
    }

    /// Bob's key file.
    pub(super) fn bob(&self, content: &str) -> Self {
        self.file(BOB, content)
    }

    /// Root's key file.
    pub(super) fn root(&self, content: &str) -> Self {
        self.file("/root/.ssh/authorized_keys", content)
    }

    /// A file of bob's.
    pub(super) fn file(&self, path: &str, content: &str) -> Self {
        let mut case = self.clone();
        case.files.insert(path.to_owned(), Ok(content.to_owned()));
        case
    }

    /// A file that cannot be read.
    pub(super) fn deny(&self, path: &str, why: Why) -> Self {
        let mut case = self.clone();
        case.files.insert(path.to_owned(), Err(why));
        case
    }

    /// Something that does not even show what it is.
    pub(super) fn hide(&self, path: &str) -> Self {
        let mut case = self.clone();
        case.hidden.push(path.to_owned());
        case
    }

    /// Bob's key file cannot be read.
    pub(super) fn unreadable(&self) -> Self {
        self.deny(BOB, Why::Denied)
    }

    /// Owner, group and mode of a path.
    pub(super) fn owned(&self, path: &str, uid: u32, gid: u32, mode: u32) -> Self {
        let mut case = self.clone();
        case.owners.insert(path.to_owned(), (uid, gid, mode));
        case
    }

    /// A distribution without Debian's patch.
    pub(super) fn upstream(&self) -> Self {
        Self { os: "ID=alinux\n", ..self.clone() }
    }

    /// The profile.
    pub(super) fn profile(&self, profile: Profile) -> Self {
        Self { policy: Policy::builtin(profile), ..self.clone() }
    }

    /// The approved keys.
    pub(super) fn approve(&self, fingerprints: &[&str]) -> Self {
        let mut case = self.clone();
        case.policy.approved_keys = Some(fingerprints.iter().map(|text| (*text).to_owned()).collect());
        case
    }

    /// An approved authority.
    pub(super) fn approve_authority(&self, fingerprint: &str) -> Self {
        let mut case = self.clone();
        case.policy.approved_authorities.push(fingerprint.to_owned());
        case
    }

    /// A running system.
    pub(super) fn live(&self) -> Self {
        let mut case = self.clone();
        case.seen.mode = Mode::Live;
        case
    }

    /// A key bound through ECS.
    pub(super) fn bound(&self, line: &str) -> Self {
        let mut case = self.clone();
        case.seen.metadata = Fact::Known(Metadata {
            tokenless: Fact::Known(true),
            tokenless_status: None,
            token_status: None,
            instance_id: Fact::Absent,
            region_id: Fact::Absent,
            image_id: Fact::Absent,
            ram_role: Fact::Absent,
            public_addresses: Fact::Absent,
            private_address: Fact::Absent,
            public_keys: Fact::Known(vec![("my-key".to_owned(), line.to_owned())]),
            user_data: Fact::Absent,
        });
        case
    }

    /// A metadata service that does not answer.
    pub(super) fn mute(&self, why: Why) -> Self {
        let mut case = self.clone();
        case.seen.metadata = Fact::Unknown(why);
        case
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

    /// What would be done about the check's findings.
    pub(super) fn planned(&self, check: &'static Check) -> Plan {
        let snapshot = self.snapshot();
        self.look(&snapshot, &self.seen, |input| match (check.check)(input) {
            Verdict::Fail(findings, _) => planned(&snapshot, input, check, &findings),
            verdict => panic!("{verdict:?}"),
        })
    }

    /// Mends every finding; then the check passes. The host afterwards.
    pub(super) fn mends(&self, check: &'static Check) -> Snapshot {
        let Verdict::Fail(findings, _) = self.judged(check) else { panic!("{}: nothing is wrong", check.id) };
        let (after, plan, verdict) = self.mended(check, &findings);
        assert_eq!(plan.unfixable, [], "{}", check.id);
        assert_eq!(verdict, Verdict::Pass, "{} after its own fix", check.id);
        after
    }

    /// The findings, as severity and message.
    pub(super) fn findings(&self, check: &'static Check) -> Vec<String> {
        match self.verdict(check) {
            Verdict::Fail(findings, _) => {
                findings.iter().map(|finding| format!("{} {}", finding.severity.word(), finding.message)).collect()
            }
            Verdict::Pass | Verdict::Unknown(_) => Vec::new(),
            Verdict::NotApplicable(why) => panic!("not applicable: {}", why.en),
        }
    }

    /// The subjects of the doubts.
    pub(super) fn doubts(&self, check: &'static Check) -> Vec<String> {
        match self.verdict(check) {
            Verdict::Fail(_, doubts) | Verdict::Unknown(doubts) => {
                doubts.into_iter().map(|doubt| doubt.subject).collect()
            }
            Verdict::Pass | Verdict::NotApplicable(_) => Vec::new(),
        }
    }

    /// Passes.
    pub(super) fn clean(&self, check: &'static Check) {
        assert_eq!(self.verdict(check), Verdict::Pass, "{}", check.id);
    }

    /// Bob's home.
    pub(super) fn home(&self, path: &str) -> Self {
        Self { home: path.to_owned(), ..self.clone() }
    }

    /// A link, bob's.
    pub(super) fn link(&self, path: &str, target: &str) -> Self {
        let mut case = self.clone();
        case.links.push((path.to_owned(), target.to_owned()));
        case.owned(path, 1001, 1001, 0o777)
    }
}

impl Drawn for Case {
    fn snapshot(&self) -> Snapshot {
        let mut sketch = Sketch::new()
            .file("/etc/os-release", self.os)
            .file(
                "/etc/passwd",
                format!(
                    "root:x:0:0::/root:/bin/sh\nal:x:1000:1000::/home/al:/bin/sh\nbob:x:1001:1001::{}:/bin/sh\n",
                    self.home
                ),
            )
            .file("/etc/group", "root:x:0:\nal:x:1000:\nbob:x:1001:\ndevs:x:3000:bob,al\n")
            .dir("/home/bob/.ssh");
        for (path, content) in &self.files {
            sketch = match content {
                Ok(content) => sketch.file(path, content),
                Err(why) => sketch.unreadable(path, why.clone()),
            };
        }
        for (path, target) in &self.links {
            sketch = sketch.link(path, target);
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

    fn access(&self, _: &Host, _: &Observations) -> Access {
        Access::default()
    }
}

/// Every placeholder of the finding's message has its parameter, and no parameter goes unused.
fn complete(check: &Check, finding: &Finding) {
    let message = check.message(finding.message).unwrap_or_else(|| panic!("{}: {}", check.id, finding.message));
    let wanted = crate::check::placeholders(message.text.en);
    let given = finding.params.iter().map(|(name, _)| *name).collect();
    assert_eq!(wanted, given, "{}: {}", check.id, finding.message);
}
