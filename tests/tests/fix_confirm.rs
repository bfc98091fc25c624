//! Confirm or revert, on booted hosts: what nobody confirms is undone, whatever is killed meanwhile; what a new login confirms stays.

#![cfg(test)]

use std::process::Output;
use std::time::Instant;

use hostward::transaction::Stage;
use hostward_checks::guard::Confirm;
use hostward_tests::host::{Down, PUBLIC_CLIENT};
use hostward_tests::machine::is_punctual;
use hostward_tests::place::{FILE, Place, is_undone, is_waiting, lateness, started, text};
use hostward_tests::results;
use hostward_tests::ssh::{Client, With};
use hostward_tests::suite::{Suite, chosen};
use hostward_tests::tier::Tier;

const TEST: &str = "fix-confirm";

/// What nobody confirms is undone within a second of its deadline, with no process of ours alive, and beside a scan.
fn unconfirmed(place: &mut Place) -> String {
    let (before, banner) = (place.config(), place.await_banner(|_| true));
    let id = place.begin("VersionAddendum one\n", Confirm::Login, 5);
    let applied = place.apply(&id);
    assert!(applied.status.success(), "{}", Place::said(&applied));
    let waiting = place.stage(&id);
    place.await_banner(|banner| banner.ends_with("one"));
    place.host.shell("pgrep -x hostward && exit 1 || :").unwrap();
    // A scan that tries passwords holds its share of the lock for long.
    let mut scan = place.host.command("flock").args(["-s", "/run/hostward.lock", "sleep", "20"]).spawn().unwrap();
    place.await_stage(&id, is_undone);
    let late = lateness(place, &id, &waiting);
    assert!(is_punctual(late), "{late} ms after the deadline");
    assert_eq!(place.config(), before);
    place.await_banner(|now| now == banner);
    scan.kill().unwrap();
    scan.wait().unwrap();
    place.no_trace();
    format!("undone {late} ms after the deadline")
}

/// The process that applies is killed at once when it has begun: what it did is undone without waiting for the deadline, or, with
/// every helper of systemd's gone too, at the deadline.
fn killed(place: &mut Place) -> String {
    let (before, banner) = (place.config(), place.await_banner(|_| true));
    let mut points = Vec::new();
    for word in ["applying", "verifying"] {
        let id = place.begin("VersionAddendum two\n", Confirm::Login, 120);
        let applied = place.applying(&id);
        place.await_stage(&id, |stage| stage.word() == word || stage.is_final() || is_waiting(stage));
        place.host.shell(&format!("systemctl kill --kill-who=main -s KILL hostward-fix-{id}.service || :")).unwrap();
        applied.wait_with_output().unwrap();
        if is_waiting(&place.stage(&id)) {
            // Too late to be killed while it applied: it is taken back by hand.
            place.host.shell(&format!("hostward rollback {id}")).unwrap();
        } else {
            points.push(word);
        }
        place.await_stage(&id, is_undone);
        assert_eq!(place.config(), before, "killed when {word}");
        place.await_banner(|now| now == banner);
        place.no_trace();
    }
    // Killed and left alone by everybody but the timer.
    let id = place.begin("VersionAddendum three\n", Confirm::Login, 6);
    let applied = started(place.host.command("hostward").args(["apply", &id]));
    place.await_stage(&id, |stage| stage.word() == "verifying" || is_waiting(stage));
    place.host.shell("pkill -KILL -x hostward || :").unwrap();
    applied.wait_with_output().unwrap();
    place.await_stage(&id, is_undone);
    assert_eq!(place.config(), before);
    place.await_banner(|now| now == banner);
    place.no_trace();
    format!("undone when killed while {}, and by the timer alone", points.join(", "))
}

