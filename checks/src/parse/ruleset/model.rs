//! Rules of both programs in one form.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::observation::socket::Protocol;

/// Ports from a first to a last.
pub type Range = (u16, u16);

/// A network: address and length of its prefix.
pub type Net = (IpAddr, u8);

/// What a rule asks of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Never holds for the packet in question, e.g. `ct state established`, `iif lo`.
    Never,
    /// Depends on what is not modelled: source, interface, mark, rate.
    Perhaps,
    /// The transport protocol is one of these, or is none of them.
    Protocols(Vec<Protocol>, bool),
    /// The destination port is one of these, or is none of them; of this protocol, or of any.
    Ports(Option<Protocol>, Vec<Range>, bool),
    /// The destination lies in one of these networks, or in none of them.
    Destination(Vec<Net>, bool),
    /// The source lies in one of these networks, or in none of them.
    Source(Vec<Net>, bool),
    /// The destination is the host itself, or is not.
    ToHost(bool),
    /// The user whose socket sends it is one of these, or none of them.
    Owner(Vec<(u32, u32)>, bool),
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Lets the packet in, as far as this hook goes.
    Accept,
    /// Drops or rejects it.
    Drop,
    /// Goes on with the chain that called.
    Return,
    /// Asks another chain and comes back.
    Jump(String),
    /// Asks another chain and comes back to the caller's caller.
    Goto(String),
    /// Sends it elsewhere: address and port, as far as they are told.
    Translate(String),
    /// Counts, logs, marks: the next rule follows.
    Nothing,
    /// Ends in a way that is not modelled.
    Opaque,
    /// One of several, by destination port.
    ByPort(Option<Protocol>, Vec<(Vec<Range>, Action)>),
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// All must hold.
    pub tests: Vec<Test>,
    /// What then happens.
    pub action: Action,
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
}

/// Where the kernel enters a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Decides on packets before their destination is translated, whomever they then go to.
    Early,
    /// Decides on packets to the host itself, before or after routing.
    Input,
    /// Translates destinations before routing.
    Translation,
    /// Decides on packets that the host's own processes send, before or after routing.
    Output,
}

impl Hook {
    /// Whether a packet that is asked about at `hook` comes through a chain of this one.
    pub(super) fn meets(self, hook: Self) -> bool {
        self == hook || (self, hook) == (Self::Early, Self::Input)
    }
}

/// A chain's full name: family, table, chain.
pub type ChainId = (Family, String, String);

/// A chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// The hook it hangs on; None for a chain that others jump to.
    pub hook: Option<Hook>,
    /// Whether its policy is to drop.
    pub drops: bool,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// All chains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// By full name.
    pub chains: BTreeMap<ChainId, Chain>,
}
