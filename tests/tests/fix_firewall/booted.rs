//! On booted hosts: the unit holds the table whatever other firewalls' services do, and lets go when it is rolled back.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use hostward_checks::access::Access;
use hostward_checks::check::{Finding, Input, Profile, Severity};
use hostward_checks::edit::Edit;
use hostward_checks::fact::Fact;
use hostward_checks::guard::Circumstances;
use hostward_checks::host::Host as Facts;
use hostward_checks::observation::firewall::Firewall;
use hostward_checks::observation::{Mode, Observations};
use hostward_checks::plan::{Obstacles, Wanted, fold};
use hostward_checks::policy::Policy;
use hostward_checks::snapshot::Sketch;
use hostward_tests::host::{Down, Host, INSTANCE, METADATA, PRIVATE_CLIENT, PUBLIC_CLIENT};
use hostward_tests::suite::{REQUIRED, Suite, WHERE_ANSWERED, chosen};
use hostward_tests::{binary, results, tier::Tier};

use super::lab::{connect, lives, others, reaches, serve, serve_tcp};

const UNIT: &str = "hostward-firewall.service";
/// How long the unit may take on a machine that is busy; how long it took is told.
const PATIENCE: Duration = Duration::from_secs(40);

/// The files of a plan that limits one port to the private client, as the planner makes them.
fn files() -> Vec<(String, String)> {
    let mut seen = Observations::offline(0);
    seen.mode = Mode::Live;
    seen.firewall = Fact::Known(Firewall::default());
    let sketch = Sketch::new();
    let (facts, _) = Facts::read(&sketch.clone().snapshot(), &seen);
    let (access, policy) = (Access::default(), Policy::builtin(Profile::Enhanced));
    let input = Input { host: &facts, seen: &seen, access: &access, policy: &policy };
    let sources = vec![format!("{PRIVATE_CLIENT}/32")];
    let limit = |port| Edit::LimitPort { protocol: "tcp", port, sources: sources.clone() };
    let finding = Finding::new(Severity::High, "x", "x").fixed_by(limit(6379)).fixed_by(limit(8080));
    let wanted = [Wanted { check: "ports.exposed", finding: &finding }];
    let circumstances = Circumstances { program: Some("/usr/local/bin/hostward".into()), ..Circumstances::default() };
    let (plan, _) = fold(&sketch.snapshot(), &input, &wanted, &Obstacles::new(), &circumstances);
    assert_eq!(plan.unfixable, []);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    plan.files().filter_map(|change| Some((change.path.to_str()?.to_owned(), text(change.after.content()?)))).collect()
}

struct Scene {
    host: Host,
    name: &'static str,
    /// Connections from before the table.
    old: Vec<TcpStream>,
    longest: Duration,
}

impl Scene {
    fn boot(suite: &Suite) -> Self {
        let mut plan = Host::of(suite).bind(&binary().unwrap(), "/usr/local/bin/hostward");
        match suite.firewalls() {
            Ok(layer) => plan = plan.layer(&layer),
            Err(error) => results::skipped(
                "fix firewall hosts",
                suite.name(),
                format!("NOT TESTED with other firewalls: {error:#}"),
            ),
        }
        let host = plan.boot().unwrap();
        serve(host.network(), &[6379, 8081]);
        let old = |from| host.vpc().run(|| connect(from, INSTANCE, 6379).unwrap()).unwrap();
        let old = vec![old(PUBLIC_CLIENT), old(PRIVATE_CLIENT)];
        Self { host, name: suite.name(), old, longest: Duration::ZERO }
    }

    fn shell(&self, script: &str) -> String {
        self.host.shell(script).unwrap_or_else(|error| panic!("{}: {error:#}\n{}", self.name, self.host.console()))
    }

    fn reaches(&self, from: &str, port: u16) -> bool {
        self.host.vpc().run(|| reaches(from, INSTANCE, port, true)).unwrap()
    }

