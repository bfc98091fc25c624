//! Logins of the last 30 days, accepted and refused: from the journal, syslog files, wtmp, btmp and lastlog.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hostward_checks::fact::{Fact, Why};
use hostward_checks::observation::UnixSeconds;
use hostward_checks::observation::login::{Login, Logins, Teller};
use hostward_checks::parse::gzip::Gzip;
use hostward_checks::parse::{Defect, passwd, sshd_log, utmp};
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
/// As much of one file of records; a multiple of the length of either layout, so that its end begins with a whole one.
const RECORD_BYTES: u64 = 873 * 9600;
/// As much of all compressed files, unpacked.
const UNPACKED_BYTES: u64 = 256 << 20;

/// What makes two logins alike: teller, user, method, source and key.
type Alike = (Teller, String, String, Option<std::net::IpAddr>, Option<String>);

/// Which lines of a log count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Take {
    Both,
    Accepted,
    Refused,
}

/// Collects logins; of those alike in everything but the time, the newest.
#[derive(Debug)]
struct Found {
    now: UnixSeconds,
    offset: i64,
    newest: BTreeMap<Alike, Login>,
    refused: Counter,
    since: Option<UnixSeconds>,
    /// How much more may be unpacked.
    unpacks: u64,
}

impl Found {
    fn new(now: UnixSeconds, offset: i64) -> Self {
        let (newest, refused, unpacks) = (BTreeMap::new(), Counter::default(), UNPACKED_BYTES);
        Self { now, offset, newest, refused, since: None, unpacks }
    }

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

    fn refuse(&mut self, refusal: &sshd_log::Refusal, teller: Teller) {
        self.covers(refusal.at);
        if (self.from()..=self.now + 86_400).contains(&refusal.at) {
            self.refused.add(refusal, teller);
        }
    }

    fn covers(&mut self, at: UnixSeconds) {
        self.since = Some(self.since.map_or(at, |since| since.min(at)));
    }

    /// Reads lines; says how many accepted logins could not be understood.
    fn lines(&mut self, mut reader: impl BufRead, teller: Teller, take: Take) -> std::io::Result<usize> {
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
                sshd_log::Line::Accepted(login) if take != Take::Refused => self.add(login),
                sshd_log::Line::Refused(refusal) if take != Take::Accepted => self.refuse(&refusal, teller),
                sshd_log::Line::Other(Some(at)) if first => self.covers(at),
                sshd_log::Line::Defect(_) if take != Take::Refused => broken += 1,
                _ => {}
            }
            first = false;
        }
    }
}

/// The recent logins of the running host, whose root directory is `root`.
pub fn logins(root: &Path, now: UnixSeconds) -> Fact<Logins> {
    let mut found = Found::new(now, zone_offset(root, now));
    let mut sources = Vec::new();
    journal(&mut found, &mut sources);
    files(root, &mut found, &mut sources);
    if sources.is_empty() {
        return Fact::Unknown(Why::Failed("no journal, log or login record was found".to_owned()));
    }
    let mut accepted: Vec<Login> = found.newest.into_values().collect();
    accepted.sort_by_key(|login| std::cmp::Reverse(login.at));
    let refused = found.refused.finish();
    Fact::Known(Logins { accepted, sources, since: found.since, refused, ..Logins::default() })
}

