//! Telling events: to the journal, with fields of their own, and to a file of one JSON object a line for who collects logs.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;

use super::known::{Event, Kind, Way};
use crate::remedy::ledger::Outcome;
use crate::sanitize::escape;

/// Where the journal takes entries (`systemd.journal-fields(7)`, the native protocol).
pub(crate) const JOURNAL: &str = "/run/systemd/journal/socket";
/// The file is renamed when it is as large, and the one before it goes.
const ROTATE: u64 = 8 << 20;

/// The message id of a kind: `journalctl MESSAGE_ID=…` lists its events.
pub fn message_id(kind: Kind) -> &'static str {
    match kind {
        Kind::New => "f8156905680a495ba4784b96d9b476dc",
        Kind::Resolved => "3572c87dd7f541c6bdba252b8c18f2d9",
        Kind::Changed => "a007ce9c24fc4b249527f89f3b0238f8",
        Kind::Remedy(Outcome::Attempted) => "649b1c88e31bb0ebf7a5e9af048ceda7",
        Kind::Remedy(Outcome::Fixed) => "b1dce87e67b63f20308967732d448e20",
        Kind::Remedy(Outcome::RolledBack) => "22f4543e5d60baf8c5c80192807161aa",
        Kind::Remedy(Outcome::Refused) => "d619b4c3903e99b62947451d4543a1b1",
        Kind::Remedy(Outcome::Contended) => "a1a4754bc4e88747c225c4085ba6851d",
    }
}

/// The priority of `syslog(3)` for a severity.
fn priority(event: &Event) -> u8 {
    match (event.kind, event.finding.severity.as_str()) {
        (Kind::Resolved | Kind::Remedy(Outcome::Attempted | Outcome::Fixed), _) => 5,
        (_, "critical") => 2,
        (_, "high") => 3,
        (_, "medium") => 4,
        (_, "low") => 5,
        _ => 6,
    }
}

/// Where events go.
#[derive(Debug)]
pub struct Teller {
    journal: PathBuf,
    file: Option<PathBuf>,
    socket: UnixDatagram,
}

/// A line of the file.
#[derive(Serialize)]
struct Row<'a> {
    time: &'a str,
    event_id: &'a str,
    event: &'static str,
    check: &'a str,
    severity: &'a str,
    subject: &'a str,
    message: &'a str,
    fingerprint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback: Option<&'a str>,
}

impl Teller {
    /// Tells the journal, and that file where one is named.
    ///
    /// # Errors
    /// No socket can be made.
    pub fn new(file: Option<PathBuf>) -> anyhow::Result<Self> {
        let socket = UnixDatagram::unbound().and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
        Ok(Self { journal: PathBuf::from(JOURNAL), file, socket: socket.context("failed to make a socket")? })
    }

    /// Tells events in their order. How many were told there; why the next was not.
    pub fn tell(&self, way: Way, events: &[Event]) -> (usize, Option<String>) {
        for (count, event) in events.iter().enumerate() {
            let told = if way == Way::File { self.to_file(event) } else { self.to_journal(event) };
            if let Err(error) = told {
                return (count, Some(format!("{error:#}")));
            }
        }
        (events.len(), None)
    }

    /// Says what goes wrong, or right again. Standard error leads to the journal, until that is stopped: then never again.
    pub fn say(&self, text: &str) {
        if crate::warning::try_warn(text).is_err() {
            let entry =
                format!("MESSAGE=hostward: warning: {}\nPRIORITY=4\nSYSLOG_IDENTIFIER=hostward\n", escape(text));
            // Then `hostward status` alone says it.
            let _ = self.socket.send_to(entry.as_bytes(), &self.journal);
        }
    }

    fn to_journal(&self, event: &Event) -> anyhow::Result<()> {
        let sent = self.socket.send_to(entry(event).as_bytes(), &self.journal);
        sent.map(drop).with_context(|| format!("failed to tell the journal ({})", self.journal.display()))
    }

    fn to_file(&self, event: &Event) -> anyhow::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let finding = &event.finding;
        let row = Row {
            time: &event.at,
            event_id: &event.id,
            event: event.kind.word(),
            check: &finding.check,
            severity: &finding.severity,
            subject: &finding.subject,
            message: &finding.message,
            fingerprint: &finding.fingerprint,
            transaction: event.transaction.as_deref(),
            rollback: event.rollback.as_deref(),
        };
        let line = format!("{}\n", serde_json::to_string(&row)?);
        let dir = path.parent().map_or(Ok(()), crate::files::private_dir);
        dir.and_then(|()| append(path, line.as_bytes())).with_context(|| format!("failed to write {}", path.display()))
    }
}