    fn is_kept_out(&self, from: &str, port: u16) -> bool {
        !self.host.vpc().run(|| reaches(from, INSTANCE, port, false)).unwrap()
    }

    fn held(&self) -> bool {
        let table = self.shell("nft list table inet hostward 2>/dev/null || true");
        table.contains("tcp dport 6379") && table.matches(" drop\n").count() == 2
    }

    /// Waits until the table is back after `what`, and asks packets.
    fn is_held_after(&mut self, what: &str) {
        let from = Instant::now();
        while !self.held() {
            assert!(from.elapsed() < PATIENCE, "{}: not put back after {what}:\n{}", self.name, self.journal());
        }
        self.longest = self.longest.max(from.elapsed());
        assert!(self.is_kept_out(PUBLIC_CLIENT, 6379), "{}: after {what}", self.name);
        assert!(self.reaches(PRIVATE_CLIENT, 6379), "{}: after {what}", self.name);
        assert!(self.old.iter().all(lives), "{}: a connection is cut after {what}", self.name);
    }

    fn journal(&self) -> String {
        self.shell(&format!("journalctl --no-pager -n 30 -u {UNIT}; systemctl --no-pager status {UNIT} || true"))
    }

    fn others(&self) -> String {
        others(&self.shell("nft list ruleset"))
    }
}

#[test]
fn the_unit_holds_the_table_and_lets_go() {
    let all: Vec<&'static str> = REQUIRED.into_iter().chain(WHERE_ANSWERED).collect();
    for name in chosen(Tier::current().pick(&["bookworm", "noble"], &all)) {
        match Suite::find(name) {
            Ok(suite) => holds(&suite),
            Err(error) => results::skipped("fix firewall hosts", name, format!("NOT TESTED: {error:#}")),
        }
    }
}

fn holds(suite: &Suite) {
    let mut scene = Scene::boot(suite);
    let before = scene.others();
    for (path, content) in files() {
        scene.shell(&format!("mkdir -p \"$(dirname {path})\"; cat >{path} <<'END'\n{content}END\n"));
    }
    scene.shell(&format!(
        "systemctl daemon-reload; systemctl enable --now {UNIT} || {{ journalctl --no-pager -n 25 >&2; exit 1; }}"
    ));
    assert_eq!(scene.shell(&format!("systemctl is-active {UNIT}")), "active\n");
    scene.is_held_after("the start");
    assert_eq!(scene.others(), before, "{}", scene.name);

    // Asleep while nothing happens, and small.
    let pid = scene.shell(&format!("systemctl show -p MainPID {UNIT} | cut -d= -f2")).trim().to_owned();
    let woken = |scene: &Scene| scene.shell(&format!("grep ^voluntary /proc/{pid}/status"));
    let (first, _) = (woken(&scene), std::thread::sleep(Duration::from_secs(2)));
    assert_eq!(woken(&scene), first, "{}: it wakes for nothing", scene.name);
    let memory = scene.shell(&format!("grep RssAnon /proc/{pid}/status")).split_whitespace().nth(1).unwrap().to_owned();
    let exposure = scene.shell(&format!("systemd-analyze --no-pager security {UNIT} 2>/dev/null | tail -n 1 || true"));
    let exposure: Option<f64> = exposure.split_whitespace().find_map(|word| word.parse().ok());
    assert!(exposure.is_none_or(|exposure| exposure <= 3.0), "{}: exposure {exposure:?}", scene.name);

    // Whoever takes the table away, or a piece of it.
    let flush = "flush ruleset\ntable inet filter {\nchain input {\ntype filter hook input priority 0;\n}\n}\n";
    scene
        .shell(&format!("cat >/etc/nftables.conf <<'END'\n#!/usr/sbin/nft -f\n{flush}END\nsystemctl restart nftables"));
    scene.is_held_after("systemctl restart nftables");
    assert!(scene.others().contains("table inet filter"), "{}: nftables' own rules", scene.name);
    for what in ["nft flush ruleset", "nft delete table inet hostward", "nft flush chain inet hostward tcp_6379"] {
        scene.shell(what);
        scene.is_held_after(what);
    }
    let mut met = Vec::new();
    if suite.firewalls().is_ok() {
        met = meets_others(&mut scene);
    }

    // Stopping leaves it, and a boot brings it back.
    scene.shell(&format!("systemctl stop {UNIT}"));
    assert!(scene.held() && scene.is_kept_out(PUBLIC_CLIENT, 6379), "{}: stopped", scene.name);
    scene.shell(&format!("systemctl start {UNIT}"));
    scene.is_held_after("a start");

    scene.shell("systemctl enable nftables 2>/dev/null");
    scene.host.reboot(Down::Orderly).unwrap();
    scene.is_held_after("a reboot");

    // Rolled back: files first, then the table. It is not put back, and nothing has failed.
    let before = scene.others();
    scene.shell("rm /etc/hostward/firewall.conf; nft delete table inet hostward");
    let from = Instant::now();
    while scene.shell(&format!("systemctl is-active {UNIT} || true")).trim() != "inactive" {
        assert!(from.elapsed() < PATIENCE, "{}: it still runs\n{}", scene.name, scene.journal());
    }
    assert!(!scene.held() && scene.reaches(PUBLIC_CLIENT, 6379), "{}: rolled back", scene.name);
    assert_eq!(scene.others(), before, "{}: rolled back", scene.name);
    assert!(scene.old.iter().all(lives), "{}: rolled back", scene.name);
    let ms = scene.longest.as_millis();
    let figures = format!("put back within {ms} ms, {memory} kB, exposure {exposure:?}, beside {}", met.join(", "));
    results::tested("fix firewall hosts", scene.name, figures);
}

