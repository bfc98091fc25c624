//! Listening sockets and their owners, against what `ss -tulpn` says of the same namespace.

#![cfg(test)]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use hostward::observe;
use hostward_checks::fact::Fact;
use hostward_checks::observation::socket::{Listener, Protocol, Sockets};
use hostward_tests::host::Host;
use hostward_tests::listen::{Listening, copy, spread};
use hostward_tests::netns::Netns;
use hostward_tests::results;
use hostward_tests::suite::Suite;

const LISTEN: &str = env!("CARGO_BIN_EXE_listen");

/// One line of `ss -tulpne`, as far as it says who listens where.
type Line = (String, String, u64, u32, BTreeSet<(String, i32)>);

/// What `ss` says in the calling thread's network namespace.
fn ss() -> BTreeSet<Line> {
    let output = Command::new("ss").arg("-tulpneH").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(ss_line).collect()
}

fn ss_line(line: &str) -> Line {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)).map_or(0, |n| n.parse().unwrap());
    let mut users = BTreeSet::new();
    if let Some((_, list)) = line.split_once("users:(") {
        for user in list.split("(\"").skip(1) {
            let (name, rest) = user.split_once("\",pid=").unwrap();
            users.insert((name.to_owned(), rest.split_once(',').unwrap().0.parse().unwrap()));
        }
    }
    (words[0].to_owned(), words[4].to_owned(), number("ino:"), u32::try_from(number("uid:")).unwrap(), users)
}

/// A listener as `ss` would write it: `*` is an IPv6 socket that takes IPv4 too.
fn as_ss(listener: &Listener) -> Line {
    let host = match listener.address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) if address.is_unspecified() && listener.v6only == Some(false) => "*".to_owned(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let device = listener.device.as_ref().map_or(String::new(), |device| format!("%{device}"));
    let users = match &listener.owners {
        Fact::Known(owners) => owners.iter().map(|owner| (owner.name.clone(), owner.pid)).collect(),
        Fact::Absent => BTreeSet::new(),
        Fact::Unknown(why) => panic!("owners unknown: {why}"),
    };
    let protocol = if listener.protocol == Protocol::Tcp { "tcp" } else { "udp" };
    (protocol.to_owned(), format!("{host}{device}:{}", listener.port), listener.inode, listener.uid, users)
}

fn observed() -> Sockets {
    match observe::sockets() {
        Fact::Known(sockets) => sockets,
        other => panic!("{other:?}"),
    }
}

fn own(sockets: &Sockets) -> impl Iterator<Item = &Listener> {
    sockets.listeners.iter().filter(|listener| listener.namespace.is_none())
}

fn agree(what: &str) -> usize {
    let theirs = ss();
    let ours: BTreeSet<Line> = own(&observed()).map(as_ss).collect();
    assert_eq!(ours.symmetric_difference(&theirs).next(), None, "{what}: ours {}, theirs {}", ours.len(), theirs.len());
    ours.len()
}

fn words(sockets: &[&str]) -> Vec<String> {
    sockets.iter().map(|socket| (*socket).to_owned()).collect()
}

#[test]
fn every_kind_of_listener_is_seen_as_ss_sees_it() {
    Netns::new().unwrap().run(every_kind).unwrap();
}

