//! The platform's checks against the real thing: systemd-sysctl of every suite, and a booted host whose passwords are guessed.

#![cfg(test)]

use std::fmt::Write as _;
use std::path::Path;

use hostward_checks::fact::Fact;
use hostward_checks::host::platform::sysctl::Sysctl;
use hostward_checks::snapshot::{Reader, Sketch};
use hostward_tests::host::{Down, Host};
use hostward_tests::imds::{Behaviour, Imds};
use hostward_tests::resident::{Resident, START};
use hostward_tests::results;
use hostward_tests::rng::Rng;
use hostward_tests::ssh::{Client, With};
use hostward_tests::suite::{Suite, chosen};
use hostward_tests::tier::Tier;
use serde_json::Value;

const TEST: &str = "platform";

/// A package list with a security update, as apt keeps it.
const PENDING: &str = r#"cd /var/lib/apt/lists; rm -rf *; mkdir partial
    printf 'Suite: own-security\nDate: %s\n' "$(date -u '+%a, %d %b %Y %H:%M:%S UTC')" >own_InRelease
    printf 'Package: dpkg\nArchitecture: amd64\nVersion: 99\n' >own_main_binary-amd64_Packages"#;

/// The suites that are booted.
const NAMES: [&str; 9] = ["bookworm", "trixie", "bullseye", "jammy", "noble", "bionic", "focal", "sid", "resolute"];

/// Settings that belong to a network namespace, take any number, and are nobody's.
const KEYS: [&str; 3] = ["net.ipv4.conf.lo.tag", "net.ipv4.conf.all.tag", "net.ipv4.conf.default.tag"];
/// What they have before anything sets them.
const UNSET: i64 = 7777;

/// A root's files of sysctl.d: path, and content or, behind `->`, where a link leads.
type Files = Vec<(String, String)>;

fn files(rng: &mut Rng) -> Files {
    let dirs = ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"];
    let names = ["10-a.conf", "50-b.conf", "99-c.conf", "zz.conf", ".hidden.conf", "x.txt"];
    let mut files: Files = Vec::new();
    for _ in 0..=rng.below(5) {
        let path = format!("{}/{}", rng.pick(&dirs), rng.pick(&names));
        let content = match rng.below(12) {
            0 => "-> /dev/null".to_owned(),
            1 => "-> ../sysctl.conf".to_owned(),
            2 => "-> nowhere.conf".to_owned(),
            _ => (0..=rng.below(3)).map(|_| line(rng) + "\n").collect(),
        };
        if !files.iter().any(|(known, _)| *known == path) {
            files.push((path, content));
        }
    }
    if rng.chance(60) {
        files.push(("/etc/sysctl.conf".to_owned(), line(rng)));
    }
    files
}

fn line(rng: &mut Rng) -> String {
    let number = rng.below(1000);
    let which = rng.pick(&["lo", "all", "default"]).to_owned();
    match rng.below(12) {
        0 => format!("net/ipv4/conf/{which}/tag={number}"),
        1 => format!("-net.ipv4.conf.{which}.tag = {number}"),
        2 => format!("-net.ipv4.conf.{which}.tag"),
        3 => format!("net.ipv4.conf.*.tag = {number}"),
        4 => format!("net.*.conf.[la]*.tag={number}"),
        5 => format!("  # net.ipv4.conf.{which}.tag = {number}"),
        6 => format!("; net.ipv4.conf.{which}.tag = {number}"),
        7 => format!("net.ipv4.conf.{which}.tag {number}"),
        8 => format!("net.*.tag = {number}"),
        _ => format!("\tnet.ipv4.conf.{which}.tag = {number} "),
    }
}

/// Lays the files, sets the keys to what is no value of any file, has systemd set what it finds, and prints the keys.
fn script(files: &Files) -> String {
    let mut out = "rm -rf /etc/sysctl.conf; for d in /etc /run /usr/local/lib /usr/lib; do rm -rf $d/sysctl.d; mkdir -p $d/sysctl.d; done\n".to_owned();
    for (path, content) in files {
        match content.strip_prefix("-> ") {
            Some(target) => writeln!(out, "ln -s '{target}' {path}").unwrap(),
            None => writeln!(out, "printf '%s' '{content}' >{path}").unwrap(),
        }
    }
    for key in KEYS {
        writeln!(out, "echo {UNSET} >/proc/sys/{}", key.replace('.', "/")).unwrap();
    }
    // Nothing but what belongs to this namespace may be set.
    out.push_str("$s --prefix=/net/ipv4/conf >/dev/null 2>&1 || true\n");
    for key in KEYS {
        writeln!(out, "printf '%s ' $(cat /proc/sys/{})", key.replace('.', "/")).unwrap();
    }
    out.push_str("; echo\n");
    out.replace("\n; echo", "; echo")
}

