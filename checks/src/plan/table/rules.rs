//! The table's rules as data: written as `nft -f` reads them, and asked what becomes of a packet.
//!
//! Only what opens a connection is ever dropped. For TCP that is a SYN, whatever connection tracking says of it: where tracking
//! starts with this table, packets of connections that are older look new to it. Names are none of nft's keywords, priorities are
//! numbers: nft 0.8 knows no others.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};

use super::limits::{Limits, Net, holds, word};
use crate::observation::socket::Protocol;
use crate::parse::ruleset::{self, Family, Ruleset, Span};

/// The table's name; its family is `inet`.
pub const NAME: &str = "hostward";

/// Where the metadata service answers.
pub const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200));

/// Alibaba Cloud's own: load balancers and their health checks, Workbench over the private network (100.104.0.0/16), Cloud
/// Assistant, DNS, NTP and the metadata service.
pub const CLOUD: Net = (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10);

/// Where Workbench comes from over the public network, to ports of remote login (its page on security groups).
pub const WORKBENCH: [Net; 4] = [
    (IpAddr::V4(Ipv4Addr::new(47, 96, 60, 0)), 24),
    (IpAddr::V4(Ipv4Addr::new(118, 31, 243, 0)), 24),
    (IpAddr::V4(Ipv4Addr::new(8, 139, 112, 0)), 24),
    (IpAddr::V4(Ipv4Addr::new(8, 139, 99, 192)), 26),
];

/// Where the kernel enters a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Before destinations are translated: the port is the one that the sender named.
    Arriving,
    /// On the way to a process of this host.
    Input,
    /// On the way from a process of this host.
    Output,
}

impl Hook {
    /// Hook and priority. Arriving: after connection tracking (-200) and before destinations are translated (-100). Input and
    /// output: after everybody else's filters, so that these go on counting and logging what they refuse themselves.
    fn base(self) -> &'static str {
        match self {
            Self::Arriving => "prerouting priority -110",
            Self::Input => "input priority 20",
            Self::Output => "output priority 20",
        }
    }
}

/// What a rule asks of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// It belongs to a connection that was let in, or to what goes with one.
    Established,
    /// It comes over loopback.
    Loopback,
    /// Its destination was translated: it is judged by what its sender named, in the chain before.
    Translated,
    /// It goes to an address of this host.
    ToHost,
    /// It comes from there.
    From(Net),
    /// It goes there.
    To(IpAddr),
    /// It answers a host that asks for its address (DHCP), by these ports.
    Dhcp(u16, u16),
    /// It opens a connection to this port.
    Opens(Protocol, u16),
    /// None of these users sends it.
    SentByNone(BTreeSet<u32>),
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Lets it pass, as far as this table goes.
    Accept,
    /// Counts and drops.
    Drop,
    /// Counts and refuses.
    Reject,
    /// Goes on in the chain of that name.
    Jump(String),
}

/// A rule: all tests must hold.
pub type Rule = (Vec<Test>, Action);

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Where the kernel enters it; None: others jump to it.
    pub hook: Option<Hook>,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// The whole table; a chain comes before those that jump to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its chains.
    pub chains: Vec<Chain>,
}

impl Table {
    /// The table for these limits. None: there is nothing to limit.
    pub fn of(limits: &Limits) -> Option<Self> {
        let mut chains = Vec::new();
        let chain = |name: &str, hook, rules| Chain { name: name.to_owned(), hook, rules };
        if !limits.ports.is_empty() {
            let mut limited = vec![
                (vec![Test::Established], Action::Accept),
                (vec![Test::Loopback], Action::Accept),
                (vec![Test::From(CLOUD)], Action::Accept),
                (vec![Test::Dhcp(67, 68)], Action::Accept),
                (vec![Test::Dhcp(547, 546)], Action::Accept),
            ];
            for ((protocol, port), sources) in &limits.ports {
                let name = format!("{}_{port}", word(*protocol));
                let mut rules: Vec<Rule> =
                    sources.iter().map(|source| (vec![Test::From(*source)], Action::Accept)).collect();
                rules.push((Vec::new(), Action::Drop));
                chains.push(chain(&name, None, rules));
                limited.push((vec![Test::Opens(*protocol, *port)], Action::Jump(name)));
            }
            chains.push(chain("limited", None, limited));
            let onward = Action::Jump("limited".to_owned());
            chains.push(chain("arriving", Some(Hook::Arriving), vec![(vec![Test::ToHost], onward.clone())]));
            let input = vec![(vec![Test::Translated], Action::Accept), (Vec::new(), onward)];
            // What goes to a group or to all is no packet to an address of this host, and is met here alone.
            chains.push(chain("incoming", Some(Hook::Input), input));
        }
        if let Some(users) = &limits.metadata {
            let rules = vec![
                (vec![Test::Established], Action::Accept),
                (vec![Test::To(METADATA), Test::SentByNone(users.clone())], Action::Reject),
            ];
            chains.push(chain("to_metadata", Some(Hook::Output), rules));
        }
        (!chains.is_empty()).then_some(Self { chains })
    }

