//! Cuts the address space into regions within which no pattern of the configuration tells two addresses apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{SourceClass, classify};

/// An address block of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// Whether it is IPv6.
    six: bool,
    /// The network bits, aligned to the high end of the family's width, host bits zero.
    bits: u128,
    /// The mask length.
    len: u8,
}

impl Prefix {
    /// The block of this mask length that holds the address. None where the mask is longer than the address.
    pub fn new(address: IpAddr, len: u8) -> Option<Self> {
        let (six, bits) = raw(address);
        (len <= if six { 128 } else { 32 }).then(|| Self { six, bits: bits & mask(len), len })
    }

    /// Parses `10.0.0.0/8`, `2001:db8::/32` or a bare address.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('/') {
            Some((address, len)) => Self::new(address.parse().ok()?, len.parse().ok()?),
            None => {
                let address: IpAddr = text.parse().ok()?;
                Self::new(address, if address.is_ipv6() { 128 } else { 32 })
            }
        }
    }

    /// Whether the address lies in the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (six, bits) = raw(address.to_canonical());
        six == self.six && bits & mask(self.len) == self.bits
    }

    /// Whether the other block lies in this one (or is this one).
    fn covers(&self, other: &Self) -> bool {
        self.six == other.six && self.len <= other.len && other.bits & mask(self.len) == self.bits
    }

    /// First and last address as numbers.
    fn span(&self) -> (u128, u128) {
        let host = if self.six { !mask(self.len) } else { !mask(self.len) & mask(32) };
        (self.bits, self.bits | host)
    }

    fn address(&self, bits: u128) -> IpAddr {
        if self.six {
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        } else {
            IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits >> 96).unwrap_or(u32::MAX)))
        }
    }

    /// The distance between neighbouring addresses in the aligned form.
    fn unit(&self) -> u128 {
        if self.six { 1 } else { 1 << 96 }
    }

    /// An address of the block that lies in none of the others, not its first where there is a choice.
    fn outside(&self, others: &[Self]) -> Option<IpAddr> {
        let (first, last) = self.span();
        let unit = self.unit();
        let mut holes: Vec<(u128, u128)> = others.iter().filter(|o| self.covers(o)).map(Self::span).collect();
        holes.sort_unstable();
        let mut at = first;
        let mut found = None;
        for (low, high) in holes {
            if at < low {
                found = Some(if low - at > unit { at + unit } else { at });
                break;
            }
            if high >= last {
                return None;
            }
            at = at.max(high.saturating_add(1));
            // The aligned form of an IPv4 address has 96 zero bits below it.
            at = at.div_ceil(unit).saturating_mul(unit);
        }
        let bits = found.or_else(|| (at <= last).then(|| if last - at > unit { at + unit } else { at }))?;
        Some(self.address(bits))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address(self.bits);
        if self.len == if self.six { 128 } else { 32 } {
            write!(f, "{address}")
        } else {
            write!(f, "{address}/{}", self.len)
        }
    }
}

fn raw(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(ip) => (false, u128::from(ip.to_bits()) << 96),
        IpAddr::V6(ip) => (true, ip.to_bits()),
    }
}

fn mask(len: u8) -> u128 {
    match u32::from(len) {
        0 => 0,
        len => u128::MAX << (128u32.saturating_sub(len)),
    }
}

/// A region: where it lies, and an address in it that stands for all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its name in the matrix.
    pub class: SourceClass,
    /// An address in it.
    pub example: IpAddr,
}

/// Blocks that scanners and people tell apart whatever the configuration says, each with the example used when nothing cuts it.
const BASE: &[(&str, &str)] = &[
    ("127.0.0.0/8", "127.0.0.1"),
    ("10.0.0.0/8", "10.0.0.1"),
    ("172.16.0.0/12", "172.16.0.1"),
    ("192.168.0.0/16", "192.168.0.1"),
    ("169.254.0.0/16", "169.254.0.1"),
    ("100.64.0.0/10", "100.64.0.1"),
    ("0.0.0.0/0", "203.0.113.1"),
    ("::1/128", "::1"),
    ("fc00::/7", "fd00::1"),
    ("fe80::/10", "fe80::1"),
    ("::/0", "2001:db8::1"),
];

