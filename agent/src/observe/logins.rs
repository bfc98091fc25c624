//! Logins of the last 30 days, accepted and refused: from the journal, syslog files, wtmp and lastlog.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hostward_checks::fact::{Fact, Why};
use hostward_checks::observation::UnixSeconds;
use hostward_checks::observation::login::{Login, Logins, Teller};
use hostward_checks::parse::{passwd, sshd_log, utmp};
use jiff::tz::TimeZone;
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

use super::command;
use super::refused::Counter;

/// How far back.
const DAYS: i64 = 30;
/// As much of one log file is read, from its end.
const LOG_BYTES: u64 = 32 << 20;
/// A longer line is no line of sshd's.
const LINE_BYTES: u64 = 64 << 10;
const JOURNAL_BYTES: usize = 32 << 20;
const JOURNAL_TIME: Duration = Duration::from_secs(10);
const RECORD_BYTES: u64 = 8 << 20;

/// What makes two logins alike: teller, user, method, source and key.
type Alike = (Teller, String, String, Option<std::net::IpAddr>, Option<String>);

/// Collects logins; of those alike in everything but the time, the newest.
#[derive(Debug)]
struct Found {
    now: UnixSeconds,
    offset: i64,
    newest: BTreeMap<Alike, Login>,
    refused: Counter,
    since: Option<UnixSeconds>,
}

impl Found {
    fn from(&self) -> UnixSeconds {
        self.now - DAYS * 86_400
    }

    fn add(&mut self, login: Login) {
        self.covers(login.at);
        if login.at < self.from() || login.at > self.now + 86_400 {
            return;
        }
        let key = (login.told_by, login.user.clone(), login.method.clone(), login.source, login.key.clone());
        let slot = self.newest.entry(key).or_insert_with(|| login.clone());
        if slot.at < login.at {
            *slot = login;
        }
    }

    fn covers(&mut self, at: UnixSeconds) {
        self.since = Some(self.since.map_or(at, |since| since.min(at)));
    }

    /// Reads lines; says how many accepted logins could not be understood.
    fn lines(&mut self, mut reader: impl BufRead, teller: Teller) -> std::io::Result<usize> {
        let clock = sshd_log::Clock { now: self.now, offset: self.offset, teller };
        let (mut line, mut broken, mut first) = (Vec::new(), 0, true);
        loop {
            line.clear();
            if reader.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
                return Ok(broken);
            }
            if !first && !sshd_log::is_about_logins(&line) {
                continue;
            }
            match sshd_log::line(line.strip_suffix(b"\n").unwrap_or(&line), &clock) {
                sshd_log::Line::Accepted(login) => self.add(login),
                sshd_log::Line::Refused(refusal) => {
                    self.covers(refusal.at);
                    if (self.from()..=self.now + 86_400).contains(&refusal.at) {
                        self.refused.add(&refusal, teller);
                    }
                }
                sshd_log::Line::Other(Some(at)) if first => self.covers(at),
                sshd_log::Line::Other(_) => {}
                sshd_log::Line::Defect(_) => broken += 1,
            }
            first = false;
        }
    }
}

/// The recent logins of the running host, whose root directory is `root`.
pub fn logins(root: &Path, now: UnixSeconds) -> Fact<Logins> {
    let mut found = Found {
        now,
        offset: zone_offset(root, now),
        newest: BTreeMap::new(),
        refused: Counter::default(),
        since: None,
    };
    let mut sources = Vec::new();
    journal(&mut found, &mut sources);
    for path in logs(&root.join("var/log"), found.from()) {
        let result = if path.extension().is_some_and(|end| end == "gz" || end == "xz" || end == "zst" || end == "bz2") {
            Err("compressed: not read".to_owned())
        } else {
            log(&path, &mut found)
        };
        sources.push((path.display().to_string(), result));
    }
    for name in ["var/log/wtmp", "var/log/wtmp.1"] {
        note(&root.join(name), &mut sources, |bytes| wtmp(bytes, &mut found));
    }
    note(&root.join("var/log/lastlog"), &mut sources, |bytes| lastlog(bytes, root, &mut found));
    if sources.is_empty() {
        return Fact::Unknown(Why::Failed("no journal, log or login record was found".to_owned()));
    }
    let mut accepted: Vec<Login> = found.newest.into_values().collect();
    accepted.sort_by_key(|login| std::cmp::Reverse(login.at));
    let refused = found.refused.finish();
    Fact::Known(Logins { accepted, sources, since: found.since, refused, ..Logins::default() })
}

