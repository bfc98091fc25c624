//! Recorded logins, read by hostward as on the host that they were recorded on: all of them are told, and nothing else.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use hostward_checks::fact::Fact;
use hostward_checks::observation::login::{Logins, Teller};
use hostward_tests::recording::{Name, Recording, Truth, What};
use hostward_tests::results;
use hostward_tests::suite::{Overlay, Suite, private_mounts};
use hostward_tests::tier::Tier;
use jiff::tz::{TimeZone, offset};
use jiff::{SignedDuration, Timestamp, civil};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

const TEST: &str = "recorded logins";

/// Their sshd writes no record of a refused login: what is in btmp is others'.
const NO_BTMP: [&str; 3] = ["trixie", "resolute", "sid"];

/// User, method, source, key.
type Who = (String, String, IpAddr, Option<String>);

/// What the reader says in a root directory of its own, at the moment when the recording ended.
fn read(root: &Path, now: i64) -> Result<Logins, String> {
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            // The root directory of this thread alone: its handle, outside, removes it.
            unshare(CloneFlags::CLONE_FS).unwrap();
            nix::unistd::chroot(root).unwrap();
            nix::unistd::chdir("/").unwrap();
            match hostward::observe::logins(Path::new("/"), now) {
                Fact::Known(logins) => Ok(logins),
                other => Err(format!("{other:?}")),
            }
        });
        inside.join().unwrap()
    })
}

/// A form of a recording laid over a suite's root file system.
fn laid(suite: &Suite, recording: &Recording, form: &str) -> Overlay {
    let overlay = suite.overlay().unwrap();
    let arrange = "set -e; rm -rf \"$1\"/var/log/*; mount -t proc proc \"$1/proc\"; mount --bind /dev \"$1/dev\"";
    assert!(Command::new("sh").args(["-c", arrange, "sh"]).arg(overlay.root()).status().unwrap().success());
    recording.lay(form, overlay.root()).unwrap();
    overlay
}

fn tidy(overlay: &Overlay) {
    let tidy = "umount \"$1/proc\" \"$1/dev\"";
    assert!(Command::new("sh").args(["-c", tidy, "sh"]).arg(overlay.root()).status().unwrap().success());
}

/// A form of a recording laid over the suite's own root file system, with its own journalctl, or over none.
fn told(recording: &Recording, form: &str) -> Option<Result<Logins, String>> {
    std::thread::scope(|scope| {
        let own = scope.spawn(|| {
            if !form.starts_with("journal") {
                private_mounts().unwrap();
                let root = tempfile::tempdir().unwrap();
                recording.lay(form, root.path()).unwrap();
                return Some(read(root.path(), recording.truth.now));
            }
            let Ok(suite) = Suite::find(recording.suite()) else {
                results::skipped(TEST, recording.suite(), "NOT TESTED: there is no root file system of it");
                return None;
            };
            let overlay = laid(&suite, recording, form);
            let logins = read(overlay.root(), recording.truth.now);
            tidy(&overlay);
            Some(logins)
        });
        own.join().unwrap()
    })
}

/// When each login that a teller knows of came last.
///
/// OpenSSH 7.6 does not say which key is certified; bob's is.
fn accepted(truth: &Truth, teller: Teller, suite: &str) -> BTreeMap<Who, (i64, i64)> {
    let mut newest = BTreeMap::new();
    for event in &truth.events {
        let times = (event.from, event.to);
        let who = match (&event.what, teller) {
            (What::Accepted { user, method, key, .. }, Teller::Journal | Teller::Log) => {
                let is_told = suite != "bionic" || user != "bob";
                (user.clone(), method.clone(), event.source, key.clone().filter(|_| is_told))
            }
            (What::Accepted { user, terminal: true, .. }, Teller::Wtmp | Teller::Lastlog) => {
                (user.clone(), String::new(), event.source, None)
            }
            (What::Forged { key }, Teller::Log) => {
                ("root".to_owned(), "publickey".to_owned(), event.source, Some(key.clone()))
            }
            _ => continue,
        };
        if teller == Teller::Lastlog {
            newest.retain(|(user, ..): &Who, _| *user != who.0);
        }
        newest.insert(who, times);
    }
    newest
}

/// How many attempts from where, as the clients know it.
fn refused(truth: &Truth, records: bool) -> BTreeMap<IpAddr, u32> {
    let mut counts = BTreeMap::<IpAddr, u32>::new();
    for event in &truth.events {
        let count = match event.what {
            // A key that is not taken leaves no record, a name that nobody has does.
            What::Refused { passwords: 0, name } => {
                u32::from(name == Name::Nobody || name == Name::Account && !records)
            }
            What::Refused { passwords, .. } => passwords,
            _ => continue,
        };
        if count > 0 {
            *counts.entry(event.source).or_default() += count;
        }
    }
    counts
}

