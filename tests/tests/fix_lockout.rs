//! Nobody is locked out: random hosts are fixed, and whoever the guard said would keep a way in logs in.

#![cfg(test)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;

use hostward_tests::host::{Host, PRIVATE_CLIENT, PUBLIC_CLIENT};
use hostward_tests::results;
use hostward_tests::rng::Rng;
use hostward_tests::ssh::{Client, With};
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;
use serde_json::Value;

/// Suites with sshd of its own, and noble and resolute behind a socket.
const SUITES: [&str; 9] = ["bionic", "focal", "bullseye", "jammy", "bookworm", "noble", "trixie", "resolute", "sid"];

/// An account of a state.
struct Account {
    name: &'static str,
    key: PathBuf,
    line: String,
    /// Whether its key stands in authorized_keys.
    keyed: bool,
    /// Whether it logged in by key before the fix.
    used: bool,
}

#[derive(Default)]
struct Counts {
    applied: usize,
    nothing: usize,
    refused: usize,
    logins: usize,
    settings: usize,
    why: BTreeMap<String, usize>,
}

impl Counts {
    /// Why a fix was refused or undone, by the ids of what was said.
    fn count_reasons(&mut self, plan: &Value) {
        let refused = plan["guards"].as_array().unwrap().iter().filter(|guard| guard["holds"] == false);
        let mut said: Vec<String> = refused
            .flat_map(|guard| guard["said"].as_array().unwrap())
            .map(|said| said["id"].as_str().unwrap().to_owned())
            .collect();
        said.extend(plan["transaction"]["why"].as_str().map(|why| format!("undone: {why}")));
        said.sort();
        said.dedup();
        said.into_iter().for_each(|id| *self.why.entry(id).or_default() += 1);
    }
}

/// One random state of a booted host.
struct State<'h> {
    host: &'h Host,
    client: &'h Client,
    name: String,
    accounts: Vec<Account>,
    script: String,
    config: String,
    /// What somebody else wrote and sshd does not run with yet, where there is such a thing.
    pending: Option<&'static str>,
}

/// Edits of others that no reload activated yet, the last one refused by sshd.
const PENDING: [&str; 4] =
    ["ClientAliveCountMax 2", "PasswordAuthentication no", "Port 2222", "PermitRootLogin perhaps"];

impl<'h> State<'h> {
    fn new(host: &'h Host, client: &'h Client, suite: &str, number: usize, rng: &mut Rng) -> Self {
        let mut script = String::new();
        let mut accounts = Vec::new();
        for (index, name) in ["root", "ops", "dev"].into_iter().enumerate() {
            let (kind, bits) = if rng.chance(10) { ("rsa", Some(2048)) } else { ("ed25519", None) };
            let (key, line) = client.key(&format!("{suite}-{number}-{name}"), kind, bits).unwrap();
            if index > 0 {
                script.push_str(&format!("useradd -m -s /bin/bash {name}\n"));
            }
            if rng.chance(70) {
                script.push_str(&format!("echo '{name}:Pa55-{name}-word' | chpasswd\n"));
            }
            let keyed = rng.chance(if index == 0 { 90 } else { 60 });
            let home = if index == 0 { "/root".to_owned() } else { format!("/home/{name}") };
            if keyed {
                let options = *[
                    &"",
                    &"",
                    &"",
                    &"",
                    &"no-pty ",
                    &"command=\"exit 1\" ",
                    &"from=\"10.9.0.0/16\" ",
                    &"expiry-time=\"20990101\" ",
                ][rng.below(8)];
                // Before 7.7 sshd knew no expiry-time, and the whole line did not count.
                let options = if suite == "bionic" && options.starts_with("expiry") { "" } else { options };
                script.push_str(&format!(
                    "install -d -m 700 -o {name} -g {name} {home}/.ssh; echo '{options}{line}' >{home}/.ssh/authorized_keys\n\
                     chown {name}:{name} {home}/.ssh/authorized_keys; chmod 600 {home}/.ssh/authorized_keys\n"
                ));
                match rng.below(16) {
                    0 => script.push_str(&format!("chmod 666 {home}/.ssh/authorized_keys\n")),
                    1 => script.push_str(&format!("chmod 777 {home}\n")),
                    _ => {}
                }
            }
            accounts.push(Account { name, key, line, keyed, used: false });
        }
        match rng.below(4) {
            0 => script
                .push_str("echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops; chmod 440 /etc/sudoers.d/ops\n"),
            1 => script.push_str("usermod -aG sudo ops\n"),
            _ => {}
        }
        script.push_str("groupadd -f admins; usermod -aG admins root; usermod -aG admins ops\n");
        if rng.chance(20) {
            script.push_str("install -d /etc/cloud/cloud.cfg.d; printf 'ssh_pwauth: true\\ndisable_root: false\\n' >/etc/cloud/cloud.cfg\n");
        }
        if rng.chance(10) {
            script.push_str("chmod 644 /etc/shadow\n");
        }
        let config = config(rng);
        let pending = rng.chance(12).then(|| rng.pick(&PENDING));
        Self { host, client, name: format!("{suite} state {number}"), accounts, script, config, pending }
    }

