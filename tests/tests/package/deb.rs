//! The deb: from the first installation to the purge, on booted hosts.

use hostward_checks::guard::Confirm;
use hostward_tests::host::Host;
use hostward_tests::place::{Place, is_waiting};
use hostward_tests::results;
use hostward_tests::suite::{Suite, chosen};
use hostward_tests::tier::Tier;

use crate::TEST;
use crate::installed::{OPEN, exposure, ours, resides, run, verified, works};
use crate::made::{Packages, packages};

/// A fix that waits keeps the package from going, and outlives an upgrade; the boot's unit is the package's own.
fn waiting(place: &Place) -> String {
    let host = &place.host;
    let id = place.begin("VersionAddendum packaged\n", Confirm::Login, 600);
    let unit = format!("hostward-fix-{id}.service");
    // Held open at its end, so that systemd can be asked what it thinks of it.
    let mut applying = host
        .command("systemd-run")
        .args(["--quiet", "--wait", "--collect", &format!("--unit={unit}"), "-p", "ExecStopPost=/bin/sleep 3"])
        .args(["/usr/bin/hostward", "apply", &id])
        .spawn()
        .unwrap();
    place.await_stage(&id, is_waiting);
    let exposure = exposure(host, &unit);
    assert!(applying.wait().unwrap().success());
    if let Some(exposure) = exposure {
        assert!(exposure <= 4.5, "{unit} on {}: {exposure}", host.name());
    }
    assert_eq!(
        run(host, "grep -l '^# Written by' /etc/systemd/system/hostward* 2>/dev/null || :"),
        "",
        "the packaged unit serves"
    );
    let refused = host.command("dpkg").args(["-r", "hostward"]).output().unwrap();
    assert!(
        !refused.status.success() && Place::said(&refused).contains("waits for its confirmation"),
        "{}",
        Place::said(&refused)
    );
    run(host, "test -x /usr/bin/hostward");
    // Upgraded in place: what an administrator wrote stays, what nobody touched is the new one.
    run(
        host,
        "echo '# ours' >>/etc/hostward/policy.toml; mkdir -p /etc/hostward/policy.d; echo >/etc/hostward/policy.d/10-ours.toml
         dpkg --force-confold -i /packages/next.deb
         grep -q '^# ours' /etc/hostward/policy.toml; grep -q '^# a later version' /etc/hostward/hostward.toml",
    );
    assert!(is_waiting(&place.stage(&id)));
    run(
        host,
        &format!(
            "systemctl list-units --no-legend 'hostward-revert-{id}*.timer' | grep -q . ; test -s /var/lib/hostward/report.json"
        ),
    );
    run(host, &format!("/usr/bin/hostward rollback {id}; test ! -e /run/hostward-armed"));
    exposure.map_or_else(String::new, |exposure| format!("; applier {exposure}"))
}

/// Removed, back again, and purged.
fn gone(host: &Host) {
    run(
        host,
        "dpkg -r hostward; ! test -e /usr/bin/hostward; test -s /var/lib/hostward/report.json; test -s /etc/hostward/policy.toml
         ! ls /etc/systemd/system/*/hostward* /etc/systemd/system/hostward* 2>/dev/null
         dpkg --force-confold -i /packages/next.deb; systemctl is-enabled -q hostward-recover.service",
    );
    let said = run(host, "dpkg -P hostward 2>&1");
    assert!(said.contains("the records of 1 fixes"), "{said}");
    assert_eq!(ours(host), "/etc/hostward\n", "{}", host.name());
    assert_eq!(
        run(host, "ls -A /etc/hostward /etc/hostward/policy.d"),
        "/etc/hostward:\npolicy.d\n\n/etc/hostward/policy.d:\n10-ours.toml\n"
    );
    assert_eq!(
        run(
            host,
            "systemctl list-units --all --no-legend 'hostward*'; systemctl list-unit-files --no-legend 'hostward*' || :"
        )
        .trim(),
        ""
    );
}

/// From the first installation to the purge, on a booted host.
fn deb(packages: &Packages, name: &'static str) {
    let Ok(suite) = Suite::find(name) else {
        results::skipped(TEST, name, "NOT TESTED: there is no root file system of it");
        return;
    };
    let place = Place::booted(Host::of(&suite).bind(packages.directory(), "/packages").boot().unwrap());
    let host = &place.host;
    run(host, OPEN);
    run(host, "dpkg -i /packages/*64.deb");
    verified(host);
    let mut figures = format!("{}; {}", resides(host), works(host));
    for (unit, limit) in [
        ("hostward.service", 3.0),
        ("hostward-scan.service", 3.0),
        ("hostward-firewall.service", 3.0),
        ("hostward-fix@sshd.limits.service", 4.5),
    ] {
        if let Some(exposure) = exposure(host, unit) {
            assert!(exposure <= limit, "{unit} on {name}: {exposure}");
            figures.push_str(&format!("; {unit} {exposure}"));
        }
    }
    figures.push_str(&waiting(&place));
    gone(host);
    results::tested(TEST, name, format!("installed, upgraded, removed, purged; {figures}"));
}

#[test]
fn a_deb_does_its_work_and_leaves_what_it_should() {
    let suites =
        Tier::current().pick(&["bookworm"][..], &["bionic", "focal", "jammy", "bookworm", "noble", "trixie"][..]);
    for suite in chosen(suites) {
        deb(packages(), suite);
    }
}
