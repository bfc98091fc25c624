//! An sshd that no service runs: started by systemd for each connection, or by hand. A fix takes effect there too, or leaves it alone.

#![cfg(test)]

use hostward::transaction::{Stage, Store};
use hostward_checks::guard::Confirm;
use hostward_tests::host::PUBLIC_CLIENT;
use hostward_tests::machine::is_punctual;
use hostward_tests::place::{Place, is_undone, is_waiting, lateness, text};
use hostward_tests::results;
use hostward_tests::ssh::With;
use hostward_tests::suite::{Suite, chosen};
use hostward_tests::tier::Tier;
use serde_json::Value;

const TEST: &str = "fix-daemons";

/// Asks for a fix that stops forwarding.
fn fix(place: &Place, within: u32) -> std::process::Output {
    let within = format!("{within}s");
    let arguments = ["fix", "sshd.forwarding", "--apply", "--confirm-by", "login", "--confirm-within", &within];
    place.host.command("hostward").args(arguments).output().unwrap()
}

/// Whether sshd lets root forward: whether the fix is in effect.
fn forwards(place: &Place) -> bool {
    let options = ["-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:4711:127.0.0.1:22"];
    let output = place.client.run("root", PUBLIC_CLIENT, &place.key, &options, "echo in").unwrap();
    output.stdout == b"in\n"
}