    fn arrange(&mut self, rng: &mut Rng) {
        self.host.reset().unwrap();
        self.host.shell(&self.script).unwrap();
        // Before every line of the distribution, or behind it; with and without a drop-in.
        let place = match rng.below(3) {
            0 => "cat /tmp/c /etc/ssh/sshd_config >/tmp/n; cat /tmp/n >/etc/ssh/sshd_config",
            1 => "cat /tmp/c >>/etc/ssh/sshd_config",
            _ => {
                "grep -q '^Include' /etc/ssh/sshd_config && cp /tmp/c /etc/ssh/sshd_config.d/50-site.conf || cat /tmp/c >>/etc/ssh/sshd_config"
            }
        };
        let config = self.config.replace('\'', "'\\''");
        self.host.shell(&format!("printf '%s' '{config}' >/tmp/c; {place}")).unwrap();
        self.host.reload_sshd().unwrap_or_else(|error| panic!("{}: {error:#}\n{}", self.name, self.config));
        for account in &mut self.accounts {
            if account.keyed && rng.chance(90) {
                let source = if rng.chance(60) { PUBLIC_CLIENT } else { PRIVATE_CLIENT };
                let outcome = self.client.login(account.name, source, &With::Key(account.key.clone())).unwrap();
                account.used = outcome.shell;
            }
        }
        if rng.chance(15) {
            let _ = self.client.login("dev", PUBLIC_CLIENT, &With::Password("Pa55-dev-word".to_owned())).unwrap();
        }
        if let Some(line) = self.pending {
            let insert = format!("sed -i '1i {line}' /etc/ssh/sshd_config");
            self.host.shell(&insert).unwrap();
        }
        // What the guard reads must have arrived there.
        self.host.sync_logs().unwrap();
    }

    /// `sshd -T -C` for every account from two places, keyword by keyword.
    fn settings(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for account in &self.accounts {
            for address in [PUBLIC_CLIENT, PRIVATE_CLIENT] {
                let user = account.name;
                let command =
                    format!("install -d /run/sshd; /usr/sbin/sshd -T -C user={user},host={address},addr={address}");
                for line in self.host.shell(&command).unwrap().lines() {
                    all.push((format!("{user} {address}"), line.to_ascii_lowercase()));
                }
            }
        }
        all.sort();
        all
    }

