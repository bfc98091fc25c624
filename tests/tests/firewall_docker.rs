//! The rules that a real dockerd writes for real containers, alone and beside ufw, firewalld and its user's own, against packets.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hostward_checks::observation::firewall::{Published, Reach};
use hostward_checks::observation::socket::Protocol::Tcp;
use hostward_tests::crossing::{Crossing, serve};
use hostward_tests::docker::Docker;
use hostward_tests::results;
use hostward_tests::suite::{Suite, chosen};
use hostward_tests::suite_rules::SuiteRules;
use hostward_tests::tier::Tier;
use hostward_tests::verdicts::Verdicts;

const TEST: &str = "firewall docker";

/// The host's addresses: the second of IPv4 has a port published of its own.
const ADDRESSES: [&str; 3] = ["198.51.100.10", "198.51.100.11", "2001:db8:1::10"];

/// What containers publish: on every address, on loopback, on one, of UDP; of the bridge that is there and of one more.
const ON_BRIDGE: &str = "-p 8080:80 -p 127.0.0.1:3306:3306 -p 198.51.100.11:9000:9000 -p 31000:6379 -p 30500:53/udp";
const ON_OWN: &str = "--network own -p 8443:443 -p 1050:1050/udp";
/// How hostward is to tell of it.
const PUBLISHED: [&str; 6] = ["tcp 8080", "tcp 8443", "tcp 198.51.100.11:9000", "tcp 31000", "udp 1050", "udp 30500"];

/// A host on which dockerd runs.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    /// What is done before dockerd starts, and once its containers run.
    before: &'static str,
    after: &'static str,
    options: &'static [&'static str],
    /// What options the network of their own is made with.
    own: &'static str,
    /// What is told as published.
    published: &'static [&'static str],
}

const ALONE: Case = Case { name: "alone", before: "", after: "", options: &[], own: "", published: &PUBLISHED };

const FIREWALLD: &str = "mkdir -p /run/dbus; rm -f /run/dbus/pid; dbus-daemon --system --fork --print-pid >/run/bus.pid
    firewalld --nofork --nopid >/run/firewalld.log 2>&1 & echo $! >/run/firewalld.own
    for i in $(seq 100); do firewall-cmd --state >/dev/null 2>&1 && break; sleep 0.2; done
    firewall-cmd -q --zone=public --change-interface=eth0; firewall-cmd -q --zone=public --add-port=22/tcp";

const CASES: [Case; 10] = [
    ALONE,
    Case { name: "without userland proxy", options: &["--userland-proxy=false"], ..ALONE },
    Case {
        name: "a chain of its user that lets nobody in",
        after: "iptables -I DOCKER-USER -i eth0 -j DROP
                iptables -I DOCKER-USER -i eth0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        published: &[],
        ..ALONE
    },
    Case { name: "on a host that forwards", before: "echo 1 >/proc/sys/net/ipv4/ip_forward", ..ALONE },
    Case {
        name: "a chain of its user, by ports and sources",
        after: "iptables -I DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdstport 31000 --ctdir ORIGINAL -j DROP
                iptables -I DOCKER-USER -i eth0 ! -s 10.0.0.0/8 -p tcp -m tcp --dport 80 -j REJECT",
        published: &["tcp 8443", "tcp 198.51.100.11:9000", "udp 1050", "udp 30500"],
        ..ALONE
    },
    Case {
        name: "IPv6",
        options: &["--ipv6", "--fixed-cidr-v6=fd00:17::/64", "--ip6tables", "--experimental"],
        own: "--ipv6 --subnet fd00:18::/64",
        ..ALONE
    },
    Case { name: "beside ufw", before: "ufw allow 22/tcp; ufw --force enable", ..ALONE },
    Case {
        name: "beside firewalld",
        before: FIREWALLD,
        after: "kill -9 $(cat /run/firewalld.own) $(cat /run/bus.pid)",
        ..ALONE
    },
    Case {
        name: "iptables-legacy",
        before: "for v in '' 6; do update-alternatives --set ip${v}tables /usr/sbin/ip${v}tables-legacy; done",
        ..ALONE
    },
    Case {
        name: "nftables",
        before: "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
                 dockerd --help | grep -q firewall-backend || { echo this dockerd has no such backend; exit 1; }",
        options: &["--firewall-backend=nftables", "--ipv6", "--fixed-cidr-v6=fd00:17::/64"],
        own: "--ipv6 --subnet fd00:18::/64",
        ..ALONE
    },
];

fn told(published: &Published) -> String {
    let protocol = if published.protocol == Tcp { "tcp" } else { "udp" };
    match published.address {
        Some(address) => format!("{protocol} {address}:{}", published.port),
        None => format!("{protocol} {}", published.port),
    }
}

