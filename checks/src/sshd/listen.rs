//! ListenAddress: hosts and ports as written, and the addresses they come to (`servconf.c:add_listen_addr`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Origin;
use super::build::Build;
use super::keyword::Key;
use super::options::{Item, Listen, Options, Queued};
use super::parse::Around;
use super::pattern::numeric_host;

/// A host, what follows its delimiter, and the delimiter.
pub(crate) type HostAndPort = (Vec<u8>, Option<Vec<u8>>, Option<u8>);

/// Cuts `host:port`, `[host]:port` or `host/port` (`misc.c:hpdelim2` and `cleanhostname`): the host, what follows the
/// delimiter, and the delimiter. None: a bracket without its end, or text after it.
pub(crate) fn host_and_port(word: &[u8]) -> Option<HostAndPort> {
    let from = if word.first() == Some(&b'[') { word.iter().position(|byte| *byte == b']')? + 1 } else { 0 };
    let at = if from > 0 { from } else { word.iter().position(|byte| b":/".contains(byte)).unwrap_or(word.len()) };
    let (host, rest) = word.split_at_checked(at)?;
    let host = match host {
        [b'[', inner @ .., b']'] => inner,
        host => host,
    };
    match rest.split_first() {
        None => Some((host.to_vec(), None, None)),
        Some((delimiter @ (b':' | b'/'), port)) => Some((host.to_vec(), Some(port.to_vec()), Some(*delimiter))),
        Some(_) => None,
    }
}

/// Which family of addresses is wanted.
fn wanted(options: &Options, ip: &IpAddr) -> bool {
    match options.text(Key::AddressFamily).as_deref() {
        Some("inet") => ip.is_ipv4(),
        Some("inet6") => ip.is_ipv6(),
        _ => true,
    }
}

type Refused = (Option<Origin>, String);

/// Combines the waiting ListenAddress lines with the ports (`process_queued_listen_addrs`): from here on the port 22 and
/// every family count as set.
pub(crate) fn process(build: &Build, around: &Around, options: &mut Options) -> Result<(), Refused> {
    assume_port(options);
    if !options.is_set(Key::AddressFamily) {
        options.put(Key::AddressFamily, Item { words: vec![b"any".to_vec()], origin: Origin::Default });
    }
    let _ = build;
    for queued in std::mem::take(&mut options.queued) {
        add(around, options, &queued)?;
    }
    Ok(())
}

fn assume_port(options: &mut Options) {
    if !options.is_set(Key::Port) {
        options.put(Key::Port, Item { words: vec![b"22".to_vec()], origin: Origin::Default });
    }
}

/// The default: every address, IPv6 first, because sshd prints each answer of `getaddrinfo(3)` backwards.
pub(crate) fn fill_default(options: &mut Options) {
    assume_port(options);
    if !options.listen.is_empty() {
        return;
    }
    for port in ports(options) {
        for ip in [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)] {
            if wanted(options, &ip) {
                let text = show(ip, &port, None);
                options.listen.push(Listen { text, rdomain: None, origin: Origin::Default });
            }
        }
    }
}

fn ports(options: &Options) -> Vec<String> {
    let words = options.items(Key::Port).iter().filter_map(|item| item.words.first());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn show(ip: IpAddr, port: &str, rdomain: Option<&[u8]>) -> String {
    let domain = rdomain.map(|name| format!(" rdomain {}", String::from_utf8_lossy(name))).unwrap_or_default();
    match ip {
        IpAddr::V4(ip) => format!("{ip}:{port}{domain}"),
        IpAddr::V6(ip) => format!("[{ip}]:{port}{domain}"),
    }
}

fn add(around: &Around, options: &mut Options, queued: &Queued) -> Result<(), Refused> {
    let ports = match queued.port {
        Some(port) => vec![port.to_string()],
        None => ports(options),
    };
    let shown = String::from_utf8_lossy(&queued.host).into_owned();
    let found = match numeric_host(&queued.host) {
        Some(ip) if wanted(options, &ip) => vec![ip],
        Some(_) => {
            return Err((
                Some(queued.origin.clone()),
                format!("bad addr or host: {shown} (Address family for hostname not supported)"),
            ));
        }
        None => {
            let named = around.hosts.get(&queued.host.to_ascii_lowercase()).map_or(&[][..], Vec::as_slice);
            named.iter().copied().filter(|ip| wanted(options, ip)).collect()
        }
    };
    if found.is_empty() && !plausible(&queued.host) {
        let text = format!("bad addr or host: {shown} (Name or service not known)");
        return Err((Some(queued.origin.clone()), text));
    }
    for port in ports {
        let rdomain = queued.rdomain.clone();
        let mut texts: Vec<String> = found.iter().rev().map(|ip| show(*ip, &port, rdomain.as_deref())).collect();
        if texts.is_empty() {
            // A name that only DNS knows: which addresses it has is not known here.
            texts.push(format!("{shown}:{port}"));
        }
        for text in texts {
            let listen = Listen { text, rdomain: rdomain.clone(), origin: queued.origin.clone() };
            // Addresses print a routing domain at a time, in the order of the domains' first lines.
            let at = options
                .listen
                .iter()
                .rposition(|known| known.rdomain == rdomain)
                .map_or(options.listen.len(), |at| at + 1);
            options.listen.insert(at, listen);
        }
    }
    Ok(())
}

/// Whether a name could be a host's at all: one that DNS might answer.
fn plausible(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() < 254
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte))
        && name.iter().any(u8::is_ascii_alphabetic)
}
