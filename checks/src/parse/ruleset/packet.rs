//! The packet in question, as far as rules look at it, and whether a test holds for it.

use std::net::IpAddr;

use super::Holds;
use super::model::{Family, Field, Key, MarkOf, Part, Test};
use super::values::{Set, Value, bits};
use crate::observation::socket::Protocol;

/// Who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// Anybody outside.
    Anybody,
    /// A public address that no rule names.
    Stranger,
    /// This address.
    Address(IpAddr),
    /// A user of this host.
    User(u32),
}

/// An interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device<'n> {
    /// None at this place of the way.
    Nowhere,
    /// The one of this name.
    Named(&'n str),
    /// One that is not loopback.
    Foreign,
}

/// What connection tracking knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tracked {
    /// Not looked at yet: rules see it as invalid.
    NotYet,
    /// A new connection.
    New,
    /// Not to be tracked.
    Never,
    /// One of these.
    Unknown,
}

/// The first packet of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'n> {
    pub(super) v6: bool,
    pub(super) protocol: Protocol,
    pub(super) sender: Sender,
    pub(super) source_port: Option<u16>,
    /// None: one of the host's own that is not told.
    pub(super) destination: Option<IpAddr>,
    /// None: not told.
    pub(super) port: Option<u16>,
    /// Address and port before they were translated.
    pub(super) original: Option<(Option<IpAddr>, Option<u16>)>,
    pub(super) came_by: Device<'n>,
    pub(super) leaves_by: Device<'n>,
    /// Whether it goes to this host; None: not told.
    pub(super) to_host: Option<bool>,
    pub(super) mark: Option<u32>,
    pub(super) connection_mark: Option<u32>,
    pub(super) tracked: Tracked,
}