    /// The table as `nft -f` loads it, in one transaction of the kernel, whether or not there was one before.
    pub fn text(&self) -> String {
        let mut out = format!("add table inet {NAME}\ndelete table inet {NAME}\ntable inet {NAME} {{\n");
        for chain in &self.chains {
            // Writing into a string cannot fail.
            let _ = writeln!(out, "\tchain {} {{", chain.name);
            if let Some(hook) = chain.hook {
                let _ = writeln!(out, "\t\ttype filter hook {}; policy accept;", hook.base());
            }
            for (tests, action) in &chain.rules {
                out.push_str("\t\t");
                for test in tests {
                    let _ = write!(out, "{test} ");
                }
                let _ = writeln!(out, "{action}");
            }
            out.push_str("\t}\n");
        }
        out.push_str("}\n");
        out
    }

    /// The chains in the form that the host's own rules are judged in.
    pub fn ruleset(&self) -> Ruleset {
        let id = |name: &str| (Family::Both, NAME.to_owned(), name.to_owned());
        let rule = |(tests, action): &Rule| {
            let action = match action {
                Action::Accept => ruleset::Action::Accept,
                Action::Drop | Action::Reject => ruleset::Action::Drop,
                Action::Jump(name) => ruleset::Action::Jump(name.clone()),
            };
            ruleset::Rule::of(tests.iter().flat_map(Test::judged).collect(), action)
        };
        let base = |hook: Hook| match hook {
            Hook::Arriving => ruleset::Base::filter(ruleset::Hook::Prerouting, -110),
            Hook::Input => ruleset::Base::filter(ruleset::Hook::Input, 20),
            Hook::Output => ruleset::Base::filter(ruleset::Hook::Output, 20),
        };
        let chain = |chain: &Chain| ruleset::Chain {
            base: chain.hook.map(base),
            rules: chain.rules.iter().map(rule).collect(),
            ..ruleset::Chain::default()
        };
        Ruleset { chains: self.chains.iter().map(|one| (id(&one.name), chain(one))).collect() }
    }

    /// Whether the packet passes everything that this table has at the hook.
    pub fn passes(&self, hook: Hook, packet: &Packet) -> bool {
        let chain = self.chains.iter().find(|chain| chain.hook == Some(hook));
        chain.and_then(|chain| self.walk(chain, packet)).unwrap_or(true)
    }

    /// What the chain decides; None: nothing.
    fn walk(&self, chain: &Chain, packet: &Packet) -> Option<bool> {
        chain.rules.iter().filter(|(tests, _)| tests.iter().all(|test| test.holds(packet))).find_map(|(_, action)| {
            match action {
                Action::Accept => Some(true),
                Action::Drop | Action::Reject => Some(false),
                // No chain jumps to one that comes after it: this ends.
                Action::Jump(name) => {
                    let before = self.chains.iter().take_while(|other| other.name != chain.name);
                    before.into_iter().find(|other| other.name == *name).and_then(|other| self.walk(other, packet))
                }
            }
        })
    }
}

impl fmt::Display for Test {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = |address: &IpAddr| if address.is_ipv4() { "ip" } else { "ip6" };
        match self {
            Self::Established => out.write_str("ct state established,related"),
            Self::Loopback => out.write_str("iifname \"lo\""),
            Self::Translated => out.write_str("ct status dnat"),
            Self::ToHost => out.write_str("fib daddr type local"),
            // nft 0.8 takes no prefix of length 0: that is the family.
            Self::From((address, 0)) => {
                write!(out, "meta nfproto {}", if address.is_ipv4() { "ipv4" } else { "ipv6" })
            }
            Self::From((address, length)) => write!(out, "{} saddr {address}/{length}", family(address)),
            Self::To(address) => write!(out, "{} daddr {address}", family(address)),
            Self::Dhcp(from, to) => write!(out, "udp sport {from} udp dport {to}"),
            Self::Opens(Protocol::Tcp, port) => {
                write!(out, "tcp dport {port} tcp flags & (fin | syn | rst | ack) == syn")
            }
            Self::Opens(Protocol::Udp, port) => write!(out, "udp dport {port} ct state new"),
            Self::SentByNone(users) => {
                let users: Vec<String> = users.iter().map(u32::to_string).collect();
                write!(out, "meta skuid != {{ {} }}", users.join(", "))
            }
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => out.write_str("accept"),
            Self::Drop => out.write_str("counter drop"),
            Self::Reject => out.write_str("counter reject"),
            Self::Jump(name) => write!(out, "jump {name}"),
        }
    }
}

