//! The resident on a booted host: what changes is told, once, soon and under one id, also after a kill.

#![cfg(test)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hostward_tests::host::Host;
use hostward_tests::results;
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;
use serde_json::Value;

/// Starts the resident as its unit does.
const START: &str = "
    systemctl reset-failed hostward 2>/dev/null || true
    systemd-run -q --unit=hostward --service-type=notify -p RuntimeDirectory=hostward -p RuntimeDirectoryMode=0700 \
        -p WatchdogSec=180 -p NotifyAccess=main -p 'ExecStartPre=/usr/local/bin/hostward agent --trace=begin' \
        -p 'ExecStopPost=/usr/local/bin/hostward agent --trace=end' /usr/local/bin/hostward agent";

/// An account with a key, for what is done to it.
const ACCOUNTS: &str = "
    useradd -m -s /bin/bash ops; useradd -m -s /bin/bash new
    install -d -m 700 -o ops -g ops /home/ops/.ssh
    ssh-keygen -q -t ed25519 -N '' -f /root/k </dev/null; cat /root/k.pub >/home/ops/.ssh/authorized_keys; cp /root/k.pub /home/new/
    chown ops:ops /home/ops/.ssh/authorized_keys; chmod 600 /home/ops/.ssh/authorized_keys
    echo 'LoginGraceTime 30' >/etc/ssh/sshd_config.d/50-t.conf; systemctl reload-or-restart ssh.service";

/// What is done and undone, and the check whose finding comes and goes with it.
const CHANGES: [(&str, &str, &str, &str); 7] = [
    (
        "a listener",
        "systemd-run -q --unit=listen systemd-socket-activate -l 0.0.0.0:6379 cat",
        "systemctl stop listen",
        "ports.exposed",
    ),
    (
        "sshd_config",
        "sed -i '1i LoginGraceTime 0' /etc/ssh/sshd_config",
        "sed -i 1d /etc/ssh/sshd_config",
        "sshd.limits",
    ),
    (
        "a drop-in",
        "echo 'LoginGraceTime 0' >/etc/ssh/sshd_config.d/00-t.conf",
        "rm /etc/ssh/sshd_config.d/00-t.conf",
        "sshd.limits",
    ),
    ("shadow", "chmod 644 /etc/shadow", "chmod 640 /etc/shadow", "accounts.files"),
    (
        "authorized_keys",
        "cp -p /home/ops/.ssh/authorized_keys /root/a; echo \"command=\\\"x\\\",no-such $(cat /root/k.pub)\" >>/home/ops/.ssh/authorized_keys",
        "cp -p /root/a /home/ops/.ssh/new; mv /home/ops/.ssh/new /home/ops/.ssh/authorized_keys",
        "keys.options",
    ),
    (
        "authorized_keys in a directory that was not there",
        "install -d -m 777 /home/new/.ssh; cp /home/new/k.pub /home/new/.ssh/authorized_keys; chown -R new:new /home/new/.ssh",
        "rm -r /home/new/.ssh",
        "keys.permissions",
    ),
    (
        "sudoers",
        "echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/t; chmod 440 /etc/sudoers.d/t",
        "rm /etc/sudoers.d/t",
        "accounts.sudo",
    ),
];

/// A resident's host.
struct Place {
    host: Host,
}

impl Place {
    fn of(suite: &Suite) -> Self {
        let host = Host::of(suite).bind(&hostward_tests::binary().unwrap(), "/usr/local/bin/hostward").boot().unwrap();
        host.shell(ACCOUNTS).unwrap();
        host.shell(START).unwrap_or_else(|error| panic!("{error:#}\n{}", journal(&host)));
        Self { host }
    }

