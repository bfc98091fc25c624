//! Sets of values, as large as real ones are, and whether a packet's value is among them.

use std::net::{IpAddr, Ipv4Addr};

use super::{Holds, Net};

/// One element, or one part of a concatenated one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Numbers and addresses from a first to a last.
    Range(u128, u128),
    /// A word: a state, a protocol, an interface.
    Word(Box<str>),
    /// Every word that begins so.
    Prefix(Box<str>),
    /// What is not understood.
    Unknown,
}

impl Span {
    /// A word.
    pub fn word(word: &str) -> Self {
        Self::Word(word.into())
    }

    /// One number.
    pub fn number(number: impl Into<u128>) -> Self {
        let number = number.into();
        Self::Range(number, number)
    }

    /// One address.
    pub fn address(address: IpAddr) -> Self {
        Self::number(bits(address))
    }

    /// The addresses of a network.
    pub fn net((address, length): Net) -> Self {
        let width = if address.is_ipv4() { 32 } else { 128_u32 };
        let host = width.saturating_sub(u32::from(length));
        let ones = 1_u128.checked_shl(host).map_or(u128::MAX, |bit| bit - 1);
        let low = bits(address) & !ones;
        Self::Range(low, low | ones)
    }

    fn holds(&self, value: &Value<'_>) -> Holds {
        let set = match self {
            Self::Unknown => return Holds::Perhaps,
            Self::Range(low, high) => Single { ranges: &[(*low, *high)], words: &[], prefixes: &[] },
            Self::Word(word) => Single { ranges: &[], words: std::slice::from_ref(word), prefixes: &[] },
            Self::Prefix(word) => Single { ranges: &[], words: &[], prefixes: std::slice::from_ref(word) },
        };
        set.holds(value)
    }
}

/// An address as a number.
pub(super) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// What a packet has where a test looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'p> {
    /// A number or an address.
    Number(u128),
    /// A word.
    Word(&'p str),
    /// A word that has a number, too.
    Named(&'p str, u128),
    /// An interface that is not loopback.
    Foreign,
    /// Any source address, of IPv6 where it says so.
    Anybody(bool),
    /// A public source address that no rule names.
    Stranger(bool),
    /// Not told.
    Unknown,
    /// Such packets have no such thing: no test of it holds.
    Missing,
}

/// A set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    ranges: Vec<(u128, u128)>,
    words: Vec<Box<str>>,
    prefixes: Vec<Box<str>>,
    rows: Vec<Vec<Span>>,
    unknown: bool,
    /// Whether packets add to it as they pass.
    pub fills: bool,
}

