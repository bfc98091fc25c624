//! `from=`: which sources may use a key, as `match.c:match_host_and_ip` decides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// The list in `from=`, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceList(pub Vec<u8>);

/// Why a list refuses everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadSourceList {
    /// An entry is empty.
    #[error("from= holds an empty entry, so sshd refuses everybody")]
    EmptyEntry,
    /// A mask too long, or address bits below the mask.
    #[error("from= holds an address whose bits do not fit its mask, so sshd refuses everybody")]
    Mask,
    /// Nothing is allowed: every entry is a negation.
    #[error("from= only negates, so sshd refuses everybody")]
    OnlyNegated,
}

/// One entry of the list.
#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    negated: bool,
    text: &'a [u8],
}

impl SourceList {
    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.0.split(|byte| *byte == b',').map(|entry| match entry.strip_prefix(b"!") {
            Some(text) => Entry { negated: true, text },
            None => Entry { negated: false, text: entry },
        })
    }

    /// Whether the list can let anybody in at all.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(&self) -> Result<(), BadSourceList> {
        for entry in self.entries() {
            if entry.text.is_empty() {
                return Err(BadSourceList::EmptyEntry);
            }
            if matches!(Network::parse(entry.text), Parsed::Inconsistent) {
                return Err(BadSourceList::Mask);
            }
        }
        if self.entries().all(|entry| entry.negated) { Err(BadSourceList::OnlyNegated) } else { Ok(()) }
    }

    /// Whether a connection from this address, whose host name sshd takes to be `host` (with UseDNS no the address as
    /// text), may use the key.
    pub fn admits(&self, host: &str, address: IpAddr) -> bool {
        if self.check().is_err() {
            return false;
        }
        let address = address.to_canonical();
        let (text, host) = (address.to_string(), host.to_ascii_lowercase());
        let mut admitted = false;
        for entry in self.entries() {
            let by_address = match Network::parse(entry.text) {
                Parsed::Network(network) => network.contains(address),
                Parsed::Inconsistent | Parsed::NoAddress => wildcard(entry.text, text.as_bytes()),
            };
            // A name longer than match.c's buffer stops the list of names; no address is as long.
            if by_address || wildcard(&entry.text.to_ascii_lowercase(), host.as_bytes()) {
                if entry.negated {
                    return false;
                }
                admitted = true;
            }
        }
        admitted
    }

    /// Whether only host names are allowed, none of which an address as text can match: with UseDNS no nobody gets in.
    pub fn only_names(&self) -> bool {
        let like_address = |byte: &u8| byte.is_ascii_hexdigit() || b".:*?".contains(byte);
        self.entries().filter(|entry| !entry.negated).all(|entry| {
            !matches!(Network::parse(entry.text), Parsed::Network(_)) && !entry.text.iter().all(like_address)
        })
    }

    /// Whether the list narrows nothing: a `*`, or a network of everything, stands in it and nothing is negated.
    pub fn is_everybody(&self) -> bool {
        let everything = |entry: Entry<'_>| match Network::parse(entry.text) {
            Parsed::Network(network) => network.bits == 0,
            Parsed::Inconsistent | Parsed::NoAddress => !entry.text.is_empty() && entry.text.iter().all(|b| *b == b'*'),
        };
        self.entries().any(everything) && !self.entries().any(|entry| entry.negated)
    }
}

/// An address with a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

/// What an entry is to `addrmatch.c:addr_pton_cidr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parsed {
    Network(Network),
    Inconsistent,
    NoAddress,
}

impl Network {
    fn parse(text: &[u8]) -> Parsed {
        // addrmatch.c copies into 64 bytes and gives up on more.
        let Some(text) = std::str::from_utf8(text).ok().filter(|text| text.len() < 64) else {
            return Parsed::NoAddress;
        };
        let (host, mask) = match text.split_once('/') {
            None => (text, None),
            Some((host, mask)) => (host, Some(mask)),
        };
        let mask = match mask {
            None => None,
            Some(mask) if mask.bytes().all(|b| b.is_ascii_digit()) => match mask.parse::<u32>() {
                Ok(bits) if bits <= 128 => Some(bits),
                _ => return Parsed::NoAddress,
            },
            Some(_) => return Parsed::NoAddress,
        };
        let Some(address) = numeric_host(host) else { return Parsed::NoAddress };
        let width = if address.is_ipv4() { 32 } else { 128 };
        let network = Self { address, bits: mask.unwrap_or(width) };
        if network.bits <= width && network.masked(address) == Some(number(address)) {
            Parsed::Network(network)
        } else {
            Parsed::Inconsistent
        }
    }

    /// The bits of an address above the mask. None: another address family.
    fn masked(self, address: IpAddr) -> Option<u128> {
        let width = if self.address.is_ipv4() { 32 } else { 128 };
        if address.is_ipv4() != self.address.is_ipv4() {
            return None;
        }
        let below = width - self.bits.min(width);
        let mask = u128::MAX.checked_shl(below).unwrap_or(0);
        Some(number(address) & mask)
    }

    fn contains(self, address: IpAddr) -> bool {
        self.masked(address).is_some_and(|bits| bits == number(self.address))
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A numeric host as `getaddrinfo(3)` with AI_NUMERICHOST takes it: IPv6, or IPv4 in every form of `inet_aton(3)`.
fn numeric_host(host: &str) -> Option<IpAddr> {
    if let Ok(address) = host.parse::<Ipv6Addr>() {
        return Some(IpAddr::V6(address));
    }
    let parts: Vec<u32> = host.split('.').map(part).collect::<Option<_>>()?;
    let (last, head) = parts.split_last()?;
    if head.len() > 3 || head.iter().any(|part| *part > 255) {
        return None;
    }
    let low_bits = 32 - 8 * u32::try_from(head.len()).ok()?;
    if low_bits < 32 && *last >> low_bits != 0 {
        return None;
    }
    let high = head.iter().enumerate().fold(0u32, |sum, (index, part)| sum | part << (24 - 8 * index));
    Some(IpAddr::V4(Ipv4Addr::from_bits(high | last)))
}

/// One number of a dotted address: decimal, octal after `0`, hexadecimal after `0x`.
fn part(text: &str) -> Option<u32> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (text.get(2..)?, 16),
        [b'0', _, ..] => (text.get(1..)?, 8),
        _ => (text, 10),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

/// `match.c:match_pattern`: `*` and `?`, nothing else. Linear in memory, and at worst the product in time.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, text);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (rest.split_first(), left.split_first()) {
            (None, None) => return true,
            (Some((b'*', after)), _) => {
                retry = Some((after, left));
                rest = after;
                continue;
            }
            (Some((want, after)), Some((have, tail))) if *want == b'?' || want == have => {
                (rest, left) = (after, tail);
                continue;
            }
            _ => {}
        }
        let Some((after, from)) = retry else { return false };
        let Some((_, tail)) = from.split_first() else { return false };
        retry = Some((after, tail));
        (rest, left) = (after, tail);
    }
}
