//! The guard of images: the account that gets the ECS key at first boot can enter with it.
//!
//! The key is not in the image, so one of nobody's is laid where cloud-init would put the real one, and the account too where
//! cloud-init would make it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::access::keys;
use super::{Case, Guard, Rule, Ruling};
use crate::check::{Input, Text, message};
use crate::effect::{FileChange, Owner, State};
use crate::fact::Fact;
use crate::host::Host;
use crate::observation::Mode;
use crate::plan::Said;
use crate::snapshot::{Kind, Reader};

/// The first login of an instance made from the image succeeds.
pub static FIRST_BOOT: Guard = Guard {
    id: "access.first-boot",
    title: Text {
        en: "the account that gets the ECS key at first boot can enter",
        zh: "首次启动时获得 ECS 密钥的账号能够登录",
    },
    rule: Rule::Host(first_boot),
};

/// A public key that nobody has the private part of, and its fingerprint.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPPMv7HtfAAGwIvQMkx1wyxFESKRoAX1NIoCm6/Voy1a first-boot\n";
const PRINT: &str = "SHA256:8gN4OgU99kLqnOmMzbQ4OFKtG43g2XnqdhaMHivcaF0";

/// An image with the key of the first boot in it.
#[derive(Clone, Copy, Debug)]
pub struct FirstBoot<'a> {
    /// The account that gets it.
    pub user: &'a str,
    /// The host with the key in its place.
    pub input: &'a Input<'a>,
}

message!(LIVE, "live", "the first boot is over", "首次启动已经完成");
message!(NO_SSHD, "no-sshd", "no sshd is in the image", "镜像中没有 sshd");
message!(ENTERS, "enters", "{user} can enter with the key of the first boot", "{user} 可以使用首次启动的密钥登录");
message!(
    SHUT_OUT,
    "shut-out",
    "{user} gets the ECS key at first boot and could not enter with it ({why}): an instance made from this image would be closed to its owner; allow {user}, or let cloud-init give the key to another account",
    "{user} 会在首次启动时获得 ECS 密钥，但无法用它登录（{why}）：由此镜像创建的实例将把主人拒之门外；请允许 {user} 登录，或让 cloud-init 把密钥交给其他账号"
);

/// The account that gets the key: the default user of cloud-init, or root where cloud-init says so or is not there (ECS puts the
/// key pair into root's file).
pub fn first_user(host: &Host) -> String {
    let Fact::Known(cloud) = &host.cloud_init else { return "root".to_owned() };
    if matches!(&cloud.disable_root, Fact::Known(set) if !set.value) {
        return "root".to_owned();
    }
    let users = cloud.users.known().map(Vec::as_slice).unwrap_or_default();
    let default = users.iter().find(|user| user.is_default && !user.name.is_empty());
    default.map_or_else(|| "root".to_owned(), |user| user.name.clone())
}

/// What the first boot adds to the image. Paths that were not read yet are noted with the reader.
pub fn additions(host: &Host, reader: &Reader<'_>) -> Vec<FileChange> {
    let name = first_user(host);
    let mut changes = Vec::new();
    let user = host.accounts.by_name(&name);
    let (uid, gid, home) = match user {
        Some(user) => (user.entry.uid, user.entry.gid, user.entry.home.clone()),
        None => {
            let uid = free(host);
            let home = PathBuf::from(format!("/home/{name}"));
            let lines = [
                ("/etc/passwd", format!("{name}:x:{uid}:{uid}::{}:/bin/sh\n", home.display())),
                ("/etc/shadow", format!("{name}:!:20000:0:99999:7:::\n")),
                ("/etc/group", format!("{name}:x:{uid}:\n")),
            ];
            changes.extend(lines.iter().filter_map(|(file, line)| appended(reader, Path::new(file), line, None)));
            changes.push(dir(reader, &home, Owner { uid, gid: uid, mode: 0o755 }));
            (uid, uid, home)
        }
    };
    let files = user.and_then(|user| host.keys.of(user.name())).map(|keys| keys.files.as_slice()).unwrap_or_default();
    let file = files.iter().find(|file| file.holds).map(|file| file.path.clone());
    let file = file.unwrap_or_else(|| home.join(".ssh/authorized_keys"));
    // cloud-init makes the directories on the way: the user's own in the home, root's elsewhere.
    let mut parents: Vec<&Path> = file.ancestors().skip(1).collect();
    parents.reverse();
    for parent in parents {
        match parent.starts_with(&home) && parent != home {
            true => changes.push(dir(reader, parent, Owner { uid, gid, mode: 0o700 })),
            false if reader.meta(parent).is_err() && !changes.iter().any(|change| change.path == parent) => {
                changes.push(dir(reader, parent, Owner::root(0o755)));
            }
            false => {}
        }
    }
    changes.extend(appended(reader, &file, KEY, Some(Owner { uid, gid, mode: 0o600 })));
    changes
}

/// A uid that nobody has.
fn free(host: &Host) -> u32 {
    (1000..).find(|uid| host.accounts.by_uid(*uid).is_none()).unwrap_or(1000)
}

/// A line at the end of a file; a missing file is made where somebody would own it.
fn appended(reader: &Reader<'_>, file: &Path, line: &str, fresh: Option<Owner>) -> Option<FileChange> {
    let path = reader.canonical(file).unwrap_or_else(|_| file.to_path_buf());
    let (before, owner) = match reader.file(&path) {
        Ok(view) => (view.bytes.to_vec(), Owner { uid: view.meta.uid, gid: view.meta.gid, mode: view.meta.mode }),
        Err(_) => (Vec::new(), fresh?),
    };
    let mut content = before.clone();
    if content.last().is_some_and(|byte| *byte != b'\n') {
        content.push(b'\n');
    }
    content.extend_from_slice(line.as_bytes());
    Some(FileChange { path, before: State::Absent, after: State::file(content, fresh.unwrap_or(owner)) })
}

/// A directory as cloud-init leaves it.
fn dir(reader: &Reader<'_>, path: &Path, owner: Owner) -> FileChange {
    let there = reader.meta(path).is_ok_and(|meta| meta.kind == Kind::Dir);
    let before = if there { State::Dir { owner } } else { State::Absent };
    FileChange {
        path: reader.canonical(path).unwrap_or_else(|_| path.to_path_buf()),
        before,
        after: State::Dir { owner },
    }
}

fn first_boot(case: &Case<'_>) -> Ruling {
    let Some(boot) = case.first_boot.filter(|_| case.before.seen.mode == Mode::Offline) else {
        return Ruling::Holds(vec![Said::new(&LIVE)]);
    };
    let access = boot.input.access;
    if access.daemons.is_empty() {
        return Ruling::Holds(vec![Said::new(&NO_SSHD)]);
    }
    // Somewhere on the internet, or in the instance's own network (RFC 5737, RFC 1918).
    let sources = [IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), IpAddr::V4(Ipv4Addr::new(172, 16, 0, 1))];
    if sources.iter().any(|source| keys(access, boot.user, *source).contains(PRINT)) {
        return Ruling::Holds(vec![Said::new(&ENTERS).with("user", boot.user)]);
    }
    let why = super::access::why(access, boot.user, sources[0]);
    Ruling::Refuses(vec![Said::new(&SHUT_OUT).with("user", boot.user).with("why", why)])
}

#[cfg(test)]
mod tests;