fn every_kind() {
    let dir = tempfile::tempdir().unwrap();
    let gone = copy(Path::new(LISTEN), dir.path()).unwrap();
    let _kept = [
        Listening::start(Path::new(LISTEN), &words(&["tcp:0.0.0.0:80", "tcp:127.0.0.1:81", "udp:0.0.0.0:82"])).unwrap(),
        Listening::start(Path::new(LISTEN), &words(&["tcp-dual:[::]:90", "tcp-v6only:[::]:91", "tcp:[::1]:92"]))
            .unwrap(),
        Listening::start(Path::new(LISTEN), &words(&["tcp-v6only:[::]:95", "tcp:0.0.0.0:95"])).unwrap(),
        Listening::start(Path::new(LISTEN), &words(&["udp-dual:[::]:96", "udp-v6only:[::]:97", "udp:[::1]:98"]))
            .unwrap(),
        Listening::start(Path::new(LISTEN), &words(&["tcp%lo:127.0.0.53:53", "udp%lo:0.0.0.0:68", "udp%lo:[::]:546"]))
            .unwrap(),
        Listening::start(Path::new(LISTEN), &words(&["share", "tcp:0.0.0.0:100", "udp:127.0.0.1:100"])).unwrap(),
    ];
    let deleted = Listening::start(&gone, &words(&["tcp:0.0.0.0:110"])).unwrap();
    std::fs::remove_file(&gone).unwrap();
    let open =
        tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir().unwrap();
    let plain = copy(Path::new(LISTEN), open.path()).unwrap();
    let _nobody =
        Listening::start_all(&plain, &[words(&["tcp:0.0.0.0:8080"])], |command| command.uid(65534).gid(65534)).unwrap();
    // A connection and a connected datagram socket are no listeners.
    let connection = std::net::TcpStream::connect("127.0.0.1:81").unwrap();
    let datagram = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    datagram.connect("127.0.0.1:82").unwrap();

    assert_eq!(agree("every kind"), 18);

    let sockets = observed();
    let at = |port| own(&sockets).filter(|listener| listener.port == port).collect::<Vec<_>>();
    let owner = &at(110)[0].owners.known().unwrap()[0];
    assert!(owner.deleted, "{owner:?}");
    assert_eq!((owner.executable.known().unwrap().as_path(), owner.pid), (gone.as_path(), deleted.pid() as i32));
    assert_eq!(at(90)[0].v6only, Some(false));
    // The kernel makes every socket bound to an IPv6 address of its own IPv6-only.
    assert_eq!((at(91)[0].v6only, at(92)[0].v6only), (Some(true), Some(true)));
    assert_eq!(at(53)[0].device.as_deref(), Some("lo"));
    assert_eq!(at(100)[0].owners.known().unwrap().len(), 2, "{:?}", at(100));
    assert_eq!((at(8080)[0].uid, at(8080)[0].owners.known().unwrap()[0].uid), (65534, 65534));
    drop((connection, datagram));
}

#[test]
fn other_namespaces_are_seen_through_their_processes() {
    let (here, there) = (Netns::new().unwrap(), Netns::new().unwrap());
    let kinds = words(&[
        "tcp:127.0.0.1:81",
        "tcp:0.0.0.0:80",
        "tcp-v6only:[::]:91",
        "tcp-dual:[::]:92",
        "tcp%lo:127.0.0.53:53",
        "udp:[::1]:98",
        "udp:0.0.0.0:82",
    ]);
    let (listening, theirs) = there.run(|| (Listening::start(Path::new(LISTEN), &kinds).unwrap(), ss())).unwrap();
    let namespace = std::fs::metadata(format!("/proc/{}/ns/net", listening.pid())).unwrap().ino();
    let sockets = here.run(observed).unwrap();
    assert_eq!(own(&sockets).count(), 0);
    let mut found = 0;
    for listener in sockets.listeners.iter().filter(|listener| listener.namespace == Some(namespace)) {
        assert_eq!(listener.v6only, listener.address.is_ipv6().then_some(listener.port != 92), "{listener:?}");
        assert!(theirs.contains(&as_ss(listener)), "{listener:?} is not among {theirs:?}");
        found += 1;
    }
    assert_eq!(found, kinds.len());
}

#[test]
fn ten_thousand_listeners_in_two_thousand_processes_are_all_seen() {
    let namespace = Netns::new().unwrap();
    let found = namespace.run(|| {
        let _kept = Listening::start_all(Path::new(LISTEN), &spread(10_000, 2_000), |command| command).unwrap();
        agree("10,000 listeners in 2,000 processes")
    });
    assert_eq!(found.unwrap(), 10_000);
    results::tested("sockets", "namespace", "equal to ss -tulpn: 10,000 listeners in 2,000 processes");
}

#[test]
fn a_booted_host_is_seen_as_ss_sees_it() {
    for name in ["bookworm", "noble"] {
        let suite = match Suite::find(name) {
            Ok(suite) => suite,
            Err(error) => {
                results::skipped("sockets", name, format!("{error:#}"));
                continue;
            }
        };
        let host = Host::of(&suite).boot().unwrap();
        let ssh = host.network().run(|| {
            let found = agree(name);
            let sockets = observed();
            let ssh: Vec<Listener> = own(&sockets).filter(|listener| listener.port == 22).cloned().collect();
            results::tested("sockets", name, format!("equal to ss -tulpn: {found} listeners"));
            ssh
        });
        let ssh = ssh.unwrap();
        let owner = ssh.first().and_then(|listener| listener.owners.known()).and_then(|owners| owners.first()).unwrap();
        // noble starts sshd by a socket unit: systemd itself listens until somebody comes.
        let expected = if name == "noble" { "systemd" } else { "sshd" };
        assert_eq!(owner.name, expected, "{ssh:?}");
    }
}
