//! A whole fix in pure code: checks, plan, simulated host, guards, over a host drawn by hand.

use super::{Case, Circumstances, LATER, Outcome, Ruling, evaluate};
use crate::access::Access;
use crate::catalogue;
use crate::check::{Finding, Input, Profile, Verdict};
use crate::host::Host;
use crate::observation::Observations;
use crate::plan::{Obstacles, Plan, Wanted, fold, lay};
use crate::policy::Policy;
use crate::snapshot::{Sketch, Snapshot};

/// What the sshd of a drawing says of itself.
pub(crate) const SSHD: &[&str] = &[
    "OpenSSH_9.2p1 Debian-2+deb12u3",
    "include",
    "pubkeyacceptedalgorithms",
    "hostbasedacceptedalgorithms",
    "casignaturealgorithms",
    "requiredrsasize",
    "authenticationmethods",
    "streamlocalbindmask",
    "aes256-ctr",
    "aes256-gcm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-256",
    "curve25519-sha256",
    "ssh-ed25519",
    "rsa-sha2-256",
    "rsa-sha2-512",
];
/// An Ed25519 key.
pub(crate) const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPPMv7HtfAAGwIvQMkx1wyxFESKRoAX1NIoCm6/Voy1a a\n";
/// Its fingerprint.
pub(crate) const PRINT: &str = "SHA256:8gN4OgU99kLqnOmMzbQ4OFKtG43g2XnqdhaMHivcaF0";
/// When the drawings are looked at.
pub(crate) const NOW: i64 = 1_700_000_000;
const HASH: &str = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

/// Root and ann (in group sudo) with passwords; no key, no sudo program.
pub(crate) fn sketch(config: &str) -> Sketch {
    Sketch::new()
        .program("/usr/sbin/sshd", SSHD)
        .program("/bin/sh", &[])
        .program("/usr/sbin/nologin", &[])
        .file("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
        .file("/etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n")
        .file("/etc/group", "root:x:0:\nsudo:x:27:ann\nann:x:1000:\n")
        .file("/etc/shadow", format!("root:{HASH}:19000:0:99999:7:::\nann:{HASH}:19000:0:99999:7:::\n"))
        .file("/etc/pam.d/sshd", "auth required pam_unix.so\naccount required pam_unix.so\n")
        .file("/etc/ssh/sshd_config", config)
        .dir("/root")
        .dir("/home/ann")
        .owned("/home/ann", 1000, 1000, 0o755)
}

/// What came of a fix.
pub(crate) struct Fixed {
    /// The plan.
    pub(crate) plan: Plan,
    /// The guards.
    pub(crate) outcomes: Vec<Outcome>,
    /// The host as it would be.
    pub(crate) after: Snapshot,
    /// Findings of the same checks on it: subjects.
    pub(crate) left: Vec<String>,
}

impl Fixed {
    /// The ids of what refuses.
    pub(crate) fn refusals(&self) -> Vec<&'static str> {
        let refused = self.outcomes.iter().filter_map(|outcome| match &outcome.ruling {
            Ruling::Refuses(said) => Some(said),
            Ruling::Holds(_) => None,
        });
        refused.flatten().map(|said| said.message.id).collect()
    }
}

/// The findings of some checks.
pub(crate) fn findings(ids: &[&str], input: &Input<'_>) -> Vec<(&'static str, Finding)> {
    let checks = catalogue::ALL.iter().filter(|check| ids.contains(&check.id));
    let found = checks.map(|check| (check.id, (check.check)(input))).flat_map(|(id, verdict)| match verdict {
        Verdict::Fail(findings, _) => findings.into_iter().map(|finding| (id, finding)).collect(),
        _ => Vec::new(),
    });
    found.collect()
}

/// Fixes what these checks find.
pub(crate) fn fix(snapshot: &Snapshot, seen: &Observations, ids: &[&str], circumstances: &Circumstances) -> Fixed {
    let policy = Policy::builtin(Profile::Enhanced);
    let (host, need) = Host::read(snapshot, seen);
    assert!(need.is_empty(), "a sketch is complete: {need:?}");
    let access = Access::resolve(&host, seen);
    let before = Input { host: &host, seen, access: &access, policy: &policy };
    let found = findings(ids, &before);
    let wanted: Vec<Wanted<'_>> = found.iter().map(|(check, finding)| Wanted { check, finding }).collect();
    let (plan, _) = fold(snapshot, &before, &wanted, &Obstacles::new(), circumstances);
    let mut after = snapshot.clone();
    lay(&mut after, &plan);
    let (new_host, _) = Host::read(&after, seen);
    let new_access = Access::resolve(&new_host, seen);
    let mut later = seen.clone();
    later.now += LATER;
    let far = Access::resolve(&new_host, &later);
    let now = Input { host: &new_host, seen, access: &new_access, policy: &policy };
    let case = Case {
        before: &before,
        after: &now,
        later: &Input { host: &new_host, seen: &later, access: &far, policy: &policy },
        plan: &plan,
        circumstances,
        first_boot: None,
    };
    let outcomes = evaluate(&case, ids);
    let left = findings(ids, &now).into_iter().map(|(_, finding)| finding.subject).collect();
    Fixed { plan, outcomes, after, left }
}
