//! Everything that the files of a host say, parsed: the facts that checks judge.

use crate::fact::Fact;
use crate::observation::Observations;
use crate::snapshot::{Need, Reader, Snapshot};

pub mod accounts;
pub mod cloud_init;
pub mod image;
pub mod keys;
pub mod login_files;
pub mod metadata_clients;
pub mod os;
pub mod pam;
pub mod platform;
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
    /// What is installed and set of the platform.
    pub platform: platform::Platform,
    /// What does not belong into an image. Absent: nobody asked.
    pub image: Fact<image::Image>,
}

impl Host {
    /// Parses what is recorded, once. The second value is what is still needed; while it is not empty the facts are
    /// provisional.
    pub fn read(snapshot: &Snapshot, seen: &Observations) -> (Self, Need) {
        let reader = Reader::new(snapshot);
        let os = os::Os::read(&reader);
        let accounts = accounts::Accounts::read(&reader);
        let sshd = sshd::Sshd::read(&reader, seen);
        let pam = read_pam(&reader, &sshd);
        let host = Self {
            keys: read_keys(&reader, &os, &accounts, &sshd),
            login_files: read_login_files(&reader, &accounts, &pam, &sshd),
            sudo: sudo::Sudo::read(&reader, seen),
            image: read_image(&reader, &accounts, seen),
            os,
            accounts,
            pam,
            sshd,
            services: services::Services::read(&reader),
            cloud_init: cloud_init::CloudInit::read(&reader),
            metadata_clients: metadata_clients::MetadataClients::read(&reader),
            platform: platform::Platform::read(&reader),
        };
        (host, reader.need())
    }
}

/// sshd's words for a keyword, over all instances.
fn named(sshd: &sshd::Sshd, keyword: &str) -> Vec<String> {
    sshd.instances.iter().flat_map(|instance| instance.configuration.named(keyword)).collect()
}

fn read_keys(reader: &Reader<'_>, os: &os::Os, accounts: &accounts::Accounts, sshd: &sshd::Sshd) -> keys::Keys {
    let modes = keys::Modes { private_groups: os.is_debian_like().then_some(accounts) };
    keys::Keys::read(reader, accounts, &modes, &keys::Patterns::of(sshd, accounts))
}

fn read_pam(reader: &Reader<'_>, sshd: &sshd::Sshd) -> pam::Pam {
    let mut pam = pam::Pam::read(reader);
    for name in named(sshd, "pamservicename").into_iter().filter(|name| !name.is_empty() && !name.contains('/')) {
        if !pam.services.contains_key(&name) {
            let service = pam::Service::read(reader, &name, &mut pam.defects);
            pam.services.insert(name, service);
        }
    }
    pam
}

fn read_login_files(
    reader: &Reader<'_>,
    accounts: &accounts::Accounts,
    pam: &pam::Pam,
    sshd: &sshd::Sshd,
) -> login_files::LoginFiles {
    login_files::LoginFiles::read(reader, accounts, pam, sshd, |keyword| named(sshd, keyword))
}

fn read_image(reader: &Reader<'_>, accounts: &accounts::Accounts, seen: &Observations) -> Fact<image::Image> {
    if seen.image { Fact::Known(image::Image::read(reader, accounts)) } else { Fact::Absent }
}

/// A host that is being read while its snapshot grows: a part that lacks nothing is not parsed again.
#[derive(Debug, Default)]
pub struct Reading {
    os: Option<os::Os>,
    accounts: Option<accounts::Accounts>,
    pam: Option<pam::Pam>,
    sudo: Option<sudo::Sudo>,
    keys: Option<keys::Keys>,
    sshd: Option<sshd::Sshd>,
    cloud_init: Option<Fact<cloud_init::CloudInit>>,
    metadata_clients: Option<metadata_clients::MetadataClients>,
    services: Option<services::Services>,
    login_files: Option<login_files::LoginFiles>,
    platform: Option<platform::Platform>,
    image: Option<Fact<image::Image>>,
}

/// One part: parsed where it is not there yet, kept once it lacks nothing.
fn part<T>(slot: &mut Option<T>, snapshot: &Snapshot, need: &mut Need, read: impl FnOnce(&Reader<'_>) -> T) {
    if slot.is_none() {
        let reader = Reader::new(snapshot);
        let facts = read(&reader);
        let lacks = reader.need();
        if lacks.is_empty() {
            *slot = Some(facts);
        }
        for (path, wants) in lacks {
            let all = need.entry(path).or_default();
            all.extend(wants.into_iter().filter(|want| !all.contains(want)).collect::<Vec<_>>());
        }
    }
}

impl Reading {
    /// Parses what was not complete yet. What is still needed; nothing: [`finish`](Self::finish) has the host.
    pub fn step(&mut self, snapshot: &Snapshot, seen: &Observations) -> Need {
        let mut need = Need::new();
        part(&mut self.os, snapshot, &mut need, os::Os::read);
        part(&mut self.accounts, snapshot, &mut need, accounts::Accounts::read);
        part(&mut self.sshd, snapshot, &mut need, |reader| sshd::Sshd::read(reader, seen));
        part(&mut self.sudo, snapshot, &mut need, |reader| sudo::Sudo::read(reader, seen));
        part(&mut self.services, snapshot, &mut need, services::Services::read);
        part(&mut self.cloud_init, snapshot, &mut need, cloud_init::CloudInit::read);
        part(&mut self.metadata_clients, snapshot, &mut need, metadata_clients::MetadataClients::read);
        part(&mut self.platform, snapshot, &mut need, platform::Platform::read);
        if let Some(accounts) = &self.accounts {
            part(&mut self.image, snapshot, &mut need, |reader| read_image(reader, accounts, seen));
        }
        // These rest on the others.
        let Some(sshd) = &self.sshd else { return need };
        part(&mut self.pam, snapshot, &mut need, |reader| read_pam(reader, sshd));
        if let (Some(os), Some(accounts)) = (&self.os, &self.accounts) {
            part(&mut self.keys, snapshot, &mut need, |reader| read_keys(reader, os, accounts, sshd));
        }
        if let (Some(accounts), Some(pam)) = (&self.accounts, &self.pam) {
            part(&mut self.login_files, snapshot, &mut need, |reader| read_login_files(reader, accounts, pam, sshd));
        }
        need
    }

    /// The host, once nothing is needed any more; None before.
    pub fn finish(self) -> Option<Host> {
        Some(Host {
            os: self.os?,
            accounts: self.accounts?,
            pam: self.pam?,
            sudo: self.sudo?,
            keys: self.keys?,
            sshd: self.sshd?,
            cloud_init: self.cloud_init?,
            metadata_clients: self.metadata_clients?,
            services: self.services?,
            login_files: self.login_files?,
            platform: self.platform?,
            image: self.image?,
        })
    }
}
