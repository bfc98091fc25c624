//! Random rule sets against packets: what is said of a packet's whole way is what becomes of it.

#![cfg(test)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use hostward::observe;
use hostward_checks::observation::firewall::Reach;
use hostward_checks::observation::socket::Protocol;
use hostward_tests::crossing::{Crossing, HOST, PORTS, Packet, SOURCES};
use hostward_tests::rng::Rng;
use hostward_tests::tier::Tier;
use hostward_tests::{results, ruleset_gen};

/// What is said of every packet, and of the same packet what was seen.
struct Asked {
    packet: Packet,
    said: Reach,
}

fn asked(crossing: &Crossing, rng: &mut Rng, what: &str) -> Vec<Asked> {
    let (rules, network) = crossing
        .host
        .run(|| {
            (observe::firewall::rules().unwrap_or_else(|why| panic!("{what}: {why:?}")).0, observe::network::network())
        })
        .unwrap();
    let mut out = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for port in PORTS {
            for v6 in [false, true] {
                let half = SOURCES.len() / 2;
                for source in [0, 1 + rng.below(half - 1)] {
                    let from: IpAddr = SOURCES[source + if v6 { half } else { 0 }].parse().unwrap();
                    let to: IpAddr = HOST[usize::from(v6)].parse().unwrap();
                    let said = rules.reach(&network, protocol, from, to, port);
                    let expected = said == Reach::Open;
                    out.push(Asked { packet: Packet { protocol, from, to, port, expected }, said });
                }
            }
        }
    }
    out
}

#[test]
fn packets_do_what_is_said_of_random_rules() {
    let wanted = std::env::var("HOSTWARD_RULESETS").ok().and_then(|count| count.parse().ok());
    let wanted = wanted.unwrap_or(Tier::current().pick(20, 500));
    let seed = std::env::var("HOSTWARD_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(5);
    let mut rng = Rng::new(seed);
    let crossing = Crossing::new().unwrap();
    let (mut sets, mut refused, mut packets, mut opened) = (0, 0, 0, 0);
    let mut failed = Vec::new();
    let mut unknown: BTreeMap<String, usize> = BTreeMap::new();
    while sets < wanted {
        let rules = ruleset_gen::ruleset(&mut rng);
        if let Err(error) = crossing.load(&rules) {
            refused += 1;
            if std::env::var_os("HOSTWARD_SHOW").is_some() {
                eprintln!("{error:#}");
            }
            assert!(refused < 20 + 2 * wanted, "nft takes few of these: {error:#}\n{rules}");
            continue;
        }
        sets += 1;
        let asked = asked(&crossing, &mut rng, &rules);
        let sent: Vec<Packet> = asked.iter().map(|asked| asked.packet).collect();
        let answered = crossing.answered(&sent).unwrap();
        packets += sent.len();
        opened += answered.iter().filter(|answered| **answered).count();
        let mut wrong = Vec::new();
        for (asked, answered) in asked.iter().zip(answered) {
            match &asked.said {
                Reach::Unknown(rule) => {
                    *unknown.entry(rule.rsplit(": ").next().unwrap_or("").to_owned()).or_default() += 1;
                }
                said if (*said == Reach::Open) != answered => wrong.push(asked.packet),
                _ => {}
            }
        }
        // What was lost on a busy machine arrives the next time.
        let again = crossing.answered(&wrong).unwrap();
        let wrong: Vec<String> = wrong
            .iter()
            .zip(again)
            .filter(|(packet, answered)| packet.expected != *answered)
            .map(|(packet, _)| format!("{packet:?}"))
            .collect();
        if !wrong.is_empty() {
            failed.push(format!("set {sets} of seed {seed}:\n{rules}\n{}", wrong.join("\n")));
        }
    }
    let first: Vec<&str> = failed.iter().take(3).map(String::as_str).collect();
    assert!(failed.is_empty(), "{} of {sets} rule sets are misjudged: {}", failed.len(), first.join("\n"));
    let unsure: usize = unknown.values().sum();
    assert!(
        opened * 10 > packets && opened * 10 < packets * 9,
        "{opened} of {packets} arrived: the rules decide nothing"
    );
    assert!(unsure * 5 < packets, "{unsure} of {packets} answers are none: {unknown:?}");
    let share = 1000 * unsure / packets;
    results::tested(
        "firewall random",
        "nftables",
        format!(
            "{sets} rule sets, {packets} packets, {opened} arrived, {}.{} % of the answers unknown",
            share / 10,
            share % 10
        ),
    );
}
