//! `policy.toml`: one file as a fragment, fragments merged, and the policy that comes of them.

use std::collections::BTreeMap;
use std::path::Path;

use hostward_checks::check::{Profile, Severity};
use hostward_checks::policy::{AllowedListener, Limits, Policy, Remediate, Waiver, Window};

use super::Problem;
use super::keys::key;
use super::reader::{Document, Section};
use super::value::{
    account, address, boolean, check, check_or_area, fixable_check, known_check, last_day, network, number, path, port,
    profile, protocol, range, searched, seconds, severity, text, window,
};

/// What one file says, or several merged. None: nothing.
#[derive(Debug, Default)]
pub(super) struct Fragment {
    profile: Option<Profile>,
    include: Vec<String>,
    exclude: Vec<String>,
    severity: BTreeMap<String, Severity>,
    limits: LimitsFragment,
    approved_keys: Option<Vec<String>>,
    authorities: Vec<String>,
    key_commands: Vec<String>,
    expected: Option<Vec<String>>,
    sudo: Vec<String>,
    forwarding: Vec<String>,
    admin_sources: Vec<String>,
    stop_units: Option<bool>,
    ask_services: Option<bool>,
    listeners: Vec<AllowedListener>,
    credential_paths: Vec<String>,
    metadata_users: Vec<String>,
    openapi: Option<bool>,
    keep_transactions: Option<i64>,
    keep_days: Option<i64>,
    waivers: Vec<Waiver>,
    remediate: Vec<String>,
    windows: Option<Vec<Window>>,
}

#[derive(Debug, Default)]
struct LimitsFragment {
    max_auth_tries: Option<(i64, i64)>,
    login_grace: Option<i64>,
    client_alive: Option<(i64, i64)>,
    client_alive_count: Option<(i64, i64)>,
    password_max_days: Option<(i64, i64)>,
    password_min_days: Option<(i64, i64)>,
    password_warn_days: Option<(i64, i64)>,
    password_length: Option<i64>,
    password_classes: Option<i64>,
    password_history: Option<i64>,
    lockout_attempts: Option<i64>,
    login_failures: Option<i64>,
    login_failure_window: Option<i64>,
    new_source_days: Option<i64>,
    rsa_bits: Option<i64>,
    rsa_bits_enhanced: Option<i64>,
    package_list_days: Option<i64>,
}

/// Reads one file's text; mistakes go to `problems`, what is right counts all the same.
pub(super) fn parse(file: &Path, text: &str, problems: &mut Vec<Problem>) -> Fragment {
    Document::new(file, text, problems).walk(fragment)
}

/// Asks for every key that a policy has.
pub(super) fn fragment(root: &mut Section<'_, '_>) -> Fragment {
    let mut out = Fragment { profile: root.get("profile", profile), ..Fragment::default() };
    root.section("checks", |checks| {
        out.include = checks.list("include", check_or_area).unwrap_or_default();
        out.exclude = checks.list("exclude", check_or_area).unwrap_or_default();
    });
    root.section("severity", |table| {
        out.severity = table.entries(known_check, severity).into_iter().collect();
    });
    root.section("limits", |table| out.limits = limits(table));
    root.section("keys", |keys| {
        out.approved_keys = keys.list("approved", key);
        out.authorities = keys.list("authorities", key).unwrap_or_default();
        out.key_commands =
            keys.list("commands", |value| path(value).map(|p| p.display().to_string())).unwrap_or_default();
    });
    root.section("accounts", |accounts| {
        out.expected = accounts.list("expected", account);
        out.sudo = accounts.list("sudo", account).unwrap_or_default();
        out.forwarding = accounts.list("forwarding", account).unwrap_or_default();
    });
    root.section("sshd", |sshd| out.admin_sources = sshd.list("admin-sources", network).unwrap_or_default());
    root.section("ports", |ports| {
        out.stop_units = ports.get("stop-units", boolean);
        out.ask_services = ports.get("ask-services", boolean);
        out.listeners = ports.sections("allow", listener);
    });
    root.section("credentials", |credentials| {
        out.credential_paths = credentials.list("paths", searched).unwrap_or_default();
    });
    root.section("metadata", |metadata| {
        out.metadata_users = metadata.list("users", account).unwrap_or_default();
        out.openapi = metadata.get("openapi", boolean);
    });
    root.section("transactions", |transactions| {
        out.keep_transactions = transactions.get("keep", number(1, 100_000));
        out.keep_days = transactions.get("keep-days", number(1, 99_999));
    });
    out.waivers = root.sections("waivers", waiver);
    root.section("remediate", |table| {
        out.remediate = table.list("checks", fixable_check).unwrap_or_default();
        out.windows = table.one_or_more("window", window);
    });
    out
}

