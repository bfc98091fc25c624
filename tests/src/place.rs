//! A booted host with administrators who hold a key, and the fixes that are under way on it. What fails here ends the test.

#![expect(clippy::unwrap_used, clippy::panic, reason = "only tests call it, and they end with the reason")]

use std::io::Read;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostward::transaction::{Asked, Found, New, Stage, Store};
use hostward_checks::effect::{Effect, FileChange, Owner, State, UnitAction, Verb};
use hostward_checks::guard::Confirm;
use hostward_checks::plan::{Plan, Planned};

use crate::host::{self, Host, INSTANCE};
use crate::ssh::Client;
use crate::suite::Suite;

/// The file that everybody's way in hangs on.
pub const FILE: &str = "/etc/ssh/sshd_config";

/// A host with its administrators: root and `admin`, who may use sudo, hold the key; `plain` holds it too, and is nobody.
#[derive(Debug)]
pub struct Place {
    /// The host.
    pub host: Host,
    /// A client in the network around it.
    pub client: Client,
    /// The key.
    pub key: PathBuf,
}

impl Place {
    /// Boots a host of the suite.
    pub fn of(suite: &Suite) -> Self {
        Self::on(Host::of(suite))
    }

    /// Boots a host that was planned, with the binary under test.
    pub fn on(plan: host::Plan<'_>) -> Self {
        Self::booted(plan.bind(&crate::binary().unwrap(), "/usr/local/bin/hostward").boot().unwrap())
    }

    /// Gives a booted host its administrators.
    pub fn booted(host: Host) -> Self {
        let client = Client::of(&host).unwrap();
        let (key, line) = client.key("admin", "ed25519", None).unwrap();
        host.shell(&format!(
            "useradd -m -s /bin/sh plain; useradd -m -s /bin/sh admin; usermod -p '*' plain; usermod -p '*' admin
             echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin; chmod 440 /etc/sudoers.d/admin
             for home in /root /home/plain /home/admin; do
               install -d -m 700 $home/.ssh; echo '{line}' >$home/.ssh/authorized_keys
               chown -R --reference=$home $home/.ssh; chmod 600 $home/.ssh/authorized_keys
             done
             sed -i '1i MaxStartups 100:30:200\\nUseDNS no\\nLoginGraceTime 30' {FILE}
             ! /usr/sbin/sshd -T 2>/dev/null | grep -qi persourcepenalties || sed -i '1i PerSourcePenalties no' {FILE}
             systemctl restart ssh.service"
        ))
        .unwrap();
        let place = Self { host, client, key };
        place.await_banner(|banner| banner.starts_with("SSH-2.0-"));
        place
    }

    /// Whether systemd listens in sshd's place.
    pub fn activated(&self) -> bool {
        self.host.shell("systemctl is-active -q ssh.socket && echo yes || :").unwrap() == "yes\n"
    }

