//! What goes for good, on small roots.

use std::path::Path;

use hostward_checks::effect::{Effect, FileChange, State};
use hostward_checks::guard::Confirm;

use crate::apply::{Offline, Outcome, recover, rollback, run};
use crate::transaction::tests::{change, me, new, planned, put, root};
use crate::transaction::{PATH, Stage, Step, Store};

fn gone(path: &str, before: State, after: State) -> Effect {
    Effect::Erase(FileChange { path: path.into(), before, after })
}

fn file(mode: u32) -> State {
    State::File { content: None, owner: me(mode) }
}

/// A root with secrets, and what takes them away beside an ordinary change.
fn dirty() -> (tempfile::TempDir, Vec<Effect>) {
    let dir = root();
    for path in ["tmp/deep", "var/log"] {
        std::fs::create_dir_all(dir.path().join(path)).unwrap();
    }
    std::fs::set_permissions(dir.path().join("tmp"), std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
    put(dir.path(), "etc/ssh/sshd_config", "old\n", 0o644);
    put(dir.path(), "etc/history", "secret-history", 0o600);
    put(dir.path(), "etc/shadow", "root:$6$secret-hash:1::::::\n", 0o640);
    put(dir.path(), "tmp/deep/file", "secret-file", 0o600);
    put(dir.path(), "var/log/auth.log", "secret-log", 0o640);
    let effects = vec![
        change("/etc/ssh/sshd_config", State::file(*b"old\n", me(0o644)), State::file(*b"new\n", me(0o644))),
        gone("/etc/history", file(0o600), State::Absent),
        gone("/tmp/deep/file", file(0o600), State::Absent),
        gone("/tmp/deep", State::Dir { owner: me(0o755) }, State::Absent),
        gone("/var/log/auth.log", file(0o640), State::file(*b"", me(0o640))),
        gone(
            "/etc/shadow",
            State::file(*b"root:$6$secret-hash:1::::::\n", me(0o640)),
            State::file(*b"root:!:1::::::\n", me(0o640)),
        ),
    ];
    (dir, effects)
}

/// Every file below a directory that holds the word.
fn holding(dir: &Path, word: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, word));
        } else if String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(word) {
            found.push(path);
        }
    }
    found
}

#[test]
fn what_goes_for_good_is_kept_nowhere() {
    let (dir, effects) = dirty();
    let plan = planned(effects);
    let mut store = Store::alone(dir.path()).unwrap();
    let mut transaction = store.begin(&new(&plan)).unwrap();
    // Not even while it is only planned.
    assert!(holding(&dir.path().join(PATH.trim_start_matches('/')), "secret").is_empty());
    assert_eq!(run(store.tree(), &mut transaction, &mut Offline).unwrap(), Outcome::Confirmed);
    assert_eq!(holding(dir.path(), "secret"), Vec::<std::path::PathBuf>::new());
    assert!(!dir.path().join("tmp/deep").exists() && !dir.path().join("etc/history").exists());
    let read = |path: &str| std::fs::read_to_string(dir.path().join(path)).unwrap();
    assert_eq!((read("etc/shadow").as_str(), read("var/log/auth.log").as_str()), ("root:!:1::::::\n", ""));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(dir.path().join("etc/shadow")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o7777, 0o640);
    // What was kept can be put back, and what was not is said.
    let mut known = store.get(transaction.id()).unwrap();
    assert_eq!(known.effects().unwrap().len(), plan.effects.len());
    let Outcome::Undone { why } = rollback(store.tree(), &mut known, &mut Offline).unwrap() else { panic!() };
    assert!(why.contains("5 paths that are gone for good"), "{why}");
    assert_eq!(read("etc/ssh/sshd_config"), "old\n");
    assert!(!dir.path().join("etc/history").exists());
}

