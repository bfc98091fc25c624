//! What is asked of a host that a package was installed on, whichever package it was.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use hostward_tests::host::Host;
use hostward_tests::place::{Place, text};
use serde_json::Value;

use crate::made::done;

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
fn said(report: &str) -> BTreeSet<String> {
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

/// What bash would offer for the last word of a command line, from the installed completion.
const COMPLETE: &str = r#"
    source /usr/share/bash-completion/completions/hostward
    offer() {
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE=$*; COMP_POINT=${#COMP_LINE}
      local function; function=$(complete -p hostward | sed 's/.*-F \([^ ]*\).*/\1/')
      "$function" hostward "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
      echo "${COMPREPLY[*]}"
    }
    offer hostward ro; offer hostward scan --fail; offer hostward scan --format j; offer hostward baseline ac"#;

/// The man pages and the completion of what is installed below a root directory, where `shell` runs scripts.
pub(crate) fn documented(root: &Path, shell: impl Fn(&str) -> String) {
    let pages = std::fs::read_dir(root.join("usr/share/man/man1")).unwrap();
    let pages = pages.map(|page| page.unwrap().path());
    let pages = pages.filter(|page| page.file_name().unwrap().to_string_lossy().starts_with("hostward"));
    let mut names = Vec::new();
    for page in pages {
        let name = page.file_name().unwrap().to_string_lossy().trim_end_matches(".1.gz").to_owned();
        let shown = text(&done(Command::new("mandoc").args(["-T", "utf8"]).arg(&page)).stdout);
        // Bold and underlined as in the days of line printers.
        let plain: String =
            shown.split('\u{8}').enumerate().map(|(n, part)| if n == 0 { part } else { &part[1..] }).collect();
        assert!(plain.contains(&name) && plain.contains("SYNOPSIS"), "{name}: {shown}");
        names.push(name);
    }
    for command in ["hostward", "hostward-scan", "hostward-fix", "hostward-status", "hostward-baseline-accept"] {
        assert!(names.iter().any(|name| name == command), "{command} has no man page: {names:?}");
    }
    let offered = shell(&format!("bash -ec '{}'", COMPLETE.replace('\'', "'\\''")));
    assert_eq!(offered, "rollback\n--fail-on\njson json-summary\naccept\n");
}

/// The program, its man pages, its completion and a scan work; the scan in its unit says what one outside says.
pub(crate) fn works(host: &Host) -> String {
    documented(&PathBuf::from(format!("/proc/{}/root", host.leader())), |script| run(host, script));
    run(
        host,
        "test \"$(hostward --version)\" = 'hostward 0.1.0'
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
    let (checks, _) = same(host, &inside, &outside);
    // What the sandbox keeps it from.
    run(
        host,
        "printf '[Service]\\nExecStart=\\nExecStart=/bin/sh -c \"! touch /etc/x && ! touch /root/x && ! touch /usr/x && touch /var/lib/hostward/x\"\\n' \
           >/run/systemd/system/hostward-scan.service.d/t.conf
         systemctl daemon-reload; systemctl start hostward-scan.service
         test -e /var/lib/hostward/x; rm /var/lib/hostward/x; rm -r /run/systemd/system/hostward-scan.service.d; systemctl daemon-reload",
    );
    format!("{checks} checks the same from the unit of a scan")
}

/// What a host is to have before the resident starts, so that what it says of the host is worth comparing.
pub(crate) const OPEN: &str = "
    systemd-run -q --unit=listen systemd-socket-activate -a -l 0.0.0.0:6379 -l 127.0.0.1:9200 cat
    useradd -m -s /bin/bash open; echo 'open ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/open; chmod 440 /etc/sudoers.d/open
    install -d -m 777 -o open /home/open/.ssh; cp /root/.ssh/authorized_keys /home/open/.ssh/
    echo 'toor:x:0:0::/root:/bin/sh' >>/etc/passwd; echo 'toor:*:19000:0:99999:7:::' >>/etc/shadow; chmod 644 /etc/shadow";

/// The resident runs from the first moment, inside its sandbox, and its full look says what a scan outside says right afterwards. It
/// is stopped then: it reports too.
pub(crate) fn resides(host: &Host) -> String {
    let script = "systemctl is-active -q hostward.service || { systemctl status hostward.service; exit 1; }
        for i in $(seq 600); do hostward status --json | grep -q '\"last_full\": \"2' && break; sleep 0.1; done
        hostward status --json";
    let status: Value = serde_json::from_str(&run(host, script)).unwrap();
    assert_eq!(status["troubles"], Value::Array(Vec::new()), "{}: {status}", host.name());
    assert!(status["last_full"].is_string(), "{status}");
    let inside = run(host, "cat /var/lib/hostward/report.json");
    // Passwords are tried in a look of their own.
    let outside =
        host.command("/usr/bin/hostward").args(["scan", "--skip", "accounts.weak-password"]).output().unwrap();
    assert!(matches!(outside.status.code(), Some(0..=2)), "{}", Place::said(&outside));
    let outside = run(host, "cat /var/lib/hostward/report.json");
    let (checks, findings) = same(host, &inside, &outside);
    run(host, "systemctl stop hostward.service");
    format!("{checks} checks, {findings} findings the same from the resident")
}

/// Two reports of one host say the same, but for the times; how many checks and findings that are.
fn same(host: &Host, inside: &str, outside: &str) -> (usize, usize) {
    let findings = inside.matches("\"fingerprint\"").count();
    let (inside, outside) = (said(inside), said(outside));
    let differ: Vec<_> = inside.symmetric_difference(&outside).collect();
    assert!(!inside.is_empty() && differ.is_empty(), "{}: {differ:#?}", host.name());
    (inside.len(), findings)
}
