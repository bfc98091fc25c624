//! What is seen of the running host that is not a file: sockets and their owners, daemons, logins, the firewall.

pub mod access_keys;
pub mod command;
pub mod cross_check;
pub mod daemons;
pub mod firewall;
pub mod logins;
pub mod metadata;
pub mod netlink;
pub mod network;
pub mod platform;
pub mod process;
mod refused;
pub mod services;
pub mod sockets;
pub mod updates;

use std::net::IpAddr;
use std::path::Path;

use hostward_checks::fact::{Fact, Why};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;

pub use access_keys::access_keys;
pub use daemons::daemons;
pub use firewall::firewall;
pub use logins::{logins, zone};
pub use sockets::sockets;

/// Addresses of the host's own interfaces, sorted, each once.
pub fn addresses() -> Fact<Vec<IpAddr>> {
    match interface_addresses() {
        Ok(list) => {
            let mut found: Vec<IpAddr> = list.into_iter().map(|(_, address)| address).collect();
            found.sort();
            found.dedup();
            Fact::Known(found)
        }
        Err(error) => Fact::Unknown(Why::Failed(format!("failed to list interface addresses: {error}"))),
    }
}

/// Every interface with each of its addresses.
fn interface_addresses() -> nix::Result<Vec<(String, IpAddr)>> {
    let address = |storage: SockaddrStorage| {
        let v4 = storage.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    };
    let each = getifaddrs()?.filter_map(|one| Some((one.interface_name, one.address.and_then(address)?)));
    Ok(each.collect())
}

/// A small file of the kernel's, trimmed.
pub(crate) fn read_small(path: &Path) -> Fact<String> {
    match std::fs::read(path) {
        Ok(bytes) => Fact::Known(hostward_checks::check::bytes_text(bytes.trim_ascii())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Fact::Absent,
        Err(error) => Fact::Unknown(Why::Failed(error.to_string())),
    }
}
