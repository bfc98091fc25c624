//! Tests against whoever listens and answers anything: every probe meets every one of them, in plain text and over TLS.

#![cfg(test)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hostward_checks::observation::service::Answer;
use hostward_checks::observation::socket::Protocol;
use hostward_checks::probe::{Context, PROBES, Probe};
use nix::sys::socket::{setsockopt, sockopt};

use super::exchange::{EXCHANGE, exchange};
use super::tests::{INFO, NOW, StandIn, answers, seen};
use super::*;

/// What one does with a connection.
type Act = fn(&mut TcpStream);

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n";

fn hold(stream: &mut TcpStream) {
    while stream.read(&mut [0; 512]).is_ok_and(|count| count > 0) {}
}

fn drip(stream: &mut TcpStream, bytes: &[u8], pause: u64) {
    for byte in bytes.iter().cycle() {
        if stream.write_all(&[*byte]).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(pause));
    }
}

fn flood(stream: &mut TcpStream, begin: &[u8], piece: &[u8]) {
    let piece = piece.repeat(65_536 / piece.len());
    if stream.write_all(begin).is_ok() {
        while stream.write_all(&piece).is_ok() {}
    }
}

fn say(stream: &mut TcpStream, bytes: &[u8]) {
    // It may be the first to speak, or not.
    let _ = stream.set_read_timeout(Some(Duration::from_millis(300)));
    let _ = stream.read(&mut [0; 2048]);
    let _ = stream.write_all(bytes);
}

/// They say nothing that could be taken for an open or a closed door.
const JUNK: &[(&str, Act)] = &[
    ("a byte a second", |stream| drip(stream, HEAD, 1000)),
    ("a byte each moment", |stream| drip(stream, b"$", 0)),
    ("a flood", |stream| flood(stream, b"", b"x")),
    ("a flood of zeros", |stream| flood(stream, b"", b"\0")),
    ("a flood of lines", |stream| flood(stream, b"", b"\n")),
    ("a flood behind a length", |stream| flood(stream, b"$99999999\r\n", b"x")),
    ("a flood of modules", |stream| flood(stream, b"@RSYNCD: 31.0\n", b"module\t\n")),
    ("a flood of headers", |stream| flood(stream, HEAD, b"X-A: b\r\n")),
    ("a flood in one header", |stream| flood(stream, b"HTTP/1.1 200 OK\r\nX-Jenkins: 2", b"2")),
    ("a flood of brackets", |stream| flood(stream, b"HTTP/1.1 200 OK\r\n\r\n", b"[")),
    ("a flood of objects", |stream| flood(stream, b"HTTP/1.1 200 OK\r\n\r\n{", b"\"a\":{")),
    ("a flood of elements", |stream| flood(stream, b"", b"\x30\x05\x02\x01\x01\x73\0")),
    ("a flood of frames", |stream| flood(stream, b"\0\0\0\x09\x01ActiveMQ", b"\0\0\0\x01\x02")),
    ("silence", hold),
    ("half an answer, then silence", |stream| {
        let _ = stream.write_all(HEAD);
        hold(stream);
    }),
    ("a hard end", |stream| {
        let _ = setsockopt(&stream.as_fd(), sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 });
    }),
    ("an alert of TLS", |stream| say(stream, b"\x15\x03\x03\0\x02\x02\x46")),
    ("half a record of TLS", |stream| say(stream, b"\x16\x03\x03\x40\0\x02\0\xff\xff\x03\x03")),
    ("a flood of records of TLS", |stream| {
        flood(stream, b"\x16\x03\x03\x40\0\x02\0\xff\xff\x03\x03", b"\x14\x03\x03\0\x01\x01")
    }),
    ("ssh", |stream| say(stream, b"SSH-2.0-OpenSSH_9.2p1\r\n")),
    ("mail", |stream| say(stream, b"220 mail ESMTP\r\n")),
    ("somewhere else", |stream| {
        say(stream, b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n")
    }),
    ("no status", |stream| say(stream, b"HTTP/1.1 \xff\xff\xff \x1b[2J\r\n\r\n")),
    ("broken UTF-8", |stream| {
        say(stream, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\xff\r\n\r\n{\"cluster_name\":\"\xff\xc0\"}")
    }),
    ("zeros", |stream| say(stream, &[0; 300])),
    ("a signed length", |stream| say(stream, b"$-1\r\n")),
];

/// They say what the service would, and more that nobody shall see.
const LIARS: &[(&str, Act)] = &[
    ("redis", |stream| say(stream, b"$60\r\nredis_version:7.0\x1b[31m\x07\xff\r\n\r\n")),
    ("rsync", |stream| say(stream, b"@RSYNCD: 31.0\x1b]0;x\x07\n@RSYNCD: OK\n")),
    ("jenkins", |stream| say(stream, b"HTTP/1.1 200 OK\r\nX-Jenkins: 2.\xe2\x80\xae440\x1b[2J\r\n\r\n{}")),
    ("couchdb", |stream| say(stream, b"HTTP/1.1 200 OK\r\nServer: CouchDB/3\x9b31m\r\n\r\n[]")),
    ("elasticsearch", |stream| {
        say(
            stream,
            b"HTTP/1.1 200 OK\r\n\r\n{\"cluster_name\":\"a\",\"version\":{\"number\":\"7\\u001b[31m\\n<script>\"}}",
        );
    }),
    ("docker", |stream| {
        say(stream, b"HTTP/1.1 200 OK\r\n\r\n{\"ApiVersion\":\"1\",\"Version\":\"20.\\u202e10\\u0000\"}");
    }),
    ("memcached", |stream| say(stream, b"ERROR\r\nERROR\r\nVERSION 1.6\x1b[0m'\"<>\r\n")),
    ("activemq", |stream| {
        say(
            stream,
            b"\0\0\0\x25\x01ActiveMQ\0\0\0\x01\x01ProviderVersion\x09\0\x055\x1b[1m\0\0\0\x0a\x1e\0\0\0\0\0\0\0\0\x01",
        )
    }),
];

/// A server that does that, how often somebody came, and how much they said.
fn server(act: Act) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, came) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counter = came.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            counter.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || act(&mut stream));
        }
    });
    (at, came)
}

