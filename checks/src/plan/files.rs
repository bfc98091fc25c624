//! Files of our own, lines of keys, owners and modes.

use std::path::{Path, PathBuf};

use super::fold::{Refused, Work};
use crate::check::{Input, Message, Text, path_text};
use crate::effect::Owner;
use crate::fact::Fact;
use crate::host::accounts::User;
use crate::host::keys::{AccountKeys, KeyFile, readable_by};
use crate::parse::authorized_keys;
use crate::parse::key_blob::Fingerprint;
use crate::plan::{Obstacle, Said};
use crate::snapshot::{Kind, Miss, Reader};

static OTHERS_LINK: Message = Message {
    id: "others-link",
    text: Text {
        en: "{path} is read for {users} through a link that is theirs, and the file is not: have its owner remove the key, or remove the link",
        zh: "{path} 是通过 {users} 自己的链接读取的，而该文件不属于他们：请由文件属主移除该密钥，或删除该链接",
    },
};
static READER_LOST: Message = Message {
    id: "reader-lost",
    text: Text {
        en: "{user} could then no longer read {file}, and sshd reads it as {user}: give the account a file of its own first",
        zh: "修改后 {user} 将无法读取 {file}，而 sshd 以 {user} 的身份读取它：请先为该账号准备独立的密钥文件",
    },
};

static NOT_ITS_OWN: Message = Message {
    id: "not-its-own",
    text: Text {
        en: "{path} lies in no place that root has given to uid {uid}: have it looked at by hand, for to give it away is for good",
        zh: "{path} 不在 root 分配给 uid {uid} 的位置：请人工检查，更改属主后难以收回",
    },
};

/// A file of ours, root's.
pub(super) fn write(work: &mut Work<'_, '_>, file: &Path, content: &str, mode: u32) -> Result<(), Refused> {
    work.draft.write(file, content.as_bytes(), Owner::root(mode)).map_err(|obstacle| (file.to_path_buf(), obstacle))
}

/// Takes the line of a key out: the transaction keeps it.
pub(super) fn remove_line(
    work: &mut Work<'_, '_>,
    input: &Input<'_>,
    file: &Path,
    line: u32,
    key: &Fingerprint,
) -> Result<(), Refused> {
    let refused = |obstacle| (file.to_path_buf(), obstacle);
    let place = work.draft.place(file).map_err(refused)?;
    others_link(work.draft.reader(), input, &place).map_err(refused)?;
    let sheet = work.draft.sheet(file).map_err(refused)?;
    let text = sheet.lines().find(|(number, _)| *number == line).map(|(_, text)| text).unwrap_or_default();
    match authorized_keys::parse(text).0.as_slice() {
        [found] if found.key.fingerprint() == *key => sheet.remove(line),
        _ => return Err(refused(Obstacle::Stale)),
    }
    Ok(())
}

/// Takes a path away for good, or what it holds.
pub(super) fn erase(work: &mut Work<'_, '_>, input: &Input<'_>, path: &Path, leave_empty: bool) -> Result<(), Refused> {
    let refused = |obstacle| (path.to_path_buf(), obstacle);
    let reader = work.draft.reader();
    let place = work.draft.place_erased(path).map_err(refused)?;
    others_link(reader, input, &place).map_err(refused)?;
    // Nobody has root take away what he could not, by a link of his own.
    let walk = reader.walk(path, false);
    let steps = walk.as_ref().map(|walk| walk.steps.as_slice()).unwrap_or_default();
    if let Some(link) = steps.iter().find(|step| step.meta.kind == Kind::Link && step.meta.uid != 0) {
        return Err(refused(Obstacle::Link(path_text(&link.path))));
    }
    work.draft.erase(path, leave_empty).map_err(refused)
}

