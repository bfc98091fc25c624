//! Random rule sets against packets: what is said of a packet's whole way is what becomes of it.

#![cfg(test)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use hostward::observe;
use hostward_checks::observation::firewall::{Network, Reach};
use hostward_checks::observation::socket::Protocol;
use hostward_checks::parse::ruleset::Ruleset;
use hostward_tests::crossing::{Crossing, HOST, PORTS, Packet, SOURCES};
use hostward_tests::rng::Rng;
use hostward_tests::suite::{Suite, chosen};
use hostward_tests::suite_rules::SuiteRules;
use hostward_tests::tier::Tier;
use hostward_tests::{iptables_gen, results, ruleset_gen};

const TEST: &str = "firewall random";

/// So many sets tell what share of the packets such rules let in.
const FEW: usize = 20;

/// What is said of every packet, and of the same packet what was seen.
struct Asked {
    packet: Packet,
    said: Reach,
}

fn asked(rules: &Ruleset, network: &Network, rng: &mut Rng) -> Vec<Asked> {
    let mut out = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for port in PORTS {
            for v6 in [false, true] {
                let half = SOURCES.len() / 2;
                for source in [0, 1 + rng.below(half - 1)] {
                    let from: IpAddr = SOURCES[source + if v6 { half } else { 0 }].parse().unwrap();
                    let to: IpAddr = HOST[usize::from(v6)].parse().unwrap();
                    let said = rules.reach(network, protocol, from, to, port);
                    let expected = said == Reach::Open;
                    out.push(Asked { packet: Packet { protocol, from, to, port, expected }, said });
                }
            }
        }
    }
    out
}

/// What became of all rule sets.
#[derive(Default)]
struct Tally {
    sets: usize,
    packets: usize,
    arrived: usize,
    unknown: BTreeMap<String, usize>,
    /// Certain answers that the first try did not bear out.
    again: usize,
    failed: Vec<String>,
}

impl Tally {
    /// Sends what was asked about the rules that the host has now.
    fn compare(&mut self, crossing: &Crossing, asked: &[Asked], rules: &str) {
        self.sets += 1;
        let sent: Vec<Packet> = asked.iter().map(|asked| asked.packet).collect();
        let answered = crossing.answered(&sent).unwrap();
        self.packets += sent.len();
        self.arrived += answered.iter().filter(|answered| **answered).count();
        let mut wrong = Vec::new();
        for (asked, answered) in asked.iter().zip(answered) {
            match &asked.said {
                Reach::Unknown(rule) => {
                    *self.unknown.entry(rule.rsplit(": ").next().unwrap_or("").to_owned()).or_default() += 1;
                }
                said if (*said == Reach::Open) != answered => wrong.push(asked.packet),
                _ => {}
            }
        }
        // What was lost on a busy machine arrives the next time.
        self.again += wrong.len();
        let again = crossing.answered(&wrong).unwrap();
        let wrong = wrong.iter().zip(again).filter(|(packet, answered)| packet.expected != *answered);
        let wrong: Vec<String> = wrong.map(|(packet, _)| format!("{packet:?}")).collect();
        if !wrong.is_empty() {
            self.failed.push(format!("set {}:\n{rules}\n{}", self.sets, wrong.join("\n")));
        }
    }

    /// Every certain answer was right, and there were such of both kinds.
    fn conclude(self, subject: &str, seed: u64) {
        let Self { sets, packets, arrived, unknown, again, failed } = self;
        let first: Vec<&str> = failed.iter().take(3).map(String::as_str).collect();
        assert!(
            failed.is_empty(),
            "{subject}: {} of {sets} rule sets of seed {seed} are misjudged: {}",
            failed.len(),
            first.join("\n")
        );
        let unsure: usize = unknown.values().sum();
        // A few sets may well let nearly nobody in.
        let part = if sets < FEW { 1..packets } else { packets / 10..packets * 9 / 10 };
        assert!(part.contains(&arrived), "{subject}: {arrived} of {packets} arrived: the rules decide nothing");
        assert!(unsure * 5 < packets, "{subject}: {unsure} of {packets} answers are none: {unknown:?}");
        let share = 1000 * unsure / packets;
        results::tested(
            TEST,
            subject,
            format!(
                "{sets} rule sets, {packets} packets, {arrived} arrived, {}.{} % of the answers unknown, {again} sent \
                 twice",
                share / 10,
                share % 10
            ),
        );
    }
}