/// What each probe makes of each, and how long it took; each is met once.
fn meet(ways: &[(&'static str, Act)]) -> Vec<(&'static Probe, &'static str, Answer, Duration)> {
    let mut pairs: Vec<(&'static Probe, bool, &'static str, Act)> = Vec::new();
    for probe in PROBES.iter().filter(|probe| probe.protocol == Protocol::Tcp) {
        pairs.extend(ways.iter().map(|(name, act)| (probe, false, *name, *act)));
    }
    let ldap = PROBES.iter().find(|probe| probe.speaks_tls(636)).unwrap();
    pairs.extend(ways.iter().map(|(name, act)| (ldap, true, *name, *act)));
    std::thread::scope(|scope| {
        let each = |(probe, tls, name, act): (&'static Probe, bool, &'static str, Act)| {
            let (at, came) = server(act);
            let begun = Instant::now();
            let answer = exchange(probe, at, tls, &Context::default(), begun + ALL);
            let took = begun.elapsed();
            assert_eq!(came.load(Ordering::SeqCst), 1, "{} and {name}", probe.service);
            (probe, name, answer, took)
        };
        let threads: Vec<_> = pairs.into_iter().map(|pair| scope.spawn(move || each(pair))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Nothing that a terminal or a log would take for more than text.
fn is_tame(answer: &Answer) -> bool {
    match answer {
        Answer::Open(version) | Answer::Tells(version) => version.as_ref().is_none_or(|version| {
            version.len() <= 40 && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+~_:".contains(&byte))
        }),
        Answer::Unclear(why) => why.to_string().bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        Answer::Closed | Answer::Other => true,
    }
}

#[test]
fn whoever_answers_anything_is_unclear_within_the_time_of_an_exchange() {
    for (probe, name, answer, took) in meet(JUNK) {
        let service = probe.service;
        assert!(took < EXCHANGE + Duration::from_secs(3), "{service} and {name}: {took:?}");
        assert!(is_tame(&answer), "{service} and {name}: {answer:?}");
        let told = match service {
            // Its port is everybody's.
            "Jenkins" => matches!(answer, Answer::Unclear(_) | Answer::Other),
            _ => matches!(answer, Answer::Unclear(_)),
        };
        assert!(told, "{service} and {name}: {answer:?}");
    }
}

#[test]
fn what_a_liar_says_beside_a_version_is_dropped() {
    let met = meet(LIARS);
    for (probe, name, answer, took) in &met {
        assert!(is_tame(answer), "{} and {name}: {answer:?}", probe.service);
        assert!(*took < EXCHANGE + Duration::from_secs(3), "{} and {name}: {took:?}", probe.service);
    }
    for (service, name, version) in [
        ("Redis", "redis", "7.0"),
        ("rsync", "rsync", "31.0"),
        ("CouchDB", "couchdb", "3"),
        ("Elasticsearch", "elasticsearch", "7"),
        ("Docker API", "docker", "20"),
        ("Memcached", "memcached", "1.6"),
        ("ActiveMQ", "activemq", "5"),
    ] {
        let open = Answer::Open(Some(version.to_owned()));
        assert!(
            met.iter().any(|(probe, way, answer, _)| (probe.service, *way, answer) == (service, name, &open)),
            "{service}: {met:#?}"
        );
    }
}

/// One that speaks TLS as it should, and then sends tickets without end.
#[test]
fn a_flood_inside_tls_ends() {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = key.cert.der().clone();
    let secret = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(vec![certificate], secret).unwrap();
    config.send_tls13_tickets = 2000;
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut connection = rustls::ServerConnection::new(config).unwrap();
        let mut stream = listener.accept().unwrap().0;
        let mut tls = rustls::Stream::new(&mut connection, &mut stream);
        let _ = tls.read(&mut [0; 64]);
        hold(&mut stream);
    });
    let ldap = PROBES.iter().find(|probe| probe.speaks_tls(636)).unwrap();
    let answer = exchange(ldap, at, true, &Context::default(), Instant::now() + ALL);
    assert_eq!(answer, Answer::Unclear(Why::TooLarge(64 << 10)));
}

/// 64 listeners, others at each look. Nobody listens there: refused at once.
fn many(look: u16) -> Vec<(&'static str, u16, i32)> {
    (61_000 + look * 64..61_064 + look * 64).map(|port| ("redis-server", port, 9)).collect()
}

/// With the account of each listener but the last.
fn owned(mut seen: Observations, uid: u32) -> Observations {
    if let Fact::Known(sockets) = &mut seen.sockets {
        let last = sockets.listeners.len() - 1;
        sockets.listeners.iter_mut().take(last).for_each(|listener| listener.uid = uid);
    }
    seen
}

#[test]
fn an_account_that_opens_many_keeps_nobody_from_their_turn() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), StandIn::answering(INFO));
    let silent: Vec<TcpListener> = (0..128).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<u16> = silent.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    // On the second day those that were never asked would all come first.
    for (day, ports) in (0..).zip(ports.chunks(64)) {
        let mut each: Vec<_> = ports.iter().map(|port| ("redis-server", *port, 9)).collect();
        each.push(("redis-server", redis.port, 7));
        let begun = Instant::now();
        let told = answers(&owned(seen(NOW + day * 86_400, &each), 1000), dir.path());
        assert!(begun.elapsed() < ALL + Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(told.last(), Some(&Answer::Open(Some("7.0.15".into()))), "day {day}");
        assert_eq!(redis.came() as i64, day + 1);
    }
}

#[test]
fn an_account_that_opens_many_does_not_fill_what_is_remembered() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), StandIn::answering(INFO));
    for look in 0..12 {
        let mut each = many(look);
        each.push(("redis-server", 65_535, 7));
        answers(&owned(seen(NOW + i64::from(look), &each), 33), dir.path());
    }
    let told = answers(&seen(NOW + 20, &[("redis-server", redis.port, 7)]), dir.path());
    assert_eq!(told, [Answer::Open(Some("7.0.15".into()))]);
    // A day after, who is gone is forgotten.
    answers(&seen(NOW + 2 * 86_400, &[("redis-server", redis.port, 7)]), dir.path());
    let kept = std::fs::read_to_string(dir.path().join("asked.json")).unwrap();
    assert_eq!(kept.matches("\"port\"").count(), 1, "{kept}");
}

