//! What is kept of a fix: listed, shown without secrets, rolled back whole or not at all; and disks that are full or fixed.
#![cfg(test)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use hostward::transaction::{Stage, Store};
use hostward_checks::guard::Confirm;
use hostward_checks::plan::Obstacle;
use hostward_tests::machine::in_time;
use hostward_tests::tier::Tier;
use hostward_tests::{binary, results, transact};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Runs a command of hostward's on a root.
fn hostward(dir: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(binary().unwrap());
    command.args(arguments).arg("--root").arg(dir).stdin(Stdio::null()).env("LC_ALL", "C");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

fn transact_on(dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_transact")).arg(dir).stdin(Stdio::null()).output().unwrap()
}

fn root(keep: &tempfile::TempDir) -> PathBuf {
    let dir = keep.path().join("root");
    std::fs::create_dir_all(&dir).unwrap();
    transact::make_root(&dir).unwrap();
    dir
}

#[test]
fn a_fix_is_listed_shown_and_rolled_back() {
    let keep = tempfile::tempdir().unwrap();
    let dir = root(&keep);
    let old = transact::picture(&dir).unwrap();
    assert_eq!(hostward(&dir, &["history"]), (0, "no transactions\n".to_owned()));
    assert_eq!(hostward(&dir, &["rollback"]).0, 3);
    assert_eq!(transact::picture(&dir).unwrap(), old, "asking changes nothing");
    assert!(!dir.join("var/lib/hostward").exists(), "asking leaves nothing");
    assert!(transact_on(&dir).status.success());
    let new = transact::picture(&dir).unwrap();
    let id = Store::open(&dir).unwrap().list().unwrap().transactions[0].id().to_owned();

    let (code, list) = hostward(&dir, &["history"]);
    assert_eq!((code, list), (0, format!("{id}  confirmed  sshd.root-login\n")));
    let (code, one) = hostward(&dir, &["history", &id]);
    assert_eq!(code, 0, "{one}");
    for line in [
        "-PermitRootLogin yes",
        "+PermitRootLogin no",
        "remove /etc/removed (0:0 4755)",
        "new directory /etc/ssh/sshd_config.d (0:0 0755)",
        "/usr/set-id: 4711:4711 4755 -> 0:0 0755",
        "-root:(hash):20000::::::",
        "+root:*:20000::::::",
        "  for: sshd.root-login root",
    ] {
        assert!(one.lines().any(|have| have == line), "{line}\n{one}");
    }
    for format in [&["history", &id, "--json"][..], &["history", &id], &["history", "--json"]] {
        let (code, text) = hostward(&dir, format);
        assert!(code == 0 && !text.contains("salt") && !text.contains("$y$"), "{format:?}: {text}");
        if format.contains(&"--json") {
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(json["schema"], "hostward.history/1");
        }
    }
    assert_eq!(hostward(&dir, &["history", "2999"]).0, 4);
    assert_eq!(hostward(&dir, &["recover"]), (0, "nothing to recover\n".to_owned()));
    assert_eq!(transact::picture(&dir).unwrap(), new, "confirmed, it stays");

    // Somebody edited a file since: all or nothing.
    let config = dir.join("etc/ssh/sshd_config");
    let (content, mode) = (std::fs::read(&config).unwrap(), std::fs::metadata(&config).unwrap().permissions());
    std::fs::write(&config, "PermitRootLogin yes\n").unwrap();
    let edited = transact::picture(&dir).unwrap();
    let (code, text) = hostward(&dir, &["rollback"]);
    assert!(code == 3 && text.contains("/etc/ssh/sshd_config changed since"), "{code} {text}");
    assert_eq!(transact::picture(&dir).unwrap(), edited);
    std::fs::write(&config, content).unwrap();
    std::fs::set_permissions(&config, PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(hostward(&dir, &["rollback", &id[..15]]).0, 3, "a mode is an edit");
    std::fs::set_permissions(&config, mode).unwrap();

    let (code, text) = hostward(&dir, &["rollback"]);
    assert!(code == 0 && text.contains("everything is as before"), "{code} {text}");
    assert_eq!(transact::picture(&dir).unwrap(), old);
    assert_eq!(hostward(&dir, &["rollback", &id]).0, 3, "once");
    assert!(hostward(&dir, &["history"]).1.contains("undone     sshd.root-login  (it was rolled back)"));
    results::tested("fix_history", "rollback", "listed, shown, refused after an edit, rolled back");
}

#[test]
fn whoever_cannot_go_on_says_who_must() {
    let keep = tempfile::tempdir().unwrap();
    let dir = root(&keep);
    let plan = transact::plan(&dir).unwrap();
    let mut store = Store::alone(&dir).unwrap();
    let mut transaction = store.begin(&transact::new(&plan)).unwrap();
    let id = transaction.id().to_owned();
    let code = |store: &Store| {
        let error = store.idle().unwrap_err();
        (error.downcast_ref::<hostward::exit_code::Ends>().unwrap().code as i32, error.to_string())
    };
    assert!(matches!(code(&store), (75, text) if text.contains("about to be applied")));
    let deadline = hostward::transaction::Moment::now().unwrap().after(std::time::Duration::from_secs(600));
    transaction.set_stage(Stage::Waiting { deadline }).unwrap();
    let (code, text) = code(&store);
    for way in [format!("hostward confirm {id}"), format!("hostward rollback {id}")] {
        assert!(code == 75 && text.contains(&way), "{code} {text}");
    }
    // Whoever holds the lock is waited for, and not for ever.
    let from = std::time::Instant::now();
    let (code, text) = hostward(&dir, &["rollback"]);
    assert!(code == 75 && text.contains("another run of hostward"), "{code} {text}");
    assert!(from.elapsed().as_secs() >= 25 && in_time(from.elapsed(), Duration::from_secs(60)));
    drop(store);
    transaction.refresh().unwrap();
    let output = Command::new(binary().unwrap()).args(["apply", &id, "--root"]).arg(&dir).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "it is not prepared: {output:?}");
}

/// Makes something of a root that cannot be written.
type Fixing<'a> = &'a dyn Fn(&Path);

/// Runs `work` where mounts are nobody else's.
fn with_own_mounts(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
            work();
        });
        inside.join().unwrap();
    });
}

