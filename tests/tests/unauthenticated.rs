//! What services give to whoever comes: real servers of Debian and Ubuntu, open and locked down, each asked once a day; stand-ins, called so,
//! where none can be had.

#![cfg(test)]

use std::path::Path;
use std::time::{Duration, Instant};

use hostward_tests::host::Host;
use hostward_tests::resident::Resident;
use hostward_tests::results;
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;
use serde_json::Value;

#[path = "unauthenticated/hostile.rs"]
mod hostile;
#[path = "unauthenticated/more.rs"]
mod more;
#[path = "unauthenticated/stand_ins.rs"]
mod stand_ins;

const TEST: &str = "unauthenticated";
const CHECK: &str = "ports.unauthenticated";
const LISTEN: &str = env!("CARGO_BIN_EXE_listen");

/// A way to run a server: its name, what starts it, the port that it then listens on, and what a scan says of it.
type Case<'c> = (&'c str, &'c str, u16, &'c [&'c str]);

/// How a transient unit of a case is started.
const RUN: &str = "run() { systemd-run -q --unit=${unit:-case} --collect \"$@\"; }\n";

/// They run at once, each at a port of its own, and one scan asks them all.
const SMALL: &[Case<'static>] = &[
    ("redis, open", "run redis-server --bind 0.0.0.0 --protected-mode no --port 6380", 6380, &["critical open"]),
    (
        "redis, both families",
        "run redis-server --bind '* -::*' --protected-mode no --port 7001",
        7001,
        &["critical open"],
    ),
    ("redis, with a password", "run redis-server --bind 0.0.0.0 --requirepass x --port 7002", 7002, &["pass"]),
    ("redis, protected mode", "run redis-server --bind 0.0.0.0 --port 7003", 7003, &["pass"]),
    ("redis, as installed", "systemctl start redis-server", 6379, &["medium local"]),
    (
        "redis, without rights",
        "run redis-server --bind 0.0.0.0 --port 7004 --user default on nopass '~*' -@all",
        7004,
        &["pass"],
    ),
    (
        "redis, another port",
        "run redis-server --bind 0.0.0.0 --protected-mode no --port 7777",
        7777,
        &["critical open"],
    ),
    ("memcached, open", "run memcached -u root -l 0.0.0.0 -p 11212", 11212, &["critical open"]),
    (
        "memcached, over UDP too",
        "run memcached -u root -l 0.0.0.0 -p 11213 -U 11213",
        11213,
        &["critical open", "critical open"],
    ),
    ("memcached, text alone", "run memcached -u root -l 0.0.0.0 -B ascii -p 11214", 11214, &["critical open"]),
    ("memcached, binary alone", "run memcached -u root -l 0.0.0.0 -B binary -p 11215", 11215, &["critical open"]),
    (
        "memcached, SASL",
        "echo 'mech_list: plain' >/root/memcached.conf; run -E SASL_CONF_PATH=/root memcached -u root -l 0.0.0.0 -S -p 11216",
        11216,
        &["pass"],
    ),
    (
        "memcached, users",
        "echo a:b >/root/users; run memcached -u root -l 0.0.0.0 -Y /root/users -p 11217",
        11217,
        &["pass"],
    ),
    ("memcached, as installed", "systemctl start memcached", 11211, &["medium local"]),
    (
        "rsync, open",
        "printf '[m]\\npath=/srv\\n' >/etc/rsyncd.conf; run rsync --daemon --no-detach",
        873,
        &["critical open"],
    ),
    (
        "rsync, with a password",
        "printf '[m]\\npath=/srv\\nauth users=a\\nsecrets file=/root/users\\n' >/root/a.conf; run rsync --daemon --no-detach --port=8731 --config=/root/a.conf",
        8731,
        &["pass"],
    ),
    (
        "rsync, others only",
        "printf '[m]\\npath=/srv\\nhosts allow=192.0.2.1\\n' >/root/b.conf; run rsync --daemon --no-detach --port=8732 --config=/root/b.conf",
        8732,
        &["pass"],
    ),
];

/// Whose configuration is not where it is looked for.
const ELSEWHERE: &[Case<'static>] = &[(
    "rsync, configured elsewhere",
    "rm /etc/rsyncd.conf; printf '[m]\\npath=/srv\\n' >/root/r.conf; run rsync --daemon --no-detach --config=/root/r.conf",
    873,
    &["unknown"],
)];

