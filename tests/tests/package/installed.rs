//! What is asked of a host that a package was installed on, whichever package it was.

use std::collections::BTreeSet;

use hostward_tests::host::Host;
use hostward_tests::place::{Place, text};
use serde_json::Value;

/// All that is on a host by a name of ours, but for what its packet manager remembers, and what is bound there for the test.
pub(crate) fn ours(host: &Host) -> String {
    host.shell(
        "find / -xdev -name '*hostward*' ! -path '/proc/*' ! -path '/sys/*' ! -path '/packages*' \
         ! -path '/var/log/journal/*' ! -path '/var/lib/dpkg/info/*' ! -path '/var/lib/systemd/*' | sort; \
         find /run -name '*hostward*' ! -path '/run/systemd/*' ! -path '/run/log/*' | sort",
    )
    .unwrap()
}

/// What a report says, without times: for each check its verdict, its reason and the fingerprints of its findings.
pub(crate) fn said(report: &str) -> BTreeSet<String> {
    let report: Value = serde_json::from_str(report).unwrap();
    let checks = report["checks"].as_array().unwrap().iter().map(|check| {
        let findings: Vec<&Value> =
            check["findings"].as_array().unwrap().iter().map(|one| &one["fingerprint"]).collect();
        format!("{} {} {} {findings:?}", check["id"], check["verdict"], check["reason"])
    });
    checks.collect()
}

/// A script in the host that must succeed, and what it prints.
pub(crate) fn run(host: &Host, script: &str) -> String {
    let output = host.command("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{}: {script}: {}", host.name(), Place::said(&output));
    text(&output.stdout)
}

/// What systemd has against the units, on its own words.
pub(crate) fn verified(host: &Host) {
    let complaints = run(
        host,
        "cd /; for unit in /usr/lib/systemd/system/hostward*.service /usr/lib/systemd/system/hostward*.timer; do
           systemd-analyze verify --man=no $unit 2>&1 | grep -i hostward || :
         done",
    );
    assert_eq!(complaints, "", "systemd-analyze verify on {}", host.name());
}

/// The version of its systemd.
pub(crate) fn systemd(host: &Host) -> u32 {
    run(host, "systemctl --version | sed -n '1s/^systemd \\([0-9]*\\).*/\\1/p'").trim().parse().unwrap()
}

/// How exposed systemd finds a unit, where it says so: not before 240, and those up to 246 count a list of forbidden system calls
/// the wrong way round.
pub(crate) fn exposure(host: &Host, unit: &str) -> Option<f64> {
    if systemd(host) < 247 {
        return None;
    }
    let script = format!("systemd-analyze security --no-pager {unit} 2>/dev/null | tail -n 1");
    let told = host.shell(&script).unwrap_or_default();
    told.split_once("level for ")?.1.split_once(": ")?.1.split_whitespace().next()?.parse().ok()
}

/// The program, its man page, its completion and a scan work; the scan in its unit says what one outside says.
pub(crate) fn works(host: &Host) -> String {
    run(
        host,
        "test \"$(hostward --version)\" = 'hostward 0.1.0'
         zcat /usr/share/man/man1/hostward-scan.1.gz | grep -q '^\\.TH hostward-scan 1'
         bash -c 'source /usr/share/bash-completion/completions/hostward; complete -p hostward' | grep -q hostward
         hostward validate
         systemctl is-enabled -q hostward-recover.service
         ! systemctl is-enabled -q hostward-scan.timer
         systemctl start hostward-recover.service",
    );
    let scan = host.command("/usr/bin/hostward").args(["scan", "--password-budget", "0"]).output().unwrap();
    assert!(matches!(scan.status.code(), Some(0..=2)), "{}", Place::said(&scan));
    let outside = run(host, "cat /var/lib/hostward/report.json");
    run(
        host,
        "mkdir -p /run/systemd/system/hostward-scan.service.d
         printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/hostward scan --password-budget 0\\n' >/run/systemd/system/hostward-scan.service.d/t.conf
         rm /var/lib/hostward/report.json
         systemctl daemon-reload; systemctl start hostward-scan.service",
    );
    let inside = run(host, "cat /var/lib/hostward/report.json");
    let (inside, outside) = (said(&inside), said(&outside));
    let differ: Vec<_> = inside.symmetric_difference(&outside).collect();
    assert!(!inside.is_empty() && differ.is_empty(), "{}: {differ:#?}", host.name());
    // What the sandbox keeps it from.
    run(
        host,
        "printf '[Service]\\nExecStart=\\nExecStart=/bin/sh -c \"! touch /etc/x && ! touch /root/x && ! touch /usr/x && touch /var/lib/hostward/x\"\\n' \
           >/run/systemd/system/hostward-scan.service.d/t.conf
         systemctl daemon-reload; systemctl start hostward-scan.service
         test -e /var/lib/hostward/x; rm /var/lib/hostward/x; rm -r /run/systemd/system/hostward-scan.service.d; systemctl daemon-reload",
    );
    format!("{} checks the same inside its unit", inside.len())
}

/// The resident runs from the first moment, inside its sandbox, and says what a scan outside says. It is stopped then: it reports
/// too.
pub(crate) fn resides(host: &Host) {
    let script = "systemctl is-active -q hostward.service
        for i in $(seq 300); do hostward status --json | grep -q '\"extent\": \"full\"' && break; sleep 0.1; done
        hostward status --json";
    let status: Value = serde_json::from_str(&run(host, script)).unwrap();
    assert_eq!(status["troubles"], Value::Array(Vec::new()), "{}: {status}", host.name());
    assert_eq!(status["last"]["extent"], "full", "{status}");
    run(host, "systemctl stop hostward.service");
}
