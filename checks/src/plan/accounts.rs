//! Password locks, shells and ageing: fields of passwd and shadow, every other byte kept.
//!
//! The backups `passwd-` and `shadow-`, group and gshadow are not touched; neither is a line that is no entry.

use std::path::{Path, PathBuf};

use super::draft::Sheet;
use super::fold::{Refused, Work};
use crate::check::{Input, Message, Text};
use crate::fact::Fact;
use crate::host::accounts::{PASSWD, SHADOW, User};
use crate::parse::passwd::{self, PasswordField};
use crate::plan::{Obstacle, Said};
use crate::snapshot::{Kind, Miss};

static NO_ACCOUNT: Message = Message {
    id: "no-account",
    text: Text { en: "there is no account {user} in {path}", zh: "{path} 中没有账号 {user}" },
};
static NO_SHADOW: Message = Message {
    id: "no-shadow-line",
    text: Text {
        en: "{user} has no line in /etc/shadow, so no password of it is right: `pwconv` makes one",
        zh: "/etc/shadow 中没有 {user} 的条目，因此其任何口令都无效：可用 `pwconv` 补上",
    },
};
static LOCKED: Message = Message {
    id: "locked-already",
    text: Text {
        en: "the password of {user} is locked already: what remains are its keys (`hostward access {user}`); remove them, or the account",
        zh: "账号 {user} 的口令已锁定，剩下的是密钥登录（`hostward access {user}`）：请移除其密钥或删除该账号",
    },
};
static CARRIAGE_RETURN: Message = Message {
    id: "carriage-return",
    text: Text {
        en: "line {line} of {path} ends with a carriage return, which becomes part of its last field: mend the file first (`sed -i 's/\\r$//' {path}`)",
        zh: "{path} 第 {line} 行以回车符结尾，会成为最后一个字段的一部分：请先修复文件（`sed -i 's/\\r$//' {path}`）",
    },
};
static NO_NOLOGIN: Message = Message {
    id: "no-nologin",
    text: Text {
        en: "none of {shells} is a program here: install one (it comes with login or util-linux)",
        zh: "本机没有 {shells} 中的任何程序：请先安装（由 login 或 util-linux 提供）",
    },
};

/// Programs that end a session at once, the one that says so first.
const NOLOGIN: [&str; 3] = ["/usr/sbin/nologin", "/sbin/nologin", "/bin/false"];

/// Puts the password out of use; keys stay. A hash is kept behind `!` (`usermod -L`), unless an sshd of this host runs without PAM: that one
/// refuses keys too where the field begins with `!` (`auth.c`, `LOCKED_PASSWD_PREFIX`), so `*` takes its place and only the
/// transaction keeps the hash.
pub(super) fn lock(work: &mut Work<'_, '_>, input: &Input<'_>, user: &str) -> Result<(), Refused> {
    put_out(work, input, user, locked)
}

/// The same, without the hash: an image carries none, not even behind a lock.
pub(super) fn forget(work: &mut Work<'_, '_>, input: &Input<'_>, user: &str) -> Result<(), Refused> {
    put_out(work, input, user, forgotten)?;
    for file in [SHADOW, PASSWD] {
        work.draft.keep_nothing(Path::new(file));
    }
    Ok(())
}

