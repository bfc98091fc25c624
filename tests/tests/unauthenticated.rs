//! What services give to whoever comes: real servers of Debian 12, open and locked down, each asked once a day.

#![cfg(test)]

use std::path::Path;
use std::time::{Duration, Instant};

use hostward_tests::host::Host;
use hostward_tests::resident::Resident;
use hostward_tests::results;
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;
use serde_json::Value;

#[path = "unauthenticated/more.rs"]
mod more;

const TEST: &str = "unauthenticated";
const CHECK: &str = "ports.unauthenticated";
const LISTEN: &str = env!("CARGO_BIN_EXE_listen");

/// A way to run a server: its name, what starts it, the port that it then listens on, and what a scan says of it.
type Case = (&'static str, &'static str, u16, &'static [&'static str]);

/// How a transient unit of a case is started.
const RUN: &str = "run() { systemd-run -q --unit=case --collect \"$@\"; }\n";

const SMALL: &[Case] = &[
    ("redis, open", "run redis-server --bind 0.0.0.0 --protected-mode no", 6379, &["critical open"]),
    ("redis, both families", "run redis-server --bind '* -::*' --protected-mode no", 6379, &["critical open"]),
    ("redis, with a password", "run redis-server --bind 0.0.0.0 --requirepass x", 6379, &["pass"]),
    ("redis, protected mode", "run redis-server --bind 0.0.0.0", 6379, &["pass"]),
    ("redis, as installed", "systemctl start redis-server", 6379, &["medium local"]),
    ("redis, without rights", "run redis-server --bind 0.0.0.0 --user default on nopass '~*' -@all", 6379, &["pass"]),
    (
        "redis, another port",
        "run redis-server --bind 0.0.0.0 --protected-mode no --port 7777",
        7777,
        &["critical open"],
    ),
    ("memcached, open", "run memcached -u root -l 0.0.0.0", 11211, &["critical open"]),
    (
        "memcached, over UDP too",
        "run memcached -u root -l 0.0.0.0 -U 11211",
        11211,
        &["critical open", "critical open"],
    ),
    ("memcached, text alone", "run memcached -u root -l 0.0.0.0 -B ascii", 11211, &["critical open"]),
    ("memcached, binary alone", "run memcached -u root -l 0.0.0.0 -B binary", 11211, &["critical open"]),
    (
        "memcached, SASL",
        "echo 'mech_list: plain' >/root/memcached.conf; run -E SASL_CONF_PATH=/root memcached -u root -l 0.0.0.0 -S",
        11211,
        &["pass"],
    ),
    ("memcached, users", "echo a:b >/root/users; run memcached -u root -l 0.0.0.0 -Y /root/users", 11211, &["pass"]),
    ("memcached, as installed", "systemctl start memcached", 11211, &["medium local"]),
    (
        "rsync, open",
        "printf '[m]\\npath=/srv\\n' >/etc/rsyncd.conf; run rsync --daemon --no-detach",
        873,
        &["critical open"],
    ),
    (
        "rsync, with a password",
        "printf '[m]\\npath=/srv\\nauth users=a\\nsecrets file=/root/users\\n' >/etc/rsyncd.conf; run rsync --daemon --no-detach",
        873,
        &["pass"],
    ),
    (
        "rsync, others only",
        "printf '[m]\\npath=/srv\\nhosts allow=192.0.2.1\\n' >/etc/rsyncd.conf; run rsync --daemon --no-detach",
        873,
        &["pass"],
    ),
    (
        "rsync, configured elsewhere",
        "rm /etc/rsyncd.conf; printf '[m]\\npath=/srv\\n' >/root/r.conf; run rsync --daemon --no-detach --config=/root/r.conf",
        873,
        &["unknown"],
    ),
];

/// What a scan says: the verdict, or each finding's severity and message. The day before it has passed.
fn scanned(host: &Host, memory: &str) -> (Vec<String>, Value) {
    let scan = format!("{memory}\nhostward scan --only {CHECK} --format json --exit-zero");
    let report: Value = serde_json::from_str(&host.shell(&scan).unwrap()).unwrap();
    let check = report["checks"][0].clone();
    let findings = check["findings"].as_array().unwrap().iter();
    let mut words: Vec<String> = findings
        .map(|found| format!("{} {}", found["severity"].as_str().unwrap(), found["message_id"].as_str().unwrap()))
        .collect();
    words.sort();
    if words.is_empty() {
        words.push(check["verdict"].as_str().unwrap().to_owned());
    }
    (words, check)
}

