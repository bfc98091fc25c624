//! Listens on what its arguments say, writes `ready`, and ends when its standard input does.
//!
//! A socket is written `KIND[%DEVICE]:ADDRESS:PORT`, KIND being `tcp`, `udp`, or either with `-v6only` or `-dual`
//! behind it, which set `IPV6_V6ONLY` on and off. The word `share` starts a second process that inherits the sockets.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket, sockopt,
};

fn main() -> Result<()> {
    let mut sockets = Vec::new();
    let mut inherit = false;
    for word in std::env::args().skip(1) {
        if word == "share" {
            inherit = true;
        } else {
            sockets.push(open(&word).with_context(|| format!("failed to listen on {word}"))?);
        }
    }
    let child =
        inherit.then(|| std::process::Command::new("/proc/self/exe").stdout(std::process::Stdio::null()).spawn());
    let child = child.transpose()?;
    std::io::stdout().write_all(b"ready\n")?;
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    if let Some(mut child) = child {
        child.wait()?;
    }
    Ok(())
}

fn open(word: &str) -> Result<OwnedFd> {
    let (kind, address) = word.split_once(':').context("no address")?;
    let (kind, device) = kind.split_once('%').map_or((kind, None), |(kind, device)| (kind, Some(device)));
    let (kind, only) = kind.split_once('-').map_or((kind, None), |(kind, only)| (kind, Some(only == "v6only")));
    let address: SocketAddr = address.parse()?;
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let stream = kind == "tcp";
    let kind = if stream { SockType::Stream } else { SockType::Datagram };
    // Inherited on purpose: `share`.
    let socket = socket(family, kind, SockFlag::empty(), None)?;
    if let Some(only) = only {
        setsockopt(&socket, sockopt::Ipv6V6Only, &only)?;
    }
    if let Some(device) = device {
        setsockopt(&socket, sockopt::BindToDevice, &device.into())?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    if stream {
        listen(&socket, Backlog::new(16)?)?;
    }
    Ok(socket)
}
