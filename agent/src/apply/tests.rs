//! The engine on small roots, with services that fail where they are told to.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hostward_checks::effect::{Effect, FileChange, Owner, State, Verb};
use hostward_checks::plan::Plan;

use super::*;
use crate::exit_code::Ends;
use crate::transaction::tests::{change, me, new, planned, put, root};

/// Services that note what they are asked, and fail at one of it.
#[derive(Debug, Default)]
struct Noted {
    asked: Vec<String>,
    fails: Option<&'static str>,
}

impl Noted {
    fn note(&mut self, what: String) -> anyhow::Result<()> {
        let fails = self.fails.is_some_and(|fails| what.starts_with(fails));
        self.asked.push(what);
        if fails { anyhow::bail!("refused") } else { Ok(()) }
    }
}

impl Services for Noted {
    fn unit_state(&mut self, unit: &str) -> anyhow::Result<UnitWas> {
        self.note(format!("state {unit}"))?;
        Ok(UnitWas { active: true, enabled: Some(true) })
    }
    fn validate(&mut self, _: &Manifest) -> anyhow::Result<()> {
        self.note("validate".to_owned())
    }
    fn act(&mut self, action: &UnitAction) -> anyhow::Result<()> {
        self.note(format!("act {} {}", action.verb.word(), action.unit))
    }
    fn undo(&mut self, action: &UnitAction, was: &UnitWas) -> anyhow::Result<()> {
        self.note(format!("undo {} {} {}", action.verb.word(), action.unit, was.active))
    }
    fn table(&mut self, table: &NftTable) -> anyhow::Result<()> {
        self.note(format!("table {}", table.after.as_deref().unwrap_or("none")))
    }
    fn kernel(&mut self, setting: &KernelSetting) -> anyhow::Result<()> {
        self.note(format!("kernel {} {}", setting.key, setting.after))
    }
    fn call(&mut self, call: &RemoteCall) -> anyhow::Result<()> {
        self.note(format!("call {}", call.tokens_after))
    }
    fn verify(&mut self, _: &Manifest) -> anyhow::Result<()> {
        self.note("verify".to_owned())
    }
    fn arm(&mut self, _: &Manifest, within: Duration) -> anyhow::Result<()> {
        self.note(format!("arm {}", within.as_secs()))
    }
}

