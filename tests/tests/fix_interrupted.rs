//! Whoever asked for a fix is cut off in the middle, by a dying ssh session, Ctrl-C or a time-out that kills all: the fix ends by itself.

#![cfg(test)]

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use hostward::transaction::{Stage, Store};
use hostward_tests::host::{Host, PUBLIC_CLIENT};
use hostward_tests::machine::is_punctual;
use hostward_tests::place::{FILE, Place, is_undone, is_waiting, lateness, started, text};
use hostward_tests::results;
use hostward_tests::ssh::{Session, With};
use hostward_tests::suite::{Suite, chosen};
use hostward_tests::tier::Tier;

const TEST: &str = "fix-interrupted";
/// The unit that runs a command as Cloud Assistant's agent would: with everything that it starts in one control group.
const ASSISTANT: &str = "assist-task";

/// How whoever asked is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// The ssh client of an administrator's terminal is killed; what ran under sudo there is hung up.
    Client,
    /// Ctrl-C in such a terminal.
    Keys,
    /// The process group is killed.
    Group,
    /// The whole control group is killed, as by Cloud Assistant's time-out.
    Cgroup,
    /// The ssh client is killed, and the terminal lives on in tmux.
    Tmux,
}

/// How far the fix has come by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// It looks at the host.
    Looking,
    /// The transaction is written down, and nothing is changed yet.
    Prepared,
    /// Files are written, and sshd is about to read them.
    Applying,
    /// It waits to be confirmed.
    Waiting,
}

/// What carries the command that asks.
enum Caller {
    Terminal(Session),
    Process(Child),
}

/// Holds a fix at a chosen moment: what it calls waits while a file is there.
const HOLDS: &str = r#"
real=$(readlink -f "$(command -v systemd-run)"); mkdir -p /usr/lib/real; cp "$real" /usr/lib/real/systemd-run
cat >"$real.new" <<'SH'
#!/bin/sh
while [ -e /run/hold-start ]; do sleep 0.05; done
exec /usr/lib/real/systemd-run "$@"
SH
chmod 755 "$real.new"; mv "$real.new" "$real"
mkdir -p /etc/systemd/system/ssh.service.d
cat >/etc/systemd/system/ssh.service.d/hold.conf <<'END'
[Service]
ExecReload=
ExecReload=/bin/sh -c 'while [ -e /run/hold-reload ]; do sleep 0.05; done'
ExecReload=/bin/kill -HUP $MAINPID
END
systemctl daemon-reload
"#;

struct Scene {
    place: Place,
    before: Vec<u8>,
}

impl Scene {
    fn of(suite: &Suite) -> Self {
        let tmux = Path::new("/usr/bin/tmux");
        let mut plan = Host::of(suite);
        if with_tmux(suite) {
            plan = plan.program(tmux, &["libutempter", "libevent_core"]).unwrap();
        }
        let place = Place::on(plan);
        place.host.shell(HOLDS).unwrap();
        // A login that shows that somebody holds the key.
        for user in ["root", "admin"] {
            assert!(place.client.run(user, PUBLIC_CLIENT, &place.key, &[], "true").unwrap().status.success());
        }
        let before = place.config();
        Self { place, before }
    }

    fn shell(&self, script: &str) -> String {
        self.place.host.shell(script).unwrap()
    }

    /// Asks for a fix in the way that is to be cut off.
    fn ask(&self, cut: Cut, fix: &str) -> Caller {
        let host = &self.place.host;
        match cut {
            Cut::Client | Cut::Keys | Cut::Tmux => {
                let open = self.place.client.open(
                    "admin",
                    PUBLIC_CLIENT,
                    &With::Key(self.place.key.clone()),
                    &["-o", "RequestTTY=force"],
                );
                let mut session = open.unwrap();
                assert_eq!(session.run("test -t 1").unwrap().1, 0, "a terminal");
                let line = match cut {
                    Cut::Tmux => format!("TERM=vt100 tmux new-session 'sudo /usr/local/bin/{fix}; sleep 600'"),
                    _ => format!("sudo /usr/local/bin/{fix}"),
                };
                session.start(&line).unwrap();
                Caller::Terminal(session)
            }
            Cut::Group => {
                let script = format!("echo $$ >/run/group; exec {fix}");
                Caller::Process(started(host.command("setsid").args(["-w", "sh", "-c", &script])))
            }
            Cut::Cgroup => {
                let mut command = host.command("/usr/lib/real/systemd-run");
                command.args(["--quiet", "--collect", "--wait", "--pipe", &format!("--unit={ASSISTANT}")]);
                Caller::Process(started(command.args(["sh", "-c", &format!("{fix}; true")])))
            }
        }
    }

