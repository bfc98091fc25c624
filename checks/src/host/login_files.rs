//! Files that decide about logins beside the main ones: what sshd's settings and PAM's modules name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::accounts::Accounts;
use super::pam::Pam;
use super::sshd::{Keygen, Sshd};
use crate::check::bytes_text;
use crate::fact::{Fact, Why};
use crate::parse::access_conf::{self, AccessLine};
use crate::parse::authorized_keys::{self, KeyLine};
use crate::parse::key_blob::PublicKey;
use crate::parse::revoked_keys::{BrokenList, RevokedKeys};
use crate::snapshot::{Meta, Reader};

/// What was read.
#[derive(Clone, Debug)]
pub struct LoginFiles {
    /// What stands at each account's shell, by its path, links followed.
    pub shells: BTreeMap<PathBuf, Fact<Meta>>,
    /// Files that `RevokedKeys` names.
    pub revoked: BTreeMap<PathBuf, Fact<Result<RevokedKeys, BrokenList>>>,
    /// Files that `TrustedUserCAKeys` names.
    pub authorities: BTreeMap<PathBuf, Fact<Vec<KeyLine>>>,
    /// Owner and mode of every file that an sshd configuration is read from.
    pub config_files: BTreeMap<PathBuf, Fact<Meta>>,
    /// sshd's host keys, by the path of the private half.
    pub host_keys: BTreeMap<PathBuf, HostKey>,
    /// When units of the host make the host keys that are missing.
    pub keygen: Keygen,
    /// `/etc/krb5.keytab`: without it GSSAPI lets nobody in.
    pub keytab: Fact<Meta>,
    /// Lines of pam_access's file.
    pub access_conf: Fact<Vec<AccessLine>>,
    /// Whether pam_time's file holds any rule.
    pub time_conf: Fact<bool>,
    /// Files that pam_listfile names, as lines.
    pub lists: BTreeMap<PathBuf, Fact<Vec<String>>>,
}

/// One host key.
#[derive(Clone, Debug)]
pub struct HostKey {
    /// Owner and mode of the private half, links followed.
    pub meta: Fact<Meta>,
    /// The public half: from the `.pub` file beside it.
    pub public: Fact<PublicKey>,
}

impl HostKey {
    fn read(reader: &Reader<'_>, path: &Path) -> Self {
        let meta = reader.meta(path).map_or_else(|miss| miss.fact(), Fact::Known);
        let mut beside = path.as_os_str().to_owned();
        beside.push(".pub");
        let public = match (&meta, reader.fact(Path::new(&beside))) {
            // What has no private half is no host key.
            (Fact::Absent, _) => Fact::Absent,
            (_, Fact::Known(view)) => match authorized_keys::parse(view.bytes).0.into_iter().next() {
                Some(line) => Fact::Known(line.key),
                None => Fact::Unknown(Why::Defect("holds no public key".to_owned())),
            },
            (_, Fact::Absent) => Fact::Absent,
            (_, Fact::Unknown(why)) => Fact::Unknown(why),
        };
        Self { meta, public }
    }
}

impl LoginFiles {
    /// Reads them. `settings` gives every value that the configuration of any sshd holds for a keyword in lower case.
    pub fn read(
        reader: &Reader<'_>,
        accounts: &Accounts,
        pam: &Pam,
        sshd: &Sshd,
        settings: impl Fn(&str) -> Vec<String>,
    ) -> Self {
        let lists = listed(pam);
        let shells: BTreeSet<&Path> = accounts.list().iter().map(|user| user.shell()).collect();
        let named = |keyword: &str| -> BTreeSet<PathBuf> {
            settings(keyword).into_iter().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
        };
        let content = |path: &Path| reader.fact(path);
        Self {
            shells: shells
                .into_iter()
                .map(|path| {
                    let meta = reader.meta(path).map_or_else(|miss| miss.fact(), Fact::Known);
                    (path.to_path_buf(), meta)
                })
                .collect(),
            revoked: named("revokedkeys")
                .into_iter()
                .map(|path| {
                    let list = content(&path).map(|view| RevokedKeys::parse(view.bytes));
                    (path, list)
                })
                .collect(),
            authorities: named("trustedusercakeys")
                .into_iter()
                .map(|path| {
                    let lines = content(&path).map(|view| authorized_keys::parse(view.bytes).0);
                    (path, lines)
                })
                .collect(),
            config_files: sshd
                .instances
                .iter()
                .flat_map(|instance| &instance.configuration.files)
                .map(|(path, _)| (path.clone(), reader.meta(path).map_or_else(|miss| miss.fact(), Fact::Known)))
                .collect(),
            host_keys: named("hostkey")
                .into_iter()
                .map(|path| {
                    let key = HostKey::read(reader, &path);
                    (path, key)
                })
                .collect(),
            keygen: Keygen::read(reader),
            keytab: reader.meta(Path::new("/etc/krb5.keytab")).map_or_else(|miss| miss.fact(), Fact::Known),
            access_conf: access(reader),
            time_conf: content(Path::new("/etc/security/time.conf")).map(|view| lines(view.bytes).next().is_some()),
            lists: lists.iter().map(|path| (path.clone(), content(path).map(|view| plain_lines(view.bytes)))).collect(),
        }
    }
}

/// The files that pam_listfile names.
fn listed(pam: &Pam) -> BTreeSet<PathBuf> {
    let modules = pam
        .services
        .values()
        .flat_map(|service| service.auth_modules().into_iter().chain(service.account_modules()).collect::<Vec<_>>());
    let lists = modules.filter(|module| module.name == "pam_listfile");
    lists.filter_map(|module| module.value("file")).map(PathBuf::from).collect()
}

/// `access.conf`, then `access.d/*.conf`, as pam_access from 1.5.1 reads them.
fn access(reader: &Reader<'_>) -> Fact<Vec<AccessLine>> {
    let own = reader.fact(Path::new("/etc/security/access.conf")).map(|view| access_conf::parse(view.bytes).0);
    let fragments = reader.glob(Path::new("/etc/security/access.d/*.conf"));
    let mut all = match own {
        Fact::Known(lines) => lines,
        Fact::Absent if fragments.paths.is_empty() => return Fact::Absent,
        Fact::Absent => Vec::new(),
        unknown @ Fact::Unknown(_) => return unknown,
    };
    for path in fragments.paths {
        match reader.fact(&path) {
            Fact::Known(view) => all.extend(access_conf::parse(view.bytes).0),
            Fact::Absent => {}
            Fact::Unknown(why) => return Fact::Unknown(why),
        }
    }
    Fact::Known(all)
}

/// Lines that are neither blank nor comments.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

fn plain_lines(bytes: &[u8]) -> Vec<String> {
    lines(bytes).map(bytes_text).collect()
}
