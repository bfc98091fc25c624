//! On booted hosts with the real fail2ban: who was banned by it stays banned while our table is loaded, held and taken away.

use std::time::{Duration, Instant};

use hostward_tests::host::{Host, INSTANCE, PRIVATE_CLIENT, PUBLIC_CLIENT};
use hostward_tests::ssh::Client;
use hostward_tests::suite::{Suite, chosen};
use hostward_tests::{binary, results, tier::Tier};

use super::lab::{opens, others, reaches, serve_tcp};

const TEST: &str = "fix firewall fail2ban";
/// Bans whoever tries an account that is not there; the log is a file, as rsyslog writes it.
const JAIL: &str = "[DEFAULT]
banaction = nftables-multiport
bantime = 1h
[sshd]
enabled = true
backend = polling
logpath = /var/log/auth.log
maxretry = 2
";

struct Scene {
    host: Host,
    name: &'static str,
}

impl Scene {
    fn boot(suite: &Suite) -> anyhow::Result<Self> {
        let policy = format!("[sshd]\nadmin-sources = [\"{PRIVATE_CLIENT}/32\"]\n");
        let host = Host::of(suite)
            .layer(&suite.firewalls()?)
            .bind(&binary()?, "/usr/local/bin/hostward")
            .file("/etc/hostward/policy.toml", policy, 0o644)
            .file("/etc/fail2ban/jail.local", JAIL, 0o644)
            .file("/var/log/auth.log", "", 0o640)
            .boot()?;
        let scene = Self { host, name: suite.name() };
        scene.shell(
            "systemd-run --quiet --unit=log sh -c 'exec journalctl -f -n 0 -o short _COMM=sshd + _COMM=sshd-session >>/var/log/auth.log'
             systemctl start fail2ban",
        );
        serve_tcp(scene.host.network(), &[6379]);
        Ok(scene)
    }

    fn shell(&self, script: &str) -> String {
        self.host.shell(script).unwrap_or_else(|error| panic!("{}: {error:#}\n{}", self.name, self.host.console()))
    }

    fn hostward(&self, arguments: &str, expected: i32) -> String {
        let output = self.host.command("hostward").args(arguments.split(' ')).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(expected), "{}: {arguments}: {said}", self.name);
        said
    }

    fn await_that(&self, what: &str, fits: impl Fn() -> bool) {
        let from = Instant::now();
        while !fits() {
            assert!(
                from.elapsed() < Duration::from_secs(40),
                "{}: {what}: {}",
                self.name,
                self.shell(
                    "fail2ban-client status sshd; tail -n 20 /var/log/fail2ban.log /var/log/auth.log; nft list ruleset"
                )
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Whether the port of sshd takes a connection from there; what is said on it sshd decides.
    fn enters(&self, from: &str) -> bool {
        self.host.vpc().run(|| opens(from, INSTANCE, 22)).unwrap()
    }

    fn reaches(&self, from: &str, expected: bool) -> bool {
        self.host.vpc().run(|| reaches(from, INSTANCE, 6379, expected)).unwrap()
    }

    fn tables(&self) -> String {
        self.shell("nft list tables")
    }

    /// The stranger is banned from sshd, and from sshd alone; whether our table keeps him from 6379 is another matter.
    fn is_banned(&self, limited: bool, when: &str) {
        self.await_that(when, || !self.enters(PUBLIC_CLIENT));
        assert!(self.enters(PRIVATE_CLIENT), "{}: {when}: nobody else is", self.name);
        assert_eq!(self.reaches(PUBLIC_CLIENT, !limited), !limited, "{}: {when}: {}", self.name, self.tables());
        assert!(self.reaches(PRIVATE_CLIENT, true), "{}: {when}", self.name);
    }
}

#[test]
fn bans_of_fail2ban_stand_beside_ours() {
    let all = ["bullseye", "bookworm", "trixie", "sid", "jammy", "noble", "resolute"];
    for name in chosen(Tier::current().pick(&["bookworm"], &all)) {
        match Suite::find(name).and_then(|suite| Scene::boot(&suite)) {
            Ok(scene) => bans(&scene),
            Err(error) => results::skipped(TEST, name, format!("NOT TESTED: {error:#}")),
        }
    }
}

fn bans(scene: &Scene) {
    scene.await_that("fail2ban answers", || scene.host.shell("fail2ban-client status sshd").is_ok());
    let client = Client::of(&scene.host).unwrap();
    let (key, _) = client.key("stranger", "ed25519", None).unwrap();
    scene.await_that("fail2ban bans", || {
        let _ = client.run("nobody-here", PUBLIC_CLIENT, &key, &["-o", "ConnectTimeout=2"], "true").unwrap();
        scene.shell("fail2ban-client status sshd").contains(PUBLIC_CLIENT)
    });
    scene.is_banned(false, "before");
    let theirs = |scene: &Scene| others(&scene.shell("nft list ruleset"));
    let before = theirs(scene);
    assert!(before.contains(PUBLIC_CLIENT), "{before}");

    scene.hostward("fix ports.exposed --apply --confirm-by probe --confirm-within 12s", 0);
    scene.is_banned(true, "after the fix");
    assert_eq!(theirs(scene), before, "{}: its table after the fix", scene.name);

    // It goes on with its work while ours is held.
    scene.shell(&format!("fail2ban-client set sshd unbanip {PUBLIC_CLIENT}"));
    scene.await_that("it lets him in", || scene.enters(PUBLIC_CLIENT));
    assert!(!scene.reaches(PUBLIC_CLIENT, false), "{}: not to what is limited", scene.name);
    scene.shell(&format!("fail2ban-client set sshd banip {PUBLIC_CLIENT}"));
    scene.is_banned(true, "banned again");
    for what in ["fail2ban-client reload", "systemctl restart fail2ban", "systemctl restart hostward-firewall.service"]
    {
        scene.shell(what);
        scene.is_banned(true, what);
    }
    // Somebody flushes all: ours is put back, and its next ban makes its own anew.
    scene.shell("nft flush ruleset");
    scene.await_that("ours is put back", || !scene.reaches(PUBLIC_CLIENT, false));
    scene.shell("systemctl restart fail2ban");
    scene.is_banned(true, "after a flush");

    let before = theirs(scene);
    scene.hostward("rollback", 0);
    scene.is_banned(false, "after the rollback");
    assert_eq!(theirs(scene), before, "{}: its table after the rollback", scene.name);
    assert!(!scene.tables().contains("hostward"), "{}", scene.tables());
    let version = scene.shell("fail2ban-client --version | head -n 1");
    results::tested(TEST, scene.name, format!("{}: its bans stand, ours stand", version.trim()));
}