#[test]
fn a_disk_that_is_too_full_is_told_before_the_first_write() {
    let sizes: Vec<u64> = match Tier::current() {
        Tier::Quick => (600..2400).step_by(180).collect(),
        Tier::Long => (400..2600).step_by(20).collect(),
    };
    let (mut refused, mut done) = (0, 0);
    with_own_mounts(|| {
        for kibibytes in &sizes {
            let keep = tempfile::tempdir().unwrap();
            let options = format!("size={kibibytes}k,mode=755");
            mount(Some("none"), keep.path(), Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).unwrap();
            let dir = root(&keep);
            let old = transact::picture(&dir).unwrap();
            let output = transact_on(&dir);
            let error = String::from_utf8_lossy(&output.stderr);
            let now = transact::picture(&dir).unwrap();
            if output.status.success() {
                done += 1;
                assert_ne!(now, old);
            } else {
                refused += 1;
                assert!(
                    error.contains("no space on the file system of") && error.contains("Nothing was changed"),
                    "{error}"
                );
                assert_eq!(now, old, "{kibibytes} KiB");
                let store = Store::open(&dir).unwrap();
                assert!(store.list().unwrap().transactions.is_empty());
            }
            drop(keep);
        }
        // Blocks there are, inodes there are none.
        let keep = tempfile::tempdir().unwrap();
        mount(Some("none"), keep.path(), Some("tmpfs"), MsFlags::empty(), Some("size=8m,nr_inodes=40,mode=755"))
            .unwrap();
        let dir = root(&keep);
        let output = transact_on(&dir);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains("no inodes left"), "{error}");
    });
    assert!(refused > 2 && done > 2, "{refused} {done}");
    results::tested("fix_history", "full disk", format!("{refused} sizes refused, {done} done"));
}

