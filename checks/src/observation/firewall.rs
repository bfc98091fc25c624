//! The host firewall: what it lets in, and ports it publishes without a listener.

use std::net::IpAddr;

use super::socket::Protocol;

/// Facts about the host firewall, whichever front end wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Whether any rule or policy can drop an inbound packet.
    pub filters_input: bool,
    /// For the port and protocol: whether a new connection from any address is let in. Ports not listed follow `default_accepts`.
    pub ports: Vec<PortRule>,
    /// Whether a port that no rule names is let in. None: the rules say more than hostward models.
    pub default_accepts: Option<bool>,
    /// Protocol, first and last port where only sources that the rules name get in, loopback and narrow networks: an address
    /// that no rule names does not.
    pub closed: Vec<(Protocol, u16, u16)>,
    /// Ports published by destination NAT (Docker without userland proxy, NodePorts), and let through.
    pub published: Vec<Published>,
    /// The host's listeners, and whether a public address that no rule names reaches them.
    pub listeners: Vec<Asked>,
    /// Which local users the rules let connect to 100.100.100.200.
    pub metadata: MetadataUsers,
    /// Where it was read from: `nftables`, `iptables`, or both.
    pub source: &'static str,
}

/// Whether a public address that no rule names reaches a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Its packets arrive, now and then at least (rates).
    Open,
    /// They do not.
    Closed,
    /// It hangs on this rule, which is not understood.
    Unknown(String),
}

impl Reach {
    /// By one way or by another.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Open, _) | (_, Self::Open) => Self::Open,
            (Self::Closed, other) => other,
            (unknown, _) => unknown,
        }
    }
}

/// A listener that was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The address that it is bound to.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Whether strangers reach it.
    pub reach: Reach,
}

/// What packets from outside meet of the host beside its rules. Empty: not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The interfaces that packets from the internet come in by.
    pub arrivals: Vec<String>,
    /// Every interface with each of its addresses.
    pub addresses: Vec<(String, IpAddr)>,
    /// Networks, and the interface that leads there.
    pub routes: Vec<((IpAddr, u8), String)>,
    /// Interfaces that are bridges.
    pub bridges: Vec<String>,
    /// Whether the host passes packets on, of IPv4 and of IPv6.
    pub forwards: (Option<bool>, Option<bool>),
    /// Whether packets from outside may go to 127.0.0.0/8 (`route_localnet`).
    pub takes_loopback: Option<bool>,
}

/// Which local users may connect to the metadata service (owner rules of the output hook).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MetadataUsers {
    /// Not looked at, or the rules say more than hostward models.
    #[default]
    Unknown,
    /// No rule limits them.
    Everybody,
    /// Only these user ids; everybody else's packets are dropped or rejected.
    Only(Vec<u32>),
}

impl Firewall {
    /// Whether a new connection from any address to this port is let in. None: it depends on more than the port, or on rules
    /// that are not modelled.
    pub fn accepts(&self, protocol: Protocol, port: u16) -> Option<bool> {
        let rule = self.ports.iter().find(|rule| rule.protocol == protocol && (rule.low..=rule.high).contains(&port));
        rule.map_or(self.default_accepts, |rule| rule.accepts_any)
    }
}

impl Firewall {
    /// Whether any port is closed to strangers. None: the rules say more than is understood.
    pub fn limits_input(&self) -> Option<bool> {
        let shut = |accepts: Option<bool>| accepts == Some(false);
        if !self.closed.is_empty() || shut(self.default_accepts) || self.ports.iter().any(|rule| shut(rule.accepts_any))
        {
            return Some(true);
        }
        if !self.filters_input { Some(false) } else { self.default_accepts.map(|_| false) }
    }

    /// Whether strangers reach a listener. One that was not asked about: by its port alone.
    pub fn reach(&self, protocol: Protocol, address: IpAddr, port: u16) -> Reach {
        let same = |asked: &&Asked| (asked.protocol, asked.address, asked.port) == (protocol, address, port);
        if let Some(asked) = self.listeners.iter().find(same) {
            return asked.reach.clone();
        }
        match self.accepts(protocol, port) {
            _ if !self.filters_input => Reach::Open,
            Some(true) => Reach::Open,
            Some(false) => Reach::Closed,
            None if self.keeps_strangers_out(protocol, port) => Reach::Closed,
            None => Reach::Unknown(String::new()),
        }
    }

    /// Whether an address that no rule names is kept out for certain, whoever else may come.
    pub fn keeps_strangers_out(&self, protocol: Protocol, port: u16) -> bool {
        self.closed.iter().any(|(of, low, high)| *of == protocol && (*low..=*high).contains(&port))
    }
}

/// What the rules say of one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRule {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// First port.
    pub low: u16,
    /// Last port.
    pub high: u16,
    /// Let in from any address. None: depends on more than port and protocol (source, interface, mark).
    pub accepts_any: Option<bool>,
}

/// A port published by destination NAT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port on the host.
    pub port: u16,
    /// Limited to this destination address, if any.
    pub address: Option<IpAddr>,
    /// Where it goes.
    pub to: String,
    /// Whether strangers reach it; never [`Reach::Closed`].
    pub reach: Reach,
}