/// Nobody was asked.
const FORGET: &str = "rm -f /var/lib/hostward/asked.json";
/// A day has passed since.
const A_DAY_LATER: &str =
    "at=$(($(date +%s) - 86401)); sed -i -E \"s/\\\"at\\\":[0-9]+/\\\"at\\\":$at/g\" /var/lib/hostward/asked.json";

/// Runs a case and compares. The unit `case`, or that of the package, is gone afterwards.
fn run(host: &Host, case: &Case) -> Result<(), String> {
    let (name, start, port, want) = case;
    let wait = format!(
        "{RUN}{start}\nfor i in $(seq 600); do [ -z \"$(ss -tlnH 'sport = :{port}')\" ] || exit 0; sleep 0.1; done
         systemctl --no-pager status case >&2; journalctl -q --no-pager -n 30 >&2; exit 1"
    );
    let outcome = host.shell(&wait).map_err(|error| format!("{name}: {error:#}")).and_then(|_| {
        let (found, check) = scanned(host, FORGET);
        if found == *want { Ok(()) } else { Err(format!("{name}: {found:?}, wanted {want:?}: {check}")) }
    });
    let unit = start.rsplit("systemctl start ").next().filter(|unit| *unit != *start).unwrap_or("case");
    host.shell(&format!("systemctl stop {unit}; systemctl reset-failed"))
        .map_err(|error| format!("{name}: {error:#}"))?;
    outcome
}

