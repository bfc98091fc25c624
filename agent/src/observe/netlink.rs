//! Listening sockets of the own network namespace, asked of the kernel: `sock_diag(7)`.
//!
//! The kernel filters by state, so that an established connection costs nothing here, and answers with what
//! `/proc/net/tcp` does not tell: the bound device and whether an IPv6 socket refuses IPv4.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use hostward_checks::observation::socket::Protocol;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

/// A listening socket as the kernel tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The bound address.
    pub address: IpAddr,
    /// The bound port.
    pub port: u16,
    /// `IPV6_V6ONLY`; None for IPv4 sockets.
    pub v6only: Option<bool>,
    /// The index of the interface it is bound to; 0 for none.
    pub interface: u32,
    /// Its inode.
    pub inode: u64,
    /// The user that made it.
    pub uid: u32,
}

// linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h, net/tcp_states.h
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const HEADER: usize = 16;
const INET_DIAG_MSG: usize = 72;
const INET_DIAG_SKV6ONLY: u16 = 11;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const TCP_LISTEN: u32 = 10;
const TCP_ESTABLISHED: u32 = 1;
/// Every state but those of a listener, of one who asks (SYN_SENT) and of none (CLOSE).
const TCP_CONNECTED: u32 = 0xffe & !(1 << 2) & !(1 << 7) & !(1 << 10);
/// What an unconnected UDP socket's state is called.
const TCP_CLOSE: u32 = 7;

/// Every TCP socket in LISTEN and every unconnected UDP socket of this network namespace, IPv4 and IPv6.
///
/// # Errors
/// What the kernel said, e.g. `ENOENT` where it was built without `CONFIG_INET_DIAG`.
pub fn listeners() -> Result<Vec<Bound>, Errno> {
    let mut found = Vec::new();
    dump(waiting, |body, protocol| found.extend(bound(body, protocol)))?;
    Ok(found)
}

/// Asks for the sockets in these states, of both protocols and families.
fn dump(states: impl Fn(Protocol) -> u32, mut found: impl FnMut(&[u8], Protocol)) -> Result<(), Errno> {
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag)?;
    // A kernel that never answers must not hold the scan.
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(5, 0))?;
    let mut buffer = vec![0; 64 * 1024];
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for family in [AF_INET, AF_INET6] {
            sendto(
                socket.as_raw_fd(),
                &request(family, protocol, states(protocol)),
                &NetlinkAddr::new(0, 0),
                MsgFlags::empty(),
            )?;
            loop {
                let length = match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                    Err(Errno::EINTR) => continue,
                    length => length?,
                };
                if decode(buffer.get(..length).unwrap_or_default(), protocol, &mut found)? {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// A connection that is, or was a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port of this host.
    pub port: u16,
    /// Who is at the other end.
    pub peer: IpAddr,
}

/// Every connection of this network namespace with both ends known, also those that this host has just closed; who asks to be let in
/// elsewhere (SYN_SENT) is not among them.
///
/// # Errors
/// What the kernel said.
pub fn connections() -> Result<BTreeSet<Connection>, Errno> {
    let mut found = BTreeSet::new();
    dump(
        |protocol| if protocol == Protocol::Tcp { TCP_CONNECTED } else { 1 << TCP_ESTABLISHED },
        |body, protocol| {
            found.extend(connection(body, protocol));
        },
    )?;
    Ok(found)
}

/// Reads `struct inet_diag_msg` of a connection.
fn connection(body: &[u8], protocol: Protocol) -> Option<Connection> {
    let peer = match *body.first()? {
        AF_INET => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(body.get(24..28)?).ok()?)),
        AF_INET6 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(body.get(24..40)?).ok()?)),
        _ => return None,
    };
    Some(Connection { protocol, port: u16::from_be_bytes(body.get(4..6)?.try_into().ok()?), peer: peer.to_canonical() })
}

/// The state of a socket that waits for others.
fn waiting(protocol: Protocol) -> u32 {
    1 << match protocol {
        Protocol::Tcp => TCP_LISTEN,
        Protocol::Udp => TCP_CLOSE,
    }
}