/// The host's time zone: that of `/etc/localtime`, else UTC.
pub fn zone(root: &Path) -> TimeZone {
    let data = std::fs::read(root.join("etc/localtime")).ok();
    data.and_then(|data| TimeZone::tzif("local", &data).ok()).unwrap_or(TimeZone::UTC)
}

/// Local time minus UTC now: the zone that syslog's stamps leave out.
fn zone_offset(root: &Path, now: UnixSeconds) -> i64 {
    let now = jiff::Timestamp::from_second(now);
    now.map_or(0, |now| i64::from(zone(root).to_offset(now).seconds()))
}

/// What root's own sshd processes logged, newest first. The kernel tells the journal who wrote: nobody else can.
fn journal(found: &mut Found, sources: &mut Vec<(String, Result<(), String>)>) {
    let since = format!("--since=@{}", found.from());
    let only = ["_UID=0", "_COMM=sshd", "_COMM=sshd-session", "_COMM=sshd-auth"];
    let arguments = [&["--quiet", "--no-pager", "--reverse", "--output=short-iso", since.as_str()], &only[..]].concat();
    let programs = ["/usr/bin/journalctl", "/bin/journalctl"];
    let result = match command::ask(&programs, &arguments, JOURNAL_TIME, JOURNAL_BYTES) {
        Fact::Absent => return,
        Fact::Unknown(why) => Err(why.to_string()),
        Fact::Known(output) if !output.success && !output.cut => Err("journalctl failed".to_owned()),
        Fact::Known(output) => match found.lines(output.bytes.as_slice(), Teller::Journal) {
            Ok(0) if output.cut => Err("only the newest part was read".to_owned()),
            read => said(read),
        },
    };
    sources.push(("journal".to_owned(), result));
}

fn said(read: std::io::Result<usize>) -> Result<(), String> {
    match read {
        Ok(0) => Ok(()),
        Ok(broken) => Err(format!("{broken} accepted logins could not be understood")),
        Err(error) => Err(error.to_string()),
    }
}

/// The syslog files that sshd's facility goes to, rotated ones too, that were written to since.
fn logs(dir: &Path, since: UnixSeconds) -> Vec<PathBuf> {
    let wanted = |name: &str| {
        ["auth.log", "secure"]
            .iter()
            .any(|log| name.strip_prefix(log).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-'])))
    };
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(wanted))
        .filter(|entry| entry.metadata().is_ok_and(|meta| meta.is_file() && meta.mtime() >= since))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths.truncate(32);
    paths
}

/// Opens a regular file and nothing else, without waiting for anybody.
fn open(path: &Path) -> std::io::Result<(File, u64)> {
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_NOFOLLOW).open(path)?;
    let meta = file.metadata()?;
    if meta.is_file() { Ok((file, meta.len())) } else { Err(std::io::Error::other("not a regular file")) }
}

fn log(path: &Path, found: &mut Found) -> Result<(), String> {
    let (mut file, size) = open(path).map_err(|error| error.to_string())?;
    let skip = size.saturating_sub(LOG_BYTES);
    file.seek(SeekFrom::Start(skip)).map_err(|error| error.to_string())?;
    // Whoever appends meanwhile must not hold us.
    let read = said(found.lines(BufReader::with_capacity(256 << 10, file.take(LOG_BYTES)), Teller::Log));
    match read {
        Ok(()) if skip > 0 => Err(format!("only its last {LOG_BYTES} bytes were read")),
        read => read,
    }
}

