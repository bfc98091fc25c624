//! What is right: thresholds, approved keys, allowed listeners, waivers. Built-in defaults serve without a file.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::check::{Profile, Severity};
use crate::observation::UnixSeconds;
use crate::observation::socket::Protocol;

mod window;

pub use window::{NoWindow, Window};

/// The policy that findings are judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which checks run.
    pub profile: Profile,
    /// Checks and areas that run beyond the profile's.
    pub include: Vec<String>,
    /// Checks and areas that do not run.
    pub exclude: Vec<String>,
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
    /// Files, directories and patterns in which AccessKeys are looked for, beyond the known places.
    pub credential_paths: Vec<String>,
    /// Whether services that listen are asked what they give to whoever comes.
    pub ask_services: bool,
    /// Users that may ask the metadata service, beyond root.
    pub metadata_users: Vec<String>,
    /// Whether `fix` may call the ECS OpenAPI with the instance's RAM role.
    pub openapi: bool,
    /// How many finished transactions are kept.
    pub keep_transactions: u32,
    /// For how many days a finished transaction is kept.
    pub keep_days: u32,
    /// Findings that are accepted for now.
    pub waivers: Vec<Waiver>,
    /// What a resident may fix by itself.
    pub remediate: Remediate,
}

/// What a resident may fix by itself; by default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remediate {
    /// Ids of checks.
    pub checks: Vec<String>,
    /// When it may, by the host's local time. Empty: at any time.
    pub windows: Vec<Window>,
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
    /// Refused logins from one source that are a burst.
    pub login_failures: i64,
    /// Within how many seconds.
    pub login_failure_seconds: i64,
    /// For how many days a source is new after its first login.
    pub new_source_days: i64,
    /// Least RSA bits.
    pub rsa_bits: u32,
    /// Least RSA bits asked for by the enhanced profile.
    pub rsa_bits_enhanced: u32,
    /// Oldest list of security updates that is believed, in days.
    pub package_list_days: i64,
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
            login_failures: 10,
            login_failure_seconds: 600,
            new_source_days: 7,
            rsa_bits: 2048,
            rsa_bits_enhanced: 3072,
            package_list_days: 7,
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
    /// Sources that it may be exposed to, in CIDR. Empty: everybody.
    pub sources: Vec<String>,
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
            include: Vec::new(),
            exclude: Vec::new(),
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
            credential_paths: Vec::new(),
            ask_services: profile != Profile::Basic,
            metadata_users: Vec::new(),
            openapi: false,
            keep_transactions: 50,
            keep_days: 365,
            waivers: Vec::new(),
            remediate: Remediate::default(),
        }
    }

    /// Whether a check runs: it is in the profile or included, and not excluded. `area` is the part of its id before the dot.
    pub fn selects(&self, id: &str, area: &str, in_profile: bool) -> bool {
        let named = |list: &[String]| list.iter().any(|word| word == id || word == area);
        (in_profile || named(&self.include)) && !named(&self.exclude)
    }

    /// The waiver that covers a finding at this moment.
    pub fn waiver(&self, check: &str, subject: &str, now: UnixSeconds) -> Option<&Waiver> {
        self.waivers.iter().find(|waiver| {
            waiver.check == check
                && waiver.subject.as_deref().is_none_or(|wanted| wanted == subject)
                && waiver.expires.is_none_or(|end| now < end)
        })
    }

    /// The policy as text in one form, whatever files and orders it came from: what its digest is taken over. Every field takes
    /// part, so that none that is added can be forgotten.
    pub fn canonical(&self) -> String {
        let Self {
            profile,
            include,
            exclude,
            severity,
            limits,
            approved_keys,
            approved_authorities,
            expected_accounts,
            sudo_accounts,
            forwarding_accounts,
            key_commands,
            admin_sources,
            allowed_listeners,
            stop_exposed_units,
            credential_paths,
            ask_services,
            metadata_users,
            openapi,
            keep_transactions,
            keep_days,
            waivers,
            remediate,
        } = self;
        fn sorted<T: Ord>(list: &[T]) -> Vec<&T> {
            let mut list: Vec<&T> = list.iter().collect();
            list.sort();
            list.dedup();
            list
        }
        // Debug escapes control characters and quotes: a line feed in a value starts no line here.
        let mut listeners: Vec<String> = allowed_listeners.iter().map(|listener| format!("{listener:?}")).collect();
        let mut waived: Vec<String> = waivers.iter().map(|waiver| format!("{waiver:?}")).collect();
        listeners.sort();
        waived.sort();
        let lines = [
            "hostward.policy/1".to_owned(),
            format!("profile {}", profile.word()),
            format!("include {:?}", sorted(include)),
            format!("exclude {:?}", sorted(exclude)),
            format!("severity {severity:?}"),
            format!("limits {limits:?}"),
            format!("approved_keys {:?}", approved_keys.as_deref().map(sorted)),
            format!("approved_authorities {:?}", sorted(approved_authorities)),
            format!("expected_accounts {:?}", expected_accounts.as_deref().map(sorted)),
            format!("sudo_accounts {:?}", sorted(sudo_accounts)),
            format!("forwarding_accounts {:?}", sorted(forwarding_accounts)),
            format!("key_commands {:?}", sorted(key_commands)),
            format!("admin_sources {:?}", sorted(admin_sources)),
            format!("allowed_listeners {listeners:?}"),
            format!("stop_exposed_units {stop_exposed_units}"),
            format!("credential_paths {:?}", sorted(credential_paths)),
            format!("ask_services {ask_services}"),
            format!("metadata_users {:?}", sorted(metadata_users)),
            format!("openapi {openapi}"),
            format!("transactions {keep_transactions} {keep_days}"),
            format!("waivers {waived:?}"),
            format!("remediate {remediate:?}"),
        ];
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiver(check: &str, subject: Option<&str>, expires: Option<i64>) -> Waiver {
        Waiver { check: check.into(), subject: subject.map(Into::into), reason: "because".into(), expires }
    }

    #[test]
    fn a_waiver_covers_its_check_and_subject_until_it_ends() {
        let mut policy = Policy::builtin(Profile::Enhanced);
        policy.waivers = vec![waiver("a.b", Some("account:root"), Some(100)), waiver("a.c", None, None)];
        for (check, subject, now, want) in [
            ("a.b", "account:root", 99, true),
            ("a.b", "account:root", 100, false),
            ("a.b", "account:web", 0, false),
            ("a.c", "anything", 1 << 40, true),
            ("a.d", "anything", 0, false),
        ] {
            assert_eq!(policy.waiver(check, subject, now).is_some(), want, "{check} {subject} {now}");
        }
    }

    #[test]
    fn the_profile_is_widened_and_narrowed() {
        let mut policy = Policy::builtin(Profile::Basic);
        policy.include = vec!["keys".into()];
        policy.exclude = vec!["keys.weak".into()];
        for (id, in_profile, want) in [
            ("keys.shared", false, true),
            ("keys.weak", true, false),
            ("sshd.port", false, false),
            ("sshd.port", true, true),
        ] {
            let area = id.split('.').next().unwrap();
            assert_eq!(policy.selects(id, area, in_profile), want, "{id}");
        }
    }

    #[test]
    fn the_canonical_form_knows_order_and_nothing_else() {
        let one = Policy { sudo_accounts: vec!["a".into(), "b".into()], ..Policy::builtin(Profile::Basic) };
        let same = Policy { sudo_accounts: vec!["b".into(), "a".into(), "a".into()], ..one.clone() };
        assert_eq!(one.canonical(), same.canonical());
        for other in [
            Policy { profile: Profile::Image, ..one.clone() },
            Policy { openapi: true, ..one.clone() },
            Policy { approved_keys: Some(vec![]), ..one.clone() },
            Policy { waivers: vec![waiver("a.b", None, None)], ..one.clone() },
            Policy { sudo_accounts: vec!["a\", \"b".into()], ..one.clone() },
            Policy { limits: Limits { rsa_bits: 4096, ..Limits::default() }, ..one.clone() },
        ] {
            assert_ne!(one.canonical(), other.canonical());
        }
    }
}
