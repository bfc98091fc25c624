//! Every check. From this one table `list`, `explain`, the documentation and the default policy are made.

use crate::check::Check;

pub mod accounts;
pub mod credentials;
pub mod image;
pub mod keys;
pub mod metadata;
pub mod platform;
pub mod policy;
pub mod ports;
#[cfg(test)]
pub(crate) mod shown;
pub mod sshd;

/// Every check, in the order in which reports show them.
pub static ALL: &[&Check] = &[
    &sshd::password_login::CHECK,
    &sshd::root_login::CHECK,
    &sshd::empty_password::CHECK,
    &sshd::source::CHECK,
    &sshd::other_methods::CHECK,
    &sshd::limits::CHECK,
    &sshd::forwarding::CHECK,
    &sshd::crypto::CHECK,
    &sshd::host_keys::CHECK,
    &sshd::logging::CHECK,
    &sshd::port::CHECK,
    &sshd::running::CHECK,
    &sshd::cloud_init::CHECK,
    &sshd::config::CHECK,
    &accounts::weak_password::CHECK,
    &accounts::empty_password::CHECK,
    &accounts::shared_password::CHECK,
    &accounts::hash_method::CHECK,
    &accounts::password_age::CHECK,
    &accounts::password_policy::CHECK,
    &accounts::lockout::CHECK,
    &accounts::uid0::CHECK,
    &accounts::system_shell::CHECK,
    &accounts::admin::CHECK,
    &accounts::sudo::CHECK,
    &accounts::files::CHECK,
    &accounts::unknown::CHECK,
    &keys::weak::CHECK,
    &keys::unapproved::CHECK,
    &keys::shared::CHECK,
    &keys::permissions::CHECK,
    &keys::unrestricted_root::CHECK,
    &keys::options::CHECK,
    &keys::private::CHECK,
    &ports::exposed::CHECK,
    &ports::unauthenticated::CHECK,
    &ports::plaintext::CHECK,
    &ports::process::CHECK,
    &ports::firewall::CHECK,
    &metadata::hardened::CHECK,
    &metadata::readiness::CHECK,
    &metadata::local_access::CHECK,
    &metadata::user_data::CHECK,
    &credentials::access_key::CHECK,
    &image::credentials::CHECK,
    &image::identity::CHECK,
    &image::traces::CHECK,
    &platform::security_center::CHECK,
    &platform::login_anomaly::CHECK,
    &platform::audit::CHECK,
    &platform::kernel::CHECK,
    &platform::trusted_boot::CHECK,
    &platform::updates::CHECK,
    &policy::waivers::CHECK,
];

/// The check with this id.
pub fn find(id: &str) -> Option<&'static Check> {
    ALL.iter().copied().find(|check| check.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::check::placeholders;

    #[test]
    fn ids_are_unique_and_texts_complete() {
        let mut ids = BTreeSet::new();
        for check in ALL {
            assert!(ids.insert(check.id), "{} stands twice", check.id);
            assert!(!check.references.is_empty(), "{} has no reference", check.id);
            assert!(!check.profiles.is_empty(), "{} is in no profile", check.id);
            let mut messages = BTreeSet::new();
            for message in check.messages {
                assert!(messages.insert(message.id), "{}: message {} stands twice", check.id, message.id);
                let (en, zh) = (placeholders(message.text.en), placeholders(message.text.zh));
                assert_eq!(en, zh, "{}: message {} has other placeholders in Chinese", check.id, message.id);
            }
        }
    }

    #[test]
    fn every_check_is_shown_to_pass_to_fail_to_be_unknown_and_to_be_mended() {
        let areas = [
            sshd::shown::rows(),
            accounts::shown::rows(),
            keys::shown::rows(),
            ports::shown::rows(),
            metadata::shown::rows(),
            credentials::shown::rows(),
            image::shown::rows(),
            platform::shown::rows(),
            policy::shown::rows(),
        ];
        let shown = areas.into_iter().flatten().collect::<Vec<_>>();
        let ids: Vec<&str> = shown.iter().map(|row| row.check.id).collect();
        let all: Vec<&str> = ALL.iter().map(|check| check.id).collect();
        assert_eq!(ids, all, "one row for each check, in their order");
        shown.iter().for_each(shown::Shown::holds);
    }
}
