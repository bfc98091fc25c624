//! What Cloud Assistant may count on: each command of ours, run as its agent runs one.

#![cfg(test)]

use std::time::Duration;

use hostward::transaction::Stage;
use hostward_checks::guard::Confirm;
use hostward_tests::assistant::{Input, QUOTA, Ran, Running, USUAL, Way, run, start};
use hostward_tests::host::{Host, PUBLIC_CLIENT};
use hostward_tests::place::{Place, is_waiting};
use hostward_tests::results;
use hostward_tests::rng::Rng;
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;
use serde_json::Value;

const TEST: &str = "cloud-assistant";
/// Every exit code of ours. The agent takes 193 and 194 for itself, the plugin manager 232 to 247, shells what is above 125.
const CODES: [i32; 8] = [0, 1, 2, 3, 4, 64, 75, 78];
/// What the API waits for where nobody says otherwise.
const TIME_OUT: Duration = Duration::from_secs(60);

/// Accounts of which each has something to find: keys that others can write, sudo without a password. `$1` of them, `$2` of these with
/// a password, which nobody finds.
const CROWD: &str = r#"
    key=$(cat /root/.ssh/authorized_keys); hash=$(printf 'x%.0s' $(seq 86))
    for i in $(seq "$1"); do
      echo "u$i:x:$((3000+i)):100::/home/u$i:/bin/bash" >>/etc/passwd
      password='*'; [ "$i" -gt "$2" ] || password="\$6\$salt$i\$$hash"
      echo "u$i:$password:20000:0:99999:7:::" >>/etc/shadow
      echo "u$i ALL=(ALL) NOPASSWD: ALL" >>/etc/sudoers.d/crowd
      mkdir -p "/home/u$i/.ssh"; echo "$key" >"/home/u$i/.ssh/authorized_keys"; chmod 666 "/home/u$i/.ssh/authorized_keys"
      chown -R $((3000+i)):100 "/home/u$i"
    done
    chmod 440 /etc/sudoers.d/crowd"#;

/// One of the scripts that are pasted into RunCommand.
fn script(name: &str) -> String {
    let path = format!("{}/../packaging/cloud-assistant/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn place() -> Place {
    let suite = Suite::find("bookworm").unwrap();
    Place::on(Host::of(&suite).bind(&hostward_tests::binary().unwrap(), "/usr/bin/hostward"))
}

/// What holds for whatever is run.
fn allowed(ran: &Ran, what: &str) {
    let code = ran.code.unwrap_or_else(|| panic!("{what} was killed: {}", ran.said));
    assert!(CODES.contains(&code), "{what}: exit code {code}: {}", ran.said);
    assert!(ran.said.len() < QUOTA, "{what}: {} bytes", ran.said.len());
    let control = ran.said.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "{what}: {}", ran.said);
}

fn summary(ran: &Ran) -> Value {
    assert!(ran.said.len() <= 8192, "{} bytes of a summary", ran.said.len());
    serde_json::from_str(&ran.said).unwrap_or_else(|error| panic!("{error}: {}", ran.said))
}

/// The verdict is the last line but what says where the rest is.
fn verdict_last(ran: &Ran) {
    let last: Vec<&str> = ran.said.lines().rev().take(2).collect();
    assert!(last.iter().any(|line| line.starts_with("FAIL: ") || line.starts_with("未通过")), "{last:?}");
}

