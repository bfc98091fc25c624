//! Whoever can read his keys still can, and sshd still trusts them.

use crate::check::{Message, Text, path_text};
use crate::fact::Fact;
use crate::guard::{Case, Guard, Rule, Ruling};
use crate::host::keys::KeyFile;
use crate::parse::passwd::Name;
use crate::plan::Said;

/// No key file is lost to its account by an owner or a mode.
pub(crate) static READERS: Guard = Guard {
    id: "keys.readers",
    title: Text {
        en: "Every account still reads its keys, and sshd still trusts them",
        zh: "每个账号仍能读取自己的密钥，且 sshd 仍信任这些文件",
    },
    rule: Rule::Host(rule),
};

static LOST: Message = Message {
    id: "keys-lost",
    text: Text {
        en: "{file} would no longer open {user}: {path} is in the way",
        zh: "{file} 将无法再用于 {user} 登录：受阻于 {path}",
    },
};

fn rule(case: &Case<'_>) -> Ruling {
    let open = |file: &KeyFile| file.holds && file.closed == Fact::Known(None);
    let trusted = |file: &KeyFile| matches!(&file.strict, Fact::Known(refused) if refused.is_empty());
    let said = |user: &Name, file: &KeyFile, path: String| {
        Said::new(&LOST).with("file", path_text(&file.path)).with("user", user.text()).with("path", path)
    };
    let mut lost = Vec::new();
    for account in &case.before.host.keys.accounts {
        let Some(after) = case.after.host.keys.of(&account.user) else { continue };
        for file in account.files.iter().filter(|file| open(file)) {
            let Some(now) = after.file(&file.path) else { continue };
            match (&now.closed, &now.strict) {
                (Fact::Known(Some(blocker)), _) => lost.push(said(&account.user, file, path_text(blocker))),
                (_, Fact::Known(refused)) if trusted(file) => {
                    lost.extend(refused.first().map(|refusal| said(&account.user, file, refusal.to_string())));
                }
                _ => {}
            }
        }
    }
    if lost.is_empty() { Ruling::Holds(lost) } else { Ruling::Refuses(lost) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, told};
    use super::*;

    const FILE: &str = "/home/ann/.ssh/authorized_keys";

    #[test]
    fn no_key_is_lost_by_an_owner_or_a_mode() {
        let case = Case::new();
        for (path, uid, gid, mode) in [
            (FILE, 0, 0, 0o600),
            (FILE, 1000, 1000, 0o200),
            (FILE, 1005, 1005, 0o644),
            (FILE, 1000, 1000, 0o666),
            ("/home/ann/.ssh", 0, 0, 0o700),
            ("/home/ann", 1000, 1000, 0o600),
            ("/home", 0, 0, 0o700),
        ] {
            let after = case.owned(path, uid, gid, mode);
            assert_eq!(told(&case.becomes(&READERS, &after)), ["!keys-lost"], "{path} {uid}:{gid} {mode:o}");
        }
        for (path, uid, gid, mode) in [(FILE, 0, 0, 0o644), (FILE, 1000, 1000, 0o400), ("/home/ann", 1000, 1000, 0o700)]
        {
            let after = case.owned(path, uid, gid, mode);
            assert!(told(&case.becomes(&READERS, &after)).is_empty(), "{path} {uid}:{gid} {mode:o}");
        }
        // What was lost before is not lost by us, and what goes is no file any more.
        let shut = case.owned(FILE, 0, 0, 0o600);
        assert!(told(&shut.becomes(&READERS, &shut)).is_empty());
        assert!(told(&case.becomes(&READERS, &case.without(FILE))).is_empty());
    }
}
