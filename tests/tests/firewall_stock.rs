//! The rules that front ends write, against packets: the real ufw, firewalld and fail2ban of a suite, by its own iptables or nft;
//! and what kube-proxy writes, as a stand-in.

#![cfg(test)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::thread;

use anyhow::Context;
use hostward_checks::observation::firewall::{Network, Reach};
use hostward_checks::observation::socket::Protocol::Tcp;
use hostward_checks::parse::ruleset::Ruleset;
use hostward_tests::crossing::{Crossing, HOST, PORTS};
use hostward_tests::results;
use hostward_tests::suite::{Suite, chosen};
use hostward_tests::suite_rules::{SuiteRules, Told};
use hostward_tests::tier::Tier;
use hostward_tests::verdicts::Verdicts;

const TEST: &str = "firewall stock";

/// Rules of one kind: how they are made in a suite's root, and what a stranger must be able to reach of TCP then.
struct Stock {
    name: &'static str,
    script: &'static str,
    open: &'static [u16],
    published: &'static [u16],
}

const UFW: Stock = Stock {
    name: "ufw",
    script: "ufw allow 22/tcp; ufw allow 8000:8100/tcp; ufw allow from 10.0.0.0/8 to any port 3306; ufw allow 53; ufw deny 6379
             ufw limit 443/tcp; ufw allow in on eth0 to 198.51.100.10 port 9000; ufw --force enable",
    open: &[22, 53, 443, 8080, 9000],
    published: &[],
};

const FIREWALLD: Stock = Stock {
    name: "firewalld",
    script: "mkdir -p /run/dbus; rm -f /run/dbus/pid; dbus-daemon --system --fork --print-pid >/run/bus.pid
             firewalld --nofork --nopid >/run/firewalld.log 2>&1 & daemon=$!
             for i in $(seq 100); do firewall-cmd --state >/dev/null 2>&1 && break; sleep 0.2; done
             firewall-cmd -q --zone=public --change-interface=eth0
             firewall-cmd -q --zone=public --add-service=https; firewall-cmd -q --zone=public --add-port=1000-1100/tcp
             firewall-cmd -q --zone=public --add-port=53/udp
             firewall-cmd -q --zone=public --add-rich-rule='rule family=ipv4 source address=10.0.0.0/8 port port=3306 protocol=tcp accept'
             firewall-cmd -q --zone=public --add-rich-rule='rule family=ipv4 source address=203.0.113.0/24 drop'
             firewall-cmd -q --zone=public --add-forward-port=port=8080:proto=tcp:toaddr=172.17.0.2:toport=80
             firewall-cmd -q --zone=public --add-forward-port=port=8443:proto=tcp:toport=9000
             firewall-cmd -q --zone=trusted --change-interface=docker0
             firewall-cmd -q --query-port=1000-1100/tcp || { cat /run/firewalld.log; exit 1; }
             kill -9 $daemon $(cat /run/bus.pid)",
    open: &[22, 443, 1050, 8080, 8443],
    published: &[8080, 8443],
};

const FAIL2BAN: Stock = Stock {
    name: "fail2ban",
    script: "printf '[sshd]\\nenabled = true\\nbackend = polling\\nlogpath = /var/log/auth.log\\nbanaction = BANACTION\\n' >/etc/fail2ban/jail.local
             mkdir -p /run/fail2ban /var/log; : >/var/log/auth.log; fail2ban-client -x start >/dev/null
             fail2ban-client set sshd banip 192.168.7.7 >/dev/null; fail2ban-client set sshd banip 2400:3200::1 >/dev/null
             sleep 1; kill -9 $(cat /run/fail2ban/fail2ban.pid)",
    open: &PORTS,
    published: &[],
};

const ALL: [Stock; 3] = [UFW, FIREWALLD, FAIL2BAN];

/// Runs it in the host's namespaces and a throw-away root of the suite, and asks what the suite's own programs say there.
fn rules_of(crossing: &Crossing, suite: &Suite, script: &str) -> Result<Told, String> {
    let looked = crossing.host.run(|| -> anyhow::Result<Told> {
        let inside = SuiteRules::mount(suite)?;
        let said = inside.run(script)?;
        inside.told().context(said)
    });
    looked.map_err(|error| format!("{error:#}"))?.map_err(|error| format!("{error:#}"))
}

/// Asks and sends a packet of every source to every port: how many, the rules that were not understood, and what of TCP a stranger
/// reaches.
fn compare(
    crossing: &Crossing,
    rules: &Ruleset,
    network: &Network,
    what: &str,
) -> (usize, BTreeMap<String, usize>, Vec<u16>) {
    let to = HOST.map(|address| address.parse::<IpAddr>().unwrap());
    let told = Verdicts::of(crossing, rules, network, &to, |_, _, _| true).unwrap();
    assert!(told.wrong.is_empty(), "{what}: {:#?}\n{rules:#?}", told.wrong);
    let open = told.open.iter().filter(|packet| packet.protocol == Tcp && packet.to.is_ipv4());
    (told.packets, told.unknown, open.map(|packet| packet.port).collect())
}