#[test]
fn output_stays_in_its_bounds_on_a_crowded_host() {
    let place = place();
    let (accounts, hashed) = Tier::current().pick((150, 1), (500, 500));
    let crowd =
        place.host.command("bash").args(["-ec", CROWD, "bash", &accounts.to_string(), &hashed.to_string()]).output();
    assert!(crowd.unwrap().status.success());
    // With the budget that everybody has, two at the same time.
    let scan = script("scan.sh");
    let text = Tier::current().pick("exec /usr/bin/hostward scan --password-budget 0", "exec /usr/bin/hostward scan");
    let both = [start(&place.host, &scan, USUAL), start(&place.host, text, USUAL)];
    let [short, long] = both.map(Running::wait);
    for (ran, what) in [(&short, "scan.sh"), (&long, "scan")] {
        allowed(ran, what);
        assert_eq!(ran.code, Some(1), "{what}: {}", ran.said);
    }
    let found = summary(&short);
    let counts = found["summary"]["counts"].as_object().unwrap();
    let findings: u64 = counts.values().filter_map(Value::as_u64).sum();
    assert!(findings > accounts, "{found}");
    verdict_last(&long);
    let took = short.took.max(long.took);
    assert!(took < 3 * TIME_OUT, "{took:?}");

    // Whatever shell there is, and whether there is an input or not even that; in both languages.
    let quick = |arguments: &str| format!("#!/bin/sh\nexec /usr/bin/hostward scan --password-budget 0 {arguments}\n");
    let ways = [
        (None, Input::Null),
        (Some("bash"), Input::Closed),
        (Some("dash"), Input::Null),
        (Some("/bin/sh"), Input::Closed),
    ];
    for (shell, input) in ways {
        let ran = run(&place.host, &quick("--format json-summary"), Way { shell, input, ..USUAL });
        allowed(&ran, "json-summary");
        assert_eq!(summary(&ran)["summary"]["verdict"], "fail", "{shell:?} {input:?}");
    }
    for (language, input) in [("en", Input::Closed), ("zh", Input::Null)] {
        let ran = run(&place.host, &quick(&format!("--lang {language}")), Way { input, ..USUAL });
        allowed(&ran, language);
        verdict_last(&ran);
    }
    // Hundreds of findings that no fix closes.
    let plan = run(&place.host, "/usr/bin/hostward fix --password-budget 0", USUAL);
    allowed(&plan, "a plan");
    let last = plan.said.lines().last().unwrap();
    assert!(last.starts_with("PLAN: ") || last.starts_with("REFUSED: "), "{}", plan.said);
    results::tested(
        TEST,
        "output",
        format!(
            "{accounts} accounts ({hashed} with passwords), {findings} findings: summary {} bytes, text {} bytes, two scans at once {:.1} s",
            short.said.len(),
            long.said.len(),
            took.as_secs_f64()
        ),
    );
}

/// What brings each exit code about: the code, what is done before, what is run, what is undone.
const EXITS: [(&[i32], &str, &str, &str); 22] = [
    (&[0], ":", "/usr/bin/hostward scan --password-budget 0 --exit-zero", ":"),
    (&[1], "chmod 644 /etc/shadow", "/usr/bin/hostward scan --only accounts.files", "chmod 640 /etc/shadow"),
    (&[2], "mkdir -p /srv/empty", "/usr/bin/hostward scan --root /srv/empty", ":"),
    (&[0, 1], ":", "/usr/bin/hostward fix --password-budget 0", ":"),
    (
        &[3],
        "mv /root/.ssh /root/was; mv /home/admin/.ssh /home/admin/was; echo admin:a-word-nobody-tries | chpasswd",
        "/usr/bin/hostward fix --apply --password-budget 0 sshd.password-login",
        "mv /root/was /root/.ssh; mv /home/admin/was /home/admin/.ssh; usermod -p '*' admin",
    ),
    (&[3], ":", "/usr/bin/hostward status", ":"),
    (&[4], ":", "/usr/bin/hostward scan --password-budget 0 --output /nowhere/at/all", ":"),
    (
        &[3],
        "chmod 755 /var/lib/hostward; mkdir -p /var/lib/hostward/transactions; chmod 777 /var/lib/hostward/transactions",
        "/usr/bin/hostward history",
        "chmod 700 /var/lib/hostward /var/lib/hostward/transactions",
    ),
    (&[4], ":", "/usr/bin/hostward rollback 20200101-000000-none", ":"),
    (&[64], ":", "/usr/bin/hostward scan --no-such-word", ":"),
    (&[64], ":", "/usr/bin/hostward --status", ":"),
    (&[64], ":", "/usr/bin/hostward", ":"),
    (&[64], ":", "/usr/bin/hostward scan --only no.such", ":"),
    (&[78], "mkdir -p /etc/hostward; echo 'profil = 1' >/etc/hostward/policy.toml", "/usr/bin/hostward scan", ":"),
    (&[78], ":", "/usr/bin/hostward fix --apply", ":"),
    (&[1, 78], ":", "/usr/bin/hostward validate", "rm /etc/hostward/policy.toml"),
    // Whoever collects the output has gone, or its disk is full.
    (&[0, 1, 4], ":", "/usr/bin/hostward scan --password-budget 0 >&-", ":"),
    (&[0, 1, 4], ":", "/usr/bin/hostward scan --password-budget 0 >&- 2>&-", ":"),
    (&[0, 1, 4], ":", "/usr/bin/hostward scan --password-budget 0 --format json >/dev/full", ":"),
    (
        &[0, 1, 4],
        ":",
        "{ /usr/bin/hostward scan --password-budget 0; echo $? >/root/code; } | :; read code </root/code; exit $code",
        ":",
    ),
    // Nothing that it would like to have.
    (&[0, 1, 4], ":", "ulimit -n 16; /usr/bin/hostward scan --password-budget 0", ":"),
    (&[3], ":", "/usr/bin/hostward confirm", ":"),
];

