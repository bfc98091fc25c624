//! A fix of a running host killed or failed at the calls that write: sshd accepts what is on disk and listens, the administrator
//! logs in, and every file is old or new.
#![cfg(test)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use hostward::transaction::{Stage, Store};
use hostward_checks::effect::{Effect, FileChange, Owner, State};
use hostward_checks::guard::Confirm;
use hostward_tests::host::{Host, PUBLIC_CLIENT};
use hostward_tests::place::{FILE, Place};
use hostward_tests::results;
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;

const TEST: &str = "fix_kill_live";
/// Calls that change something on disk, or make sure of it.
const WRITING: &str = "?openat,?openat2,write,fchown,fchmod,fsetxattr,fsync,?renameat,renameat2,unlinkat";
const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-kill.conf";

struct Scene {
    place: Place,
    main: Vec<u8>,
}

/// One call of a run: its name, its number among those of the name, its line.
type Call = (String, usize, String);

impl Scene {
    fn of(suite: &Suite) -> Self {
        // strace is not in the hosts; ours runs there with the library that they lack.
        let strace = Path::new("/usr/bin/strace");
        let place = Place::on(Host::of(suite).program(strace, &["libunwind"]).unwrap());
        let main = place.config();
        Self { place, main }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.place.root().join(path.trim_start_matches('/'))
    }

    fn new_main(&self) -> Vec<u8> {
        [b"VersionAddendum killed\n", self.main.as_slice()].concat()
    }

    /// Writes a transaction down: the main file, a new drop-in, a mode, and a reload.
    fn begin(&self) -> String {
        let file = |content: &[u8], mode| State::file(content.to_vec(), Owner::root(mode));
        let mode = |mode| State::Dir { owner: Owner::root(mode) };
        let change = |path: &str, before, after| Effect::File(FileChange { path: path.into(), before, after });
        let effects = vec![
            change("/etc/ssh", mode(0o755), mode(0o711)),
            change(FILE, file(&self.main, 0o644), file(&self.new_main(), 0o600)),
            change(DROP_IN, State::Absent, file(b"LoginGraceTime 60\n", 0o600)),
        ];
        self.place.begin_with(effects, "ssh.service", Confirm::Login, 900)
    }

    /// Applies with strace on hostward itself, not on what it starts.
    fn apply(&self, id: &str, arguments: &[&str]) -> Output {
        let mut command = self.place.host.command("strace");
        command.args(["-qq"]).args(arguments).args(["--", "/usr/local/bin/hostward", "apply", id]);
        command.output().unwrap()
    }

    /// The calls of a whole run that write; openings only where they make a file.
    fn calls(&self) -> Vec<Call> {
        let id = self.begin();
        let trace = format!("trace={WRITING}");
        let output = self.apply(&id, &["-o", "/run/calls", "-y", "-e", &trace]);
        assert!(output.status.success(), "{output:?}");
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut calls = Vec::new();
        for line in self.place.host.shell("cat /run/calls").unwrap().lines() {
            let Some((name, _)) = line.split_once('(') else { continue };
            let number = counts.entry(name.to_owned()).or_default();
            *number += 1;
            if !name.starts_with("openat") || line.contains("O_CREAT") {
                calls.push((name.to_owned(), *number, line.to_owned()));
            }
        }
        assert!(matches!(self.judge("applied"), Stage::Waiting { .. }));
        self.back();
        calls
    }

    /// Whatever happened: old or new, and the administrator comes in. The stage that holds.
    fn judge(&self, about: &str) -> Stage {
        let mode = |path: &str| {
            let meta = std::fs::metadata(self.at(path)).ok()?;
            Some(std::os::unix::fs::MetadataExt::mode(&meta) & 0o7777)
        };
        let now = (
            mode("/etc/ssh"),
            std::fs::read(self.at(FILE)).unwrap(),
            mode(FILE),
            std::fs::read(self.at(DROP_IN)).ok(),
            mode(DROP_IN),
        );
        let old = (Some(0o755), self.main.clone(), Some(0o644), None, None);
        let new = (Some(0o711), self.new_main(), Some(0o600), Some(b"LoginGraceTime 60\n".to_vec()), Some(0o600));
        let store = Store::open(&self.place.root()).unwrap();
        let stage = store.list().unwrap().transactions.last().unwrap().stage().clone();
        match &stage {
            Stage::Prepared | Stage::Undone { .. } => assert!(now == old, "{about}: {stage:?} {now:?}"),
            Stage::Waiting { .. } => assert!(now == new, "{about}: {stage:?} {now:?}"),
            other => panic!("{about}: {other:?}"),
        }
        let stray = self.place.host.shell("find /etc /root -name '.hostward*'").unwrap();
        assert_eq!(stray, "", "{about}");
        self.place.host.shell("/usr/sbin/sshd -t").unwrap_or_else(|error| panic!("{about}: {error:#}"));
        let from = Instant::now();
        loop {
            let login = self.place.client.run("root", PUBLIC_CLIENT, &self.place.key, &[], "echo in").unwrap();
            if login.stdout == b"in\n" {
                return stage;
            }
            assert!(from.elapsed() < Duration::from_secs(10), "{about}: nobody comes in: {login:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn back(&self) {
        let output = self.place.host.command("/usr/local/bin/hostward").arg("rollback").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(matches!(self.judge("rolled back"), Stage::Undone { .. }));
    }
}

#[test]
fn the_administrator_comes_in_wherever_it_is_killed_or_fails() {
    let names: &[&str] = Tier::current().pick(&["bookworm"], &["bookworm", "trixie", "sid", "noble", "resolute"]);
    for suite in Suite::all(TEST).unwrap().iter().filter(|suite| names.contains(&suite.name())) {
        let scene = Scene::of(suite);
        let calls = scene.calls();
        assert!(calls.len() > 40, "{calls:#?}");
        let step = Tier::current().pick(calls.len().div_ceil(9), 1);
        let (mut tried, mut stood) = (0, 0);
        for (index, (name, number, line)) in calls.iter().enumerate().filter(|(index, _)| index % step == step / 2) {
            let errors = ["EIO", "ENOSPC", "EROFS"];
            let error = errors[index % errors.len()];
            for what in ["signal=SIGKILL".to_owned(), format!("error={error}")] {
                let about = format!("{}: {what} at {name} {number}: {line}", suite.name());
                let id = scene.begin();
                let (trace, inject) = (format!("trace={name}"), format!("inject={name}:{what}:when={number}"));
                let output = scene.apply(&id, &["-o", "/dev/null", "-e", &trace, "-e", &inject]);
                let recovered = scene.place.host.command("/usr/local/bin/hostward").arg("recover").output().unwrap();
                assert!(recovered.status.success(), "{about}: {output:?} {recovered:?}");
                tried += 1;
                if let Stage::Waiting { .. } = scene.judge(&about) {
                    stood += 1;
                    scene.back();
                }
            }
        }
        let figures = format!("{tried} points of {} calls, {stood} stood and were rolled back", calls.len());
        results::tested(TEST, suite.name(), figures);
    }
}