/// Reads a file of binary records, where there is one.
fn note(
    path: &Path,
    sources: &mut Vec<(String, Result<(), String>)>,
    mut work: impl FnMut(&[u8]) -> Result<(), String>,
) {
    let result = match open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => Err(error.to_string()),
        Ok((file, size)) => {
            let mut bytes = Vec::new();
            match file.take(RECORD_BYTES).read_to_end(&mut bytes) {
                Err(error) => Err(error.to_string()),
                Ok(_) if size > RECORD_BYTES => {
                    work(&bytes).and(Err(format!("only its first {RECORD_BYTES} bytes were read")))
                }
                Ok(_) => work(&bytes),
            }
        }
    };
    sources.push((path.display().to_string(), result));
}

fn wtmp(bytes: &[u8], found: &mut Found) -> Result<(), String> {
    let (records, defects) = utmp::wtmp(bytes);
    records.into_iter().for_each(|record| found.add(told(record.user.clone(), &record, Teller::Wtmp)));
    if defects.is_empty() { Ok(()) } else { Err(format!("{} records could not be understood", defects.len())) }
}

fn lastlog(bytes: &[u8], root: &Path, found: &mut Found) -> Result<(), String> {
    let accounts = std::fs::read(root.join("etc/passwd")).map_err(|error| format!("failed to read passwd: {error}"))?;
    let (accounts, _) = passwd::passwd(&accounts);
    for record in utmp::lastlog(bytes, cfg!(target_arch = "aarch64")) {
        let named = accounts.entries.iter().find(|entry| Some(entry.uid) == record.uid);
        if let Some(name) = named.map(|entry| entry.name.text().into_owned()) {
            found.add(told(name, &record, Teller::Lastlog));
        }
    }
    Ok(())
}

fn told(user: String, record: &utmp::Record, told_by: Teller) -> Login {
    let (at, source) = (record.at, record.source);
    Login { at, user, method: String::new(), source, key: None, authority: None, told_by }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = 1_772_323_200;

    #[test]
    fn logs_are_read_from_their_end_and_rotated_ones_too() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("var/log");
        std::fs::create_dir_all(&log).unwrap();
        let line = |day: u32, user: &str| {
            format!(
                "2026-02-{day:02}T10:00:00+00:00 h sshd[1]: Accepted password for {user} from 192.0.2.1 port 1 ssh2\n"
            )
        };
        std::fs::write(log.join("auth.log.1"), line(1, "old") + &line(11, "bob")).unwrap();
        std::fs::write(log.join("auth.log"), format!("{}noise\n{}\0\n", line(20, "bob"), line(21, "eve"))).unwrap();
        std::fs::write(log.join("auth.log.2.gz"), b"\x1f\x8b").unwrap();
        std::fs::write(log.join("authentic"), line(22, "no")).unwrap();
        nix::unistd::mkfifo(&log.join("secure"), nix::sys::stat::Mode::S_IRWXU).unwrap();

        let mut found =
            Found { now: NOW, offset: 0, newest: BTreeMap::new(), refused: Counter::default(), since: None };
        let paths = logs(&log, 0);
        let names: Vec<_> = paths.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        assert_eq!(names, ["auth.log", "auth.log.1", "auth.log.2.gz"]);
        for path in paths.iter().take(2) {
            super::log(path, &mut found).unwrap();
        }
        let seen: Vec<_> = found.newest.values().map(|login| (login.user.as_str(), login.at)).collect();
        assert_eq!(seen, [("bob", 1_771_581_600), ("eve", 1_771_668_000), ("old", 1_769_940_000)]);
        assert_eq!(found.since, Some(1_769_940_000));
        assert!(super::log(&log.join("secure"), &mut found).is_err(), "a named pipe is not read");
    }
}
