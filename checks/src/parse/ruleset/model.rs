//! Rules of both programs in one form.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::values::{Set, Span};
use crate::observation::socket::Protocol;

/// Ports from a first to a last.
pub type Range = (u16, u16);

/// A network: address and length of its prefix.
pub type Net = (IpAddr, u8);

/// What a condition is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// IPv4 or IPv6.
    Family,
    /// The transport protocol.
    Protocol,
    /// The sender's address, in a packet of this family.
    Source(Family),
    /// The address that the packet goes to now, in a packet of this family.
    Destination(Family),
    /// The sender's port, of this protocol or of any.
    SourcePort(Option<Protocol>),
    /// The port that the packet goes to now, of this protocol or of any.
    Port(Option<Protocol>),
    /// The flags of TCP.
    Flags,
    /// The interface that it came by.
    InInterface,
    /// The interface that it leaves by.
    OutInterface,
    /// The mark of the packet.
    Mark,
    /// The mark of the connection.
    ConnectionMark,
    /// The state of the connection, e.g. `new`.
    State,
    /// What was done to the connection, e.g. `dnat`.
    Status,
    /// Both, in nftables' bits: those of the state beside those of the status.
    States,
    /// The address that the sender named.
    OriginalDestination(Family),
    /// The port that the sender named.
    OriginalPort,
    /// The sender's address before it was translated.
    OriginalSource(Family),
    /// Which way the packet goes on its connection.
    Direction,
    /// What kind of address it goes to, as the routes say: `local`.
    DestinationType,
    /// What kind of address it comes from, as the routes say.
    SourceType,
    /// Whether an answer would leave by the interface that the packet came by.
    ReverseRoute,
    /// The user whose socket sends it.
    Owner,
    /// To one host, to a group or to all.
    PacketType,
    /// Whether it has what plain packets lack: IPsec, headers of extensions.
    Extra,
    /// What no packet in question has: ICMP types, other protocols.
    Missing,
    /// What is not modelled, in the program's words.
    Other(String),
}

/// A field, or some bits of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// What it is about.
    pub field: Field,
    /// Only these bits.
    pub mask: Option<u128>,
}

impl From<Field> for Key {
    fn from(field: Field) -> Self {
        Self { field, mask: None }
    }
}

/// What a rule asks of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Never holds for the packet in question.
    Never,
    /// Depends on what is not modelled, in the program's words.
    Perhaps(String),
    /// Holds now and then: rates, chance.
    Sometimes,
    /// The fields together are a member of the set, or are not.
    Is(Vec<Key>, Arc<Set>, bool),
    /// The same for a set of that name in the same table; none is left once all was read.
    Named(Vec<Key>, String, bool),
}

impl Test {
    /// The field is one of these, or none of them.
    pub fn is(field: Field, spans: impl IntoIterator<Item = Span>, negated: bool) -> Self {
        let set = Set::of(spans.into_iter().map(|span| vec![span]));
        Self::Is(vec![field.into()], Arc::new(set), negated)
    }

    /// The destination port is one of these, or is none of them; of this protocol, or of any.
    pub fn ports(protocol: Option<Protocol>, ranges: &[Range], negated: bool) -> Self {
        let spans = ranges.iter().map(|(low, high)| Span::Range(u128::from(*low), u128::from(*high)));
        Self::is(Field::Port(protocol), spans, negated)
    }

    /// The source lies in this network, or does not.
    pub fn source(net: Net, negated: bool) -> Self {
        Self::is(Field::Source(Family::of(net.0)), [Span::net(net)], negated)
    }

    /// The destination lies in this network, or does not.
    pub fn destination(net: Net, negated: bool) -> Self {
        Self::is(Field::Destination(Family::of(net.0)), [Span::net(net)], negated)
    }

    /// The destination is the host itself, or is not.
    pub fn to_host(negated: bool) -> Self {
        Self::is(Field::DestinationType, [Span::word("local")], negated)
    }