fn files(root: &Path, found: &mut Found, sources: &mut Vec<(String, Result<(), String>)>) {
    let dir = root.join("var/log");
    let mut paths = logs(&dir, &["auth.log", "secure"], found.from());
    if paths.is_empty() {
        // Of busybox, and of SUSE: one file for everything.
        paths = logs(&dir, &["messages"], found.from());
    }
    for path in paths {
        sources.push((path.display().to_string(), log(&path, found)));
    }
    for path in logs(&dir, &["wtmp"], found.from()) {
        sources.push((path.display().to_string(), records(&path, found, wtmp)));
    }
    let names = names(root);
    for path in logs(&dir, &["btmp"], found.from()) {
        sources.push((path.display().to_string(), records(&path, found, |bytes, found| btmp(bytes, &names, found))));
    }
    let path = root.join("var/log/lastlog");
    if path.exists() {
        sources.push((path.display().to_string(), lastlog(&path, root, found)));
    }
    // The first is a link to the second, or it is the other way round.
    for path in ["var/lib/wtmpdb/wtmp.db", "var/log/wtmp.db", "var/lib/lastlog/lastlog2.db"].map(|name| root.join(name))
    {
        if path.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            sources.push((path.display().to_string(), Err("is an SQLite database: not read".to_owned())));
        }
    }
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
const SSHDS: [&str; 4] = ["_UID=0", "_COMM=sshd", "_COMM=sshd-session", "_COMM=sshd-auth"];
/// What root's processes logged in sshd's name. Of one that has ended already the journal does not learn its program: a
/// connection that ends at once leaves no other line.
const ROOTS: [&str; 4] =
    ["_UID=0", "SYSLOG_IDENTIFIER=sshd", "SYSLOG_IDENTIFIER=sshd-session", "SYSLOG_IDENTIFIER=sshd-auth"];

/// Accepted logins count only where the journal knows that sshd says so.
fn journal(found: &mut Found, sources: &mut Vec<(String, Result<(), String>)>) {
    let asked = [(SSHDS, Take::Accepted), (ROOTS, Take::Refused)].map(|(only, take)| ask_journal(found, &only, take));
    let told: Vec<_> = asked.into_iter().flatten().collect();
    if !told.is_empty() {
        sources.push(("journal".to_owned(), told.into_iter().collect()));
    }
}

/// None: there is no journalctl.
fn ask_journal(found: &mut Found, only: &[&str], take: Take) -> Option<Result<(), String>> {
    let since = format!("--since=@{}", found.from());
    let arguments = [&["--quiet", "--no-pager", "--reverse", "--output=short-iso", since.as_str()], only].concat();
    let programs = ["/usr/bin/journalctl", "/bin/journalctl"];
    Some(match command::ask(&programs, &arguments, JOURNAL_TIME, JOURNAL_BYTES) {
        Fact::Absent => return None,
        Fact::Unknown(why) => Err(why.to_string()),
        Fact::Known(output) if !output.success && !output.cut => Err("journalctl failed".to_owned()),
        Fact::Known(output) => match found.lines(output.bytes.as_slice(), Teller::Journal, take) {
            Ok(0) if output.cut => Err("only the newest part was read".to_owned()),
            read => said(read),
        },
    })
}

fn said(read: std::io::Result<usize>) -> Result<(), String> {
    match read {
        Ok(0) => Ok(()),
        Ok(broken) => Err(format!("{broken} accepted logins could not be understood")),
        Err(error) => Err(error.to_string()),
    }
}