/// Everything below a root but the store: path, kind, mode, owner, content, attributes.
fn picture(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(at) = open.pop() {
        let meta = std::fs::symlink_metadata(&at).unwrap();
        let inside = at.strip_prefix(dir).unwrap();
        if inside == Path::new("var") {
            continue;
        }
        let content = if meta.is_file() { std::fs::read(&at).unwrap() } else { Vec::new() };
        let fd = (meta.is_file() || meta.is_dir()).then(|| std::fs::File::open(&at).unwrap());
        let xattrs = fd.map(|fd| crate::tree::xattr::read(&fd).unwrap());
        lines.push(format!(
            "{} {:o} {}:{} {} {xattrs:?}",
            inside.display(),
            meta.mode(),
            meta.uid(),
            meta.gid(),
            String::from_utf8_lossy(&content)
        ));
        if meta.is_dir() {
            open.extend(std::fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    lines.sort();
    lines
}

/// A root, and a plan of every kind of change on it.
fn every_kind() -> (tempfile::TempDir, Plan) {
    let dir = root();
    put(dir.path(), "etc/ssh/sshd_config", "old\n", 0o640);
    put(dir.path(), "etc/shadow", "root:x:\n", 0o600);
    put(dir.path(), "etc/gone", "gone\n", 0o4755);
    put(dir.path(), "etc/open", "open\n", 0o666);
    let file = std::fs::File::open(dir.path().join("etc/ssh/sshd_config")).unwrap();
    // Not every file system has them; then there is nothing to lose.
    let _ = rustix::fs::fsetxattr(&file, "user.note", b"kept", rustix::fs::XattrFlags::empty());
    let only = |mode| State::File { content: None, owner: me(mode) };
    let plan = planned(vec![
        change("/etc", State::Dir { owner: me(0o755) }, State::Dir { owner: me(0o711) }),
        change("/etc/gone", State::file(*b"gone\n", me(0o4755)), State::Absent),
        change("/etc/new", State::Absent, State::file(*b"new\n", me(0o4711))),
        change("/etc/open", only(0o666), only(0o644)),
        change("/etc/shadow", State::file(*b"root:x:\n", me(0o600)), State::file(*b"root:*:\n", me(0o640))),
        change("/etc/ssh/d", State::Absent, State::Dir { owner: me(0o755) }),
        change("/etc/ssh/d/x.conf", State::Absent, State::file(*b"x\n", me(0o600))),
        change("/etc/ssh/sshd_config", State::file(*b"old\n", me(0o640)), State::file(*b"new\n", me(0o640))),
        Effect::Table(NftTable { before: None, after: Some("ours".to_owned()) }),
        Effect::Unit(UnitAction { unit: "ssh.service".to_owned(), verb: Verb::Reload }),
        Effect::Unit(UnitAction { unit: "nfs.service".to_owned(), verb: Verb::StopAndDisable }),
        Effect::Kernel(KernelSetting { key: "a.b".to_owned(), before: "0".to_owned(), after: "2".to_owned() }),
        Effect::Remote(RemoteCall {
            instance: "i-1".to_owned(),
            region: "cn-hangzhou".to_owned(),
            tokens_before: "optional",
            tokens_after: "required",
        }),
    ]);
    (dir, plan)
}

#[test]
fn all_kinds_go_forward_and_back() {
    let (dir, plan) = every_kind();
    let before = picture(dir.path());
    let mut store = Store::open(dir.path()).unwrap();
    let mut transaction = store.begin(&New { confirm: Confirm::Login, ..new(&plan) }).unwrap();
    assert_eq!(picture(dir.path()), before, "nothing changes before it is applied");
    let mut services = Noted::default();
    assert_eq!(run(store.tree(), &mut transaction, &mut services).unwrap(), Outcome::Waiting);
    let asked = [
        "state ssh.service",
        "state nfs.service",
        "arm 300",
        "table ours",
        "validate",
        "act reload ssh.service",
        "act stop-and-disable nfs.service",
        "kernel a.b 2",
        "call required",
        "verify",
        "arm 300",
    ];
    assert_eq!(services.asked, asked);
    let at = |path: &str| dir.path().join(path);
    assert!(!at("etc/gone").exists());
    for (path, content, mode) in [
        ("etc/new", "new\n", 0o4711),
        ("etc/open", "open\n", 0o644),
        ("etc/shadow", "root:*:\n", 0o640),
        ("etc/ssh/d/x.conf", "x\n", 0o600),
        ("etc/ssh/sshd_config", "new\n", 0o640),
    ] {
        assert_eq!(std::fs::read_to_string(at(path)).unwrap(), content, "{path}");
        assert_eq!(std::fs::metadata(at(path)).unwrap().mode() & 0o7777, mode, "{path}");
    }
    let kept = |lines: &[String]| lines.iter().any(|line| line.contains("sshd_config") && line.contains("user.note"));
    assert_eq!(kept(&picture(dir.path())), kept(&before));

    let mut services = Noted::default();
    let outcome = rollback(store.tree(), &mut transaction, &mut services).unwrap();
    assert!(matches!(outcome, Outcome::Undone { .. }), "{outcome:?}");
    let asked = [
        "call optional",
        "table none",
        "kernel a.b 0",
        "undo stop-and-disable nfs.service true",
        "undo reload ssh.service true",
    ];
    assert_eq!(services.asked, asked);
    let lock = |lines: Vec<String>| lines.into_iter().filter(|line| !line.contains(".pwd.lock")).collect::<Vec<_>>();
    assert_eq!(lock(picture(dir.path())), before);
    assert!(rollback(store.tree(), &mut transaction, &mut services).is_err(), "once is enough");
}

#[test]
fn whatever_fails_is_undone() {
    for (fails, untouched) in [
        ("state nfs", true),
        ("arm", true),
        ("table ours", false),
        ("validate", false),
        ("act reload", false),
        ("act stop", false),
        ("kernel a.b 2", false),
        ("call required", false),
        ("verify", false),
    ] {
        let (dir, plan) = every_kind();
        let before = picture(dir.path());
        let mut store = Store::open(dir.path()).unwrap();
        let mut transaction = store.begin(&New { confirm: Confirm::Login, ..new(&plan) }).unwrap();
        let mut services = Noted { fails: Some(fails), ..Noted::default() };
        let outcome = run(store.tree(), &mut transaction, &mut services).unwrap();
        assert_eq!(outcome, Outcome::Undone { why: "refused".to_owned() }, "{fails}");
        let after: Vec<String> = picture(dir.path());
        let after: Vec<String> = after.into_iter().filter(|line| !line.contains(".pwd.lock")).collect();
        assert_eq!(after, before, "{fails}");
        let began = transaction
            .stages()
            .iter()
            .any(|record| matches!(record.stage, Stage::Applying { step } if step > Step::Check));
        assert_eq!(!began, untouched, "{fails}");
        let undone = services.asked.iter().filter(|what| what.starts_with("undo")).count();
        let reached = ["act reload", "act stop", "kernel a.b 2", "call required", "verify"].contains(&fails);
        assert_eq!(undone, if reached { 2 } else { 0 }, "{fails}: {:?}", services.asked);
        assert!(store.pending().unwrap().is_empty());
    }
}

#[test]
fn what_others_changed_is_left_alone() {
    let (dir, plan) = every_kind();
    let mut store = Store::open(dir.path()).unwrap();
    let mut transaction = store.begin(&new(&plan)).unwrap();
    assert_eq!(run(store.tree(), &mut transaction, &mut Noted::default()).unwrap(), Outcome::Confirmed);
    put(dir.path(), "etc/ssh/sshd_config", "foreign\n", 0o640);
    let before = picture(dir.path());
    let error = rollback(store.tree(), &mut transaction, &mut Noted::default()).unwrap_err();
    assert_eq!(error.downcast_ref::<Ends>().unwrap().code, crate::exit_code::ExitCode::Refused);
    assert!(error.to_string().contains("/etc/ssh/sshd_config changed since"), "{error}");
    assert_eq!(picture(dir.path()), before, "all or nothing");
    assert_eq!(transaction.stage(), &Stage::Confirmed);

    // After a crash there is no choice: what can be put back is, the rest is named.
    put(dir.path(), "etc/ssh/d/foreign", "x", 0o644);
    let outcome = undo(store.tree(), &mut transaction, &mut Noted::default(), "why").unwrap();
    let left = vec!["/etc/ssh/sshd_config".to_owned(), "/etc/ssh/d".to_owned()];
    assert_eq!(outcome, Outcome::Stuck { why: "why".to_owned(), left });
    assert_eq!(std::fs::read_to_string(dir.path().join("etc/ssh/sshd_config")).unwrap(), "foreign\n");
    assert_eq!(std::fs::read_to_string(dir.path().join("etc/shadow")).unwrap(), "root:x:\n");
    assert!(!dir.path().join("etc/ssh/d/x.conf").exists());
    assert!(dir.path().join("etc/ssh/d/foreign").exists());
}

#[test]
fn a_change_between_plan_and_write_is_refused() {
    let (dir, plan) = every_kind();
    let mut store = Store::open(dir.path()).unwrap();
    let mut transaction = store.begin(&new(&plan)).unwrap();
    put(dir.path(), "etc/open", "other\n", 0o600);
    let before = picture(dir.path());
    let outcome = run(store.tree(), &mut transaction, &mut Noted::default()).unwrap();
    assert!(matches!(&outcome, Outcome::Undone { why } if why.contains("/etc/open has changed")), "{outcome:?}");
    assert_eq!(picture(dir.path()), before);
}

#[test]
fn half_an_owner_is_ours_and_nothing_else_is() {
    let owner = |uid, mode| Owner { uid, gid: 0, mode };
    let file = |before: Owner, after: Owner| {
        let state = |owner: Owner| Side::of(&State::File { content: None, owner }, None, None);
        FileRecord { path: PathBuf::from("/x"), before: state(before), after: state(after) }
    };
    let change = file(owner(5, 0o4755), owner(0, 0o755));
    for (uid, mode, want) in [
        (5, 0o4755, Settled::Before),
        (0, 0o755, Settled::After),
        (0, 0o4755, Settled::Between),
        (5, 0o755, Settled::Between),
        (7, 0o755, Settled::Neither),
        (0, 0o700, Settled::Neither),
    ] {
        let there = Standing::File { owner: owner(uid, mode), sha256: String::new(), alone: true };
        assert_eq!(settled(&change, &there), want, "{uid} {mode:o}");
    }
    let dir = Standing::Dir { owner: owner(0, 0o4755) };
    assert_eq!(settled(&change, &dir), Settled::Neither);
}

#[test]
fn what_was_never_started_keeps_nobody_waiting() {
    let (dir, plan) = every_kind();
    let before = picture(dir.path());
    let mut store = Store::open(dir.path()).unwrap();
    let owned = store.begin(&new(&plan)).unwrap();
    let id = owned.id().to_owned();
    let aside = |store: &Store| set_aside(store, &mut Noted::default()).unwrap();
    assert!(aside(&store).is_empty(), "whoever wrote it down lives");
    assert!(recover(&store, &mut Noted::default()).unwrap().iter().all(|one| matches!(one.outcome, Ok(None))));
    drop(owned);
    assert_eq!(aside(&store), std::slice::from_ref(&id));
    let mut late = store.get(&id).unwrap();
    assert!(matches!(late.stage(), Stage::Undone { why } if why.starts_with("it was never started")));
    store.idle().unwrap();
    assert!(run(store.tree(), &mut late, &mut Noted::default()).is_err(), "its unit comes late");
    assert_eq!(picture(dir.path()), before);
}

#[test]
fn recovery_undoes_what_a_dead_run_left() {
    let interrupted = |stage: Stage| {
        let (dir, plan) = every_kind();
        let before = picture(dir.path());
        let mut store = Store::open(dir.path()).unwrap();
        let mut transaction = store.begin(&New { confirm: Confirm::Login, ..new(&plan) }).unwrap();
        run(store.tree(), &mut transaction, &mut Noted::default()).unwrap();
        let applied = picture(dir.path());
        transaction.set_stage(stage).unwrap();
        let mut services = Noted::default();
        let done = recover(&store, &mut services).unwrap();
        let now = picture(dir.path());
        let stage = store.get(transaction.id()).unwrap().stage().clone();
        let stays = now == applied;
        assert!(stays || now.iter().filter(|line| !line.contains(".pwd.lock")).eq(&before));
        (stays, done.len(), stage, services.asked)
    };
    let now = Moment::now().unwrap();
    let other_boot = Deadline { boot_id: "other".to_owned(), ..now.after(Duration::from_secs(60)) };
    let passed = Deadline { boottime_ms: now.boottime_ms - 1, ..now.after(Duration::ZERO) };
    for (stage, why, units) in [
        (Stage::Applying { step: Step::Files }, "it was interrupted", 0),
        (Stage::Applying { step: Step::Units }, "it was interrupted", 2),
        (Stage::Verifying, "it was interrupted", 2),
        (Stage::Waiting { deadline: other_boot }, "the host was started again before it was confirmed", 2),
        (Stage::Waiting { deadline: passed }, "it was not confirmed in time", 2),
        (Stage::Undoing { why: "verify failed".to_owned(), step: Step::Table }, "verify failed", 0),
    ] {
        let (stays, count, ended, asked) = interrupted(stage.clone());
        assert!(!stays && count == 1, "{stage:?}");
        assert_eq!(ended, Stage::Undone { why: why.to_owned() }, "{stage:?}");
        assert_eq!(asked.iter().filter(|what| what.starts_with("undo")).count(), units, "{stage:?}: {asked:?}");
    }
    // Before the first write nothing is undone, whoever changed what since.
    let (dir, plan) = every_kind();
    let mut store = Store::open(dir.path()).unwrap();
    let mut transaction = store.begin(&new(&plan)).unwrap();
    transaction.set_stage(Stage::Applying { step: Step::Check }).unwrap();
    put(dir.path(), "etc/ssh/sshd_config", "foreign\n", 0o640);
    let foreign = picture(dir.path());
    let done = recover(&store, &mut Noted::default()).unwrap();
    assert!(matches!(done[0].outcome, Ok(Some(Outcome::Undone { .. }))), "{done:?}");
    assert_eq!(picture(dir.path()), foreign);
    let time = Stage::Waiting { deadline: now.after(Duration::from_secs(600)) };
    assert_eq!(interrupted(time.clone()), (true, 1, time, Vec::new()));
    assert_eq!(interrupted(Stage::Confirmed), (true, 0, Stage::Confirmed, Vec::new()));
}

use crate::transaction::{Deadline, FileRecord, New, Side, Store};
use crate::tree::Standing;

/// A home of another user, with a key file. None: we are not root.
fn home(dir: &Path) -> Option<Owner> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: not root");
        return None;
    }
    let user = Owner { uid: 4711, gid: 4711, mode: 0o600 };
    for path in ["home", "home/eve", "home/eve/.ssh"] {
        std::fs::create_dir_all(dir.join(path)).unwrap();
        std::fs::set_permissions(dir.join(path), PermissionsExt::from_mode(0o755)).unwrap();
    }
    put(dir, "home/eve/.ssh/authorized_keys", "keys\n", 0o600);
    for path in ["home/eve", "home/eve/.ssh", "home/eve/.ssh/authorized_keys"] {
        std::os::unix::fs::chown(dir.join(path), Some(4711), Some(4711)).unwrap();
    }
    Some(user)
}

/// What a user does between the plan and the write.
type Trap = fn(&Path);

const KEYS: &str = "/home/eve/.ssh/authorized_keys";

#[test]
fn a_home_is_written_with_its_owners_rights() {
    let dir = root();
    let Some(user) = home(dir.path()) else { return };
    let plan = planned(vec![
        change(
            "/home/eve/.ssh",
            State::Dir { owner: Owner { mode: 0o755, ..user } },
            State::Dir { owner: Owner { mode: 0o700, ..user } },
        ),
        change(KEYS, State::file(*b"keys\n", user), State::file(*b"fewer\n", user)),
    ]);
    let mut store = Store::open(dir.path()).unwrap();
    let mut transaction = store.begin(&new(&plan)).unwrap();
    assert_eq!(run(store.tree(), &mut transaction, &mut Noted::default()).unwrap(), Outcome::Confirmed);
    let at = dir.path().join(KEYS.trim_start_matches('/'));
    assert_eq!(std::fs::read_to_string(&at).unwrap(), "fewer\n");
    let meta = std::fs::metadata(&at).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (4711, 4711, 0o600));
    assert_eq!(std::fs::metadata(at.parent().unwrap()).unwrap().mode() & 0o7777, 0o700);
    // Our own rights are back.
    put(dir.path(), "etc/root-only", "x", 0o600);
    assert_eq!(std::fs::metadata(dir.path().join("etc/root-only")).unwrap().uid(), 0);

    // Where the user could not write, root does not do it for them.
    let locked = dir.path().join("home/eve/.ssh");
    std::os::unix::fs::chown(&locked, Some(0), Some(0)).unwrap();
    put(dir.path(), "etc/also", "old\n", 0o600);
    let outcome = rollback(store.tree(), &mut transaction, &mut Noted::default());
    assert!(outcome.is_err(), "a directory that changed: {outcome:?}");
    let outcome = undo(store.tree(), &mut transaction, &mut Noted::default(), "why").unwrap();
    assert!(matches!(&outcome, Outcome::Stuck { left, .. } if left.len() == 2), "{outcome:?}");
    assert_eq!(std::fs::read_to_string(&at).unwrap(), "fewer\n");
}

