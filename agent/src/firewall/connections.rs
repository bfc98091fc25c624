//! Who talks to this host now: its own sockets, and where the kernel shows what it tracks, connections that it passes on.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;

use hostward_checks::observation::socket::Protocol;

use crate::observe::netlink::{self, Connection};

/// As much of the table of tracked connections is read.
const MOST: u64 = 64 << 20;

/// Remote addresses by the port of this host that they came to. Ports of our own outgoing connections are among them: who asks
/// for a listener's port gets the listener's.
pub(super) fn peers() -> BTreeMap<(Protocol, u16), Vec<IpAddr>> {
    let mut peers: BTreeMap<(Protocol, u16), Vec<IpAddr>> = BTreeMap::new();
    let mut found = netlink::connections().unwrap_or_default();
    if let Ok(file) = std::fs::File::open("/proc/net/nf_conntrack") {
        let own: Vec<IpAddr> = crate::observe::addresses().known().cloned().unwrap_or_default();
        let lines = BufReader::new(file.take(MOST)).split(b'\n').map_while(Result::ok);
        let tracked = lines.filter_map(|line| tracked(&String::from_utf8_lossy(&line)));
        found.extend(tracked.filter(|(_, to)| own.contains(to)).map(|(connection, _)| connection));
    }
    for Connection { protocol, port, peer } in found {
        peers.entry((protocol, port)).or_default().push(peer);
    }
    peers
}

/// One line of `/proc/net/nf_conntrack`: who asked for which port, before any translation, and at which address.
fn tracked(line: &str) -> Option<(Connection, IpAddr)> {
    let mut words = line.split_ascii_whitespace();
    let protocol = match words.nth(2)? {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    // The first of each is what the one who asked has sent.
    let mut value = |key: &str| words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let (peer, to): (IpAddr, IpAddr) = (value("src")?.parse().ok()?, value("dst")?.parse().ok()?);
    value("sport")?;
    let port = value("dport")?.parse().ok()?;
    Some((Connection { protocol, port, peer: peer.to_canonical() }, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracked_connection_is_who_asked_for_what() {
        let line = "ipv4     2 tcp      6 431999 ESTABLISHED src=203.0.113.7 dst=10.0.0.5 sport=40000 dport=8080 src=172.17.0.2 \
                    dst=203.0.113.7 sport=80 dport=40000 [ASSURED] mark=0 zone=0 use=2";
        let connection = Connection { protocol: Protocol::Tcp, port: 8080, peer: [203, 0, 113, 7].into() };
        assert_eq!(tracked(line), Some((connection, [10, 0, 0, 5].into())));
        let v6 = "ipv6     10 udp      17 29 src=2001:db8::1 dst=fd00::5 sport=1 dport=53 [UNREPLIED] src=fd00::5 dst=2001:db8::1";
        assert_eq!(tracked(v6).unwrap().0.port, 53);
        for bad in ["", "ipv4 2 icmp 1 29 src=1.1.1.1 dst=2.2.2.2 type=8", "ipv4 2 tcp 6 src=x dst=y sport=1 dport=2"] {
            assert_eq!(tracked(bad), None, "{bad}");
        }
    }
}