    fn scan(&self) -> Value {
        let text = self
            .host
            .shell("hostward scan --only sshd,accounts,keys --password-budget 0 --cross-check all --exit-zero --format json")
            .unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn run(&mut self, rng: &mut Rng, counts: &mut Counts) {
        self.arrange(rng);
        let before = self.host.files().unwrap();
        // An edit that waits may be one that sshd refuses, alone or with what stands there.
        let refused = self.pending.is_some() && self.host.shell("install -d /run/sshd; /usr/sbin/sshd -t").is_err();
        let told_before = (!refused).then(|| self.settings());
        let mut command = self.host.unit("/usr/local/bin/hostward");
        command.args(["fix", "sshd", "accounts", "keys", "--password-budget", "0", "--apply", "--json"]);
        command.args(["--confirm-by", "probe", "--confirm-within", "6s"]);
        if rng.chance(30) {
            command.args(["--accept-cut", "dev"]);
        }
        let output = command.output().unwrap();
        let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let name = &self.name;
        let context = || {
            let journal = self.host.shell("journalctl -q --no-pager -o cat -n 60 -u 'hostward-*'; cat /var/lib/hostward/transactions/*/stage.json | tail -c 3000").unwrap_or_default();
            format!(
                "{journal}\n{name}: exit {:?}\n{}\n{:?} is pending\n{text}\n{said}\n{}",
                output.status.code(),
                self.config,
                self.pending,
                self.script
            )
        };
        let plan: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{}", context()));
        let stage = plan["transaction"]["stage"].as_str().unwrap_or_default();
        match output.status.code() {
            Some(3) => {
                counts.refused += 1;
                counts.count_reasons(&plan);
                let now = self.host.files().unwrap();
                let differ: Vec<_> = now.lines().filter(|line| !before.contains(*line)).collect();
                assert!(before == now, "{}\nchanged although refused: {differ:?}", context());
                assert!(plan["verdict"] == "refused" || stage == "undone", "{}", context());
            }
            Some(0 | 1) if stage.is_empty() => {
                counts.nothing += 1;
                assert_eq!(before, self.host.files().unwrap(), "{}", context());
            }
            Some(0 | 1) => {
                counts.applied += 1;
                assert_eq!(stage, "confirmed", "{}", context());
                assert!(!reloads(&plan) || self.pending.is_none(), "an edit of another was activated\n{}", context());
                self.check_settings(&plan, told_before.as_deref(), counts, &context);
            }
            _ => panic!("{}", context()),
        }
        self.log_in(&plan, counts, &context);
    }

    /// What the plan was for is gone, sshd agrees, and nothing else changed.
    fn check_settings(
        &self,
        plan: &Value,
        before: Option<&[(String, String)]>,
        counts: &mut Counts,
        context: &dyn Fn() -> String,
    ) {
        let report = self.scan();
        let stays: Vec<String> = plan["stays"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| format!("{} {}", one["check"], one["subject"]))
            .collect();
        let mut planned: Vec<String> = plan["effects"]
            .as_array()
            .unwrap()
            .iter()
            .map(|effect| effect["detail"].to_string().to_ascii_lowercase())
            .collect();
        for effect in plan["effects"].as_array().unwrap() {
            for reason in effect["reasons"].as_array().unwrap() {
                let left = report["checks"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|one| one["id"] == reason["check"])
                    .flat_map(|one| one["findings"].as_array().unwrap())
                    .any(|finding| finding["subject"] == reason["subject"]);
                let told = stays.contains(&format!("{} {}", reason["check"], reason["subject"]));
                assert!(!left || told, "{}\nstill found: {reason}", context());
            }
        }
        let running = report["checks"].as_array().unwrap().iter().find(|one| one["id"] == "sshd.running").unwrap();
        assert!(!running["findings"].to_string().contains("disagrees"), "{}\n{running}", context());
        // An alias turns on or off what it stands for.
        planned.push("challengeresponseauthentication kbdinteractiveauthentication".to_owned());
        let Some(before) = before else { return };
        let after = self.settings();
        for (place, line) in after.iter().filter(|line| !before.contains(line)) {
            let keyword = line.split(' ').next().unwrap();
            counts.settings += 1;
            assert!(
                planned.iter().any(|detail| detail.contains(keyword)),
                "{}\n{place}: {line} was not planned",
                context()
            );
        }
    }

    /// Who used a key before still can, unless the plan was told to cut him; whoever the guard named can in any case.
    fn log_in(&self, plan: &Value, counts: &mut Counts, context: &dyn Fn() -> String) {
        self.host.sshd_answers().unwrap_or_else(|error| panic!("{}: sshd is gone: {error:#}", context()));
        let kept = plan["guards"].to_string();
        for account in self.accounts.iter().filter(|account| account.used) {
            let outcomes: Vec<bool> = [PUBLIC_CLIENT, PRIVATE_CLIENT]
                .iter()
                .map(|source| self.client.login(account.name, source, &With::Key(account.key.clone())).unwrap().shell)
                .collect();
            counts.logins += 1;
            let accepted = account.name == "dev" && kept.contains("as you accepted");
            assert!(
                outcomes.contains(&true) || accepted,
                "{}\n{} ({}) is locked out, keyed {}",
                context(),
                account.name,
                account.line,
                account.keyed
            );
        }
    }
}

/// Whether a plan makes sshd read its configuration again.
fn reloads(plan: &Value) -> bool {
    plan["effects"].as_array().unwrap().iter().any(|effect| effect["kind"] == "unit")
}

/// A random configuration, most of it open, some of it closed in ways of its own.
fn config(rng: &mut Rng) -> String {
    let mut lines = Vec::new();
    let mut add = |rng: &mut Rng, percent: usize, choices: &[&str]| {
        if rng.chance(percent) {
            lines.push(rng.pick(choices).to_owned());
        }
    };
    add(
        rng,
        70,
        &[
            "PermitRootLogin yes",
            "PermitRootLogin prohibit-password",
            "PermitRootLogin no",
            "permitrootlogin without-password",
        ],
    );
    add(rng, 60, &["PasswordAuthentication yes", "PasswordAuthentication no", "PasswordAuthentication=yes"]);
    add(rng, 50, &["ChallengeResponseAuthentication no", "ChallengeResponseAuthentication yes"]);
    add(
        rng,
        25,
        &[
            "AllowUsers root ops dev",
            "AllowUsers ops",
            "AllowGroups admins",
            "DenyUsers dev",
            "AllowUsers root@172.31.0.0/24 ops",
        ],
    );
    add(
        rng,
        15,
        &[
            "AuthenticationMethods publickey",
            "AuthenticationMethods publickey,password",
            "AuthenticationMethods publickey password",
        ],
    );
    add(rng, 15, &["PubkeyAuthentication no", "PubkeyAuthentication yes"]);
    add(
        rng,
        20,
        &["MaxAuthTries 20", "LoginGraceTime 0", "ClientAliveInterval 0", "LogLevel QUIET", "X11Forwarding yes"],
    );
    add(
        rng,
        10,
        &["AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/keys/%u", "StrictModes no", "PermitEmptyPasswords yes"],
    );
    // sshd refuses to start with methods that can never be satisfied.
    let off = ["PubkeyAuthentication no", "PasswordAuthentication no"];
    if lines.iter().any(|line| off.contains(&line.as_str())) {
        lines.retain(|line| !line.starts_with("AuthenticationMethods"));
    }
    // Many attempts of a test are none of an attacker.
    lines.push("MaxStartups 400:30:800".to_owned());
    let matches = [
        "Match User dev",
        "Match Address 172.31.0.0/24",
        "Match Group admins",
        "Match Address 203.0.113.0/24,10.0.0.0/8",
        "Match User root,ops",
    ];
    let inside = [
        "PasswordAuthentication yes",
        "PermitRootLogin yes",
        "PasswordAuthentication no",
        "X11Forwarding yes # kept",
        "AuthenticationMethods publickey",
        "PubkeyAuthentication no",
    ];
    for _ in 0..rng.below(3) {
        lines.push(rng.pick(&matches).to_owned());
        for _ in 0..=rng.below(2) {
            lines.push(format!("\t{}", rng.pick(&inside)));
        }
    }
    lines.push("Match all".to_owned());
    let end = if rng.chance(15) { "\r\n" } else { "\n" };
    let mut text = lines.join(end) + end;
    if rng.chance(30) {
        text = format!("# ours, do not touch{end}{text}");
    }
    text
}

#[test]
fn whoever_the_guard_named_still_logs_in() {
    let each = Tier::current().pick(4, 112);
    let suites: Vec<Suite> = SUITES
        .iter()
        .filter(|name| Tier::current() == Tier::Long || !["sid", "resolute"].contains(*name))
        .filter_map(|name| match Suite::find(name) {
            Ok(suite) => Some(suite),
            Err(_) => {
                results::skipped("fix-lockout", name, "no root file system");
                None
            }
        })
        .collect();
    let only = std::env::var("HOSTWARD_TEST_SUITE").ok();
    let work = |suite: &Suite| {
        let seed = SUITES.iter().position(|name| *name == suite.name()).unwrap() as u64;
        let mut rng = Rng::new(0x10c0 + seed);
        let host = Host::of(suite).bind(&hostward_tests::binary().unwrap(), "/usr/local/bin/hostward").boot().unwrap();
        host.keep().unwrap();
        let client = Client::of(&host).unwrap();
        let mut counts = Counts::default();
        for number in 0..each {
            let mut state = rng.fork();
            State::new(&host, &client, suite.name(), number, &mut state).run(&mut state, &mut counts);
        }
        results::tested(
            "fix-lockout",
            suite.name(),
            format!(
                "{each} states: {} applied, {} refused {:?}, {} nothing to do; {} logins kept, {} settings changed as planned",
                counts.applied, counts.refused, counts.why, counts.nothing, counts.logins, counts.settings
            ),
        );
        counts.applied
    };
    let queue = std::sync::Mutex::new(
        suites.iter().filter(|suite| only.as_deref().is_none_or(|only| only == suite.name())).collect::<Vec<_>>(),
    );
    let applied: usize = thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut applied = 0;
                    loop {
                        let Some(suite) = queue.lock().unwrap().pop() else { return applied };
                        applied += work(suite);
                    }
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert!(applied > 0, "no state was fixed: the test proves nothing");
}
