//! Logins of the recent past: who, how, from where, with which key.

use std::net::IpAddr;

use super::UnixSeconds;

/// What the logs told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logins {
    /// Accepted logins, newest first.
    pub accepted: Vec<Login>,
    /// Sources that were read, e.g. `/var/log/auth.log`, and those that were not with the reason.
    pub sources: Vec<(String, Result<(), String>)>,
    /// The earliest moment that the sources cover, where it is known.
    pub since: Option<UnixSeconds>,
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
    /// `SHA256:…` of the key, for publickey.
    pub key: Option<String>,
}