/// What a form of a recording does not tell as it happened.
fn differences(recording: &Recording, form: &str, logins: &Logins) -> Vec<String> {
    let mut wrong = Vec::new();
    let truth = &recording.truth;
    for (name, result) in &logins.sources {
        if let Err(why) = result
            && !name.ends_with(".db")
        {
            wrong.push(format!("{name}: {why}"));
        }
    }
    let has = |name: &str| logins.sources.iter().any(|(path, _)| path.ends_with(name));
    let tellers: Vec<Teller> = match form {
        "records" => [("wtmp", Teller::Wtmp), ("lastlog", Teller::Lastlog)]
            .into_iter()
            .filter(|(name, _)| has(&format!("/{name}")))
            .map(|(_, teller)| teller)
            .collect(),
        _ if form.starts_with("journal") => vec![Teller::Journal],
        _ => vec![Teller::Log],
    };
    let mut told: BTreeMap<Teller, BTreeMap<Who, i64>> = BTreeMap::new();
    for login in &logins.accepted {
        let who = (login.user.clone(), login.method.clone(), login.source.unwrap(), login.key.clone());
        told.entry(login.told_by).or_default().insert(who, login.at);
    }
    let others: BTreeSet<_> = told.keys().filter(|teller| !tellers.contains(teller)).collect();
    if !others.is_empty() {
        wrong.push(format!("{others:?} tell of it"));
    }
    for teller in tellers {
        let (want, got) = (accepted(truth, teller, recording.suite()), told.remove(&teller).unwrap_or_default());
        for (who, (from, to)) in &want {
            match got.get(who) {
                Some(at) if (from..=to).contains(&at) => {}
                other => wrong.push(format!("{teller:?}: {who:?} at {other:?}, not between {from} and {to}")),
            }
        }
        wrong.extend(got.keys().filter(|who| !want.contains_key(who)).map(|who| format!("{teller:?}: {who:?} too")));
    }
    let want = if form == "records" && NO_BTMP.contains(&recording.suite()) {
        BTreeMap::new()
    } else {
        refused(truth, form == "records")
    };
    let sum = |minutes: &Vec<(i64, u32)>| minutes.iter().map(|(_, count)| count).sum::<u32>();
    let got: BTreeMap<IpAddr, u32> = logins.refused.sources.iter().map(|(ip, minutes)| (*ip, sum(minutes))).collect();
    for source in want.keys().chain(got.keys()).collect::<BTreeSet<_>>() {
        if want.get(source) != got.get(source) {
            wrong.push(format!("{source}: {:?} attempts, not {:?}", got.get(source), want.get(source)));
        }
        let events = || truth.events.iter().filter(|event| event.source == *source);
        let (from, to) = (events().map(|event| event.from).min(), events().map(|event| event.to).max());
        for (minute, _) in logins.refused.sources.get(source).into_iter().flatten() {
            if from.is_none_or(|from| *minute + 60 <= from) || to.is_none_or(|to| *minute > to) {
                wrong.push(format!("{source}: at {minute}, not between {from:?} and {to:?}"));
            }
        }
    }
    wrong
}

#[test]
fn what_was_recorded_is_told() {
    let recordings = Recording::all(&Recording::place()).unwrap();
    assert!(!recordings.is_empty());
    let mut wrong = Vec::new();
    for recording in &recordings {
        let mut forms = recording.forms().unwrap();
        assert!(!forms.is_empty(), "{}: {forms:?}", recording.name);
        forms.retain(|form| {
            let Some(logins) = told(recording, form) else { return false };
            let differences = match logins {
                Ok(logins) => differences(recording, form, &logins),
                Err(why) => vec![why],
            };
            wrong.extend(differences.into_iter().map(|one| format!("{} {form}: {one}", recording.name)));
            true
        });
        let events = recording.truth.events.len();
        let forms = forms.join(", ");
        results::tested(
            TEST,
            &recording.name,
            format!("{events} attempts, told by {forms}; {}", recording.truth.programs),
        );
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// A root file system's zone is a link whose target is this machine's, seen from outside.
#[test]
fn nothing_outside_the_root_directory_is_written() {
    let recordings = Recording::all(&Recording::place()).unwrap();
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("zone");
    for recording in &recordings {
        for form in recording.forms().unwrap() {
            let root = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(root.path().join("etc")).unwrap();
            for name in ["localtime", "passwd", "machine-id"] {
                std::os::unix::fs::symlink(&file, root.path().join("etc").join(name)).unwrap();
            }
            std::fs::write(&file, "as it was").unwrap();
            recording.lay(&form, root.path()).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), "as it was", "{} {form}", recording.name);
            let zone = root.path().join("etc/localtime").symlink_metadata().unwrap();
            assert!(zone.is_file(), "{} {form}", recording.name);
        }
    }
}