    /// Every event so far, as its file has it.
    fn events(&self) -> Vec<Value> {
        let text = self.host.shell("cat /var/log/hostward/events.jsonl").unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Does something, and waits until an event of that kind and check is in the journal: how long after it, milliseconds.
    fn tells(&self, what: &str, command: &str, kind: &str, check: &str) -> f64 {
        let before: f64 = self.host.shell(&format!("{command}\ndate +%s.%N")).unwrap().trim().parse().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            let ask = format!(
                "journalctl -q -o json --output-fields=HOSTWARD_CHECK,HOSTWARD_EVENT SYSLOG_IDENTIFIER=hostward \
                 HOSTWARD_CHECK={check} HOSTWARD_EVENT={kind} -n 1"
            );
            let told: Option<Value> =
                self.host.shell(&ask).unwrap().lines().last().and_then(|line| serde_json::from_str(line).ok());
            let at = told.and_then(|told| told["__REALTIME_TIMESTAMP"].as_str()?.parse::<f64>().ok());
            if let Some(after) = at.map(|at| at / 1e6 - before).filter(|after| *after > 0.0) {
                return after * 1e3;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{what}: no {kind} of {check} is told\n{}", journal(&self.host));
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.host.shell("hostward status --json").unwrap()).unwrap()
    }

    /// What a scan at this moment would call open, and what the resident does.
    fn agrees(&self) {
        let scan = self
            .host
            .shell("hostward scan --format json --exit-zero --password-budget 0 --skip accounts.weak-password")
            .unwrap();
        let scan: Value = serde_json::from_str(&scan).unwrap();
        let secret = ["accounts.empty-password", "accounts.shared-password", "sshd.empty-password"];
        let mut wanted: Vec<String> = scan["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|check| !secret.contains(&check["id"].as_str().unwrap()))
            .flat_map(|check| check["findings"].as_array().unwrap())
            .map(|finding| finding["fingerprint"].as_str().unwrap().to_owned())
            .collect();
        wanted.sort();
        let mut open: Vec<String> = Vec::new();
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            open = self.status()["findings"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|found| found["subject"] != "")
                .map(|found| found["fingerprint"].as_str().unwrap().to_owned())
                .collect();
            open.sort();
            if open == wanted {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(open, wanted, "{}", journal(&self.host));
    }
}

fn journal(host: &Host) -> String {
    host.shell("journalctl -q --no-pager -o cat -n 80 -u hostward; systemctl status hostward 2>&1 | head -20")
        .unwrap_or_default()
}

/// Each event's id stands for one transition, and the transitions of a finding follow one another.
fn in_order(events: &[Value]) {
    let mut open: BTreeMap<String, bool> = BTreeMap::new();
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    for event in events {
        let id = event["event_id"].as_str().unwrap().to_owned();
        if let Some(first) = seen.get(&id) {
            assert_eq!(first, event, "one id, two transitions");
            continue;
        }
        seen.insert(id, event.clone());
        let was = open.entry(event["fingerprint"].as_str().unwrap().to_owned()).or_default();
        match event["event"].as_str().unwrap() {
            "new" => assert!(!std::mem::replace(was, true), "{event}"),
            "resolved" => assert!(std::mem::replace(was, false), "{event}"),
            "changed" => assert!(*was, "{event}"),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn what_changes_is_told_soon_and_once() {
    let names: &[&str] = Tier::current().pick(&["bookworm"], &["bookworm", "focal", "jammy", "noble", "trixie"]);
    for suite in names.iter().filter_map(|name| Suite::find(name).ok()) {
        let place = Place::of(&suite);
        place.agrees();
        let mut took: Vec<f64> = Vec::new();
        for _ in 0..Tier::current().pick(1, 17) {
            for (what, make, unmake, check) in CHANGES {
                took.push(place.tells(what, make, "new", check));
                took.push(place.tells(what, unmake, "resolved", check));
            }
        }
        place.agrees();
        // Killed between any two steps: the next one knows what was told.
        for _ in 0..3 {
            place.host.shell("chmod 644 /etc/shadow; sleep 0.1; systemctl kill -s KILL hostward; sleep 0.2; systemctl stop hostward || true").unwrap();
            place.host.shell(START).unwrap();
            place.agrees();
            place.host.shell("chmod 640 /etc/shadow").unwrap();
            place.agrees();
        }
        in_order(&place.events());
        let status = place.status();
        assert_eq!(status["troubles"].as_array().map(Vec::len), Some(0), "{status}");
        took.sort_by(f64::total_cmp);
        let median = took[took.len() / 2];
        results::tested(
            "agent",
            suite.name(),
            format!(
                "{} events told, median {median:.0} ms, longest {:.0} ms; PSS {} KiB",
                took.len(),
                took[took.len() - 1],
                status["cost"]["pss_kib"]
            ),
        );
    }
}

/// 200 accounts with a key each, and a process that listens on 200 ports.
const CROWD: &str = "
    for i in $(seq 200); do
      echo \"u$i:x:$((3000+i)):100::/home/u$i:/bin/bash\" >>/etc/passwd; echo \"u$i:*:19000:0:99999:7:::\" >>/etc/shadow
      install -d -m 755 -o $((3000+i)) -g 100 /home/u$i; install -d -m 700 -o $((3000+i)) -g 100 /home/u$i/.ssh
      install -m 600 -o $((3000+i)) -g 100 /root/k.pub /home/u$i/.ssh/authorized_keys
    done
    systemd-run -q --unit=listen systemd-socket-activate $(for i in $(seq 200); do echo -l 127.0.0.1:$((20000+i)); done) cat";

/// What it costs while nothing happens. Other hosts on the same kernel wake it too, so a busy machine counts more.
#[test]
fn while_nothing_happens_it_costs_next_to_nothing() {
    let suite = Suite::find("bookworm").unwrap();
    let host = Host::of(&suite).bind(&hostward_tests::binary().unwrap(), "/usr/local/bin/hostward").boot().unwrap();
    host.shell(ACCOUNTS).unwrap();
    host.shell(CROWD).unwrap();
    host.shell(START).unwrap();
    let place = Place { host };
    let pid = place.status()["pid"].as_u64().unwrap();
    // Its looks have ended.
    let quiet = format!(
        "for i in $(seq 600); do hostward status --json | grep -q '\"extent\": \"full\"' && ! pgrep -P {pid} >/dev/null && exit 0; sleep 0.2; done; exit 1"
    );
    place.host.shell(&quiet).unwrap();
    let counted = || -> (f64, f64) {
        let text = place
            .host
            .shell(&format!(
                "cut -d' ' -f1 /proc/{pid}/schedstat; sed -n 's/^voluntary_ctxt_switches:\\t//p' /proc/{pid}/status"
            ))
            .unwrap();
        let mut numbers = text.split_whitespace().map(|word| word.parse::<f64>().unwrap());
        (numbers.next().unwrap() / 1e6, numbers.next().unwrap())
    };
    let seconds = Tier::current().pick(20, 600);
    let before = counted();
    std::thread::sleep(Duration::from_secs(seconds));
    let after = counted();
    let minutes = Duration::from_secs(seconds).as_secs_f64() / 60.0;
    let status = place.status();
    let pss = status["cost"]["pss_kib"].as_u64().unwrap();
    assert_eq!(status["last"]["extent"], "full", "something happened: {status}");
    results::tested(
        "agent",
        "idle",
        format!(
            "{seconds} s, 200 accounts and sockets: PSS {pss} KiB, {:.2} ms of processor and {:.1} wake-ups a minute, {} directories",
            (after.0 - before.0) / minutes,
            (after.1 - before.1) / minutes,
            status["watching"]["directories"]
        ),
    );
}