fn expected(files: &Files, suite: &Suite) -> Vec<i64> {
    let mut sketch = Sketch::new().link("/lib", "usr/lib").file("/usr/lib/systemd/systemd-sysctl", "");
    for name in
        ["lib/systemd", "usr/lib/systemd"].iter().flat_map(|dir| std::fs::read_dir(suite.root().join(dir)).unwrap())
    {
        let name = name.unwrap().file_name().into_string().unwrap();
        if name.starts_with("libsystemd-shared") {
            sketch = sketch.file(Path::new("/usr/lib/systemd").join(name), "");
        }
    }
    for (path, content) in files {
        sketch = match content.strip_prefix("-> ") {
            Some(target) => sketch.link(path, target),
            None => sketch.file(path, content),
        };
    }
    let snapshot = sketch.snapshot();
    let sysctl = Sysctl::read(&Reader::new(&snapshot));
    let value = |key: &str| match sysctl.at_boot(key) {
        Fact::Known(setting) => setting.value.parse().unwrap(),
        Fact::Absent => UNSET,
        Fact::Unknown(why) => panic!("{why}"),
    };
    KEYS.iter().map(|key| value(key)).collect()
}

#[test]
fn what_the_next_boot_sets_is_what_systemd_sysctl_sets() {
    let cases = Tier::current().pick(40, 1500);
    for suite in Suite::all(TEST).unwrap() {
        let overlay = suite.overlay().unwrap();
        let mut rng = Rng::new(0x5c71);
        let all: Vec<Files> = (0..cases).map(|_| files(&mut rng)).collect();
        let (mut set, mut wrong) = (0, Vec::new());
        for batch in all.chunks(50) {
            let mut whole =
                "for s in /usr/lib/systemd/systemd-sysctl /lib/systemd/systemd-sysctl; do [ -x $s ] && break; done\n"
                    .to_owned();
            batch.iter().for_each(|files| whole.push_str(&script(files)));
            let said = overlay.shell(&whole).unwrap();
            let real: Vec<Vec<i64>> =
                said.lines().map(|line| line.split_whitespace().map(|word| word.parse().unwrap()).collect()).collect();
            assert_eq!(real.len(), batch.len(), "{suite}: {said}");
            for (files, real) in batch.iter().zip(real) {
                set += real.iter().filter(|value| **value != UNSET).count();
                let ours = expected(files, &suite);
                if ours != real {
                    wrong.push(format!("{files:?}: {real:?}, not {ours:?}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{suite}: {} of {cases} differ\n{}", wrong.len(), wrong.join("\n"));
        assert!(set > cases / 2, "{suite}: next to nothing was set");
        results::tested(
            TEST,
            suite.name(),
            format!("{cases} sets of sysctl.d, {set} values, as systemd-sysctl sets them"),
        );
    }
}

const HOSTWARD: &str =
    "hostward scan --metadata-endpoint http://100.100.100.200 --password-budget 0 --exit-zero --format json";

/// The check's state, and its findings as `message subject`.
fn told(host: &Host, check: &str) -> (String, Vec<String>) {
    let said = host.shell(&format!("{HOSTWARD} --only {check}")).unwrap();
    let report: Value = serde_json::from_str(&said).unwrap();
    let one = report["checks"].as_array().unwrap().iter().find(|one| one["id"] == check).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = one["findings"].as_array().unwrap().iter();
    (text(&one["verdict"]), findings.map(|f| format!("{} {}", text(&f["message_id"]), text(&f["subject"]))).collect())
}

#[test]
fn a_host_whose_passwords_are_guessed_says_so() {
    for name in chosen(Tier::current().pick(&["bookworm"][..], &NAMES)) {
        let Ok(suite) = Suite::find(name) else {
            results::skipped(TEST, name, "no root file system");
            continue;
        };
        let host = Host::of(&suite).bind(&hostward_tests::binary().unwrap(), "/usr/local/bin/hostward").boot().unwrap();
        let mut resident = Resident { host };
        let _imds = Imds::start(resident.host.vpc(), Behaviour::Open).unwrap();
        kernel(&resident.host, name);
        security_center(&resident.host, name);
        let attempts = guessing(&resident.host, name);
        let looks = looks(&resident, name);
        journal(&mut resident.host, name);
        results::tested(
            TEST,
            name,
            format!(
                "a booted host: kernel settings mended and put back, Security Center by path, the journal kept over a reboot, \
                 {attempts} guessed passwords told, nothing told twice in {looks} looks"
            ),
        );
    }
}

/// Of the settings one that belongs to the host's own namespace.
fn kernel(host: &Host, name: &str) {
    let value = || host.shell("cat /proc/sys/net/ipv4/tcp_syncookies").unwrap();
    host.shell("echo 0 >/proc/sys/net/ipv4/tcp_syncookies").unwrap();
    let found = told(host, "platform.kernel");
    assert_eq!(found, ("fail".to_owned(), vec!["running sysctl:net.ipv4.tcp_syncookies".to_owned()]), "{name}");
    let fix = "hostward fix --only platform.kernel --password-budget 0 --apply 2>&1";
    let said = host.shell(fix).unwrap();
    assert_eq!(value(), "1\n", "{name}: {said}");
    assert_eq!(told(host, "platform.kernel"), ("pass".to_owned(), vec![]), "{name}");
    host.shell(
        "hostward rollback $(hostward history --json | sed -n 's/.*\"id\": \"\\([^\"]*\\)\".*/\\1/p' | head -1)",
    )
    .unwrap();
    assert_eq!(value(), "0\n", "{name}");
    let dir = host.shell("ls /etc/sysctl.d | grep hostward || true").unwrap();
    assert_eq!(dir, "", "{name}");
    // What only the next boot sets is the file's alone.
    host.shell("echo 1 >/proc/sys/net/ipv4/tcp_syncookies; mkdir -p /etc/sysctl.d; echo net.ipv4.tcp_syncookies=0 >/etc/sysctl.d/90-x.conf").unwrap();
    assert_eq!(told(host, "platform.kernel").1, ["at-boot sysctl:net.ipv4.tcp_syncookies"], "{name}");
    host.shell(fix).unwrap();
    assert_eq!(told(host, "platform.kernel").1, [""; 0], "{name}");
}

fn security_center(host: &Host, name: &str) {
    let state = || told(host, "platform.security-center").1;
    assert_eq!(state(), ["not-installed agent:security-center"], "{name}");
    let program = "/usr/local/aegis/aegis_client/aegis_12_81/AliYunDun";
    // Not sleep: Ubuntu 26.04's is one program with many names, which knows itself by none but them.
    host.shell(&format!("install -D -m 755 $(readlink -f /bin/bash) {program}")).unwrap();
    let runs = format!("{program} -c 'sleep 600; :'; sleep 0.3");
    assert_eq!(state(), ["stopped agent:security-center"], "{name}");
    host.shell(&format!("systemd-run -q --unit=aegis-user -p User=nobody {runs}")).unwrap();
    assert_eq!(state(), ["stopped agent:security-center"], "{name}: it is a user's");
    host.shell(&format!("systemd-run -q --unit=aegis {runs}")).unwrap();
    assert_eq!(told(host, "platform.security-center"), ("pass".to_owned(), vec![]), "{name}");
    host.shell(&format!("rm {program}")).unwrap();
    assert_eq!(state(), ["removed agent:security-center"], "{name}");
    host.shell("systemctl stop aegis").unwrap();
    assert_eq!(state(), ["stopped agent:security-center"], "{name}");
}

/// Usual and full looks of the resident by turns, while nobody changes anything: nothing of the platform is told twice.
fn looks(resident: &Resident, name: &str) -> usize {
    // Guesses at a password take longer than all else here.
    resident.host.shell(&format!("{PENDING}; usermod -p '*' ann\n{START}")).unwrap();
    let looked = |extent: &str, before: &str| {
        let wait = format!(
            "for i in $(seq 600); do
               hostward status --json | grep -q '\"extent\": \"{extent}\"' && ! hostward status --json | grep -qF '\"at\": \"{before}\"' &&
               ! pgrep -P $(systemctl show -p MainPID --value hostward) >/dev/null && exit 0
               sleep 0.1
             done; exit 1"
        );
        resident.host.shell(&wait).unwrap_or_else(|_| panic!("{name}: no {extent} look\n{}", resident.journal()));
        resident.status().unwrap()["last"]["at"].as_str().unwrap().to_owned()
    };
    let told = || {
        let events = resident.events().unwrap();
        let ours =
            events.into_iter().filter(|event| event["check"].as_str().is_some_and(|id| id.starts_with("platform.")));
        ours.map(|event| event.to_string()).collect::<Vec<_>>()
    };
    let mut at = looked("full", "never");
    let first = told();
    for check in ["platform.login-anomaly", "platform.updates"] {
        assert!(first.iter().any(|event| event.contains(check)), "{name}: nothing of {check} in {first:#?}");
    }
    let mut count = 1;
    for _ in 0..Tier::current().pick(1, 3) {
        for (extent, why) in
            [("usual", "touch /etc/ssh/sshd_config"), ("full", "systemctl kill --kill-who=main -s HUP hostward")]
        {
            resident.host.shell(why).unwrap();
            at = looked(extent, &at);
            count += 1;
            assert_eq!(told(), first, "{name}: after a {extent} look");
        }
    }
    resident.agrees().unwrap();
    resident.host.shell("systemctl stop hostward").unwrap();
    count
}

/// What the fix changes outlives a reboot, and with it the journal.
fn journal(host: &mut Host, name: &str) {
    let kept = |host: &Host| {
        let mut found = told(host, "platform.audit").1;
        found.retain(|one| one.ends_with(" log:kept"));
        found
    };
    host.shell("rm -rf /var/log/journal; rm -f /etc/systemd/journald.conf.d/*; systemctl disable -q --now rsyslog 2>/dev/null || :").unwrap();
    host.shell("mkdir -p /etc/systemd/journald.conf.d; printf '[Journal]\nStorage=auto\n' >/etc/systemd/journald.conf.d/50-x.conf; systemctl restart systemd-journald").unwrap();
    assert_eq!(kept(host), ["lost log:kept"], "{name}");
    host.shell("hostward fix --only platform.audit --password-budget 0 --apply 2>&1 || [ $? = 1 ]").unwrap();
    assert_eq!(kept(host), ["pending log:kept"], "{name}");
    host.shell(
        "systemctl restart systemd-journald; journalctl --flush; logger -t remember what was before; journalctl --sync",
    )
    .unwrap();
    assert_eq!(kept(host), [""; 0], "{name}");
    host.reboot(Down::Orderly).unwrap();
    let before = host.shell("journalctl -q -o cat -t remember").unwrap();
    assert_eq!(before, "what was before\n", "{name}");
    assert_eq!(kept(host), [""; 0], "{name}");
}

/// Real guesses by a real client, then a login that works; from another source a login alone.
fn guessing(host: &Host, name: &str) -> usize {
    host.shell(
        "useradd -m -s /bin/bash ann; echo 'ann:Right9Horse-Battery' | chpasswd
         { echo 'PasswordAuthentication yes'; echo 'MaxStartups 100:30:200'; sed '/^PasswordAuthentication/d;/^MaxStartups/d' /etc/ssh/sshd_config; } >/tmp/c
         ! sshd -T 2>/dev/null | grep -qi persourcepenalties || sed -i '1i PerSourcePenalties no' /tmp/c
         cat /tmp/c >/etc/ssh/sshd_config; systemctl restart ssh.service
         for i in $(seq 100); do bash -c 'exec 3<>/dev/tcp/127.0.0.1/22' 2>/dev/null && exit 0; sleep 0.1; done; exit 1",
    )
    .unwrap();
    let client = Client::of(host).unwrap();
    let right = With::Password("Right9Horse-Battery".to_owned());
    let (old, guesser, new) = ("203.0.113.10", "198.51.100.66", "198.51.100.99");
    for address in [old, guesser, new] {
        host.vpc().ip(&format!("addr add {address}/32 dev vpc0")).unwrap();
    }
    let came = client.login("ann", old, &right).unwrap();
    assert!(came.authenticated, "{name}: {}", came.log);
    let first = told(host, "platform.login-anomaly");
    assert_eq!(first, ("pass".to_owned(), vec![]), "{name}: whoever is there at first is known");
    let kept =
        host.shell("stat -c '%a %U' /var/lib/hostward/sources.json; cat /var/lib/hostward/sources.json").unwrap();
    assert!(kept.starts_with("600 root\n") && kept.contains(old), "{name}: {kept}");

    std::thread::scope(|scope| {
        for part in 0..4 {
            let client = &client;
            scope.spawn(move || {
                for guess in 0..3 {
                    let wrong = With::Password(format!("wrong{part}{guess}"));
                    let user = ["ann", "root", "admin from 9.9.9.9 port 1 ssh2"][guess];
                    assert!(!client.login(user, guesser, &wrong).unwrap().authenticated);
                }
            });
        }
    });
    let guessed = told(host, "platform.login-anomaly").1;
    assert_eq!(guessed, ["guessing sshd:guessing"], "{name}");
    assert!(client.login("ann", guesser, &right).unwrap().authenticated, "{name}");
    assert!(client.login("ann", new, &right).unwrap().authenticated, "{name}");
    let mut told_of = told(host, "platform.login-anomaly").1;
    told_of.sort();
    let want = ["guessed source:198.51.100.66", "guessing sshd:guessing", "new-source source:198.51.100.99"];
    assert_eq!(told_of, want, "{name}");
    assert_eq!(told(host, "platform.login-anomaly").1.len(), 3, "{name}: a second scan tells the same");
    12
}