/// Puts into the account's password fields what `becomes` makes of them.
fn put_out(
    work: &mut Work<'_, '_>,
    input: &Input<'_>,
    user: &str,
    becomes: fn(&[u8], &[u8]) -> Option<Vec<u8>>,
) -> Result<(), Refused> {
    let account = account(input, user)?;
    let marker: &[u8] = if bang_locks_keys(input) { b"*" } else { b"!" };
    let mut open = false;
    let in_shadow = match &account.shadow {
        Fact::Known(entry) => {
            let sheet = sheet(work, SHADOW)?;
            let lines = lines_of(sheet, user, |text| !passwd::shadow(text).0.entries.is_empty());
            let seen = lines.first().and_then(|line| passwd::shadow(&original(sheet, *line)).0.entries.pop());
            if lines.first() != Some(&entry.line) || seen.is_none_or(|seen| seen.password != entry.password) {
                return Err(stale(SHADOW));
            }
            // Look-ups take the first line of a name; a later one would count the day the first is removed.
            for line in lines {
                open |= set_field(sheet, line, (1, 9), |field| becomes(field, marker));
            }
            true
        }
        Fact::Absent => false,
        Fact::Unknown(why) => return Err((SHADOW.into(), Obstacle::Unreadable(why.clone()))),
    };
    let points_to_shadow = |field: &[u8]| field == b"x" || field.strip_prefix(b"##") == Some(user.as_bytes());
    if !points_to_shadow(account.entry.password.bytes()) {
        let sheet = passwd_sheet(work, account)?;
        for line in lines_of(sheet, user, |text| !passwd::passwd(text).0.entries.is_empty()) {
            open |= set_field(sheet, line, (1, 7), |field| match becomes(field, marker) {
                _ if points_to_shadow(field) => None,
                Some(_) if in_shadow => Some(b"x".to_vec()),
                other => other,
            });
        }
    } else if !in_shadow {
        return Err(refused(SHADOW, Said::new(&NO_SHADOW).with("user", user)));
    }
    if open { Ok(()) } else { Err(refused(SHADOW, Said::new(&LOCKED).with("user", user))) }
}

/// Whether `!` in front of a hash could keep keys out too: an sshd of this host resolves `UsePAM no`, or is not known to resolve `yes`.
fn bang_locks_keys(input: &Input<'_>) -> bool {
    let sure = input.access.daemons.iter().all(|daemon| {
        daemon.global.is_ok() && daemon.doubts.is_empty() && daemon.settings().all(|settings| settings.yes("usepam"))
    });
    !sure || !input.host.sshd.doubts.is_empty()
}

/// The field that no password matches; None: it is one already.
fn locked(field: &[u8], marker: &[u8]) -> Option<Vec<u8>> {
    let known = PasswordField::new(field);
    match known.is_locked() {
        true => None,
        false if known.is_empty() || marker == b"*" => Some(marker.to_vec()),
        false => Some([marker, field].concat()),
    }
}

/// The marker, where there is a hash, behind a lock too, or nothing at all; None: it is without one already.
fn forgotten(field: &[u8], marker: &[u8]) -> Option<Vec<u8>> {
    let known = PasswordField::new(field);
    let holds = known.is_empty() || known.hash().is_some() || known.hash_behind_lock().is_some();
    holds.then(|| marker.to_vec())
}

/// Gives the account a shell that ends at once: the wanted one, or the one that this host has in its place.
pub(super) fn shell(work: &mut Work<'_, '_>, input: &Input<'_>, user: &str, shell: &str) -> Result<(), Refused> {
    let account = account(input, user)?;
    let mut found = None;
    for candidate in std::iter::once(shell).chain(NOLOGIN) {
        match work.draft.reader().meta(Path::new(candidate)) {
            // sshd wants a regular file with any x bit (`auth.c:allowed_user`).
            Ok(meta) if meta.kind == Kind::File && meta.mode & 0o111 != 0 => {
                found = Some(candidate);
                break;
            }
            Ok(_) | Err(Miss::Absent | Miss::Unreadable(_)) => {}
            Err(Miss::Pending) => return Err((candidate.into(), Obstacle::Pending)),
        }
    }
    let Some(shell) = found else {
        return Err(refused(PASSWD, Said::new(&NO_NOLOGIN).with_list("shells", NOLOGIN.map(str::to_owned).to_vec())));
    };
    let sheet = passwd_sheet(work, account)?;
    set_field(sheet, account.entry.line, (6, 7), |_| Some(shell.as_bytes().to_vec()));
    Ok(())
}

