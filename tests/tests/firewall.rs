//! What the firewall facts say against what packets do: real rules in a namespace of their own, real connections from another.

#![cfg(test)]

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use hostward::observe;
use hostward_checks::observation::firewall::{Firewall, MetadataUsers};
use hostward_checks::observation::socket::Protocol;
use hostward_tests::netns::Netns;
use hostward_tests::results;

const PORTS: [u16; 8] = [22, 80, 443, 1050, 3306, 6379, 8080, 30500];

/// Rule sets, and whether every answer about the ports must be certain.
const RULES: [(&str, bool, &str); 8] = [
    ("none", true, ""),
    ("empty chain", true, "table inet t { chain i { type filter hook input priority 0; policy accept; } }"),
    (
        "default drop",
        true,
        "table inet t { set web { type inet_service; flags interval; elements = { 80, 1000-1100 } }
           chain i { type filter hook input priority 0; policy drop;
             ct state established,related accept
             ct state invalid drop
             iifname \"lo\" accept
             tcp dport @web accept
             tcp dport 22 counter accept
           } }",
    ),
    (
        "jumps and maps",
        true,
        "table inet t { chain i { type filter hook input priority 0; policy accept;
             ct state vmap { established : accept, related : accept, invalid : drop }
             iif lo accept
             tcp dport vmap { 22 : accept, 6379 : drop, 8080 : jump web }
             goto rest
           }
           chain web { tcp dport != 8080 return; reject with tcp reset; }
           chain rest { tcp dport 1024-65535 drop; }
         }",
    ),
    (
        "two chains decide",
        true,
        "table inet a { chain i { type filter hook input priority 0; policy accept; tcp dport { 80, 3306 } drop; } }
         table ip b { chain i { type filter hook input priority 10; policy drop; meta l4proto tcp th dport != 443 accept; ct state established accept; } }
         table ip6 b { chain i { type filter hook input priority 10; policy drop; meta l4proto tcp th dport != 443 accept; } }",
    ),
    (
        "before routing",
        true,
        "table inet r { chain p { type filter hook prerouting priority -300; policy accept;
             fib saddr . iif oif missing drop
             tcp dport { 6379, 8080 } drop; } }",
    ),
    (
        "by source",
        false,
        "table inet t { chain i { type filter hook input priority 0; policy drop;
             ct state established accept
             ip saddr 192.0.2.0/24 tcp dport 22 accept
             ip saddr 10.0.0.0/8 tcp dport 3306 accept
             tcp dport 443 accept; } }",
    ),
    (
        "by interface",
        false,
        "table inet t { chain i { type filter hook input priority 0; policy accept;
             iifname != \"lo\" jump outside; }
           chain outside { ct state established accept; tcp dport { 22, 443 } accept; drop; } }",
    ),
];

#[test]
fn packets_do_what_the_facts_say() {
    if Command::new("nft").arg("--version").output().is_err() {
        results::skipped("firewall", "nftables", "nft is not installed");
        return;
    }
    let (mut certain, mut asked) = (0, 0);
    for (name, whole, rules) in RULES {
        let (host, outside) = (Netns::new().unwrap(), Netns::new().unwrap());
        host.connect("eth0", &outside, "eth0").unwrap();
        host.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
        outside.ip("addr add 192.0.2.2/24 dev eth0").unwrap();
        let (firewall, _listeners) = host
            .run(|| {
                let output =
                    Command::new("nft").arg(rules.replace("; }", ";\n}\n").replace("} }", "}\n}\n")).output().unwrap();
                assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
                let listen = |port| TcpListener::bind(("0.0.0.0", port)).unwrap();
                (observed(name), PORTS.map(listen))
            })
            .unwrap();
        assert_eq!(firewall.filters_input, rules.contains("drop"), "{name}");
        for port in PORTS {
            let said = firewall.accepts(Protocol::Tcp, port);
            asked += 1;
            assert!(!whole || said.is_some(), "{name}: port {port} is left open: {firewall:?}");
            let Some(said) = said else { continue };
            certain += 1;
            let connected = outside.run(|| connects(port)).unwrap();
            assert_eq!(said, connected, "{name}: port {port}");
        }
    }
    results::tested("firewall", "nftables", format!("{certain} of {asked} answers certain, each as packets do"));
}

fn observed(name: &str) -> Firewall {
    observe::firewall(&observe::sockets())
        .known()
        .cloned()
        .unwrap_or_else(|| panic!("{name}: {:?}", observe::firewall(&observe::sockets())))
}

fn connects(port: u16) -> bool {
    match TcpStream::connect_timeout(&SocketAddr::from(([192, 0, 2, 1], port)), Duration::from_millis(300)) {
        Ok(_) => true,
        Err(error)
            if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::ConnectionRefused | ErrorKind::WouldBlock) =>
        {
            false
        }
        Err(error) => panic!("port {port}: {error}"),
    }
}

/// Who may send to the metadata service, by rules on what goes out; and whether the answer must be certain.
const OWNERS: [(&str, bool, &str); 5] = [
    ("no rules", true, ""),
    ("root alone", true, "ip daddr 100.100.100.200 meta skuid != 0 reject"),
    (
        "named users",
        true,
        "ip daddr 100.100.100.0/24 meta skuid { 0, 33, 60000-60010 } counter accept
         oifname \"lo\" accept
         ip daddr { 10.0.0.0/8, 100.100.100.200 } drop",
    ),
    ("system users", true, "ip daddr 100.100.100.200 tcp dport 80 meta skuid >= 1000 drop"),
    ("by group", false, "ip daddr 100.100.100.200 meta skgid 33 accept\nip daddr 100.100.100.200 drop"),
];

#[test]
fn who_reaches_the_metadata_service_is_who_the_facts_name() {
    if Command::new("nft").arg("--version").output().is_err() {
        results::skipped("firewall", "metadata users", "nft is not installed");
        return;
    }
    let mut asked = 0;
    for (name, certain, rules) in OWNERS {
        let (host, service) = (Netns::new().unwrap(), Netns::new().unwrap());
        host.connect("eth0", &service, "eth0").unwrap();
        host.ip("addr add 100.100.100.1/24 dev eth0").unwrap();
        service.ip("addr add 100.100.100.200/24 dev eth0").unwrap();
        let _listener = service.run(|| TcpListener::bind(("100.100.100.200", 80)).unwrap()).unwrap();
        let rules = if rules.is_empty() {
            String::new()
        } else {
            format!("table inet t {{\nchain o {{\ntype filter hook output priority 0;\n{rules}\n}}\n}}\n")
        };
        let users = host
            .run(|| {
                let output = Command::new("nft").arg(&rules).output().unwrap();
                assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
                observed(name).metadata
            })
            .unwrap();
        assert_eq!(users != MetadataUsers::Unknown, certain, "{name}: {users:?}");
        for uid in [0, 33, 999, 1000, 60_005, 65_534] {
            let said = match &users {
                MetadataUsers::Everybody => true,
                MetadataUsers::Only(only) => only.contains(&uid),
                MetadataUsers::Unknown => continue,
            };
            asked += 1;
            let tried = host.run(|| {
                let mut shell = Command::new("timeout");
                shell.args(["1", "bash", "-c", ": </dev/tcp/100.100.100.200/80"]).uid(uid).current_dir("/");
                shell.output().unwrap().status.success()
            });
            assert_eq!(tried.unwrap(), said, "{name}: uid {uid}");
        }
    }
    results::tested("firewall", "metadata users", format!("{asked} answers, each as packets do"));
}