fn run_all(host: &Host, kind: &str, cases: &[Case]) {
    let wrong: Vec<String> = cases.iter().filter_map(|case| run(host, case).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    results::tested(TEST, kind, format!("{} servers, open and locked down: each told right", cases.len()));
}

/// A host with the layer, where there is one.
fn host(suite: &Suite, layers: &[&Path]) -> Host {
    let unit = include_str!("../../systemd/hostward.service").replace("/usr/bin/hostward", "/usr/local/bin/hostward");
    let mut plan = Host::of(suite).bind(&hostward_tests::binary().unwrap(), "/usr/local/bin/hostward");
    for layer in layers {
        plan = plan.layer(layer);
    }
    let plan = plan.bind(Path::new(LISTEN), "/usr/local/bin/listen");
    plan.file("/etc/systemd/system/hostward.service", unit, 0o644).boot().unwrap()
}

fn stat(host: &Host, section: &str, key: &str) -> u64 {
    let text = host.shell(&format!("redis-cli INFO {section}")).unwrap();
    let line = text.lines().find_map(|line| line.trim_end().strip_prefix(key)).unwrap_or_else(|| panic!("{text}"));
    line.trim_start_matches(':').parse().unwrap()
}

#[test]
fn real_servers_are_told_right_asked_once_and_left_as_they_were() {
    let suite = Suite::find("bookworm").unwrap();
    let layer = match suite.services() {
        Ok(layer) => layer,
        Err(why) => return results::skipped(TEST, "small services", why),
    };
    let host = host(&suite, &[&layer]);
    run_all(&host, "small services", SMALL);
    silence_holds_nobody_up(&host);
    the_resident_asks_once_and_does_not_flap(host);
}

/// Sockets that nobody accepts on, beside a server that answers.
fn silence_holds_nobody_up(host: &Host) {
    host.shell(&format!(
        "{RUN}run redis-server --bind 0.0.0.0 --protected-mode no
         systemd-run -q --unit=silent sh -c 'sleep infinity | listen tcp:0.0.0.0:27017 tcp:0.0.0.0:9200 tcp:0.0.0.0:3306 tcp:0.0.0.0:5432'
         for i in $(seq 100); do [ $(ss -tlnH 'sport = :27017 or sport = :6379' | wc -l) = 2 ] && exit 0; sleep 0.1; done; exit 1"
    ))
    .unwrap();
    let from = Instant::now();
    let (found, check) = scanned(host, FORGET);
    let took = from.elapsed();
    assert_eq!(found, ["critical open"], "{check}");
    let reason = check["reason"].as_str().unwrap();
    assert_eq!(reason.matches("timed out").count(), 4, "{reason}");
    results::tested(
        TEST,
        "silence",
        format!("4 servers that never answer: the scan takes {:.1} s", took.as_secs_f64()),
    );
    assert!(took < Duration::from_secs(60), "{took:?}");
    host.shell("systemctl stop silent case").unwrap();
}

/// With the packaged unit, sandbox and all.
fn the_resident_asks_once_and_does_not_flap(host: Host) {
    let run = "run redis-server --bind 0.0.0.0 --protected-mode no --save ''";
    host.shell(&format!("{FORGET}\n{RUN}{run}\nuntil redis-cli PING 2>/dev/null; do sleep 0.1; done")).unwrap();
    let resident = Resident { host };
    let begun = resident.tells("systemctl start hostward", "new", CHECK);
    begun.unwrap();
    let calls = |host: &Host| host.shell("redis-cli INFO commandstats").unwrap();
    let came = |host: &Host| stat(host, "stats", "total_connections_received");
    let before = came(&resident.host);
    // A usual look, because something changed, and a full one at once: nobody is asked again.
    resident
        .host
        .shell("mkdir -p /etc/ssh/sshd_config.d; echo 'MaxAuthTries 20' >/etc/ssh/sshd_config.d/99-t.conf")
        .unwrap();
    resident.agrees().unwrap();
    let (found, check) = scanned(&resident.host, "systemctl restart hostward");
    assert_eq!(found, ["critical open"]);
    let evidence = check["findings"][0]["evidence"].to_string();
    assert!(evidence.contains("asked"), "{evidence}");
    resident.agrees().unwrap();
    // Each look of this test at the figures is one connection, and nobody else came.
    assert_eq!(came(&resident.host), before + 1, "somebody asked again");
    let events = resident.events().unwrap();
    let of_check: Vec<&str> =
        events.iter().filter(|event| event["check"] == CHECK).map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(of_check, ["new"], "{events:#?}");
    // INFO is all that was ever asked of it, and it holds nothing.
    let stats = calls(&resident.host);
    let names: Vec<&str> = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split(':').next()).collect();
    assert!(names.iter().all(|name| ["info", "ping"].contains(name)), "{stats}");
    assert_eq!(resident.host.shell("redis-cli DBSIZE").unwrap().trim(), "0");
    assert_eq!(stat(&resident.host, "persistence", "rdb_changes_since_last_save"), 0);
    // Whoever answers is told by what it is, never by what it holds.
    let file =
        resident.host.shell("stat -c '%a %U' /var/lib/hostward/asked.json; cat /var/lib/hostward/asked.json").unwrap();
    assert!(
        file.starts_with("600 root\n") && file.contains("hostward.asked/1") && !file.contains("redis_git"),
        "{file}"
    );
    // Started anew it is another, and not asked before the day is over.
    resident
        .host
        .shell(&format!("systemctl stop case; {RUN}{run}\nuntil redis-cli PING 2>/dev/null; do sleep 0.1; done"))
        .unwrap();
    let (found, check) = scanned(&resident.host, "true");
    assert_eq!(found, ["unknown"]);
    assert!(check["reason"].as_str().unwrap().contains("started anew"), "{check}");
    assert_eq!(scanned(&resident.host, A_DAY_LATER).0, ["critical open"]);
    for (profile, policy, want) in
        [("basic", "", "not_applicable"), ("enhanced", "[ports]\nask-services = false", "not_applicable")]
    {
        let scan = format!(
            "echo '{policy}' >/root/p.toml; {FORGET}; hostward scan --only {CHECK} --profile {profile} --policy /root/p.toml --format json --exit-zero"
        );
        let report: Value = serde_json::from_str(&resident.host.shell(&scan).unwrap()).unwrap();
        assert_eq!(report["checks"][0]["verdict"], want, "{profile}");
    }
    results::tested(
        TEST,
        "redis and the resident",
        "one connection in a day of looks, one event, INFO alone, nothing written",
    );
}

#[test]
fn big_servers_are_told_right() {
    if Tier::current() == Tier::Quick {
        return results::skipped(TEST, "big services", "the long tier alone: their packages are some 600 MB");
    }
    let suite = Suite::find("bookworm").unwrap();
    match suite.more_services() {
        Ok(layer) => more::run(&host(&suite, &[&layer])),
        Err(why) => results::skipped(TEST, "big services", why),
    }
}