/// One entry: a field a line. No value holds a line feed: [`escape`] leaves none.
fn entry(event: &Event) -> String {
    let finding = &event.finding;
    let about = if finding.subject.is_empty() { String::new() } else { format!(" {}:", escape(&finding.subject)) };
    let message =
        format!("{}: {} ({}):{about} {}", event.kind.word(), finding.check, finding.severity, escape(&finding.message));
    let fields = [
        ("MESSAGE", message),
        ("MESSAGE_ID", message_id(event.kind).to_owned()),
        ("PRIORITY", priority(event).to_string()),
        ("SYSLOG_IDENTIFIER", "hostward".to_owned()),
        ("HOSTWARD_EVENT_ID", event.id.clone()),
        ("HOSTWARD_EVENT", event.kind.word().to_owned()),
        ("HOSTWARD_CHECK", finding.check.clone()),
        ("HOSTWARD_SEVERITY", finding.severity.clone()),
        ("HOSTWARD_SUBJECT", escape(&finding.subject)),
        ("HOSTWARD_FINGERPRINT", finding.fingerprint.clone()),
    ];
    let more = [("HOSTWARD_TRANSACTION", &event.transaction), ("HOSTWARD_ROLLBACK", &event.rollback)];
    let more = more.into_iter().filter_map(|(name, value)| Some((name, escape(value.as_deref()?))));
    fields.into_iter().chain(more).map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// Appends a line in one write. What a full disk took of it is taken back; where that cannot be done, or somebody else left a line
/// without its end, it is ended first.
fn append(path: &Path, line: &[u8]) -> anyhow::Result<()> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC;
    let open = || OpenOptions::new().read(true).append(true).create(true).mode(0o600).custom_flags(flags).open(path);
    let mut file = open()?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.uid() != nix::unistd::geteuid().as_raw() || meta.mode() & 0o022 != 0 {
        bail!("it is no file of our own that only we can write");
    }
    if meta.len() >= ROTATE {
        std::fs::rename(path, path.with_extension("jsonl.1"))?;
        file = open()?;
    }
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut last, length - 1)?;
    }
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    let whole = file.metadata()?.len();
    file.write_all(line).inspect_err(|_| drop(file.set_len(whole)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resident::line::Found;

    fn event(subject: &str) -> Event {
        Event {
            id: "fp-word-1".to_owned(),
            kind: Kind::New,
            at: "2026-01-01T00:00:00Z".to_owned(),
            finding: Found {
                fingerprint: "fp".to_owned(),
                check: "sshd.root-login".to_owned(),
                severity: "critical".to_owned(),
                subject: subject.to_owned(),
                message: "root logs in".to_owned(),
            },
            transaction: None,
            rollback: None,
        }
    }

    #[test]
    fn a_hostile_name_makes_no_entry_of_its_own() {
        let text = entry(&event("x\nMESSAGE=forged\u{202e}"));
        assert_eq!(text.lines().count(), 10);
        assert_eq!(text.lines().filter(|line| line.starts_with("MESSAGE=")).count(), 1);
        assert!(!text.contains('\u{202e}'));
    }

    #[test]
    fn the_journal_and_the_file_are_told_in_order_whatever_becomes_of_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, file) = (dir.path().join("socket"), dir.path().join("log/events.jsonl"));
        let mut teller = Teller::new(Some(file.clone())).unwrap();
        teller.journal = journal.clone();
        let events = [event("a"), event("b")];
        let (count, why) = teller.tell(Way::Journal, &events);
        assert_eq!(count, 0);
        assert!(why.unwrap().contains("failed to tell the journal"));
        assert_eq!(teller.tell(Way::File, &events), (2, None));
        let listening = UnixDatagram::bind(&journal).unwrap();
        assert_eq!(teller.tell(Way::Journal, &events), (2, None));
        let mut buffer = [0; 4096];
        let length = listening.recv(&mut buffer).unwrap();
        let got = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(got.contains("PRIORITY=2\n") && got.contains("HOSTWARD_EVENT_ID=fp-word-1\n"), "{got}");
        let rows = std::fs::read_to_string(&file).unwrap();
        assert_eq!(rows.lines().count(), 2);
        for row in rows.lines() {
            assert_eq!(serde_json::from_str::<serde_json::Value>(row).unwrap()["event"], "new");
        }
    }

    #[test]
    fn the_file_turns_over_ends_what_was_cut_and_is_nobody_elses() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("events.jsonl");
        append(&file, b"{\"cut\":").unwrap();
        append(&file, b"{}\n").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"cut\":\n{}\n");
        OpenOptions::new().write(true).open(&file).unwrap().set_len(ROTATE).unwrap();
        append(&file, b"{}\n").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{}\n");
        assert_eq!(std::fs::metadata(dir.path().join("events.jsonl.1")).unwrap().len(), ROTATE);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(append(&file, b"{}\n").is_err());
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/dev/null", &file).unwrap();
        assert!(append(&file, b"{}\n").is_err());
    }
}