/// What memcached counts of what changes it, at each port that answers in text; and what rsync would have written to.
const SMALL_WITNESS: &str = "
    for port in 11211 11212 11213 11214; do
        exec 3<>/dev/tcp/127.0.0.1/$port; printf 'stats\\r\\nquit\\r\\n' >&3
        grep -E 'cmd_(set|touch|flush)|total_items|(delete|incr|decr|cas)_' <&3; exec 3>&-
    done
    for port in 6379 6380 7001 7777; do
        redis-cli -p $port INFO persistence | grep rdb_changes; redis-cli -p $port DBSIZE
        redis-cli -p $port INFO commandstats | grep -vE '^# |^cmdstat_(info|dbsize):' | cut -d: -f1
    done
    find /srv -printf '%p %T@ %C@\\n'";

/// What a scan says: the verdict, or each finding's severity and message. The day before it has passed.
fn scanned(host: &Host, memory: &str) -> (Vec<String>, Value) {
    let scan = format!("{memory}\nhostward scan --only {CHECK} --format json --exit-zero");
    let report: Value = serde_json::from_str(&host.shell(&scan).unwrap()).unwrap();
    let check = report["checks"][0].clone();
    let mut words = words(&check, |_| true);
    if words.is_empty() {
        words.push(check["verdict"].as_str().unwrap().to_owned());
    }
    (words, check)
}

/// Each finding's severity and message, of those subjects.
fn words(check: &Value, of: impl Fn(&str) -> bool) -> Vec<String> {
    let findings = check["findings"].as_array().unwrap().iter();
    let mut words: Vec<String> = findings
        .filter(|found| of(found["subject"].as_str().unwrap()))
        .map(|found| format!("{} {}", found["severity"].as_str().unwrap(), found["message_id"].as_str().unwrap()))
        .collect();
    words.sort();
    words
}

/// What it says of one port: `unknown` where it doubts, `pass` where it says nothing.
fn words_at(check: &Value, port: u16) -> Vec<String> {
    let mut words = words(check, |subject| subject.ends_with(&format!(":{port}")));
    if words.is_empty() {
        let doubted = check["reason"].as_str().is_some_and(|reason| reason.contains(&format!(":{port}: ")));
        words.push(if doubted { "unknown" } else { "pass" }.to_owned());
    }
    words
}

/// Nobody was asked.
const FORGET: &str = "rm -f /var/lib/hostward/asked.json";
/// A day has passed since.
const A_DAY_LATER: &str =
    "at=$(($(date +%s) - 86401)); sed -i -E \"s/\\\"at\\\":[0-9]+/\\\"at\\\":$at/g\" /var/lib/hostward/asked.json";

/// The shell's words that wait until somebody listens at each of the ports.
fn listening(ports: impl Iterator<Item = u16>) -> String {
    let ports: Vec<String> = ports.map(|port| port.to_string()).collect();
    format!(
        "for port in {}; do n=0; until [ -n \"$(ss -tlnH \"sport = :$port\")\" ]; do
             n=$((n + 1)); [ $n -lt 900 ] || {{ ss -tlnp >&2; journalctl -q --no-pager -n 40 >&2; exit 1; }}; sleep 0.1; done; done",
        ports.join(" ")
    )
}

/// What a witness, a script of bash, tells of servers.
fn look_into(host: &Host, witness: &str) -> anyhow::Result<String> {
    host.shell(&format!("bash <<'END'\n{witness}\ntrue\nEND"))
}