/// ufw, firewalld, and rules as Docker makes them with iptables.
fn meets_others(scene: &mut Scene) -> Vec<&'static str> {
    let mut met = Vec::new();
    scene.shell(
        "iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -p tcp --dport 8080 -j REDIRECT --to-ports 8081",
    );
    assert!(scene.reaches(PRIVATE_CLIENT, 8080) && scene.is_kept_out(PUBLIC_CLIENT, 8080), "{}: published", scene.name);
    assert!(scene.reaches(PUBLIC_CLIENT, 8081), "{}: what it is published to", scene.name);
    scene.shell(
        "iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -p tcp --dport 8080 -j REDIRECT --to-ports 8081",
    );
    met.push("iptables");
    for command in ["ufw allow 22", "ufw allow 6379", "ufw --force enable", "ufw reload"] {
        scene.shell(command);
        scene.is_held_after(command);
    }
    let with = scene.shell("ufw status verbose; iptables-save | grep -v '^[#:]' | sed 's/\\[[0-9:]*\\]//'");
    scene.shell(&format!("systemctl restart {UNIT}"));
    assert_eq!(scene.shell("ufw status verbose; iptables-save | grep -v '^[#:]' | sed 's/\\[[0-9:]*\\]//'"), with);
    scene.shell("ufw --force disable");
    scene.is_held_after("ufw disable");
    met.push("ufw");
    scene.shell("systemctl start firewalld");
    for command in [
        "firewall-cmd --add-port=6379/tcp --add-port=22/tcp",
        "systemctl restart firewalld; firewall-cmd --add-port=6379/tcp",
    ] {
        scene.shell(command);
        scene.is_held_after(command);
    }
    let before = scene.others();
    scene.shell(&format!("systemctl restart {UNIT}"));
    scene.is_held_after("a restart beside firewalld");
    assert_eq!(scene.others(), before, "{}: firewalld's tables", scene.name);
    scene.shell("systemctl stop firewalld");
    scene.is_held_after("firewalld's end");
    met.push("firewalld");
    assert!(scene.reaches(METADATA, 6379), "{}: Alibaba Cloud's own range", scene.name);
    met
}

