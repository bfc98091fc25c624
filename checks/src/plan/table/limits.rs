//! What hostward's table is to do, as the small file says that outlives a boot: one limit a line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use crate::observation::socket::Protocol;
use crate::parse::Defect;

/// A network: address without host bits, and length of its prefix.
pub type Net = (IpAddr, u8);

/// What the table is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Ports with the sources that stay allowed. No source: none does.
    pub ports: BTreeMap<(Protocol, u16), BTreeSet<Net>>,
    /// The users that may ask the metadata service; None: everybody.
    pub metadata: Option<BTreeSet<u32>>,
}

const HEADER: &str = "\
# hostward's firewall table: what `hostward fix` limited, one limit a line. `hostward rollback` takes it back.
# PROTOCOL PORT [SOURCE ...]   new connections to the port come from these sources only
# metadata UID ...             only these users reach 100.100.100.200
";

impl Limits {
    /// Reads the file. A line that is not understood is told of, and does not hide the others.
    pub fn read(bytes: &[u8]) -> (Self, Vec<Defect>) {
        let (mut limits, mut defects) = (Self::default(), Vec::new());
        for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1_u32..) {
            let line = String::from_utf8_lossy(line);
            let mut words = line.split_ascii_whitespace();
            let understood = match words.next() {
                None => Ok(()),
                Some(word) if word.starts_with('#') => Ok(()),
                Some("metadata") => limits.read_users(words),
                Some(word) => limits.read_port(word, words),
            };
            if let Err(what) = understood {
                defects.push(Defect { line: number, what });
            }
        }
        (limits, defects)
    }

    fn read_users<'w>(&mut self, words: impl Iterator<Item = &'w str>) -> Result<(), String> {
        let users = words.map(|word| word.parse().map_err(|_| "not a user id".to_owned()));
        let mut users: BTreeSet<u32> = users.collect::<Result<_, _>>()?;
        users.insert(0);
        self.metadata = Some(users);
        Ok(())
    }

    fn read_port<'w>(&mut self, protocol: &str, mut words: impl Iterator<Item = &'w str>) -> Result<(), String> {
        let protocol = self::protocol(protocol).ok_or_else(|| "not a limit".to_owned())?;
        let port = words.next().unwrap_or_default();
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(|| "not a port".to_owned())?;
        let sources = words.map(|word| net(word).ok_or_else(|| "not an address or network".to_owned()));
        self.ports.insert((protocol, port), sources.collect::<Result<_, _>>()?);
        Ok(())
    }

    /// The file.
    pub fn text(&self) -> String {
        let mut out = HEADER.to_owned();
        for ((protocol, port), sources) in &self.ports {
            // Writing into a string cannot fail.
            let _ = write!(out, "{} {port}", word(*protocol));
            for (address, length) in sources {
                let _ = write!(out, " {address}/{length}");
            }
            out.push('\n');
        }
        if let Some(users) = &self.metadata {
            out.push_str("metadata");
            for uid in users {
                let _ = write!(out, " {uid}");
            }
            out.push('\n');
        }
        out
    }

    /// Whether there is nothing to limit.
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty() && self.metadata.is_none()
    }
}

/// The protocol's word in the file, in rules and in subjects.
pub fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

/// The protocol with this word.
pub fn protocol(word: &str) -> Option<Protocol> {
    [Protocol::Tcp, Protocol::Udp].into_iter().find(|protocol| self::word(*protocol) == word)
}

/// An address or a network in CIDR, host bits cleared. An IPv4 address mapped into IPv6 is the IPv4 one, as packets are.
pub fn net(text: &str) -> Option<Net> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) if length.bytes().all(|byte| byte.is_ascii_digit()) => (address, Some(length)),
        Some(_) => return None,
        None => (text, None),
    };
    let given: IpAddr = address.parse().ok()?;
    let whole = if given.is_ipv4() { 32 } else { 128 };
    let length: u8 = length.map_or(Some(whole), |length| length.parse().ok())?;
    let address = given.to_canonical();
    let length = match (given, address) {
        (IpAddr::V6(_), IpAddr::V4(_)) => length.checked_sub(96)?,
        _ => length,
    };
    match address {
        IpAddr::V4(v4) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            Some((IpAddr::V4((v4.to_bits() & mask).into()), length))
        }
        IpAddr::V6(v6) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            Some((IpAddr::V6((v6.to_bits() & mask).into()), length))
        }
        _ => None,
    }
}

/// Whether the network holds the address.
pub fn holds((network, length): Net, address: IpAddr) -> bool {
    match (network, address.to_canonical()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut limits = Limits::default();
        assert_eq!(Limits::read(limits.text().as_bytes()), (Limits::default(), vec![]));
        assert!(limits.is_empty());
        let nets = ["10.1.2.3/8", "192.0.2.7", "fd00::1/8", "::/0", "0.0.0.0/0"].map(|text| net(text).unwrap());
        limits.ports.insert((Protocol::Tcp, 6379), nets.into());
        limits.ports.insert((Protocol::Udp, 161), BTreeSet::new());
        limits.metadata = Some([0, 33].into());
        let text = limits.text();
        assert!(
            text.contains("tcp 6379 0.0.0.0/0 10.0.0.0/8 192.0.2.7/32 ::/0 fd00::/8\nudp 161\nmetadata 0 33\n"),
            "{text}"
        );
        assert_eq!(Limits::read(text.as_bytes()), (limits, vec![]));
    }

    #[test]
    fn a_bad_line_hides_no_good_one() {
        let text = b"tcp 0\ntcp 6379 10.0.0.0/8\ntcp 80 ; drop\nsctp 9\nmetadata 1 x\nudp 70000\n\xff\xfe\ntcp 22 1.2.3.4/33\nmetadata 5\n";
        let (limits, defects) = Limits::read(text);
        assert_eq!(limits.ports.keys().collect::<Vec<_>>(), [&(Protocol::Tcp, 6379)]);
        assert_eq!(limits.metadata, Some([0, 5].into()), "root always may");
        assert_eq!(defects.iter().map(|defect| defect.line).collect::<Vec<_>>(), [1, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn networks_are_what_packets_are_compared_with() {
        assert_eq!(net("::ffff:10.1.2.3/104"), net("10.0.0.0/8"));
        assert_eq!(net("::ffff:10.1.2.3"), net("10.1.2.3"));
        for bad in ["", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0/8", "::/129", "::ffff:1.2.3.4/95", "a/8"] {
            assert_eq!(net(bad), None, "{bad}");
        }
        let inside = |network: &str, address: &str| holds(net(network).unwrap(), address.parse().unwrap());
        assert!(inside("10.0.0.0/8", "10.255.0.1") && inside("0.0.0.0/0", "203.0.113.7") && inside("::/0", "2001::1"));
        assert!(inside("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(!inside("10.0.0.0/8", "11.0.0.1") && !inside("::/0", "10.0.0.1") && !inside("0.0.0.0/0", "::1"));
    }
}