fn limits(table: &mut Section<'_, '_>) -> LimitsFragment {
    let days = || number(0, 99_999);
    LimitsFragment {
        max_auth_tries: table.get("max-auth-tries", range(number(1, 1000))),
        login_grace: table.get("login-grace", seconds),
        client_alive: table.get("client-alive", range(seconds)),
        client_alive_count: table.get("client-alive-count", range(number(0, 1000))),
        password_max_days: table.get("password-max-days", range(days())),
        password_min_days: table.get("password-min-days", range(days())),
        password_warn_days: table.get("password-warn-days", range(days())),
        password_length: table.get("password-length", number(1, 256)),
        password_classes: table.get("password-classes", number(0, 4)),
        password_history: table.get("password-history", number(0, 400)),
        lockout_attempts: table.get("lockout-attempts", number(1, 1000)),
        login_failures: table.get("login-failures", number(2, 1_000_000)),
        login_failure_window: table.get("login-failure-window", seconds),
        new_source_days: table.get("new-source-days", number(0, 365)),
        rsa_bits: table.get("rsa-bits", number(1024, 16_384)),
        rsa_bits_enhanced: table.get("rsa-bits-enhanced", number(1024, 16_384)),
        package_list_days: table.get("package-list-days", number(1, 365)),
    }
}

fn listener(table: &mut Section<'_, '_>) -> Option<AllowedListener> {
    let listener = AllowedListener {
        port: table.get("port", port),
        protocol: table.get("protocol", protocol),
        address: table.get("address", address),
        process: table.get("process", |value| path(value).map(|path| path.display().to_string())),
        unit: table.get("unit", text),
        sources: table.list("sources", network).unwrap_or_default(),
    };
    if listener.port.is_none() && listener.process.is_none() && listener.unit.is_none() {
        table.wrong("port", "is missing: an allowed listener has at least a port, a process or a unit");
        return None;
    }
    Some(listener)
}

fn waiver(table: &mut Section<'_, '_>) -> Option<Waiver> {
    let (id, subject) = (table.get("check", check), table.get("subject", text));
    let (reason, expires) = (table.get("reason", text), table.get("expires", last_day));
    if id.is_none() && !table.has("check") {
        table.wrong("check", "is missing: a waiver names its check");
    }
    if reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) && (!table.has("reason") || reason.is_some()) {
        table.wrong("reason", "is missing: a waiver says why");
        return None;
    }
    Some(Waiver { check: id?, subject, reason: reason?, expires })
}

impl Fragment {
    /// Lays a later file over this one: its single values replace, its lists add.
    pub(super) fn merge(&mut self, later: Self) {
        fn replace<T>(slot: &mut Option<T>, later: Option<T>) {
            if later.is_some() {
                *slot = later;
            }
        }
        fn add<T>(slot: &mut Option<Vec<T>>, later: Option<Vec<T>>) {
            if let Some(mut more) = later {
                slot.get_or_insert_default().append(&mut more);
            }
        }
        replace(&mut self.profile, later.profile);
        self.include.extend(later.include);
        self.exclude.extend(later.exclude);
        self.severity.extend(later.severity);
        let (limits, new) = (&mut self.limits, later.limits);
        replace(&mut limits.max_auth_tries, new.max_auth_tries);
        replace(&mut limits.login_grace, new.login_grace);
        replace(&mut limits.client_alive, new.client_alive);
        replace(&mut limits.client_alive_count, new.client_alive_count);
        replace(&mut limits.password_max_days, new.password_max_days);
        replace(&mut limits.password_min_days, new.password_min_days);
        replace(&mut limits.password_warn_days, new.password_warn_days);
        replace(&mut limits.password_length, new.password_length);
        replace(&mut limits.password_classes, new.password_classes);
        replace(&mut limits.password_history, new.password_history);
        replace(&mut limits.lockout_attempts, new.lockout_attempts);
        replace(&mut limits.login_failures, new.login_failures);
        replace(&mut limits.login_failure_window, new.login_failure_window);
        replace(&mut limits.new_source_days, new.new_source_days);
        replace(&mut limits.rsa_bits, new.rsa_bits);
        replace(&mut limits.rsa_bits_enhanced, new.rsa_bits_enhanced);
        replace(&mut limits.package_list_days, new.package_list_days);
        add(&mut self.approved_keys, later.approved_keys);
        self.authorities.extend(later.authorities);
        self.key_commands.extend(later.key_commands);
        add(&mut self.expected, later.expected);
        self.sudo.extend(later.sudo);
        self.forwarding.extend(later.forwarding);
        self.admin_sources.extend(later.admin_sources);
        replace(&mut self.stop_units, later.stop_units);
        replace(&mut self.ask_services, later.ask_services);
        self.listeners.extend(later.listeners);
        self.credential_paths.extend(later.credential_paths);
        self.metadata_users.extend(later.metadata_users);
        replace(&mut self.openapi, later.openapi);
        replace(&mut self.keep_transactions, later.keep_transactions);
        replace(&mut self.keep_days, later.keep_days);
        self.waivers.extend(later.waivers);
        self.remediate.extend(later.remediate);
        replace(&mut self.windows, later.windows);
    }