/// Sessions that were open before the fix, or share such a connection, or come from the host itself, do not confirm; a new one does.
fn confirmed(place: &mut Place) -> String {
    let id_of = |output: &Output| Place::said(output);
    // Where shared connections have their sockets: a short path.
    let control = tempfile::tempdir().unwrap();
    let path = format!("ControlPath={}", control.path().join("c").display());
    let mut old = place
        .client
        .open("root", PUBLIC_CLIENT, &With::Key(place.key.clone()), &["-o", "ControlMaster=yes", "-o", &path])
        .unwrap();
    let id = place.begin("VersionAddendum four\n", Confirm::Login, 60);
    let applied = place.apply(&id);
    assert!(applied.status.success(), "{}", id_of(&applied));
    let confirm = format!("hostward confirm {id}");

    let (said, status) = old.run(&confirm).unwrap();
    assert!(status == 3 && said.contains("before the fix took effect"), "{status} {said}");
    let shared = place.client.run("root", PUBLIC_CLIENT, &place.key, &["-o", &path], &confirm).unwrap();
    assert!(shared.status.code() == Some(3), "{}", id_of(&shared));
    let (said, status) = old.run(&format!("setsid -w {confirm}")).unwrap();
    assert!(status == 3, "{status} {said}");
    let console = place.host.command("hostward").args(["confirm", &id]).output().unwrap();
    assert!(
        console.status.code() == Some(3) && text(&console.stderr).contains("no ssh session"),
        "{}",
        id_of(&console)
    );
    let inside = Client::at(place.host.network(), "127.0.0.1", 22).unwrap();
    let own = inside.run("root", "127.0.0.1", &place.key, &[], &confirm).unwrap();
    assert!(own.status.code() == Some(3) && text(&own.stderr).contains("the host itself"), "{}", id_of(&own));
    let forged = place.client.run("plain", PUBLIC_CLIENT, &place.key, &[], &confirm).unwrap();
    assert!(forged.status.code() == Some(3), "{}", id_of(&forged));
    assert!(is_waiting(&place.stage(&id)));

    let new = place
        .client
        .run("admin", PUBLIC_CLIENT, &place.key, &[], &format!("sudo -n /usr/local/bin/{confirm}"))
        .unwrap();
    assert!(new.status.success(), "{}", id_of(&new));
    assert_eq!(place.stage(&id), Stage::Confirmed);
    place.no_trace();
    place.await_banner(|banner| banner.ends_with("four"));
    drop(old);
    "refused: open, shared, own, console, no administrator; a new login through sudo is taken".to_owned()
}

/// It stays over a reboot, and is rolled back a day later; not where somebody has edited since.
fn later(place: &mut Place) -> String {
    let first = place.config();
    let id = place.begin("VersionAddendum later\n", Confirm::Login, 60);
    let applied = place.apply(&id);
    assert!(applied.status.success(), "{}", Place::said(&applied));
    let confirm = format!("hostward confirm {id}");
    let new = place.client.run("root", PUBLIC_CLIENT, &place.key, &[], &confirm).unwrap();
    assert!(new.status.success(), "{}", Place::said(&new));
    place.host.reboot(Down::Orderly).unwrap();
    place.await_banner(|banner| banner.ends_with("later"));
    // A day passes: every time that was written down is a day further back.
    let yesterday = place
        .host
        .shell(&format!(
            "cd {}/{id}
             for file in manifest.json stage.json; do
               for at in $(grep -o '\"at\": *\"[^\"]*\"' $file | cut -d'\"' -f4 | sort -u); do
                 sed -i \"s/$at/$(date -u -d @$(($(date -d $at +%s) - 86400)) +%FT%TZ)/\" $file
               done
             done
             date -u -d @$(($(date +%s) - 86400)) +%F",
            hostward::transaction::PATH
        ))
        .unwrap();
    let told = place.host.shell(&format!("hostward history --json {id}")).unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let times = [&told["at"], &told["stages"][0]["at"]].map(|at| at.as_str().unwrap().to_owned());
    assert!(times.iter().all(|at| at.starts_with(yesterday.trim())), "{times:?}, and not {yesterday}");
    let ours = place.config();
    let edited = [ours.as_slice(), b"# edited\n"].concat();
    std::fs::write(place.root().join(FILE.trim_start_matches('/')), &edited).unwrap();
    let refused = place.host.command("hostward").args(["rollback", &id]).output().unwrap();
    assert!(refused.status.code() == Some(3) && text(&refused.stderr).contains(FILE), "{}", Place::said(&refused));
    assert!(place.config() == edited && place.stage(&id) == Stage::Confirmed);
    std::fs::write(place.root().join(FILE.trim_start_matches('/')), &ours).unwrap();
    let rolled = place.host.command("hostward").args(["rollback", &id]).output().unwrap();
    assert!(rolled.status.success(), "{}", Place::said(&rolled));
    place.await_banner(|banner| !banner.ends_with("later"));
    assert_eq!(place.config(), first);
    assert_eq!(place.host.command("hostward").args(["rollback", &id]).output().unwrap().status.code(), Some(3), "once");
    "stays over a reboot, rolled back in the next boot when it is a day old, refused where edited".to_owned()
}