#[test]
fn what_a_user_puts_in_the_way_gains_nothing() {
    let traps: [(&str, Trap); 7] = [
        ("the directory is a link", |dir| {
            std::fs::rename(dir.join("home/eve/.ssh"), dir.join("home/eve/kept")).unwrap();
            std::os::unix::fs::symlink("/etc", dir.join("home/eve/.ssh")).unwrap();
        }),
        ("the file is a link", |dir| {
            std::fs::remove_file(dir.join("home/eve/.ssh/authorized_keys")).unwrap();
            std::os::unix::fs::symlink("../../../etc/victim", dir.join("home/eve/.ssh/authorized_keys")).unwrap();
        }),
        ("the file is a pipe", |dir| {
            std::fs::remove_file(dir.join("home/eve/.ssh/authorized_keys")).unwrap();
            nix::unistd::mkfifo(&dir.join("home/eve/.ssh/authorized_keys"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        }),
        ("the file is a second name of another", |dir| {
            std::fs::remove_file(dir.join("home/eve/.ssh/authorized_keys")).unwrap();
            std::fs::hard_link(dir.join("etc/victim"), dir.join("home/eve/.ssh/authorized_keys")).unwrap();
        }),
        ("the file is a directory", |dir| {
            std::fs::remove_file(dir.join("home/eve/.ssh/authorized_keys")).unwrap();
            std::fs::create_dir(dir.join("home/eve/.ssh/authorized_keys")).unwrap();
        }),
        ("the directory is another user's", |dir| {
            std::os::unix::fs::chown(dir.join("home/eve/.ssh"), Some(4712), Some(4712)).unwrap();
        }),
        ("the home is gone", |dir| {
            std::fs::rename(dir.join("home/eve"), dir.join("elsewhere")).unwrap();
        }),
    ];
    for (name, trap) in traps {
        for variant in 0..4 {
            let dir = root();
            let Some(user) = home(dir.path()) else { return };
            put(dir.path(), "etc/victim", "keys\n", 0o600);
            let after = match variant {
                0 => State::file(*b"fewer\n", user),
                1 => State::File { content: None, owner: Owner { mode: 0o644, ..user } },
                2 => State::File { content: None, owner: Owner { uid: 0, gid: 0, ..user } },
                _ => State::Absent,
            };
            let before = match &after {
                State::File { content: None, .. } => State::File { content: None, owner: user },
                _ => State::file(*b"keys\n", user),
            };
            let plan = planned(vec![change(KEYS, before, after)]);
            let mut store = Store::open(dir.path()).unwrap();
            let mut transaction = store.begin(&new(&plan)).unwrap();
            trap(dir.path());
            let before = picture(dir.path());
            let outcome = run(store.tree(), &mut transaction, &mut Noted::default()).unwrap();
            assert!(matches!(outcome, Outcome::Undone { .. }), "{name}: {outcome:?}");
            assert_eq!(picture(dir.path()), before, "{name}");
            let victim = std::fs::metadata(dir.path().join("etc/victim")).unwrap();
            assert_eq!((victim.uid(), victim.mode() & 0o7777), (0, 0o600), "{name}");
        }
    }
}

#[test]
fn obstacles_are_told_while_planning() {
    let dir = root();
    put(dir.path(), "etc/fine", "x", 0o644);
    put(dir.path(), "etc/fixed", "x", 0o644);
    std::fs::create_dir(dir.path().join("etc/shared")).unwrap();
    std::fs::set_permissions(dir.path().join("etc/shared"), PermissionsExt::from_mode(0o777)).unwrap();
    put(dir.path(), "etc/shared/x", "x", 0o644);
    let fixed = std::fs::File::open(dir.path().join("etc/fixed")).unwrap();
    let can = rustix::fs::ioctl_setflags(&fixed, rustix::fs::IFlags::IMMUTABLE).is_ok();
    let root = crate::root::Root::open(dir.path()).unwrap();
    let paths = ["/etc/fine", "/etc/fixed", "/etc/shared/x", "/etc/absent", "/nowhere/x"];
    let changes = paths.map(|path| FileChange { path: path.into(), before: State::Absent, after: State::Absent });
    let found = obstacles(&root, &changes.iter().collect::<Vec<_>>());
    let _ = rustix::fs::ioctl_setflags(&fixed, rustix::fs::IFlags::empty());
    let shared = hostward_checks::plan::Obstacle::Shared("/etc/shared".to_owned());
    assert_eq!(found.get(Path::new("/etc/shared/x")), Some(&shared));
    if can {
        assert_eq!(found.get(Path::new("/etc/fixed")), Some(&hostward_checks::plan::Obstacle::Immutable));
    } else {
        eprintln!("skipped: this file system has no immutable files");
    }
    assert_eq!(found.len(), 1 + usize::from(can), "{found:?}");
    // What a user may do is told of that user's files alone, so that the rest of a plan is not lost with them.
    if home(dir.path()).is_none() {
        return;
    }
    std::fs::hard_link(dir.path().join("etc/fine"), dir.path().join("home/eve/.ssh/second")).unwrap();
    std::fs::create_dir(dir.path().join("home/eve/bobs")).unwrap();
    std::os::unix::fs::chown(dir.path().join("home/eve/bobs"), Some(4712), None).unwrap();
    let paths =
        [KEYS, "/home/eve/.ssh/second", "/home/eve/bobs/x", "/home/eve/none/x", "/home/eve/.ssh/authorized_keys/x"];
    let changes = paths.map(|path| FileChange { path: path.into(), before: State::Absent, after: State::Absent });
    let found = obstacles(&root, &changes.iter().collect::<Vec<_>>());
    let refused: Vec<&Path> = found.keys().map(PathBuf::as_path).collect();
    assert_eq!(refused, ["/home/eve/.ssh/second", "/home/eve/bobs/x"].map(Path::new), "{found:?}");
}

#[test]
fn the_account_files_are_locked_as_their_own_programs_lock_them() {
    let dir = root();
    put(dir.path(), "etc/shadow", "root:x:\n", 0o600);
    put(dir.path(), "etc/.pwd.lock", "", 0o600);
    let tree = Tree::open(dir.path()).unwrap();
    // A lock of an open file (F_OFD_SETLK) stands against those of processes, also of our own.
    let mut whole = nix::libc::flock { l_type: nix::libc::F_WRLCK as i16, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
    let other = std::fs::OpenOptions::new().write(true).open(dir.path().join("etc/.pwd.lock")).unwrap();
    nix::fcntl::fcntl(&other, nix::fcntl::FcntlArg::F_OFD_SETLK(&whole)).unwrap();
    let error = passwords::lock_within(&tree, Duration::from_millis(120)).unwrap_err();
    assert!(error.to_string().contains("locked by another program"), "{error}");
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        drop(other);
    });
    let held = passwords::lock_within(&tree, Duration::from_secs(10)).unwrap();
    late.join().unwrap();
    let other = std::fs::OpenOptions::new().write(true).open(dir.path().join("etc/.pwd.lock")).unwrap();
    let taken = || nix::fcntl::fcntl(&other, nix::fcntl::FcntlArg::F_OFD_SETLK(&whole));
    assert!(taken().is_err());
    drop(held);
    assert!(taken().is_ok());
    whole.l_type = nix::libc::F_UNLCK as i16;
    nix::fcntl::fcntl(&other, nix::fcntl::FcntlArg::F_OFD_SETLK(&whole)).unwrap();
    // A trap in its place.
    drop(other);
    std::fs::remove_file(dir.path().join("etc/.pwd.lock")).unwrap();
    std::os::unix::fs::symlink("shadow", dir.path().join("etc/.pwd.lock")).unwrap();
    assert!(passwords::lock_within(&tree, Duration::ZERO).is_err());
}

#[test]
fn what_is_new_in_an_image_with_labels_has_one() {
    let dir = root();
    let label = |path: &str| {
        let xattrs = crate::tree::xattr::read(std::fs::File::open(dir.path().join(path)).unwrap()).unwrap();
        xattrs.into_iter().find(|xattr| xattr.name.as_c_str() == c"security.selinux").map(|xattr| xattr.value)
    };
    let ssh = std::fs::File::open(dir.path().join("etc/ssh")).unwrap();
    let value = b"system_u:object_r:etc_t:s0\0";
    if rustix::fs::fsetxattr(&ssh, c"security.selinux", value, rustix::fs::XattrFlags::empty()).is_err() {
        eprintln!("skipped: no labels here");
        return;
    }
    let plan = planned(vec![
        change("/etc/plain", State::Absent, State::file(*b"x", me(0o600))),
        change("/etc/ssh/d", State::Absent, State::Dir { owner: me(0o755) }),
        change("/etc/ssh/d/x", State::Absent, State::file(*b"x", me(0o600))),
    ]);
    let mut store = Store::open(dir.path()).unwrap();
    let mut transaction = store.begin(&new(&plan)).unwrap();
    run(store.tree(), &mut transaction, &mut Noted::default()).unwrap();
    for path in ["etc/ssh/d", "etc/ssh/d/x"] {
        assert_eq!(label(path).as_deref(), Some(&value[..]), "{path}");
    }
    assert_eq!(label("etc/plain"), None);
}
