//! Private keys left in homes: `~/.ssh`, and files at the top of a home whose name says that they hold one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::fact::Why;
use crate::host::accounts::Accounts;
use crate::parse::passwd::Name;
use crate::parse::private_key::{self, PrivateKey};
use crate::snapshot::{Kind, Meta, Miss, Reader};

/// No private key is longer (a 16,384-bit RSA key takes 13 KiB).
const MAX_SIZE: u64 = 64 * 1024;
/// Files looked at in one directory; a home with more of them is told as a doubt.
const MAX_FILES: usize = 64;

/// The private keys found, and where could not be looked.
#[derive(Clone, Debug, Default)]
pub struct PrivateFiles {
    /// The files.
    pub files: Vec<PrivateFile>,
    /// Files and directories that could not be read, or not to the end.
    pub unknown: Vec<(PathBuf, Why)>,
}

/// A file with a private key.
#[derive(Clone, Debug)]
pub struct PrivateFile {
    /// Where it stands.
    pub path: PathBuf,
    /// Whose home it is in.
    pub user: Name,
    /// Owner and mode.
    pub meta: Meta,
    /// What it holds.
    pub key: PrivateKey,
}

impl PrivateFiles {
    /// Looks into the homes of root and of accounts for people.
    pub(super) fn read(reader: &Reader<'_>, accounts: &Accounts) -> Self {
        let mut found = Self::default();
        let mut homes = BTreeSet::new();
        for user in accounts.list().iter().filter(|user| user.is_root() || accounts.is_human(user)) {
            let home = &user.entry.home;
            if home.as_os_str().is_empty() || home == Path::new("/") || !homes.insert(home.clone()) {
                continue;
            }
            found.look(reader, home, user.name(), named_like_a_key);
            found.look(reader, &home.join(".ssh"), user.name(), |name| !is_other_file(name));
        }
        found
    }

    fn look(&mut self, reader: &Reader<'_>, directory: &Path, user: &Name, wanted: fn(&[u8]) -> bool) {
        let names = match reader.names(directory) {
            Ok(names) => names,
            Err(Miss::Unreadable(Why::WrongKind(_)) | Miss::Absent | Miss::Pending) => return,
            Err(Miss::Unreadable(why)) => return self.unknown.push((directory.to_path_buf(), why)),
        };
        let mut wanted = names.iter().filter(|name| wanted(name.as_os_str().as_encoded_bytes()));
        for name in wanted.by_ref().take(MAX_FILES) {
            let path = directory.join(name);
            // A link is not followed: the file it leads to is looked at where it stands.
            let small = |meta: &Meta| meta.kind == Kind::File && meta.size <= MAX_SIZE;
            let meta = match reader.link_meta(&path) {
                Ok(meta) if small(&meta) => meta,
                Ok(_) | Err(Miss::Absent | Miss::Pending) => continue,
                Err(Miss::Unreadable(why)) => {
                    self.unknown.push((path, why));
                    continue;
                }
            };
            match reader.file(&path) {
                Ok(view) => {
                    if let Some(key) = private_key::find(view.bytes) {
                        self.files.push(PrivateFile { path, user: user.clone(), meta, key });
                    }
                }
                Err(Miss::Unreadable(why)) => self.unknown.push((path, why)),
                Err(Miss::Absent | Miss::Pending) => {}
            }
        }
        if wanted.next().is_some() {
            self.unknown.push((directory.to_path_buf(), Why::TooLarge(MAX_FILES as u64)));
        }
    }
}

/// Whether the name at the top of a home says "private key": the names of ssh-keygen, and the endings that ECS key pairs and
/// PuTTY use.
fn named_like_a_key(name: &[u8]) -> bool {
    let endings: [&[u8]; 3] = [b".pem", b".ppk", b".key"];
    let lower = name.to_ascii_lowercase();
    (lower.starts_with(b"id_") && !lower.ends_with(b".pub")) || endings.iter().any(|ending| lower.ends_with(ending))
}

/// Whether the name in `~/.ssh` is that of something else.
fn is_other_file(name: &[u8]) -> bool {
    let starts: [&[u8]; 2] = [b"authorized_keys", b"known_hosts"];
    let names: [&[u8]; 3] = [b"config", b"environment", b"rc"];
    name.ends_with(b".pub") || names.contains(&name) || starts.iter().any(|start| name.starts_with(start))
}
