//! Recorded logins, read by hostward as on the host that they were recorded on: all of them are told, and nothing else.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use hostward_checks::fact::Fact;
use hostward_checks::observation::login::{Logins, Teller};
use hostward_tests::recording::{Name, Recording, Truth, What};
use hostward_tests::results;
use hostward_tests::suite::{Suite, private_mounts};
use nix::sched::{CloneFlags, unshare};

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
            let overlay = suite.overlay().unwrap();
            let root = overlay.root();
            let arrange =
                "set -e; rm -rf \"$1\"/var/log/*; mount -t proc proc \"$1/proc\"; mount --bind /dev \"$1/dev\"";
            assert!(Command::new("sh").args(["-c", arrange, "sh"]).arg(root).status().unwrap().success());
            recording.lay(form, root).unwrap();
            let logins = read(root, recording.truth.now);
            let tidy = "umount \"$1/proc\" \"$1/dev\"";
            assert!(Command::new("sh").args(["-c", tidy, "sh"]).arg(root).status().unwrap().success());
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