#[test]
fn fix_limits_a_port_and_rollback_opens_it() {
    let all: Vec<&'static str> = REQUIRED.into_iter().chain(WHERE_ANSWERED).collect();
    for name in chosen(Tier::current().pick(&["trixie"], &all)) {
        match Suite::find(name) {
            Ok(suite) => fixes(&suite),
            Err(error) => results::skipped("fix firewall command", name, format!("NOT TESTED: {error:#}")),
        }
    }
}

fn fixes(suite: &Suite) {
    let policy = format!("[sshd]\nadmin-sources = [\"{PRIVATE_CLIENT}/32\"]\n");
    let host = Host::of(suite)
        .bind(&binary().unwrap(), "/usr/local/bin/hostward")
        .file("/etc/hostward/policy.toml", policy, 0o644)
        .boot()
        .unwrap();
    let name = suite.name();
    serve_tcp(host.network(), &[6379]);
    let run = |arguments: &str| {
        let mut command = host.command("hostward");
        let output = command.args(arguments.split(' ')).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap(), said)
    };
    let reached = |from, expected| host.vpc().run(|| reaches(from, INSTANCE, 6379, expected)).unwrap();
    let files =
        "find /etc ! -path '/etc/machine-id' -type f -print0 | sort -z | xargs -0 sha256sum; find /etc -type l | sort";
    let (before, rules) = (host.shell(files).unwrap(), host.shell("nft list ruleset").unwrap());
    let old = host.vpc().run(|| connect(PUBLIC_CLIENT, INSTANCE, 6379).unwrap()).unwrap();
    assert!(lives(&old));

    // Who asks the metadata service is counted, and nobody stopped.
    let (code, said) = run("firewall observe");
    assert_eq!(code, 0, "{name}: {said}");
    host.shell("setpriv --reuid 33 --clear-groups timeout 1 bash -c ': </dev/tcp/100.100.100.200/80' || true").unwrap();
    let (_, said) = run("firewall observe");
    assert!(said.ends_with("asked by www-data (33)\n"), "{name}: {said}");
    assert_eq!(run("firewall observe --end").0, 0, "{name}");

    // Somebody uses it: counted first.
    let (code, said) = run("fix ports.exposed --apply --confirm-by probe --confirm-within 12s");
    assert!(said.contains("tcp/6379 is used now from 203.0.113.7"), "{name}: {code}: {said}");
    assert!(!host.shell("nft list ruleset").unwrap().contains("hostward"), "{name}");
    let asked = "fix ports.exposed --accept-cut tcp/6379";
    let (code, said) = run(asked);
    assert_eq!(code, 1, "{name}: {said}");
    assert!(said.contains("+tcp 6379 172.31.0.253/32") && said.contains("live on"), "{name}: {said}");
    let (code, said) = run(&format!("{asked} --apply --confirm-by probe --confirm-within 12s"));
    assert_eq!(code, 0, "{name}: {said}\n{}", host.shell("journalctl --no-pager -n 30").unwrap());
    assert!(!reached(PUBLIC_CLIENT, false) && reached(PRIVATE_CLIENT, true) && lives(&old), "{name}: {said}");
    let state = host.shell(&format!("systemctl is-active {UNIT}; systemctl is-enabled {UNIT}")).unwrap();
    assert_eq!(state, "active\nenabled\n", "{name}");
    let (code, said) = run(asked);
    assert_eq!(code, 0, "{name}: a second fix has nothing to do: {said}");

    let (code, said) = run("rollback");
    assert_eq!(code, 0, "{name}: {said}");
    assert!(reached(PUBLIC_CLIENT, true) && lives(&old), "{name}: {said}");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(host.shell("nft list ruleset").unwrap(), rules, "{name}: rules after the rollback");
    let after = host.shell(files).unwrap();
    assert_eq!(after, before, "{name}: files after the rollback");
    assert_eq!(host.shell(&format!("systemctl is-active {UNIT} || true")).unwrap(), "inactive\n", "{name}");
    results::tested("fix firewall command", name, "limited, counted, rolled back");
}
