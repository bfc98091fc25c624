//! What the policy names is fixed by the resident's applier on a booted host, under its own units: nothing else, not against a hold
//! or a window or a guard, not again and again.

#![cfg(test)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hostward::transaction::Stage;
use hostward_checks::guard::Confirm;
use hostward_tests::host::{Host, PUBLIC_CLIENT};
use hostward_tests::place::{Place, is_waiting, text};
use hostward_tests::results;
use hostward_tests::suite::{Suite, chosen};
use hostward_tests::tier::Tier;
use serde_json::Value;

const TEST: &str = "agent_remedy";
const LONGEST: Duration = Duration::from_secs(90);
const UNITS: [(&str, &str); 5] = [
    ("system/hostward.service", include_str!("../../systemd/hostward.service")),
    ("system/hostward-fix@.service", include_str!("../../systemd/hostward-fix@.service")),
    ("system/hostward-recover.service", include_str!("../../systemd/hostward-recover.service")),
    ("system/hostward-fix-.service.d/sandbox.conf", include_str!("../../systemd/hostward-fix.conf")),
    ("system/hostward-revert-.service.d/sandbox.conf", include_str!("../../systemd/hostward-fix.conf")),
];

/// A host with the units of a package, and a resident that runs.
struct Lab {
    place: Place,
}

impl Lab {
    fn of(suite: &Suite) -> Self {
        let mut plan = Host::of(suite);
        for place in ["/usr/bin/hostward", "/usr/local/bin/hostward"] {
            plan = plan.bind(&hostward_tests::binary().unwrap(), place);
        }
        for (name, unit) in UNITS {
            plan = plan.file(&format!("/usr/lib/systemd/{name}"), unit, 0o644);
        }
        let tmpfiles = include_str!("../../systemd/hostward.tmpfiles");
        let plan = plan.file("/usr/lib/tmpfiles.d/hostward.conf", tmpfiles, 0o644);
        let place = Place::booted(plan.file("/etc/hostward/policy.toml", "", 0o644).boot().unwrap());
        let lab = Self { place };
        lab.run("systemctl start hostward");
        lab
    }

    fn run(&self, script: &str) -> String {
        self.place.host.shell(script).unwrap_or_else(|error| panic!("{error:#}\n{}", self.told()))
    }

    fn told(&self) -> String {
        let script = "journalctl -q --no-pager -o short -n 150 -u 'hostward*'; hostward status; cat /var/lib/hostward/remedy.json";
        self.place.host.shell(&format!("{{ {script}; }} 2>&1 || :")).unwrap_or_default()
    }

    /// Puts a policy in place of the one before.
    fn policy(&self, remediate: &str) {
        let file = "/etc/hostward/policy.toml";
        self.run(&format!(
            "printf '%s\\n' '[remediate]' '{remediate}' >{file}.new; mv {file}.new {file}; hostward validate"
        ));
    }

    /// The events so far, each once: after a kill one may be told again, under its id.
    fn events(&self, check: &str, kind: &str) -> Vec<Value> {
        let text = self.place.host.shell("cat /var/log/hostward/events.jsonl").unwrap_or_default();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut ids = BTreeSet::new();
        events
            .filter(|event| event["check"] == check && event["event"] == kind)
            .filter(|event| ids.insert(event["event_id"].to_string()))
            .collect()
    }

    fn waits<T>(&self, what: &str, ask: impl Fn() -> Option<T>) -> T {
        let from = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(from.elapsed() < LONGEST, "{}: {what}\n{}", self.place.host.name(), self.told());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits for the event of this number, and returns it.
    fn event(&self, check: &str, kind: &str, number: usize) -> Value {
        self.waits(&format!("{kind} {number} of {check}"), || self.events(check, kind).get(number - 1).cloned())
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.run("hostward status --json")).unwrap()
    }

    fn shadow(&self) -> String {
        self.run("stat -c %a /etc/shadow").trim().to_owned()
    }

    /// Makes /etc/shadow readable for everybody, and waits until the resident has seen it.
    fn opened(&self) {
        let seen = self.events("accounts.files", "new").len();
        self.run("chmod 644 /etc/shadow");
        self.event("accounts.files", "new", seen + 1);
    }

    /// Has the applier started by hand, as a resident would that was talked into it: what it says.
    fn forced(&self, check: &str) -> String {
        self.run(&format!(
            "systemctl start hostward-fix@{check}.service
             journalctl --sync 2>/dev/null || :
             journalctl -q --no-pager -o cat -n 40 -u hostward-fix@{check}.service"
        ))
    }
}

