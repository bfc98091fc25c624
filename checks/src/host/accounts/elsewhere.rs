//! Sources of accounts other than the files: what `nsswitch.conf(5)` names and hostward does not look into.

use std::path::{Path, PathBuf};

use crate::check::path_text;
use crate::fact::{Fact, Why};
use crate::parse::nsswitch::nsswitch;
use crate::snapshot::{Miss, Reader};

const NSSWITCH: &str = "/etc/nsswitch.conf";

/// A source that may hold accounts or groups that the files do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherSource {
    /// `passwd`, `shadow`, `group`, `initgroups`.
    pub database: String,
    /// The service, e.g. `sss`, `ldap`, `systemd`, `nis`.
    pub service: String,
    /// The file that names it.
    pub file: PathBuf,
    /// The line, from 1; None where the file as a whole says so.
    pub line: Option<u32>,
}

impl OtherSource {
    /// Why answers that depend on it are unknown.
    pub fn why(&self) -> Why {
        Why::Failed(format!(
            "{} also come from \"{}\" ({}), which hostward does not look into",
            if self.database == "passwd" { "accounts" } else { "entries" },
            self.service,
            path_text(&self.file),
        ))
    }
}

/// What nsswitch.conf names beside the files, less what nothing on this root configures: RPM distributions list `sss`, newer
/// Debian ones `systemd`, on every host.
pub(super) fn read(reader: &Reader<'_>, nis_lines: &[(&str, &Vec<u32>)]) -> Vec<OtherSource> {
    let services = match reader.fact(Path::new(NSSWITCH)) {
        Fact::Known(view) => nsswitch(view.bytes).0,
        Fact::Absent => return Vec::new(),
        Fact::Unknown(_) => {
            let unread = |database: &str| OtherSource {
                database: database.to_owned(),
                service: "?".to_owned(),
                file: PathBuf::from(NSSWITCH),
                line: None,
            };
            return ["passwd", "shadow", "group"].map(unread).into();
        }
    };
    let mut out = Vec::new();
    for service in services {
        if !["passwd", "shadow", "group", "initgroups", "sudoers"].contains(&service.database.as_str()) {
            continue;
        }
        if service.service == "compat" {
            let lines = nis_lines.iter().find(|(database, _)| *database == service.database);
            if let Some(line) = lines.and_then(|(_, lines)| lines.first()) {
                out.push(OtherSource {
                    file: PathBuf::from(format!("/etc/{}", service.database)),
                    database: service.database,
                    service: "nis".to_owned(),
                    line: Some(*line),
                });
            }
        } else if holds_entries(reader, &service.service, &service.database) {
            out.push(OtherSource {
                database: service.database,
                service: service.service,
                file: PathBuf::from(NSSWITCH),
                line: Some(service.line),
            });
        }
    }
    out
}

/// Whether a service may hold entries here. What cannot be told counts as yes.
fn holds_entries(reader: &Reader<'_>, service: &str, database: &str) -> bool {
    let there = |path: &str| !matches!(reader.link_meta(Path::new(path)), Err(Miss::Absent));
    match service {
        // Names of hosts and containers, no logins.
        "files" | "myhostname" | "mymachines" => false,
        // Without a configuration sssd serves no domain, or mirrors the files.
        "sss" => there("/etc/sssd/sssd.conf") || any_name(reader, "/etc/sssd/conf.d", ".conf"),
        // nss-systemd(8): JSON records, homed's identities. Dynamic users of services cannot log in.
        "systemd" => {
            let suffix = if database == "passwd" || database == "shadow" { ".user" } else { ".group" };
            ["/etc/userdb", "/run/userdb", "/run/host/userdb", "/usr/lib/userdb"]
                .iter()
                .any(|dir| any_name(reader, dir, suffix) || any_name(reader, dir, ".membership"))
                || any_name(reader, "/var/lib/systemd/home", ".identity")
        }
        "db" => there(&format!("/var/db/{database}.db")) || there(&format!("/var/lib/misc/{database}.db")),
        "extrausers" => there(&format!("/var/lib/extrausers/{database}")),
        "altfiles" => there(&format!("/usr/lib/{database}")),
        _ => true,
    }
}

fn any_name(reader: &Reader<'_>, dir: &str, suffix: &str) -> bool {
    match reader.names(Path::new(dir)) {
        Ok(names) => names.iter().any(|name| name.as_os_str().as_encoded_bytes().ends_with(suffix.as_bytes())),
        Err(Miss::Absent | Miss::Pending) => false,
        Err(Miss::Unreadable(_)) => true,
    }
}