fn check(crossing: &Crossing, suite: &Suite, stock: &Stock, flavour: &str, script: &str) {
    let subject = format!("{} {} {flavour}", suite.name(), stock.name);
    let (rules, network, source) = match rules_of(crossing, suite, script) {
        Ok(told) => told,
        Err(error) => return results::skipped(TEST, subject.trim(), format!("NOT TESTED: {error}")),
    };
    let (packets, unknown, open) = compare(crossing, &rules, &network, &subject);
    assert_eq!(unknown, BTreeMap::new(), "{subject}: what is not understood of it");
    assert_eq!(open, stock.open, "{subject}: open");
    let firewall = rules.judge_on(source, &network, &[]);
    let published: Vec<u16> = firewall.published.iter().filter(|one| one.protocol == Tcp).map(|one| one.port).collect();
    assert_eq!(published, stock.published, "{subject}: published: {:?}", firewall.published);
    results::tested(TEST, subject.trim(), format!("{packets} packets by {source}, no answer unknown"));
}

#[test]
fn packets_do_what_is_said_of_the_rules_of_front_ends() {
    let all = ["bullseye", "bookworm", "trixie", "sid", "focal", "jammy", "noble", "resolute"];
    for name in chosen(Tier::current().pick(&["bookworm"], &all)) {
        let Ok(suite) = Suite::find(name) else {
            results::skipped(TEST, name, "NOT TESTED: there is no root file system of it");
            continue;
        };
        // Each has namespaces of its own, and waits more than it works.
        thread::scope(|scope| {
            for stock in &ALL {
                scope.spawn(|| stock_of(&suite, stock));
            }
        });
    }
}

fn stock_of(suite: &Suite, stock: &Stock) {
    let flavours: &[&str] = match stock.name {
        "fail2ban" => Tier::current().pick(&["nftables-multiport"], &["nftables-multiport", "iptables-multiport"]),
        _ => &[""],
    };
    for flavour in flavours {
        let crossing = Crossing::new().unwrap();
        check(&crossing, suite, stock, flavour, &stock.script.replace("BANACTION", flavour));
    }
}

/// What kube-proxy writes for a service of two pods at a NodePort and one at a cluster's address (a stand-in).
const KUBERNETES: &str = "*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-EXT-A - [0:0]
:KUBE-SVC-A - [0:0]
:KUBE-SEP-A - [0:0]
:KUBE-SEP-B - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment \"default/kubernetes:https cluster IP\" -m tcp --dport 443 -j KUBE-SVC-A
-A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports\" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-NODEPORTS -p tcp -m comment --comment \"default/web\" -m tcp --dport 30500 -j KUBE-EXT-A
-A KUBE-EXT-A -j KUBE-MARK-MASQ
-A KUBE-EXT-A -j KUBE-SVC-A
-A KUBE-SVC-A -m comment --comment \"default/web -> 172.17.0.2:80\" -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-A
-A KUBE-SVC-A -m comment --comment \"default/web -> 172.17.0.2:9000\" -j KUBE-SEP-B
-A KUBE-SEP-A -p tcp -m tcp -j DNAT --to-destination 172.17.0.2:80
-A KUBE-SEP-B -p tcp -m tcp -j DNAT --to-destination 172.17.0.2:9000
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-FIREWALL - [0:0]
-A INPUT -j KUBE-FIREWALL
-A FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment \"block incoming localnet connections\" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding rules\" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding conntrack rule\" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
";

#[test]
fn packets_do_what_is_said_of_what_kube_proxy_writes_a_stand_in() {
    let suite = Suite::find("bookworm").unwrap();
    let restores =
        Tier::current().pick(&["iptables-nft-restore"][..], &["iptables-nft-restore", "iptables-legacy-restore"]);
    for restore in restores {
        let name = format!("Kubernetes by {restore} (a stand-in)");
        let crossing = Crossing::new().unwrap();
        let script = format!("{restore} <<'END'\n{KUBERNETES}\nEND");
        let (rules, network, source) = rules_of(&crossing, &suite, &script).unwrap();
        let (packets, unknown, _) = compare(&crossing, &rules, &network, &name);
        assert_eq!(unknown, BTreeMap::new(), "{name}: what is not understood of it");
        let firewall = rules.judge_on(source, &network, &[]);
        let published: Vec<u16> =
            firewall.published.iter().filter(|one| one.protocol == Tcp).map(|one| one.port).collect();
        assert_eq!(published, [30_500], "{name}: {:?}", firewall.published);
        assert!(firewall.published.iter().all(|one| one.reach == Reach::Open), "{name}: {:?}", firewall.published);
        results::tested(TEST, &name, format!("{packets} packets by {source}"));
    }
}