/// The files of these names, rotated ones too, that were written to since; no database, whose name may be `wtmp.db`.
fn logs(dir: &Path, names: &[&str], since: UnixSeconds) -> Vec<PathBuf> {
    let wanted = |name: &str| {
        !name.ends_with(".db")
            && names
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

/// Gives `work` what a file holds: the end of one that is longer than `most`, and of a compressed one as much as may be unpacked yet.
fn read(
    path: &Path,
    most: u64,
    found: &mut Found,
    work: impl FnOnce(&mut dyn BufRead, &mut Found) -> Result<(), String>,
) -> Result<(), String> {
    let (mut file, size) = open(path).map_err(|error| error.to_string())?;
    match path.extension().and_then(|end| end.to_str()) {
        Some("gz") => {
            let unpacked = Gzip::new(BufReader::with_capacity(64 << 10, file)).take(found.unpacks);
            let mut reader = BufReader::with_capacity(64 << 10, unpacked);
            let read = work(&mut reader, found);
            found.unpacks = reader.get_ref().limit();
            // Where it breaks off half a login may stand.
            if found.unpacks == 0 { Err("only its beginning was read".to_owned()) } else { read }
        }
        Some(end @ ("xz" | "zst" | "bz2")) => Err(format!("is compressed as {end}, which hostward does not read")),
        _ => {
            let skip = size.saturating_sub(most);
            file.seek(SeekFrom::Start(skip)).map_err(|error| error.to_string())?;
            // Whoever appends meanwhile must not hold us.
            let read = work(&mut BufReader::with_capacity(256 << 10, file.take(most)), found);
            if skip > 0 { read.and(Err(format!("only its last {most} bytes were read"))) } else { read }
        }
    }
}

fn log(path: &Path, found: &mut Found) -> Result<(), String> {
    read(path, LOG_BYTES, found, |reader, found| said(found.lines(reader, Teller::Log, Take::Both)))
}

/// Reads a file of binary records.
fn records(
    path: &Path,
    found: &mut Found,
    work: impl FnOnce(&[u8], &mut Found) -> Result<(), String>,
) -> Result<(), String> {
    read(path, RECORD_BYTES, found, |reader, found| {
        let mut bytes = Vec::new();
        reader.take(RECORD_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let whole = reader.fill_buf().is_ok_and(<[u8]>::is_empty);
        work(&bytes, found).and(if whole { Ok(()) } else { Err("only its beginning was read".to_owned()) })
    })
}

fn wtmp(bytes: &[u8], found: &mut Found) -> Result<(), String> {
    let (records, defects) = utmp::wtmp(bytes);
    records.into_iter().for_each(|record| found.add(told(record.user.clone(), &record, Teller::Wtmp)));
    understood(&defects)
}

/// The names of accounts; none where they cannot be read.
fn names(root: &Path) -> BTreeSet<String> {
    let (accounts, _) = passwd::passwd(&std::fs::read(root.join("etc/passwd")).unwrap_or_default());
    accounts.entries.iter().map(|entry| entry.name.text().into_owned()).collect()
}

fn btmp(bytes: &[u8], names: &BTreeSet<String>, found: &mut Found) -> Result<(), String> {
    let (records, defects) = utmp::btmp(bytes);
    let records = utmp::attempts(records, |name| names.contains(name));
    for (source, at) in records.into_iter().filter_map(|record| Some((record.source?, record.at))) {
        let refusal = sshd_log::Refusal { at, source, times: 1, sign: sshd_log::Sign::Record };
        found.refuse(&refusal, Teller::Btmp);
    }
    understood(&defects)
}

fn understood(defects: &[Defect]) -> Result<(), String> {
    if defects.is_empty() { Ok(()) } else { Err(format!("{} records could not be understood", defects.len())) }
}

/// The file is as long as the greatest number of an account wants, and nearly all of it holes.
fn lastlog(path: &Path, root: &Path, found: &mut Found) -> Result<(), String> {
    let (file, size) = open(path).map_err(|error| error.to_string())?;
    let accounts = std::fs::read(root.join("etc/passwd")).map_err(|error| format!("failed to read passwd: {error}"))?;
    let (accounts, _) = passwd::passwd(&accounts);
    let mut bytes = Vec::new();
    file.take(RECORD_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    for record in utmp::lastlog(&bytes, cfg!(target_arch = "aarch64")) {
        let named = accounts.entries.iter().find(|entry| Some(entry.uid) == record.uid);
        if let Some(name) = named.map(|entry| entry.name.text().into_owned()) {
            found.add(told(name, &record, Teller::Lastlog));
        }
    }
    if size > RECORD_BYTES { Err(format!("only its first {RECORD_BYTES} bytes were read")) } else { Ok(()) }
}

fn told(user: String, record: &utmp::Record, told_by: Teller) -> Login {
    let (at, source) = (record.at, record.source);
    Login { at, user, method: String::new(), source, key: None, authority: None, told_by }
}

#[cfg(test)]
mod tests;
