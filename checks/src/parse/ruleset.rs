//! Packet filter rules in one form for nftables and iptables, and what they do with a new connection from outside.
//!
//! The question is asked for one packet: the first of a connection, from any address, through an interface that is not
//! loopback, to one of the host's own addresses; and for another, which a local user sends to the metadata service. A condition
//! that depends on anything else holds perhaps; a packet passes or not only where every way through the rules says the same.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use crate::observation::firewall::{Firewall, MetadataUsers, PortRule};
use crate::observation::socket::Protocol;

mod model;
mod published;

pub use model::{Action, Chain, ChainId, Family, Hook, Net, Range, Rule, Ruleset, Test};

/// Chains called by chains called by …: the kernel allows 16 (`NFT_JUMP_STACK_SIZE`).
const DEPTH: usize = 16;
/// Rules looked at for one port, and for all: a rule set that needs more is not judged.
const STEPS: usize = 100_000;
const ALL_STEPS: usize = 5_000_000;

/// What may become of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fate {
    accept: bool,
    drop: bool,
}

#[derive(Clone, Copy)]
struct Packet {
    protocol: Protocol,
    port: u16,
    /// Who sends it to the metadata service; None: somebody outside, to this host.
    sender: Option<u32>,
    /// Whether it comes from an address that no rule names; else from any.
    stranger: bool,
}

impl Packet {
    fn any(protocol: Protocol, port: u16) -> Self {
        Self { protocol, port, sender: None, stranger: false }
    }

    fn stranger(protocol: Protocol, port: u16) -> Self {
        Self { stranger: true, ..Self::any(protocol, port) }
    }
}

/// A network this wide or wider names nobody: bits of its prefix for IPv4 and IPv6.
const WIDE: (u8, u8) = (7, 15);

/// Where the metadata service answers.
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200));
/// More users than anybody names one by one: that is everybody.
const MANY: u32 = 2000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    No,
    Perhaps,
    Yes,
}

impl Rule {
    fn holds(&self, packet: Packet) -> Holds {
        let mut holds = Holds::Yes;
        for test in &self.tests {
            match test.holds(packet) {
                Holds::No => return Holds::No,
                Holds::Perhaps => holds = Holds::Perhaps,
                Holds::Yes => {}
            }
        }
        holds
    }
}

impl Test {
    fn holds(&self, packet: Packet) -> Holds {
        let sure = |holds: bool| if holds { Holds::Yes } else { Holds::No };
        match self {
            Self::Never => Holds::No,
            Self::Perhaps => Holds::Perhaps,
            Self::Destination(nets, negated) => match packet.sender {
                Some(_) => sure(nets.iter().any(|net| contains(*net, METADATA)) != *negated),
                None => Holds::Perhaps,
            },
            Self::Source(nets, negated) => {
                let wide = |(net, length): &Net| match net {
                    IpAddr::V4(_) => *length <= WIDE.0,
                    // Unique local addresses are no strangers, however many they are.
                    IpAddr::V6(net) => *length <= WIDE.1 && !(*length >= 7 && net.is_unique_local()),
                };
                if !packet.stranger || nets.iter().any(wide) { Holds::Perhaps } else { sure(*negated) }
            }
            Self::ToHost(negated) => sure(packet.sender.is_none() != *negated),
            Self::Owner(users, negated) => match packet.sender {
                Some(uid) => sure(users.iter().any(|(low, high)| (*low..=*high).contains(&uid)) != *negated),
                None => Holds::Perhaps,
            },
            Self::Protocols(these, negated) => sure(these.contains(&packet.protocol) != *negated),
            Self::Ports(protocol, ranges, negated) => sure(
                protocol.is_none_or(|protocol| protocol == packet.protocol)
                    && (within(ranges, packet.port) != *negated),
            ),
        }
    }
}

fn within(ranges: &[Range], port: u16) -> bool {
    ranges.iter().any(|(low, high)| (*low..=*high).contains(&port))
}

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

/// One walk of a packet through the chains.
struct Walk<'r> {
    rules: &'r Ruleset,
    fate: Fate,
    steps: usize,
}