    /// Waits until the fix has come so far, and returns its transaction.
    fn await_moment(&self, moment: Moment) -> Option<String> {
        let from = Instant::now();
        loop {
            let pending = Store::open(&self.place.root()).and_then(|store| store.pending()).unwrap_or_default();
            let there = pending.first().filter(|one| match moment {
                Moment::Looking => false,
                Moment::Prepared => *one.stage() == Stage::Prepared,
                Moment::Applying => self.place.config() != self.before && one.stage().word() == "applying",
                Moment::Waiting => is_waiting(one.stage()),
            });
            if let Some(one) = there {
                return Some(one.id().to_owned());
            }
            if moment == Moment::Looking && self.asks() {
                return None;
            }
            assert!(
                from.elapsed() < Duration::from_secs(60),
                "{}: no fix is {moment:?}: {}",
                self.place.host.name(),
                self.shell("hostward history; ps axf; journalctl --no-pager -n 40")
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the command that asks is there.
    fn asks(&self) -> bool {
        self.shell("pgrep -f '^(/usr/local/bin/)?[h]ostward fix' >/dev/null && echo yes || :") == "yes\n"
    }

    /// Cuts off whoever asked, and sees that nothing of it lives on that should not.
    fn cut(&self, cut: Cut, caller: Caller) {
        match (cut, caller) {
            (Cut::Client, Caller::Terminal(session)) => session.cut().unwrap(),
            (Cut::Tmux, Caller::Terminal(session)) => {
                session.cut().unwrap();
                return;
            }
            (Cut::Keys, Caller::Terminal(mut session)) => {
                session.press(b"\x03").unwrap();
                self.await_gone(cut);
                // The terminal itself is still there.
                assert_eq!(session.run("true").unwrap().1, 0);
            }
            (Cut::Group, Caller::Process(child)) => {
                self.shell("kill -s KILL -- -$(cat /run/group)");
                child.wait_with_output().unwrap();
            }
            (Cut::Cgroup, Caller::Process(child)) => {
                self.shell(&format!("systemctl kill --kill-who=all -s KILL {ASSISTANT}.service"));
                child.wait_with_output().unwrap();
            }
            (cut, _) => panic!("{cut:?} of another kind of caller"),
        }
        self.await_gone(cut);
    }

    fn await_gone(&self, cut: Cut) {
        let from = Instant::now();
        while self.asks() {
            assert!(from.elapsed() < Duration::from_secs(20), "{cut:?} leaves it: {}", self.shell("ps axf"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Cuts off a fix, and sees how it ends. The moment at which it was cut, where that could be told.
    fn interrupt(&self, cut: Cut, moment: Moment) -> String {
        let about = format!("{} {cut:?} {moment:?}", self.place.host.name());
        let confirm = match moment {
            Moment::Waiting => "--confirm-by probe --confirm-within 14s",
            _ => "--confirm-by login --confirm-within 6s",
        };
        let fix = format!("hostward fix sshd.limits sshd.forwarding --apply {confirm}");
        let hold = match moment {
            Moment::Prepared => "/run/hold-start",
            Moment::Applying => "/run/hold-reload",
            Moment::Looking | Moment::Waiting => "/run/hold-nothing",
        };
        self.shell(&format!("touch {hold}"));
        let caller = self.ask(cut, &fix);
        let id = self.await_moment(moment);
        self.cut(cut, caller);
        if moment == Moment::Prepared && cut != Cut::Tmux {
            // Nobody starts it any more, and nothing has changed.
            let id = id.unwrap();
            self.shell("! pgrep -x systemd-run; rm /run/hold-start");
            assert!(self.place.stage(&id) == Stage::Prepared && self.place.config() == self.before, "{about}");
            return self.set_aside(&id, &about);
        }
        self.shell(&format!("rm -f {hold}"));
        let Some(id) = id else {
            let pending = Store::open(&self.place.root()).unwrap().pending().unwrap();
            assert!(pending.is_empty() && self.place.config() == self.before, "{about}: {pending:?}");
            return "nothing began".to_owned();
        };
        if moment == Moment::Waiting {
            self.place.await_stage(&id, |stage| *stage == Stage::Confirmed);
            self.shell(&format!("hostward rollback {id}"));
            assert_eq!(self.place.config(), self.before, "{about}");
            self.shell("pkill -x tmux || :");
            return "confirmed by looking".to_owned();
        }
        let waiting = self.place.await_stage(&id, is_waiting);
        self.place.await_stage(&id, is_undone);
        let late = lateness(&self.place, &id, &waiting);
        assert!(is_punctual(late), "{about}: {late} ms after the deadline");
        assert_eq!(self.place.config(), self.before, "{about}");
        self.shell("pkill -x tmux || :");
        self.place.no_trace();
        "finished, and undone at its deadline".to_owned()
    }

    /// A transaction that was written down and never started is told of, and is in nobody's way.
    fn set_aside(&self, id: &str, about: &str) -> String {
        let told = self.shell("hostward history");
        let line = told.lines().find(|line| line.starts_with(id)).unwrap();
        assert!(line.contains("never started, and nothing changed"), "{about}: {told}");
        assert_eq!(self.place.stage(id), Stage::Prepared, "{about}: looking changes nothing");
        let fix = "hostward fix sshd.limits sshd.forwarding --apply --confirm-by login --confirm-within 60s";
        let next = self.place.host.command("sh").args(["-c", fix]).output().unwrap();
        assert_eq!(next.status.code(), Some(0), "{about}: {}", Place::said(&next));
        assert!(text(&next.stderr).contains(&format!("{id} was written down and never started")), "{about}");
        assert!(is_undone(&self.place.stage(id)), "{about}");
        let pending = Store::open(&self.place.root()).unwrap().pending().unwrap();
        assert!(pending.len() == 1 && is_waiting(pending[0].stage()), "{about}: {pending:?}");
        self.shell(&format!("hostward rollback {}", pending[0].id()));
        assert_eq!(self.place.config(), self.before, "{about}");
        self.place.no_trace();
        "set aside by the next fix".to_owned()
    }
}

/// The machine's own tmux runs where the C library is as new.
fn with_tmux(suite: &Suite) -> bool {
    Path::new("/usr/bin/tmux").is_file() && ["bookworm", "trixie", "sid", "noble", "resolute"].contains(&suite.name())
}

#[test]
fn whoever_asked_is_cut_off_and_the_fix_ends_by_itself() {
    let names: &[&'static str] =
        Tier::current().pick(&["bookworm"], &["bookworm", "trixie", "sid", "bionic", "noble", "resolute"]);
    for name in chosen(names) {
        match Suite::find(name) {
            Ok(suite) => interrupts(&suite),
            Err(error) => results::skipped(TEST, name, format!("NOT TESTED: {error:#}")),
        }
    }
}

fn interrupts(suite: &Suite) {
    let scene = Scene::of(suite);
    let few = [(Cut::Client, Moment::Applying), (Cut::Keys, Moment::Applying), (Cut::Cgroup, Moment::Prepared)];
    let moments = [Moment::Looking, Moment::Prepared, Moment::Applying, Moment::Waiting];
    let all = [Cut::Client, Cut::Keys, Cut::Group, Cut::Cgroup, Cut::Tmux];
    let all: Vec<(Cut, Moment)> = all.into_iter().flat_map(|cut| moments.map(|moment| (cut, moment))).collect();
    let mut ended = Vec::new();
    for (cut, moment) in Tier::current().pick(few.to_vec(), all) {
        if cut == Cut::Tmux && (!with_tmux(suite) || matches!(moment, Moment::Looking | Moment::Prepared)) {
            continue;
        }
        let begun = Instant::now();
        let how = scene.interrupt(cut, moment);
        ended.push(format!("{cut:?} when {moment:?}: {how} ({} s)", begun.elapsed().as_secs()));
    }
    if !with_tmux(suite) {
        results::skipped(TEST, suite.name(), "NOT TESTED in tmux: this machine's does not run there");
    }
    let text = String::from_utf8_lossy(&scene.before).into_owned();
    assert!(text.contains("MaxStartups 100:30:200"), "{FILE} is as it was");
    results::tested(TEST, suite.name(), ended.join("; "));
}
