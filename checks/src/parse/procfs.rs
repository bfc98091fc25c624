//! What `/proc` says of processes and sockets, from its bytes: `proc(5)`, `cgroups(7)`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::check::bytes_text;
use crate::observation::socket::Protocol;

/// What is taken from `/proc/PID/stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// `comm`, with bytes that are no UTF-8 as `\xNN`.
    pub name: String,
    /// The parent's id.
    pub parent: i32,
    /// Start, in clock ticks since boot.
    pub start_ticks: u64,
}

/// Reads `/proc/PID/stat`. The name stands between the first `(` and the last `)`: a process may put either in it.
pub fn stat(bytes: &[u8]) -> Option<Stat> {
    let open = bytes.iter().position(|byte| *byte == b'(')?;
    let close = bytes.iter().rposition(|byte| *byte == b')')?;
    let name = bytes_text(bytes.get(open + 1..close)?);
    let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
    // Counted from the state, which is field 3 of proc(5).
    let mut fields = rest.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let start_ticks = fields.nth(17)?.parse().ok()?;
    Some(Stat { name, parent, start_ticks })
}

/// The names of the shared libraries in `/proc/PID/maps` that were removed or replaced since they were loaded, sorted, each once.
pub fn replaced_libraries(maps: &[u8]) -> Vec<String> {
    let lines = maps.split(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b" (deleted)"));
    let library = |line: &[u8]| {
        // Address, permissions, offset, device, inode, and then the path.
        let permissions = line.split(|byte| *byte == b' ').nth(1)?;
        let path = line.get(line.iter().position(|byte| *byte == b'/')?..)?;
        let system = [&b"/usr/"[..], b"/lib"].iter().any(|start| path.starts_with(start));
        let name = bytes_text(path.rsplit(|byte| *byte == b'/').next()?);
        (permissions.contains(&b'x') && system && (name.ends_with(".so") || name.contains(".so."))).then_some(name)
    };
    let mut names: Vec<String> = lines.filter_map(library).collect();
    names.sort();
    names.dedup();
    names
}

/// Where a process stands among the control groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The unit of the system manager that it belongs to.
    pub unit: Option<String>,
    /// The container that it runs in: runtime and the first 12 digits of the id, or the machine's name.
    pub container: Option<String>,
}

/// Reads `/proc/PID/cgroup`: the path in systemd's own hierarchy, else in the unified one, else in any.
pub fn cgroup(bytes: &[u8]) -> Group {
    let mut group = Group::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = bytes_text(line);
        let Some(path) = line.splitn(3, ':').nth(2) else { continue };
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != "..").collect();
        let (end, container) = container(&parts).map_or((parts.len(), None), |(at, name)| (at + 1, Some(name)));
        // A unit below the container belongs to a system manager inside it.
        let unit = parts.iter().take(end).find(|part| is_unit(part));
        group.unit = group.unit.or_else(|| unit.map(|part| unescape(part)));
        group.container = group.container.or(container);
    }
    group
}

fn is_unit(part: &str) -> bool {
    [".service", ".scope", ".socket", ".mount", ".swap"].iter().any(|suffix| part.ends_with(suffix))
}

/// Undoes the leading underscore that systemd gives a name which collides with a control file (`cg_escape`).
fn unescape(part: &str) -> String {
    part.strip_prefix('_').unwrap_or(part).to_owned()
}

