//! Real packets through a host between two others: somebody outside, the host with its rules, a container behind it.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hostward_checks::observation::socket::Protocol;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, connect, getsockopt, recv, send, setsockopt,
    socket, sockopt,
};

use crate::netns::Netns;

/// The host's own addresses, on `eth0`.
pub const HOST: [&str; 2] = ["198.51.100.10", "2001:db8:1::10"];
/// The container's addresses, behind the bridge `docker0`.
pub const CONTAINER: [&str; 2] = ["172.17.0.2", "fd00:17::2"];
/// Where packets come from: the first two of each family are strangers everywhere.
pub const SOURCES: [&str; 8] = [
    "203.0.113.7",
    "47.96.60.5",
    "10.1.2.3",
    "192.168.7.7",
    "2001:db8:9::7",
    "2400:3200::1",
    "fd00:99::9",
    "2001:db8:1::2",
];

/// Something listens on these, TCP and UDP, on the host and in the container.
pub const PORTS: [u16; 12] = [22, 53, 80, 443, 1050, 3306, 6379, 8080, 8443, 9000, 30_500, 31_000];

/// The three network namespaces.
#[derive(Debug)]
pub struct Crossing {
    /// Whoever comes.
    pub outside: Netns,
    /// The host with its rules.
    pub host: Netns,
    /// What it forwards to.
    pub container: Netns,
}

/// One packet that is sent, and what is said of it beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Its sender.
    pub from: IpAddr,
    /// Where it goes.
    pub to: IpAddr,
    /// Its port.
    pub port: u16,
    /// Whether it should arrive: then it is given more time.
    pub expected: bool,
}

/// What does not arrive in this time is dropped.
const PATIENCE: Duration = Duration::from_millis(350);
/// What should arrive is sent again on a machine that is busy.
const LONG: Duration = Duration::from_secs(8);

