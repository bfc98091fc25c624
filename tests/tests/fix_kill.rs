//! A transaction killed or failed at every system call that writes: every file is old or new, whole, and `recover` ends it.
#![cfg(test)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use hostward::transaction::{Stage, Store};
use hostward_tests::tier::Tier;
use hostward_tests::{binary, results, transact};

/// System calls that change something on disk, or make sure of it.
const WRITING: [&str; 20] = [
    "openat",
    "openat2",
    "creat",
    "mkdirat",
    "write",
    "pwrite64",
    "writev",
    "ftruncate",
    "fallocate",
    "fchown",
    "fchownat",
    "fchmod",
    "fchmodat",
    "fsetxattr",
    "fremovexattr",
    "fsync",
    "fdatasync",
    "renameat",
    "renameat2",
    "unlinkat",
];

/// One of them, in a run.
#[derive(Clone, Debug)]
struct Call {
    name: String,
    /// Its number among the calls of this name, from 1.
    number: usize,
    /// The whole line.
    line: String,
}

/// A root as it was, and as it is to be.
struct Case {
    _keep: tempfile::TempDir,
    dir: PathBuf,
    old: Vec<String>,
}

fn case() -> Case {
    let keep = tempfile::tempdir().unwrap();
    let dir = keep.path().join("root");
    std::fs::create_dir(&dir).unwrap();
    transact::make_root(&dir).unwrap();
    let old = transact::picture(&dir).unwrap();
    Case { _keep: keep, dir, old }
}

/// A root with the configuration and the sshd of a distribution, for the whole command; None: it is not in the cache.
fn distribution() -> Option<Case> {
    let cached = hostward_tests::cache().join("root-bookworm");
    if !cached.join("usr/sbin/sshd").exists() {
        results::skipped("fix_kill", "the whole command", "there is no root of bookworm");
        return None;
    }
    let keep = tempfile::tempdir().unwrap();
    let dir = keep.path().join("root");
    for path in ["", "usr", "usr/sbin", "usr/bin", "var", "var/lib", "root"] {
        std::fs::create_dir_all(dir.join(path)).unwrap();
        std::fs::set_permissions(dir.join(path), PermissionsExt::from_mode(0o755)).unwrap();
    }
    for (from, to) in [("etc", ""), ("usr/sbin/sshd", "usr/sbin"), ("usr/bin/bash", "usr/bin")] {
        let status = Command::new("cp").arg("-a").arg(cached.join(from)).arg(dir.join(to)).status().unwrap();
        assert!(status.success());
    }
    std::os::unix::fs::symlink("usr/bin", dir.join("bin")).unwrap();
    let old = transact::picture(&dir).unwrap();
    Some(Case { _keep: keep, dir, old })
}

fn fix_on(dir: &Path) -> Vec<String> {
    let program = binary().unwrap().display().to_string();
    let words = ["fix", "sshd", "--apply", "--password-budget", "0", "--root"].map(str::to_owned);
    [vec![program], words.to_vec(), vec![dir.display().to_string()]].concat()
}

/// The program that writes the transaction down and carries it out.
fn transact_on(dir: &Path) -> Vec<String> {
    vec![env!("CARGO_BIN_EXE_transact").to_owned(), dir.display().to_string()]
}

fn recover_on(dir: &Path) -> Vec<String> {
    let program = binary().unwrap().display().to_string();
    vec![program, "recover".to_owned(), "--root".to_owned(), dir.display().to_string()]
}

fn strace(arguments: &[&str], command: &[String]) -> Output {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq"]).args(arguments).arg("--").args(command).stdin(Stdio::null());
    strace.output().expect("strace is installed by tests/setup.sh")
}

fn run(command: &[String]) -> Output {
    Command::new(&command[0]).args(&command[1..]).stdin(Stdio::null()).output().unwrap()
}

