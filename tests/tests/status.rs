//! `hostward status --watch` on a terminal and without one, against a stand-in for the resident.

#![cfg(test)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hostward::resident::line::Found;
use hostward::resident::status::{Last, Status};
use hostward_tests::resident::{Resident, START};
use hostward_tests::results;
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use serde_json::{Value, json};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// In a mount namespace of its own the stand-in is where the resident would be.
const SCRIPT: &str =
    "mount -t tmpfs none /run; mkdir /run/hostward; mount --bind \"$1\" /run/hostward; shift; exec \"$@\"";

/// What answers in the resident's place.
struct StandIn {
    dir: tempfile::TempDir,
    answer: Arc<Mutex<Value>>,
}

impl StandIn {
    fn new(findings: &[(&str, &str)]) -> Self {
        let stand_in = Self { dir: tempfile::tempdir().unwrap(), answer: Arc::new(Mutex::new(Value::Null)) };
        stand_in.say(findings);
        stand_in.begin();
        stand_in
    }

    fn begin(&self) {
        let listener = UnixListener::bind(self.dir.path().join("status")).unwrap();
        let answer = Arc::clone(&self.answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let text = answer.lock().unwrap().to_string();
                if text == "null" || stream.unwrap().write_all(text.as_bytes()).is_err() {
                    return;
                }
            }
        });
    }

    /// Nobody answers any more.
    fn end(&self) {
        std::fs::remove_file(self.dir.path().join("status")).unwrap();
    }

    fn say(&self, findings: &[(&str, &str)]) {
        let found = |(severity, message): &(&str, &str)| Found {
            fingerprint: (*message).to_owned(),
            check: "sshd.root-login".to_owned(),
            severity: (*severity).to_owned(),
            subject: "root".to_owned(),
            message: (*message).to_owned(),
        };
        let last = Last {
            at: "2026-01-01T00:00:00Z".to_owned(),
            extent: "full".to_owned(),
            cause: "time".to_owned(),
            milliseconds: 9,
            verdict: "fail".to_owned(),
            policy_digest: String::new(),
        };
        let status = Status { last: Some(last), findings: findings.iter().map(found).collect(), ..Status::default() };
        *self.answer.lock().unwrap() = serde_json::to_value(status).unwrap();
    }

    fn command(&self, before: &[&str], arguments: &[&str]) -> Command {
        let words = [before, &["unshare", "--mount", "--propagation", "private", "sh", "-ec", SCRIPT, "sh"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(self.dir.path()).arg(hostward_tests::binary().unwrap());
        command.args(["status", "--watch"]).args(arguments).env("TERM", "xterm").stderr(Stdio::inherit());
        command
    }
}

/// A terminal with the program in it.
struct Terminal {
    master: File,
    name: String,
    child: Child,
    /// Everything that it was told, and where the last screen begins.
    told: String,
    pending: Vec<u8>,
}

impl Terminal {
    fn open(stand_in: &StandIn, columns: u16, rows: u16, arguments: &[&str]) -> Self {
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname_r(&master).unwrap();
        let slave = || File::options().read(true).write(true).open(&name).unwrap();
        let keep = slave();
        resize(&name, columns, rows);
        let mut command = stand_in.command(&["setsid", "--ctty", "--wait"], arguments);
        let child = command.stdin(slave()).stdout(slave()).spawn().unwrap();
        drop(keep);
        let master = File::from(std::os::fd::OwnedFd::from(master));
        Self { master, name, child, told: String::new(), pending: Vec::new() }
    }

    /// Reads what there is, for a while at most; false: nobody is there any more.
    fn read(&mut self) -> bool {
        let mut fds = [PollFd::new(std::os::fd::AsFd::as_fd(&self.master), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(100_u16)).unwrap() == 0 {
            return true;
        }
        let mut buffer = [0; 4096];
        match self.master.read(&mut buffer) {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.pending.extend_from_slice(&buffer[..length]);
                let whole = std::str::from_utf8(&self.pending).map_or_else(|error| error.valid_up_to(), str::len);
                let rest = self.pending.split_off(whole);
                self.told.push_str(std::str::from_utf8(&self.pending).unwrap());
                self.pending = rest;
                true
            }
        }
    }

    /// The lines of the last screen that came whole.
    fn screen(&self) -> Vec<String> {
        let Some(end) = self.told.rfind("\x1b[J") else { return Vec::new() };
        let begin = self.told[..end].rfind("\x1b[H").unwrap() + 3;
        let lines = self.told[begin..end].split("\r\n");
        lines
            .map(|line| {
                line.trim_end_matches('\r').strip_suffix("\x1b[K").unwrap_or_else(|| panic!("{line:?}")).to_owned()
            })
            .collect()
    }

    fn until(&mut self, what: &str, fits: impl Fn(&[String]) -> bool) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if !screen.is_empty() && fits(&screen) {
                return screen;
            }
            assert!(self.read() && Instant::now() < until, "{what}: {:?}\n{}", self.screen(), self.told);
        }
    }

    /// Waits for its end: the exit status, and all that it told.
    fn end(mut self) -> (Option<i32>, String) {
        let until = Instant::now() + PATIENCE;
        while self.read() && self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "it does not end: {}", self.told);
        }
        while self.read() && self.told.len() < 1 << 20 && !self.told.ends_with("\x1b[?1049l") {}
        (self.child.wait().unwrap().code(), self.told)
    }
}

fn resize(name: &str, columns: u16, rows: u16) {
    let size = [columns.to_string(), rows.to_string()];
    let status = Command::new("stty").args(["-F", name, "cols", &size[0], "rows", &size[1]]).status().unwrap();
    assert!(status.success());
}

