#![cfg(test)]

use crate::access::Access;
use crate::check::{Finding, Input, Profile, Severity};
use crate::edit::Edit;
use crate::host::Host;
use crate::observation::Observations;
use crate::plan::Plan;
use crate::plan::testing::{planned, refusals};
use crate::policy::Policy;
use crate::snapshot::{Sketch, Snapshot};

const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nbob:x:1001:1001:Bob::\n bob:h2:1002:1002::/:/bin/sh\nann:x:1003:1003::/home/ann:/bin/sh\r\n";
const SHADOW: &str = "# comment\nroot:*:1:0:99999:7:::\nbob:h1:11550:0:99999:7:::\nbroken line\nbob::1:0:99999:7:::flag\nann:$y$h:1:0:99999\n";

fn snapshot(passwd: &str, shadow: &str) -> Snapshot {
    Sketch::new()
        .file("/etc/passwd", passwd)
        .file("/etc/passwd-", passwd)
        .file("/etc/shadow", shadow)
        .file("/etc/shadow-", shadow)
        .file("/etc/gshadow", "root:*::\n")
        .file("/sbin/nologin", "")
        .owned("/sbin/nologin", 0, 0, 0o755)
        .snapshot()
}

fn plan(snapshot: &Snapshot, read: &Snapshot, edits: Vec<Edit>) -> Plan {
    let (seen, policy) = (Observations::offline(1_000_000_000), Policy::builtin(Profile::Enhanced));
    let (host, need) = Host::read(read, &seen);
    assert!(need.is_empty(), "{need:?}");
    let input = Input { host: &host, seen: &seen, access: &Access::default(), policy: &policy };
    let finding = Finding { fix: edits, ..Finding::new(Severity::High, "x", "x") };
    planned(snapshot, &input, &crate::catalogue::accounts::weak_password::CHECK, &[finding])
}

/// Each changed file and the lines that differ, as they become.
fn told(plan: &Plan) -> Vec<String> {
    let mut out = Vec::new();
    for change in plan.files() {
        let text = |state: &crate::effect::State| String::from_utf8(state.content().unwrap().to_vec()).unwrap();
        let (before, after) = (text(&change.before), text(&change.after));
        assert_eq!(before.split('\n').count(), after.split('\n').count());
        let lines = before.split('\n').zip(after.split('\n')).filter(|(one, other)| one != other);
        out.extend(lines.map(|(_, line)| format!("{}: {line}", change.path.display())));
    }
    out
}

fn lock(user: &str) -> Edit {
    Edit::LockPassword { user: user.to_owned() }
}

#[test]
fn every_line_of_the_name_is_locked_and_every_other_byte_stays() {
    let snapshot = snapshot(PASSWD, SHADOW);
    assert_eq!(
        told(&plan(&snapshot, &snapshot, vec![lock("bob")])),
        ["/etc/shadow: bob:!h1:11550:0:99999:7:::", "/etc/shadow: bob:!:1:0:99999:7:::flag"]
    );
    // The second passwd line of the name is not what look-ups reach; where the first is mended it is too.
    let own = PASSWD.replace("bob:x:1001", "bob:h0:1001");
    let snapshot = self::snapshot(&own, SHADOW);
    assert_eq!(
        told(&plan(&snapshot, &snapshot, vec![lock("bob")])),
        [
            "/etc/passwd: bob:x:1001:1001:Bob::",
            "/etc/passwd:  bob:x:1002:1002::/:/bin/sh",
            "/etc/shadow: bob:!h1:11550:0:99999:7:::",
            "/etc/shadow: bob:!:1:0:99999:7:::flag"
        ]
    );
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let snapshot = snapshot(PASSWD, SHADOW);
    let shell = |user: &str| Edit::SetShell { user: user.to_owned(), shell: "/usr/sbin/nologin" };
    let ageing = |user: &str| Edit::SetAgeing { user: user.to_owned(), min: Some(7), max: Some(90), warn: Some(7) };
    for (edit, want) in [
        (lock("nobody"), "no-account"),
        (lock("root"), "locked-already"),
        (shell("ann"), "carriage-return"),
        (shell("nobody"), "no-account"),
    ] {
        let plan = plan(&snapshot, &snapshot, vec![edit.clone()]);
        assert_eq!((refusals(&plan), plan.is_empty()), (vec![want], true), "{edit:?}");
    }
    let bare = self::snapshot("ann:x:1003:1003::/:/bin/sh\n", "bob:h:1:0:99999:7:::\n");
    assert_eq!(refusals(&plan(&bare, &bare, vec![lock("ann")])), ["no-shadow-line"]);
    assert_eq!(refusals(&plan(&bare, &bare, vec![ageing("ann")])), ["no-change-date"]);
    // What was read is no longer what stands there.
    let moved = self::snapshot(&format!("new:x:1:1::/:/bin/sh\n{PASSWD}"), &format!("new:h:1:0:99999:7:::\n{SHADOW}"));
    let changed = self::snapshot(&PASSWD.replace("Bob", "Rob"), &SHADOW.replace(":h1:", ":h9:"));
    for now in [&moved, &changed] {
        for edit in [lock("bob"), shell("bob"), ageing("bob")] {
            assert_eq!(refusals(&plan(now, &snapshot, vec![edit.clone()])), ["stale"], "{edit:?}");
        }
    }
}

#[test]
fn the_shell_is_one_that_is_there() {
    let snapshot = snapshot(PASSWD, SHADOW);
    let edit = || vec![Edit::SetShell { user: "bob".to_owned(), shell: "/usr/sbin/nologin" }];
    // An empty field means /bin/sh.
    assert_eq!(told(&plan(&snapshot, &snapshot, edit())), ["/etc/passwd: bob:x:1001:1001:Bob::/sbin/nologin"]);
    let none = Sketch::new().file("/etc/passwd", PASSWD).file("/bin/false", "").snapshot();
    assert_eq!(refusals(&plan(&none, &none, edit())), ["no-nologin"]);
}

#[test]
fn several_findings_about_one_account_are_one_line() {
    let snapshot = snapshot(PASSWD, SHADOW);
    let ageing = Edit::SetAgeing { user: "bob".to_owned(), min: None, max: Some(60), warn: Some(9) };
    assert_eq!(
        told(&plan(&snapshot, &snapshot, vec![lock("bob"), ageing, lock("bob")])),
        ["/etc/shadow: bob:!h1:11550:0:60:9:::", "/etc/shadow: bob:!:1:0:99999:7:::flag"]
    );
}