    /// The host's root directory, as this machine sees it.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.host.leader()))
    }

    /// The file as it is now.
    pub fn config(&self) -> Vec<u8> {
        std::fs::read(self.root().join(FILE.trim_start_matches('/'))).unwrap()
    }

    /// What a client is greeted with, which ends with the VersionAddendum that the running sshd has read.
    pub fn banner(&self) -> Option<String> {
        self.host
            .vpc()
            .run(|| {
                let address = format!("{INSTANCE}:22").parse().unwrap();
                let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
                stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
                let mut said = Vec::new();
                let mut byte = [0];
                while said.last() != Some(&b'\n') && stream.read(&mut byte).ok()? > 0 {
                    said.push(byte[0]);
                }
                Some(String::from_utf8_lossy(&said).trim().to_owned())
            })
            .unwrap()
    }

    /// Waits for a greeting that fits.
    pub fn await_banner(&self, fits: impl Fn(&str) -> bool) -> String {
        let from = Instant::now();
        loop {
            let banner = self.banner();
            match banner {
                Some(banner) if fits(&banner) => return banner,
                other if from.elapsed() > Duration::from_secs(15) => panic!("{other:?} on {}", self.host.name()),
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Puts lines on top of sshd_config, as a fix would: what happens to them is seen in the banner.
    pub fn begin(&self, lines: &str, confirm: Confirm, within: u64) -> String {
        self.begin_with(vec![self.lines(lines)], "ssh.service", confirm, within)
    }

    /// Lines on top of sshd_config, as an effect.
    pub fn lines(&self, lines: &str) -> Effect {
        let before = self.config();
        let after = [lines.as_bytes(), before.as_slice()].concat();
        let owner = Owner::root(0o644);
        let file = |content: Vec<u8>| State::File { content: Some(Arc::from(content)), owner };
        Effect::File(FileChange { path: PathBuf::from(FILE), before: file(before), after: file(after) })
    }

    /// Writes a transaction down: these effects, and the reload of a unit.
    pub fn begin_with(&self, mut effects: Vec<Effect>, unit: &str, confirm: Confirm, within: u64) -> String {
        effects.push(Effect::Unit(UnitAction { unit: unit.to_owned(), verb: Verb::Reload }));
        let planned = |effect| Planned { effect, reasons: Vec::new(), guards: Vec::new() };
        let plan = Plan { effects: effects.into_iter().map(planned).collect(), unfixable: Vec::new() };
        let new = New {
            plan: &plan,
            asked: Asked::default(),
            command: vec!["hostward".to_owned(), "fix".to_owned()],
            confirm,
            confirm_within: Duration::from_secs(within),
            found: Found::default(),
            keepers: vec!["root".to_owned()],
        };
        Store::open(&self.root()).unwrap().begin(&new).unwrap().id().to_owned()
    }

    /// Carries a transaction out as `fix` has it done: in a unit of its own.
    pub fn apply(&self, id: &str) -> Output {
        self.applying(id).wait_with_output().unwrap()
    }

    /// The same, under way.
    pub fn applying(&self, id: &str) -> Child {
        let mut command = self.host.command("systemd-run");
        command.args(["--quiet", "--pipe", "--wait", "--collect", &format!("--unit=hostward-fix-{id}")]);
        command.args(["-p", "ExecStopPost=/usr/local/bin/hostward recover", "/usr/local/bin/hostward", "apply", id]);
        started(&mut command)
    }

    /// How far a transaction has come.
    pub fn stage(&self, id: &str) -> Stage {
        Store::open(&self.root()).unwrap().get(id).unwrap().stage().clone()
    }

    /// Waits until a transaction has come so far.
    pub fn await_stage(&self, id: &str, fits: impl Fn(&Stage) -> bool) -> Stage {
        let from = Instant::now();
        loop {
            let stage = self.stage(id);
            if fits(&stage) {
                return stage;
            }
            if from.elapsed() > Duration::from_secs(30) {
                let told = self.host.shell("journalctl --no-pager -u 'hostward*' | tail -n 30").unwrap_or_default();
                panic!("{}: {stage:?}\n{told}", self.host.name());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a transaction is under way, and returns its id.
    pub fn await_transaction(&self, what: &str) -> String {
        let from = Instant::now();
        loop {
            let pending = Store::open(&self.root()).and_then(|store| store.pending()).unwrap_or_default();
            match pending.first() {
                Some(one) if *one.stage() != Stage::Prepared => return one.id().to_owned(),
                _ if from.elapsed() > Duration::from_secs(60) => {
                    let said = self
                        .host
                        .shell("cat /root/said; hostward history; journalctl --no-pager -u 'hostward*' || :")
                        .unwrap();
                    panic!("no fix is under way on {} for {what}: {said}", self.host.name());
                }
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Nothing is left of what was to undo a fix; that a unit ran in this boot systemd remembers. Whoever undid it tidies up
    /// right afterwards.
    pub fn no_trace(&self) {
        let from = Instant::now();
        loop {
            let left = self
                .host
                .shell(
                    "ls -d /etc/systemd/system/hostward* /etc/systemd/system/*/hostward* /run/hostward-armed 2>/dev/null || :
                     systemctl list-units --all --no-legend 'hostward*' | grep -v hostward-recover || :",
                )
                .unwrap();
            if left.is_empty() {
                return;
            }
            assert!(from.elapsed() < Duration::from_secs(10), "{}: {left}", self.host.name());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// How a program ended and what it said.
    pub fn said(output: &Output) -> String {
        format!("{:?} {}{}", output.status.code(), text(&output.stdout), text(&output.stderr))
    }
}

/// Starts a program whose output is kept.
pub fn started(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How long after its deadline a transaction was undone, in milliseconds.
pub fn lateness(place: &Place, id: &str, deadline: &Stage) -> i64 {
    let Stage::Waiting { deadline } = deadline else { panic!("{deadline:?}") };
    let store = Store::open(&place.root()).unwrap();
    let transaction = store.get(id).unwrap();
    let undone = transaction.stages().iter().find(|record| matches!(record.stage, Stage::Undone { .. })).unwrap();
    i64::try_from(undone.since.boottime_ms).unwrap() - i64::try_from(deadline.boottime_ms).unwrap()
}

/// Whether a transaction is undone.
pub fn is_undone(stage: &Stage) -> bool {
    matches!(stage, Stage::Undone { .. })
}

/// Whether a transaction waits to be confirmed.
pub fn is_waiting(stage: &Stage) -> bool {
    matches!(stage, Stage::Waiting { .. })
}
