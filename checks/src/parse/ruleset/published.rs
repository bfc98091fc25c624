//! Ports that rules send elsewhere before routing: published without a listener on the host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::model::{Chain, ChainId, Hook, Ruleset};
use super::packet::{Packet, Sender};
use super::path::Paths;
use super::{Arrival, Range, port_ranges};
use crate::observation::firewall::{Published, Reach};
use crate::observation::socket::Protocol;

/// A translation of more ports than these is a gateway's, not a published service.
const MOST_OF_ONE: u16 = 4096;
/// Ports told of as published.
const MOST: usize = 2 << 16;

/// Where a port is sent, at one address.
type Sent = (Option<IpAddr>, String, Reach);

/// Ports that are sent elsewhere and arrive there, perhaps.
pub(super) fn published<'r>(rules: &'r Ruleset, paths: &mut Paths<'r>, arrivals: &[Arrival<'r>]) -> Vec<Published> {
    let mut out = Vec::new();
    let chains = translating(rules);
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for (low, high) in stretches(&chains, protocol) {
            for v6 in [false, true] {
                let arrivals: Vec<&Arrival<'r>> = arrivals.iter().filter(|arrival| arrival.v6 == v6).collect();
                let mut sent = Vec::new();
                for arrival in &arrivals {
                    let packet = arrival.packet(protocol, low, Sender::Stranger);
                    let fate = paths.incoming(packet);
                    if let Some(translated) = fate.translated {
                        sent.push((arrival.address, translated, fate.reach_translated()));
                    }
                }
                publish(protocol, (low, high), &sent, arrivals.len(), &mut out);
            }
        }
    }
    out.retain(|published| published.reach != Reach::Closed);
    out.sort_by(|a, b| (a.protocol, a.port, a.address, &a.to).cmp(&(b.protocol, b.port, b.address, &b.to)));
    out.dedup_by(|a, b| (a.protocol, a.port, a.address) == (b.protocol, b.port, b.address));
    out
}

fn publish(
    protocol: Protocol,
    (low, high): Range,
    sent: &[(Option<IpAddr>, Packet<'_>, Reach)],
    asked: usize,
    out: &mut Vec<Published>,
) {
    for port in (low..=high).take(usize::from(MOST_OF_ONE)) {
        let mut told: BTreeMap<String, Sent> = BTreeMap::new();
        for (address, packet, reach) in sent {
            let to = target(packet, low, port);
            // Sent alike from every address: then the address says nothing.
            let everywhere = sent.len() == asked && sent.iter().all(|(_, _, other)| other == reach);
            let address = address.filter(|_| !everywhere);
            told.insert(format!("{address:?}"), (address, to, reach.clone()));
        }
        for (address, to, reach) in told.into_values() {
            if out.len() < MOST {
                out.push(Published { protocol, port, address, to, reach });
            }
        }
    }
}

/// Where a packet to `port` goes, if one to `asked` went as this one.
fn target(packet: &Packet<'_>, asked: u16, port: u16) -> String {
    let inner = if packet.port == Some(asked) { Some(port) } else { packet.port };
    let inner = inner.map_or_else(|| "…".to_owned(), |port| port.to_string());
    match packet.destination {
        _ if packet.to_host == Some(true) => format!(":{inner}"),
        Some(IpAddr::V6(address)) => format!("[{address}]:{inner}"),
        Some(address) => format!("{address}:{inner}"),
        None => format!("…:{inner}"),
    }
}

/// The chains that a packet may meet where destinations are translated.
fn translating(rules: &Ruleset) -> Vec<&Chain> {
    let starts = rules
        .chains
        .iter()
        .filter(|(_, chain)| chain.base.as_ref().is_some_and(|base| base.nat && base.hook == Hook::Prerouting));
    let mut todo: Vec<ChainId> = starts.map(|(id, _)| id.clone()).collect();
    let (mut seen, mut out) = (BTreeSet::new(), Vec::new());
    while let Some(id) = todo.pop() {
        let Some(chain) = rules.chains.get(&id) else { continue };
        if !seen.insert(id.clone()) {
            continue;
        }
        out.push(chain);
        let mut names = Vec::new();
        chain.rules.iter().for_each(|rule| super::calls(&rule.action, &mut names));
        todo.extend(names.into_iter().map(|name| (id.0, id.1.clone(), name.clone())));
    }
    out
}

/// Ports that these chains name, cut wherever one of them may tell ports apart.
fn stretches(chains: &[&Chain], protocol: Protocol) -> Vec<Range> {
    let rules = || chains.iter().flat_map(|chain| &chain.rules);
    let of = |(of, _): &(Option<Protocol>, Range)| of.is_none_or(|of| of == protocol);
    let named = || rules().flat_map(port_ranges).filter(of).map(|(_, range)| range);
    let cuts = super::cuts(named());
    let narrow = |(low, high): &Range| high.saturating_sub(*low) < MOST_OF_ONE;
    let mut narrow: Vec<Range> = named().filter(narrow).collect();
    narrow.sort_unstable();
    narrow.dedup();
    let mut out = BTreeSet::new();
    for (low, high) in narrow {
        let mut from = low;
        for cut in cuts.range(low.saturating_add(1)..=high.max(low.saturating_add(1))).copied() {
            if cut > from && cut <= high {
                out.insert((from, cut - 1));
                from = cut;
            }
        }
        out.insert((from, high));
    }
    out.into_iter().collect()
}
