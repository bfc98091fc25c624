//! Logins of the recent past: who, how, from where, with which key.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use super::UnixSeconds;
use crate::fact::{Fact, Why};

/// What the logs told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logins {
    /// Accepted logins, newest first; of those alike in everything but the time, the newest.
    pub accepted: Vec<Login>,
    /// Sources that were read, e.g. `/var/log/auth.log`, and those that were not with the reason.
    pub sources: Vec<(String, Result<(), String>)>,
    /// The earliest moment that the sources cover, where it is known.
    pub since: Option<UnixSeconds>,
    /// Logins that were refused.
    pub refused: Refused,
    /// Sources that have logged in before.
    pub known_sources: KnownSources,
}

/// Logins that were refused: how many from where and when. No names: who mistypes gives a password for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// By source, each minute's first second with the number of attempts in it, ascending.
    pub sources: BTreeMap<IpAddr, Vec<(UnixSeconds, u32)>>,
    /// There were too many to be counted: none before this moment is.
    pub counted_since: Option<UnixSeconds>,
}

/// Sources of accepted logins, kept over scans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSources {
    /// When each was first seen, by [`network_of`].
    pub first: Fact<BTreeMap<IpAddr, UnixSeconds>>,
    /// When the list was begun: whoever came before is nobody new.
    pub began: UnixSeconds,
}

impl Default for KnownSources {
    fn default() -> Self {
        Self { first: Fact::Unknown(Why::NotAsked("the list of known sources was not read")), began: 0 }
    }
}

/// What counts as one source: an IPv4 address, and of IPv6 the /64, for hosts change the rest as they like.
pub fn network_of(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
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
    /// `btmp`: refused logins, by when and from where.
    Btmp,
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
