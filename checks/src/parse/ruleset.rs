//! Packet filter rules in one form for nftables and iptables, and what they do with a new connection from outside.
//!
//! The question is asked for one packet, the first of a connection, along its whole way: before routing, where its destination may be
//! translated, and then to this host or through it; and for another, which a local user sends to the metadata service. Every
//! way that it may take is followed. Where one is open only if a rule that is not understood means one thing and not the other,
//! the answer is that rule.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::observation::firewall::{Asked, Firewall, MetadataUsers, Network, PortRule, Reach};
use crate::observation::socket::Protocol;

mod model;
mod packet;
mod path;
mod published;
mod values;
mod walk;

pub use model::{
    Action, Base, Case, Cases, Chain, ChainId, Family, Field, Hook, Key, MarkOf, Net, NewMark, Part, Range, Rows, Rule,
    Ruleset, Target, Test,
};
pub use values::{Set, Span};

use packet::{Device, Packet, Sender};
use path::Paths;

/// Chains called by chains called by …: the kernel allows 16 (`NFT_JUMP_STACK_SIZE`).
const DEPTH: usize = 16;
/// Rules looked at for one packet in one hook: a rule set that needs more is not judged.
const STEPS: usize = 100_000;
/// The same for all packets of one question: listeners, published ports, users, every port. A host that publishes three thousand
/// ports takes nine million.
const STEPS_FOR_LISTENERS: usize = 5_000_000;
const STEPS_FOR_PUBLISHED: usize = 20_000_000;
const STEPS_FOR_USERS: usize = 1_000_000;
const STEPS_FOR_PORTS: usize = 2_000_000;
/// Addresses of the host that are asked for.
const MOST_ADDRESSES: usize = 8;

/// Whether a test holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It does not.
    No,
    /// Not told.
    Perhaps,
    /// Now and then: who tries again meets both.
    Sometimes,
    /// It does.
    Yes,
}

/// Where the metadata service answers.
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200));
/// More users than anybody names one by one: that is everybody.
const MANY: u32 = 2000;

fn contains((net, length): Net, address: IpAddr) -> bool {
    match (net, address) {
        (IpAddr::V4(net), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(length))).unwrap_or(0);
            net.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(net), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(length))).unwrap_or(0);
            net.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}

/// A place where packets from outside arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Arrival<'n> {
    v6: bool,
    interface: Device<'n>,
    address: Option<IpAddr>,
}

impl<'n> Arrival<'n> {
    fn packet(&self, protocol: Protocol, port: u16, sender: Sender) -> Packet<'n> {
        let packet = Packet::outside(protocol, port, self.v6, sender);
        Packet { came_by: self.interface, destination: self.address, ..packet }
    }

    /// Every one of the host; where its network is not known, one of each family.
    fn all(network: &'n Network) -> Vec<Self> {
        let arrives = |name: &String| network.arrivals.contains(name);
        let reachable = |address: &IpAddr| match address {
            IpAddr::V4(address) => !address.is_link_local(),
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        };
        let known = network.addresses.iter().filter(|(name, address)| arrives(name) && reachable(address));
        let known = known.map(|(name, address)| Self {
            v6: address.is_ipv6(),
            interface: Device::Named(name),
            address: Some(*address),
        });
        let known: Vec<Self> = known.take(MOST_ADDRESSES).collect();
        if !known.is_empty() {
            return known;
        }
        [false, true].map(|v6| Self { v6, interface: Device::Foreign, address: None }).to_vec()
    }
}

impl Ruleset {
    /// What the rules let in and publish, on a host whose network is not known.
    pub fn judge(&self, source: &'static str) -> Firewall {
        self.judge_on(source, &Network::default(), &[])
    }

    /// What the rules of this host let in, publish, and let come to these listeners.
    pub fn judge_on(&self, source: &'static str, network: &Network, listeners: &[(Protocol, IpAddr, u16)]) -> Firewall {
        let arrivals = Arrival::all(network);
        let mut paths = Paths::new(self, network, STEPS_FOR_LISTENERS);
        let listeners = listeners.iter().map(|(protocol, address, port)| {
            let reach = listening(&mut paths, &arrivals, *protocol, *address, *port);
            Asked { protocol: *protocol, address: *address, port: *port, reach }
        });
        let listeners = listeners.collect();
        paths.left = STEPS_FOR_PUBLISHED;
        let published = published::published(self, &mut paths, &arrivals);
        paths.left = STEPS_FOR_USERS;
        let metadata = self.metadata(&mut paths);
        paths.left = STEPS_FOR_PORTS;
        let filters_input = self.can_drop(&[Hook::Ingress, Hook::Prerouting, Hook::Input]);
        let mut firewall = Firewall { filters_input, published, listeners, metadata, source, ..Firewall::default() };
        self.port_by_port(&mut paths, &arrivals, &mut firewall);
        firewall
    }

