#![cfg(test)]

use crate::fact::{Fact, Why};
use crate::guard::testing::{Fixed, KEY, NOW, PRINT, fix, sketch};
use crate::guard::{Circumstances, Consent, Session};
use crate::observation::login::{Login, Logins, Teller};
use crate::observation::{Mode, Observations};
use crate::snapshot::Sketch;

const OPEN: &str = "UsePAM yes\nPermitRootLogin yes\nKbdInteractiveAuthentication no\n";

fn login(user: &str, method: &str, key: Option<&str>, told_by: Teller) -> Login {
    Login {
        at: NOW - 86_400,
        user: user.to_owned(),
        method: method.to_owned(),
        source: Some("198.51.100.7".parse().unwrap()),
        key: key.map(str::to_owned),
        authority: None,
        told_by,
    }
}

fn seen(accepted: Vec<Login>) -> Observations {
    let mut seen = Observations::offline(NOW);
    seen.mode = Mode::Live;
    seen.logins = Fact::Known(Logins { accepted, ..Logins::default() });
    seen
}

fn keyed(sketch: Sketch, options: &str) -> Sketch {
    sketch.file("/root/.ssh/authorized_keys", format!("{options}{KEY}")).owned(
        "/root/.ssh/authorized_keys",
        0,
        0,
        0o600,
    )
}

fn run(sketch: Sketch, logins: Vec<Login>, circumstances: &Circumstances) -> Fixed {
    fix(&sketch.snapshot(), &seen(logins), &["sshd.password-login"], circumstances)
}

fn by_key() -> Vec<Login> {
    vec![login("root", "publickey", Some(PRINT), Teller::Journal)]
}

#[test]
fn a_key_in_use_carries_the_fix() {
    let fixed = run(keyed(sketch(OPEN), ""), by_key(), &Circumstances::default());
    assert_eq!(fixed.refusals(), [""; 0]);
    assert!(fixed.left.is_empty(), "{:?}", fixed.left);
    assert!(fixed.plan.unfixable.is_empty(), "{:?}", fixed.plan.unfixable);
    let again = fix(&fixed.after, &seen(by_key()), &["sshd.password-login"], &Circumstances::default());
    assert!(again.plan.is_empty(), "{:?}", again.plan);
}

#[test]
fn nobody_is_left_without_a_way() {
    let plain = Circumstances::default();
    let deep = "Match Address 198.51.100.0/24\nAuthenticationMethods publickey,password\n";
    for (name, sketch, logins, want) in [
        ("no key", sketch(OPEN), vec![], &["no-key", "no-admin"][..]),
        ("a forced command", keyed(sketch(OPEN), "command=\"exit 142\" "), by_key(), &["no-key"]),
        ("not for that network", keyed(sketch(OPEN), "from=\"10.0.0.0/8\" "), by_key(), &["no-key"]),
        ("never used", keyed(sketch(OPEN), ""), vec![], &["not-held"]),
        (
            "told by a log that anybody can write",
            keyed(sketch(OPEN), ""),
            vec![login("root", "publickey", Some(PRINT), Teller::Log)],
            &["not-held"],
        ),
        (
            "another key",
            keyed(sketch(OPEN), ""),
            vec![login("root", "publickey", Some("SHA256:x"), Teller::Journal)],
            &["not-held"],
        ),
        (
            "a directory that everybody can write",
            keyed(sketch(OPEN), "").owned("/root/.ssh", 0, 0, 0o777),
            by_key(),
            &["no-key"],
        ),
        ("outside AllowUsers", keyed(sketch(&format!("{OPEN}AllowUsers ann\n")), ""), by_key(), &["no-key"]),
        ("a second step by password", keyed(sketch(&format!("{OPEN}{deep}")), ""), by_key(), &["no-key"]),
        ("ends in ten days", keyed(sketch(OPEN), "expiry-time=\"20231124\" "), by_key(), &["ends-soon"]),
        ("only loopback is left", keyed(sketch(OPEN), "from=\"127.0.0.1\" "), by_key(), &["no-key"]),
    ] {
        let fixed = run(sketch, logins, &plain);
        let refusals = fixed.refusals();
        assert!(refusals.iter().any(|id| want.contains(id)), "{name}: {refusals:?}");
    }
}

#[test]
fn the_word_of_the_user_counts_for_a_key() {
    let consent = Consent { held: vec![PRINT.to_owned()], ..Consent::default() };
    let fixed = run(keyed(sketch(OPEN), ""), vec![], &Circumstances { consent, ..Circumstances::default() });
    assert_eq!(fixed.refusals(), [""; 0]);
}

