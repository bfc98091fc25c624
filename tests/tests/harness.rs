//! The harness itself: it finds its suites, boots hosts that are reachable as they should be, and leaves nothing behind.

#![cfg(test)]

use std::fs;
use std::path::PathBuf;

use hostward_tests::host::{Host, METADATA, PRIVATE_CLIENT, PUBLIC_CLIENT};
use hostward_tests::imds::{Behaviour, Imds};
use hostward_tests::results;
use hostward_tests::ssh::{Client, With};
use hostward_tests::suite::Suite;

#[test]
fn an_overlay_takes_writes_and_the_cache_does_not() {
    for suite in Suite::all("harness").unwrap() {
        let overlay = suite.overlay().unwrap();
        overlay.write("/etc/hostward-was-here", "x", 0o600).unwrap();
        let seen = overlay.shell("cat /etc/hostward-was-here; ls /proc/self/root >/dev/null; ls /sys/class/net 2>/dev/null || true; cat /proc/net/dev").unwrap();
        assert!(seen.starts_with('x'), "{suite}: {seen}");
        assert!(!seen.contains("eth0"), "{suite}: the network is to be cut off: {seen}");
        assert!(!suite.root().join("etc/hostward-was-here").exists(), "{suite}");
        let version = overlay.shell("sshd -V 2>&1 || true").unwrap();
        let version = version.split_whitespace().find(|word| word.starts_with("OpenSSH_")).unwrap().to_owned();
        results::tested("root file system", suite.name(), version.trim_end_matches(','));
    }
}

#[test]
fn every_suite_boots_and_is_reached() {
    let suites = Suite::all("host").unwrap();
    std::thread::scope(|scope| {
        for half in suites.chunks(suites.len().div_ceil(2)) {
            scope.spawn(move || half.iter().for_each(a_host_boots_and_is_reached));
        }
    });
}

fn a_host_boots_and_is_reached(suite: &Suite) {
    let from = std::time::Instant::now();
    let host = Host::of(suite).boot().unwrap();
    let boot = from.elapsed();
    let state = host.command("systemctl").arg("is-system-running").output().unwrap();
    let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
    assert_eq!(
        state,
        "running",
        "{suite}: {}\n{}",
        host.shell("systemctl --failed --no-pager").unwrap(),
        host.console()
    );

    let client = Client::of(&host).unwrap();
    let (key, line) = client.key("id", "ed25519", None).unwrap();
    host.shell(&format!("useradd -m -s /bin/bash bob; echo bob:Pa55-word | chpasswd; install -d -m 700 /root/.ssh; echo '{line}' >/root/.ssh/authorized_keys")).unwrap();
    for source in [PRIVATE_CLIENT, PUBLIC_CLIENT] {
        let outcome = client.login("root", source, &With::Key(key.clone())).unwrap();
        assert!(outcome.authenticated && outcome.shell, "{suite} from {source}: {}", outcome.log);
        assert_eq!(outcome.accepted, ["publickey"], "{suite}");
        let who = host.shell("journalctl -u ssh -u 'ssh@*' -q --no-pager -o cat | grep Accepted | tail -n 1").unwrap();
        assert!(who.contains(&format!("from {source} ")), "{suite}: {who}");
    }
    let right = client.login("bob", PRIVATE_CLIENT, &With::Password("Pa55-word".into())).unwrap();
    assert!(right.shell, "{suite}: {}", right.log);
    let wrong = client.login("bob", PRIVATE_CLIENT, &With::Password("pa55-word".into())).unwrap();
    assert!(!wrong.authenticated, "{suite}: {}", wrong.log);
    results::tested("host", suite.name(), format!("booted in {} ms", boot.as_millis()));
}

#[test]
fn the_metadata_service_answers_as_it_is_told_and_remembers() {
    let host = Host::of(&Suite::find("bookworm").unwrap()).boot().unwrap();
    let imds = Imds::start(host.vpc(), Behaviour::Open).unwrap();
    let get = |options: &str, path: &str| {
        host.shell(&format!("curl -s -m 3 -w ' %{{http_code}}' {options} http://{METADATA}{path} || true")).unwrap()
    };
    const ID: &str = "/latest/meta-data/instance-id";
    assert_eq!(get("", ID), "i-bp1test0000000000001 200");
    assert_eq!(imds.requests().len(), 1);
    imds.behave(Behaviour::TokenRequired);
    assert_eq!(get("", ID), " 403");
    assert_eq!(get("-H 'X-aliyun-ecs-metadata-token: wrong'", ID), " 401");
    let token = get("-X PUT -H 'X-aliyun-ecs-metadata-token-ttl-seconds: 60'", "/latest/api/token");
    let token = token.strip_suffix(" 200").unwrap();
    assert_eq!(get(&format!("-H 'X-aliyun-ecs-metadata-token: {token}'"), ID), "i-bp1test0000000000001 200");
    assert!(get("-X PUT", "/latest/api/token").ends_with(" 400"));
    imds.behave(Behaviour::Disabled);
    assert_eq!(get("", ID), " 403");
    imds.behave(Behaviour::TimeOut);
    assert_eq!(get("-m 1", ID), " 000");
    imds.behave(Behaviour::Redirect("http://172.31.0.253/elsewhere".into()));
    assert!(get("", ID).ends_with(" 302"));
    assert_eq!(imds.requests().last().unwrap().target, ID);
    drop(imds);
    assert_eq!(get("", ID), " 000");
}

#[test]
fn a_panic_leaves_nothing() {
    let suite = Suite::find("trixie").unwrap();
    let host = Host::of(&suite).boot().unwrap();
    let traces = host.traces();
    assert!(traces.iter().all(|trace| trace.exists()));
    let panicked = std::thread::spawn(move || {
        let _host = host;
        panic!("as a failing test does");
    });
    assert!(panicked.join().is_err());
    assert_gone(&traces);
}

/// Asserts that a host's directory, mounts and control group have ended with it.
fn assert_gone(traces: &[PathBuf]) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    for trace in traces {
        assert!(!trace.exists(), "{} is left", trace.display());
        assert!(!mounts.contains(trace.to_str().unwrap()), "{} is mounted", trace.display());
    }
}