    /// What becomes of the first packet of a connection from that address to this one: of the host, or of somebody behind it.
    pub fn reach(&self, network: &Network, protocol: Protocol, from: IpAddr, to: IpAddr, port: u16) -> Reach {
        let arrivals = Arrival::all(network);
        let interface = arrivals.iter().find(|arrival| arrival.address == Some(to));
        let Some(arrival) = interface.or(arrivals.first()) else { return Reach::Closed };
        let arrival = Arrival { v6: to.is_ipv6(), address: Some(to), ..*arrival };
        let mut paths = Paths::new(self, network, STEPS_FOR_LISTENERS);
        let packet = arrival.packet(protocol, port, Sender::Address(from));
        paths.incoming(Packet { to_host: network.owns(to).or(packet.to_host), ..packet }).reach()
    }

    /// Fills in what becomes of packets to every port.
    fn port_by_port<'r>(&'r self, paths: &mut Paths<'r>, arrivals: &[Arrival<'r>], firewall: &mut Firewall) {
        let mut accepts = |protocol, port, sender| {
            let mut fates = arrivals.iter().map(|arrival| paths.incoming(arrival.packet(protocol, port, sender)));
            let first = fates.next().and_then(|fate| fate.certain());
            fates.fold(first, |said, fate| said.filter(|_| said == fate.certain()))
        };
        let mut defaults = Vec::new();
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let starts = self.starts(protocol);
            let default = self.unnamed(protocol).unwrap_or(u16::MAX);
            let default = accepts(protocol, default, Sender::Anybody);
            defaults.push(default);
            let ends = starts.iter().skip(1).map(|next| next - 1).chain([u16::MAX]);
            for (&low, high) in starts.iter().zip(ends) {
                let accepts_any = accepts(protocol, low, Sender::Anybody);
                if accepts_any.is_none() && accepts(protocol, low, Sender::Stranger) == Some(false) {
                    firewall.closed.push((protocol, low, high));
                }
                if accepts_any == default {
                    continue;
                }
                let ports = &mut firewall.ports;
                match ports.last_mut().filter(|last| (last.protocol, last.accepts_any) == (protocol, accepts_any)) {
                    Some(last) if last.high.checked_add(1) == Some(low) => last.high = high,
                    _ => ports.push(PortRule { protocol, low, high, accepts_any }),
                }
            }
        }
        // TCP and UDP may differ in what they do by default: then the rarer one is told port by port.
        firewall.default_accepts = defaults.first().copied().flatten();
        if let Some(udp) = defaults.get(1).filter(|udp| **udp != firewall.default_accepts) {
            fill(&mut firewall.ports, *udp);
        }
    }

    /// Whether any rule or policy that a packet of these hooks may meet can drop it.
    fn can_drop(&self, hooks: &[Hook]) -> bool {
        let (mut todo, mut seen) = (Vec::new(), BTreeSet::new());
        todo.extend(
            self.chains
                .iter()
                .filter(|(_, chain)| chain.base.as_ref().is_some_and(|base| hooks.contains(&base.hook)))
                .map(|(id, _)| id.clone()),
        );
        while let Some(id) = todo.pop() {
            let Some(chain) = self.chains.get(&id) else { return true };
            if chain.drops || chain.rules.iter().any(|rule| drops(&rule.action)) {
                return true;
            }
            let mut names = Vec::new();
            chain.rules.iter().for_each(|rule| calls(&rule.action, &mut names));
            let called = names.into_iter().map(|name| (id.0, id.1.clone(), name.clone()));
            todo.extend(called.filter(|id| seen.insert(id.clone())));
        }
        false
    }

    /// Who may connect to the metadata service: asked for every user whom a rule tells from the next.
    fn metadata<'r>(&'r self, paths: &mut Paths<'r>) -> MetadataUsers {
        if !self.can_drop(&[Hook::Output, Hook::Postrouting]) {
            return MetadataUsers::Everybody;
        }
        let tests = self.chains.values().flat_map(|chain| &chain.rules).flat_map(|rule| &rule.parts);
        let mut starts = BTreeSet::from([0_u32]);
        for part in tests {
            let Part::Test(Test::Is(keys, set, _)) = part else { continue };
            let Some(place) = keys.iter().position(|key| key.field == Field::Owner) else { continue };
            for (low, high) in set.at(place) {
                starts.extend(u32::try_from(low));
                starts.extend(u32::try_from(high).ok().and_then(|high| high.checked_add(1)));
            }
        }
        let ends = starts.iter().skip(1).map(|next| next - 1).chain([u32::MAX]);
        let mut only = Vec::new();
        for (&low, high) in starts.iter().zip(ends) {
            let packet = Packet::outside(Protocol::Tcp, 80, false, Sender::User(low));
            let packet = Packet {
                destination: Some(METADATA),
                came_by: Device::Nowhere,
                leaves_by: Device::Foreign,
                to_host: Some(false),
                ..packet
            };
            match paths.outgoing(packet).certain() {
                None => return MetadataUsers::Unknown,
                Some(false) => {}
                // Whoever no rule names is in the last stretch.
                Some(true) if high - low >= MANY => return MetadataUsers::Everybody,
                Some(true) => only.extend(low..=high),
            }
        }
        MetadataUsers::Only(only)
    }

    fn ranges(&self) -> impl Iterator<Item = (Option<Protocol>, Range)> {
        self.chains.values().flat_map(|chain| &chain.rules).flat_map(port_ranges)
    }

    /// The highest port in no range that a rule names: it stands for all others.
    fn unnamed(&self, protocol: Protocol) -> Option<u16> {
        let named = self.ranges().filter(|(of, (low, high))| low <= high && of.is_none_or(|of| of == protocol));
        let mut named: Vec<Range> = named.map(|(_, range)| range).collect();
        named.sort_by_key(|(_, high)| std::cmp::Reverse(*high));
        let mut port = u16::MAX;
        for (low, high) in named {
            if high < port {
                break;
            }
            port = port.min(low.checked_sub(1)?);
        }
        (port > 0).then_some(port)
    }

    /// Where the answer may change: the first port of every stretch.
    fn starts(&self, protocol: Protocol) -> Vec<u16> {
        let named = self.ranges().filter(|(of, _)| of.is_none_or(|of| of == protocol));
        cuts(named.map(|(_, range)| range)).into_iter().collect()
    }
}

