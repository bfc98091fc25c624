//! Transactions on disk.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use hostward_checks::effect::{KernelSetting, NftTable, Owner, RemoteCall, State, UnitAction, Verb};
use hostward_checks::plan::{Planned, Reason};

use super::*;

pub(crate) fn me(mode: u32) -> Owner {
    Owner { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw(), mode }
}

/// A root with what the tests change.
pub(crate) fn root() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for path in ["etc/ssh", "var/lib"] {
        std::fs::create_dir_all(dir.path().join(path)).unwrap();
    }
    for path in ["", "etc", "etc/ssh", "var", "var/lib"] {
        std::fs::set_permissions(dir.path().join(path), PermissionsExt::from_mode(0o755)).unwrap();
    }
    dir
}

pub(crate) fn put(dir: &Path, path: &str, content: &str, mode: u32) {
    let path = dir.join(path.trim_start_matches('/'));
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
}

pub(crate) fn planned(effects: Vec<Effect>) -> Plan {
    let reasons = vec![Reason { check: "sshd.root-login", subject: "root".to_owned() }];
    let each = effects.into_iter().map(|effect| Planned { effect, reasons: reasons.clone(), guards: Vec::new() });
    Plan { effects: each.collect(), unfixable: Vec::new() }
}

pub(crate) fn new(plan: &Plan) -> New<'_> {
    New {
        plan,
        asked: Asked::here(),
        command: vec!["hostward".to_owned(), "fix".to_owned()],
        confirm: Confirm::None,
        confirm_within: Duration::from_secs(300),
        found: Found::default(),
        keepers: vec!["root".to_owned()],
    }
}

pub(crate) fn change(path: &str, before: State, after: State) -> Effect {
    Effect::File(FileChange { path: PathBuf::from(path), before, after })
}

#[test]
fn a_transaction_reads_back_as_it_was_planned() {
    let dir = root();
    put(dir.path(), "etc/ssh/sshd_config", "old\n", 0o640);
    put(dir.path(), "etc/shadow", "root:$6$secret:1::::::\n", 0o600);
    put(dir.path(), "etc/gone", "gone\n", 0o644);
    put(dir.path(), "etc/open", "open\n", 0o666);
    let effects = vec![
        change(
            "/etc/shadow",
            State::file(*b"root:$6$secret:1::::::\n", me(0o600)),
            State::file(*b"root:*:1::::::\n", me(0o600)),
        ),
        change("/etc/gone", State::file(*b"gone\n", me(0o644)), State::Absent),
        change(
            "/etc/open",
            State::File { content: None, owner: me(0o666) },
            State::File { content: None, owner: me(0o644) },
        ),
        change("/etc/ssh/d", State::Absent, State::Dir { owner: me(0o755) }),
        change("/etc/ssh/d/x", State::Absent, State::file(*b"new\n", me(0o600))),
        change("/etc/ssh/sshd_config", State::file(*b"old\n", me(0o640)), State::file(*b"new\n", me(0o600))),
        Effect::Table(NftTable { before: None, after: Some("table inet hostward {}".to_owned()) }),
        Effect::Unit(UnitAction { unit: "ssh.service".to_owned(), verb: Verb::Reload }),
        Effect::Kernel(KernelSetting { key: "a.b".to_owned(), before: "0".to_owned(), after: "2".to_owned() }),
        Effect::Remote(RemoteCall {
            instance: "i-1".to_owned(),
            region: "cn-hangzhou".to_owned(),
            tokens_before: "optional",
            tokens_after: "required",
        }),
    ];
    let plan = planned(effects.clone());
    let mut store = Store::open(dir.path()).unwrap();
    let id = store.begin(&new(&plan)).unwrap().id().to_owned();

    let store = Store::open(dir.path()).unwrap();
    let mut transaction = store.get(&id[..13]).unwrap();
    assert_eq!(transaction.effects().unwrap(), effects);
    assert_eq!(transaction.stage(), &Stage::Prepared);
    assert_eq!(transaction.manifest().confirm(), Confirm::None);
    assert_eq!(store.pending().unwrap().len(), 1);
    transaction.set_stage(Stage::Applying { step: Step::Units }).unwrap();
    transaction.set_stage(Stage::Confirmed).unwrap();
    let again = store.get(&id).unwrap();
    assert_eq!((again.stage(), again.stages().len()), (&Stage::Confirmed, 3));
    assert_eq!(store.pending().unwrap().len(), 0);

    // Nothing of it is anybody else's to see, and what is secret is in the contents alone.
    let top = dir.path().join(PATH.trim_start_matches('/'));
    let mut seen = 0;
    let mut open = vec![top.clone()];
    while let Some(at) = open.pop() {
        let meta = std::fs::symlink_metadata(&at).unwrap();
        assert_eq!(meta.mode() & 0o077, 0, "{}", at.display());
        seen += 1;
        if meta.is_dir() {
            open.extend(std::fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().path()));
        } else if std::fs::read_to_string(&at).unwrap().contains("secret") {
            assert_eq!(at, top.join(&id).join("before/0"));
        }
    }
    assert_eq!(seen, 1 + 1 + 2 + 3 + 3 + 3, "the store, the transaction, two directories, three files, the contents");
}