/// A number from the environment, for looking at one run alone.
fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

fn seed() -> u64 {
    number("HOSTWARD_SEED").unwrap_or(5) as u64
}

/// Where few are taken, something else is wrong.
fn is_refused(error: &anyhow::Error, rules: &str, refused: &mut usize, wanted: usize) {
    *refused += 1;
    if std::env::var_os("HOSTWARD_SHOW").is_some() {
        eprintln!("{error:#}");
    }
    assert!(*refused < 20 + 2 * wanted, "few of these are taken: {error:#}\n{rules}");
}

#[test]
fn packets_do_what_is_said_of_random_rules() {
    let wanted = number("HOSTWARD_RULESETS").unwrap_or(Tier::current().pick(10, 500));
    let mut rng = Rng::new(seed());
    let crossing = Crossing::new().unwrap();
    let (mut tally, mut refused) = (Tally::default(), 0);
    while tally.sets < wanted {
        let text = ruleset_gen::ruleset(&mut rng);
        if let Err(error) = crossing.load(&text) {
            is_refused(&error, &text, &mut refused, wanted);
            continue;
        }
        let look = || (observe::firewall::rules(), observe::network::network());
        let (rules, network) = crossing.host.run(look).unwrap();
        let (rules, _) = rules.unwrap_or_else(|why| panic!("{text}: {why:?}"));
        tally.compare(&crossing, &asked(&rules, &network, &mut rng), &text);
    }
    tally.conclude("nftables", seed());
}

/// Both families' rules by one of the two kinds of iptables, which the suite's own programs tell again.
fn iptables(suite: &Suite, kind: &str, wanted: usize, seed: u64) {
    let mut rng = Rng::new(seed);
    let crossing = Crossing::new().unwrap();
    let tally = crossing.host.run(|| {
        let inside = SuiteRules::mount(suite).unwrap();
        let (mut tally, mut refused) = (Tally::default(), 0);
        while tally.sets < wanted {
            let [four, six] = [false, true].map(|v6| iptables_gen::tables(&mut rng, v6));
            let text =
                format!("iptables-{kind}-restore <<'END'\n{four}END\nip6tables-{kind}-restore <<'END'\n{six}END\n");
            if let Err(error) = inside.run(&format!("set -e\n{text}")) {
                is_refused(&error, &text, &mut refused, wanted);
                continue;
            }
            let (rules, network, _) = inside.told().unwrap_or_else(|error| panic!("{text}: {error:#}"));
            tally.compare(&crossing, &asked(&rules, &network, &mut rng), &text);
        }
        tally
    });
    tally.unwrap().conclude(&format!("iptables-{kind}, {}", suite.name()), seed);
}

#[test]
fn packets_do_what_is_said_of_random_rules_of_iptables() {
    let all = ["bookworm", "bullseye", "trixie", "sid", "focal", "jammy", "noble", "resolute"];
    for (seed, name) in (seed()..).zip(chosen(Tier::current().pick(&["bookworm"], &all))) {
        let Ok(suite) = Suite::find(name) else {
            results::skipped(TEST, name, "NOT TESTED: there is no root file system of it");
            continue;
        };
        let wanted = number("HOSTWARD_RULESETS").unwrap_or(Tier::current().pick(2, 60));
        for kind in Tier::current().pick(&["nft"][..], &["nft", "legacy"]) {
            iptables(&suite, kind, wanted, seed);
        }
    }
}