fn on_suites(names: &[&'static str], run: impl Fn(&Place) -> String) {
    for name in chosen(names) {
        match Suite::find(name) {
            Ok(suite) => results::tested(TEST, name, run(&Place::of(&suite))),
            Err(error) => results::skipped(TEST, name, format!("NOT TESTED: {error:#}")),
        }
    }
}

#[test]
fn an_sshd_for_each_connection_is_fixed_and_confirmed_by_the_next() {
    on_suites(Tier::current().pick(&["jammy"], &["bionic", "focal", "bullseye", "jammy"]), |place| {
        place.host.shell("systemctl disable --now ssh.service; systemctl enable --now ssh.socket").unwrap();
        place.await_banner(|banner| banner.starts_with("SSH-2.0-"));
        let before = place.config();
        let mut old = place.client.open("root", PUBLIC_CLIENT, &With::Key(place.key.clone()), &[]).unwrap();
        assert!(forwards(place));

        let asked = fix(place, 6);
        assert!(asked.status.success(), "{}", Place::said(&asked));
        let id = Store::open(&place.root()).unwrap().pending().unwrap()[0].id().to_owned();
        let waiting = place.stage(&id);
        assert!(is_waiting(&waiting), "{waiting:?}");
        assert!(!forwards(place), "the next connection meets it");
        place.await_stage(&id, is_undone);
        let late = lateness(place, &id, &waiting);
        assert!(is_punctual(late), "{late} ms after the deadline");
        assert!(place.config() == before && forwards(place));

        let asked = fix(place, 60);
        assert!(asked.status.success(), "{}", Place::said(&asked));
        let id = Store::open(&place.root()).unwrap().pending().unwrap()[0].id().to_owned();
        let (said, status) = old.run("hostward confirm").unwrap();
        assert!(status == 3 && said.contains("before the fix took effect"), "{status} {said}");
        let new = place.client.run("root", PUBLIC_CLIENT, &place.key, &[], "hostward confirm").unwrap();
        assert!(new.status.success(), "{}", Place::said(&new));
        assert!(place.stage(&id) == Stage::Confirmed && !forwards(place));
        place.host.shell("hostward rollback").unwrap();
        assert!(place.config() == before && forwards(place));
        place.no_trace();
        format!(
            "one for each connection: in effect with the next, undone {late} ms after the deadline, confirmed by a new login"
        )
    });
}

/// What `sshd.running` says: its verdict, and the messages of its findings.
fn running(place: &Place) -> (String, Vec<String>) {
    let said = place.host.shell("hostward scan --only sshd.running --format json --exit-zero").unwrap();
    let report: Value = serde_json::from_str(&said).unwrap();
    let check = report["checks"].as_array().unwrap().iter().find(|one| one["id"] == "sshd.running").unwrap();
    let messages = check["findings"].as_array().unwrap().iter();
    let messages = messages.map(|finding| finding["message_id"].as_str().unwrap().to_owned());
    (check["verdict"].as_str().unwrap().to_owned(), messages.collect())
}

#[test]
fn an_sshd_that_has_not_read_its_files_is_reloaded() {
    on_suites(Tier::current().pick(&["bookworm"], &["bionic", "bullseye", "bookworm", "noble"]), |place| {
        place
            .host
            .shell("systemctl disable --now ssh.socket 2>/dev/null || :; systemctl enable --now ssh.service")
            .unwrap();
        place.await_banner(|banner| banner.starts_with("SSH-2.0-"));
        assert_eq!(running(place), ("pass".to_owned(), Vec::new()));
        let pid = || place.host.shell("systemctl show -p MainPID --value ssh.service").unwrap();
        let before = pid();
        // systemd tells when it reloaded to the second.
        place.host.shell("sleep 1.1; touch /etc/ssh/sshd_config").unwrap();
        assert_eq!(running(place), ("fail".to_owned(), vec!["stale".to_owned()]));
        let asked = place
            .host
            .command("hostward")
            .args([
                "fix",
                "sshd.running",
                "--apply",
                "--accept-pending",
                "--confirm-by",
                "login",
                "--confirm-within",
                "60s",
            ])
            .output()
            .unwrap();
        assert!(asked.status.success(), "{}", Place::said(&asked));
        let new = place.client.run("root", PUBLIC_CLIENT, &place.key, &[], "hostward confirm").unwrap();
        assert!(new.status.success(), "{}", Place::said(&new));
        assert_eq!(running(place), ("pass".to_owned(), Vec::new()));
        assert_eq!(pid(), before, "reloaded, not restarted");
        "touched after its start: told, reloaded by its unit, and told no more".to_owned()
    });
}

#[test]
fn an_sshd_that_was_started_by_hand_is_left_alone() {
    const BY_HAND: [(&str, &str); 2] = [
        ("in a session", "systemd-run --quiet --scope --unit=session-99 sh -c 'mkdir -p /run/sshd; /usr/sbin/sshd'"),
        (
            "from within another service",
            "systemd-run --quiet --unit=other -p 'ExecReload=/bin/touch /run/reloaded' sh -c 'mkdir -p /run/sshd; /usr/sbin/sshd; exec sleep 1000'",
        ),
    ];
    on_suites(Tier::current().pick(&["bookworm"], &["bionic", "bookworm", "trixie", "noble", "resolute"]), |place| {
        place
            .host
            .shell("systemctl disable --now ssh.socket 2>/dev/null || :; systemctl disable --now ssh.service")
            .unwrap();
        for (what, start) in BY_HAND {
            place.host.shell(start).unwrap();
            place.await_banner(|banner| banner.starts_with("SSH-2.0-"));
            assert!(forwards(place));
            let (before, pid) = (place.config(), place.host.shell("cat /run/sshd.pid").unwrap());
            let asked = fix(place, 6);
            assert_eq!(asked.status.code(), Some(1), "{what}: {}", Place::said(&asked));
            assert!(text(&asked.stdout).contains("runs outside a service"), "{what}: {}", Place::said(&asked));
            assert!(Store::open(&place.root()).unwrap().pending().unwrap().is_empty(), "{what}");
            // A transaction that names the unit is refused before it changes anything.
            if what != "in a session" {
                let id =
                    place.begin_with(vec![place.lines("VersionAddendum hand\n")], "other.service", Confirm::Login, 60);
                let applied = place.apply(&id);
                assert_eq!(applied.status.code(), Some(3), "{}", Place::said(&applied));
                let Stage::Undone { why } = place.stage(&id) else { panic!("{:?}", place.stage(&id)) };
                assert!(why.contains("not its main process"), "{why}");
            }
            assert!(place.config() == before && forwards(place), "{what}");
            let now = place.host.shell("cat /run/sshd.pid; ! ls /run/reloaded 2>/dev/null").unwrap();
            assert_eq!(now, pid, "{what}: nobody was told anything");
            place.host.shell("kill $(cat /run/sshd.pid); systemctl stop other.service 2>/dev/null || :").unwrap();
        }
        "by hand, in a session and from within another service: said, and left alone".to_owned()
    });
}