    /// The policy: the command line's profile, else the files', else `otherwise`; built-in values where nothing is said.
    pub(super) fn settle(self, profile: Option<Profile>, otherwise: Profile) -> Policy {
        let builtin = Policy::builtin(profile.or(self.profile).unwrap_or(otherwise));
        let (said, limits) = (self.limits, builtin.limits);
        let bits = |said: Option<i64>, builtin: u32| said.and_then(|bits| u32::try_from(bits).ok()).unwrap_or(builtin);
        Policy {
            profile: builtin.profile,
            include: self.include,
            exclude: self.exclude,
            severity: self.severity,
            limits: Limits {
                max_auth_tries: said.max_auth_tries.unwrap_or(limits.max_auth_tries),
                login_grace_seconds: said.login_grace.unwrap_or(limits.login_grace_seconds),
                client_alive_seconds: said.client_alive.unwrap_or(limits.client_alive_seconds),
                client_alive_count: said.client_alive_count.unwrap_or(limits.client_alive_count),
                password_max_days: said.password_max_days.unwrap_or(limits.password_max_days),
                password_min_days: said.password_min_days.unwrap_or(limits.password_min_days),
                password_warn_days: said.password_warn_days.unwrap_or(limits.password_warn_days),
                password_length: said.password_length.unwrap_or(limits.password_length),
                password_classes: said.password_classes.unwrap_or(limits.password_classes),
                password_history: said.password_history.unwrap_or(limits.password_history),
                lockout_attempts: said.lockout_attempts.unwrap_or(limits.lockout_attempts),
                login_failures: said.login_failures.unwrap_or(limits.login_failures),
                login_failure_seconds: said.login_failure_window.unwrap_or(limits.login_failure_seconds),
                new_source_days: said.new_source_days.unwrap_or(limits.new_source_days),
                rsa_bits: bits(said.rsa_bits, limits.rsa_bits),
                rsa_bits_enhanced: bits(said.rsa_bits_enhanced, limits.rsa_bits_enhanced),
                package_list_days: said.package_list_days.unwrap_or(limits.package_list_days),
            },
            approved_keys: self.approved_keys,
            approved_authorities: self.authorities,
            expected_accounts: self.expected,
            sudo_accounts: self.sudo,
            forwarding_accounts: self.forwarding,
            key_commands: self.key_commands,
            admin_sources: self.admin_sources,
            allowed_listeners: self.listeners,
            stop_exposed_units: self.stop_units.unwrap_or(builtin.stop_exposed_units),
            credential_paths: self.credential_paths,
            ask_services: self.ask_services.unwrap_or(builtin.ask_services),
            metadata_users: self.metadata_users,
            openapi: self.openapi.unwrap_or(builtin.openapi),
            keep_transactions: bits(self.keep_transactions, builtin.keep_transactions),
            keep_days: bits(self.keep_days, builtin.keep_days),
            waivers: self.waivers,
            remediate: Remediate { checks: self.remediate, windows: self.windows.unwrap_or_default() },
        }
    }
}