/// A line of a log, so much later; all were recorded in Shanghai.
fn later(line: &str, by: SignedDuration, year: i16) -> String {
    let zone = TimeZone::fixed(offset(8));
    let priority = if line.starts_with('<') { line.find('>').unwrap() + 1 } else { 0 };
    let version = if line[priority..].starts_with("1 ") { priority + 2 } else { priority };
    let (before, rest) = line.split_at(version);
    if rest.starts_with(|first: char| first.is_ascii_digit()) {
        let (stamp, rest) = rest.split_once(' ').unwrap();
        let at = stamp.parse::<Timestamp>().unwrap() + by;
        return format!("{before}{} {rest}", at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.6f%:z"));
    }
    let (stamp, rest) = rest.split_at(15);
    let at = civil::DateTime::strptime("%Y %b %e %H:%M:%S", format!("{year} {stamp}")).unwrap();
    format!("{before}{}{rest}", (at.to_zoned(zone).unwrap() + by).strftime("%b %e %H:%M:%S"))
}

/// Lets the logs end now. What is compressed was rotated before the guesses: it goes.
fn until_now(log: &Path, recording: &Recording) {
    let now: i64 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap();
    let by = SignedDuration::from_secs(now - recording.truth.now);
    let year = Timestamp::from_second(recording.truth.now).unwrap().to_zoned(TimeZone::UTC).year();
    for path in std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "btmp" || name == "wtmp" {
            let mut bytes = std::fs::read(&path).unwrap();
            for record in bytes.chunks_exact_mut(384) {
                let at = u32::from_ne_bytes(record[340..344].try_into().unwrap());
                record[340..344]
                    .copy_from_slice(&u32::try_from(i64::from(at) + now - recording.truth.now).unwrap().to_ne_bytes());
            }
            std::fs::write(&path, bytes).unwrap();
        } else if name.starts_with("auth.log") && !name.ends_with(".gz") || name == "messages" {
            let text = std::fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(|line| later(line, by, year) + "\n");
            std::fs::write(&path, lines.collect::<String>()).unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
        }
    }
}

/// What a scan of the suite says where these are its logs.
fn scanned(suite: &Suite, recording: &Recording, form: &str) -> (String, Vec<Value>) {
    std::thread::scope(|scope| {
        let own = scope.spawn(|| {
            let overlay = laid(suite, recording, form);
            until_now(&overlay.path("/var/log"), recording);
            let program = std::fs::read(hostward_tests::binary().unwrap()).unwrap();
            overlay.write("/usr/local/bin/hostward", program, 0o755).unwrap();
            overlay.write("/etc/hostward/policy.toml", "[limits]\nlogin-failures = 5\n", 0o644).unwrap();
            let arguments = ["scan", "--only", "platform.login-anomaly", "--format", "json", "--exit-zero"];
            let output = overlay.command("/usr/local/bin/hostward").args(arguments).output().unwrap();
            tidy(&overlay);
            let report: Value = serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
            let check = report["checks"].as_array().unwrap().first().unwrap().clone();
            (check["verdict"].as_str().unwrap().to_owned(), check["findings"].as_array().unwrap().clone())
        });
        own.join().unwrap()
    })
}

#[test]
fn recorded_guesses_are_told_by_a_scan_in_every_form() {
    let recordings = Recording::all(&Recording::place()).unwrap();
    for name in Tier::current().pick(&["bookworm"][..], &["bookworm", "bionic", "sid"]) {
        let Ok(suite) = Suite::find(name) else {
            results::skipped(TEST, name, "NOT TESTED: there is no root file system of it");
            continue;
        };
        let mut told = Vec::new();
        for recording in recordings.iter().filter(|recording| recording.suite() == *name) {
            // Each kind of record once.
            let forms = recording.forms().unwrap().into_iter().filter(|form| !form.starts_with("journal"));
            for form in forms.filter(|form| form != "records" || *name != "sid" && recording.name.ends_with("-rsyslog"))
            {
                let (verdict, findings) = scanned(&suite, recording, &form);
                let said = format!("{} {form}: {findings:#?}", recording.name);
                assert_eq!((verdict.as_str(), findings.len()), ("fail", 1), "{said}");
                let id = findings[0]["message_id"].as_str().unwrap();
                assert!(id.starts_with("guessing"), "{said}");
                // Those that guessed six times in one connection; nobody else did it five times.
                for source in [18, 19, 20].map(|last| format!("203.0.113.{last} (6)")) {
                    assert!(findings[0].to_string().contains(&source), "{source} in {said}");
                }
                assert!(findings[0].to_string().contains("18 refused logins in bursts from 3 sources"), "{said}");
                told.push(format!("{} {form}", recording.name.trim_start_matches(name).trim_start_matches('-')));
            }
        }
        assert!(told.len() >= 3, "{name}: {told:?}");
        results::tested(TEST, name, format!("three sources that guess told by a scan: {}", told.join(", ")));
    }
}
