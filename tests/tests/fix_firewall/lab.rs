//! Connections from chosen addresses, servers that answer, and what nft shows of other tables.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::thread;
use std::time::Duration;

use hostward_tests::netns::Netns;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect as start, getsockopt, setsockopt, socket, sockopt,
};

/// Short enough to see what is dropped.
const PATIENCE: Duration = Duration::from_millis(400);
/// For what is not dropped: on a machine that is busy a first packet is sent again, after 1, 3 and 7 seconds.
const LONG: Duration = Duration::from_secs(10);

/// Opens a TCP connection from that address that nobody drops.
pub(super) fn connect(from: &str, to: &str, port: u16) -> Result<TcpStream> {
    connect_within(from, to, port, LONG)
}

fn connect_within(from: &str, to: &str, port: u16, patience: Duration) -> Result<TcpStream> {
    let (from, to): (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
    let family = if from.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(from, 0)))?;
    match start(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(to, port))) {
        Err(nix::errno::Errno::EINPROGRESS) | Ok(()) => {}
        Err(error) => return Err(error.into()),
    }
    let timeout = PollTimeout::try_from(patience).unwrap();
    if poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)], timeout)? == 0 {
        return Err(ErrorKind::TimedOut.into());
    }
    match getsockopt(&socket, sockopt::SocketError)? {
        0 => {}
        error => return Err(Error::from_raw_os_error(error)),
    }
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(LONG))?;
    Ok(stream)
}

/// Whether the other end still answers.
pub(super) fn lives(mut stream: &TcpStream) -> bool {
    let mut answer = [0; 5];
    stream.write_all(b"alive").and_then(|()| stream.read_exact(&mut answer)).is_ok() && &answer == b"alive"
}

/// Whether a new connection is taken at once, whatever is said on it.
pub(super) fn opens(from: &str, to: &str, port: u16) -> bool {
    connect_within(from, to, port, PATIENCE).is_ok()
}

/// Whether a new connection is opened and answered, as it should be or should not.
pub(super) fn reaches(from: &str, to: &str, port: u16, expected: bool) -> bool {
    match connect_within(from, to, port, if expected { LONG } else { PATIENCE }) {
        Ok(stream) => lives(&stream),
        Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::ConnectionRefused) => false,
        Err(error) => panic!("{from} to {to}:{port}: {error}"),
    }
}

/// Whether a datagram is answered.
pub(super) fn answers(from: &str, to: &str, port: u16, expected: bool) -> bool {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.set_read_timeout(Some(if expected { LONG } else { PATIENCE })).unwrap();
    socket.send_to(b"alive", (to, port)).unwrap();
    socket.recv(&mut [0; 8]).is_ok()
}

/// Answers what it is told on these ports of every address, TCP and UDP, for as long as the test runs.
pub(super) fn serve(space: &Netns, ports: &[u16]) {
    serve_tcp(space, ports);
    for &port in ports {
        let udp = space.run(|| UdpSocket::bind(("0.0.0.0", port)).unwrap()).unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((length, from)) = udp.recv_from(&mut buffer) {
                let _ = udp.send_to(&buffer[..length], from);
            }
        });
    }
}

/// The same for TCP alone.
pub(super) fn serve_tcp(space: &Netns, ports: &[u16]) {
    for &port in ports {
        let tcp = space.run(|| TcpListener::bind(("::", port)).unwrap()).unwrap();
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                thread::spawn(move || echo(stream));
            }
        });
    }
}

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 64];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// Lets the namespace pass packets on.
pub(super) fn forwards(space: &Netns) {
    space.run(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap()).unwrap();
}

/// Every table but hostward's own, as nft shows it, without what its counters count.
pub(super) fn others(ruleset: &str) -> String {
    let (mut out, mut skipping) = (String::new(), false);
    for line in ruleset.lines() {
        if line.starts_with("table ") {
            skipping = line.starts_with("table inet hostward");
        }
        if !skipping {
            let mut counts = false;
            for word in line.split(' ') {
                let number = counts && word.bytes().all(|byte| byte.is_ascii_digit());
                out.push_str(if number { "N" } else { word });
                out.push(' ');
                counts = matches!(word, "packets" | "bytes");
            }
            out.push('\n');
        }
    }
    out
}

/// Runs nft in the calling thread's namespace.
pub(super) fn nft(arguments: &[&str]) -> String {
    let output = Command::new("nft").args(arguments).output().unwrap();
    assert!(output.status.success(), "nft {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether a process of that user reaches an address, from the calling thread's namespace.
pub(super) fn user_reaches(uid: u32, to: &str, port: u16, expected: bool) -> bool {
    use std::os::unix::process::CommandExt;
    let mut shell = Command::new("timeout");
    shell
        .args([if expected { "10" } else { "1" }, "bash", "-c", &format!(": </dev/tcp/{to}/{port}")])
        .uid(uid)
        .current_dir("/");
    shell.output().unwrap().status.success()
}
