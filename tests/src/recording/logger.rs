//! The loggers that write a recording down, as their packages set them up.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use super::Truth;
use super::play::Play;
use crate::host::{Host, Plan};
use crate::suite::Suite;

/// Who writes the log files of a host; the journal and the records of logins are written beside each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logger {
    /// rsyslog as packaged, its logs rotated by logrotate, and three of its forms beside them.
    Rsyslog,
    /// syslog-ng as packaged; the journal in memory.
    SyslogNg,
    /// The one of busybox, which takes the socket from journald where it is not given one.
    Busybox,
    /// The one of GNU inetutils as packaged.
    Inetutils,
    /// None but journald: every field compressed, in the older of its two layouts.
    Journald,
}

impl Logger {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rsyslog, Self::SyslogNg, Self::Busybox, Self::Inetutils, Self::Journald];

    fn layer(self) -> &'static str {
        match self {
            Self::Rsyslog => "rsyslog",
            Self::SyslogNg => "syslog-ng",
            Self::Busybox => "busybox",
            Self::Inetutils => "inetutils",
            Self::Journald => "journald",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Rsyslog => "rsyslog",
            Self::SyslogNg => "syslog-ng",
            Self::Busybox => "busybox-syslogd",
            Self::Inetutils => "inetutils-syslogd",
            Self::Journald => "systemd-journald",
        }
    }

    /// The name of the journal's form, and how journald is told to write it.
    fn journal(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Journald => ("journal-compressed", "Storage=persistent\nCompress=8", "SYSTEMD_JOURNAL_COMPACT=0"),
            Self::SyslogNg => ("journal-volatile", "Storage=volatile", ""),
            Self::Rsyslog => ("journal", "Storage=persistent", ""),
            // As with rsyslog: not kept.
            Self::Busybox | Self::Inetutils => ("-", "Storage=persistent", ""),
        }
    }

    fn plan(self, suite: &Suite) -> Result<Plan<'_>> {
        let (_, journal, environment) = self.journal();
        let zone = fs::read("/usr/share/zoneinfo/Asia/Shanghai").context("failed to read a time zone")?;
        let mut plan = Host::of(suite).file("/etc/localtime", zone, 0o644).file(
            "/etc/systemd/journald.conf.d/50-recording.conf",
            format!("[Journal]\n{journal}\nRateLimitBurst=0\nRateLimitIntervalSec=0\nForwardToSyslog=yes\n"),
            0o644,
        );
        if self != Self::Journald {
            plan = plan.layer(&suite.logger(self.layer())?);
        }
        if !environment.is_empty() {
            let unit = format!("[Service]\nEnvironment={environment}\n");
            plan = plan.file("/etc/systemd/system/systemd-journald.service.d/50-recording.conf", unit, 0o644);
        }
        if self == Self::Busybox {
            // Its package writes into a ring in memory.
            plan = plan.file("/etc/default/busybox-syslogd", "SYSLOG_OPTS=\"\"\nKLOG_OPTS=\"\"\n", 0o644);
        }
        if self == Self::Rsyslog && MORE.contains(&suite.name()) {
            plan = plan.file("/etc/rsyslog.d/60-forms.conf", FORMS, 0o644);
        }
        Ok(plan)
    }
}

impl fmt::Display for Logger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.layer())
    }
}

/// Suites on which rsyslog writes more than one form, and the journal is rotated, too: recordings are to stay small.
const MORE: [&str; 3] = ["bionic", "bookworm", "sid"];

/// What rsyslog's package does not write, in the forms that its users choose.
const FORMS: &str = "auth,authpriv.* /var/log/forms/traditional;RSYSLOG_TraditionalFileFormat
auth,authpriv.* /var/log/forms/iso;RSYSLOG_FileFormat
auth,authpriv.* /var/log/forms/rfc5424;RSYSLOG_SyslogProtocol23Format
";

/// Plays the logins on a host of the suite, and writes what its loggers made of them into `place`.
///
/// # Errors
/// The host does not boot, a login ends otherwise than it must, or a logger writes nothing.
pub fn record(suite: &Suite, logger: Logger, place: &Path) -> Result<PathBuf> {
    let host = logger.plan(suite)?.boot()?;
    host.shell("mkdir -p /var/log/forms; if id syslog >/dev/null 2>&1; then chown syslog /var/log/forms; fi")?;
    if logger == Logger::Rsyslog {
        host.shell("systemctl restart rsyslog")?;
    }
    // Of the boot nothing is kept. A script of System V's that was there before the unit's name is called by its own.
    host.shell(&format!(
        "journalctl --sync; journalctl --rotate; journalctl --vacuum-files=1 --quiet 2>/dev/null
         rm -f /var/log/auth.log /var/log/messages; systemctl restart {0} || /etc/init.d/{0} start; sleep 1",
        logger.unit()
    ))?;
    let mut play = Play::new(&host)?;
    play.first()?;
    rotate(suite, &host, logger)?;
    play.second()?;
    rotate(suite, &host, logger)?;
    play.third()?;
    host.shell("sleep 1; journalctl --sync; sync; sleep 1")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().try_into()?;
    let truth = Truth { programs: programs(&host, logger)?, now, events: play.events };
    // Whole or not at all.
    fs::create_dir_all(place)?;
    let new = tempfile::tempdir_in(place)?;
    keep(&host, logger, new.path())?;
    fs::write(new.path().join("truth.tsv"), truth.text())?;
    let to = place.join(format!("{suite}-{logger}"));
    if to.exists() {
        fs::remove_dir_all(&to)?;
    }
    fs::rename(new.path(), &to)?;
    fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
    Ok(to)
}