/// A packet, as far as the rules look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// From where.
    pub source: IpAddr,
    /// From which port.
    pub from_port: u16,
    /// To where.
    pub destination: IpAddr,
    /// To which port.
    pub port: u16,
    /// Whether it belongs to a connection that connection tracking knows.
    pub established: bool,
    /// Whether it opens a connection: a SYN; for UDP what tracking does not know.
    pub opens: bool,
    /// Whether it comes over loopback.
    pub loopback: bool,
    /// Whether it goes to one of the host's own addresses, to no group and not to all.
    pub to_host: bool,
    /// Who sends it, where a process of this host does.
    pub sender: Option<u32>,
}

impl Packet {
    /// The first packet of a connection from there to a port of this host.
    pub fn first(protocol: Protocol, source: IpAddr, port: u16) -> Self {
        let destination = if source.is_ipv4() { IpAddr::from([127, 0, 0, 2]) } else { IpAddr::from([0_u16; 8]) };
        let (established, opens, loopback, to_host) = (false, true, source.is_loopback(), true);
        let (from_port, sender) = (40_000, None);
        Self { protocol, source, from_port, destination, port, established, opens, loopback, to_host, sender }
    }
}

impl Test {
    /// The same for the first packet of a connection from outside, or of a user's to the metadata service.
    fn judged(&self) -> Vec<ruleset::Test> {
        match self {
            Self::Established | Self::Loopback => vec![ruleset::Test::Never],
            Self::Translated => vec![ruleset::Test::is(ruleset::Field::Status, [Span::word("dnat")], false)],
            Self::ToHost => vec![ruleset::Test::to_host(false)],
            Self::From(net) => vec![ruleset::Test::source(*net, false)],
            Self::To(address) => {
                let whole = if address.is_ipv4() { 32 } else { 128 };
                vec![ruleset::Test::destination((*address, whole), false)]
            }
            Self::Dhcp(from, to) => vec![
                ruleset::Test::is(ruleset::Field::SourcePort(Some(Protocol::Udp)), [Span::number(*from)], false),
                ruleset::Test::ports(Some(Protocol::Udp), &[(*to, *to)], false),
            ],
            Self::Opens(protocol, port) => vec![ruleset::Test::ports(Some(*protocol), &[(*port, *port)], false)],
            Self::SentByNone(users) => {
                let users: Vec<(u32, u32)> = users.iter().map(|uid| (*uid, *uid)).collect();
                vec![ruleset::Test::owner(&users, true)]
            }
        }
    }