/// The calls of a run that write, in order; openings only where they make a file.
fn calls(command: &[String]) -> Vec<Call> {
    calls_of(command, &[0])
}

/// The same of a run that may end so.
fn calls_of(command: &[String], codes: &[i32]) -> Vec<Call> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let trace = format!("trace={}", WRITING.map(|name| format!("?{name}")).join(","));
    let output = strace(&["-y", "-s", "64", "-e", &trace, "-o", log.path().to_str().unwrap()], command);
    assert!(output.status.code().is_some_and(|code| codes.contains(&code)), "{output:?}");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in std::fs::read_to_string(log.path()).unwrap().lines() {
        let Some((_, line)) = line.split_once(' ') else { continue };
        let line = line.trim_start();
        let Some((name, _)) = line.split_once('(') else { continue };
        let number = counts.entry(name.to_owned()).or_default();
        *number += 1;
        if name.starts_with("openat") && !line.contains("O_CREAT") {
            continue;
        }
        calls.push(Call { name: name.to_owned(), number: *number, line: line.to_owned() });
    }
    calls
}

/// Runs a command with one thing going wrong.
fn with(what: &str, call: &Call, command: &[String]) -> Output {
    let trace = format!("trace={}", call.name);
    let inject = format!("inject={}:{what}:when={}", call.name, call.number);
    strace(&["-o", "/dev/null", "-e", &trace, "-e", &inject], command)
}

/// Nothing between old and new, no temporary file, and a store that says what holds.
fn judge(case: &Case, new: &[String], about: &str) -> bool {
    let now = transact::picture(&case.dir).unwrap();
    let stray: Vec<&String> = now.iter().filter(|line| line.contains("/.hostward-")).collect();
    assert!(stray.is_empty(), "{about}: {stray:?}");
    let (is_old, is_new) = (now == case.old, now == new);
    assert!(is_old || is_new, "{about}: neither old nor new\nnow {now:#?}\nold {:#?}", case.old);
    let store = Store::open(&case.dir).unwrap();
    let listing = store.list().unwrap();
    assert!(listing.broken.is_empty(), "{about}: {:?}", listing.broken);
    assert!(listing.transactions.len() <= 1, "{about}");
    for one in &listing.transactions {
        match one.stage() {
            Stage::Confirmed => assert!(is_new, "{about}: confirmed, and not there"),
            Stage::Undone { .. } | Stage::Prepared => assert!(is_old, "{about}: undone, and still there"),
            other => panic!("{about}: {other:?} after recover"),
        }
        one.effects().unwrap_or_else(|error| panic!("{about}: {error:#}"));
    }
    if listing.transactions.is_empty() {
        assert!(is_old, "{about}: no transaction, and something changed");
    }
    is_new
}

/// Does something for each of these, two at a time.
fn each<T: Sync>(all: &[T], act: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    act(one);
                }
            });
        }
    });
}

/// What a whole run leaves.
fn new_picture() -> Vec<String> {
    let case = case();
    let output = run(&transact_on(&case.dir));
    assert!(output.status.success(), "{output:?}");
    let new = transact::picture(&case.dir).unwrap();
    assert_ne!(new, case.old);
    new
}

/// The calls of a whole run, and that runs are alike: else the numbers would mean nothing.
fn points() -> Vec<Call> {
    let calls = calls(&transact_on(&case().dir));
    let names = |calls: &[Call]| calls.iter().map(|call| (call.name.clone(), call.number)).collect::<Vec<_>>();
    assert_eq!(names(&calls), names(&self::calls(&transact_on(&case().dir))));
    calls
}

