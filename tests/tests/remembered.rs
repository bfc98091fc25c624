//! The resident's password audit, in its sandbox: a second resident on the same host hashes nothing again.

#![cfg(test)]

use std::time::{Duration, Instant};

use hostward_tests::host::Host;
use hostward_tests::resident::Resident;
use hostward_tests::results;
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;

/// DES, so that everything is tried in seconds: of "zq7!kXw", in no list of ours, and of "root@123".
const ACCOUNTS: &str = "
    useradd -m app; usermod -p ablFmuJLiw.uM app
    useradd -m web; usermod -p abAU7Q4NZ/HeU web";
const SETTINGS: &str = "[scan]\npassword-budget = \"full\"\n";
const FILE: &str = "/var/lib/hostward/tried.json";

/// Waits until the resident's audit has ended: what it cost, milliseconds of processor time.
fn audited(resident: &Resident) -> u64 {
    let until = Instant::now() + Duration::from_secs(180);
    loop {
        let cost = resident.status().unwrap()["cost"]["audits_cpu_ms"].as_u64().unwrap();
        if cost > 0 {
            return cost;
        }
        assert!(Instant::now() < until, "no audit ended: {}", resident.journal());
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn weak(resident: &Resident) -> usize {
    let status = resident.status().unwrap();
    status["findings"].as_array().unwrap().iter().filter(|found| found["check"] == "accounts.weak-password").count()
}

#[test]
fn a_second_resident_hashes_nothing_again() {
    if Tier::current() == Tier::Quick {
        // The quick one has the audit by itself, and a scan.
        return;
    }
    let suite = Suite::find("bookworm").unwrap();
    let host = Host::of(&suite).bind(&hostward_tests::binary().unwrap(), "/usr/local/bin/hostward");
    let host = host.file("/etc/hostward/hostward.toml", SETTINGS, 0o644).boot().unwrap();
    host.shell(ACCOUNTS).unwrap();
    let resident = Resident::start(host).unwrap();
    let first = audited(&resident);
    assert_eq!(weak(&resident), 1);
    let memory = || resident.host.shell(&format!("stat -c '%a %i %y' {FILE}; cat {FILE}")).unwrap();
    let before = memory();
    assert!(
        before.starts_with("600 ") && before.contains("\"all\":true") && before.contains("\"first1000\""),
        "{before}"
    );
    resident.host.shell("systemctl stop hostward").unwrap();
    resident.host.shell(hostward_tests::resident::START).unwrap();
    let second = audited(&resident);
    assert_eq!((weak(&resident), memory()), (1, before.clone()), "something was tried again");
    resident
        .host
        .shell("usermod -p abj5oZGEQseBM web; systemctl reload hostward || systemctl kill -s HUP hostward")
        .unwrap();
    let until = Instant::now() + Duration::from_secs(180);
    while weak(&resident) > 0 || memory() == before {
        assert!(Instant::now() < until, "the new password is not tried: {}", resident.journal());
        std::thread::sleep(Duration::from_millis(200));
    }
    results::tested(
        "remembered",
        "bookworm",
        format!("two hashes: first audit {first} ms of processor time, second {second} ms"),
    );
}
