#![cfg(test)]

use crate::fact::Fact;
use crate::guard::testing::{Fixed, NOW, fix, sketch};
use crate::guard::{Circumstances, Confirm, Consent};
use crate::observation::login::Logins;
use crate::observation::sshd::Daemon;
use crate::observation::{Mode, Observations};
use crate::snapshot::Sketch;

const QUIET: &str = "UsePAM yes\nPermitRootLogin yes\nLogLevel QUIET\n";

fn run(sketch: Sketch, checks: &[&str], circumstances: &Circumstances) -> Fixed {
    let mut seen = Observations::offline(NOW);
    seen.mode = Mode::Live;
    seen.logins = Fact::Known(Logins::default());
    seen.daemons = Fact::Known(vec![Daemon {
        pid: 7,
        argv: vec![b"/usr/sbin/sshd".to_vec(), b"-D".to_vec()],
        executable: Fact::Known("/usr/sbin/sshd".into()),
        executable_deleted: false,
        started: Fact::Known(i128::from(NOW) * 1_000_000_000),
        process_started: Some(NOW),
        listeners: vec!["0.0.0.0:22".parse().unwrap()],
        unit: Some("ssh.service".into()),
        foreign_root: false,
    }]);
    fix(&sketch.snapshot(), &seen, checks, circumstances)
}

#[test]
fn what_waits_on_disk_is_named_before_a_reload_takes_it() {
    let pending = vec![("ssh.service".to_owned(), "/etc/ssh/sshd_config".into())];
    let mut circumstances = Circumstances { pending, ..Circumstances::default() };
    assert_eq!(run(sketch(QUIET), &["sshd.logging"], &circumstances).refusals(), ["waits"]);
    circumstances.consent = Consent { pending: true, ..Consent::default() };
    assert_eq!(run(sketch(QUIET), &["sshd.logging"], &circumstances).refusals(), [""; 0]);
    circumstances.consent.pending = false;
    circumstances.pending = vec![("other.service".to_owned(), "/etc/ssh/other".into())];
    assert_eq!(run(sketch(QUIET), &["sshd.logging"], &circumstances).refusals(), [""; 0]);
}

#[test]
fn an_address_that_cannot_be_bound_stops_a_reload() {
    let unbindable = vec![("192.0.2.1:22".parse().unwrap(), "no such address".to_owned())];
    let circumstances = Circumstances { unbindable, ..Circumstances::default() };
    let fixed = run(sketch(QUIET), &["sshd.logging"], &circumstances);
    assert_eq!(fixed.refusals(), ["unbindable"], "{:?} {:?}", fixed.plan, fixed.outcomes);
}

#[test]
fn a_file_that_sshd_refuses_stops_whoever_means_sshd() {
    let sketch = || {
        sketch("Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nLogLevel QUIET\n")
            .file("/etc/ssh/sshd_config.d/50-broken.conf", "NoSuchKeyword yes\n")
    };
    let fixed = run(sketch(), &["sshd.logging"], &Circumstances::default());
    assert_eq!((fixed.plan.is_empty(), fixed.refusals()), (true, vec!["refuses"]));
    let fixed = run(sketch(), &["accounts.files"], &Circumstances::default());
    assert_eq!((fixed.plan.is_empty(), fixed.refusals()), (false, vec![]));
}

#[test]
fn algorithms_are_confirmed_by_a_login() {
    let probe = Circumstances { confirm: Confirm::Probe, ..Circumstances::default() };
    let weak = || {
        sketch(&format!("{QUIET}Ciphers aes256-ctr,3des-cbc\n"))
            .program("/usr/sbin/sshd", &[crate::guard::testing::SSHD, &["3des-cbc"]].concat())
    };
    let fixed = run(weak(), &["sshd.crypto", "sshd.logging"], &probe);
    let stays: Vec<_> = fixed.plan.unfixable.iter().map(|one| (one.reason.check, one.why.message.id)).collect();
    assert_eq!(stays, [("sshd.crypto", "not-by-probe")]);
    assert_eq!((fixed.plan.is_empty(), fixed.refusals()), (false, vec![]), "what a probe can tell goes on");
    assert_eq!(run(weak(), &["sshd.crypto"], &Circumstances::default()).refusals(), [""; 0]);
}

#[test]
fn groups_of_another_source_are_not_guessed() {
    let directory = |config: &str| {
        sketch(config)
            .file("/etc/nsswitch.conf", "passwd: files\ngroup: files sss\n")
            .file("/etc/sssd/sssd.conf", "[sssd]\ndomains = corp\n")
    };
    for (lines, want) in [
        ("AllowGroups admins\n", &["groups-elsewhere"][..]),
        ("Match Group admins\nX11Forwarding no\n", &["groups-elsewhere"]),
        ("Match user ann group \"admins\"\nX11Forwarding no\n", &["groups-elsewhere"]),
        ("Match User ann\nX11Forwarding no\n", &[]),
        ("", &[]),
    ] {
        let sketch = directory(&format!("{QUIET}{lines}"));
        assert_eq!(run(sketch, &["sshd.logging"], &Circumstances::default()).refusals(), want, "{lines}");
    }
}