/// The regions that these patterns carve: always loopback, private and public (IPv4 examples), then the same of IPv6 and
/// one for each block or wildcard that a pattern names. A pattern is a CIDR block, an address, or an address wildcard
/// (`10.0.*`); a leading `!` is ignored; what is none of these (a host name) cuts nothing.
pub fn partition<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Vec<Region> {
    let (mut cuts, mut wild) = (BTreeSet::new(), BTreeSet::new());
    for pattern in patterns {
        let pattern = pattern.trim_start_matches('!');
        if let Some(prefix) = Prefix::parse(pattern) {
            cuts.insert(prefix);
        } else if pattern.bytes().any(|b| matches!(b, b'*' | b'?')) && pattern != "*" {
            match aligned(pattern) {
                Some(prefix) => _ = cuts.insert(prefix),
                None => _ = wild.insert(pattern),
            }
        }
    }
    let mut nodes: BTreeSet<Prefix> = cuts.clone();
    nodes.extend(BASE.iter().filter_map(|(block, _)| Prefix::parse(block)));
    let all: Vec<Prefix> = nodes.iter().copied().collect();
    let mut regions: BTreeMap<(u8, String), Region> = BTreeMap::new();
    for node in &all {
        let inside: Vec<Prefix> = all.iter().copied().filter(|other| other != node && node.covers(other)).collect();
        let usual = BASE.iter().find(|(block, _)| Prefix::parse(block) == Some(*node));
        let usual = usual.and_then(|(_, example)| example.parse().ok());
        let free = |ip: &IpAddr| !inside.iter().any(|other| other.contains(*ip));
        let Some(example) = usual.filter(free).or_else(|| node.outside(&inside)) else { continue };
        // 0.0.0.0/0 holds for every IPv4 address and ::/0 for every IPv6 one: neither tells two of its family apart.
        let cut = cuts.iter().any(|cut| cut.len > 0 && cut.covers(node));
        let class = if cut { SourceClass::Region(node.to_string()) } else { classify(example) };
        let rank = rank(&class, node.six);
        let class = if node.six && !cut { SourceClass::Region(node.to_string()) } else { class };
        regions.entry((rank, if rank < 3 { String::new() } else { class.word() })).or_insert(Region { class, example });
    }
    for pattern in wild {
        for region in regions.values().map(|r| r.example).collect::<Vec<_>>() {
            let Some(example) = instance(pattern, region) else { continue };
            let class = SourceClass::Region(pattern.to_owned());
            let place = classify(example);
            regions.entry((4, format!("{pattern} {}", place.word()))).or_insert(Region { class, example });
        }
    }
    regions.into_values().collect()
}

/// Which of these regions an address lies in: the narrowest block, else the broad class.
pub(crate) fn holding(regions: &[(&SourceClass, IpAddr)], address: IpAddr) -> Option<usize> {
    let address = address.to_canonical();
    let blocks = regions.iter().enumerate().filter_map(|(index, (class, _))| match class {
        SourceClass::Region(name) => Prefix::parse(name).filter(|p| p.contains(address)).map(|p| (p.len, index)),
        SourceClass::Exactly(exact) => (*exact == address).then_some((u8::MAX, index)),
        _ => None,
    });
    let narrowest = blocks.filter(|(len, _)| *len > 0).max().map(|(_, index)| index);
    narrowest.or_else(|| {
        let class = classify(address);
        regions.iter().position(|(its, _)| **its == class)
    })
}

fn rank(class: &SourceClass, six: bool) -> u8 {
    match class {
        _ if six => 3,
        SourceClass::Loopback => 0,
        SourceClass::Private => 1,
        SourceClass::Public => 2,
        SourceClass::Region(_) | SourceClass::Exactly(_) => 3,
    }
}

/// The block of a wildcard that ends in whole octets: `10.*`, `10.0.*.*`.
fn aligned(pattern: &str) -> Option<Prefix> {
    let mut octets = [0u8; 4];
    let mut fixed = 0;
    let parts: Vec<&str> = pattern.split('.').collect();
    let stars = parts.iter().rev().take_while(|part| **part == "*").count();
    let (known, _) = parts.split_at_checked(parts.len().checked_sub(stars)?)?;
    if stars == 0 || known.is_empty() || parts.len() > 4 {
        return None;
    }
    for (slot, part) in octets.iter_mut().zip(known) {
        *slot = part.parse().ok()?;
        fixed += 8;
    }
    Prefix::new(IpAddr::V4(Ipv4Addr::from(octets)), fixed)
}

/// An address that an odd wildcard (`*.5`, `10.1?.0.1`, `2001:db8:*`) matches, as close to the given one as octets allow.
fn instance(pattern: &str, near: IpAddr) -> Option<IpAddr> {
    let IpAddr::V4(near) = near else {
        return pattern.replace(['*', '?'], "1").parse().ok().filter(|ip: &IpAddr| ip.is_ipv6());
    };
    let parts: Vec<&str> = pattern.split('.').collect();
    let lead = 4usize.checked_sub(parts.len())?;
    let mut octets = near.octets();
    // A star may span several octets: the pattern is laid against the end when it starts with one.
    let offset = if parts.first().is_some_and(|part| part.starts_with('*')) { lead } else { 0 };
    for (slot, part) in octets.iter_mut().skip(offset).zip(&parts) {
        if *part != "*" {
            let candidates = (0..=255u8).filter(|octet| glob(part, &octet.to_string()));
            *slot = candidates.min_by_key(|octet| octet.abs_diff(*slot))?;
        }
    }
    Some(IpAddr::V4(Ipv4Addr::from(octets)))
}