impl Packet<'_> {
    pub(super) fn outside(protocol: Protocol, port: u16, v6: bool, sender: Sender) -> Self {
        Self {
            v6,
            protocol,
            sender,
            source_port: None,
            destination: None,
            port: Some(port),
            original: None,
            came_by: Device::Foreign,
            leaves_by: Device::Nowhere,
            to_host: Some(true),
            mark: Some(0),
            connection_mark: Some(0),
            tracked: Tracked::NotYet,
        }
    }

    /// What is the same in both.
    pub(super) fn join(self, other: Self) -> Self {
        let same = |a: Option<u32>, b: Option<u32>| a.filter(|_| a == b);
        Self {
            mark: same(self.mark, other.mark),
            connection_mark: same(self.connection_mark, other.connection_mark),
            tracked: if self.tracked == other.tracked { self.tracked } else { Tracked::Unknown },
            ..self
        }
    }

    /// What a part that is no test does.
    pub(super) fn apply(&mut self, part: &Part) {
        match part {
            Part::Test(_) => {}
            Part::Mark(MarkOf::Connection, _) if matches!(self.tracked, Tracked::NotYet | Tracked::Never) => {}
            Part::Mark(which, new) => {
                let value = new.and_then(|(from, keep, flip)| Some((self.marked(from)? & keep) ^ flip));
                // A constant is one, whatever was there.
                let value = value.or_else(|| new.filter(|(_, keep, _)| *keep == 0).map(|(_, _, flip)| flip));
                match which {
                    MarkOf::Packet => self.mark = value,
                    MarkOf::Connection => self.connection_mark = value,
                }
            }
            Part::Untrack if self.tracked == Tracked::NotYet => self.tracked = Tracked::Never,
            Part::Untrack => {}
        }
    }

    fn marked(&self, which: MarkOf) -> Option<u32> {
        match which {
            MarkOf::Packet => self.mark,
            MarkOf::Connection => self.connection_mark,
        }
    }

    fn value<'p>(&'p self, field: &Field) -> Value<'p> {
        let of_family = |family: Family| family == if self.v6 { Family::V6 } else { Family::V4 };
        let of_protocol = |of: Option<Protocol>| of.is_none_or(|of| of == self.protocol);
        let address = |address: Option<IpAddr>| address.map_or(Value::Unknown, |address| Value::Number(bits(address)));
        let number = |number: Option<u16>| number.map_or(Value::Unknown, |number| Value::Number(u128::from(number)));
        let mark = |mark: Option<u32>| mark.map_or(Value::Unknown, |mark| Value::Number(u128::from(mark)));
        // Without a connection there is nothing to ask of it but its state.
        let untracked = matches!(self.tracked, Tracked::NotYet | Tracked::Never);
        match field {
            Field::Status
            | Field::Direction
            | Field::ConnectionMark
            | Field::OriginalPort
            | Field::OriginalSource(_)
            | Field::OriginalDestination(_)
                if untracked =>
            {
                Value::Missing
            }
            Field::Family if self.v6 => Value::Named("ipv6", 10),
            Field::Family => Value::Named("ipv4", 2),
            Field::Protocol => match self.protocol {
                Protocol::Tcp => Value::Named("tcp", 6),
                Protocol::Udp => Value::Named("udp", 17),
            },
            Field::Source(family) | Field::OriginalSource(family) if of_family(*family) => match self.sender {
                Sender::Anybody => Value::Anybody(self.v6),
                Sender::Stranger => Value::Stranger(self.v6),
                Sender::Address(from) => address(Some(from)),
                Sender::User(_) => Value::Unknown,
            },
            Field::Destination(family) if of_family(*family) => address(self.destination),
            Field::OriginalDestination(family) if of_family(*family) => {
                address(self.original.map_or(self.destination, |(address, _)| address))
            }
            Field::Source(_) | Field::OriginalSource(_) | Field::Destination(_) | Field::OriginalDestination(_) => {
                Value::Missing
            }
            Field::SourcePort(of) if of_protocol(*of) => number(self.source_port),
            Field::Port(of) if of_protocol(*of) => number(self.port),
            Field::SourcePort(_) | Field::Port(_) => Value::Missing,
            Field::OriginalPort => number(self.original.map_or(self.port, |(_, port)| port)),
            // What of a connection is not tracked is all of it: packets after the SYN meet the same rules, with other flags.
            Field::Flags if self.protocol == Protocol::Tcp && self.tracked == Tracked::Never => Value::Unknown,
            // A SYN.
            Field::Flags if self.protocol == Protocol::Tcp => Value::Named("syn", 2),
            Field::Flags => Value::Missing,
            Field::InInterface => device(self.came_by),
            Field::OutInterface => device(self.leaves_by),
            Field::Mark => mark(self.mark),
            Field::ConnectionMark => mark(self.connection_mark),
            Field::State => self.state(),
            Field::Status => self.status(),
            Field::States => match (self.state(), self.status()) {
                (Value::Named(_, state), _) if untracked => Value::Number(state),
                (Value::Named(_, state), Value::Named(_, status)) => Value::Number(state | status),
                _ => Value::Unknown,
            },
            Field::Direction => Value::Named("original", 0),
            Field::DestinationType => match self.to_host {
                Some(true) => Value::Word("local"),
                Some(false) => Value::Word("unicast"),
                None => Value::Unknown,
            },
            Field::SourceType if matches!(self.sender, Sender::User(_)) => Value::Word("local"),
            Field::SourceType => Value::Word("unicast"),
            Field::ReverseRoute => Value::Named("exists", 1),
            Field::Owner => match self.sender {
                Sender::User(uid) => Value::Number(u128::from(uid)),
                _ => Value::Unknown,
            },
            Field::PacketType => Value::Word("host"),
            Field::Extra => Value::Named("missing", 0),
            Field::Missing => Value::Missing,
            Field::Other(_) => Value::Unknown,
        }
    }

    fn state(&self) -> Value<'_> {
        match self.tracked {
            Tracked::NotYet => Value::Named("invalid", 1),
            Tracked::New => Value::Named("new", 8),
            Tracked::Never => Value::Named("untracked", 64),
            Tracked::Unknown => Value::Unknown,
        }
    }

    fn status(&self) -> Value<'_> {
        if self.original.is_some() { Value::Named("dnat", 32) } else { Value::Named("", 0) }
    }

    /// The value of a key, as far as its bits are told.
    pub(super) fn key<'p>(&'p self, key: &Key) -> Value<'p> {
        match (self.value(&key.field), key.mask) {
            (value, None) => value,
            (Value::Number(number) | Value::Named(_, number), Some(mask)) => Value::Number(number & mask),
            (Value::Missing, _) => Value::Missing,
            _ => Value::Unknown,
        }
    }

    /// Whether a test holds.
    pub(super) fn meets(&self, test: &Test) -> Holds {
        match test {
            Test::Never => Holds::No,
            Test::Perhaps(_) | Test::Named(..) => Holds::Perhaps,
            Test::Sometimes => Holds::Sometimes,
            Test::Is(keys, set, negated) => self.member(keys, set, *negated),
        }
    }

    fn member(&self, keys: &[Key], set: &Set, negated: bool) -> Holds {
        let holds = match keys {
            [key] => match self.key(key) {
                Value::Missing => return Holds::No,
                value => set.holds(&[value]),
            },
            keys => {
                let values: Vec<Value<'_>> = keys.iter().map(|key| self.key(key)).collect();
                if values.contains(&Value::Missing) {
                    return Holds::No;
                }
                set.holds(&values)
            }
        };
        match holds {
            Holds::Yes if negated => Holds::No,
            Holds::No if negated => Holds::Yes,
            holds => holds,
        }
    }
}

fn device(device: Device<'_>) -> Value<'_> {
    match device {
        Device::Nowhere => Value::Word(""),
        Device::Named(name) => Value::Word(name),
        Device::Foreign => Value::Foreign,
    }
}