/// As the package's own configuration has it, but at once.
fn rotate(suite: &Suite, host: &Host, logger: Logger) -> Result<()> {
    if logger == Logger::Rsyslog {
        if MORE.contains(&suite.name()) {
            host.shell("journalctl --rotate")?;
        }
        // As /etc/logrotate.conf says it for all of them.
        host.shell(
            "printf 'su root adm\ninclude /etc/logrotate.d/rsyslog\n' >/root/rotate.conf; chmod 600 /root/rotate.conf
             logrotate -f /root/rotate.conf; sleep 0.5",
        )?;
    }
    Ok(())
}

fn programs(host: &Host, logger: Logger) -> Result<String> {
    let package = match logger {
        Logger::Rsyslog => "rsyslog",
        Logger::SyslogNg => "syslog-ng-core",
        Logger::Busybox => "busybox-syslogd",
        Logger::Inetutils => "inetutils-syslogd",
        Logger::Journald => "sudo",
    };
    let packages =
        host.shell(&format!("dpkg-query -W -f '${{Package}} ${{Version}}, ' openssh-server systemd {package}"))?;
    Ok(packages.trim_end_matches(", ").to_owned())
}

/// Takes the logs out of a host: text as it is, the rest packed.
fn keep(host: &Host, logger: Logger, to: &Path) -> Result<()> {
    let root = format!("/proc/{}/root", host.leader());
    let (journal, ..) = logger.journal();
    // Who has taken the socket from journald leaves it nothing.
    let has_journal = host.shell("journalctl -q -n 1 -o cat SYSLOG_IDENTIFIER=sshd SYSLOG_IDENTIFIER=sshd-session")?;
    let script = r#"
set -e
cd "$1"; to=$2 journal=$3 has_journal=$4
# Every form has the zone, and the accounts that numbers in records mean.
form() {
  mkdir -p "$to/$1/var/log" "$to/$1/etc"
  cp etc/localtime "$to/$1/etc/"; cp etc/passwd "$to/$1/etc/"
}
logs=$(ls var/log/auth.log* 2>/dev/null || ls var/log/messages* 2>/dev/null || :)
if [ "$logs" ]; then form syslog; fi
for log in $logs; do if [ -f "$log" ]; then cp "$log" "$to/syslog/var/log/"; fi; done
case $(head -c 1 "$to/syslog/var/log/auth.log" 2>/dev/null) in [0-9]) rm -f var/log/forms/iso ;; *) rm -f var/log/forms/traditional ;; esac
for log in var/log/forms/*; do
  if [ -s "$log" ]; then form "${log##*/}"; cp "$log" "$to/${log##*/}/var/log/auth.log"; fi
done
# Copied first: who writes does not wait for tar.
copy=$(mktemp -d)
pack() {
  name=$1; shift; has=
  files=$(ls -d "$@" 2>/dev/null || :)
  # A link alone is nothing.
  for file in $files; do [ ! -e "$file" ] || has=yes; done
  [ "${has:-}" ] || return 0
  cp -a --sparse=always --parents etc/localtime etc/passwd etc/machine-id $files "$copy"
  tar --sort=name --numeric-owner --owner=0 --group=0 -C "$copy" -cSJf "$to/$name.tar.xz" .
  rm -r "$copy"; mkdir "$copy"
}
pack records var/log/wtmp var/log/btmp var/log/lastlog var/lib/wtmpdb/wtmp.db var/log/wtmp.db var/lib/lastlog/lastlog2.db
if [ "$has_journal" ] && [ "$journal" != - ]; then pack "$journal" var/log/journal run/log/journal; fi
rmdir "$copy"
"#;
    let output = Command::new("sh").args(["-c", script, "sh", &root]).arg(to).arg(journal).arg(has_journal).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    if logger != Logger::Journald && !to.join("syslog").is_dir() {
        let state = "ls -l /dev/log /var/log; systemctl status --no-pager -l $1; ps ax | grep syslog";
        let state = host.command("sh").args(["-c", state, "sh", logger.unit()]).output()?;
        bail!("{logger} wrote nothing: {}", String::from_utf8_lossy(&state.stdout));
    }
    Ok(())
}