    fn holds(&self, packet: &Packet) -> bool {
        match self {
            Self::Established => packet.established,
            Self::Loopback => packet.loopback,
            Self::Translated => false,
            Self::ToHost => packet.to_host,
            Self::From(net) => holds(*net, packet.source),
            Self::To(address) => packet.destination == *address,
            Self::Dhcp(from, to) => (packet.protocol, packet.from_port, packet.port) == (Protocol::Udp, *from, *to),
            Self::Opens(protocol, port) => (packet.protocol, packet.port) == (*protocol, *port) && packet.opens,
            Self::SentByNone(users) => packet.sender.is_some_and(|uid| !users.contains(&uid)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::net;
    use super::*;

    fn limits() -> Limits {
        let mut limits = Limits::default();
        limits.ports.insert((Protocol::Tcp, 6379), ["10.0.0.0/8", "fd00::/8"].map(|text| net(text).unwrap()).into());
        limits.ports.insert((Protocol::Udp, 68), BTreeSet::new());
        limits.metadata = Some([0, 33].into());
        limits
    }

    #[test]
    fn the_table_is_written_whole() {
        let text = Table::of(&limits()).unwrap().text();
        let expected = "\
add table inet hostward
delete table inet hostward
table inet hostward {
	chain tcp_6379 {
		ip saddr 10.0.0.0/8 accept
		ip6 saddr fd00::/8 accept
		counter drop
	}
	chain udp_68 {
		counter drop
	}
	chain limited {
		ct state established,related accept
		iifname \"lo\" accept
		ip saddr 100.64.0.0/10 accept
		udp sport 67 udp dport 68 accept
		udp sport 547 udp dport 546 accept
		tcp dport 6379 tcp flags & (fin | syn | rst | ack) == syn jump tcp_6379
		udp dport 68 ct state new jump udp_68
	}
	chain arriving {
		type filter hook prerouting priority -110; policy accept;
		fib daddr type local jump limited
	}
	chain incoming {
		type filter hook input priority 20; policy accept;
		ct status dnat accept
		jump limited
	}
	chain to_metadata {
		type filter hook output priority 20; policy accept;
		ct state established,related accept
		ip daddr 100.100.100.200 meta skuid != { 0, 33 } counter reject
	}
}
";
        assert_eq!(text, expected);
        assert_eq!(Table::of(&Limits::default()), None);
    }

    #[test]
    fn only_strangers_who_open_a_connection_are_cut() {
        let table = Table::of(&limits()).unwrap();
        let both = |packet: &Packet| {
            let fates = [Hook::Arriving, Hook::Input].map(|hook| table.passes(hook, packet));
            assert_eq!(fates[0], fates[1], "{packet:?}");
            fates[0]
        };
        let tcp = |source: &str| Packet::first(Protocol::Tcp, source.parse().unwrap(), 6379);
        for source in ["203.0.113.7", "2001:db8::1", "172.16.0.1", "100.128.0.1"] {
            assert!(!both(&tcp(source)), "{source}");
            assert!(both(&Packet { established: true, opens: false, ..tcp(source) }));
            // Older than connection tracking: it looks new, but it is no SYN.
            assert!(both(&Packet { opens: false, ..tcp(source) }));
            assert!(both(&Packet { port: 6380, ..tcp(source) }));
            assert!(both(&Packet { protocol: Protocol::Udp, ..tcp(source) }));
        }
        for source in ["10.9.8.7", "fd00::9", "127.0.0.1", "::1", "100.100.100.200", "100.64.0.1", "100.104.3.4"] {
            assert!(both(&tcp(source)), "{source}");
        }
        let dhcp = Packet { from_port: 67, ..Packet::first(Protocol::Udp, "192.0.2.1".parse().unwrap(), 68) };
        assert!(both(&dhcp) && !both(&Packet { from_port: 66, ..dhcp }));
        // To a group: only the input hook may say anything.
        let group = Packet { to_host: false, from_port: 66, ..dhcp };
        assert!(table.passes(Hook::Arriving, &group) && !table.passes(Hook::Input, &group));
    }

    #[test]
    fn the_scan_judges_it_as_meant() {
        let mut limits = limits();
        limits.ports.insert((Protocol::Tcp, 9200), BTreeSet::new());
        let firewall = Table::of(&limits).unwrap().ruleset().judge("nftables");
        assert!(firewall.filters_input && firewall.default_accepts == Some(true));
        for (protocol, port, closed) in [
            (Protocol::Tcp, 6379, true),
            (Protocol::Tcp, 9200, true),
            (Protocol::Udp, 6379, false),
            (Protocol::Tcp, 22, false),
        ] {
            assert_eq!(firewall.keeps_strangers_out(protocol, port), closed, "{port}");
            assert_eq!(firewall.accepts(protocol, port), if closed { None } else { Some(true) }, "{port}");
        }
        assert_eq!(firewall.metadata, crate::observation::firewall::MetadataUsers::Only(vec![0, 33]));
    }

    #[test]
    fn the_metadata_service_answers_named_users_alone() {
        let table = Table::of(&limits()).unwrap();
        let packet = |sender, destination| Packet {
            sender,
            destination,
            ..Packet::first(Protocol::Tcp, "10.0.0.5".parse().unwrap(), 80)
        };
        for (uid, passes) in [(0, true), (33, true), (34, false), (65_534, false)] {
            assert_eq!(table.passes(Hook::Output, &packet(Some(uid), METADATA)), passes, "{uid}");
            assert!(table.passes(Hook::Output, &packet(Some(uid), "100.100.2.136".parse().unwrap())));
        }
        assert!(table.passes(Hook::Output, &packet(None, METADATA)), "the kernel's own");
    }
}
