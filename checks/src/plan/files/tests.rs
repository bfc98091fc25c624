#![cfg(test)]

use crate::access::Access;
use crate::check::{Finding, Input, Profile, Severity};
use crate::edit::Edit;
use crate::host::Host;
use crate::observation::Observations;
use crate::parse::key_blob::samples;
use crate::plan::testing::{planned, refusals};
use crate::policy::Policy;
use crate::snapshot::{Sketch, Snapshot};

/// What is planned for a finding with these edits.
fn plan(snapshot: &Snapshot, edits: &[Edit]) -> crate::plan::Plan {
    plan_late(snapshot, snapshot, edits)
}

/// The same where the host was read before it became what it is.
fn plan_late(read: &Snapshot, snapshot: &Snapshot, edits: &[Edit]) -> crate::plan::Plan {
    let seen = Observations::offline(1_000_000_000);
    let policy = Policy { approved_keys: Some(Vec::new()), ..Policy::builtin(Profile::Enhanced) };
    let (host, need) = Host::read(read, &seen);
    assert!(need.is_empty(), "{need:?}");
    let input = Input { host: &host, seen: &seen, access: &Access::default(), policy: &policy };
    let finding = Finding { fix: edits.to_vec(), ..Finding::new(Severity::High, "x", "x") };
    planned(snapshot, &input, &crate::catalogue::keys::permissions::CHECK, &[finding])
}

/// Bob's keys are /etc/ssh/keys/bob, al reads the same file through a link; web is bob's second group.
fn central() -> Sketch {
    Sketch::new()
        .file(
            "/etc/passwd",
            "root:x:0:0::/root:/bin/sh\nal:x:1000:1000::/home/al:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n",
        )
        .file("/etc/group", "root:x:0:\nal:x:1000:\nbob:x:1001:\nteam:x:3000:bob,al\n")
        .program("/usr/sbin/sshd", &["OpenSSH_9.2p1", "authorizedkeysfile", "include"])
        .file("/etc/ssh/sshd_config", "AuthorizedKeysFile /etc/ssh/keys/%u\n")
        .file("/etc/ssh/keys/bob", samples::ED25519.line)
        .link("/etc/ssh/keys/al", "bob")
        .owned("/etc/ssh/keys/bob", 0, 3000, 0o640)
}

#[test]
fn whoever_reads_his_keys_still_can() {
    let (file, dir) = ("/etc/ssh/keys/bob", "/etc/ssh/keys");
    let snapshot = central().snapshot();
    let chmod = |path: &str, mode| Edit::Chmod { file: path.into(), mode };
    let chown = |path: &str, uid, gid| Edit::Chown { file: path.into(), uid, gid };
    for (edits, want) in [
        (vec![chmod(file, 0o600)], vec!["reader-lost"]),
        (vec![chown(file, 0, 0)], vec!["reader-lost"]),
        (vec![chown(file, 1001, 1001)], vec!["not-its-own"]),
        (vec![chmod(dir, 0o700)], vec!["reader-lost"]),
        (vec![chmod("/etc/ssh", 0o750)], vec!["reader-lost"]),
        (vec![chmod(file, 0o644), chown(file, 0, 0)], vec![]),
        (vec![chmod(dir, 0o711)], vec![]),
        (vec![chmod("/etc/ssh/sshd_config", 0o600)], vec![]),
    ] {
        let plan = plan(&snapshot, &edits);
        assert_eq!(refusals(&plan), want, "{edits:?}");
        assert_eq!(plan.is_empty(), !want.is_empty(), "{edits:?}");
    }
    // What he could not read before is not lost.
    let closed = central().owned(file, 0, 0, 0o600).snapshot();
    assert!(refusals(&plan(&closed, &[chmod(file, 0o400)])).is_empty());
}

#[test]
fn a_line_that_is_no_longer_the_key_is_stale() {
    let snapshot = central().snapshot();
    let key = samples::ED25519.fingerprint.parse().unwrap();
    let remove = [Edit::RemoveLine { file: "/etc/ssh/keys/bob".into(), line: 1, key }];
    assert_eq!(plan(&snapshot, &remove).files().count(), 1);
    for now in [samples::RSA.line, "", "# mine\n", "\u{feff}"] {
        let now = central().file("/etc/ssh/keys/bob", now).snapshot();
        assert_eq!(refusals(&plan_late(&snapshot, &now, &remove)), ["stale"]);
    }
    let link = Edit::RemoveFile { file: "/etc/ssh/keys/al".into() };
    assert_eq!(refusals(&plan(&snapshot, &[link])), ["link"]);
}
