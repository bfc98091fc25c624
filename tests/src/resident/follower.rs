//! What a resident tells in its file, followed; the journal says afterwards when it was told.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{LONGEST, word};
use crate::host::Host;

/// Somebody who reads every event from its making on: a follower of the journal would hear a quarter of a second later.
#[derive(Debug)]
pub struct Follower<'h> {
    host: &'h Host,
    file: BufReader<File>,
    /// The id of each event that was waited for, and when its cause was done, seconds of the host's clock.
    done: Vec<(String, f64)>,
}

impl<'h> Follower<'h> {
    pub(super) fn of(host: &'h Host) -> Result<Self> {
        let mut file = File::open(format!("/proc/{}/root/var/log/hostward/events.jsonl", host.leader()))?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { host, file: BufReader::new(file), done: Vec::new() })
    }

    /// Does something, and waits until an event of that kind and check is told.
    ///
    /// # Errors
    /// It cannot be done, or is not told within a minute.
    pub fn tells(&mut self, command: &str, kind: &str, check: &str) -> Result<()> {
        let done = self.host.shell(&format!("{{ {command}\n}} >/dev/null\ndate +%s.%N"))?.trim().parse()?;
        let from = Instant::now();
        let mut line = String::new();
        while from.elapsed() < LONGEST {
            self.file.read_line(&mut line)?;
            if !line.ends_with('\n') {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            let told: Value = serde_json::from_str(&line)?;
            line.clear();
            if word(&told, "event") == Some(kind) && word(&told, "check") == Some(check) {
                self.done.push((word(&told, "event_id").context("no id")?.to_owned(), done));
                return Ok(());
            }
        }
        bail!("no {kind} of {check} is told after {command}")
    }

    /// How long after its cause each event stood in the journal, milliseconds, in the order in which they were waited for.
    ///
    /// # Errors
    /// The journal cannot be read, or lacks one.
    pub fn took(self) -> Result<Vec<f64>> {
        let ask =
            "journalctl --sync; journalctl -q -o json --output-fields=HOSTWARD_EVENT_ID SYSLOG_IDENTIFIER=hostward";
        let mut journal: BTreeMap<String, f64> = BTreeMap::new();
        for line in self.host.shell(ask)?.lines() {
            let entry: Value = serde_json::from_str(line)?;
            if let Some(id) = word(&entry, "HOSTWARD_EVENT_ID") {
                let at: f64 = word(&entry, "__REALTIME_TIMESTAMP").context("no time")?.parse()?;
                journal.entry(id.to_owned()).or_insert(at / 1e6);
            }
        }
        let took = |(id, done): &(String, f64)| {
            let at = journal.get(id).with_context(|| format!("the journal lacks {id}"))?;
            Ok((at - done).max(0.0) * 1e3)
        };
        self.done.iter().map(took).collect()
    }
}