/// Sets the fields `sp_min`, `sp_max` and `sp_warn` (`shadow(5)`: 4, 5, 6) of the line that look-ups find.
pub(super) fn ageing(
    work: &mut Work<'_, '_>,
    input: &Input<'_>,
    user: &str,
    days: [Option<i64>; 3],
) -> Result<(), Refused> {
    let entry = match &account(input, user)?.shadow {
        Fact::Known(entry) => entry,
        Fact::Absent => return Err(refused(SHADOW, Said::new(&NO_SHADOW).with("user", user))),
        Fact::Unknown(why) => return Err((SHADOW.into(), Obstacle::Unreadable(why.clone()))),
    };
    let sheet = sheet(work, SHADOW)?;
    let seen = passwd::shadow(&original(sheet, entry.line)).0.entries.pop();
    let seen = seen.map(|seen| passwd::ShadowEntry { line: entry.line, ..seen });
    if seen.as_ref() != Some(entry) {
        return Err(stale(SHADOW));
    }
    for (index, days) in (3..).zip(days) {
        if let Some(days) = days {
            set_field(sheet, entry.line, (index, 9), |_| Some(days.to_string().into_bytes()));
        }
    }
    Ok(())
}

fn account<'a>(input: &Input<'a>, user: &str) -> Result<&'a User, Refused> {
    input
        .host
        .accounts
        .by_name(user)
        .ok_or_else(|| refused(PASSWD, Said::new(&NO_ACCOUNT).with("user", user).with("path", PASSWD)))
}

fn refused(path: &str, why: Said) -> Refused {
    (PathBuf::from(path), Obstacle::Refused(why))
}

fn stale(path: &str) -> Refused {
    (PathBuf::from(path), Obstacle::Stale)
}

fn sheet<'w>(work: &'w mut Work<'_, '_>, path: &str) -> Result<&'w mut Sheet, Refused> {
    work.draft.sheet(Path::new(path)).map_err(|obstacle| (PathBuf::from(path), obstacle))
}

/// passwd, where the account's line is still what was read.
fn passwd_sheet<'w>(work: &'w mut Work<'_, '_>, account: &User) -> Result<&'w mut Sheet, Refused> {
    let line = account.entry.line;
    if account.entry.shell.as_os_str().as_encoded_bytes().ends_with(b"\r") {
        let said = Said::new(&CARRIAGE_RETURN).with("line", line.to_string()).with("path", PASSWD);
        return Err(refused(PASSWD, said));
    }
    let sheet = sheet(work, PASSWD)?;
    let seen = passwd::passwd(&original(sheet, line)).0.entries.pop();
    if seen.map(|seen| passwd::PasswdEntry { line, ..seen }).as_ref() != Some(&account.entry) {
        return Err(stale(PASSWD));
    }
    Ok(sheet)
}

/// A line as it was when the sheet was opened.
fn original(sheet: &Sheet, line: u32) -> Vec<u8> {
    sheet.lines().find(|(number, _)| *number == line).map(|(_, text)| text.to_vec()).unwrap_or_default()
}

/// The lines of an account that are entries, in order.
fn lines_of(sheet: &Sheet, user: &str, is_entry: impl Fn(&[u8]) -> bool) -> Vec<u32> {
    let named = |text: &[u8]| {
        let text = passwd::skip_blanks(text);
        text.strip_prefix(user.as_bytes()).is_some_and(|rest| rest.starts_with(b":")) && is_entry(text)
    };
    sheet.lines().filter(|(_, text)| named(text)).map(|(line, _)| line).collect()
}

/// Puts another value into one field (from 0) of a line of so many fields. Whether the line as it was opened did not hold that
/// value.
fn set_field(
    sheet: &mut Sheet,
    line: u32,
    (index, width): (usize, usize),
    value: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> bool {
    let split = |text: &[u8]| -> Vec<Vec<u8>> {
        let mut fields: Vec<Vec<u8>> = text.splitn(width, |byte| *byte == b':').map(<[u8]>::to_vec).collect();
        // Lines may end early: passwd's before the shell, the short form of shadow's after `sp_max`; with one more field
        // they want all colons (`getspnam(3)`).
        if index >= 5 && fields.len() < width {
            fields.resize(width, Vec::new());
        }
        fields
    };
    let was = split(&original(sheet, line));
    let differs = was.get(index).is_some_and(|field| value(field).is_some_and(|wanted| wanted != *field));
    let Some(mut fields) = sheet.line(line).map(split) else { return differs };
    if let Some(field) = fields.get_mut(index)
        && let Some(wanted) = value(field)
        && wanted != *field
    {
        *field = wanted;
        sheet.replace(line, fields.join(&b':'));
    }
    differs
}

#[cfg(test)]
mod tests;