/// The deepest component that names a container and where it stands, in the forms that docker, containerd, CRI-O, podman, nspawn and LXC use.
fn container(parts: &[&str]) -> Option<(usize, String)> {
    parts.iter().enumerate().rev().find_map(|(at, part)| {
        let stem = part.strip_suffix(".scope").or_else(|| part.strip_suffix(".service")).unwrap_or(part);
        if let Some(name) = stem.strip_prefix("lxc.payload.") {
            return Some((at, format!("lxc:{name}")));
        }
        if let Some(name) = stem.strip_prefix("systemd-nspawn@").or_else(|| stem.strip_prefix("machine-")) {
            return Some((at, format!("machine:{name}")));
        }
        let (before, id) = stem.rsplit_once(['-', ':']).unwrap_or(("", stem));
        if id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) || before.ends_with("conmon") {
            return None;
        }
        let above = at.checked_sub(1).and_then(|at| parts.get(at)).copied().unwrap_or_default();
        let runtime = match before.rsplit([':', '/']).next().unwrap_or_default() {
            "docker" => "docker",
            "libpod" => "podman",
            "crio" => "cri-o",
            "cri-containerd" | "nerdctl" => "containerd",
            "" if above == "docker" => "docker",
            "" if above.starts_with("libpod") => "podman",
            "" if above.starts_with("pod") => "kubernetes",
            _ => "container",
        };
        Some((at, format!("{runtime}:{}", id.get(..12).unwrap_or(id))))
    })
}

/// One listening socket of `/proc/PID/net/{tcp,tcp6,udp,udp6}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetLine {
    /// The bound address.
    pub address: IpAddr,
    /// The bound port.
    pub port: u16,
    /// The user that made it.
    pub uid: u32,
    /// Its inode.
    pub inode: u64,
}

/// The listeners in one of these tables: TCP in LISTEN, UDP without a peer. The second value counts lines that could
/// not be read.
pub fn net_table(bytes: &[u8], protocol: Protocol) -> (Vec<NetLine>, usize) {
    let wanted = match protocol {
        Protocol::Tcp => 10,
        Protocol::Udp => 7,
    };
    let (mut lines, mut broken) = (Vec::new(), 0);
    for line in bytes.split(|byte| *byte == b'\n').skip(1).filter(|line| !line.trim_ascii().is_empty()) {
        match net_line(line) {
            Some((state, line)) if state == wanted => lines.push(line),
            Some(_) => {}
            None => broken += 1,
        }
    }
    (lines, broken)
}

/// An established connection of `/proc/PID/net/{tcp,tcp6}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connected {
    /// The far end's address.
    pub peer: IpAddr,
    /// The far end's port.
    pub peer_port: u16,
    /// The own port.
    pub port: u16,
    /// Its inode.
    pub inode: u64,
}

/// The established connections in one of these tables; lines that cannot be read are left out.
pub fn connections(bytes: &[u8]) -> Vec<Connected> {
    const ESTABLISHED: &str = "01";
    let connected = |line: &[u8]| {
        let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let number = |hex| u16::from_str_radix(hex, 16).ok();
        let port = number(fields.nth(1)?.split_once(':')?.1)?;
        let (peer, peer_port) = fields.next()?.split_once(':')?;
        if fields.next()? != ESTABLISHED {
            return None;
        }
        let inode = fields.nth(5)?.parse().ok()?;
        Some(Connected { peer: net_address(peer)?, peer_port: number(peer_port)?, port, inode })
    };
    bytes.split(|byte| *byte == b'\n').skip(1).filter_map(connected).collect()
}

fn net_line(line: &[u8]) -> Option<(u8, NetLine)> {
    let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((state, NetLine { address: net_address(address)?, port, uid, inode }))
}

