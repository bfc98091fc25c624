//! The keys that open accounts: every authorized_keys file that sshd may read, and whether it will.

mod lookup;
mod patterns;
mod private;
mod strict_modes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::fact::{Fact, Why};
use crate::host::accounts::{Accounts, User};
use crate::parse::Defect;
use crate::parse::authorized_keys::{self, KeyLine};
use crate::parse::passwd::Name;
use crate::snapshot::{Kind, Miss, Reader, Walk};
use crate::weak_key::Blocklist;

pub use lookup::{expand, readable_by};
use patterns::Pattern;
pub use patterns::Patterns;
pub use private::{PrivateFile, PrivateFiles};
pub use strict_modes::{Fault, Modes, Refusal, strict_modes};

/// The keys of a host.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// One entry an account that a look-up by name reaches, in the order of passwd.
    pub accounts: Vec<AccountKeys>,
    /// Private keys lying in homes.
    pub private: PrivateFiles,
    /// Lists of predictable keys that stand on this host.
    pub blocklist: Blocklist,
    /// Where an account stands in `accounts`.
    places: BTreeMap<Name, usize>,
}

/// The keys of one account.
#[derive(Clone, Debug)]
pub struct AccountKeys {
    /// The account.
    pub user: Name,
    /// Its uid.
    pub uid: u32,
    /// Where its home really stands, where that is known and root alone decides it: no link on the way is somebody else's.
    pub home: Option<PathBuf>,
    /// The files, in the order in which they are configured. Files that do not exist are there too.
    pub files: Vec<KeyFile>,
    /// Its home and `~/.ssh`, where they exist and the account is one that people use: who may write there.
    pub directories: Vec<Refusal>,
    /// Those of the two that could not be looked at.
    pub unread: Vec<(PathBuf, Why)>,
}

/// One authorized_keys file for one account.
#[derive(Clone, Debug)]
pub struct KeyFile {
    /// The word of `AuthorizedKeysFile` that names it.
    pub pattern: String,
    /// Whether that word holds for the account, rather than in a Match block for others.
    pub holds: bool,
    /// The path as sshd opens it: tokens expanded, links not resolved.
    pub path: PathBuf,
    /// Where it really stands.
    pub canonical: PathBuf,
    /// Its lines.
    pub content: Fact<KeyLines>,
    /// What StrictModes objects to: nothing, or each component that sshd does not trust. Absent like the file.
    pub strict: Fact<Vec<Refusal>>,
    /// sshd opens the file as the account: the component that keeps the account from reading it, if any.
    pub closed: Fact<Option<PathBuf>>,
}

/// The lines of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyLines {
    /// Lines with a key.
    pub keys: Vec<KeyLine>,
    /// Lines that hold none that OpenSSH can read.
    pub defects: Vec<Defect>,
}

impl Keys {
    /// Reads the files that `AuthorizedKeysFile` names for each account; `modes` says how this sshd judges owners and modes.
    pub fn read(reader: &Reader<'_>, accounts: &Accounts, modes: &Modes<'_>, patterns: &Patterns<'_>) -> Self {
        let mut keys = Self::default();
        for user in accounts.list().iter().filter(|user| !user.hidden_name) {
            keys.places.insert(user.name().clone(), keys.accounts.len());
            keys.accounts.push(AccountKeys::read(reader, accounts, user, modes, patterns));
        }
        keys.private = PrivateFiles::read(reader, accounts);
        keys.blocklist = keys.read_blocklists(reader);
        keys
    }

    /// The keys of an account.
    pub fn of(&self, user: &Name) -> Option<&AccountKeys> {
        self.accounts.get(*self.places.get(user)?)
    }

    /// Every line with a key in a file that holds for its account, with account and file.
    pub fn lines(&self) -> impl Iterator<Item = (&AccountKeys, &KeyFile, &KeyLine)> {
        self.accounts.iter().flat_map(|account| {
            account.files.iter().filter(|file| file.holds).flat_map(move |file| {
                file.content
                    .known()
                    .into_iter()
                    .flat_map(move |lines| lines.keys.iter().map(move |key| (account, file, key)))
            })
        })
    }