/// Only what is named is fixed; and that, within moments.
fn named(lab: &Lab) -> String {
    lab.policy("checks = [\"keys.permissions\"]");
    lab.opened();
    let from = Instant::now();
    lab.run("chmod 777 /home/plain/.ssh");
    let fixed = lab.event("keys.permissions", "fixed", 1);
    let took = from.elapsed().as_secs_f64();
    assert_eq!(lab.run("stat -c %a /home/plain/.ssh").trim(), "755");
    assert_eq!(lab.shadow(), "644", "nobody named it");
    let id = fixed["transaction"].as_str().unwrap();
    assert_eq!(fixed["rollback"], format!("hostward rollback {id}"));
    assert_eq!(lab.place.stage(id), Stage::Confirmed);
    let journal = lab.run(&format!("journalctl -q -o cat HOSTWARD_EVENT=fixed HOSTWARD_TRANSACTION={id}"));
    assert!(journal.contains("keys.permissions") && journal.contains("hostward rollback"), "{journal}");
    let said = lab.forced("accounts.files");
    assert!(said.contains("the policy does not let a resident fix accounts.files"), "{said}");
    assert_eq!(lab.shadow(), "644");
    format!("named and fixed {took:.1} s after it was broken, another not")
}

/// While the hold stands nothing is fixed, whoever asks; once it is gone, what is open is.
fn held(lab: &Lab) {
    lab.run("echo 'change 4711' >/etc/hostward/hold");
    lab.policy("checks = [\"keys.permissions\", \"accounts.files\"]");
    lab.waits("the hold is seen", || {
        let status = lab.status();
        let named = &status["remediation"];
        (named["hold"] == "change 4711" && named["checks"][1] == "accounts.files").then_some(())
    });
    let text = lab.run("hostward status --lang zh");
    assert!(text.contains("change 4711"), "{text}");
    let said = lab.forced("accounts.files");
    assert!(said.contains("/etc/hostward/hold stands: change 4711"), "{said}");
    assert_eq!(lab.shadow(), "644");
    lab.run("rm /etc/hostward/hold");
    lab.event("accounts.files", "fixed", 1);
    assert_eq!(lab.shadow(), "640");
    lab.event("accounts.files", "resolved", 1);
}

/// While another fix waits to be confirmed nothing is fixed; that is waited for.
fn another_waits(lab: &Lab) {
    let id = lab.place.begin("VersionAddendum waits\n", Confirm::Login, 300);
    assert!(lab.place.apply(&id).status.success());
    lab.run("chmod 777 /home/plain/.ssh");
    lab.event("keys.permissions", "new", 2);
    let said = lab.forced("keys.permissions");
    assert!(said.contains(&format!("transaction {id} waits to be confirmed")), "{said}");
    assert_eq!(lab.run("stat -c %a /home/plain/.ssh").trim(), "777");
    assert!(is_waiting(&lab.place.stage(&id)));
    lab.run(&format!("hostward rollback {id}"));
    lab.forced("keys.permissions");
    assert_eq!(lab.run("stat -c %a /home/plain/.ssh").trim(), "755");
}

/// Outside of the window nothing is fixed, whoever asks.
fn outside(lab: &Lab) {
    let window = lab.run("echo $(date -d '+6 hours' +%H:%M)-$(date -d '+7 hours' +%H:%M)");
    lab.policy(&format!("checks = [\"accounts.files\"]\nwindow = \"{}\"", window.trim()));
    lab.waits("the window is seen", || (lab.status()["remediation"]["open"] == false).then_some(()));
    lab.opened();
    let said = lab.forced("accounts.files");
    assert!(said.contains("outside of the maintenance window"), "{said}");
    assert_eq!(lab.shadow(), "644");
    // The resident dies in between, and knows what it was told when it comes back.
    lab.run("systemctl kill -s KILL hostward");
    lab.policy("checks = [\"accounts.files\"]\nwindow = [\"00:00-24:00\"]");
    lab.run("systemctl stop hostward; systemctl start hostward");
    lab.event("accounts.files", "fixed", 2);
    assert_eq!(lab.shadow(), "640");
    lab.event("accounts.files", "resolved", 2);
}

/// What comes back a third time is told once, with who wrote, and left alone.
fn contended(lab: &Lab) {
    lab.opened();
    let told = lab.event("accounts.files", "contended", 1);
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("/etc/shadow") && message.contains("uid 0"), "{message}");
    assert_eq!(lab.shadow(), "644");
    lab.run("systemctl kill -s KILL hostward; systemctl stop hostward; systemctl start hostward");
    lab.run("chmod 640 /etc/shadow");
    lab.event("accounts.files", "resolved", 3);
    lab.opened();
    let said = lab.forced("accounts.files");
    assert!(said.contains("nothing is to be fixed now"), "{said}");
    assert_eq!(lab.shadow(), "644");
    assert_eq!(lab.events("accounts.files", "contended").len(), 1);
    assert_eq!(lab.events("accounts.files", "fixed").len(), 2);
    lab.run("chmod 640 /etc/shadow");
}

/// Nobody is known to hold a key: root's password stays the way in, and that is told once.
fn refused(lab: &Lab) {
    lab.policy("checks = [\"sshd.root-login\"]");
    lab.run(
        "echo 'root:Quite-a-long-one-4711' | chpasswd
         sed -i '1i PermitRootLogin yes\\nPasswordAuthentication yes' /etc/ssh/sshd_config; systemctl reload ssh.service",
    );
    let before = lab.place.config();
    let told = lab.event("sshd.root-login", "refused", 1);
    assert!(told.get("transaction").is_none(), "{told}");
    let message = told["message"].as_str().unwrap();
    assert!(message.starts_with("is not fixed: ") && message.len() > 40, "{message}");
    lab.forced("sshd.root-login");
    assert!(lab.place.config() == before);
    assert_eq!(lab.events("sshd.root-login", "refused").len(), 1);
}