/// What becomes of a stranger's packet to a listener, at every address that it takes.
fn listening<'r>(
    paths: &mut Paths<'r>,
    arrivals: &[Arrival<'r>],
    protocol: Protocol,
    address: IpAddr,
    port: u16,
) -> Reach {
    let fits = |arrival: &&Arrival<'r>| match address {
        IpAddr::V4(any) if any.is_unspecified() => !arrival.v6,
        // One that takes IPv6 alone is asked about IPv4, too: there it hears nothing, and the answer is the rules'.
        IpAddr::V6(any) if any.is_unspecified() => true,
        address => arrival.address.is_none_or(|own| own == address) && arrival.v6 == address.is_ipv6(),
    };
    let mut said = Reach::Closed;
    let mut asked = false;
    for arrival in arrivals.iter().filter(fits) {
        asked = true;
        let reach = paths.incoming(arrival.packet(protocol, port, Sender::Stranger)).reach();
        said = said.or(reach);
    }
    // An address of an interface that the internet does not come in by: it may, from beside.
    if !asked {
        let arrival = Arrival { v6: address.is_ipv6(), interface: Device::Foreign, address: Some(address) };
        return paths.incoming(arrival.packet(protocol, port, Sender::Stranger)).reach();
    }
    said
}

fn drops(action: &Action) -> bool {
    match action {
        Action::Drop | Action::Opaque(_) => true,
        Action::Map(_, Cases::Here(rows)) => {
            rows.iter().any(|(_, case)| matches!(case, Case::Verdict(action) if drops(action)))
        }
        Action::Map(..) => true,
        _ => false,
    }
}

