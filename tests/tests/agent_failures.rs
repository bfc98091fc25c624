//! The resident in bad times, in the sandbox of its unit: it keeps working, says once what is wrong, and afterwards it is right.

#![cfg(test)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hostward_tests::host::Host;
use hostward_tests::resident::{ACCOUNTS, Resident, in_order};
use hostward_tests::results;
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;
use serde_json::Value;

const TEST: &str = "agent_failures";

/// The state and the log each on a small disk, as the unit will find them.
const DISKS: &str = "
    for dir in /var/lib/hostward /var/log/hostward; do mkdir -p $dir; mount -t tmpfs -o size=1m,mode=700 tmpfs $dir; done";

/// A finding that comes and goes.
const NEW: &str = "chmod 644 /etc/shadow";
const GONE: &str = "chmod 640 /etc/shadow";
const CHECK: &str = "accounts.files";

/// A host that is prepared so, with the unit as it is shipped.
fn host(prepare: &str) -> Host {
    let suite = Suite::find("bookworm").unwrap();
    let unit = include_str!("../../systemd/hostward.service");
    let binary = hostward_tests::binary().unwrap();
    let plan = Host::of(&suite).bind(&binary, "/usr/bin/hostward");
    let host = plan.file("/etc/systemd/system/hostward.service", unit, 0o644).boot().unwrap();
    host.shell(ACCOUNTS).unwrap();
    host.shell(prepare).unwrap();
    host
}

fn start(host: Host) -> Resident {
    let resident = Resident { host };
    resident.host.shell("systemctl start hostward").unwrap_or_else(|error| panic!("{error:#}\n{}", resident.journal()));
    resident
}