/// Addresses stand as 32-bit words in the host's byte order.
fn net_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.as_flattened().try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_that_were_replaced_are_told_once() {
        let maps = b"7f1-7f2 r--p 00000000 fe:00 12 /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)\n\
            7f2-7f3 r-xp 00001000 fe:00 12                     /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)\n\
            7f3-7f4 r-xp 00001000 fe:00 12 /lib/libc-2.17.so (deleted)\n7f3-7f4 r-xp 00001000 fe:00 12 /usr/lib/libz.so.1\n\
            7f4-7f5 r-xp 00000000 00:01 9 /memfd:x.so (deleted)\n7f4-7f5 r-xp 00000000 00:01 9 /tmp/a.so (deleted)\n\
            7f4-7f5 r-xp 00000000 00:01 9 /usr/sbin/nginx (deleted)\n\n (deleted)\n";
        assert_eq!(replaced_libraries(maps), ["libc-2.17.so", "libssl.so.3"]);
    }

    #[test]
    fn a_process_name_cannot_forge_fields() {
        let line = b"12 (a) S 1 2 (b) S 7 1 1 0 -1 4194560 1 0 0 0 3 4 0 0 20 0 1 0 777 1000 2";
        let stat = stat(line).unwrap();
        assert_eq!((stat.name.as_str(), stat.parent, stat.start_ticks), ("a) S 1 2 (b", 7, 777));
        assert_eq!(super::stat(b"12 (x"), None);
        assert_eq!(super::stat(b""), None);
    }

    #[test]
    fn units_and_containers_come_from_the_control_group() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let cases = [
            ("0::/system.slice/ssh.service\n".to_owned(), Some("ssh.service"), None),
            ("1:name=systemd:/system.slice/sshd.service\n0::/\n".to_owned(), Some("sshd.service"), None),
            ("0::/init.scope\n".to_owned(), Some("init.scope"), None),
            ("0::/user.slice/user-0.slice/session-3.scope\n".to_owned(), Some("session-3.scope"), None),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service".to_owned(),
                Some("user@1000.service"),
                None,
            ),
            (format!("0::/system.slice/docker-{id}.scope\n"), Some(""), Some("docker:0123456789ab")),
            (format!("0::/docker/{id}\n"), None, Some("docker:0123456789ab")),
            (
                format!("0::/kubepods.slice/kubepods-podx.slice/cri-containerd-{id}.scope"),
                Some(""),
                Some("containerd:0123456789ab"),
            ),
            (format!("0::/kubepods/besteffort/pod12/{id}"), None, Some("kubernetes:0123456789ab")),
            (
                format!("0::/system.slice/containerd.service/kubepods-x:cri-containerd:{id}"),
                Some("containerd.service"),
                Some("containerd:0123456789ab"),
            ),
            (format!("0::/machine.slice/libpod-{id}.scope/container"), Some(""), Some("podman:0123456789ab")),
            (format!("0::/machine.slice/libpod-conmon-{id}.scope"), Some(""), None),
            (format!("0::/kubepods.slice/crio-{id}.scope"), Some(""), Some("cri-o:0123456789ab")),
            ("0::/lxc.payload.web/system.slice/nginx.service".to_owned(), None, Some("lxc:web")),
            ("0::/machine.slice/systemd-nspawn@t.service/payload".to_owned(), Some(""), Some("machine:t")),
            ("".to_owned(), None, None),
        ];
        for (text, unit, name) in cases {
            let group = cgroup(text.as_bytes());
            // An empty unit in the table: the component that names the container is the unit.
            match unit {
                Some("") => assert!(group.unit.as_deref().is_some_and(|unit| text.contains(unit)), "{text}"),
                unit => assert_eq!(group.unit.as_deref(), unit, "{text}"),
            }
            assert_eq!(group.container.as_deref(), name, "{text}");
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_the_tables_of_a_foreign_namespace() {
        let table = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0000000000000000 100 0 0 10 0\n\
   1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000  1000        0 4243 1 0000000000000000 20 4 30 10 -1\n\
   2: broken\n";
        let (lines, broken) = net_table(table, Protocol::Tcp);
        assert_eq!(broken, 1);
        let line = NetLine { address: "127.0.0.1".parse().unwrap(), port: 8080, uid: 1000, inode: 4242 };
        assert_eq!(lines, [line]);
        let peer = "127.0.0.1".parse().unwrap();
        assert_eq!(connections(table), [Connected { peer, peer_port: 0xc001, port: 8080, inode: 4243 }]);
        let six = b"h\n  0: B80D0120000000000000000001000000:0035 0:0 07 0:0 0:0 0 33 0 99 2 0";
        let (lines, broken) = net_table(six, Protocol::Udp);
        assert_eq!((lines[0].address.to_string().as_str(), lines[0].port, broken), ("2001:db8::1", 53, 0));
    }
}
