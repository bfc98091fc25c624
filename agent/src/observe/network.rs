//! What packets from outside meet beside the rules: interfaces, addresses, routes, and whether they are passed on.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use hostward_checks::observation::firewall::Network;

use super::interface_addresses;

/// A network and the interface that leads there.
type Route = ((IpAddr, u8), String);

/// Routes and addresses that are taken in: a host with more tells its kernel's own.
const MOST: usize = 4096;

/// The network of the calling thread's namespace.
pub fn network() -> Network {
    let mut addresses: Vec<(String, IpAddr)> = interface_addresses().unwrap_or_default();
    addresses.truncate(MOST);
    let v4 = read("/proc/thread-self/net/route");
    let mut routes: Vec<Route> = v4.lines().skip(1).filter_map(route_v4).collect();
    routes.extend(read("/proc/thread-self/net/ipv6_route").lines().filter_map(route_v6));
    routes.truncate(MOST);
    let names: BTreeSet<&String> = addresses.iter().map(|(name, _)| name).filter(|name| *name != "lo").collect();
    let mut arrivals: Vec<String> = names.iter().copied().filter(|name| is_outer(name, &routes)).cloned().collect();
    if arrivals.is_empty() {
        arrivals = names.iter().copied().cloned().collect();
    }
    let bridge = |name: &&&String| Path::new("/sys/class/net").join(name).join("bridge").is_dir();
    let bridges = names.iter().filter(bridge).map(|name| (*name).clone()).collect();
    let first = arrivals.first().map_or("all", String::as_str);
    let forwards = (
        switch(&format!("/proc/sys/net/ipv4/conf/{first}/forwarding")),
        switch("/proc/sys/net/ipv6/conf/all/forwarding"),
    );
    let takes_loopback = match (
        switch("/proc/sys/net/ipv4/conf/all/route_localnet"),
        switch(&format!("/proc/sys/net/ipv4/conf/{first}/route_localnet")),
    ) {
        (Some(all), Some(own)) => Some(all || own),
        _ => None,
    };
    Network { arrivals, addresses, routes, bridges, forwards, takes_loopback }
}

/// Whether packets from the internet come in by it: it leads everywhere, or is a network card by its name (a second one often has a
/// routing table of its own).
fn is_outer(name: &str, routes: &[Route]) -> bool {
    let leads_everywhere = routes.iter().any(|((_, length), by)| *length == 0 && by == name);
    let card = ["eth", "ens", "enp", "eno"].iter().any(|begin| name.starts_with(begin));
    leads_everywhere || card
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn switch(path: &str) -> Option<bool> {
    std::fs::read(path).ok().map(|bytes| bytes.trim_ascii() != b"0")
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask …`, addresses in the host's byte order.
fn route_v4(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [name, destination, _, _, _, _, _, mask, ..] = words.as_slice() else { return None };
    let number = |word: &str| Some(u32::from_be_bytes(u32::from_str_radix(word, 16).ok()?.to_ne_bytes()));
    let (destination, mask) = (number(destination)?, number(mask)?);
    let length = u8::try_from(mask.leading_ones()).ok()?;
    Some(((IpAddr::V4(Ipv4Addr::from_bits(destination)), length), (*name).to_owned()))
}

/// `DESTINATION LENGTH SOURCE LENGTH GATEWAY METRIC REFCNT USE FLAGS IFACE`. Routes that refuse (`RTF_REJECT`) are none.
fn route_v6(line: &str) -> Option<Route> {
    const REJECT: u32 = 0x200;
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [destination, length, _, _, _, _, _, _, flags, name] = words.as_slice() else { return None };
    let destination = u128::from_str_radix(destination, 16).ok()?;
    let length = u8::from_str_radix(length, 16).ok()?;
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let usable = flags & REJECT == 0 && *name != "lo";
    usable.then(|| ((IpAddr::V6(Ipv6Addr::from_bits(destination)), length), (*name).to_owned()))
}
