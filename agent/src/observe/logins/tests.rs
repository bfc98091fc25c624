//! The same logins, written as every kind of log and record writes them, are the same logins.

use std::net::IpAddr;

use super::*;

/// 2026-01-10T00:00:00Z: the logs of the last 30 days begin in the year before.
const NOW: UnixSeconds = 1_768_003_200;
/// The zone of the host, and what its local time is ahead.
const EAST: i64 = 8 * 3600;

/// What happened.
#[derive(Clone, Debug)]
enum What {
    /// User, method, and what stands behind `ssh2`.
    Accepted(&'static str, &'static str, &'static str),
    /// A wrong password of a user, or of a name that nobody has.
    Wrong(&'static str, bool),
    /// So many wrong passwords of which syslog makes one line.
    Repeated(u32),
    /// A connection that ends.
    Ended(&'static str),
    /// Lines that are no login.
    Noise(&'static str),
}

#[derive(Clone, Debug)]
struct Event {
    at: UnixSeconds,
    source: IpAddr,
    what: What,
}

const USERS: [&str; 6] = ["root", "ann", "名 字", "x from 9.9.9.9 port 1 ssh2", "Accepted password for root", "a]: b"];
const NOISE: [&str; 6] = [
    "Server listening on 0.0.0.0 port 22.",
    "pam_unix(sshd:session): session opened for user root(uid=0) by root(uid=0)",
    "Received disconnect from 192.0.2.1 port 5:11: disconnected by user",
    "Failed publickey for root from 192.0.2.1 port 5 ssh2: RSA SHA256:x",
    "Connection closed by 192.0.2.1 port 5 [preauth]",
    "Failed none for invalid user x from 192.0.2.1 port 5 ssh2",
];

/// The same numbers every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % limit).unwrap()
    }
}

fn events(count: usize) -> Vec<Event> {
    let mut numbers = Numbers(11);
    let mut each: Vec<Event> = (0..count)
        .map(|_| {
            let source = match numbers.below(3) {
                0 => IpAddr::from([198, 51, 100, u8::try_from(numbers.below(20)).unwrap()]),
                1 => IpAddr::from([203, 0, 113, u8::try_from(numbers.below(20)).unwrap()]),
                _ => format!("2001:db8::{:x}", 1 + numbers.below(20)).parse().unwrap(),
            };
            let user = USERS[numbers.below(6)];
            let what = match numbers.below(8) {
                0 => What::Accepted(USERS[numbers.below(2)], "password", ""),
                1 => What::Accepted(USERS[numbers.below(2)], "keyboard-interactive/pam", ""),
                2 => What::Accepted(USERS[numbers.below(2)], "publickey", ": ED25519 SHA256:abc"),
                3 | 4 => What::Wrong(user, user != "root"),
                5 => What::Repeated(2 + u32::try_from(numbers.below(5)).unwrap()),
                6 => What::Ended(user),
                _ => What::Noise(NOISE[numbers.below(6)]),
            };
            let back = numbers.below(29 * 86_400);
            Event { at: NOW - i64::try_from(back).unwrap(), source, what }
        })
        .collect();
    each.sort_by_key(|event| event.at);
    each
}

fn message(event: &Event) -> String {
    let from = event.source;
    match event.what {
        What::Accepted(user, method, end) => format!("Accepted {method} for {user} from {from} port 40022 ssh2{end}"),
        What::Wrong(user, nobody) => {
            let nobody = if nobody { "invalid user " } else { "" };
            format!("Failed password for {nobody}{user} from {from} port 40022 ssh2")
        }
        What::Repeated(times) => {
            format!("message repeated {times} times: [ Failed password for root from {from} port 40022 ssh2]")
        }
        What::Ended(user) => format!("Connection closed by invalid user {user} {from} port 40022 [preauth]"),
        What::Noise(text) => text.to_owned(),
    }
}

/// A way to write a line of a log, at a moment of local time.
type Form = (&'static str, fn(&jiff::Zoned, &str) -> String);

const FORMS: [Form; 9] = [
    ("RFC 3164", |at, text| format!("{} h sshd[12]: {text}", at.strftime("%b %e %H:%M:%S"))),
    ("RFC 3164 with its priority", |at, text| format!("<38>{} h sshd[12]: {text}", at.strftime("%b %e %H:%M:%S"))),
    ("sshd-session", |at, text| format!("{} h sshd-session[12]: {text}", at.strftime("%b %e %H:%M:%S"))),
    ("ISO 8601", |at, text| format!("{} h sshd[12]: {text}", at.strftime("%Y-%m-%dT%H:%M:%S.123456%:z"))),
    ("ISO 8601, UTC", |at, text| {
        let at = at.with_time_zone(TimeZone::UTC);
        format!("{} h sshd-auth[12]: {text}", at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }),
    ("ISO 8601 with its priority", |at, text| {
        format!("<86>{} h sshd[12]: {text}", at.strftime("%Y-%m-%dT%H:%M:%S%:z"))
    }),
    ("RFC 5424", |at, text| format!("<86>1 {} h sshd 12 - - {text}", at.strftime("%Y-%m-%dT%H:%M:%S.5%:z"))),
    ("the journal, short-iso", |at, text| format!("{} h sshd[12]: {text}", at.strftime("%Y-%m-%dT%H:%M:%S%z"))),
    ("the journal, short-iso, since 255", |at, text| {
        format!("{} h sshd-session[12]: {text}", at.strftime("%Y-%m-%dT%H:%M:%S%:z"))
    }),
];

fn written(events: &[Event], form: Form) -> Vec<String> {
    let zone = TimeZone::fixed(jiff::tz::offset(8));
    let each = events.iter().map(|event| {
        let at = jiff::Timestamp::from_second(event.at).unwrap().to_zoned(zone.clone());
        form.1(&at, &message(event)) + "\n"
    });
    each.collect()
}

/// Accepted logins, and refused ones by source and minute.
type Told = (Vec<(String, String, Option<IpAddr>, UnixSeconds)>, Vec<(IpAddr, UnixSeconds, u32)>);

fn told(found: Found) -> Told {
    let accepted = found.newest.into_values();
    let mut accepted: Vec<_> = accepted.map(|one| (one.user, one.method, one.source, one.at)).collect();
    accepted.sort();
    let refused = found.refused.finish().sources.into_iter();
    let refused = refused.flat_map(|(source, minutes)| minutes.into_iter().map(move |(at, count)| (source, at, count)));
    (accepted, refused.collect())
}

/// What the events are, without a log between: of a source the wrong passwords or the ended connections, of which there are more.
fn happened(events: &[Event]) -> Told {
    let (mut newest, mut refused) = (BTreeMap::new(), BTreeMap::<IpAddr, [BTreeMap<UnixSeconds, u32>; 2]>::new());
    for event in events {
        let (kind, times) = match event.what {
            What::Accepted(user, method, _) => {
                newest.insert((user.to_owned(), method.to_owned(), Some(event.source)), event.at);
                continue;
            }
            What::Noise(_) => continue,
            What::Wrong(..) => (0, 1),
            What::Repeated(times) => (0, times),
            What::Ended(_) => (1, 1),
        };
        let minutes = &mut refused.entry(event.source).or_default()[kind];
        *minutes.entry(event.at.div_euclid(60) * 60).or_default() += times;
    }
    let accepted = newest.into_iter().map(|((user, method, source), at)| (user, method, source, at)).collect();
    let refused = refused.into_iter().flat_map(|(source, kinds)| {
        let most = kinds.into_iter().max_by_key(|minutes| minutes.values().sum::<u32>()).unwrap();
        most.into_iter().map(move |(at, count)| (source, at, count))
    });
    (accepted, refused.collect())
}

fn place(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    dir
}

/// What files tell, and what was said of each.
fn read_files(root: &Path) -> (Found, Vec<String>) {
    let (mut found, mut sources) = (Found::new(NOW, EAST), Vec::new());
    files(root, &mut found, &mut sources);
    let said = sources.into_iter().map(|(path, result)| {
        let name = path.rsplit('/').next().unwrap().to_owned();
        if let Err(why) = result { format!("{name}: {why}") } else { name }
    });
    (found, said.collect())
}

/// A gzip member that holds the bytes as they are.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let mut chunks = bytes.chunks(0xffff).peekable();
    while let Some(chunk) = chunks.next() {
        let length = u16::try_from(chunk.len()).unwrap();
        out.push(u8::from(chunks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(chunk);
    }
    out.extend([0; 4]);
    out.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
    out
}

#[test]
fn every_form_of_a_log_tells_the_same() {
    let events = events(3000);
    let want = happened(&events);
    assert!(want.0.len() > 100 && want.1.len() > 300, "{} {}", want.0.len(), want.1.len());
    for form in FORMS {
        let lines = written(&events, form);
        let mut found = Found::new(NOW, EAST);
        assert_eq!(found.lines(lines.concat().as_bytes(), Teller::Log, Take::Both).unwrap(), 0, "{}", form.0);
        assert_eq!(told(found), want, "{}", form.0);
        // Rotated, and compressed with that; as Debian names them, and as others do.
        let parts: Vec<String> = lines.chunks(1000).map(<[String]>::concat).collect();
        for [new, old, oldest] in
            [["auth.log", "auth.log.1", "auth.log.2.gz"], ["secure", "secure-20260104", "secure-20251228.gz"]]
        {
            let path = |name: &str| format!("var/log/{name}");
            let dir = place(&[
                (&path(new), parts[2].as_bytes()),
                (&path(old), parts[1].as_bytes()),
                (&path(oldest), &gzip(parts[0].as_bytes())),
            ]);
            let (found, said) = read_files(dir.path());
            assert!(said.len() == 3 && said.iter().all(|one| !one.contains(' ')), "{said:?}");
            assert_eq!(found.since, Some(events[0].at));
            assert_eq!(told(found), want, "{} in {new}", form.0);
        }
    }
}

#[test]
fn the_log_of_everything_is_read_where_logins_have_none_of_their_own() {
    let line =
        |user: &str| format!("Jan  9 10:00:00 h sshd[1]: Accepted password for {user} from 192.0.2.1 port 1 ssh2\n");
    let all = line("ann");
    let dir = place(&[("var/log/messages", all.as_bytes()), ("var/log/messages.0", all.as_bytes())]);
    let (found, said) = read_files(dir.path());
    assert_eq!((found.newest.len(), said), (1, vec!["messages".to_owned(), "messages.0".to_owned()]));
    let dir = place(&[("var/log/messages", all.as_bytes()), ("var/log/secure", line("bob").as_bytes())]);
    let (found, said) = read_files(dir.path());
    assert_eq!(said, ["secure"]);
    assert!(found.newest.into_values().all(|login| login.user == "bob"));
}

/// A record of utmp's.
fn record(wide: bool, kind: i16, user: &str, source: IpAddr, at: UnixSeconds) -> Vec<u8> {
    let (size, time, address) = if wide { (400, 344, 360) } else { (384, 340, 348) };
    let mut out = vec![0; size];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &kind.to_ne_bytes());
    put(44, user.as_bytes());
    put(time, &u32::try_from(at).unwrap().to_ne_bytes());
    match source {
        IpAddr::V4(source) => put(address, &source.octets()),
        IpAddr::V6(source) => put(address, &source.octets()),
    }
    out
}

#[test]
fn records_of_either_layout_tell_the_same_and_broken_ones_are_told() {
    let events = events(2000);
    for wide in [false, true] {
        let (mut wtmp, mut btmp, mut want) = (Vec::new(), Vec::new(), happened(&[]));
        let mut counts = BTreeMap::<(IpAddr, UnixSeconds), u32>::new();
        for event in &events {
            match event.what {
                What::Accepted(user, ..) => {
                    wtmp.extend(record(wide, 7, user, event.source, event.at));
                    wtmp.extend(record(wide, 8, "", event.source, event.at));
                    want.0.push((user.to_owned(), String::new(), Some(event.source), event.at));
                }
                What::Wrong(..) => {
                    btmp.extend(record(wide, 6, "hunter2", event.source, event.at));
                    *counts.entry((event.source, event.at.div_euclid(60) * 60)).or_default() += 1;
                }
                _ => {}
            }
        }
        want.1 = counts.into_iter().map(|((source, at), count)| (source, at, count)).collect();
        let newest: BTreeMap<_, _> = want.0.drain(..).map(|(a, b, c, at)| ((a, b, c), at)).collect();
        want.0 = newest.into_iter().map(|((a, b, c), at)| (a, b, c, at)).collect();
        let dir = place(&[("var/log/wtmp", &wtmp), ("var/log/btmp-20260101", &btmp)]);
        let (found, said) = read_files(dir.path());
        assert_eq!((told(found), said), (want.clone(), vec!["wtmp".to_owned(), "btmp-20260101".to_owned()]));
        // One that is no record, and one cut short.
        let size = if wide { 400 } else { 384 };
        let broken = [&btmp[..size * 5], &record(wide, 99, "x", events[0].source, NOW), &btmp[size * 5..], &[6; 7]];
        let dir = place(&[("var/log/wtmp", &wtmp), ("var/log/btmp", &broken.concat())]);
        let (found, said) = read_files(dir.path());
        assert_eq!(told(found), want);
        assert_eq!(said, ["wtmp", "btmp: 2 records could not be understood"]);
    }
}

/// The newest records are the last.
#[test]
fn of_a_big_file_the_end_is_read() {
    let source = IpAddr::from([192, 0, 2, 7]);
    let mut btmp = record(false, 6, "x", source, NOW - 600).repeat(30_000);
    btmp.extend(record(false, 6, "x", source, NOW - 60));
    let dir = place(&[("var/log/btmp", &btmp)]);
    let (found, said) = read_files(dir.path());
    assert_eq!(said, [format!("btmp: only its last {RECORD_BYTES} bytes were read")]);
    let counts: Vec<u32> = told(found).1.into_iter().map(|(_, _, count)| count).collect();
    assert_eq!(counts, [u32::try_from(RECORD_BYTES / 384).unwrap() - 1, 1]);
}

#[test]
fn what_is_not_read_is_said() {
    let line = "2026-01-09T10:00:00Z h sshd[1]: Accepted password for bob from 192.0.2.1 port 1 ssh2\n".repeat(100);
    let good = gzip(line.as_bytes());
    let dir = place(&[
        ("var/log/auth.log.1", line.as_bytes()),
        ("var/log/auth.log.2.gz", &good[..good.len() / 2]),
        ("var/log/auth.log.3.gz", b"no gzip"),
        ("var/log/auth.log.4.xz", b"x"),
        ("var/log/wtmp.db", b"SQLite format 3\0"),
        ("var/lib/wtmpdb/other", b""),
    ]);
    std::os::unix::fs::symlink("../../log/wtmp.db", dir.path().join("var/lib/wtmpdb/wtmp.db")).unwrap();
    let (found, said) = read_files(dir.path());
    assert_eq!(found.newest.len(), 1);
    assert_eq!(said.len(), 5, "{said:?}");
    assert!(said[1].starts_with("auth.log.2.gz: ") && said[2].starts_with("auth.log.3.gz: "), "{said:?}");
    assert_eq!(said[3], "auth.log.4.xz: is compressed as xz, which hostward does not read");
    assert_eq!(said[4], "wtmp.db: is an SQLite database: not read");
    // A small file may hold as much as it likes.
    let (mut found, path) = (Found::new(NOW, 0), dir.path().join("var/log/bomb.gz"));
    std::fs::write(&path, &good).unwrap();
    found.unpacks = 1000;
    assert_eq!(log(&path, &mut found).unwrap_err(), "only its beginning was read");
    assert_eq!((found.unpacks, log(&path, &mut found).is_err()), (0, true));
}

#[test]
fn logs_are_read_from_their_end_and_pipes_are_not() {
    let dir = place(&[("var/log/authentic", b""), ("var/log/auth.log", b"")]);
    let log = dir.path().join("var/log");
    nix::unistd::mkfifo(&log.join("secure"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(logs(&log, &["auth.log", "secure"], 0), [log.join("auth.log")]);
    assert!(super::log(&log.join("secure"), &mut Found::new(NOW, 0)).is_err(), "a named pipe is not read");
    std::os::unix::fs::symlink("/etc/passwd", log.join("auth.log.1")).unwrap();
    assert!(super::log(&log.join("auth.log.1"), &mut Found::new(NOW, 0)).is_err(), "a link is not followed");
}
