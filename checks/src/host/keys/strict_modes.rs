//! StrictModes: whether sshd trusts a file, by owner and mode of everything on its canonical path.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::check::path_text;
use crate::fact::Why;
use crate::host::accounts::{Accounts, User};
use crate::snapshot::{Kind, Meta, Miss, Reader};

/// How an sshd judges owners and modes.
#[derive(Clone, Copy, Debug)]
pub struct Modes<'a> {
    /// Accounts and groups, for the private-group exception; None: upstream's rule, any group-writable path is refused.
    /// Debian and Ubuntu patch the exception in.
    pub private_groups: Option<&'a Accounts>,
}

/// A component that sshd does not trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The component, canonical.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
    /// Its metadata.
    pub meta: Meta,
}

/// What is wrong with a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not a regular file.
    Kind,
    /// Owned by somebody who is neither root nor the account.
    Owner,
    /// Anybody may write.
    OthersWrite,
    /// A group may write.
    GroupWrites,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = path_text(self.path.clone());
        match self.fault {
            Fault::Kind => write!(f, "{path} is no regular file"),
            Fault::Owner => write!(f, "{path} belongs to uid {}", self.meta.uid),
            Fault::OthersWrite => write!(f, "{path} is writable by everybody (mode {:04o})", self.meta.mode),
            Fault::GroupWrites => {
                write!(f, "{path} is writable by group {} (mode {:04o})", self.meta.gid, self.meta.mode)
            }
        }
    }
}

/// Walks the canonical path as `misc.c:safe_path` does: the file, then every directory above it, up to the home where the
/// file lies under it, else up to `/`. Every component that sshd does not trust comes back; sshd names the first and
/// stops. None of them: it trusts the file.
///
/// # Errors
/// The file or a component is absent, unreadable, or not recorded yet.
pub fn strict_modes(
    reader: &Reader<'_>,
    path: &Path,
    home: &Path,
    uid: u32,
    modes: &Modes<'_>,
) -> Result<Vec<Refusal>, Miss> {
    let walk = reader.walk(path, true)?;
    let home = match reader.canonical(home) {
        Ok(home) => Some(home),
        Err(Miss::Pending) => return Err(Miss::Pending),
        Err(Miss::Absent | Miss::Unreadable(_)) => None,
    };
    if walk.meta.kind != Kind::File {
        return Ok(vec![Refusal { path: walk.canonical, fault: Fault::Kind, meta: walk.meta }]);
    }
    let mut refused = Vec::new();
    for here in walk.canonical.ancestors() {
        let meta = reader.meta(here)?;
        if let Some(fault) = modes.fault(&meta, uid) {
            refused.push(Refusal { path: here.to_path_buf(), fault, meta });
        }
        if meta.kind == Kind::Dir && home.as_deref() == Some(here) {
            break;
        }
    }
    Ok(refused)
}

/// The same judgement of the home and of `~/.ssh` themselves, whether or not they hold keys. A home that the account does
/// not own and that everybody has (`/`, `/nonexistent`) is not its own to mend. The second value: what could not be looked at.
pub(super) fn directories(reader: &Reader<'_>, user: &User, modes: &Modes<'_>) -> (Vec<Refusal>, Vec<(PathBuf, Why)>) {
    let home = &user.entry.home;
    let (mut refused, mut unread) = (Vec::new(), Vec::new());
    if home.as_os_str().is_empty() || home == Path::new("/") {
        return (refused, unread);
    }
    for path in [home.clone(), home.join(".ssh")] {
        let walk = match reader.walk(&path, true) {
            Ok(walk) if walk.meta.kind == Kind::Dir => walk,
            Ok(_) | Err(Miss::Absent | Miss::Pending | Miss::Unreadable(Why::WrongKind(_) | Why::LinkLoop)) => continue,
            Err(Miss::Unreadable(why)) => {
                unread.push((path, why));
                continue;
            }
        };
        if let Some(fault) = modes.fault(&walk.meta, user.entry.uid) {
            refused.push(Refusal { path: walk.canonical, fault, meta: walk.meta });
        }
    }
    (refused, unread)
}

impl Modes<'_> {
    /// What is wrong with a component for an account: upstream's rule, or Debian's `misc.c:secure_permissions`.
    pub fn fault(&self, meta: &Meta, uid: u32) -> Option<Fault> {
        if meta.uid != 0 && meta.uid != uid {
            return Some(Fault::Owner);
        }
        if meta.mode & 0o002 != 0 {
            return Some(Fault::OthersWrite);
        }
        let private = self.private_groups.is_some_and(|accounts| private_group(accounts, meta, uid));
        (meta.mode & 0o020 != 0 && !private).then_some(Fault::GroupWrites)
    }
}

/// Debian's exception: the group has members, all of them the account (by uid, as primary group) or the owner (by name).
fn private_group(accounts: &Accounts, meta: &Meta, uid: u32) -> bool {
    let Some(group) = accounts.group_by_gid(meta.gid) else { return false };
    let Some(owner) = accounts.by_uid(meta.uid) else { return false };
    let primary = accounts.primary_uids(meta.gid);
    if primary.iter().any(|other| *other != uid) {
        return false;
    }
    match group.members.as_slice() {
        [] => !primary.is_empty(),
        [member] => *member == owner.entry.name,
        _ => false,
    }
}