#[test]
fn who_came_lately_is_not_cut_unasked() {
    let mut logins = by_key();
    logins.push(login("ann", "password", None, Teller::Log));
    let fixed = run(keyed(sketch(OPEN), ""), logins.clone(), &Circumstances::default());
    assert_eq!(fixed.refusals(), ["cut"]);
    let consent = Consent { cut: vec!["ann".to_owned()], ..Consent::default() };
    let fixed = run(keyed(sketch(OPEN), ""), logins, &Circumstances { consent, ..Circumstances::default() });
    assert_eq!(fixed.refusals(), [""; 0]);
    // What only wtmp tells counts where no log says how, and a session that is there counts like a login.
    let fixed = run(
        keyed(sketch(OPEN), ""),
        vec![by_key().remove(0), login("ann", "", None, Teller::Wtmp)],
        &Circumstances::default(),
    );
    assert_eq!(fixed.refusals(), ["cut"]);
    let session = Session { user: "ann".into(), source: "198.51.100.9".parse().ok(), since: NOW - 5 };
    let fixed =
        run(keyed(sketch(OPEN), ""), by_key(), &Circumstances { session: Some(session), ..Circumstances::default() });
    assert_eq!(fixed.refusals(), ["cut"]);
}

#[test]
fn logins_that_cannot_be_read_prove_nothing() {
    let mut unread = seen(vec![]);
    unread.logins = Fact::Unknown(Why::Denied);
    let snapshot = keyed(sketch(OPEN), "").snapshot();
    let fixed = fix(&snapshot, &unread, &["sshd.password-login"], &Circumstances::default());
    assert_eq!(fixed.refusals(), ["not-held", "no-logins"]);
}

#[test]
fn what_closes_no_way_needs_no_proof() {
    let snapshot = sketch(
        "PasswordAuthentication yes\nUsePAM yes\nKbdInteractiveAuthentication no\nX11Forwarding no\nLogLevel QUIET\n",
    )
    .snapshot();
    let fixed = fix(&snapshot, &seen(vec![]), &["sshd.logging"], &Circumstances::default());
    assert_eq!((fixed.plan.is_empty(), fixed.refusals()), (false, vec![]));
}

#[test]
fn an_administrator_through_sudo_needs_a_password_that_stays() {
    let sudo = |sketch: Sketch, rule: &str| {
        sketch
            .program("/usr/bin/sudo", &[])
            .owned("/usr/bin/sudo", 0, 0, 0o4755)
            .file("/etc/sudoers", format!("%sudo ALL=(ALL:ALL) {rule}ALL\n"))
            .owned("/etc/sudoers", 0, 0, 0o440)
            .file("/home/ann/.ssh/authorized_keys", KEY)
            .owned("/home/ann/.ssh", 1000, 1000, 0o700)
            .owned("/home/ann/.ssh/authorized_keys", 1000, 1000, 0o600)
            .file("/etc/ssh/sshd_config", "UsePAM yes\nPermitRootLogin no\nKbdInteractiveAuthentication no\n")
    };
    let logins = || vec![login("ann", "publickey", Some(PRINT), Teller::Journal)];
    let fixed = run(sudo(sketch(OPEN), ""), logins(), &Circumstances::default());
    assert_eq!(fixed.refusals(), [""; 0]);
    let without = |sketch: Sketch| {
        sketch
            .file("/etc/shadow", "root:*:19000:0:99999:7:::\nann:*:19000:0:99999:7:::\nbob:$6$s$h:19000::::::\n")
            .file(
                "/etc/passwd",
                "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:27::/home/bob:/bin/sh\n",
            )
    };
    // Without a password of her own ann administers nothing; bob does, by his password, which the fix would close.
    let fixed = run(without(sudo(sketch(OPEN), "")), logins(), &Circumstances::default());
    assert!(!fixed.refusals().is_empty(), "{:?}", fixed.outcomes);
    let fixed = run(without(sudo(sketch(OPEN), "NOPASSWD: ")), logins(), &Circumstances::default());
    assert_eq!(fixed.refusals(), [""; 0]);
}

#[test]
fn a_password_that_sudo_asks_for_is_named_where_its_lock_takes_the_administrator() {
    let ann = |shadow: &str| {
        sketch("UsePAM yes\nPermitRootLogin no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n")
            .program("/usr/bin/sudo", &[])
            .owned("/usr/bin/sudo", 0, 0, 0o4755)
            .file("/etc/sudoers", "ann ALL=(ALL:ALL) ALL\n")
            .owned("/etc/sudoers", 0, 0, 0o440)
            .file("/etc/shadow", shadow)
            .file("/home/ann/.ssh/authorized_keys", KEY)
            .owned("/home/ann/.ssh", 1000, 1000, 0o700)
            .owned("/home/ann/.ssh/authorized_keys", 1000, 1000, 0o600)
    };
    // An empty password is locked, and sudo takes an empty one.
    let sketch = ann("root:*:19000:0:99999:7:::\nann::19000:0:99999:7:::\n");
    let logins = vec![login("ann", "publickey", Some(PRINT), Teller::Journal)];
    let seen = seen(logins);
    let fixed = fix(&sketch.snapshot(), &seen, &["accounts.empty-password"], &Circumstances::default());
    assert_eq!(fixed.refusals(), ["no-key", "sudo-password"], "{:?}", fixed.plan);
}