impl Crossing {
    /// Makes them, with everything listening.
    ///
    /// # Errors
    /// The kernel refuses namespaces or addresses.
    pub fn new() -> Result<Self> {
        let made = Self::without_container()?;
        made.host.ip("link add docker0 type bridge")?;
        made.host.connect("veth0", &made.container, "eth0")?;
        made.host.ip("link set veth0 master docker0")?;
        made.host.ip("link set docker0 up")?;
        for address in ["172.17.0.1/16", "fd00:17::1/64 nodad"] {
            made.host.ip(&format!("addr add {address} dev docker0"))?;
        }
        for address in ["172.17.0.2/16", "fd00:17::2/64 nodad"] {
            made.container.ip(&format!("addr add {address} dev eth0"))?;
        }
        made.host.ip("link set docker0 address 02:00:00:00:00:03")?;
        made.container.ip("link set eth0 address 02:00:00:00:00:04")?;
        made.container.ip("-6 neigh replace fd00:17::1 lladdr 02:00:00:00:00:03 dev eth0 nud permanent")?;
        made.host.ip("-6 neigh replace fd00:17::2 lladdr 02:00:00:00:00:04 dev docker0 nud permanent")?;
        made.container.ip("route add default via 172.17.0.1")?;
        made.container.ip("-6 route add default via fd00:17::1")?;
        made.host.run(|| -> Result<()> {
            for path in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                std::fs::write(format!("/proc/sys/net/{path}"), "1").with_context(|| path.to_owned())?;
            }
            Ok(())
        })??;
        for space in [&made.host, &made.container] {
            serve(space, Ipv6Addr::UNSPECIFIED.into())?;
        }
        Ok(made)
    }

    /// The same without anything behind the host, which passes nothing on, and where nothing listens.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn without_container() -> Result<Self> {
        let made = Self { outside: Netns::new()?, host: Netns::new()?, container: Netns::new()? };
        made.host.connect("eth0", &made.outside, "eth0")?;
        for address in ["198.51.100.10/24", "2001:db8:1::10/64 nodad"] {
            made.host.ip(&format!("addr add {address} dev eth0"))?;
        }
        for address in ["198.51.100.2/24", "2001:db8:1::2/64 nodad"] {
            made.outside.ip(&format!("addr add {address} dev eth0"))?;
        }
        for source in SOURCES.iter().filter(|source| **source != "2001:db8:1::2") {
            let length = if source.contains(':') { "128 nodad" } else { "32" };
            made.outside.ip(&format!("addr add {source}/{length} dev eth0"))?;
        }
        // Rules that drop neighbour discovery are not what is asked about here.
        let neighbours = [
            (&made.host, "eth0", "02:00:00:00:00:01", &made.outside, "2001:db8:1::10"),
            (&made.outside, "eth0", "02:00:00:00:00:02", &made.host, "2001:db8:1::2"),
        ];
        for (space, device, address, _, _) in neighbours {
            space.ip(&format!("link set {device} address {address}"))?;
        }
        // A new address of the interface forgets them.
        for (_, _, address, peer, at) in neighbours {
            peer.ip(&format!("-6 neigh replace {at} lladdr {address} dev eth0 nud permanent"))?;
        }
        made.host.ip("route add default via 198.51.100.2")?;
        made.host.ip("-6 route add default via 2001:db8:1::2")?;
        Ok(made)
    }

    /// Replaces every rule of the host by these.
    ///
    /// # Errors
    /// nft refuses them; then there are none.
    pub fn load(&self, rules: &str) -> Result<()> {
        self.host.run(|| -> Result<()> {
            let mut child = Command::new("nft")
                .args(["-f", "-"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .context("failed to run nft")?;
            let mut pipe = child.stdin.take().context("no standard input")?;
            std::io::Write::write_all(&mut pipe, format!("flush ruleset\n{rules}\n").as_bytes())?;
            drop(pipe);
            let output = child.wait_with_output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Ok(())
        })?
    }

    /// Sends all of them at the same time: which of them are answered.
    ///
    /// # Errors
    /// Out of sockets.
    pub fn answered(&self, packets: &[Packet]) -> Result<Vec<bool>> {
        self.outside.run(|| answered(packets))?
    }
}

enum Told {
    Waiting,
    Yes,
    No,
}

fn answered(packets: &[Packet]) -> Result<Vec<bool>> {
    let sockets: Vec<OwnedFd> = packets.iter().map(start).collect::<Result<_>>()?;
    let mut told: Vec<Told> = sockets.iter().map(|_| Told::Waiting).collect();
    let (began, mut sent) = (Instant::now(), Instant::now());
    loop {
        let late = began.elapsed() > PATIENCE;
        let waits = |(at, told): &(usize, &Told)| {
            matches!(told, Told::Waiting) && (!late || packets.get(*at).is_some_and(|packet| packet.expected))
        };
        let waiting: Vec<usize> = told.iter().enumerate().filter(waits).map(|(at, _)| at).collect();
        if waiting.is_empty() || began.elapsed() > LONG {
            return Ok(told.iter().map(|told| matches!(told, Told::Yes)).collect());
        }
        if sent.elapsed() > Duration::from_millis(500) {
            // A datagram that was lost is nobody's business.
            for &at in &waiting {
                if let (Some(socket), Some(Protocol::Udp)) = (sockets.get(at), packets.get(at).map(|one| one.protocol))
                {
                    let _ = send(socket.as_raw_fd(), b"?", MsgFlags::empty());
                }
            }
            sent = Instant::now();
        }
        look(packets, &sockets, &waiting, &mut told)?;
    }
}

fn look(packets: &[Packet], sockets: &[OwnedFd], waiting: &[usize], told: &mut [Told]) -> Result<()> {
    let mut polled = Vec::new();
    for &at in waiting {
        let (Some(socket), Some(packet)) = (sockets.get(at), packets.get(at)) else { continue };
        let flags = if packet.protocol == Protocol::Tcp { PollFlags::POLLOUT } else { PollFlags::POLLIN };
        polled.push(PollFd::new(socket.as_fd(), flags));
    }
    poll(&mut polled, PollTimeout::from(50_u8))?;
    for (&at, polled) in waiting.iter().zip(&polled) {
        let (Some(socket), Some(packet), Some(told)) = (sockets.get(at), packets.get(at), told.get_mut(at)) else {
            continue;
        };
        if polled.revents().is_none_or(|events| events.is_empty()) {
            continue;
        }
        let good = match packet.protocol {
            Protocol::Tcp => getsockopt(socket, sockopt::SocketError)? == 0,
            Protocol::Udp => recv(socket.as_raw_fd(), &mut [0; 8], MsgFlags::MSG_DONTWAIT).is_ok(),
        };
        *told = if good { Told::Yes } else { Told::No };
    }
    Ok(())
}

/// The next one in turn. One that the kernel chooses may be that of an earlier packet, whose connection the host still tracks: what
/// its rules let pass then is no new connection.
fn source_port() -> u16 {
    static TURN: AtomicU32 = AtomicU32::new(0);
    u16::try_from(10_000 + TURN.fetch_add(1, Ordering::Relaxed) % 50_000).unwrap_or(10_000)
}

fn start(packet: &Packet) -> Result<OwnedFd> {
    let family = if packet.to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let kind = if packet.protocol == Protocol::Tcp { SockType::Stream } else { SockType::Datagram };
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    if packet.protocol == Protocol::Tcp {
        // Closed at once: thousands of connections leave nothing behind.
        setsockopt(&socket, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 })?;
    }
    loop {
        match bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(packet.from, source_port()))) {
            Err(Errno::EADDRINUSE) => {}
            bound => break bound?,
        }
    }
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(packet.to, packet.port))) {
        Ok(()) | Err(Errno::EINPROGRESS) => {}
        Err(error) => return Err(error).context("failed to connect"),
    }
    if packet.protocol == Protocol::Udp {
        let _ = send(socket.as_raw_fd(), b"?", MsgFlags::empty());
    }
    Ok(socket)
}

