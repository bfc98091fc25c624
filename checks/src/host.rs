//! Everything that the files of a host say, parsed: the facts that checks judge.

use crate::fact::Fact;
use crate::observation::Observations;
use crate::snapshot::{Need, Reader, Snapshot};

pub mod accounts;
pub mod cloud_init;
pub mod keys;
pub mod login_files;
pub mod metadata_clients;
pub mod os;
pub mod pam;
pub mod services;
pub mod sshd;
pub mod sudo;

/// The facts of one host.
#[derive(Clone, Debug)]
pub struct Host {
    /// What distribution it is.
    pub os: os::Os,
    /// Accounts and groups.
    pub accounts: accounts::Accounts,
    /// PAM's stacks and the password policy in them.
    pub pam: pam::Pam,
    /// Who can become root through sudo.
    pub sudo: sudo::Sudo,
    /// authorized_keys of every account, and private keys left in homes.
    pub keys: keys::Keys,
    /// The sshd instances with their configurations.
    pub sshd: sshd::Sshd,
    /// What cloud-init is told to do at boot.
    pub cloud_init: Fact<cloud_init::CloudInit>,
    /// Programs that ask the metadata service without a token.
    pub metadata_clients: metadata_clients::MetadataClients,
    /// What starts with the system.
    pub services: services::Services,
    /// What else decides about logins: shells, revoked keys, host keys, files of PAM modules.
    pub login_files: login_files::LoginFiles,
}

impl Host {
    /// Parses what is recorded. The second value is what is still needed; while it is not empty the facts are
    /// provisional, and the caller records the needs and calls again.
    pub fn read(snapshot: &Snapshot, seen: &Observations) -> (Self, Need) {
        let reader = Reader::new(snapshot);
        let os = os::Os::read(&reader);
        let accounts = accounts::Accounts::read(&reader);
        let sshd = sshd::Sshd::read(&reader, seen);
        let named = |keyword: &str| -> Vec<String> {
            sshd.instances.iter().flat_map(|instance| instance.configuration.named(keyword)).collect()
        };
        let modes = keys::Modes { private_groups: os.is_debian_like().then_some(&accounts) };
        let keys = keys::Keys::read(&reader, &accounts, &modes, &keys::Patterns::of(&sshd, &accounts));
        let sudo = sudo::Sudo::read(&reader, seen);
        let mut pam = pam::Pam::read(&reader);
        for name in named("pamservicename").into_iter().filter(|name| !name.is_empty() && !name.contains('/')) {
            if !pam.services.contains_key(&name) {
                let service = pam::Service::read(&reader, &name, &mut pam.defects);
                pam.services.insert(name, service);
            }
        }
        let login_files = login_files::LoginFiles::read(&reader, &accounts, &pam, &sshd, named);
        let host = Self {
            sudo,
            os,
            accounts,
            pam,
            keys,
            sshd,
            login_files,
            services: services::Services::read(&reader),
            cloud_init: cloud_init::CloudInit::read(&reader),
            metadata_clients: metadata_clients::MetadataClients::read(&reader),
        };
        (host, reader.need())
    }
}
