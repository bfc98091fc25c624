//! Whether an sshd that reads its configuration again could open its listeners: a reload closes them first, and an sshd that can
//! bind none ends (openssh.md 32). `sshd -t` does not look.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::time::Duration;

use hostward_checks::host::Host;
use hostward_checks::host::sshd::{Found, Instance};
use hostward_checks::observation::Observations;
use hostward_checks::observation::socket::{Listener, Protocol};
use hostward_checks::observation::sshd::Daemon;
use hostward_checks::sshd::{Origin, Value};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};

/// How long a name in ListenAddress may take to resolve.
const RESOLVING: Duration = Duration::from_secs(5);

/// Addresses that a running sshd would have to bind after a reload and could not, with the reason.
pub fn unbindable(host: &Host, seen: &Observations) -> Vec<(SocketAddr, String)> {
    let mut out = Vec::new();
    for instance in &host.sshd.instances {
        let Some(daemon) = daemon_of(instance, seen) else { continue };
        if !is_activated(daemon, seen) {
            out.extend(refused(instance, daemon, seen));
        }
    }
    out.sort();
    out.dedup();
    out
}

/// The running daemon of an instance.
pub(super) fn daemon_of<'s>(instance: &Instance, seen: &'s Observations) -> Option<&'s Daemon> {
    let Found::Running { pid } = instance.found else { return None };
    seen.daemons.known()?.iter().find(|daemon| daemon.pid == pid && !daemon.foreign_root)
}

/// Whether its sockets are systemd's, which keeps them open whatever sshd does.
pub(super) fn is_activated(daemon: &Daemon, seen: &Observations) -> bool {
    let held = own_listeners(daemon, seen);
    !held.is_empty() && held.iter().all(|listener| owned_by(listener, 1))
}

fn owned_by(listener: &Listener, pid: i32) -> bool {
    listener.owners.known().is_some_and(|owners| owners.iter().any(|owner| owner.pid == pid))
}

fn tcp(seen: &Observations) -> impl Iterator<Item = &Listener> {
    let all = seen.sockets.known().map(|sockets| sockets.listeners.as_slice()).unwrap_or_default();
    all.iter().filter(|listener| listener.protocol == Protocol::Tcp && listener.namespace.is_none())
}

fn own_listeners<'s>(daemon: &Daemon, seen: &'s Observations) -> Vec<&'s Listener> {
    tcp(seen).filter(|listener| owned_by(listener, daemon.pid)).collect()
}

/// Whether a listener takes what is meant for this address already.
fn takes(listener: &Listener, address: SocketAddr) -> bool {
    let same = listener.address == address.ip();
    let dual = listener.address == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        && listener.v6only == Some(false)
        && address.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    listener.port == address.port() && (same || dual)
}

fn refused(instance: &Instance, daemon: &Daemon, seen: &Observations) -> Vec<(SocketAddr, String)> {
    // A configuration that is refused as a whole is another's matter: validation says so.
    let Ok(global) = instance.dump(None) else { return Vec::new() };
    let values: &[Value] = global.setting("listenaddress").map_or(&[], |setting| &setting.values);
    let (held, others): (Vec<&Listener>, Vec<&Listener>) =
        tcp(seen).partition(|listener| owned_by(listener, daemon.pid));
    let (mut bad, mut assumed, mut good) = (Vec::new(), Vec::new(), 0);
    for value in values {
        for address in resolve(&value.text) {
            let outcome = match address {
                Ok(address) if held.iter().any(|listener| takes(listener, address)) => Ok(()),
                Ok(address) => try_bind(address, &held, &others).map_err(|why| (address, why)),
                Err(refused) => Err(refused),
            };
            match outcome {
                Ok(()) => good += 1,
                // Without a line of its own sshd tries both families, and one of them is enough: a host may lack IPv6.
                Err(refused) if value.origin == Origin::Default => assumed.push(refused),
                Err(refused) => bad.push(refused),
            }
        }
    }
    if good == 0 {
        bad.extend(assumed);
    }
    bad
}

/// The addresses in a value as `sshd -T` prints it: `0.0.0.0:22`, `[fe80::1%eth0]:22`, `name:22`, with ` rdomain x` or not.
fn resolve(text: &str) -> Vec<Result<SocketAddr, (SocketAddr, String)>> {
    let text = text.split(' ').next().unwrap_or_default();
    if let Ok(address) = text.parse() {
        return vec![Ok(address)];
    }
    let port = text.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default();
    if let Some(address) = scoped(text, port) {
        return vec![Ok(address)];
    }
    let (tell, told) = mpsc::channel();
    let name = text.to_owned();
    // The resolver has no time limit of its own; a thread that is left behind ends with it.
    let asked = std::thread::Builder::new().spawn(move || {
        use std::net::ToSocketAddrs as _;
        let _ = tell.send(name.to_socket_addrs().map(Iterator::collect::<Vec<_>>));
    });
    match asked.ok().and_then(|_| told.recv_timeout(RESOLVING).ok()) {
        Some(Ok(found)) if !found.is_empty() => found.into_iter().map(Ok).collect(),
        _ => {
            let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            vec![Err((nowhere, format!("{text} does not resolve to an address")))]
        }
    }
}

