//! The resident on a booted host: started as its unit does, what it tells, and what it calls open.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::host::Host;
use crate::suite::Suite;

mod follower;

pub use follower::Follower;

/// Starts the resident as its unit does, from the binary under test.
pub const START: &str = "
    systemctl reset-failed hostward 2>/dev/null || true
    systemd-run -q --unit=hostward --service-type=notify -p RuntimeDirectory=hostward -p RuntimeDirectoryMode=0700 \
        -p WatchdogSec=180 -p NotifyAccess=main -p 'ExecStartPre=/usr/local/bin/hostward agent --trace=begin' \
        -p 'ExecStopPost=/usr/local/bin/hostward agent --trace=end' /usr/local/bin/hostward agent";

/// Two accounts, for what is done to them: `ops` has a key, `new` has no directory for one.
pub const ACCOUNTS: &str = "
    useradd -m -s /bin/bash ops; useradd -m -s /bin/bash new
    install -d -m 700 -o ops -g ops /home/ops/.ssh
    ssh-keygen -q -t ed25519 -N '' -f /root/k </dev/null; cat /root/k.pub >/home/ops/.ssh/authorized_keys; cp /root/k.pub /home/new/
    chown ops:ops /home/ops/.ssh/authorized_keys; chmod 600 /home/ops/.ssh/authorized_keys
    mkdir -p /etc/ssh/sshd_config.d
    echo 'LoginGraceTime 30' >/etc/ssh/sshd_config.d/50-t.conf; systemctl reload-or-restart ssh.service";

/// Whose accounts are concerned is told to nobody: a scan names each, the resident says how many.
const SECRET: [&str; 3] = ["accounts.empty-password", "accounts.shared-password", "sshd.empty-password"];

/// How long something may take to be told before it counts as never told.
const LONGEST: Duration = Duration::from_secs(60);

/// How long what a scan found is waited for before there is another one.
const SCANNED: Duration = Duration::from_secs(10);

/// A resident and its host.
#[derive(Debug)]
pub struct Resident {
    /// The host.
    pub host: Host,
}

impl Resident {
    /// A host of the suite with the binary under test, [`ACCOUNTS`] and a resident that is ready.
    ///
    /// # Errors
    /// It does not boot, or the resident does not start.
    pub fn of(suite: &Suite) -> Result<Self> {
        Self::with(suite, "")
    }

    /// The same with a /etc/hostward/hostward.toml of this content.
    ///
    /// # Errors
    /// It does not boot, or the resident does not start.
    pub fn with(suite: &Suite, settings: &str) -> Result<Self> {
        let host = Host::of(suite).bind(&crate::binary()?, "/usr/local/bin/hostward");
        let host = host.file("/etc/hostward/hostward.toml", settings, 0o644).boot()?;
        host.shell(ACCOUNTS)?;
        Self::start(host)
    }

    /// A host of the suite with the packaged unit, sandbox and all, around the binary under test.
    ///
    /// # Errors
    /// It does not boot, or the unit does not start.
    pub fn packaged(suite: &Suite, settings: &str) -> Result<Self> {
        let unit =
            include_str!("../../systemd/hostward.service").replace("/usr/bin/hostward", "/usr/local/bin/hostward");
        let host = Host::of(suite).bind(&crate::binary()?, "/usr/local/bin/hostward");
        let host = host.file("/etc/hostward/hostward.toml", settings, 0o644);
        let host = host.file("/etc/systemd/system/hostward.service", unit, 0o644).boot()?;
        host.shell(ACCOUNTS)?;
        let resident = Self { host };
        resident.host.shell("systemctl start hostward").with_context(|| resident.journal())?;
        Ok(resident)
    }