/// The longest paths and reasons leave the file so small that it is read again.
#[test]
fn what_is_remembered_stays_below_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let odd = |look: u16| {
        let mut seen = seen(NOW + i64::from(look), &many(look));
        if let Fact::Known(sockets) = &mut seen.sockets {
            for listener in &mut sockets.listeners {
                let Fact::Known(owners) = &mut listener.owners else { continue };
                owners[0].executable = Fact::Known(format!("/{}/redis-server", "\u{1}\u{1f980}\"".repeat(800)).into());
            }
        }
        answers(&seen, dir.path())
    };
    for look in 0..9 {
        odd(look);
    }
    let size = std::fs::metadata(dir.path().join("asked.json")).unwrap().len();
    assert!(size < 512 << 10, "{size}");
    assert!(
        odd(0)
            .iter()
            .all(|answer| matches!(answer, Answer::Unclear(why) if !why.to_string().contains("could not be read")))
    );
}

/// What root's configuration says is for root's daemon.
#[test]
fn the_names_of_modules_are_said_to_roots_daemon_alone() {
    for (uid, want) in [(0, &b"@RSYNCD: 30.0\nhidden\n"[..]), (1000, b"@RSYNCD: 30.0\n#list\n")] {
        let dir = tempfile::tempdir().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let rsync = StandIn::doing(move |stream| {
            let mut buffer = [0; 512];
            let count = stream.read(&mut buffer).unwrap_or(0);
            let _ = tell.send(buffer[..count].to_vec());
            let _ = stream.write_all(b"@RSYNCD: 31.0\n@RSYNCD: EXIT\n");
        });
        let mut seen = seen(NOW, &[("rsync", rsync.port, 7)]);
        if let Fact::Known(sockets) = &mut seen.sockets {
            sockets.listeners[0].uid = uid;
        }
        ask(&seen, dir.path(), Some(b"[hidden]\npath=/srv\nlist=no\n"));
        assert_eq!(told.recv().unwrap(), want, "{uid}");
    }
}