#[test]
fn killed_at_every_call_that_writes() {
    let (points, new) = (points(), new_picture());
    let applied = AtomicUsize::new(0);
    each(&points, |call| {
        let case = case();
        let about = format!("killed at {} {}: {}", call.name, call.number, call.line);
        let output = with("signal=SIGKILL", call, &transact_on(&case.dir));
        assert!(!output.status.success(), "{about}: it was not killed");
        // Before anybody recovers: each file is whole, old or new.
        for line in transact::picture(&case.dir).unwrap() {
            let path = line.split(' ').next().unwrap();
            let content = |lines: &[String]| {
                let found = lines.iter().find(|known| known.split(' ').next() == Some(path));
                found.map(|line| line.split('"').nth(1).unwrap().to_owned())
            };
            let now = content(std::slice::from_ref(&line));
            let known = path.contains("/.hostward-") || now == content(&case.old) || now == content(&new);
            assert!(known, "{about}: {line}");
        }
        let output = run(&recover_on(&case.dir));
        assert!(output.status.success(), "{about}: {output:?}");
        applied.fetch_add(usize::from(judge(&case, &new, &about)), Ordering::Relaxed);
    });
    // The last ones: after the transaction is confirmed.
    let applied = applied.into_inner();
    results::tested("fix_kill", "SIGKILL", format!("{} points, {applied} of them after the end", points.len()));
    assert!(points.len() > 120 && applied < points.len() / 10, "{} {applied}", points.len());
}

#[test]
fn the_whole_command_is_killed() {
    let Some(done) = distribution() else { return };
    let points = calls_of(&fix_on(&done.dir), &[0, 1]);
    let new = transact::picture(&done.dir).unwrap();
    assert_ne!(new, done.old);
    // The others are the same calls as of the engine alone.
    let some: Vec<&Call> = points.iter().step_by(Tier::current().pick(9, 1)).collect();
    each(&some, |call| {
        let case = distribution().unwrap();
        let about = format!("killed at {} {}: {}", call.name, call.number, call.line);
        with("signal=SIGKILL", call, &fix_on(&case.dir));
        let output = run(&recover_on(&case.dir));
        assert!(output.status.success(), "{about}: {output:?}");
        judge(&case, &new, &about);
    });
    results::tested("fix_kill", "the whole command", format!("{} of {} points", some.len(), points.len()));
    assert!(points.len() > 40, "{}", points.len());
}