#[test]
fn no_way_ends_with_a_code_that_means_something_else() {
    let place = place();
    let mut seen = Vec::new();
    for (codes, before, content, after) in EXITS {
        place.host.shell(before).unwrap();
        let ran = run(&place.host, content, USUAL);
        allowed(&ran, content);
        assert!(codes.contains(&ran.code.unwrap()), "{content}: {:?}: {}", ran.code, ran.said);
        place.host.shell(after).unwrap();
        seen.extend(ran.code);
    }
    // Two fixes at a time: the second one does not wait for a confirmation that takes its time.
    let id = place.begin("VersionAddendum assisted\n", Confirm::Login, 600);
    assert!(place.apply(&id).status.success());
    place.await_stage(&id, is_waiting);
    let busy = run(&place.host, "/usr/bin/hostward fix --apply --password-budget 0", USUAL);
    allowed(&busy, "a second fix");
    assert_eq!(busy.code, Some(75), "{}", busy.said);
    let undone = run(&place.host, &script("rollback.sh"), USUAL);
    assert_eq!(undone.code, Some(0), "{}", undone.said);
    seen.push(75);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, CODES, "every code is seen, and no other");
    results::tested(TEST, "exits", format!("{} ways end with {seen:?}", EXITS.len() + 1));
}

/// Nothing of ours runs, and what it keeps can be read.
fn unharmed(place: &Place, what: &str) {
    // Whoever was killed is still there until the host's first process has taken note.
    let gone = "for i in $(seq 50); do pgrep -x hostward >/dev/null || break; sleep 0.1; done; ! pgrep -ax hostward";
    place.host.shell(gone).unwrap_or_else(|error| panic!("{what}: something runs on: {error}"));
    let report = place.host.shell("cat /var/lib/hostward/report.json 2>/dev/null || :").unwrap();
    if !report.is_empty() {
        serde_json::from_str::<Value>(&report).unwrap_or_else(|error| panic!("{what}: {error}: {report}"));
    }
}