/// After a reboot in between the old configuration is there before any sshd starts, whether power was cut or not.
fn rebooted(place: &mut Place) -> String {
    let (before, banner) = (place.config(), place.await_banner(|_| true));
    for down in [Down::PowerCut, Down::Orderly] {
        let id = place.begin("VersionAddendum five\n", Confirm::Login, 600);
        let applied = place.apply(&id);
        assert!(applied.status.success(), "{}", Place::said(&applied));
        place.await_banner(|banner| banner.ends_with("five"));
        place.host.reboot(down).unwrap();
        assert_eq!(place.await_banner(|_| true), banner, "the first sshd of this boot, {down:?}");
        let Stage::Undone { why } = place.stage(&id) else { panic!("{:?}", place.stage(&id)) };
        assert!(why.contains("started again"), "{why}");
        assert_eq!(place.config(), before);
        let order = place
            .host
            .shell(
                "systemctl show hostward-recover.service -p InactiveEnterTimestampMonotonic | cut -d= -f2
                 systemctl show ssh.service ssh.socket -p InactiveExitTimestampMonotonic | cut -d= -f2 | grep -v '^0*$' | sort -n | head -n 1",
            )
            .unwrap();
        let times: Vec<u64> = order.lines().filter_map(|line| line.parse().ok()).collect();
        assert!(times.len() == 2 && times[0] > 0 && times[0] <= times[1], "recover ended at {times:?}, sshd began");
        place.no_trace();
    }
    "undone before sshd starts, after a power cut and an orderly reboot".to_owned()
}

/// What would take sshd down is refused or taken back, and sshd lives.
fn broken(place: &mut Place) -> String {
    let (before, banner) = (place.config(), place.await_banner(|_| true));
    let path = place.root().join(FILE.trim_start_matches('/'));
    let undone = |place: &Place, lines: &str, why: &str| {
        let now = place.config();
        let id = place.begin(lines, Confirm::Login, 60);
        let applied = place.apply(&id);
        assert!(applied.status.code() == Some(3), "{lines}: {}", Place::said(&applied));
        let Stage::Undone { why: said } = place.stage(&id) else { panic!("{lines}: {:?}", place.stage(&id)) };
        assert!(said.contains(why), "{said}");
        assert_eq!(place.config(), now, "{lines}");
        place.await_banner(|now| now == banner);
        place.no_trace();
    };
    // sshd -t takes it, and a reload would be the end of sshd. Where systemd listens, sshd does not.
    if !place.activated() {
        undone(place, "ListenAddress 198.51.100.77\n", "198.51.100.77:22");
    }
    undone(place, "NoSuchKeyword yes\n", "refuses");
    // Somebody else's edit that nobody has reloaded yet.
    std::fs::write(&path, [before.as_slice(), b"Ciphers nothing-of-the-kind\n"].concat()).unwrap();
    undone(place, "VersionAddendum six\n", "refuses");
    std::fs::write(&path, &before).unwrap();
    // An sshd that tests well, and does not come back from its reload.
    place
        .host
        .shell(
            r#"install -D /usr/sbin/sshd /usr/lib/real/sshd
            cat >/usr/sbin/sshd.new <<'SH'
#!/bin/bash
case " $* " in *" -t "*|*" -T "*) exec -a /usr/sbin/sshd /usr/lib/real/sshd "$@";; esac
grep -q "VersionAddendum seven" /etc/ssh/sshd_config && exit 255
exec -a /usr/sbin/sshd /usr/lib/real/sshd "$@"
SH
            chmod 755 /usr/sbin/sshd.new; mv /usr/sbin/sshd.new /usr/sbin/sshd; systemctl restart ssh.service"#,
        )
        .unwrap();
    place.await_banner(|now| now == banner);
    undone(place, "VersionAddendum seven\n", "ssh.service");
    "refused: an address that is not here, a bad line, a bad edit of others; an sshd that dies in its reload is started again"
        .to_owned()
}

/// Looking again confirms, and undoes where something is off.
fn probed(place: &mut Place) -> String {
    let id = place.begin("VersionAddendum eight\n", Confirm::Probe, 12);
    let applied = place.apply(&id);
    assert!(applied.status.success(), "{}", Place::said(&applied));
    assert_eq!(place.stage(&id), Stage::Confirmed);
    place.no_trace();
    let before = place.config();
    let id = place.begin("VersionAddendum nine\n", Confirm::Probe, 24);
    let applied = place.applying(&id);
    place.await_stage(&id, is_waiting);
    place.host.shell("systemctl stop ssh.socket ssh.service 2>/dev/null || systemctl stop ssh.service").unwrap();
    let applied = applied.wait_with_output().unwrap();
    assert_eq!(applied.status.code(), Some(3), "{}", Place::said(&applied));
    assert!(is_undone(&place.stage(&id)));
    assert_eq!(place.config(), before);
    place.host.shell("! systemctl is-enabled -q ssh.socket || systemctl start ssh.socket").unwrap();
    place.await_banner(|banner| banner.ends_with("eight"));
    place.no_trace();
    "confirmed by looking again; undone, and sshd started, when it had gone".to_owned()
}

