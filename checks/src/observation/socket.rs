//! Listening sockets and who owns them.

use std::net::IpAddr;
use std::path::PathBuf;

use super::UnixSeconds;
use crate::fact::Fact;

/// The listeners of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    /// One entry a socket, sorted by protocol, port and address.
    pub listeners: Vec<Listener>,
    /// Network namespaces that were found and not looked at, and why: their listeners are missing from the list.
    pub unseen_namespaces: Vec<(u64, String)>,
}

/// The protocol a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// A TCP socket in LISTEN.
    Tcp,
    /// A UDP socket without a peer.
    Udp,
}

/// A listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The bound address; `::` without [`Listener::v6only`] takes IPv4 too.
    pub address: IpAddr,
    /// The bound port.
    pub port: u16,
    /// Whether an IPv6 socket refuses IPv4 (`IPV6_V6ONLY`). None for IPv4 sockets or where it could not be told.
    pub v6only: Option<bool>,
    /// The interface it is bound to (`SO_BINDTODEVICE`), e.g. `lo`.
    pub device: Option<String>,
    /// The socket's inode.
    pub inode: u64,
    /// The user that made the socket.
    pub uid: u32,
    /// The network namespace's inode; None for the agent's own.
    pub namespace: Option<u64>,
    /// The processes that hold it. Absent: none found (the kernel's own); Unknown: not allowed to look.
    pub owners: Fact<Vec<Process>>,
    /// The host firewall's counters or other notes are not here: see [`super::firewall`].
    pub container: Option<String>,
}

/// A process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// `comm`: at most 15 bytes, chosen by the process; lossless as far as UTF-8 goes, escaped on output.
    pub name: String,
    /// Its executable.
    pub executable: Fact<PathBuf>,
    /// Whether the executable was deleted after it was started.
    pub deleted: bool,
    /// Its effective user.
    pub uid: u32,
    /// The systemd unit (`ssh.service`, `docker-….scope`) from its cgroup.
    pub unit: Option<String>,
    /// When it was started.
    pub started: Option<UnixSeconds>,
}