/// A time-out in the middle: of a scan at any moment, of a fix before it has begun and while it is under way.
#[test]
fn a_time_out_in_the_middle_leaves_nothing_broken() {
    let place = place();
    let (scan, mut random, mut killed) = (script("scan.sh"), Rng::new(0x7469_6d65), 0);
    let whole = run(&place.host, "/usr/bin/hostward scan --password-budget 0", USUAL);
    let times = Tier::current().pick(10, 200);
    for _ in 0..times {
        let running = start(&place.host, &scan, USUAL);
        std::thread::sleep(whole.took.mul_f64(random.below(150) as f64 / 100.0));
        killed += usize::from(running.time_out().code.is_none());
        unharmed(&place, "a scan");
    }
    assert!(killed > times / 2, "{killed} of {times} were killed");
    let again = run(&place.host, "/usr/bin/hostward scan --password-budget 0", USUAL);
    allowed(&again, "the scan after");
    assert_eq!(again.code, whole.code);
    // What was half written goes with a later scan, when nobody can be writing it any more.
    let left = "find /var/lib/hostward -name '.hostward-*'";
    place.host.shell(&format!("{left} -exec touch -d '2 hours ago' {{}} +")).unwrap();
    run(&place.host, "/usr/bin/hostward scan --password-budget 0", USUAL);
    assert_eq!(place.host.shell(left).unwrap(), "");

    let fix = script("fix.sh").trim_end().to_owned() + " --confirm-within 10s --password-budget 0 sshd.forwarding\n";
    let before = place.config();
    for _ in 0..Tier::current().pick(2, 20) {
        // Before it has handed over to its unit.
        let running = start(&place.host, &fix, USUAL);
        std::thread::sleep(whole.took.mul_f64(random.below(50) as f64 / 100.0));
        running.time_out();
        let begun = place.host.shell("ls /var/lib/hostward/transactions 2>/dev/null || :").unwrap();
        if begun.is_empty() {
            assert_eq!(place.config(), before);
            unharmed(&place, "a fix");
        } else {
            let store = place.await_transaction("a fix that was killed early");
            place.await_stage(&store, |stage| stage.is_final());
            run(&place.host, &script("rollback.sh"), USUAL);
            place.host.shell("rm -r /var/lib/hostward/transactions").unwrap();
        }
    }
    let running = start(&place.host, &fix, USUAL);
    let id = place.await_transaction("a fix that is timed out");
    running.time_out();
    // It goes on in its unit, looks again, and is confirmed by that.
    let ended = place.await_stage(&id, Stage::is_final);
    assert_eq!(ended, Stage::Confirmed);
    assert_ne!(place.config(), before);
    place.await_banner(|banner| banner.starts_with("SSH-2.0-"));
    let undone = run(&place.host, &script("rollback.sh"), USUAL);
    allowed(&undone, "rollback.sh");
    assert_eq!((undone.code, place.config()), (Some(0), before));
    results::tested(TEST, "time-out", format!("{killed} scans and a fix killed with their process group"));
}

/// The commands of the documents, as they stand: a fix that looks again for a while, and its undoing.
#[test]
fn a_fix_and_its_undoing_work_as_commands() {
    let place = place();
    let before = place.host.files().unwrap();
    for shell in Tier::current().pick(&["bash"][..], &["bash", "dash"]) {
        let way = Way { shell: Some(*shell), input: Input::Closed, ..USUAL };
        let short = |script: String| {
            Tier::current()
                .pick(script.trim_end().to_owned() + " --confirm-within 10s --password-budget 0\n", script.clone())
        };
        let fixed = run(&place.host, &short(script("fix.sh")), way);
        allowed(&fixed, "fix.sh");
        assert!(matches!(fixed.code, Some(0 | 1)), "{}", fixed.said);
        assert!(fixed.said.lines().last().unwrap().starts_with("DONE: "), "{}", fixed.said);
        assert_ne!(place.host.files().unwrap(), before);
        assert!(place.client.run("root", PUBLIC_CLIENT, &place.key, &[], "true").unwrap().status.success());
        let undone = run(&place.host, &script("rollback.sh"), way);
        allowed(&undone, "rollback.sh");
        assert_eq!(undone.code, Some(0), "{}", undone.said);
        assert_eq!(place.host.files().unwrap(), before);
        let nothing = run(&place.host, &script("rollback.sh"), way);
        allowed(&nothing, "rollback.sh without a fix");
        results::tested(
            TEST,
            shell,
            format!(
                "fix.sh {:.1} s, {} bytes; rollback.sh {:.1} s; again: exit {:?}",
                fixed.took.as_secs_f64(),
                fixed.said.len(),
                undone.took.as_secs_f64(),
                nothing.code
            ),
        );
    }
}
