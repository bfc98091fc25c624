//! In network namespaces: every kind of other rules beside the table, every nft that a suite has.

use std::process::Command;

use hostward::{firewall, observe};
use hostward_checks::effect::NftTable;
use hostward_checks::observation::firewall::MetadataUsers;
use hostward_checks::observation::socket::Protocol;
use hostward_checks::plan::table::limits::Limits;
use hostward_checks::plan::table::rules::{Hook, Packet, Table};
use hostward_tests::netns::Netns;
use hostward_tests::results;
use hostward_tests::suite::{REQUIRED, Suite, WHERE_ANSWERED};

use super::lab::{answers, connect, forwards, lives, nft, others, reaches, serve, user_reaches};

const HOST: &str = "172.31.0.10";
const HOST6: &str = "fd00:31::10";
const STRANGER: &str = "203.0.113.7";
const STRANGER6: &str = "2001:db8::7";
const FRIEND: &str = "10.9.9.9";
const BALANCER: &str = "100.64.0.9";
const METADATA: &str = "100.100.100.200";
const RESOLVER: &str = "100.100.2.136";
const CONTAINER: &str = "172.17.0.2";

const LIMITS: &str = "tcp 6379 10.0.0.0/8\ntcp 8080 10.0.0.0/8\nudp 161\nmetadata 0 33\n";

/// Rules of others, and whether they publish port 8080.
const OTHERS: [(&str, bool, &str); 6] = [
    ("none", false, ""),
    (
        "Docker",
        true,
        "table ip nat {
           chain PREROUTING { type nat hook prerouting priority -100; policy accept; fib daddr type local counter jump DOCKER; }
           chain POSTROUTING { type nat hook postrouting priority 100; policy accept; ip saddr 172.17.0.0/16 oifname != \"c0\" counter masquerade; }
           chain DOCKER { iifname != \"c0\" tcp dport 8080 counter dnat to 172.17.0.2:80; }
         }
         table ip filter {
           chain FORWARD { type filter hook forward priority 0; policy drop; ct state related,established accept; iifname \"c0\" accept;
             ip daddr 172.17.0.2 iifname != \"c0\" oifname \"c0\" tcp dport 80 counter accept; }
         }",
    ),
    (
        "NodePort, redirected",
        true,
        "table ip kube { chain p { type nat hook prerouting priority -100; ip daddr 172.31.0.10 tcp dport 8080 redirect to :80; } }",
    ),
    (
        "fail2ban",
        false,
        "table inet f2b-table {
           set addr-set-sshd { type ipv4_addr; elements = { 203.0.113.99 } }
           chain f2b-chain { type filter hook input priority -1; policy accept; tcp dport 22 ip saddr @addr-set-sshd reject with icmp port-unreachable; }
         }",
    ),
    (
        "ufw and its like",
        false,
        "table inet filter {
           chain input { type filter hook input priority 0; policy drop; ct state invalid counter drop; ct state established,related accept; iif lo accept;
             meta l4proto ipv6-icmp accept; tcp dport { 22, 80, 6379 } counter accept; udp dport 161 accept; limit rate 3/minute counter; }
           chain output { type filter hook output priority 0; policy accept; ct state new counter; }
         }",
    ),
    (
        "firewalld and its like",
        true,
        "table inet firewalld {
           chain mangle_PREROUTING { type filter hook prerouting priority -140; policy accept; counter; }
           chain nat_PREROUTING { type nat hook prerouting priority -90; policy accept; tcp dport 8080 dnat ip to 172.17.0.2:80; }
           chain filter_INPUT { type filter hook input priority 10; policy accept; ct state { established, related } accept;
             ct status dnat accept; iifname \"lo\" accept; meta l4proto ipv6-icmp accept; jump zone; ct state invalid drop; reject with icmpx admin-prohibited; }
           chain filter_FORWARD { type filter hook forward priority 10; policy accept; ct state { established, related } accept; ct status dnat accept; }
           chain zone { tcp dport { 22, 80, 6379 } accept; udp dport 161 accept; }
         }",
    ),
];

struct Spaces {
    host: Netns,
    vpc: Netns,
    container: Netns,
}