/// A link-local address with the name of its interface.
fn scoped(text: &str, port: u16) -> Option<SocketAddr> {
    let (address, rest) = text.strip_prefix('[')?.split_once('%')?;
    let interface = rest.split_once(']')?.0;
    let index = nix::net::if_::if_nametoindex(interface).ok()?;
    Some(SocketAddr::V6(SocketAddrV6::new(address.parse().ok()?, port, 0, index)))
}

/// Binds as sshd would, without listening, and lets go again. `held` are the daemon's own listeners, which its reload closes,
/// `others` everybody else's.
fn try_bind(address: SocketAddr, held: &[&Listener], others: &[&Listener]) -> Result<(), String> {
    let words = |errno: Errno| errno.desc().to_lowercase();
    // Whether the address is here at all: where the port is the daemon's own, the second question tells nothing of it.
    bound(SocketAddr::new(address.ip(), 0), address).map_err(words)?;
    let in_the_way = |listeners: &[&Listener]| listeners.iter().any(|listener| overlaps(listener, address));
    match bound(address, address) {
        // What is in the way now and gone once the daemon has closed it.
        Err(Errno::EADDRINUSE) if in_the_way(held) && !in_the_way(others) => Ok(()),
        other => other.map_err(words),
    }
}

fn overlaps(listener: &Listener, address: SocketAddr) -> bool {
    let both = listener.address.is_ipv4() == address.is_ipv4();
    let dual = listener.address.is_unspecified() && listener.v6only == Some(false);
    let any = listener.address.is_unspecified() || address.ip().is_unspecified() || listener.address == address.ip();
    listener.port == address.port() && (dual || (both && any))
}

fn bound(address: SocketAddr, like: SocketAddr) -> Result<(), Errno> {
    let family = if like.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, SockProtocol::Tcp)?;
    // As sshd does (`sshd.c:listen_on_addrs`).
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    if like.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    let address = match (address, like) {
        (SocketAddr::V6(v6), SocketAddr::V6(like)) => {
            SocketAddr::V6(SocketAddrV6::new(*v6.ip(), v6.port(), 0, like.scope_id()))
        }
        (address, _) => address,
    };
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(address: &str, port: u16, v6only: Option<bool>) -> Listener {
        Listener {
            protocol: Protocol::Tcp,
            address: address.parse().unwrap(),
            port,
            v6only,
            device: None,
            inode: 1,
            uid: 0,
            namespace: None,
            owners: hostward_checks::fact::Fact::Absent,
            container: None,
        }
    }

    #[test]
    fn what_is_taken_or_not_here_cannot_be_bound() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = taken.local_addr().unwrap();
        assert_eq!(try_bind(taken, &[], &[]), Err("address already in use".to_owned()));
        assert_eq!(
            try_bind("192.0.2.1:22".parse().unwrap(), &[], &[]),
            Err("cannot assign requested address".to_owned())
        );
        assert!(try_bind("[2001:db8::1]:22".parse().unwrap(), &[], &[]).is_err());
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(try_bind(free, &[], &[]), Ok(()));
    }

    #[test]
    fn the_daemons_own_listener_is_in_nobodys_way() {
        let own = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = own.local_addr().unwrap().port();
        let held = listener("0.0.0.0", port, None);
        assert_eq!(try_bind(SocketAddr::from(([127, 0, 0, 1], port)), &[&held], &[]), Ok(()));
        assert!(try_bind(SocketAddr::from(([192, 0, 2, 1], port)), &[&held], &[]).is_err(), "it is still not here");
        assert!(try_bind(SocketAddr::from(([127, 0, 0, 1], port)), &[], &[]).is_err(), "somebody else's");
        let here = SocketAddr::from(([127, 0, 0, 1], port));
        assert!(try_bind(here, &[&held], &[&listener("127.0.0.1", port, None)]).is_err(), "both are in the way");
        let dual = listener("::", 22, Some(false));
        assert!(takes(&dual, "0.0.0.0:22".parse().unwrap()) && takes(&dual, "[::]:22".parse().unwrap()));
        assert!(!takes(&listener("::", 22, Some(true)), "0.0.0.0:22".parse().unwrap()));
    }

    #[test]
    fn values_are_read_as_sshd_prints_them() {
        assert_eq!(resolve("0.0.0.0:22"), [Ok("0.0.0.0:22".parse().unwrap())]);
        assert_eq!(resolve("[::1]:2222 rdomain x"), [Ok("[::1]:2222".parse().unwrap())]);
        assert!(matches!(resolve("[fe80::1%lo]:22").as_slice(), [Ok(SocketAddr::V6(v6))] if v6.scope_id() == 1));
        let nowhere = resolve("no-such-host.invalid:2200");
        assert!(matches!(nowhere.as_slice(), [Err((address, _))] if address.port() == 2200), "{nowhere:?}");
    }
}