/// Refuses a file that accounts have chosen by links of their own, unless it is theirs: nobody has root edit what he could not.
fn others_link(reader: &Reader<'_>, input: &Input<'_>, place: &Path) -> Result<(), Obstacle> {
    let mut strange = Vec::new();
    for (account, file) in readers(input).filter(|(_, file)| file.canonical == place) {
        let walk = match reader.walk(&file.path, true) {
            Ok(walk) => walk,
            Err(Miss::Pending) => return Err(Obstacle::Pending),
            Err(Miss::Absent | Miss::Unreadable(_)) => continue,
        };
        let roots = |uid| uid == 0 || uid == walk.meta.uid;
        if walk.meta.uid == account.uid
            || walk.steps.iter().filter(|step| step.meta.kind == Kind::Link).all(|step| roots(step.meta.uid))
        {
            return Ok(());
        }
        strange.push(account.user.text().into_owned());
    }
    if strange.is_empty() {
        return Ok(());
    }
    Err(Obstacle::Refused(Said::new(&OTHERS_LINK).with("path", path_text(place)).with_list("users", strange)))
}

/// Every key file with the account that it holds for.
fn readers<'a>(input: &Input<'a>) -> impl Iterator<Item = (&'a AccountKeys, &'a KeyFile)> {
    let accounts = input.host.keys.accounts.iter();
    accounts.flat_map(|account| account.files.iter().filter(|file| file.holds).map(move |file| (account, file)))
}

/// Sets the mode, keeping the owner.
pub(super) fn chmod(work: &mut Work<'_, '_>, input: &Input<'_>, file: &Path, mode: u32) -> Result<(), Refused> {
    change(work, input, file, |owner| owner.mode = mode)
}

/// Sets owner and group.
pub(super) fn chown(
    work: &mut Work<'_, '_>,
    input: &Input<'_>,
    file: &Path,
    uid: u32,
    gid: u32,
) -> Result<(), Refused> {
    if uid != 0 {
        let refused = |obstacle| (file.to_path_buf(), obstacle);
        let place = work.draft.place(file).map_err(refused)?;
        let mut accounts = input.host.keys.accounts.iter().filter(|account| account.uid == uid);
        if !accounts.any(|account| account.home.as_ref().is_some_and(|home| place.starts_with(home))) {
            let said = Said::new(&NOT_ITS_OWN).with("path", path_text(file)).with("uid", uid.to_string());
            return Err(refused(Obstacle::Refused(said)));
        }
    }
    change(work, input, file, |owner| (owner.uid, owner.gid) = (uid, gid))
}

/// Changes owner or mode, where every account that could read its keys still can: sshd opens them as the account, so that an
/// `/etc/ssh/keys/%u` of root's with 0600 would be no way in.
fn change(
    work: &mut Work<'_, '_>,
    input: &Input<'_>,
    file: &Path,
    change: impl FnOnce(&mut Owner),
) -> Result<(), Refused> {
    let refused = |obstacle| (file.to_path_buf(), obstacle);
    let place = work.draft.place(file).map_err(refused)?;
    change(work.draft.owner(file).map_err(refused)?);
    let passes = |file: &KeyFile| file.path.starts_with(&place) || file.canonical.starts_with(&place);
    for (account, keys) in readers(input).filter(|(_, keys)| passes(keys) && keys.closed == Fact::Known(None)) {
        let Some(user) = input.host.accounts.by_name(account.user.bytes()) else { continue };
        if loses(work, input, user, &keys.path).map_err(refused)? {
            let said = Said::new(&READER_LOST).with("user", user.name().text()).with("file", path_text(&keys.path));
            return Err(refused(Obstacle::Refused(said)));
        }
    }
    Ok(())
}

/// Whether the account could no longer open the file, with everything that is planned so far.
fn loses(work: &Work<'_, '_>, input: &Input<'_>, user: &User, path: &Path) -> Result<bool, Obstacle> {
    let mut walk = match work.draft.reader().walk(path, true) {
        Ok(walk) => walk,
        Err(Miss::Pending) => return Err(Obstacle::Pending),
        Err(Miss::Absent | Miss::Unreadable(_)) => return Ok(false),
    };
    for step in &mut walk.steps {
        if let Some(owner) = work.draft.becomes(&step.path) {
            (step.meta.uid, step.meta.gid, step.meta.mode) = (owner.uid, owner.gid, owner.mode);
        }
    }
    Ok(readable_by(&walk, user.entry.uid, &input.host.accounts.gids_of(user)).is_some())
}

/// Removes a file.
pub(super) fn remove(work: &mut Work<'_, '_>, file: &Path) -> Result<(), Refused> {
    work.draft.remove(file).map_err(|obstacle| (PathBuf::from(file), obstacle))
}

#[cfg(test)]
mod tests;