/// Runs in the host's network namespace.
fn meet(crossing: &Crossing, suite: &Suite, case: &Case) -> Result<String> {
    let inside = SuiteRules::mount_with_docker(suite)?;
    inside.run(case.before)?;
    let docker = Docker::start(&inside, case.options)?;
    inside.run(&format!("docker network create {} own", case.own))?;
    let containers =
        [("web", ON_BRIDGE), ("quiet", ""), ("own", ON_OWN)].map(|(name, options)| docker.container(name, options));
    let containers = containers.into_iter().collect::<Result<Vec<_>>>()?;
    inside.run(case.after).with_context(|| docker.log())?;

    let mut to: Vec<IpAddr> = Vec::new();
    // What dockerd has taken is answered by its proxies, or by nobody.
    let mut taken = BTreeMap::new();
    for address in ADDRESSES {
        let address: IpAddr = address.parse()?;
        taken.insert(address, serve(&crossing.host, address)?);
        to.push(address);
    }
    let mut behind = BTreeSet::new();
    for container in &containers {
        ensure!(!container.addresses.is_empty(), "a container has no address");
        serve(&container.network, "::".parse()?)?;
        behind.extend(&container.addresses);
    }
    to.extend(&behind);
    // Addresses of IPv6 are looked for twice before they are used.
    thread::sleep(Duration::from_millis(if behind.iter().any(IpAddr::is_ipv6) { 2500 } else { 0 }));
    let (rules, network, source) = inside.told()?;
    let proxies = !case.options.contains(&"--userland-proxy=false");
    let answers = |protocol, address: IpAddr, port| {
        proxies || address.is_ipv4() || !taken.get(&address).is_some_and(|taken| taken.contains(&(protocol, port)))
    };
    let said = Verdicts::of(crossing, &rules, &network, &to, answers)?;
    let show =
        || inside.run("iptables-save; ip6tables-save; nft list ruleset").unwrap_or_else(|error| error.to_string());
    ensure!(said.wrong.is_empty(), "WRONG: {:#?}\n{}", said.wrong, show());
    ensure!(said.unknown.is_empty(), "WRONG: not understood: {:#?}\n{}", said.unknown, show());
    ensure!(said.answered > 0, "WRONG: nothing is answered");
    let firewall = rules.judge_on(source, &network, &[]);
    let mut published: Vec<String> = firewall.published.iter().map(told).collect();
    let mut expected = case.published.to_vec();
    published.sort();
    expected.sort_unstable();
    ensure!(
        published == expected,
        "WRONG: published {published:?}, not {expected:?}: {:?}\n{}",
        firewall.published,
        show()
    );
    ensure!(firewall.published.iter().all(|one| one.reach == Reach::Open), "WRONG: {:?}", firewall.published);
    let direct = said.open.iter().filter(|packet| behind.contains(&packet.to)).count();
    let version = inside.run("docker version -f '{{.Server.Version}}'")?;
    Ok(format!(
        "dockerd {}: {} packets by {source}, {} answered, no answer unknown; a stranger reaches {} ports of containers' own addresses",
        version.trim(),
        said.packets,
        said.answered,
        direct
    ))
}

fn run(suite: &Suite, case: &Case) -> Option<String> {
    let subject = format!("{} {}", suite.name(), case.name);
    let crossing = Crossing::without_container().unwrap();
    crossing.host.ip("addr add 198.51.100.11/24 dev eth0").unwrap();
    // A neighbour may send to containers directly.
    crossing.outside.ip("route add 172.16.0.0/12 via 198.51.100.10").unwrap();
    crossing.outside.ip("-6 route add fd00::/8 via 2001:db8:1::10").unwrap();
    match crossing.host.run(|| meet(&crossing, suite, case)).unwrap() {
        Ok(said) => results::tested(TEST, &subject, said),
        Err(error) if format!("{error:#}").contains("WRONG: ") => return Some(format!("{subject}: {error:#}")),
        Err(error) => results::skipped(TEST, &subject, format!("NOT TESTED: {error:#}")),
    }
    None
}

#[test]
fn packets_do_what_is_said_of_the_rules_of_dockerd() {
    let all = ["bullseye", "bookworm", "trixie", "sid", "focal", "jammy", "noble", "resolute"];
    let only = std::env::var("HOSTWARD_CASE").ok();
    let cases = CASES.get(..Tier::current().pick(3, CASES.len())).unwrap();
    let cases = cases.iter().filter(|case| only.as_ref().is_none_or(|only| case.name.contains(only)));
    let mut wrong = Vec::new();
    for name in chosen(Tier::current().pick(&["bookworm"], &all)) {
        let Ok(suite) = Suite::find(name) else {
            results::skipped(TEST, name, "NOT TESTED: there is no root file system of it");
            continue;
        };
        wrong.extend(cases.clone().filter_map(|case| run(&suite, case)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
