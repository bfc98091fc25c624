//! Which files `AuthorizedKeysFile` names, and whether an account may open one.

use std::path::PathBuf;

use crate::host::accounts::User;
use crate::snapshot::{Kind, Walk};

/// The path that one word of `AuthorizedKeysFile` names for an account: `%%`, `%h`, `%u` and `%U` expanded, a relative one
/// taken from the home (`auth.c:expand_authorized_keys`). None: `none`, or a token that sshd refuses.
pub fn expand(pattern: &str, user: &User) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;

    if pattern.eq_ignore_ascii_case("none") {
        return None;
    }
    let home = user.entry.home.as_os_str().as_encoded_bytes();
    let (mut out, mut rest) = (Vec::new(), pattern.as_bytes());
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let (token, tail) = tail.split_first()?;
        rest = tail;
        match token {
            b'%' => out.push(b'%'),
            b'h' => out.extend_from_slice(home),
            b'u' => out.extend_from_slice(user.name().bytes()),
            b'U' => out.extend_from_slice(user.entry.uid.to_string().as_bytes()),
            _ => return None,
        }
    }
    let path = PathBuf::from(std::ffi::OsString::from_vec(out));
    Some(if path.has_root() { path } else { user.entry.home.join(path) })
}

/// The first component that keeps a process of this user and these groups from opening the file for reading. None: it may. Access lists
/// beyond the mode are not looked at.
pub fn readable_by(walk: &Walk<'_>, uid: u32, gids: &[u32]) -> Option<PathBuf> {
    if uid == 0 {
        return None;
    }
    let may = |step: &crate::snapshot::Step, wanted: u32| {
        let shift = match &step.meta {
            meta if meta.uid == uid => 6,
            meta if gids.contains(&meta.gid) => 3,
            _ => 0,
        };
        step.meta.mode >> shift & wanted == wanted
    };
    let refused = walk.steps.iter().find(|step| match step.meta.kind {
        Kind::Link => false,
        Kind::Dir => !may(step, 0o1),
        _ => !may(step, 0o4),
    });
    refused.map(|step| step.path.clone())
}
