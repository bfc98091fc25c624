//! Tests against stand-ins on loopback: servers of our own that say what is written here.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hostward_checks::fact::Fact;
use hostward_checks::observation::Mode;
use hostward_checks::observation::service::Answer;
use hostward_checks::observation::socket::{Listener, Process, Protocol, Sockets};

use super::*;

/// A stand-in that answers every connection with the same bytes, and how often somebody came.
pub(super) struct StandIn {
    pub(super) port: u16,
    came: Arc<AtomicUsize>,
}

impl StandIn {
    pub(super) fn answering(answer: &'static [u8]) -> Self {
        Self::doing(move |stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        })
    }

    pub(super) fn doing(each: impl Fn(&mut std::net::TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, came) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let counter = came.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
                each(&mut stream);
            }
        });
        Self { port, came }
    }

    pub(super) fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }
}

/// Listeners of these programs at these ports, as they would be seen at this time.
pub(super) fn seen(now: i64, each: &[(&str, u16, i32)]) -> Observations {
    let listener = |(program, port, pid): &(&str, u16, i32)| Listener {
        protocol: Protocol::Tcp,
        address: "127.0.0.1".parse().unwrap(),
        port: *port,
        v6only: None,
        device: None,
        inode: 1,
        uid: 0,
        namespace: None,
        owners: Fact::Known(vec![Process {
            pid: *pid,
            name: (*program).to_owned(),
            executable: Fact::Known(PathBuf::from(format!("/usr/bin/{program}"))),
            deleted: false,
            uid: 0,
            unit: None,
            started: Some(1_700_000_000),
        }]),
        container: None,
    };
    let mut seen = Observations::offline(now);
    seen.mode = Mode::Live;
    let listeners = each.iter().map(listener).collect();
    seen.sockets = Fact::Known(Sockets { listeners, unseen_namespaces: Vec::new() });
    seen
}

pub(super) fn answers(seen: &Observations, dir: &Path) -> Vec<Answer> {
    match ask(seen, dir, None) {
        Fact::Known(asked) => asked.into_iter().map(|asked| asked.answer).collect(),
        other => panic!("{other:?}"),
    }
}

pub(super) const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;
pub(super) const INFO: &[u8] = b"$23\r\nredis_version:7.0.15\r\n\r\n";

#[test]
fn each_is_asked_once_a_day_whoever_listens_there() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), StandIn::answering(INFO));
    let open = [Answer::Open(Some("7.0.15".into()))];
    for (now, pid, want, came) in [
        (NOW, 7, true, 1),
        (NOW + 1, 7, true, 1),
        // Started anew: another life, and the day is not over.
        (NOW + 60, 8, false, 1),
        (NOW + DAY - 1, 7, true, 1),
        (NOW + DAY, 8, true, 2),
        (NOW + DAY + 1, 8, true, 2),
        // The clock was put back: what is dated ahead ages from then on.
        (NOW, 8, true, 2),
        (NOW + DAY - 1, 8, true, 2),
        (NOW + DAY + 2, 8, true, 3),
    ] {
        let told = answers(&seen(now, &[("redis-server", redis.port, pid)]), dir.path());
        assert_eq!((told == open, redis.came()), (want, came), "{} {pid}: {told:?}", now - NOW);
    }
}

#[test]
fn a_login_that_was_refused_is_left_in_peace_until_the_service_starts_anew() {
    let dir = tempfile::tempdir().unwrap();
    // MariaDB's words: no.
    let refused = StandIn::doing(|stream| drop(stream.write_all(b"\x09\0\0\0\xff\x15\x04#28000")));
    let at = |days: i64, pid| answers(&seen(NOW + days * DAY, &[("mariadbd", refused.port, pid)]), dir.path());
    for (days, pid, came) in [(0, 7, 1), (1, 7, 1), (29, 7, 1), (29, 8, 2), (31, 8, 2), (60, 8, 3)] {
        assert_eq!(at(days, pid), [Answer::Closed], "{days}");
        assert_eq!(refused.came(), came, "{days}");
    }
}

#[test]
fn a_crash_counts_as_asked_and_a_broken_memory_as_everybody() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), StandIn::answering(INFO));
    let file = dir.path().join("asked.json");
    let asks = |now| answers(&seen(now, &[("redis-server", redis.port, 7)]), dir.path());
    asks(NOW);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("redis_version") && text.contains("7.0.15"), "{text}");
    // As it stands between the note and the answer.
    std::fs::write(&file, text.replace(r#"{"open":"7.0.15"}"#, r#""lost""#)).unwrap();
    assert!(matches!(&asks(NOW + 1)[..], [Answer::Unclear(_)]));
    for broken in ["{", r#"{"schema":"hostward.asked/9","not_before":0,"asked":[]}"#] {
        std::fs::write(&file, broken).unwrap();
        assert!(matches!(&asks(NOW + 2)[..], [Answer::Unclear(_)]));
        assert!(matches!(&asks(NOW + DAY)[..], [Answer::Unclear(_)]), "a day after it was found broken");
        assert_eq!(redis.came(), 1);
    }
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), &file).unwrap();
    assert!(matches!(&asks(NOW)[..], [Answer::Unclear(_)]), "no file of ours");
    assert_eq!(redis.came(), 1);
    assert!(matches!(&asks(NOW + 2 * DAY)[..], [Answer::Open(_)]));
}

#[test]
fn who_cannot_note_it_asks_nobody() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), StandIn::answering(INFO));
    let inside = dir.path().join("state");
    std::fs::create_dir(&inside).unwrap();
    std::fs::set_permissions(&inside, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    assert!(matches!(ask(&seen(NOW, &[("redis-server", redis.port, 7)]), &inside, None), Fact::Unknown(_)));
    std::fs::create_dir_all(dir.path().join("other/asked.json")).unwrap();
    assert!(matches!(
        ask(&seen(NOW, &[("redis-server", redis.port, 7)]), &dir.path().join("other"), None),
        Fact::Unknown(_)
    ));
    assert_eq!(redis.came(), 0);
}

#[test]
fn floods_silence_and_drips_end_and_the_others_are_asked_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let flood = StandIn::doing(|stream| {
        let _ = stream.write_all(b"$99999999\r\n");
        while stream.write_all(&[b'x'; 65_536]).is_ok() {}
    });
    let silent = StandIn::doing(|stream| while stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) {});
    let drip = StandIn::doing(|stream| {
        while stream.write_all(b"$").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let open = StandIn::answering(INFO);
    let ports = [flood.port, silent.port, drip.port, open.port];
    let told = answers(&seen(NOW, &ports.map(|port| ("redis-server", port, 7))), dir.path());
    let words: Vec<String> = told.iter().map(|answer| format!("{answer:?}")).collect();
    let of = |port: u16| &words[ports.iter().position(|own| *own == port).unwrap()];
    assert!(of(open.port).starts_with("Open"), "{words:?}");
    assert!(words.iter().filter(|word| word.starts_with("Unclear")).count() == 3, "{words:?}");
    assert!(of(silent.port).contains("timed out") && of(flood.port).contains("16384"), "{words:?}");
    assert_eq!([&flood, &silent, &drip, &open].map(StandIn::came), [1; 4]);
}