impl Walk<'_> {
    /// Passes a chain; true where the packet may come back from it undecided.
    fn chain(&mut self, id: &ChainId, packet: Packet, depth: usize) -> bool {
        let Some(chain) = self.rules.chains.get(id).filter(|_| depth < DEPTH) else {
            // A chain that is not there: whatever it would say.
            self.fate = Fate { accept: true, drop: true };
            return true;
        };
        let mut back = false;
        for rule in &chain.rules {
            self.steps += 1;
            if self.steps > STEPS {
                self.fate = Fate { accept: true, drop: true };
                return true;
            }
            let holds = rule.holds(packet);
            if holds == Holds::No {
                continue;
            }
            let passes = self.act(&rule.action, id, packet, depth);
            back |= passes == Passes::Back;
            if passes != Passes::On && holds == Holds::Yes {
                return back;
            }
        }
        true
    }

    fn act(&mut self, action: &Action, id: &ChainId, packet: Packet, depth: usize) -> Passes {
        let other = |name: &String| (id.0, id.1.clone(), name.clone());
        match action {
            Action::Nothing | Action::Translate(_) => Passes::On,
            Action::Accept => {
                self.fate.accept = true;
                Passes::Ends
            }
            Action::Drop => {
                self.fate.drop = true;
                Passes::Ends
            }
            Action::Opaque => {
                self.fate = Fate { accept: true, drop: true };
                Passes::Ends
            }
            Action::Return => Passes::Back,
            Action::Jump(name) if self.chain(&other(name), packet, depth + 1) => Passes::On,
            Action::Goto(name) if self.chain(&other(name), packet, depth + 1) => Passes::Back,
            Action::Jump(_) | Action::Goto(_) => Passes::Ends,
            Action::ByPort(protocol, cases) => {
                let right = protocol.is_none_or(|protocol| protocol == packet.protocol);
                let case = cases.iter().find(|(ranges, _)| right && within(ranges, packet.port));
                case.map_or(Passes::On, |(_, action)| self.act(action, id, packet, depth + 1))
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Passes {
    /// The next rule follows.
    On,
    /// The calling chain goes on.
    Back,
    /// Decided.
    Ends,
}

impl Ruleset {
    /// What the rules let in and publish.
    pub fn judge(&self, source: &'static str) -> Firewall {
        let filters_input = self.can_drop(Hook::Input);
        let mut steps = 0;
        let mut ports: Vec<PortRule> = Vec::new();
        let (mut defaults, mut closed) = (Vec::new(), Vec::new());
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let starts = self.starts(protocol);
            let default = self.unnamed(protocol).unwrap_or(u16::MAX);
            let default = self.accepts(Packet::any(protocol, default), &mut steps);
            defaults.push(default);
            let ends = starts.iter().skip(1).map(|next| next - 1).chain([u16::MAX]);
            for (&low, high) in starts.iter().zip(ends) {
                let accepts_any = self.accepts(Packet::any(protocol, low), &mut steps);
                if accepts_any.is_none() && self.accepts(Packet::stranger(protocol, low), &mut steps) == Some(false) {
                    closed.push((protocol, low, high));
                }
                if accepts_any == default {
                    continue;
                }
                match ports.last_mut().filter(|last| (last.protocol, last.accepts_any) == (protocol, accepts_any)) {
                    Some(last) if last.high.checked_add(1) == Some(low) => last.high = high,
                    _ => ports.push(PortRule { protocol, low, high, accepts_any }),
                }
            }
        }
        // TCP and UDP may differ in what they do by default: then the rarer one is told port by port.
        let default_accepts = defaults.first().copied().flatten();
        if let Some(udp) = defaults.get(1).filter(|udp| **udp != default_accepts) {
            fill(&mut ports, *udp);
        }
        let (mut published, metadata) = (self.published(), self.metadata());
        published.retain(|published| {
            let packet = Packet::stranger(published.protocol, published.port);
            let families = match published.address {
                Some(IpAddr::V4(_)) => &[Family::V4][..],
                Some(IpAddr::V6(_)) => &[Family::V6],
                None => &[Family::V4, Family::V6],
            };
            families.iter().any(|family| self.passes(Hook::Early, *family, packet, &mut steps) != Some(false))
        });
        Firewall { filters_input, ports, default_accepts, closed, published, metadata, source }
    }

    /// Whether any rule or policy that a packet of this hook may meet can drop it.
    fn can_drop(&self, hook: Hook) -> bool {
        let drops = |action: &Action| match action {
            Action::Drop | Action::Opaque => true,
            Action::ByPort(_, cases) => cases.iter().any(|(_, action)| *action == Action::Drop),
            _ => false,
        };
        let (mut todo, mut seen) = (Vec::new(), BTreeSet::new());
        todo.extend(
            self.chains
                .iter()
                .filter(|(_, chain)| chain.hook.is_some_and(|of| of.meets(hook)))
                .map(|(id, _)| id.clone()),
        );
        while let Some(id) = todo.pop() {
            let Some(chain) = self.chains.get(&id) else { return true };
            if chain.drops || chain.rules.iter().any(|rule| drops(&rule.action)) {
                return true;
            }
            let called = |name: &String| (id.0, id.1.clone(), name.clone());
            let calls = chain.rules.iter().flat_map(|rule| calls(&rule.action)).map(called);
            todo.extend(calls.filter(|id| seen.insert(id.clone())));
        }
        false
    }

    /// Who may connect to the metadata service: asked for every user whom a rule tells from the next.
    fn metadata(&self) -> MetadataUsers {
        if !self.can_drop(Hook::Output) {
            return MetadataUsers::Everybody;
        }
        let named = self.chains.values().flat_map(|chain| &chain.rules).flat_map(|rule| &rule.tests);
        let ranges = named.filter_map(|test| match test {
            Test::Owner(ranges, _) => Some(ranges),
            _ => None,
        });
        let mut starts = BTreeSet::from([0_u32]);
        for (low, high) in ranges.flatten() {
            starts.insert(*low);
            starts.extend(high.checked_add(1));
        }
        let ends = starts.iter().skip(1).map(|next| next - 1).chain([u32::MAX]);
        let (mut only, mut steps) = (Vec::new(), 0);
        for (&low, high) in starts.iter().zip(ends) {
            let packet = Packet { sender: Some(low), ..Packet::any(Protocol::Tcp, 80) };
            match self.passes(Hook::Output, Family::V4, packet, &mut steps) {
                None => return MetadataUsers::Unknown,
                Some(false) => {}
                // Whoever no rule names is in the last stretch.
                Some(true) if high - low >= MANY => return MetadataUsers::Everybody,
                Some(true) => only.extend(low..=high),
            }
        }
        MetadataUsers::Only(only)
    }

    /// Whether both families let the packet in. None: it depends.
    fn accepts(&self, packet: Packet, steps: &mut usize) -> Option<bool> {
        let v4 = self.passes(Hook::Input, Family::V4, packet, steps);
        let v6 = self.passes(Hook::Input, Family::V6, packet, steps);
        v4.filter(|_| v4 == v6)
    }

    /// Whether the packet passes every chain of a hook. None: it depends.
    fn passes(&self, hook: Hook, family: Family, packet: Packet, steps: &mut usize) -> Option<bool> {
        let mut total = Fate { accept: true, drop: false };
        for (id, chain) in &self.chains {
            if !chain.hook.is_some_and(|of| of.meets(hook)) || (id.0 != family && id.0 != Family::Both) {
                continue;
            }
            if *steps > ALL_STEPS {
                return None;
            }
            let mut walk = Walk { rules: self, fate: Fate::default(), steps: 0 };
            if walk.chain(id, packet, 0) {
                walk.fate.accept |= !chain.drops;
                walk.fate.drop |= chain.drops;
            }
            *steps += walk.steps;
            // Every chain on the way must let it pass.
            total = Fate { accept: total.accept && walk.fate.accept, drop: total.drop || walk.fate.drop };
        }
        match total {
            Fate { accept: true, drop: false } => Some(true),
            Fate { accept: false, drop: true } => Some(false),
            _ => None,
        }
    }

    fn ranges(&self) -> impl Iterator<Item = (Option<Protocol>, Range)> {
        let rules = self.chains.values().flat_map(|chain| &chain.rules);
        rules.flat_map(|rule| {
            let tests = rule.tests.iter().flat_map(|test| match test {
                Test::Ports(protocol, ranges, _) => ranges.iter().map(|range| (*protocol, *range)).collect(),
                _ => Vec::new(),
            });
            let cases = match &rule.action {
                Action::ByPort(protocol, cases) => {
                    cases.iter().flat_map(|(ranges, _)| ranges.iter().map(|range| (*protocol, *range))).collect()
                }
                _ => Vec::new(),
            };
            tests.chain(cases).collect::<Vec<_>>()
        })
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
        let mut starts = BTreeSet::from([0]);
        for (_, (low, high)) in self.ranges().filter(|(of, _)| of.is_none_or(|of| of == protocol)) {
            starts.insert(low);
            starts.extend(high.checked_add(1));
        }
        starts.into_iter().collect()
    }
}

/// The chains that an action goes on in.
fn calls(action: &Action) -> Vec<&String> {
    match action {
        Action::Jump(name) | Action::Goto(name) => vec![name],
        Action::ByPort(_, cases) => cases.iter().flat_map(|(_, action)| calls(action)).collect(),
        _ => Vec::new(),
    }
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
