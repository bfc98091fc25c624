//! What is right: thresholds, approved keys, allowed listeners, waivers. Built-in defaults serve without a file.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::check::{Profile, Severity};
use crate::observation::UnixSeconds;
use crate::observation::socket::Protocol;

/// The policy that findings are judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which checks run.
    pub profile: Profile,
    /// Severities that differ from the check's own, by check id.
    pub severity: BTreeMap<String, Severity>,
    /// Numbers and their bounds.
    pub limits: Limits,
    /// Keys (`SHA256:…`) that may stand in authorized_keys. None: no list, every key may.
    pub approved_keys: Option<Vec<String>>,
    /// Certificate authorities (`SHA256:…`) that may stand in authorized_keys or TrustedUserCAKeys.
    pub approved_authorities: Vec<String>,
    /// Accounts that may log in. None: no list.
    pub expected_accounts: Option<Vec<String>>,
    /// Accounts that may have `NOPASSWD: ALL`, beyond Alibaba Cloud's own.
    pub sudo_accounts: Vec<String>,
    /// Accounts that may forward.
    pub forwarding_accounts: Vec<String>,
    /// `AuthorizedKeysCommand` programs that may be used, beyond Alibaba Cloud's own.
    pub key_commands: Vec<String>,
    /// Sources that administrators come from, in CIDR. Empty: not said.
    pub admin_sources: Vec<String>,
    /// Listeners that may be exposed.
    pub allowed_listeners: Vec<AllowedListener>,
    /// Whether exposed ports are closed by a firewall rule or by stopping their unit.
    pub stop_exposed_units: bool,
    /// Users that may ask the metadata service, beyond root.
    pub metadata_users: Vec<String>,
    /// Whether `fix` may call the ECS OpenAPI with the instance's RAM role.
    pub openapi: bool,
    /// Findings that are accepted for now.
    pub waivers: Vec<Waiver>,
}

/// Thresholds; the defaults are Alibaba Cloud's where it gives one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `MaxAuthTries`, least and most.
    pub max_auth_tries: (i64, i64),
    /// `LoginGraceTime`, seconds, most; 0 (unlimited) is never right.
    pub login_grace_seconds: i64,
    /// `ClientAliveInterval`, seconds, least and most.
    pub client_alive_seconds: (i64, i64),
    /// `ClientAliveCountMax`, least and most.
    pub client_alive_count: (i64, i64),
    /// Password age in days: least and most of `PASS_MAX_DAYS`.
    pub password_max_days: (i64, i64),
    /// Least and most of `PASS_MIN_DAYS`.
    pub password_min_days: (i64, i64),
    /// Least and most of `PASS_WARN_AGE`.
    pub password_warn_days: (i64, i64),
    /// Least `minlen`.
    pub password_length: i64,
    /// Least `minclass`.
    pub password_classes: i64,
    /// Least `remember`.
    pub password_history: i64,
    /// Most failed attempts before a lock-out.
    pub lockout_attempts: i64,
    /// Least RSA bits.
    pub rsa_bits: u32,
    /// Least RSA bits asked for by the enhanced profile.
    pub rsa_bits_enhanced: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_auth_tries: (3, 6),
            login_grace_seconds: 60,
            client_alive_seconds: (300, 900),
            client_alive_count: (1, 3),
            password_max_days: (60, 180),
            password_min_days: (7, 14),
            password_warn_days: (7, 14),
            password_length: 9,
            password_classes: 3,
            password_history: 5,
            lockout_attempts: 10,
            rsa_bits: 2048,
            rsa_bits_enhanced: 3072,
        }
    }
}

/// A listener that may be exposed. What is None matches anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedListener {
    /// The port.
    pub port: Option<u16>,
    /// TCP or UDP.
    pub protocol: Option<Protocol>,
    /// The bound address.
    pub address: Option<IpAddr>,
    /// The executable's path.
    pub process: Option<String>,
    /// The unit.
    pub unit: Option<String>,
}

/// A finding accepted until a date, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The check's id.
    pub check: String,
    /// The finding's subject; None: every finding of the check.
    pub subject: Option<String>,
    /// Why.
    pub reason: String,
    /// The first moment at which it no longer holds; None: never ends (a waiver without an end is itself reported).
    pub expires: Option<UnixSeconds>,
}

impl Policy {
    /// The built-in policy of a profile.
    pub fn builtin(profile: Profile) -> Self {
        Self {
            profile,
            severity: BTreeMap::new(),
            limits: Limits::default(),
            approved_keys: None,
            approved_authorities: Vec::new(),
            expected_accounts: None,
            sudo_accounts: Vec::new(),
            forwarding_accounts: Vec::new(),
            key_commands: Vec::new(),
            admin_sources: Vec::new(),
            allowed_listeners: Vec::new(),
            stop_exposed_units: false,
            metadata_users: Vec::new(),
            openapi: false,
            waivers: Vec::new(),
        }
    }
}