/// Runs a case and compares, what it says and what its server holds before and after. The unit `case`, or that of the package, is gone
/// afterwards.
fn run(host: &Host, case: &Case<'_>, witness: Option<&str>) -> Result<(), String> {
    let (name, start, port, want) = case;
    let told = |error: anyhow::Error| format!("{name}: {error:#}");
    let seen = || witness.map(|witness| look_into(host, witness)).transpose().map_err(told);
    let outcome =
        host.shell(&format!("{RUN}{start}\n{}", listening([*port].into_iter()))).map_err(told).and_then(|_| {
            let before = seen()?;
            let (found, check) = scanned(host, FORGET);
            let after = seen()?;
            if found != *want {
                return Err(format!("{name}: {found:?}, wanted {want:?}: {check}"));
            }
            let silent = before.as_deref().is_some_and(|text| text.trim().is_empty());
            if silent || before != after { Err(format!("{name}: before {before:?}, after {after:?}")) } else { Ok(()) }
        });
    let unit = start.rsplit("systemctl start ").next().filter(|unit| *unit != *start).unwrap_or("case");
    host.shell(&format!("systemctl stop {unit}; systemctl reset-failed")).map_err(told)?;
    outcome
}

fn run_all(host: &Host, kind: &str, cases: &[Case<'_>], witnesses: &[(&str, &str)]) {
    let witness = |name: &str| witnesses.iter().find(|(start, _)| name.starts_with(start)).map(|(_, witness)| *witness);
    let wrong: Vec<String> = cases.iter().filter_map(|case| run(host, case, witness(case.0)).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let seen = cases.iter().filter(|case| witness(case.0).is_some()).count();
    let looked = if seen == 0 { String::new() } else { format!("; {seen} looked into: unchanged") };
    let figures = format!("{} ways to run them, open and locked down: each told right{looked}", cases.len());
    results::tested(TEST, kind, figures);
}

/// Runs them at once, asks them in one scan, and compares.
fn run_together(host: &Host, kind: &str, cases: &[Case<'_>], witness: &str) {
    let starts: String = cases.iter().map(|(_, start, port, _)| format!("unit=case-{port}\n{start}\n")).collect();
    host.shell(&format!("{RUN}{starts}{}", listening(cases.iter().map(|case| case.2)))).unwrap();
    let before = look_into(host, witness).unwrap();
    let (_, check) = scanned(host, FORGET);
    assert_eq!(look_into(host, witness).unwrap(), before, "something was written");
    let wrong: Vec<String> = cases
        .iter()
        .map(|(name, _, port, want)| (name, words_at(&check, *port), want))
        .filter(|(_, found, want)| found != *want)
        .map(|(name, found, want)| format!("{name}: {found:?}, wanted {want:?}"))
        .collect();
    assert!(wrong.is_empty(), "{}\n{check}", wrong.join("\n"));
    host.shell("systemctl stop 'case-*' redis-server memcached; systemctl reset-failed").unwrap();
    results::tested(TEST, kind, format!("{} servers at once, open and locked down: each told right", cases.len()));
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
    run_together(&host, "small services", SMALL, SMALL_WITNESS);
    run_together(&host, "a service configured elsewhere", ELSEWHERE, "find /srv -printf '%p %T@ %C@\\n'");
    silence_holds_nobody_up(&host);
    hostile::who_answers_anything_holds_nobody_up(&host);
    the_resident_asks_once_and_does_not_flap(host);
}

/// Sockets that nobody accepts on, beside a server that answers. All of them are waited for together.
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
    for (name, run) in more::SUITES {
        let suite = Suite::find(name);
        match suite.and_then(|suite| suite.more_services().map(|layer| (suite, layer))) {
            Ok((suite, layer)) => run(&host(&suite, &[&layer])),
            Err(why) => results::skipped(TEST, &format!("big services of {name}"), why),
        }
    }
}