#[test]
fn what_changed_since_is_stale() {
    let dir = root();
    put(dir.path(), "etc/a", "old\n", 0o644);
    let mut store = Store::open(dir.path()).unwrap();
    let after = State::file(*b"new\n", me(0o644));
    let link = State::file(*b"", me(0o777));
    std::os::unix::fs::symlink("a", dir.path().join("etc/link")).unwrap();
    nix::unistd::mkfifo(&dir.path().join("etc/pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    for (path, before) in [
        ("/etc/a", State::file(*b"other\n", me(0o644))),
        ("/etc/a", State::file(*b"old\n", me(0o600))),
        ("/etc/a", State::file(*b"old\n", Owner { uid: 77, ..me(0o644) })),
        ("/etc/a", State::Dir { owner: me(0o644) }),
        ("/etc/a", State::Absent),
        ("/etc/b", State::file(*b"old\n", me(0o644))),
        ("/etc/link", link.clone()),
        ("/etc/pipe", State::file(*b"", me(0o400))),
        ("/etc/link/x", link),
    ] {
        let plan = planned(vec![change(path, before.clone(), after.clone())]);
        let error = store.begin(&new(&plan)).unwrap_err();
        assert!(error.downcast_ref::<Ends>().is_some() || path == "/etc/link/x", "{path} {before:?}: {error:#}");
        assert!(store.list().unwrap().transactions.is_empty(), "{path}");
    }
}

use crate::exit_code::Ends;

#[test]
fn ids_never_go_back_and_old_transactions_go() {
    let dir = root();
    let mut store = Store::open(dir.path()).unwrap();
    let plan = planned(Vec::new());
    let ids: Vec<String> = (0..5).map(|_| store.begin(&new(&plan)).unwrap().id().to_owned()).collect();
    assert!(ids.is_sorted() && ids.iter().all(|id| id::is_id(id)), "{ids:?}");
    let year = Duration::from_secs(365 * 86_400);
    assert_eq!(store.prune(2, year).unwrap(), 0, "what is pending stays");
    for id in ids.iter().take(4) {
        store.get(id).unwrap().set_stage(Stage::Confirmed).unwrap();
    }
    assert_eq!(store.prune(2, year).unwrap(), 2);
    let left: Vec<String> = store.list().unwrap().transactions.iter().map(|one| one.id().to_owned()).collect();
    assert_eq!(left, ids[2..]);
    assert_eq!(store.prune(9, Duration::ZERO).unwrap(), 2);
    assert!(store.get(&ids[0]).unwrap_err().to_string().contains("there is no transaction"));
}

#[test]
fn a_store_that_others_enter_is_refused() {
    let dir = root();
    let mut store = Store::open(dir.path()).unwrap();
    store.begin(&new(&planned(Vec::new()))).unwrap();
    let top = dir.path().join(PATH.trim_start_matches('/'));
    for (mode, fits) in [(0o755, false), (0o710, false), (0o700, true)] {
        std::fs::set_permissions(&top, PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(Store::open(dir.path()).is_ok(), fits, "{mode:o}");
    }
    // A link on the way is not followed.
    std::fs::rename(dir.path().join("var"), dir.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", dir.path().join("var")).unwrap();
    assert!(Store::open(dir.path()).is_err());
}

#[test]
fn a_broken_transaction_is_told() {
    let dir = root();
    let mut store = Store::open(dir.path()).unwrap();
    let id = store.begin(&new(&planned(Vec::new()))).unwrap().id().to_owned();
    let at = dir.path().join(PATH.trim_start_matches('/')).join(&id).join(STAGE);
    for content in ["", "{}", "{\"schema\":\"hostward.stage/9\",\"stages\":[]}", "\0\0\0\0"] {
        std::fs::write(&at, content).unwrap();
        assert_eq!(store.list().unwrap().broken.len(), 1, "{content:?}");
        assert!(store.pending().is_err(), "{content:?}");
    }
}