impl Set {
    /// A set of these elements, each with as many parts as the test has keys.
    pub fn of(elements: impl Iterator<Item = Vec<Span>>) -> Self {
        let mut set = Self::default();
        for mut element in elements {
            match (element.len(), element.pop()) {
                (1, Some(Span::Range(low, high))) => set.ranges.push((low, high)),
                (1, Some(Span::Word(word))) => set.words.push(word),
                (1, Some(Span::Prefix(word))) => set.prefixes.push(word),
                (0, _) | (1, _) | (_, None) => set.unknown = true,
                (_, Some(last)) => {
                    element.push(last);
                    set.rows.push(element);
                }
            }
        }
        set.ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(set.ranges.len());
        for (low, high) in std::mem::take(&mut set.ranges) {
            match merged.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        merged.shrink_to_fit();
        set.ranges = merged;
        set
    }

    /// What is not understood: it may hold anything.
    pub fn unknown() -> Self {
        Self { unknown: true, ..Self::default() }
    }

    /// Whether the values are a member.
    pub fn holds(&self, values: &[Value<'_>]) -> Holds {
        let found = match values {
            [value] => Single { ranges: &self.ranges, words: &self.words, prefixes: &self.prefixes }.holds(value),
            values => any(self.rows.iter().map(|row| row_holds(row, values))),
        };
        if found == Holds::No && (self.unknown || self.fills) { Holds::Perhaps } else { found }
    }

    /// How long it takes to look something up, in rules.
    pub fn cost(&self) -> usize {
        1 + (self.rows.len() + self.words.len() + self.prefixes.len()) / 8
    }

    /// The spans at one place of the elements.
    pub fn at(&self, place: usize) -> impl Iterator<Item = (u128, u128)> {
        let single = self.ranges.iter().filter(move |_| place == 0).copied();
        single.chain(self.rows.iter().filter_map(move |row| match row.get(place) {
            Some(Span::Range(low, high)) => Some((*low, *high)),
            _ => None,
        }))
    }
}

/// Whether each part of a row holds.
pub(super) fn row_holds(row: &[Span], values: &[Value<'_>]) -> Holds {
    if row.len() != values.len() {
        return Holds::Perhaps;
    }
    let parts = row.iter().zip(values).map(|(span, value)| span.holds(value));
    parts.fold(Holds::Yes, |all, one| if one == Holds::Yes || all == Holds::No { all } else { one })
}

fn any(each: impl Iterator<Item = Holds>) -> Holds {
    let mut found = Holds::No;
    for one in each {
        match one {
            Holds::Yes => return Holds::Yes,
            Holds::No => {}
            perhaps => found = perhaps,
        }
    }
    found
}

/// Elements of one part.
struct Single<'s> {
    ranges: &'s [(u128, u128)],
    words: &'s [Box<str>],
    prefixes: &'s [Box<str>],
}

impl Single<'_> {
    fn holds(&self, value: &Value<'_>) -> Holds {
        let sure = |holds: bool| if holds { Holds::Yes } else { Holds::No };
        match value {
            // A word in place of a number: which one it is, is not told.
            Value::Number(number) if !self.words.is_empty() && !self.number(*number) => Holds::Perhaps,
            Value::Number(number) => sure(self.number(*number)),
            Value::Word(word) => {
                let holds = self.word(word);
                // A number in place of a word is one that its program had no word for.
                if !holds && !self.ranges.is_empty() { Holds::Perhaps } else { sure(holds) }
            }
            Value::Named(word, number) => sure(self.word(word) || self.number(*number)),
            Value::Foreign => {
                let others = self.words.iter().any(|word| **word != *"lo") || !self.ranges.is_empty();
                match self.prefixes {
                    prefixes if prefixes.iter().any(|prefix| prefix.is_empty()) => Holds::Yes,
                    [] if !others => Holds::No,
                    _ => Holds::Perhaps,
                }
            }
            Value::Anybody(v6) => match self.public(*v6) {
                _ if self.everything(*v6) => Holds::Yes,
                0 if self.ranges.iter().all(|range| is_loopback(*range, *v6)) => Holds::No,
                _ => Holds::Perhaps,
            },
            Value::Stranger(v6) => match self.public(*v6) {
                _ if self.everything(*v6) => Holds::Yes,
                public if public >= if *v6 { WIDE_V6 } else { WIDE_V4 } => Holds::Perhaps,
                _ => Holds::No,
            },
            Value::Unknown if self.ranges.is_empty() && self.words.is_empty() && self.prefixes.is_empty() => Holds::No,
            Value::Unknown => Holds::Perhaps,
            Value::Missing => Holds::No,
        }
    }

    fn number(&self, number: u128) -> bool {
        let after = self.ranges.partition_point(|(low, _)| *low <= number);
        after.checked_sub(1).and_then(|at| self.ranges.get(at)).is_some_and(|(_, high)| number <= *high)
    }

    fn word(&self, word: &str) -> bool {
        self.words.iter().any(|one| **one == *word) || self.prefixes.iter().any(|one| word.starts_with(&**one))
    }

    fn everything(&self, v6: bool) -> bool {
        let all = if v6 { u128::MAX } else { u128::from(u32::MAX) };
        self.ranges.first().is_some_and(|(low, high)| *low == 0 && *high >= all)
    }

    /// How many public addresses it holds.
    fn public(&self, v6: bool) -> u128 {
        let public = if v6 { PUBLIC_V6 } else { PUBLIC_V4 };
        let mut sum = 0_u128;
        for (low, high) in self.ranges {
            for (from, to) in public {
                let (low, high) = (*low.max(from), *high.min(to));
                if low <= high {
                    sum = sum.saturating_add(high - low + 1);
                }
            }
        }
        sum
    }
}

/// So many addresses name nobody: a /7 of IPv4, a /15 of IPv6.
const WIDE_V4: u128 = 1 << 25;
const WIDE_V6: u128 = 1 << 113;

const fn v4(a: u8, b: u8, c: u8, d: u8) -> u128 {
    Ipv4Addr::new(a, b, c, d).to_bits() as u128
}

/// What is neither private, shared, loopback, link-local nor for groups (IANA's special-purpose registries).
const PUBLIC_V4: &[(u128, u128)] = &[
    (v4(1, 0, 0, 0), v4(9, 255, 255, 255)),
    (v4(11, 0, 0, 0), v4(100, 63, 255, 255)),
    (v4(100, 128, 0, 0), v4(126, 255, 255, 255)),
    (v4(128, 0, 0, 0), v4(169, 253, 255, 255)),
    (v4(169, 255, 0, 0), v4(172, 15, 255, 255)),
    (v4(172, 32, 0, 0), v4(192, 167, 255, 255)),
    (v4(192, 169, 0, 0), v4(223, 255, 255, 255)),
];
/// Global unicast: 2000::/3.
const PUBLIC_V6: &[(u128, u128)] = &[(0x2000 << 112, (0x4000 << 112) - 1)];

fn is_loopback((low, high): (u128, u128), v6: bool) -> bool {
    if v6 { (low, high) == (1, 1) } else { low >= v4(127, 0, 0, 0) && high <= v4(127, 255, 255, 255) }
}
