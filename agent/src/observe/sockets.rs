//! Listening sockets with their owners, in the own network namespace and in those of other processes.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::time::{Duration, Instant};

use hostward_checks::fact::{Fact, Why};
use hostward_checks::observation::socket::{Listener, Process, Protocol, Sockets};
use hostward_checks::parse::procfs;
use nix::net::if_::if_nameindex;
use nix::sched::{CloneFlags, setns};
use rustix::fs::fstat;
use rustix::io::Errno;

use super::netlink;
use super::process::{Described, Holders, OWN, Processes};

/// As many foreign network namespaces are looked at, for as long: each costs a walk over the kernel's whole table.
const MAX_NAMESPACES: usize = 64;
const NAMESPACE_BUDGET: Duration = Duration::from_secs(3);

/// The four tables of a network namespace under `/proc/PID`.
const TABLES: [(&str, Protocol); 4] =
    [("net/tcp", Protocol::Tcp), ("net/tcp6", Protocol::Tcp), ("net/udp", Protocol::Udp), ("net/udp6", Protocol::Udp)];

/// Every listening socket of the host with its owners, as far as the kernel lets them be seen.
pub fn sockets() -> Fact<Sockets> {
    let processes = match Processes::list() {
        Ok(processes) => processes,
        Err(error) => return Fact::Unknown(Why::Failed(format!("failed to list /proc: {error}"))),
    };
    let mut listeners = match own(&processes) {
        Ok(listeners) => listeners,
        Err(why) => return Fact::Unknown(why),
    };
    let unseen_namespaces = foreign(&processes, &mut listeners);
    own_up(&processes, &mut listeners);
    listeners.sort_by(|a, b| {
        (a.namespace, a.protocol, a.port, a.address, a.inode).cmp(&(
            b.namespace,
            b.protocol,
            b.port,
            b.address,
            b.inode,
        ))
    });
    listeners.dedup_by(|a, b| a.inode == b.inode && a.inode != 0);
    Fact::Known(Sockets { listeners, unseen_namespaces })
}

/// The listeners of the own network namespace and the ids of their owners, without further facts about these: what
/// `ss -tulpn` finds out.
///
/// # Errors
/// Why the kernel could not be asked.
pub fn sockets_and_owners() -> Result<(Vec<Listener>, Holders), Why> {
    let processes = Processes::list().map_err(|error| Why::Failed(format!("failed to list /proc: {error}")))?;
    let listeners = own(&processes)?;
    let holders = processes.holders(listeners.iter().map(|listener| listener.inode));
    Ok((listeners, holders))
}

/// The own namespace's listeners: from `sock_diag`, else (a kernel without it, gVisor) from `/proc`.
fn own(processes: &Processes) -> Result<Vec<Listener>, Why> {
    let bound = match netlink::listeners() {
        Ok(bound) => bound,
        Err(error) => {
            let own = i32::try_from(std::process::id()).unwrap_or_default();
            return tables(processes, own, None).map_err(|other| {
                Why::Failed(format!(
                    "failed to ask the kernel for sockets: {error}; failed to read /proc/self/net: {other}"
                ))
            });
        }
    };
    Ok(told(bound, None))
}

/// What the kernel told, with the names of interfaces, which are those of the calling thread's namespace.
fn told(bound: Vec<netlink::Bound>, namespace: Option<u64>) -> Vec<Listener> {
    let names = if bound.iter().any(|socket| socket.interface != 0) { interfaces() } else { HashMap::new() };
    let listener = |socket: netlink::Bound| Listener {
        v6only: socket.v6only,
        // An interface that is gone again still has its number.
        device: (socket.interface != 0)
            .then(|| names.get(&socket.interface).cloned().unwrap_or_else(|| format!("#{}", socket.interface))),
        uid: socket.uid,
        inode: socket.inode,
        namespace,
        ..plain(socket.protocol, socket.address, socket.port)
    };
    bound.into_iter().map(listener).collect()
}

/// The listeners of another network namespace, asked by a thread that enters it and ends there: `/proc` would walk the kernel's
/// whole table of connections. None: we may not enter, or the kernel does not answer.
fn entered(processes: &Processes, pid: i32, namespace: u64) -> Option<Vec<Listener>> {
    let door = processes.open_network_namespace(pid).ok()?;
    // The process may have ended, and its number be another's.
    if fstat(&door).ok()?.st_ino != namespace {
        return None;
    }
    let visit = move || {
        setns(door, CloneFlags::CLONE_NEWNET).ok()?;
        Some(told(netlink::listeners().ok()?, Some(namespace)))
    };
    std::thread::Builder::new().spawn(visit).ok()?.join().ok()?
}

fn plain(protocol: Protocol, address: std::net::IpAddr, port: u16) -> Listener {
    Listener {
        protocol,
        address,
        port,
        v6only: None,
        device: None,
        inode: 0,
        uid: 0,
        namespace: None,
        owners: Fact::Absent,
        container: None,
    }
}

fn interfaces() -> HashMap<u32, String> {
    let Ok(list) = if_nameindex() else { return HashMap::new() };
    list.iter().map(|interface| (interface.index(), interface.name().to_string_lossy().into_owned())).collect()
}