/// The chains that an action goes on in.
fn calls<'a>(action: &'a Action, out: &mut Vec<&'a String>) {
    match action {
        Action::Jump(name) | Action::Goto(name) => out.push(name),
        Action::Map(_, Cases::Here(rows)) => {
            for (_, case) in rows.iter() {
                if let Case::Verdict(action) = case {
                    calls(action, out);
                }
            }
        }
        _ => {}
    }
}

/// The ports that a rule tells from others.
fn port_ranges(rule: &Rule) -> Vec<(Option<Protocol>, Range)> {
    let mut out = Vec::new();
    let place = |keys: &[Key]| {
        let of = |key: &Key| match &key.field {
            Field::Port(protocol) => Some(*protocol),
            Field::OriginalPort => Some(None),
            _ => None,
        };
        keys.iter().enumerate().find_map(|(place, key)| of(key).map(|protocol| (place, protocol)))
    };
    let range =
        |(low, high): (u128, u128)| (u16::try_from(low).unwrap_or(u16::MAX), u16::try_from(high).unwrap_or(u16::MAX));
    for part in &rule.parts {
        if let Part::Test(Test::Is(keys, set, _)) = part
            && let Some((place, protocol)) = place(keys)
        {
            out.extend(set.at(place).map(|span| (protocol, range(span))));
        }
    }
    let map = match &rule.action {
        Action::Map(keys, Cases::Here(rows)) | Action::Translate(Target::Map(keys, Cases::Here(rows))) => {
            place(keys).map(|place| (place, rows))
        }
        _ => None,
    };
    if let Some(((place, protocol), rows)) = map {
        out.extend(rows.iter().filter_map(|(row, _)| match row.get(place) {
            Some(Span::Range(low, high)) => Some((protocol, range((*low, *high)))),
            _ => None,
        }));
    }
    out
}

/// Every port from which on the answer may be another.
fn cuts(named: impl Iterator<Item = Range>) -> BTreeSet<u16> {
    let mut cuts = BTreeSet::from([0]);
    for (low, high) in named {
        cuts.insert(low);
        cuts.extend(high.checked_add(1));
    }
    cuts
}

/// Stretches of UDP ports that no entry names, where UDP's default is not TCP's.
fn fill(ports: &mut Vec<PortRule>, accepts_any: Option<bool>) {
    let named: Vec<Range> =
        ports.iter().filter(|rule| rule.protocol == Protocol::Udp).map(|rule| (rule.low, rule.high)).collect();
    let mut next = 0_u32;
    for (low, high) in named.into_iter().map(|(low, high)| (u32::from(low), u32::from(high))).chain([(65_536, 65_536)])
    {
        if let (Ok(from), Ok(to)) = (u16::try_from(next), u16::try_from(low.saturating_sub(1)))
            && next < low
        {
            ports.push(PortRule { protocol: Protocol::Udp, low: from, high: to, accepts_any });
        }
        next = high + 1;
    }
    ports.sort_by_key(|rule| (rule.protocol, rule.low));
}

/// Names of sets and maps in place of what they hold, once all were read.
pub(super) struct Names {
    /// Sets, by family, table and name.
    pub(super) sets: BTreeMap<ChainId, std::sync::Arc<Set>>,
    /// Maps.
    pub(super) maps: BTreeMap<ChainId, std::sync::Arc<Rows>>,
}

impl Names {
    /// Puts the sets and maps in.
    pub(super) fn resolve(&self, rules: &mut Ruleset) {
        for (id, chain) in &mut rules.chains {
            let named = |name: &String| (id.0, id.1.clone(), name.clone());
            for rule in &mut chain.rules {
                for part in &mut rule.parts {
                    if let Part::Test(Test::Named(keys, name, negated)) = part
                        && let Some(set) = self.sets.get(&named(name))
                    {
                        *part = Part::Test(Test::Is(std::mem::take(keys), set.clone(), *negated));
                    }
                }
                let cases = match &mut rule.action {
                    Action::Map(_, cases) | Action::Translate(Target::Map(_, cases)) => cases,
                    _ => continue,
                };
                if let Cases::Named(name) = cases
                    && let Some(rows) = self.maps.get(&named(name))
                {
                    *cases = Cases::Here(rows.clone());
                }
            }
        }
    }
}