    /// Files that hold for their account, that exist or may exist, and whose lines are not known.
    pub fn unknown(&self) -> impl Iterator<Item = (&AccountKeys, &KeyFile, &Why)> {
        self.accounts.iter().flat_map(|account| {
            account
                .files
                .iter()
                .filter(|file| file.holds)
                .filter_map(move |file| file.content.why().map(|why| (account, file, why)))
        })
    }

    fn read_blocklists(&self, reader: &Reader<'_>) -> Blocklist {
        let mut paths: Vec<PathBuf> = self.lines().flat_map(|(_, _, line)| Blocklist::paths(&line.key)).collect();
        paths.sort();
        paths.dedup();
        let mut list = Blocklist::new();
        for path in paths {
            if let Ok(view) = reader.file(&path) {
                list.add(view.bytes);
            }
        }
        list
    }
}

impl AccountKeys {
    fn read(reader: &Reader<'_>, accounts: &Accounts, user: &User, modes: &Modes<'_>, patterns: &Patterns<'_>) -> Self {
        let gids = accounts.gids_of(user);
        let mut files: Vec<KeyFile> = Vec::new();
        for pattern in patterns.for_user(user) {
            let Some(path) = expand(&pattern.text, user) else { continue };
            let special = path.as_os_str().as_encoded_bytes().iter().any(|byte| b"*?[\\".contains(byte));
            let paths = if special && patterns.globs { reader.glob(&path).paths } else { vec![path] };
            for path in paths {
                if !files.iter().any(|file| file.path == path) {
                    files.push(KeyFile::read(reader, user, &gids, modes, &pattern, path));
                }
            }
        }
        let peopled = user.is_root() || accounts.is_human(user);
        let used = files.iter().any(|file| file.holds && !matches!(file.content, Fact::Absent));
        let (directories, unread) =
            if peopled || used { strict_modes::directories(reader, user, modes) } else { Default::default() };
        // A link of the account's own could make any directory its home.
        let walk = reader.walk(&user.entry.home, true).ok();
        let roots = |walk: &Walk<'_>| walk.steps.iter().all(|step| step.meta.kind != Kind::Link || step.meta.uid == 0);
        let home = walk.filter(roots).map(|walk| walk.canonical);
        Self { user: user.name().clone(), uid: user.entry.uid, home, files, directories, unread }
    }

    /// The file that sshd opens at this path.
    pub fn file(&self, path: &Path) -> Option<&KeyFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl KeyFile {
    fn read(
        reader: &Reader<'_>,
        user: &User,
        gids: &[u32],
        modes: &Modes<'_>,
        pattern: &Pattern,
        path: PathBuf,
    ) -> Self {
        // The content is asked for first: one round for file, metadata and every component on the way.
        let content = match reader.file(&path) {
            Ok(view) => {
                let (keys, defects) = authorized_keys::parse(view.bytes);
                Fact::Known(KeyLines { keys, defects })
            }
            // sshd can open neither: no key comes from there.
            Err(Miss::Unreadable(Why::WrongKind(_) | Why::LinkLoop)) => Fact::Known(KeyLines::default()),
            Err(miss) => miss.fact(),
        };
        let walk = reader.walk(&path, true);
        let canonical = walk.as_ref().map_or_else(|_| path.clone(), |walk| walk.canonical.clone());
        let closed = match &walk {
            Ok(walk) => Fact::Known(readable_by(walk, user.entry.uid, gids)),
            Err(miss) => Miss::fact(miss.clone()),
        };
        let strict = match strict_modes(reader, &path, &user.entry.home, user.entry.uid, modes) {
            Ok(refused) => Fact::Known(refused),
            Err(miss) => miss.fact(),
        };
        Self { pattern: pattern.text.clone(), holds: pattern.holds, path, canonical, content, strict, closed }
    }
}