impl Spaces {
    fn new() -> Self {
        let (host, vpc, container) = (Netns::new().unwrap(), Netns::new().unwrap(), Netns::new().unwrap());
        vpc.connect("vpc0", &host, "eth0").unwrap();
        for address in [STRANGER, FRIEND, BALANCER, METADATA, RESOLVER] {
            vpc.ip(&format!("addr add {address}/32 dev vpc0")).unwrap();
        }
        vpc.ip("addr add 172.31.0.253/24 dev vpc0").unwrap();
        vpc.ip("addr add fd00:31::253/64 dev vpc0 nodad").unwrap();
        vpc.ip(&format!("addr add {STRANGER6}/128 dev vpc0 nodad")).unwrap();
        host.ip(&format!("addr add {HOST}/24 dev eth0")).unwrap();
        host.ip(&format!("addr add {HOST6}/64 dev eth0 nodad")).unwrap();
        host.ip("route add default via 172.31.0.253").unwrap();
        host.ip("-6 route add default via fd00:31::253").unwrap();
        host.connect("c0", &container, "eth0").unwrap();
        host.ip("addr add 172.17.0.1/24 dev c0").unwrap();
        container.ip(&format!("addr add {CONTAINER}/24 dev eth0")).unwrap();
        container.ip("route add default via 172.17.0.1").unwrap();
        forwards(&host);
        serve(&host, &[22, 80, 6379, 161]);
        serve(&container, &[80]);
        serve(&vpc, &[80, 53, 6379]);
        Self { host, vpc, container }
    }

    fn load(&self, rules: &str) {
        if !rules.is_empty() {
            let rules = rules.replace("; }", ";\n}\n").replace("} }", "}\n}\n").replace("{ type", "{\ntype");
            self.host.run(|| nft(&[&rules])).unwrap();
        }
    }

    fn ruleset(&self) -> String {
        others(&self.host.run(|| nft(&["list", "ruleset"])).unwrap())
    }
}

fn table(limits: &str) -> Table {
    let (limits, defects) = Limits::read(limits.as_bytes());
    assert_eq!(defects, []);
    Table::of(&limits).unwrap()
}

fn put(host: &Netns, after: Option<String>) {
    host.run(|| firewall::put(&NftTable { before: None, after }).unwrap()).unwrap();
}

#[test]
fn packets_meet_the_table_beside_every_other_rules() {
    let rules = table(LIMITS);
    let mut packets = 0;
    for (name, publishes, others) in OTHERS {
        let spaces = Spaces::new();
        let (host, vpc) = (&spaces.host, &spaces.vpc);
        spaces.load(others);
        let before = spaces.ruleset();
        let old = |from, port| {
            vpc.run(|| connect(from, HOST, port))
                .unwrap()
                .unwrap_or_else(|error| panic!("{name}: {from} to {port}: {error}"))
        };
        // Opened before connection tracking knows of anything, where nobody else asks for it.
        let mut established = vec![old(STRANGER, 6379), old(FRIEND, 6379)];
        if publishes {
            established.push(old(STRANGER, 8080));
        }
        assert!(established.iter().all(lives));
        put(host, Some(rules.text()));
        assert!(established.iter().all(lives), "{name}: an established connection is cut");
        let mut ask = |from: &str, to: &str, port: u16, expected: bool| {
            packets += 1;
            let input = Packet::first(Protocol::Tcp, from.parse().unwrap(), port);
            assert_eq!(
                rules.passes(Hook::Arriving, &input) && rules.passes(Hook::Input, &input),
                expected,
                "{name}: the rules as data: {from} to {port}"
            );
            assert_eq!(
                vpc.run(|| reaches(from, to, port, expected)).unwrap(),
                expected,
                "{name}: {from} to {to}:{port}"
            );
        };
        ask(STRANGER, HOST, 6379, false);
        ask(STRANGER6, HOST6, 6379, false);
        for from in [FRIEND, BALANCER, METADATA] {
            ask(from, HOST, 6379, true);
        }
        ask(STRANGER, HOST, 22, true);
        ask(STRANGER, HOST, 80, true);
        ask(STRANGER6, HOST6, 22, true);
        if publishes {
            ask(STRANGER, HOST, 8080, false);
            ask(FRIEND, HOST, 8080, true);
            ask(BALANCER, HOST, 8080, true);
        }
        let sent = [(STRANGER, false), (FRIEND, false), (BALANCER, true)];
        for (from, expected) in sent {
            packets += 1;
            assert_eq!(vpc.run(|| answers(from, HOST, 161, expected)).unwrap(), expected, "{name}: udp from {from}");
        }
        let own = host.run(|| {
            (
                reaches("127.0.0.1", "127.0.0.1", 6379, true),
                reaches(HOST, HOST, 6379, true),
                reaches("::1", "::1", 6379, true),
            )
        });
        assert_eq!(own.unwrap(), (true, true, true), "{name}: this host's own");
        // Passed on, not to this host: the port is another host's.
        if name == "Docker" {
            let through = spaces.container.run(|| reaches(CONTAINER, "172.31.0.253", 6379, true)).unwrap();
            assert!(through, "{name}: through the host");
        }
        for (uid, to, port, expected) in [
            (0, METADATA, 80, true),
            (33, METADATA, 80, true),
            (1000, METADATA, 80, false),
            (1000, RESOLVER, 53, true),
            (1000, STRANGER, 80, true),
        ] {
            packets += 1;
            assert_eq!(
                host.run(|| user_reaches(uid, to, port, expected)).unwrap(),
                expected,
                "{name}: user {uid} to {to}"
            );
        }
        assert_eq!(spaces.ruleset(), before, "{name}: other tables");
        let seen = host.run(|| observe::firewall(&observe::sockets()).known().cloned()).unwrap().unwrap();
        assert!(seen.filters_input && seen.keeps_strangers_out(Protocol::Tcp, 6379), "{name}: {seen:?}");
        assert!(!seen.keeps_strangers_out(Protocol::Tcp, 22), "{name}: {seen:?}");
        assert!(seen.published.iter().all(|published| published.port != 8080), "{name}: {seen:?}");
        assert_eq!(seen.metadata, MetadataUsers::Only(vec![0, 33]), "{name}");
        // Loaded over itself, and then taken away.
        put(host, Some(rules.text()));
        assert!(established.iter().all(lives), "{name}: loading again cuts");
        put(host, None);
        put(host, None);
        assert_eq!(host.run(|| nft(&["list", "tables"])).unwrap().matches("hostward").count(), 0, "{name}");
        assert_eq!(spaces.ruleset(), before, "{name}: other tables");
        assert!(
            vpc.run(|| reaches(STRANGER, HOST, 6379, true)).unwrap() && established.iter().all(lives),
            "{name}: after it"
        );
    }
    results::tested(
        "fix firewall",
        "namespaces",
        format!("{packets} packets beside {} sets of other rules", OTHERS.len()),
    );
}