/// The command that asks for a fix dies with its ssh session, or by a signal, in the middle: the fix goes on without it.
fn abandoned(place: &mut Place) -> String {
    let fix = |within: u32| {
        format!("hostward fix sshd.limits sshd.forwarding --apply --confirm-by login --confirm-within {within}s")
    };
    // A login that shows that somebody holds the key.
    assert!(place.client.run("root", PUBLIC_CLIENT, &place.key, &[], "true").unwrap().status.success());
    let before = place.config();
    let mut session = place.client.open("root", PUBLIC_CLIENT, &With::Key(place.key.clone()), &[]).unwrap();
    session.start(&format!("{} >/root/said 2>&1", fix(90))).unwrap();
    let id = place.await_transaction("root's session");
    session.cut().unwrap();
    place.await_stage(&id, is_waiting);
    let second = place.host.command("sh").args(["-c", &fix(90)]).output().unwrap();
    assert!(second.status.code() == Some(75) && text(&second.stderr).contains(&id), "{}", Place::said(&second));
    let confirm = place.client.run("root", PUBLIC_CLIENT, &place.key, &[], "hostward confirm").unwrap();
    assert!(confirm.status.success(), "{}", Place::said(&confirm));
    assert_eq!(place.stage(&id), Stage::Confirmed);
    let rolled = place.host.command("hostward").args(["rollback", &id]).output().unwrap();
    assert!(rolled.status.success() && place.config() == before, "{}", Place::said(&rolled));
    for signal in Tier::current().pick(&["KILL"][..], &["INT", "HUP", "KILL"][..]) {
        let child = started(place.host.command("sh").args(["-c", &format!("exec {}", fix(6))]));
        let id = place.await_transaction(signal);
        place.host.shell(&format!("pkill -{signal} -f '^hostward fix' || :")).unwrap();
        child.wait_with_output().unwrap();
        let waiting = place.await_stage(&id, is_waiting);
        place.await_stage(&id, is_undone);
        let late = lateness(place, &id, &waiting);
        assert!(is_punctual(late), "{signal}: {late} ms after the deadline");
        assert_eq!(place.config(), before, "{signal}");
    }
    place.no_trace();
    let signals = Tier::current().pick("SIGKILL", "SIGINT, SIGHUP and SIGKILL");
    format!("a cut session and {signals} leave the fix to finish or revert; a second one exits 75")
}

type Scenario = (&'static str, fn(&mut Place) -> String);

const SCENARIOS: [Scenario; 8] = [
    ("unconfirmed", unconfirmed),
    ("killed", killed),
    ("confirmed", confirmed),
    ("later", later),
    ("abandoned", abandoned),
    ("rebooted", rebooted),
    ("probed", probed),
    ("broken", broken),
];

#[test]
fn confirm_or_revert() {
    let names: &[&'static str] = Tier::current().pick(
        &["bookworm", "bionic", "noble"],
        &["bullseye", "bookworm", "trixie", "sid", "bionic", "focal", "jammy", "noble", "resolute"],
    );
    // For looking at one of them: HOSTWARD_SUITE=sid HOSTWARD_SCENARIO=killed,broken.
    let only = std::env::var("HOSTWARD_SCENARIO").ok();
    let names = chosen(names);
    let mut failed = Vec::new();
    for some in names.chunks(3) {
        std::thread::scope(|scope| {
            let only = only.as_deref();
            let start = |name: &&'static str| {
                let name = *name;
                (name, scope.spawn(move || on_host(name, only)))
            };
            let threads: Vec<_> = some.iter().map(start).collect();
            failed.extend(threads.into_iter().filter_map(|(name, thread)| thread.join().err().map(|_| name)));
        });
    }
    assert!(failed.is_empty(), "{failed:?}");
}

fn on_host(name: &'static str, only: Option<&str>) {
    let Ok(suite) = Suite::find(name) else {
        results::skipped(TEST, name, "NOT TESTED: there is no root file system of it");
        return;
    };
    let mut place = Place::of(&suite);
    for (scenario, run) in SCENARIOS {
        if only.is_none_or(|only| only.split(',').any(|one| one == scenario)) {
            let begun = Instant::now();
            let figures = run(&mut place);
            let seconds = begun.elapsed().as_secs();
            results::tested(TEST, &format!("{name} {scenario}"), format!("{figures} ({seconds} s)"));
        }
    }
}