    /// Starts the resident on a host that has the binary under test.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(host: Host) -> Result<Self> {
        let resident = Self { host };
        resident.host.shell(START).with_context(|| resident.journal())?;
        Ok(resident)
    }

    /// Every event so far, as its file has it.
    ///
    /// # Errors
    /// There is no file, or a line of it is no JSON.
    pub fn events(&self) -> Result<Vec<Value>> {
        let text = self.host.shell("cat /var/log/hostward/events.jsonl")?;
        text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }

    /// The ids of all events that the journal has, in order.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn told(&self) -> Result<BTreeSet<String>> {
        let ask = "journalctl -q -o json --output-fields=HOSTWARD_EVENT_ID SYSLOG_IDENTIFIER=hostward";
        let entries = self.host.shell(ask)?;
        let entries = entries.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(entries.filter_map(|entry| word(&entry, "HOSTWARD_EVENT_ID").map(str::to_owned)).collect())
    }

    /// Does something, and waits until an event of that kind and check is in the journal: how long after it, milliseconds.
    ///
    /// # Errors
    /// It cannot be done, or is not told within a minute.
    pub fn tells(&self, command: &str, kind: &str, check: &str) -> Result<f64> {
        // The journal is followed until there is an event, then told by a closed input to be so no more.
        let script = format!(
            "exec 3<&0\nbegin=$(date +%s.%N)\n{command}\ndate +%s.%N\n\
             timeout {} journalctl -q -f --no-tail -o json --since=@$begin --output-fields=HOSTWARD_CHECK \
             SYSLOG_IDENTIFIER=hostward HOSTWARD_CHECK={check} HOSTWARD_EVENT={kind} &\n\
             follows=$!; {{ read -r end; kill $follows; }} <&3 >/dev/null &\nwait $follows",
            LONGEST.as_secs()
        );
        let mut shell = self.host.command("sh");
        shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = shell.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let told = (|| {
            let done: f64 = lines.next()?.ok()?.trim().parse().ok()?;
            let told: Value = serde_json::from_str(&lines.next()?.ok()?).ok()?;
            let at: f64 = word(&told, "__REALTIME_TIMESTAMP")?.parse().ok()?;
            Some((at / 1e6 - done).max(0.0) * 1e3)
        })();
        drop(child.stdin.take());
        child.wait()?;
        told.with_context(|| format!("no {kind} of {check} is told after {command}\n{}", self.journal()))
    }

    /// Follows what it tells from now on.
    ///
    /// # Errors
    /// It has told nothing yet.
    pub fn follow(&self) -> Result<Follower<'_>> {
        Follower::of(&self.host)
    }

    /// What the resident says of itself.
    ///
    /// # Errors
    /// It does not answer.
    pub fn status(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.host.shell("hostward status --json")?)?)
    }

    /// What the resident calls open: each finding's check, by its fingerprint.
    ///
    /// # Errors
    /// It does not answer.
    pub fn open(&self) -> Result<BTreeMap<String, String>> {
        let status = self.status()?;
        let all = status.get("findings").and_then(Value::as_array).context("no findings")?;
        let named = all.iter().filter(|found| word(found, "subject").is_some_and(|subject| !subject.is_empty()));
        let named = named.filter_map(|found| Some((word(found, "fingerprint")?, word(found, "check")?)));
        Ok(named.map(|(fingerprint, check)| (fingerprint.to_owned(), check.to_owned())).collect())
    }

    /// What a scan at this moment calls open, and the checks that it cannot decide.
    ///
    /// # Errors
    /// The scan fails.
    pub fn scan(&self) -> Result<(BTreeMap<String, String>, BTreeSet<String>)> {
        let scan = "hostward scan --format json --exit-zero --password-budget 0 --skip accounts.weak-password";
        let scan: Value = serde_json::from_str(&self.host.shell(scan)?)?;
        let (mut open, mut undecided) = (BTreeMap::new(), BTreeSet::new());
        for check in scan.get("checks").and_then(Value::as_array).context("no checks")? {
            let id = word(check, "id").context("no id")?;
            if SECRET.contains(&id) {
                continue;
            }
            let findings = check.get("findings").and_then(Value::as_array).into_iter().flatten();
            let fingerprints = findings.filter_map(|found| word(found, "fingerprint"));
            open.extend(fingerprints.map(|fingerprint| (fingerprint.to_owned(), id.to_owned())));
            if word(check, "reason").is_some() && word(check, "verdict") != Some("not_applicable") {
                undecided.insert(id.to_owned());
            }
        }
        Ok((open, undecided))
    }

    /// Waits until the resident calls open what a scan at this moment does. What a check found before stays open while it cannot decide,
    /// and one that was killed is back when its unit has it started again.
    ///
    /// # Errors
    /// It does not come to that.
    pub fn agrees(&self) -> Result<()> {
        let from = Instant::now();
        loop {
            // What a scan finds may be of a moment: a daemon that reads its configuration again.
            let ((wanted, undecided), scanned) = (self.scan()?, Instant::now());
            let agrees = |open: &BTreeMap<String, String>| {
                let lacks = wanted.keys().any(|fingerprint| !open.contains_key(fingerprint));
                let kept = |(fingerprint, check)| wanted.contains_key(fingerprint) || undecided.contains(check);
                !lacks && open.iter().all(kept)
            };
            let mut open = self.open();
            while !open.as_ref().is_ok_and(agrees) && scanned.elapsed() < SCANNED {
                std::thread::sleep(Duration::from_millis(100));
                open = self.open();
            }
            if open.as_ref().is_ok_and(agrees) {
                return Ok(());
            }
            if from.elapsed() > LONGEST {
                let scan = self.host.shell("hostward scan --exit-zero --password-budget 0")?;
                bail!("a scan finds {wanted:#?}, the resident {open:#?}\n{scan}\n{}", self.journal());
            }
        }
    }

    /// The end of what the resident's unit wrote, and how it stands.
    #[must_use]
    pub fn journal(&self) -> String {
        let ask = "journalctl -q --no-pager -o cat -n 80 -u hostward; systemctl status hostward 2>&1 | head -20";
        self.host.shell(ask).unwrap_or_default()
    }
}

/// A text of a JSON object.
fn word<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// Each event's id stands for one transition, and the transitions of a finding follow one another.
///
/// # Errors
/// Which event does not.
pub fn in_order(events: &[Value]) -> Result<()> {
    let mut open: BTreeMap<&str, bool> = BTreeMap::new();
    let mut seen: BTreeMap<&str, &Value> = BTreeMap::new();
    for event in events {
        let says = |key: &str| word(event, key).with_context(|| format!("{event} has no {key}"));
        if let Some(first) = seen.get(says("event_id")?) {
            ensure!(*first == event, "one id, two transitions: {first} {event}");
            continue;
        }
        seen.insert(says("event_id")?, event);
        let was = open.entry(says("fingerprint")?).or_default();
        let right = match says("event")? {
            "new" => !std::mem::replace(was, true),
            "resolved" => std::mem::replace(was, false),
            "changed" => *was,
            _ => false,
        };
        ensure!(right, "it does not follow: {event}");
    }
    Ok(())
}