    /// The user whose socket sends it is one of these, or none of them.
    pub fn owner(users: &[(u32, u32)], negated: bool) -> Self {
        let spans = users.iter().map(|(low, high)| Span::Range(u128::from(*low), u128::from(*high)));
        Self::is(Field::Owner, spans, negated)
    }
}

/// Which mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkOf {
    /// The packet's.
    Packet,
    /// The connection's.
    Connection,
}

/// A new mark: some bits of an old one kept, some turned over. None: in a way that is not modelled.
pub type NewMark = Option<(MarkOf, u32, u32)>;

/// What a rule consists of, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Must hold for the rest to be looked at.
    Test(Test),
    /// Marks.
    Mark(MarkOf, NewMark),
    /// The connection is not to be tracked.
    Untrack,
}

/// Where a translated packet goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To this address, and this port where one is given.
    To(IpAddr, Option<u16>),
    /// To this port of the same address.
    Port(u16),
    /// To the host itself, and this port where one is given.
    Here(Option<u16>),
    /// By a table of keys.
    Map(Vec<Key>, Cases),
    /// In a way that is not modelled.
    Unknown,
}

/// What a map says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Case {
    /// A verdict.
    Verdict(Action),
    /// Data: addresses, ports.
    Data(Vec<Span>),
}

/// The rows of a map.
pub type Rows = Vec<(Vec<Span>, Case)>;

/// A map, or its name in the same table until all was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cases {
    /// The rows.
    Here(Arc<Rows>),
    /// Its name.
    Named(String),
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Lets the packet pass, as far as this chain goes.
    Accept,
    /// Drops or rejects it.
    Drop,
    /// Goes on with the chain that called.
    Return,
    /// Asks another chain and comes back.
    Jump(String),
    /// Asks another chain and comes back to the caller's caller.
    Goto(String),
    /// Sends it elsewhere.
    Translate(Target),
    /// Counts, logs, marks: the next rule follows.
    Nothing,
    /// Does what is not modelled, in the program's words.
    Opaque(String),
    /// One of several, by these fields.
    Map(Vec<Key>, Cases),
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// In their order.
    pub parts: Vec<Part>,
    /// What happens where all of it holds.
    pub action: Action,
    /// How its program tells it from others: a handle of nft, a line of iptables-save.
    pub at: u64,
}

impl Rule {
    /// A rule of tests alone.
    pub fn of(tests: Vec<Test>, action: Action) -> Self {
        Self { parts: tests.into_iter().map(Part::Test).collect(), action, at: 0 }
    }
}

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// `ip`
    V4,
    /// `ip6`
    V6,
    /// `inet`
    Both,
    /// `netdev`
    Device,
    /// `bridge`
    Bridge,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// nft's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::V4 => "ip",
            Self::V6 => "ip6",
            Self::Both => "inet",
            Self::Device => "netdev",
            Self::Bridge => "bridge",
        }
    }
}

/// Where the kernel enters a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// As it comes from the interface.
    Ingress,
    /// Before routing.
    Prerouting,
    /// To the host itself.
    Input,
    /// Through the host.
    Forward,
    /// From the host's own processes.
    Output,
    /// After routing.
    Postrouting,
    /// As it goes to the interface.
    Egress,
}

/// How a chain hangs in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Where.
    pub hook: Hook,
    /// Lower ones come first.
    pub priority: i64,
    /// Whether it translates addresses: then it sees the first packet of a connection only.
    pub nat: bool,
    /// Only these interfaces (ingress and egress).
    pub devices: Vec<String>,
}

impl Base {
    /// A chain that filters.
    pub fn filter(hook: Hook, priority: i64) -> Self {
        Self { hook, priority, nat: false, devices: Vec::new() }
    }
}

/// A chain's full name: family, table, chain.
pub type ChainId = (Family, String, String);

/// A chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// How it hangs in the kernel; None for a chain that others jump to.
    pub base: Option<Base>,
    /// Whether its policy is to drop.
    pub drops: bool,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// Its place among all that were read: of equal priority, the younger comes first.
    pub order: usize,
}

/// All chains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// By full name.
    pub chains: BTreeMap<ChainId, Chain>,
}
