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
    /// Ports published by destination NAT (Docker without userland proxy, NodePorts).
    pub published: Vec<Published>,
    /// Which local users the rules let connect to 100.100.100.200.
    pub metadata: MetadataUsers,
    /// Where it was read from: `nftables`, `iptables`, or both.
    pub source: &'static str,
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
}