/// `struct nlmsghdr` with a `struct inet_diag_req_v2` for all sockets in these states.
fn request(family: u8, protocol: Protocol, states: u32) -> Vec<u8> {
    let number = match protocol {
        Protocol::Tcp => 6_u8,
        Protocol::Udp => 17_u8,
    };
    let mut out = Vec::with_capacity(72);
    out.extend(72_u32.to_ne_bytes());
    out.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    out.extend([0; 8]);
    out.extend([family, number, 0, 0]);
    out.extend(states.to_ne_bytes());
    out.resize(72, 0);
    out
}

/// Reads one datagram of answers; true at the end of the dump.
fn decode(mut rest: &[u8], protocol: Protocol, found: &mut impl FnMut(&[u8], Protocol)) -> Result<bool, Errno> {
    while let (Some(length), Some(kind)) = (u32_at(rest, 0), u16_at(rest, 4)) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(body) = rest.get(HEADER..length) else { return Err(Errno::EBADMSG) };
        match kind {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                let code = u32_at(body, 0).map_or(0, |code| code.cast_signed());
                return Err(Errno::from_raw(code.checked_neg().unwrap_or(0)));
            }
            SOCK_DIAG_BY_FAMILY => found(body, protocol),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// Reads `struct inet_diag_msg` and its attributes.
fn bound(body: &[u8], protocol: Protocol) -> Option<Bound> {
    let address = match *body.first()? {
        AF_INET => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(body.get(8..12)?).ok()?)),
        AF_INET6 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(body.get(8..24)?).ok()?)),
        _ => return None,
    };
    let v6only = address.is_ipv6().then(|| attribute(body.get(INET_DIAG_MSG..)?, INET_DIAG_SKV6ONLY)?.first().copied());
    Some(Bound {
        protocol,
        address,
        port: u16::from_be_bytes(body.get(4..6)?.try_into().ok()?),
        v6only: v6only.flatten().map(|byte| byte != 0),
        interface: u32_at(body, 40)?,
        uid: u32_at(body, 64)?,
        inode: u64::from(u32_at(body, 68)?),
    })
}

/// The payload of the first attribute of that type.
fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16_at(rest, 0)?);
        if u16_at(rest, 2)? == wanted {
            return rest.get(4..length);
        }
        rest = rest.get(length.max(4).next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_this_process_listens_on() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = std::net::UdpSocket::bind("[::1]:0").unwrap();
        let found = listeners().unwrap();
        for (protocol, local) in
            [(Protocol::Tcp, tcp.local_addr().unwrap()), (Protocol::Udp, udp.local_addr().unwrap())]
        {
            let hit = found.iter().find(|b| (b.protocol, b.address, b.port) == (protocol, local.ip(), local.port()));
            let hit = hit.unwrap_or_else(|| panic!("{local} is missing"));
            assert!(hit.inode > 0);
            assert_eq!(hit.v6only.is_some(), local.is_ipv6());
        }
    }

    #[test]
    fn finds_who_is_connected() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connected = |port| Connection { protocol: Protocol::Tcp, port, peer: IpAddr::from([127, 0, 0, 1]) };
        assert!(!connections().unwrap().contains(&connected(port)));
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (server, _) = listener.accept().unwrap();
        assert!(connections().unwrap().contains(&connected(port)));
        drop(server);
        drop(client);
        assert!(connections().unwrap().contains(&connected(port)), "who was just sent away is still known");
    }

    #[test]
    fn broken_answers_are_refused_or_skipped() {
        let mut found = |body: &[u8], protocol| assert_eq!(bound(body, protocol), None);
        assert_eq!(decode(&[], Protocol::Tcp, &mut found), Ok(false));
        let mut message = request(AF_INET, Protocol::Tcp, 1 << TCP_LISTEN);
        assert_eq!(decode(&message, Protocol::Tcp, &mut found), Ok(false));
        message[0] = 255;
        assert_eq!(decode(&message, Protocol::Tcp, &mut found), Err(Errno::EBADMSG));
        let refused: Vec<u8> =
            [20_u32.to_ne_bytes().as_slice(), &[2, 0, 0, 0], &[0; 8], &(-2_i32).to_ne_bytes()].concat();
        assert_eq!(decode(&refused, Protocol::Tcp, &mut found), Err(Errno::ENOENT));
        assert_eq!(attribute(&[0, 0, 1, 0, 0, 0], 2), None);
    }
}