#[test]
fn failed_at_every_call_that_writes() {
    let (points, new) = (points(), new_picture());
    let errors = ["ENOSPC", "EIO", "EROFS"];
    // Once, or from then on: a disk that is full stays full.
    let mut tries: Vec<(usize, &Call, &str, bool)> = Vec::new();
    for (index, call) in points.iter().enumerate() {
        for (turn, error) in errors.iter().enumerate() {
            if Tier::current() == Tier::Long || index % errors.len() == turn {
                tries.push((index, call, error, false));
                tries.push((index, call, error, true));
            }
        }
    }
    let (finished, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    each(&tries, |(_, call, error, on)| {
        let case = case();
        let about = format!(
            "{error}{} at {} {}: {}",
            if *on { " from then on" } else { "" },
            call.name,
            call.number,
            call.line
        );
        let command = transact_on(&case.dir);
        let output = if *on {
            let (trace, number) = (format!("trace={}", call.name), call.number);
            let inject = format!("inject={}:error={error}:when={number}+", call.name);
            strace(&["-o", "/dev/null", "-e", &trace, "-e", &inject], &command)
        } else {
            with(&format!("error={error}"), call, &command)
        };
        assert!(output.status.code().is_some(), "{about}: {output:?}");
        if output.status.code() == Some(3) {
            refused.fetch_add(1, Ordering::Relaxed);
        }
        let done = output.status.success();
        let output = run(&recover_on(&case.dir));
        assert!(output.status.success(), "{about}: {output:?}");
        let is_new = judge(&case, &new, &about);
        assert!(is_new || !done, "{about}: it said that it was done");
        finished.fetch_add(usize::from(done), Ordering::Relaxed);
    });
    let (finished, refused) = (finished.into_inner(), refused.into_inner());
    let figures = format!(
        "{} points: {refused} undone at once, {finished} done all the same, the others undone by recover",
        tries.len()
    );
    results::tested("fix_kill", "ENOSPC EIO EROFS", figures);
    assert!(refused > tries.len() / 5, "{refused}");
}

#[test]
fn recover_killed_at_every_call_that_writes() {
    let (points, new) = (points(), new_picture());
    // Kills of the first run: at the end, where all is to be undone, and in the midst of it.
    let share = Tier::current().pick(3, 12);
    let first: Vec<&Call> = points.iter().rev().step_by(points.len().div_ceil(share)).collect();
    let tried = AtomicUsize::new(0);
    for kill in first {
        let dead = || {
            let case = case();
            with("signal=SIGKILL", kill, &transact_on(&case.dir));
            case
        };
        let points = calls(&recover_on(&dead().dir));
        each(&points, |call| {
            let case = dead();
            let about = format!("killed at {} {}, recover at {} {}", kill.name, kill.number, call.name, call.number);
            with("signal=SIGKILL", call, &recover_on(&case.dir));
            let output = run(&recover_on(&case.dir));
            assert!(output.status.success(), "{about}: {output:?}");
            judge(&case, &new, &about);
            tried.fetch_add(1, Ordering::Relaxed);
        });
    }
    let tried = tried.into_inner();
    results::tested("fix_kill", "recover killed", format!("{tried} points"));
    assert!(tried > 50, "{tried}");
}

/// What a call does, to which path of the root.
fn target(call: &Call, root: &str) -> Option<String> {
    // With -y a descriptor is followed by its path.
    let inside =
        |path: &str| path.strip_prefix(root).map(|path| if path.is_empty() { "/".to_owned() } else { path.to_owned() });
    let described = call.line.split_once('<')?.1.split_once('>')?.0;
    let named = call.line.split('"').nth(1);
    match call.name.as_str() {
        "openat" | "openat2" | "mkdirat" | "unlinkat" | "renameat" | "renameat2" | "fchmodat" | "fchownat" => {
            inside(&format!("{described}/{}", named?))
        }
        _ => inside(described),
    }
}

#[test]
fn what_counts_is_on_disk_before_what_follows() {
    let case = case();
    let root = case.dir.canonicalize().unwrap().display().to_string();
    let calls = calls(&transact_on(&case.dir));
    let seen: Vec<(usize, &str, String, &str)> = calls
        .iter()
        .enumerate()
        .filter_map(|(at, call)| Some((at, call.name.as_str(), target(call, &root)?, call.line.as_str())))
        .collect();
    let store = "/var/lib/hostward";
    let syncs = |from: usize, to: usize, path: &str| {
        seen.iter().any(|(at, name, target, _)| (from..to).contains(at) && *name == "fsync" && target == path)
    };
    let of_host = |target: &str| !target.starts_with(store) && target != "/etc/.pwd.lock" && target.starts_with('/');
    // What happens to the way to the store is no change of the host's files.
    let made_way = |target: &str| ["/var", "/var/lib"].contains(&target);
    let first = seen.iter().find(|(_, _, target, _)| of_host(target) && !made_way(target)).map(|(at, ..)| *at).unwrap();

    // The manifest and every content are on disk under their final name before the first byte of the host.
    let transactions = "/var/lib/hostward/transactions";
    let named =
        seen.iter().find(|(_, name, target, _)| name.starts_with("renameat") && target.ends_with("/.unfinished"));
    let named = named.map(|(at, ..)| *at).unwrap();
    assert!(named < first);
    assert!(syncs(named, first, transactions));
    let kept: Vec<_> = seen
        .iter()
        .filter(|(at, name, target, _)| *at < named && name.starts_with("openat") && target.contains("/.unfinished/"))
        .collect();
    assert!(kept.len() > 12, "{kept:#?}");
    for (at, _, path, _) in &kept {
        assert!(syncs(*at, named, path), "{path}");
    }
    for dir in ["", "/before", "/after"].map(|dir| format!("{transactions}/.unfinished{dir}")) {
        let mut inside = kept.iter().filter(|(_, _, path, _)| Path::new(path).parent() == Some(Path::new(&dir)));
        assert!(syncs(inside.next_back().unwrap().0, named, &dir), "{dir}");
    }
    // So is the stage that tells a later run to undo it.
    let stage =
        seen.iter().filter(|(_, name, target, _)| name.starts_with("renameat") && target.ends_with("/.stage.json"));
    assert!(stage.clone().next().unwrap().0 < first);

    // Each file: owner, mode and attributes before content, content on disk before its name, its directory after.
    let renames: Vec<_> = seen
        .iter()
        .filter(|(_, name, target, _)| name.starts_with("renameat") && target.contains("/.hostward-"))
        .collect();
    assert_eq!(renames.len(), 7, "{renames:#?}");
    for (at, _, temporary, line) in &renames {
        let of: Vec<(usize, &str)> =
            seen.iter().filter(|(_, _, target, _)| target == temporary).map(|(at, name, ..)| (*at, *name)).collect();
        let last = |what: &str| of.iter().rev().find(|(_, name)| *name == what).map(|(at, _)| *at);
        let (made, synced) = (of[0], last("fsync").unwrap_or_else(|| panic!("{line}: not synced")));
        assert!(made.1.starts_with("openat") || made.1 == "mkdirat", "{made:?}");
        assert!(synced < *at, "{line}");
        if let Some(written) = last("write") {
            assert!(written < synced, "{line}");
            for before in ["fchown", "fchmod", "fsetxattr"] {
                assert!(last(before).is_none_or(|at| at < written), "{line}: {before} after content");
            }
        }
        let dir = Path::new(temporary).parent().unwrap().display().to_string();
        let next = renames.iter().map(|(at, ..)| *at).find(|next| next > at).unwrap_or(calls.len());
        assert!(syncs(*at, next, &dir), "{line}: its directory is not synced");
    }
    // What is removed is removed for good.
    let (at, ..) = seen.iter().find(|(_, name, target, _)| *name == "unlinkat" && target == "/etc/removed").unwrap();
    assert!(syncs(*at, at + 2, "/etc"));
    results::tested("fix_kill", "order", format!("{} calls, {} files renamed", calls.len(), renames.len()));
}

#[test]
fn old_kernels_and_filters_lack_system_calls() {
    let new = new_picture();
    let cases = [
        ("openat2", "ENOSYS"),   // before 5.6
        ("openat2", "EPERM"),    // a filter that does not know it
        ("renameat2", "ENOSYS"), // before 3.15
        ("renameat2", "EINVAL"), // a file system that cannot
        ("statx", "ENOSYS"),     // before 4.11
        ("flistxattr", "EOPNOTSUPP"),
    ];
    for (name, error) in cases {
        let case = case();
        let (trace, inject) = (format!("trace={name}"), format!("inject={name}:error={error}"));
        let output = strace(&["-o", "/dev/null", "-e", &trace, "-e", &inject], &transact_on(&case.dir));
        assert!(output.status.success(), "{name} {error}: {output:?}");
        if name != "flistxattr" {
            assert_eq!(transact::picture(&case.dir).unwrap(), new, "{name} {error}");
        }
        let back = [binary().unwrap().display().to_string(), "rollback".to_owned(), "--root".to_owned()];
        let back = [&back[..], &[case.dir.display().to_string()]].concat();
        let output = strace(&["-o", "/dev/null", "-e", &trace, "-e", &inject], &back);
        assert!(output.status.success(), "{name} {error}: {output:?}");
        if name != "flistxattr" {
            assert_eq!(transact::picture(&case.dir).unwrap(), case.old, "{name} {error}");
        }
    }
    results::tested("fix_kill", "old kernels", format!("{} ways without a system call", cases.len()));
}