/// With a key that was seen in use it is fixed, and who holds the key gets in all the while. Its transaction.
fn with_a_login(lab: &Lab) -> String {
    let place = &lab.place;
    let login = place.client.run("root", PUBLIC_CLIENT, &place.key, &[], "true").unwrap();
    assert!(login.status.success(), "{}", Place::said(&login));
    // What was refused is asked for again with another policy, without waiting.
    lab.policy("checks = [\"sshd.root-login\", \"keys.weak\"]");
    let begun = lab.event("sshd.root-login", "attempted", 1);
    let id = begun["transaction"].as_str().unwrap().to_owned();
    place.await_stage(&id, is_waiting);
    let login = place.client.run("root", PUBLIC_CLIENT, &place.key, &[], "id -u").unwrap();
    assert_eq!(text(&login.stdout), "0\n");
    id
}

/// What takes sshd away while the probe looks has the fix rolled back; the resident may be dead meanwhile.
fn probed(lab: &Lab) {
    let id = with_a_login(lab);
    lab.run("systemctl kill -s KILL hostward; systemctl stop ssh.socket ssh.service 2>/dev/null || systemctl stop ssh.service");
    lab.place.await_stage(&id, |stage| matches!(stage, Stage::Undone { .. }));
    lab.run("systemctl stop hostward; systemctl start hostward");
    let told = lab.event("sshd.root-login", "rolled-back", 1);
    assert_eq!(told["transaction"], id);
    lab.run("! systemctl is-enabled -q ssh.socket || systemctl start ssh.socket; systemctl start ssh.service");
    let said = lab.forced("sshd.root-login");
    assert!(said.contains("nothing is to be fixed now"), "{said}");
}

/// Once nobody is in the way it stays, and `hostward rollback` is the end of it.
fn confirmed(lab: &Lab) {
    // An hour passes, as far as what was tried is concerned.
    lab.run("sed -i 's/\"boot_id\":\"[^\"]*\"/\"boot_id\":\"x\"/g; s/\"at\":\"[^\"]*\"/\"at\":\"'$(date -u -d '-2 hours' +%FT%TZ)'\"/g' /var/lib/hostward/remedy.json");
    lab.policy("checks = [\"sshd.root-login\"]");
    let fixed = lab.event("sshd.root-login", "fixed", 1);
    let id = fixed["transaction"].as_str().unwrap();
    assert!(lab.place.client.run("root", PUBLIC_CLIENT, &lab.place.key, &[], "true").unwrap().status.success());
    lab.run(&format!("hostward rollback {id}"));
    let told = lab.event("sshd.root-login", "contended", 1);
    assert!(told["message"].as_str().unwrap().contains("was rolled back"), "{told}");
    assert_eq!(lab.events("sshd.root-login", "fixed").len(), 1);
}

/// Where nobody knows what was tried, nothing is for a day, and that is told.
fn forgotten(lab: &Lab) {
    lab.run("echo '{' >/var/lib/hostward/remedy.json");
    lab.policy("checks = [\"accounts.files\"]");
    lab.opened();
    lab.waits("what was tried is lost", || {
        lab.status()["troubles"].to_string().contains("nothing is fixed for a day").then_some(())
    });
    assert_eq!(lab.shadow(), "644");
    lab.run("test -s /var/lib/hostward/remedy.json.broken");
}

fn on_host(name: &'static str, long: bool) {
    let Ok(suite) = Suite::find(name) else {
        results::skipped(TEST, name, "NOT TESTED: there is no root file system of it");
        return;
    };
    let from = Instant::now();
    let lab = Lab::of(&suite);
    let mut figures = named(&lab);
    held(&lab);
    another_waits(&lab);
    outside(&lab);
    contended(&lab);
    refused(&lab);
    if long {
        probed(&lab);
        confirmed(&lab);
        figures.push_str("; rolled back when sshd went, then confirmed by looking");
    } else {
        with_a_login(&lab);
    }
    let attempts = lab.status()["remediation"]["attempts"].as_array().unwrap().len();
    if long {
        forgotten(&lab);
    }
    results::tested(TEST, name, format!("{figures}; {attempts} attempts ({} s)", from.elapsed().as_secs()));
}

#[test]
fn what_the_policy_names_is_fixed_and_nothing_else() {
    let long = Tier::current() == Tier::Long;
    for name in chosen(if long { &["bookworm", "trixie", "bionic", "focal", "jammy", "noble"] } else { &["bookworm"] })
    {
        on_host(name, long);
    }
}

/// The applier's own unit and those of its transactions are in one sandbox.
#[test]
fn the_applier_is_in_the_sandbox_of_its_transactions() {
    let words = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains('=') && !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    let unit = words(UNITS[1].1);
    for word in words(UNITS[3].1) {
        assert!(unit.contains(&word), "hostward-fix@.service lacks {word}");
    }
}
