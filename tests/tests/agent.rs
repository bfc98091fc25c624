//! The resident on a booted host: what changes is told, once, soon and under one id, also after a kill.

#![cfg(test)]

use hostward_tests::resident::{Resident, START, in_order};
use hostward_tests::results;
use hostward_tests::suite::{Suite, chosen};
use hostward_tests::tier::Tier;

/// What is done and undone, and the check whose finding comes and goes with it. The listener outlives the one who asks what it gives.
const CHANGES: [(&str, &str, &str, &str); 7] = [
    (
        "a listener",
        "systemd-socket-activate -a -l 0.0.0.0:6379 cat >/dev/null 2>&1 & echo $! >/run/listener",
        "kill $(cat /run/listener)",
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

/// The median and the greatest of times.
fn median(mut took: Vec<f64>) -> (f64, f64) {
    took.sort_by(f64::total_cmp);
    (took[took.len() / 2], took[took.len() - 1])
}

#[test]
fn what_changes_is_told_soon_and_once() {
    let names: &[&str] = Tier::current().pick(&["bookworm"], &["bookworm", "focal", "jammy", "noble", "trixie"]);
    for suite in chosen(names).into_iter().map(|name| Suite::find(name).unwrap()) {
        // One change after another is more than its share of the processor is made for.
        let place = Resident::with(&suite, "[agent]\ncpu-percent = 100\n").unwrap();
        place.agrees().unwrap();
        let mut follower = place.follow().unwrap();
        for _ in 0..Tier::current().pick(15, 100) {
            for (what, make, unmake, check) in CHANGES {
                follower.tells(make, "new", check).expect(what);
                follower.tells(unmake, "resolved", check).expect(what);
            }
        }
        let took = follower.took().unwrap();
        place.agrees().unwrap();
        // Killed between any two steps: the next one knows what was told.
        for _ in 0..3 {
            place.host.shell("chmod 644 /etc/shadow; sleep 0.1; systemctl kill -s KILL hostward; sleep 0.2; systemctl stop hostward || true").unwrap();
            place.host.shell(START).unwrap();
            place.agrees().unwrap();
            place.host.shell("chmod 640 /etc/shadow").unwrap();
            place.agrees().unwrap();
        }
        in_order(&place.events().unwrap()).unwrap();
        let status = place.status().unwrap();
        assert_eq!(status["troubles"].as_array().map(Vec::len), Some(0), "{status}");
        // Two events of each kind in turn.
        let of = |at| took.chunks(2).skip(at).step_by(CHANGES.len()).flatten().copied().collect();
        let kinds = CHANGES.iter().enumerate().map(|(at, (what, ..))| format!("{what} {:.0}", median(of(at)).0));
        let kinds: Vec<String> = kinds.collect();
        let (all, longest) = median(took.clone());
        results::tested(
            "agent",
            suite.name(),
            format!(
                "{} events told, median {all:.0} ms, longest {longest:.0} ms ({}); PSS {} KiB",
                took.len(),
                kinds.join(", "),
                status["cost"]["pss_kib"]
            ),
        );
    }
}

/// The resident as it starts where the kernel does not tell of listeners.
const UNTOLD: &str = "
    systemctl stop hostward
    systemd-run -q --unit=hostward --service-type=notify -p RuntimeDirectory=hostward -p RuntimeDirectoryMode=0700 \
        -p NotifyAccess=main /usr/local/bin/hostward agent";

/// Drops whatever else comes in, and lets all in again; then more of such changes than anybody would want to hear of.
const CLOSE: &str = "nft 'add table inet t; add chain inet t in { type filter hook input priority 0; policy drop; }'";
const OPEN: &str = "nft delete table inet t";
const FLOOD: &str = "
    for i in $(seq 20); do
      { echo add table inet f; echo add chain inet f c; for j in $(seq 500); do echo add rule inet f c tcp dport $j accept; done; } | nft -f -
      for j in $(seq 20); do nft add rule inet f c udp dport $j accept; done
      nft delete table inet f
    done";

/// What the kernel tells of the packet filter, and what it does not tell of sockets.
#[test]
fn rules_are_told_by_the_kernel_and_untold_sockets_are_asked_for() {
    let place = Resident::with(&Suite::find("bookworm").unwrap(), "[agent]\npoll = \"10s\"\n").unwrap();
    let status = place.status().unwrap();
    assert_eq!(status["watching"]["firewall"], "netlink", "{status}");
    assert_eq!(status["watching"]["listeners"], "tracepoint", "{status}");
    let (_, make, unmake, check) = CHANGES[0];
    place.tells(make, "new", check).unwrap();
    let mut took = vec![place.tells(CLOSE, "changed", check).unwrap(), place.tells(OPEN, "changed", check).unwrap()];
    assert_eq!(place.status().unwrap()["last"]["cause"], "firewall");
    let before = place.status().unwrap();
    place.host.shell(FLOOD).unwrap();
    took.push(place.tells(CLOSE, "changed", check).unwrap());
    place.agrees().unwrap();
    let after = place.status().unwrap();
    let spent = |key: &str| after["cost"][key].as_u64().unwrap() - before["cost"][key].as_u64().unwrap();
    results::tested(
        "agent",
        "firewall",
        format!(
            "changes told after {:.0} and {:.0} ms, and {:.0} ms after a flood of 460 that cost {} ms and {} looks",
            took[0],
            took[1],
            took[2],
            spent("own_cpu_ms"),
            spent("looks")
        ),
    );
    assert!(spent("looks") < 100, "{after}");
    place.host.shell(OPEN).unwrap();
    place.tells(unmake, "resolved", check).unwrap();
    let datagrams = "systemd-socket-activate -d -l 0.0.0.0:161 cat >/dev/null 2>&1 & echo $! >/run/listener";
    let udp = place.tells(datagrams, "new", check).unwrap();
    place.host.shell(unmake).unwrap();
    place.host.shell(UNTOLD).unwrap();
    place.agrees().unwrap();
    assert_eq!(place.status().unwrap()["watching"]["listeners"], "poll");
    let tcp = place.tells(make, "new", check).unwrap();
    assert_eq!(place.status().unwrap()["last"]["cause"], "sockets");
    results::tested(
        "agent",
        "poll of 10 s",
        format!("UDP listener told after {udp:.0} ms, TCP without the tracepoint {tcp:.0} ms"),
    );
    assert!(udp < 20e3 && tcp < 20e3, "later than a poll and a look, by far");
}