/// Columns, with two for each character of the kind that these tests write.
fn width(line: &str) -> usize {
    line.chars().map(|c| if matches!(c, '\u{1100}'..='\u{ffdc}' if c != '…') { 2 } else { 1 }).sum()
}

#[test]
fn a_terminal_shows_what_changes_and_is_given_back() {
    let stand_in = StandIn::new(&[
        ("low", "一些中文字，比终端的一行更长，比终端的一行更长，比终端的一行更长，比终端的一行更长"),
        ("critical", "ends \u{1b}[2J\u{202e}here\nand there"),
    ]);
    let mut terminal = Terminal::open(&stand_in, 71, 12, &["--lang", "zh"]);
    let screen = terminal.until("the first screen", |screen| screen.len() >= 5);
    assert!(screen.iter().all(|line| width(line) <= 71), "{screen:?}");
    assert!(screen[0].starts_with("fail：2 项未解决") && screen[2].ends_with('…'), "{screen:?}");
    assert!(screen[1].contains("critical") && screen[1].contains("\\x1b[2J\\u{202e}here\\nand"), "{screen:?}");
    assert!(terminal.told.starts_with("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H"), "{:?}", terminal.told);

    resize(&terminal.name, 30, 2);
    let small = terminal.until("a smaller one", |screen| screen.len() == 2);
    assert!(small.iter().all(|line| width(line) <= 30) && small[1].contains("另有 2 项"), "{small:?}");
    resize(&terminal.name, 120, 12);
    terminal.until("a larger one", |screen| screen.len() >= 5 && screen.iter().any(|line| width(line) > 80));

    stand_in.say(&[("high", "new")]);
    terminal.until("a change", |screen| screen[0].contains("1 项") && screen.iter().any(|line| line.contains("new")));
    stand_in.end();
    terminal.until("nobody answers", |screen| screen[0].starts_with("等待中") && screen[1].contains("1 项"));
    stand_in.say(&[]);
    stand_in.begin();
    terminal.until("somebody does again", |screen| screen[0].contains("0 项"));

    terminal.master.write_all(b"\x03").unwrap();
    let (status, told) = terminal.end();
    assert_eq!(status, Some(0), "{told}");
    assert!(told.ends_with("\x1b[?7h\x1b[?25h\x1b[?1049l"), "{told:?}");
    assert_eq!(told.matches("\x1b[?1049h").count(), 1);
    results::tested(
        "status",
        "watch",
        "wide and hostile text, two sizes, a change, a resident that goes and comes back, Ctrl-C",
    );
}

#[test]
fn lines_of_json_come_with_changes_alone() {
    let stand_in = StandIn::new(&[("low", "one")]);
    let mut child = stand_in.command(&[], &["--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["findings"][0]["message"], "one");
    // What only tells the time is no change: the next line is of the next finding.
    stand_in.answer.lock().unwrap()["full_look_in"] = json!(59);
    std::thread::sleep(Duration::from_millis(2500));
    stand_in.say(&[("low", "two")]);
    assert_eq!(next()["findings"][0]["message"], "two");
    stand_in.end();
    assert_eq!(next()["schema"], "hostward.no-status/1");
    stand_in.begin();
    assert_eq!(next()["findings"][0]["message"], "two");
    drop(lines);
    let until = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < until, "nobody reads, and it goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn without_a_terminal_or_a_resident_it_says_so() {
    let stand_in = StandIn::new(&[]);
    let run = |stand_in: &StandIn, arguments: &[&str], term: &str| {
        let output = stand_in.command(&[], arguments).env("TERM", term).stderr(Stdio::piped()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (status, said) = run(&stand_in, &[], "xterm");
    assert!(status == Some(64) && said.contains("--watch --json"), "{status:?} {said}");
    stand_in.end();
    let (status, said) = run(&stand_in, &["--json"], "");
    assert!(status == Some(3) && said.contains("no resident answers"), "{status:?} {said}");
    assert!(!Path::new("/run/hostward/status").exists(), "the stand-in was this machine's");
}

/// A change of the host, and a resident that is killed and started again, as a reader of lines sees them.
#[test]
fn a_real_resident_is_watched_through_its_restart() {
    if Tier::current() == Tier::Quick {
        // The quick one has the stand-in.
        return;
    }
    let resident = Resident::of(&Suite::find("bookworm").unwrap()).unwrap();
    resident.agrees().unwrap();
    let host = &resident.host;
    let mut child = host
        .command("/usr/local/bin/hostward")
        .args(["status", "--watch", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut until = |what: &str, fits: &dyn Fn(&Value) -> bool| {
        let line = lines.by_ref().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap()).find(fits);
        line.unwrap_or_else(|| panic!("it ended before {what}"))
    };
    let open = |status: &Value| {
        status["findings"].as_array().is_some_and(|all| all.iter().any(|f| f["check"] == "accounts.files"))
    };
    let pid = until("the first status", &|status| !open(status))["pid"].clone();
    host.shell("chmod 644 /etc/shadow").unwrap();
    until("the finding", &open);
    host.shell("systemctl kill -s KILL hostward; systemctl stop hostward || true").unwrap();
    until("its end", &|status| status["schema"] == "hostward.no-status/1");
    host.shell(START).unwrap();
    until("its return", &|status| status["pid"].is_u64() && status["pid"] != pid && open(status));
    host.shell("chmod 640 /etc/shadow").unwrap();
    until("the resolution", &|status| status["last"].is_object() && !open(status));
    child.kill().unwrap();
    child.wait().unwrap();
    results::tested("status", "resident", "a finding, a kill, a start and a resolution, each a line");
}