#[test]
fn every_nft_loads_it_and_packets_meet_it() {
    let rules = table(LIMITS);
    for name in REQUIRED.iter().chain(&WHERE_ANSWERED) {
        let Ok(suite) = Suite::find(name) else {
            results::skipped("fix firewall nft", name, "NOT TESTED: there is no root file system of it");
            continue;
        };
        let spaces = Spaces::new();
        let (host, vpc) = (&spaces.host, &spaces.vpc);
        let version = host
            .run(|| {
                let overlay = suite.overlay().unwrap();
                overlay.write("/rules", rules.text(), 0o600).unwrap();
                let old = vpc.run(|| connect(STRANGER, HOST, 6379).unwrap()).unwrap();
                for arguments in [&["-c", "-f", "/rules"][..], &["-f", "/rules"], &["-f", "/rules"]] {
                    let mut nft = Command::new("chroot");
                    let output = nft.arg(overlay.root()).arg("nft").args(arguments).output().unwrap();
                    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
                }
                assert!(lives(&old), "{name}");
                let output = Command::new("chroot").arg(overlay.root()).args(["nft", "--version"]).output().unwrap();
                String::from_utf8_lossy(&output.stdout).trim().to_owned()
            })
            .unwrap();
        for (from, expected) in [(STRANGER, false), (FRIEND, true), (BALANCER, true)] {
            assert_eq!(vpc.run(|| reaches(from, HOST, 6379, expected)).unwrap(), expected, "{name}: {from}");
        }
        assert!(!vpc.run(|| reaches(STRANGER6, HOST6, 6379, false)).unwrap(), "{name}");
        assert!(!host.run(|| user_reaches(1000, METADATA, 80, false)).unwrap(), "{name}");
        assert!(host.run(|| user_reaches(33, METADATA, 80, true)).unwrap(), "{name}");
        results::tested("fix firewall nft", name, version);
    }
}

#[test]
fn a_table_that_nft_refuses_changes_nothing() {
    let spaces = Spaces::new();
    put(&spaces.host, Some(table("tcp 6379\n").text()));
    let listing = || spaces.host.run(|| nft(&["list", "table", "inet", "hostward"])).unwrap();
    let before = listing();
    let broken = table("tcp 6379\n").text().replace("counter drop", "counter dorp");
    let error =
        spaces.host.run(|| firewall::put(&NftTable { before: None, after: Some(broken) })).unwrap().unwrap_err();
    assert!(format!("{error:#}").contains("Error"), "{error:#}");
    assert_eq!(listing(), before);
    // Standard input is another file for each: rules of any length, at the same time.
    let many: String = (1..=3000).map(|port| format!("tcp {port} 10.0.0.0/8 192.0.2.{}\n", port % 250)).collect();
    put(&spaces.host, Some(table(&many).text()));
    assert!(listing().len() > 200_000);
}