/// Accepts and answers on every port at this address, of both families at `::`, for as long as the process runs: the ports that
/// somebody else has.
///
/// # Errors
/// Out of sockets; no such address.
pub fn serve(space: &Netns, at: IpAddr) -> Result<Vec<(Protocol, u16)>> {
    let (mut tcp, mut udp, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    space.run(|| -> Result<()> {
        for port in PORTS {
            match TcpListener::bind((at, port)) {
                Ok(socket) => tcp.push(socket),
                Err(error) if error.kind() == ErrorKind::AddrInUse => taken.push((Protocol::Tcp, port)),
                Err(error) => return Err(error).with_context(|| format!("failed to listen at {at}, {port}")),
            }
            match UdpSocket::bind((at, port)) {
                Ok(socket) => udp.push(socket),
                Err(error) if error.kind() == ErrorKind::AddrInUse => taken.push((Protocol::Udp, port)),
                Err(error) => return Err(error).with_context(|| format!("failed to listen at {at}, {port}")),
            }
        }
        Ok(())
    })??;
    tcp.iter().try_for_each(|socket| socket.set_nonblocking(true))?;
    udp.iter().try_for_each(|socket| socket.set_nonblocking(true))?;
    thread::spawn(move || answer(&tcp, &udp));
    Ok(taken)
}

fn answer(tcp: &[TcpListener], udp: &[UdpSocket]) {
    let sockets = || tcp.iter().map(AsFd::as_fd).chain(udp.iter().map(AsFd::as_fd));
    let mut polled: Vec<PollFd<'_>> = sockets().map(|socket| PollFd::new(socket, PollFlags::POLLIN)).collect();
    loop {
        if poll(&mut polled, PollTimeout::NONE).is_err_and(|error| error != Errno::EINTR) {
            return;
        }
        for socket in tcp {
            while socket.accept().is_ok() {}
        }
        for socket in udp {
            let mut buffer = [0; 8];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(buffer.get(..length).unwrap_or_default(), from);
            }
        }
    }
}