#[test]
fn a_disk_that_was_filled_since_does_not_keep_a_fix_from_being_undone() {
    with_own_mounts(|| {
        let keep = tempfile::tempdir().unwrap();
        mount(Some("none"), keep.path(), Some("tmpfs"), MsFlags::empty(), Some("size=6m,mode=755")).unwrap();
        let dir = root(&keep);
        let old = transact::picture(&dir).unwrap();
        let plan = transact::plan(&dir).unwrap();
        let mut store = Store::alone(&dir).unwrap();
        let within = std::time::Duration::from_secs(1);
        let new =
            hostward::transaction::New { confirm: Confirm::Login, confirm_within: within, ..transact::new(&plan) };
        let mut transaction = store.begin(&new).unwrap();
        let id = transaction.id().to_owned();
        let outcome = hostward::apply::run(store.tree(), &mut transaction, &mut hostward::apply::Offline).unwrap();
        assert_eq!(outcome, hostward::apply::Outcome::Waiting);
        drop((store, transaction));
        // Whoever fills it takes every byte.
        let mut full = std::fs::File::create(keep.path().join("full")).unwrap();
        let page = [b'x'; 4096];
        while std::io::Write::write_all(&mut full, &page).is_ok() {}
        assert!(std::fs::write(dir.join("etc/more"), page).is_err());
        std::fs::remove_file(dir.join("etc/more")).unwrap();
        std::thread::sleep(within);
        let (code, text) = hostward(&dir, &["recover"]);
        assert_eq!(code, 0, "{text}");
        assert_eq!(transact::picture(&dir).unwrap(), old);
        let stage = Store::open(&dir).unwrap().get(&id).unwrap().stage().clone();
        assert!(matches!(stage, Stage::Undone { .. }), "{stage:?}");
    });
    results::tested("fix_history", "disk filled since", "undone");
}

#[test]
fn what_cannot_be_written_is_an_obstacle_and_is_left() {
    with_own_mounts(|| {
        let bind = |from: &Path, to: &Path, more: MsFlags| {
            mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
            if !more.is_empty() {
                mount(None::<&str>, to, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REMOUNT | more, None::<&str>)
                    .unwrap();
            }
        };
        let etc = |dir: &Path| dir.join("etc");
        let config = |dir: &Path| dir.join("etc/ssh/sshd_config");
        let cases: [(&str, Fixing<'_>, Obstacle); 3] = [
            ("read-only /etc", &|dir| bind(&etc(dir), &etc(dir), MsFlags::MS_RDONLY), Obstacle::ReadOnly),
            ("single file", &|dir| bind(&config(dir), &config(dir), MsFlags::empty()), Obstacle::MountPoint),
            (
                "immutable",
                &|dir| {
                    let status = Command::new("chattr").arg("+i").arg(config(dir)).status().unwrap();
                    assert!(status.success());
                },
                Obstacle::Immutable,
            ),
        ];
        for (name, fix, want) in cases {
            // Where immutable files are to be had: not every temporary directory has them.
            let keep = tempfile::tempdir_in(hostward_tests::cache()).unwrap();
            let dir = root(&keep);
            let plan = transact::plan(&dir).unwrap();
            fix(&dir);
            let old = transact::picture(&dir).unwrap();
            let changes: Vec<_> = plan.files().collect();
            let found = hostward::apply::obstacles(&hostward::root::Root::open(&dir).unwrap(), &changes);
            assert_eq!(found.get(Path::new("/etc/ssh/sshd_config")), Some(&want), "{name}: {found:?}");
            let count = if want == Obstacle::ReadOnly { 9 } else { 1 };
            assert_eq!(found.len(), count, "{name}: {found:?}");
            // Whoever goes on all the same changes nothing.
            let output = transact_on(&dir);
            assert_eq!(output.status.code(), Some(3), "{name}: {output:?}");
            assert_eq!(transact::picture(&dir).unwrap(), old, "{name}");
            if want == Obstacle::Immutable {
                assert!(Command::new("chattr").arg("-i").arg(config(&dir)).status().unwrap().success());
            }
        }
    });
}