/// `match_pattern` of `match.c` on one octet.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_at_checked(1) {
        None => text.is_empty(),
        Some(("*", rest)) => (0..=text.len()).any(|at| text.get(at..).is_some_and(|tail| glob(rest, tail))),
        Some((head, rest)) => {
            text.split_at_checked(1).is_some_and(|(first, tail)| (head == "?" || head == first) && glob(rest, tail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(patterns: &[&str]) -> Vec<(String, String)> {
        partition(patterns.iter().copied()).into_iter().map(|r| (r.class.word(), r.example.to_string())).collect()
    }

    fn has(list: &[(String, String)], class: &str, example: &str) -> bool {
        list.iter().any(|(c, e)| c == class && e == example)
    }

    #[test]
    fn without_patterns_there_are_the_three_broad_classes_and_ipv6() {
        let list = names(&[]);
        assert_eq!(list[0], ("loopback".into(), "127.0.0.1".into()));
        assert_eq!(list[1], ("private".into(), "10.0.0.1".into()));
        assert_eq!(list[2], ("public".into(), "203.0.113.1".into()));
        assert!(has(&list, "::/0", "2001:db8::1"), "{list:?}");
    }

    #[test]
    fn a_cut_moves_the_examples_of_what_is_left() {
        let list = names(&["10.0.0.0/8", "203.0.113.0/24", "!203.0.113.9", "0.0.0.0/0"]);
        assert!(has(&list, "private", "100.64.0.1") || has(&list, "private", "172.16.0.1"), "{list:?}");
        assert!(has(&list, "10.0.0.0/8", "10.0.0.1"), "{list:?}");
        assert!(has(&list, "203.0.113.0/24", "203.0.113.1"), "{list:?}");
        assert!(has(&list, "203.0.113.9", "203.0.113.9"), "{list:?}");
        let public = list.iter().find(|(class, _)| class == "public").unwrap();
        assert!(!public.1.starts_with("203.0.113."), "{list:?}");
    }

    #[test]
    fn a_block_wider_than_a_class_splits_the_class() {
        let list = names(&["0.0.0.0/1"]);
        assert!(has(&list, "10.0.0.0/8", "10.0.0.1"), "{list:?}");
        assert!(list.iter().any(|(class, example)| class == "private" && example.starts_with("1")), "{list:?}");
        assert!(list.iter().any(|(class, _)| class == "0.0.0.0/1"), "{list:?}");
        let private = list.iter().find(|(class, _)| class == "private").unwrap();
        assert!(Prefix::parse("128.0.0.0/1").unwrap().contains(private.1.parse().unwrap()), "{list:?}");
    }

    #[test]
    fn wildcards_cut_too() {
        assert!(has(&names(&["10.0.*"]), "10.0.0.0/16", "10.0.0.1"));
        assert!(names(&["*.5"]).iter().any(|(class, example)| class == "*.5" && example.ends_with(".5")));
        assert!(
            names(&["10.1?.0.1"]).iter().any(|(class, example)| class == "10.1?.0.1" && example.starts_with("10.1"))
        );
        assert_eq!(names(&["*", "*.corp", "host"]).iter().filter(|(class, _)| class.contains("corp")).count(), 0);
    }

    #[test]
    fn every_example_lies_in_its_region_and_no_address_is_forgotten() {
        let cuts = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "192.168.0.0/17", "8.0.0.0/7", "2001:db8::/32"];
        let regions = partition(cuts);
        for region in &regions {
            if let SourceClass::Region(name) = &region.class {
                assert!(Prefix::parse(name).unwrap().contains(region.example), "{region:?}");
            }
        }
        let holding = |ip: IpAddr| cuts.iter().filter(|cut| Prefix::parse(cut).unwrap().contains(ip)).count();
        for probe in
            ["10.9.9.9", "10.1.9.9", "10.1.2.3", "192.168.1.1", "192.168.200.1", "9.1.1.1", "8.8.8.8", "127.1.1.1"]
        {
            let ip: IpAddr = probe.parse().unwrap();
            assert!(
                regions.iter().any(|r| holding(r.example) == holding(ip)
                    && cuts.iter().all(|cut| {
                        let cut = Prefix::parse(cut).unwrap();
                        cut.contains(ip) == cut.contains(r.example)
                    })),
                "{probe} has no region that answers as it does"
            );
        }
    }
}