/// The listeners of a network namespace as one of its processes sees them.
fn tables(processes: &Processes, pid: impl Display + Copy, namespace: Option<u64>) -> Result<Vec<Listener>, Errno> {
    let (mut listeners, mut buffer) = (Vec::new(), Vec::new());
    for (table, protocol) in TABLES {
        let bytes = match processes.read(pid, table, &mut buffer) {
            Ok(bytes) if bytes.len() >= Processes::LIMIT => return Err(Errno::FBIG),
            Ok(bytes) => bytes,
            // A kernel without IPv6 has no such table.
            Err(Errno::NOENT) if table.ends_with('6') => continue,
            Err(error) => return Err(error),
        };
        let (lines, broken) = procfs::net_table(bytes, protocol);
        if broken > 0 {
            return Err(Errno::BADMSG);
        }
        let listener = |line: procfs::NetLine| Listener {
            uid: line.uid,
            inode: line.inode,
            namespace,
            ..plain(protocol, line.address, line.port)
        };
        listeners.extend(lines.into_iter().map(listener));
    }
    Ok(listeners)
}

/// Adds the listeners of every other network namespace that a process lives in; says which were left out.
fn foreign(processes: &Processes, listeners: &mut Vec<Listener>) -> Vec<(u64, String)> {
    let own = processes.network_namespace(OWN);
    let mut members: BTreeMap<u64, Vec<i32>> = BTreeMap::new();
    for &pid in &processes.pids {
        if let Some(namespace) = processes.network_namespace(pid).filter(|namespace| Some(*namespace) != own) {
            members.entry(namespace).or_default().push(pid);
        }
    }
    let (begun, mut unseen) = (Instant::now(), Vec::new());
    for (at, (namespace, pids)) in members.into_iter().enumerate() {
        if at >= MAX_NAMESPACES || begun.elapsed() > NAMESPACE_BUDGET {
            unseen.push((
                namespace,
                format!("more than {MAX_NAMESPACES} namespaces or {NAMESPACE_BUDGET:?} of reading them"),
            ));
            continue;
        }
        // Any of its processes will do; the first may be gone.
        let mut result = Err(Errno::SRCH);
        for pid in pids.into_iter().take(8) {
            result = entered(processes, pid, namespace).map_or_else(|| tables(processes, pid, Some(namespace)), Ok);
            if result.is_ok() {
                break;
            }
        }
        match result {
            Ok(found) => listeners.extend(found),
            // All its processes ended meanwhile, and their sockets with them.
            Err(Errno::SRCH | Errno::NOENT) => {}
            Err(error) => unseen.push((namespace, format!("failed to read its socket tables: {error}"))),
        }
    }
    unseen
}

/// Fills in the owners of every listener.
fn own_up(processes: &Processes, listeners: &mut [Listener]) {
    let holders = processes.holders(listeners.iter().map(|listener| listener.inode));
    let (mut known, mut buffer): (HashMap<i32, Option<Described>>, _) = (HashMap::new(), Vec::new());
    for listener in listeners {
        let pids = holders.of(listener.inode);
        if pids.len() == 0 {
            // Nobody found: the kernel's own, or of a process that could not be looked into.
            listener.owners = if holders.denied { Fact::Unknown(Why::Denied) } else { Fact::Absent };
            continue;
        }
        let mut owners: Vec<Process> = Vec::with_capacity(pids.len());
        for pid in pids {
            let Some(described) = known.entry(pid).or_insert_with(|| processes.describe(pid, &mut buffer)) else {
                continue;
            };
            listener.container = listener.container.take().or_else(|| described.container.clone());
            owners.push(described.process.clone());
        }
        // All gone while we looked: the socket is gone too, or held by somebody who was not there before.
        listener.owners = if owners.is_empty() { Fact::Unknown(Why::Unstable) } else { Fact::Known(owners) };
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_listener_of_our_own_is_told_with_all_facts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = sockets();
        let mut found =
            found.known().unwrap().listeners.iter().filter(|l| l.port == port && l.protocol == Protocol::Tcp);
        let hit = found.find(|l| l.address.is_loopback()).unwrap();
        let owners = hit.owners.known().unwrap();
        assert_eq!(owners.len(), 1);
        assert_eq!(owners[0].executable, Fact::Known(std::env::current_exe().unwrap()));
        assert_eq!((hit.namespace, hit.device.as_deref()), (None, None));
    }

    #[test]
    fn where_a_namespace_cannot_be_entered_its_tables_tell() {
        let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), std::net::UdpSocket::bind("[::1]:0").unwrap());
        let processes = Processes::list().unwrap();
        let found = tables(&processes, OWN, Some(7)).unwrap();
        for (protocol, address) in
            [(Protocol::Tcp, tcp.local_addr().unwrap()), (Protocol::Udp, udp.local_addr().unwrap())]
        {
            let is = |l: &&Listener| (l.protocol, l.address, l.port) == (protocol, address.ip(), address.port());
            let hit = found.iter().find(is).unwrap();
            assert!(hit.inode > 0 && hit.namespace == Some(7), "{hit:?}");
        }
        assert!(
            entered(&processes, i32::try_from(std::process::id()).unwrap(), 7).is_none(),
            "another namespace's number"
        );
    }
}
