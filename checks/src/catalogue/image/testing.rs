//! A host that is to become an image, drawn by hand.

use std::collections::BTreeMap;
use std::path::Path;

use crate::catalogue::shown::Drawn;
use crate::check::{Check, Finding, Profile, Verdict, placeholders};
use crate::fact::Why;
use crate::guard::Circumstances;
use crate::guard::testing::SSHD;
use crate::observation::Observations;
use crate::plan::testing::{mended, planned_in, refusals};
use crate::policy::Policy;
use crate::snapshot::{Reader, Sketch, Snapshot};

pub(super) use crate::guard::testing::KEY;

/// What stands at a path.
#[derive(Clone, Debug)]
pub(super) enum Stands {
    File(String),
    Link(String),
    Directory,
    Denied(Why),
    Hidden(Why),
}

/// A clean image: root and ann without passwords, an sshd, nothing left over.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) files: BTreeMap<String, Stands>,
    pub(super) owners: BTreeMap<String, (u32, u32, u32)>,
    /// The policy.
    pub(super) policy: Policy,
}

impl Case {
    pub(super) fn new() -> Self {
        let case = Self { files: BTreeMap::new(), owners: BTreeMap::new(), policy: Policy::builtin(Profile::Image) };
        case.file("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
            .file("/etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n")
            .file("/etc/group", "root:x:0:\nann:x:1000:\n")
            .file("/etc/shadow", "root:*:19000:0:99999:7:::\nann:!:19000:0:99999:7:::\n")
            .file("/etc/pam.d/sshd", "auth required pam_unix.so\naccount required pam_unix.so\n")
            .sshd("UsePAM yes\n")
    }

    pub(super) fn sshd(&self, config: &str) -> Self {
        self.file("/etc/ssh/sshd_config", config)
    }

    /// A unit that makes host keys, with these conditions, started with sshd.
    pub(super) fn keygen(&self, conditions: &str) -> Self {
        let unit = "/usr/lib/systemd/system/sshd-keygen.service";
        self.file(unit, &format!("[Unit]\n{conditions}[Service]\nExecStart=ssh-keygen -A\n"))
            .link("/etc/systemd/system/ssh.service.wants/sshd-keygen.service", unit)
    }

    fn drawn(&self, path: &str, what: Stands) -> Self {
        let mut case = self.clone();
        case.files.insert(path.to_owned(), what);
        case
    }

    pub(super) fn file(&self, path: &str, content: &str) -> Self {
        self.drawn(path, Stands::File(content.to_owned()))
    }

    pub(super) fn link(&self, path: &str, target: &str) -> Self {
        self.drawn(path, Stands::Link(target.to_owned()))
    }

    pub(super) fn directory(&self, path: &str) -> Self {
        self.drawn(path, Stands::Directory)
    }

    pub(super) fn deny(&self, path: &str, why: Why) -> Self {
        self.drawn(path, Stands::Denied(why))
    }

    /// Nobody can tell what stands there.
    pub(super) fn hide(&self, path: &str) -> Self {
        self.drawn(path, Stands::Hidden(Why::Denied))
    }

    pub(super) fn owned(&self, path: &str, uid: u32, gid: u32, mode: u32) -> Self {
        let mut case = self.clone();
        case.owners.insert(path.to_owned(), (uid, gid, mode));
        case
    }

    /// The password field of an account, in a file where nobody else has a password.
    pub(super) fn shadow(&self, user: &str, field: &str) -> Self {
        let line = |name: &str, other: &str| {
            format!("{name}:{}:19000:0:99999:7:::\n", if name == user { field } else { other })
        };
        self.file("/etc/shadow", &(line("root", "*") + &line("ann", "!")))
    }

    fn verdict(&self, check: &Check) -> Verdict {
        let verdict = self.judged(check);
        if let Verdict::Fail(findings, _) = &verdict {
            findings.iter().for_each(|finding| complete(check, finding));
        }
        verdict
    }

    pub(super) fn passes(&self, check: &Check) {
        assert_eq!(self.verdict(check), Verdict::Pass, "{}", check.id);
    }

    /// The findings, as subject and message.
    pub(super) fn findings(&self, check: &Check) -> Vec<String> {
        match self.verdict(check) {
            Verdict::Fail(findings, _) => findings.iter().map(|f| format!("{} {}", f.subject, f.message)).collect(),
            verdict => panic!("{verdict:?}"),
        }
    }

    /// The subjects of what could not be looked at, where nothing is wrong.
    pub(super) fn doubts(&self, check: &Check) -> Vec<String> {
        match self.verdict(check) {
            Verdict::Unknown(doubts) => doubts.into_iter().map(|doubt| doubt.subject).collect(),
            verdict => panic!("{verdict:?}"),
        }
    }

    /// Why findings stay.
    pub(super) fn refused(&self, check: &'static Check) -> Vec<&'static str> {
        let snapshot = self.snapshot();
        self.look(&snapshot, &self.seen(), |input| {
            let Verdict::Fail(findings, _) = (check.check)(input) else { panic!("{}: nothing is wrong", check.id) };
            refusals(&planned_in(&Circumstances::default(), &snapshot, input, check, &findings))
        })
    }

    /// Mends every finding; then the check passes, and nothing of what went is kept.
    pub(super) fn mends(&self, check: &'static Check) -> After {
        let (snapshot, seen) = (self.snapshot(), self.seen());
        let after = self.look(&snapshot, &seen, |input| {
            let Verdict::Fail(findings, _) = (check.check)(input) else { panic!("{}: nothing is wrong", check.id) };
            mended(&snapshot, input, check, &findings)
        });
        let verdict = self.look(&after, &seen, |input| (check.check)(input));
        assert_eq!(verdict, Verdict::Pass, "{} after its own fix", check.id);
        After(after)
    }
}

impl Drawn for Case {
    fn snapshot(&self) -> Snapshot {
        let mut sketch =
            Sketch::new().program("/usr/sbin/sshd", SSHD).program("/bin/sh", &[]).dir("/root").dir("/home/ann");
        for (path, what) in &self.files {
            sketch = match what {
                Stands::File(content) => sketch.file(path, content),
                Stands::Link(target) => sketch.link(path, target),
                Stands::Directory => sketch.dir(path),
                Stands::Denied(why) => sketch.unreadable(path, why.clone()),
                Stands::Hidden(why) => sketch.hidden(path, why.clone()),
            };
        }
        for (path, (uid, gid, mode)) in &self.owners {
            sketch = sketch.owned(path, *uid, *gid, *mode);
        }
        sketch.snapshot()
    }

    fn seen(&self) -> Observations {
        Observations { image: true, ..Observations::offline(1_700_000_000) }
    }

    fn policy(&self) -> Policy {
        self.policy.clone()
    }
}

/// The host afterwards.
pub(super) struct After(Snapshot);

impl After {
    pub(super) fn holds(&self, path: &str) -> bool {
        Reader::new(&self.0).link_meta(Path::new(path)).is_ok()
    }

    pub(super) fn text(&self, path: &str) -> String {
        let reader = Reader::new(&self.0);
        String::from_utf8(reader.file(Path::new(path)).unwrap().bytes.to_vec()).unwrap()
    }
}

/// Every placeholder of the finding's message has its parameter, and no parameter goes unused.
fn complete(check: &Check, finding: &Finding) {
    let message = check.message(finding.message).unwrap_or_else(|| panic!("{}: {}", check.id, finding.message));
    let given = finding.params.iter().map(|(name, _)| *name).collect();
    assert_eq!(placeholders(message.text.en), given, "{}: {}", check.id, finding.message);
    assert!(!finding.evidence.iter().any(|e| e.text.contains("$6$")), "{}: a hash is shown", check.id);
}
