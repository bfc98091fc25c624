//! Logins of the recent past: who, how, from where, with which key.

use std::net::IpAddr;

use super::UnixSeconds;

/// What the logs told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logins {
    /// Accepted logins, newest first; of those alike in everything but the time, the newest.
    pub accepted: Vec<Login>,
    /// Sources that were read, e.g. `/var/log/auth.log`, and those that were not with the reason.
    pub sources: Vec<(String, Result<(), String>)>,
    /// The earliest moment that the sources cover, where it is known.
    pub since: Option<UnixSeconds>,
}

/// Who tells of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Teller {
    /// The journal, from root's own sshd processes as the kernel vouches for them.
    Journal,
    /// A syslog file. Any local user can write such a line with `logger -t sshd`: no proof that a key is held.
    Log,
    /// `wtmp`: who, when and where, but not how.
    Wtmp,
    /// `lastlog`: each account's last login.
    Lastlog,
}

/// One accepted login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// When.
    pub at: UnixSeconds,
    /// The account.
    pub user: String,
    /// As sshd names it: `publickey`, `password`, `keyboard-interactive/pam`. Empty where only wtmp or lastlog tells of it.
    pub method: String,
    /// From where.
    pub source: Option<IpAddr>,
    /// `SHA256:…` of the key, for publickey; of the certified key, for a certificate.
    pub key: Option<String>,
    /// `SHA256:…` of the authority that signed the certificate, where one was used.
    pub authority: Option<String>,
    /// Who tells of it.
    pub told_by: Teller,
}