#[test]
fn what_stands_in_the_way_stays_and_the_rest_goes() {
    let (dir, effects) = dirty();
    let plan = planned(effects);
    let mut store = Store::alone(dir.path()).unwrap();
    let mut transaction = store.begin(&new(&plan)).unwrap();
    std::fs::remove_file(dir.path().join("etc/history")).unwrap();
    std::os::unix::fs::symlink("shadow", dir.path().join("etc/history")).unwrap();
    put(dir.path(), "tmp/deep/new", "x", 0o600);
    std::fs::remove_file(dir.path().join("var/log/auth.log")).unwrap();
    assert_eq!(run(store.tree(), &mut transaction, &mut Offline).unwrap(), Outcome::Confirmed);
    assert!(dir.path().join("etc/history").is_symlink() && dir.path().join("tmp/deep/new").exists());
    assert!(!dir.path().join("var/log/auth.log").exists(), "what is gone is not made again");
    assert!(holding(dir.path(), "secret").is_empty());
}

#[test]
fn a_stale_plan_touches_nothing() {
    let (dir, effects) = dirty();
    let plan = planned(effects);
    let mut store = Store::alone(dir.path()).unwrap();
    let mut transaction = store.begin(&new(&plan)).unwrap();
    put(dir.path(), "etc/shadow", "root:$6$secret-hash:1::::::\nann:!:1::::::\n", 0o640);
    assert!(matches!(run(store.tree(), &mut transaction, &mut Offline).unwrap(), Outcome::Undone { .. }));
    assert_eq!(holding(dir.path(), "secret").len(), 4);
    assert_eq!(std::fs::read_to_string(dir.path().join("etc/ssh/sshd_config")).unwrap(), "old\n");
}

#[test]
fn a_crash_in_the_middle_is_gone_on_with() {
    let (dir, effects) = dirty();
    let plan = planned(effects);
    let mut store = Store::alone(dir.path()).unwrap();
    let mut transaction = store.begin(&new(&plan)).unwrap();
    let id = transaction.id().to_owned();
    put(dir.path(), "etc/ssh/sshd_config", "new\n", 0o644);
    std::fs::remove_file(dir.path().join("etc/history")).unwrap();
    transaction.set_stage(Stage::Applying { step: Step::Erase }).unwrap();
    drop(transaction);
    let recovered = recover(&store, &mut Offline).unwrap();
    assert!(matches!(recovered.first().unwrap().outcome, Ok(Some(Outcome::Confirmed))));
    assert!(holding(dir.path(), "secret").is_empty());
    assert_eq!(store.get(&id).unwrap().stage(), &Stage::Confirmed);
    assert_eq!(std::fs::read_to_string(dir.path().join("etc/ssh/sshd_config")).unwrap(), "new\n");
}

#[test]
fn what_goes_for_good_waits_for_no_confirmation() {
    let (dir, effects) = dirty();
    let plan = planned(effects);
    let mut store = Store::alone(dir.path()).unwrap();
    let waits = crate::transaction::New { confirm: Confirm::Login, ..new(&plan) };
    let mut transaction = store.begin(&waits).unwrap();
    let outcome = run(store.tree(), &mut transaction, &mut Offline).unwrap();
    assert!(matches!(outcome, Outcome::Undone { .. }), "{outcome:?}");
    assert_eq!(holding(dir.path(), "secret").len(), 4);
}

#[test]
fn a_link_goes_and_what_it_leads_to_stays() {
    let dir = root();
    put(dir.path(), "etc/kept", "kept", 0o600);
    std::os::unix::fs::symlink("kept", dir.path().join("etc/link")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("etc/dangling")).unwrap();
    let plan = planned(["/etc/link", "/etc/dangling"].map(|path| gone(path, file(0o777), State::Absent)).to_vec());
    let mut store = Store::alone(dir.path()).unwrap();
    let mut transaction = store.begin(&new(&plan)).unwrap();
    assert_eq!(run(store.tree(), &mut transaction, &mut Offline).unwrap(), Outcome::Confirmed);
    let stands = |path: &str| std::fs::symlink_metadata(dir.path().join(path)).is_ok();
    assert!(stands("etc/kept") && !stands("etc/link") && !stands("etc/dangling"));
}
