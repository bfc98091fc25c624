//! What is not a file: sockets, processes, logins, the metadata service, the results of slow audits. Made by the
//! agent with a budget, judged here. Plain data.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::fact::{Fact, Why};

pub mod access_key;
pub mod firewall;
pub mod login;
pub mod metadata;
pub mod password;
pub mod platform;
pub mod service;
pub mod socket;
pub mod sshd;
pub mod updates;

/// Seconds since 1970-01-01T00:00:00Z.
pub type UnixSeconds = i64;
/// Nanoseconds since 1970-01-01T00:00:00Z.
pub type UnixNanos = i128;

/// How the host is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The running system: processes, sockets and services are there.
    #[default]
    Live,
    /// A mounted root or an unpacked image: files only.
    Offline,
}

/// Everything the agent observed for one scan.
#[derive(Clone, Debug)]
pub struct Observations {
    /// Live host or offline root.
    pub mode: Mode,
    /// When the scan was made.
    pub now: UnixSeconds,
    /// Whether what only checks of images read is looked for: it is whole trees of files.
    pub image: bool,
    /// Listening sockets with their owners, of every network namespace looked at.
    pub sockets: Fact<socket::Sockets>,
    /// Running sshd processes that listen, or that a socket unit would start.
    pub daemons: Fact<Vec<sshd::Daemon>>,
    /// What a running sshd answered to `sshd -T -C` (the cross-check), where it was asked.
    pub cross_checks: Vec<sshd::CrossCheck>,
    /// Logins of the last 30 days.
    pub logins: Fact<login::Logins>,
    /// The host firewall's input policy and published ports.
    pub firewall: Fact<firewall::Firewall>,
    /// The instance metadata service.
    pub metadata: Fact<metadata::Metadata>,
    /// The password audit.
    pub passwords: Fact<password::PasswordAudit>,
    /// AccessKeys in files.
    pub access_keys: Fact<access_key::AccessKeys>,
    /// Security updates that are pending.
    pub updates: Fact<updates::Updates>,
    /// Whether what runs is older than what is installed.
    pub restart: Fact<updates::Restart>,
    /// What services that listen answered to somebody without credentials.
    pub services: Fact<Vec<service::Asked>>,
    /// Addresses of the host's own interfaces.
    pub addresses: Fact<Vec<IpAddr>>,
    /// `/sys/class/dmi/id/product_name`, trimmed: `Alibaba Cloud ECS` on an ECS instance.
    pub dmi_product: Fact<String>,
    /// The host's name as the kernel knows it.
    pub hostname: Fact<String>,
    /// The platform: agents, loggers, kernel settings.
    pub platform: platform::Platform,
    /// Mount points whose file system may hang (network, FUSE, autofs), with the type: not read.
    pub foreign_mounts: Vec<(PathBuf, String)>,
}

impl Observations {
    /// Nothing observed: an offline root at the given time. Every fact says so.
    pub fn offline(now: UnixSeconds) -> Self {
        const OFFLINE: Why = Why::NotAsked("an offline root has no running system");
        Self {
            mode: Mode::Offline,
            now,
            image: false,
            sockets: Fact::Unknown(OFFLINE),
            daemons: Fact::Unknown(OFFLINE),
            cross_checks: Vec::new(),
            logins: Fact::Unknown(OFFLINE),
            firewall: Fact::Unknown(OFFLINE),
            metadata: Fact::Unknown(OFFLINE),
            passwords: Fact::Unknown(Why::NotAsked("the password audit was not run")),
            access_keys: Fact::Unknown(Why::NotAsked("AccessKeys were not looked for")),
            updates: Fact::Unknown(Why::NotAsked("the package manager's data were not looked at")),
            restart: Fact::Unknown(OFFLINE),
            services: Fact::Unknown(Why::NotAsked("services were not asked")),
            addresses: Fact::Unknown(OFFLINE),
            dmi_product: Fact::Unknown(OFFLINE),
            hostname: Fact::Unknown(OFFLINE),
            platform: platform::Platform::unseen(&OFFLINE),
            foreign_mounts: Vec::new(),
        }
    }
}