/// Waits until the troubles are as wanted.
fn troubles(resident: &Resident, what: &str, wanted: impl Fn(&[String]) -> bool) {
    let until = Instant::now() + Duration::from_secs(90);
    loop {
        let status = resident.status().unwrap();
        let troubles = status["troubles"].as_array().unwrap().iter();
        let troubles: Vec<String> = troubles.map(|trouble| trouble.as_str().unwrap().to_owned()).collect();
        if wanted(&troubles) {
            return;
        }
        assert!(Instant::now() < until, "{what}: {troubles:?}\n{}", resident.journal());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Says what is wrong, in these words.
fn says(resident: &Resident, words: &str) {
    troubles(resident, words, |troubles| troubles.iter().any(|trouble| trouble.contains(words)));
}

/// Nothing is wrong any more, and nothing was lost: what is open is what a scan finds, and the file and the journal know the same
/// events, each transition under one id.
fn is_right(resident: &Resident, what: &str) {
    troubles(resident, what, <[String]>::is_empty);
    resident.agrees().unwrap_or_else(|error| panic!("{what}: {error:#}"));
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let events = events(resident);
        in_order(&events).unwrap_or_else(|error| panic!("{what}: {error:#}"));
        let file: BTreeSet<String> =
            events.iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect();
        let ask = "journalctl --sync; journalctl -q -o cat --output-fields=HOSTWARD_EVENT_ID SYSLOG_IDENTIFIER=hostward | grep .";
        let journal: BTreeSet<String> = resident.host.shell(ask).unwrap().lines().map(str::to_owned).collect();
        if file == journal {
            return;
        }
        let differ: Vec<&String> = file.symmetric_difference(&journal).collect();
        assert!(Instant::now() < until, "{what}: {differ:?} are in one alone\n{}", resident.journal());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Every event since the host booted: also of files that were taken away.
fn events(resident: &Resident) -> Vec<Value> {
    let text = resident.host.shell("touch /root/before; cat /root/before /var/log/hostward/events.jsonl").unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// How often the journal has a warning with all of these words, since the host booted.
fn warned(resident: &Resident, words: [&str; 2]) -> usize {
    let all = resident.host.shell("journalctl -q --no-pager -o cat | grep 'hostward: warning' || true").unwrap();
    all.lines().filter(|line| words.iter().all(|word| line.contains(word)) && !line.contains("right again")).count()
}

/// Its first looks and the audit have ended: what it tells from now on, it has heard of.
fn settles(resident: &Resident) {
    let full = "until hostward status --json | grep -q '\"last_full\": \"2'; do sleep 0.1; done";
    resident.host.shell(full).unwrap();
    no_look(resident);
}

/// No look is under way.
fn no_look(resident: &Resident) {
    let pid = "$(systemctl show -p MainPID --value hostward)";
    resident.host.shell(&format!("while pgrep -P {pid} >/dev/null; do sleep 0.1; done")).unwrap();
}

fn tells(resident: &Resident, what: &str, command: &str, kind: &str) {
    resident.tells(command, kind, CHECK).unwrap_or_else(|error| panic!("{what}: {error:#}"));
}

/// The state and the file cannot be written: the journal is told, and the file later.
fn disks(resident: &Resident, what: &str, words: &str, spoil: &str, mend: &str) {
    // A new file needs room, where there may be some left in the old one.
    resident
        .host
        .shell("cat /var/log/hostward/events.jsonl >>/root/before; rm /var/log/hostward/events.jsonl")
        .unwrap();
    resident.host.shell(spoil).unwrap();
    tells(resident, what, NEW, "new");
    says(resident, words);
    tells(resident, what, GONE, "resolved");
    resident.host.shell(mend).unwrap();
    tells(resident, what, NEW, "new");
    tells(resident, what, GONE, "resolved");
    is_right(resident, what);
    for file in ["known.json", "events.jsonl"] {
        assert_eq!(warned(resident, [file, words]), 1, "{what}, {file}: {}", resident.journal());
    }
}

/// Nobody takes what the journal is told: it is told when somebody does.
fn journal(resident: &Resident) {
    let units = "systemd-journald.socket systemd-journald-dev-log.socket systemd-journald-audit.socket systemd-journald.service";
    resident
        .host
        .shell(&format!("systemctl stop {units} 2>/dev/null; ! systemctl is-active -q systemd-journald"))
        .unwrap();
    let before = events(resident).len();
    for command in [NEW, GONE] {
        resident.host.shell(command).unwrap();
        resident.agrees().unwrap();
    }
    says(resident, "failed to tell the journal");
    assert_eq!(events(resident).len(), before + 2, "the file is told all the same, once");
    resident
        .host
        .shell("systemctl start systemd-journald.socket systemd-journald-dev-log.socket systemd-journald")
        .unwrap();
    tells(resident, "journal", NEW, "new");
    tells(resident, "journal", GONE, "resolved");
    is_right(resident, "journal");
    let right = resident
        .host
        .shell("journalctl -q -o cat --no-pager | grep -c 'right again: failed to tell the journal'")
        .unwrap();
    assert_eq!(right.trim(), "1", "what goes to standard error is in the journal again");
}

/// A link or a directory stands where the file of events was: nobody else's file is written.
fn file(resident: &Resident) {
    let file = "/var/log/hostward/events.jsonl";
    for (what, spoil) in [
        ("link", format!("mv {file} {file}.kept; ln -s /etc/hostname {file}")),
        ("directory", format!("mv {file} {file}.kept; mkdir {file}")),
    ] {
        let hostname = resident.host.shell("cat /etc/hostname").unwrap();
        resident.host.shell(&spoil).unwrap();
        tells(resident, what, NEW, "new");
        says(resident, "events.jsonl");
        resident.host.shell(&format!("rm -d {file}; mv {file}.kept {file}")).unwrap();
        tells(resident, what, GONE, "resolved");
        is_right(resident, what);
        assert_eq!(resident.host.shell("cat /etc/hostname").unwrap(), hostname);
    }
}

/// A policy that is wrong: the last good one holds, also for a resident that begins with it.
fn policy(resident: &Resident) {
    let digest = || resident.status().unwrap()["last"]["policy_digest"].as_str().unwrap().to_owned();
    let changed = |before: &str| {
        let until = Instant::now() + Duration::from_secs(60);
        while digest() == before {
            assert!(Instant::now() < until, "{}", resident.journal());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let built_in = digest();
    resident.host.shell("mkdir -p /etc/hostward; echo 'severity = { \"accounts.files\" = \"low\" }' >/etc/hostward/policy.toml; systemctl reload hostward").unwrap();
    changed(&built_in);
    let good = digest();
    resident.host.shell("echo 'severety = 1' >/etc/hostward/policy.toml; systemctl reload hostward").unwrap();
    says(resident, "the last good one holds");
    tells(resident, "policy", NEW, "new");
    resident.host.shell("systemctl restart hostward").unwrap();
    says(resident, "the last good one holds");
    assert_eq!(digest(), good);
    tells(resident, "policy", GONE, "resolved");
    resident.host.shell("rm /etc/hostward/policy.toml; systemctl reload hostward").unwrap();
    changed(&good);
    assert_eq!(digest(), built_in);
    is_right(resident, "policy");
}

/// More news than the kernel keeps come while nobody reads, and a directory is replaced meanwhile.
fn overflow(resident: &Resident) {
    let before = resident.status().unwrap()["cost"]["wakes"]["files"].as_u64().unwrap_or(0);
    resident
        .host
        .shell(
            "pid=$(systemctl show -p MainPID --value hostward); kill -STOP $pid; cd /etc/ssh/sshd_config.d
             i=0; while [ $i -lt 10000 ]; do : >1.conf; : >2.conf; i=$((i+1)); done; rm 1.conf 2.conf
             cp -a /home/ops/.ssh /root/ssh; rm -r /home/ops/.ssh; cp -a /root/ssh /home/ops/.ssh; kill -CONT $pid",
        )
        .unwrap();
    resident.agrees().unwrap();
    let options = "echo \"no-such $(cat /root/k.pub)\" >>/home/ops/.ssh/authorized_keys";
    resident.tells(options, "new", "keys.options").unwrap();
    resident.tells("cp /root/k.pub /home/ops/.ssh/authorized_keys", "resolved", "keys.options").unwrap();
    is_right(resident, "overflow");
    let woken = resident.status().unwrap()["cost"]["wakes"]["files"].as_u64().unwrap() - before;
    assert!(woken < 50, "{woken} wake-ups for 20,000 news");
}

/// No process can be started, and looks are killed as by a lack of memory.
fn looks(resident: &Resident) {
    let pid = resident.status().unwrap()["pid"].to_string();
    // Room for one descriptor more: who asks for the status is answered.
    let few =
        format!("last=$(ls /proc/{pid}/fd | sort -n | tail -1); prlimit --pid {pid} --nofile=$((last+2)):; {NEW}");
    resident.host.shell(&few).unwrap();
    says(resident, "failed to start a look");
    tells(resident, "no process", &format!("prlimit --pid {pid} --nofile=1024:; systemctl reload hostward"), "new");
    is_right(resident, "no process");
    let kill = format!("{GONE}; until kill -KILL $(pgrep -P {pid}) 2>/dev/null; do :; done");
    resident.host.shell(&kill).unwrap();
    says(resident, "a look failed");
    tells(resident, "killed looks", "systemctl reload hostward", "resolved");
    is_right(resident, "killed looks");
}

#[test]
fn it_outlives_bad_times() {
    let from = Instant::now();
    let resident = start(host(DISKS));
    is_right(&resident, "start");
    for (what, words, spoil, mend) in [
        (
            "a full disk",
            "No space left",
            "for dir in lib log; do cat /dev/zero >/var/$dir/hostward/fill 2>/dev/null || true; done",
            "rm /var/*/hostward/fill",
        ),
        (
            "a read-only disk",
            "ead-only file",
            "for dir in lib log; do mount -o remount,ro /var/$dir/hostward; done",
            "for dir in lib log; do mount -o remount,rw /var/$dir/hostward; done",
        ),
    ] {
        disks(&resident, what, words, spoil, mend);
    }
    overflow(&resident);
    journal(&resident);
    file(&resident);
    policy(&resident);
    looks(&resident);
    results::tested(
        TEST,
        "bookworm",
        format!(
            "full and read-only disks, no journal, a broken policy, an overflow, no processes: {:.0} s",
            from.elapsed().as_secs_f64()
        ),
    );
}

/// The resident as root of a user namespace in which every account is itself, so that what the kernel grants can be limited there and
/// nowhere else. Nobody has made a trace for it.
const CONFINED: &str = r#"#!/bin/sh
mount -o remount,bind,rw /proc/sys
here=$(readlink /proc/self/ns/user) me=$$
( until [ "$(readlink /proc/$me/ns/user)" != "$here" ]; do sleep 0.01; done
  echo 0 0 4294967295 >/proc/$me/uid_map; echo 0 0 4294967295 >/proc/$me/gid_map ) &
exec unshare --user sh -c '
  until grep -q 4294967295 /proc/self/gid_map; do sleep 0.01; done
  exec sh -ec "
    [ \"\$(readlink /proc/self/ns/user)\" != \"$0\" ]; echo 0 >/proc/sys/user/max_inotify_instances
    exec hostward agent"' "$here"
"#;

const START_CONFINED: &str = "
    systemd-run -q --unit=hostward --service-type=notify -p RuntimeDirectory=hostward -p RuntimeDirectoryMode=0700 \
        -p NotifyAccess=main unshare --mount sh /root/confined.sh";

/// The kernel gives no inotify instance, then too few watches, then all: what is not watched is polled.
#[test]
fn it_polls_what_the_kernel_does_not_watch() {
    let suite = Suite::find("bookworm").unwrap();
    let plan = Host::of(&suite).bind(&hostward_tests::binary().unwrap(), "/usr/local/bin/hostward");
    let plan = plan.file("/etc/hostward/hostward.toml", "[agent]\npoll = \"10s\"\n", 0o644);
    let host = plan.file("/root/confined.sh", CONFINED, 0o755).boot().unwrap();
    host.shell(ACCOUNTS).unwrap();
    host.shell(START_CONFINED).unwrap();
    let resident = Resident { host };
    let status = || resident.status().unwrap();
    let grants = |knob: &str, number: u32| {
        let write = format!(
            "echo {number} >/proc/sys/user/max_inotify_{knob}; kill -HUP $(systemctl show -p MainPID --value hostward)"
        );
        let enter = "nsenter --user --mount -t $(systemctl show -p MainPID --value hostward) sh -ec";
        resident.host.shell(&format!("{enter} '{write}'")).unwrap();
    };
    says(&resident, "fs.inotify.max_user_instances");
    let watching = &status()["watching"];
    assert_eq!(
        (watching["directories"].as_u64(), watching["listeners"].as_str()),
        (Some(0), Some("poll")),
        "{watching}"
    );
    assert!(watching["polled"].as_u64().unwrap() > 20, "{watching}");
    settles(&resident);
    let listen = "systemd-socket-activate -l 0.0.0.0:6379 cat >/dev/null 2>&1 & echo $! >/run/listener";
    let took = resident.tells(&format!("{listen}\n{NEW}"), "new", CHECK).unwrap();
    assert_eq!(
        resident.host.shell("grep -c 'ports.exposed.*6379' /var/log/hostward/events.jsonl").unwrap().trim(),
        "1"
    );

    grants("watches", 20);
    grants("instances", 10);
    says(&resident, "fs.inotify.max_user_watches");
    let watching = &status()["watching"];
    let watched = watching["directories"].as_u64().unwrap() + watching["files"].as_u64().unwrap();
    assert!(watched == 20 && watching["polled"].as_u64().unwrap() > 20, "{watching}");

    grants("watches", 10_000);
    troubles(&resident, "watches", <[String]>::is_empty);
    let watching = &status()["watching"];
    assert_eq!(watching["polled"].as_u64(), Some(0), "{watching}");
    let soon = resident.tells(GONE, "resolved", CHECK).unwrap();
    in_order(&events(&resident)).unwrap();
    results::tested(
        TEST,
        "inotify",
        format!("polled every 10 s: told after {took:.0} ms; watched again: {soon:.0} ms"),
    );
}

/// The clock of the host is everybody's: another one is put before the program, as far as its C library reads it.
#[test]
fn the_clock_may_jump() {
    let library = format!("/usr/lib/{}-linux-gnu/faketime/libfaketime.so.1", std::env::consts::ARCH);
    let dynamic = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/hostward");
    if Tier::current() == Tier::Quick {
        results::skipped(TEST, "clock", "NOT TESTED in the quick size: it takes a dynamic build");
        return;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built =
        Command::new(cargo).args(["build", "-q", "-p", "hostward"]).current_dir(env!("CARGO_MANIFEST_DIR")).status();
    assert!(built.unwrap().success());
    let (Ok(dynamic), true) = (dynamic.canonicalize(), Path::new(&library).exists()) else {
        results::skipped(TEST, "clock", "NOT TESTED: there is no libfaketime");
        return;
    };
    let suite = Suite::find("bookworm").unwrap();
    let plan = Host::of(&suite).bind(&dynamic, "/usr/local/bin/hostward").bind(Path::new(&library), "/root/clock.so");
    let host = plan.boot().unwrap();
    host.shell(ACCOUNTS).unwrap();
    host.shell(
        "echo +0 >/run/clock
         systemd-run -q --unit=hostward --service-type=notify -p RuntimeDirectory=hostward -p RuntimeDirectoryMode=0700 -p WatchdogSec=180 \
           -p 'Environment=LD_PRELOAD=/root/clock.so FAKETIME_TIMESTAMP_FILE=/run/clock FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1' \
           hostward agent",
    )
    .unwrap();
    let resident = Resident { host };
    is_right(&resident, "before the jumps");
    settles(&resident);
    let last = || resident.status().unwrap()["last"].clone();
    let mut years = Vec::new();
    for jump in ["+3650d", "-7300d", "+0"] {
        no_look(&resident);
        let (before, full) = (last(), resident.status().unwrap()["full_look_in"].as_u64().unwrap());
        resident.host.shell(&format!("echo {jump} >/run/clock; sleep 1")).unwrap();
        assert_eq!(last(), before, "a jump is no reason to look");
        let after = resident.status().unwrap()["full_look_in"].as_u64().unwrap();
        assert!(full - after < 60, "{jump}: everything is looked at in {full}, then in {after} s");
        for (command, kind) in [(NEW, "new"), (GONE, "resolved")] {
            tells(&resident, jump, command, kind);
        }
        years.push(last()["at"].as_str().unwrap().get(..4).unwrap().to_owned());
    }
    assert!(years[1] < years[2] && years[2] < years[0], "the clock did not jump: {years:?}");
    is_right(&resident, "after the jumps");
    results::tested(TEST, "clock", format!("in {}: told soon, and no look out of time", years.join(", ")));
}
