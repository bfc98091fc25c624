//! What the resident costs while nothing happens, beside what others cost that watch the same host.

#![cfg(test)]

use std::collections::BTreeMap;
use std::time::Duration;

use hostward_tests::host::Host;
use hostward_tests::resident::{ACCOUNTS, Resident};
use hostward_tests::results;
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;

const TEST: &str = "agent_idle";

/// 200 accounts with a key each, and a process that listens on 200 ports.
const CROWD: &str = "
    for i in $(seq 200); do
      echo \"u$i:x:$((3000+i)):100::/home/u$i:/bin/bash\" >>/etc/passwd; echo \"u$i:*:19000:0:99999:7:::\" >>/etc/shadow
      install -d -m 755 -o $((3000+i)) -g 100 /home/u$i; install -d -m 700 -o $((3000+i)) -g 100 /home/u$i/.ssh
      install -m 600 -o $((3000+i)) -g 100 /root/k.pub /home/u$i/.ssh/authorized_keys
    done
    systemd-run -q --unit=listen systemd-socket-activate $(for i in $(seq 200); do echo -l 127.0.0.1:$((20000+i)); done) cat";

/// fail2ban as it is installed, with its jail for sshd and the log that this wants.
const FAIL2BAN: &str = "
    printf '[sshd]\nenabled = true\nbackend = auto\nlogpath = /var/log/auth.log\n' >/etc/fail2ban/jail.local
    : >/var/log/auth.log; systemctl start fail2ban; until fail2ban-client status sshd >/dev/null 2>&1; do sleep 0.1; done
    systemctl show -p MainPID --value fail2ban";

/// What the kernel has counted for a process and its threads: processor time, milliseconds, and how often it woke.
fn counted(host: &Host, pid: &str) -> (f64, f64) {
    let ask = format!(
        "cat /proc/{pid}/task/*/schedstat | awk '{{ all += $1 }} END {{ print all / 1e6 }}'
         cat /proc/{pid}/task/*/status | awk '/^voluntary_ctxt_switches/ {{ all += $2 }} END {{ print all }}'"
    );
    let text = host.shell(&ask).unwrap();
    let mut numbers = text.split_whitespace().map(|word| word.parse::<f64>().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// A process's share of memory and what is its own alone, KiB.
fn memory(host: &Host, pid: &str) -> [f64; 2] {
    let rollup = host.shell(&format!("cat /proc/{pid}/smaps_rollup")).unwrap();
    ["Pss:", "Pss_Anon:"].map(|key| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    })
}

/// How often the resident woke, by reason; that it was asked is the test's doing.
fn woken(resident: &Resident) -> BTreeMap<String, u64> {
    let status = resident.status().unwrap();
    let wakes = status["cost"]["wakes"].as_object().unwrap().iter();
    wakes
        .filter(|(reason, _)| *reason != "asked")
        .map(|(reason, count)| (reason.clone(), count.as_u64().unwrap()))
        .collect()
}

/// Other hosts on the same kernel open sockets too, of which the tracepoint tells: a busy machine counts more.
#[test]
fn while_nothing_happens_it_costs_next_to_nothing() {
    let suite = Suite::find("bookworm").unwrap();
    let binary = hostward_tests::binary().unwrap();
    let is_optimised = binary.metadata().unwrap().len() < 12 << 20;
    let mut plan = Host::of(&suite).bind(&binary, "/usr/local/bin/hostward");
    let layer = suite.firewalls().ok();
    if let Some(layer) = &layer {
        plan = plan.layer(layer);
    }
    let host = plan.boot().unwrap();
    host.shell(ACCOUNTS).unwrap();
    host.shell(CROWD).unwrap();
    let fail2ban = layer.is_some().then(|| host.shell(FAIL2BAN).unwrap().trim().to_owned());
    let resident = Resident::start(host).unwrap();
    let host = &resident.host;
    let status = resident.status().unwrap();
    let pid = status["pid"].to_string();
    // Its looks have ended.
    let quiet = format!(
        "for i in $(seq 600); do hostward status --json | grep -q '\"last_full\": \"2' && ! pgrep -P {pid} >/dev/null && exit 0; sleep 0.2; done; exit 1"
    );
    host.shell(&quiet).unwrap();

    let seconds: u32 = Tier::current().pick(15, 600);
    let minutes = f64::from(seconds) / 60.0;
    let names = woken(&resident);
    let before = [Some(&pid), fail2ban.as_ref()].map(|pid| pid.map(|pid| counted(host, pid)));
    std::thread::sleep(Duration::from_secs(seconds.into()));
    let after = [Some(&pid), fail2ban.as_ref()].map(|pid| pid.map(|pid| (counted(host, pid), memory(host, pid))));
    let mut named = woken(&resident);
    for (reason, count) in &mut named {
        *count -= names.get(reason).copied().unwrap_or(0);
    }
    named.retain(|_, count| *count > 0);
    let status = resident.status().unwrap();
    assert_eq!(status["last"]["extent"], "full", "something happened: {status}");

    let mut light = None;
    for (name, (before, after)) in ["resident", "fail2ban"].into_iter().zip(before.into_iter().zip(after)) {
        let (Some(before), Some((after, [pss, own]))) = (before, after) else {
            results::skipped(TEST, name, "NOT MEASURED: the layer with its package is missing");
            continue;
        };
        let figures = format!(
            "{seconds} s, 200 accounts and sockets: PSS {pss} KiB ({own} its own), {:.2} ms of processor and {:.1} wake-ups a minute",
            (after.0 - before.0) / minutes,
            (after.1 - before.1) / minutes,
        );
        if name != "resident" {
            results::tested(TEST, name, figures);
            continue;
        }
        let watching = &status["watching"];
        results::tested(
            TEST,
            name,
            format!(
                "{figures}: {named:?}; {} directories; the tracepoint takes {} KiB of the kernel{}",
                watching["directories"],
                watching["trace_kib"],
                if is_optimised { "" } else { "; not optimised" }
            ),
        );
        light = Some((pss, own));
    }
    results::skipped(TEST, "auditd", "NOT MEASURED: the kernel has one audit daemon, and none in a container");
    let (pss, own) = light.unwrap();
    assert!(own <= 1536.0, "{own} KiB of its own");
    assert!(pss <= 4096.0 || !is_optimised, "PSS {pss} KiB");
    // A burst of news is heard in parts.
    let count = |reason: &str| u32::try_from(named.get(reason).copied().unwrap_or(0)).unwrap();
    assert!(f64::from(count("poll")) <= 1.0 + minutes && count("due") <= 1 + count("sockets"), "{named:?}");
    assert!(!["files", "firewall", "mounts", "look"].iter().any(|reason| named.contains_key(*reason)), "{named:?}");
}
