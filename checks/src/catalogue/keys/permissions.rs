//! `keys.permissions`: others can change who logs in, or sshd no longer trusts the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{doubt_unread, file_subject, shell_word};
use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::host::keys::{AccountKeys, Fault, Refusal};

/// The check.
pub static CHECK: Check = Check {
    id: "keys.permissions",
    title: Text { en: "Only its owner can change an account's keys", zh: "只有账号本人能修改其密钥文件" },
    rationale: Text {
        en: "Who can write authorized_keys, `~/.ssh` or the home can add a key of his own. StrictModes makes sshd refuse such files, \
             so that the good keys stop working too.",
        zh: "能写入 authorized_keys、`~/.ssh` 或用户主目录的人都可以加入自己的密钥。StrictModes 会让 sshd 拒绝这些文件，正常密钥也随之失效。",
    },
    severity: Severity::High,
    profiles: &[Profile::Basic, Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: "sshd_config(5)", item: "StrictModes" },
        Reference { source: "MLPS level 3 (等保三级)", item: "8.1.4.2 access control" },
    ],
    reads: &["owner and mode of authorized_keys and every directory above it, of homes and ~/.ssh"],
    fix: Some(Text {
        en: "takes write permission from group and others, gives the files of a home to its account",
        zh: "取消组和其他用户的写权限，把主目录中的文件归还给账号本人",
    }),
    remedy: Text {
        en: "`chmod go-w` the home, `~/.ssh` and the file, and make the account their owner (`chown -R USER: ~USER/.ssh`).",
        zh: "对主目录、`~/.ssh` 和密钥文件执行 `chmod go-w`，并将属主改为该账号（`chown -R 用户: ~用户/.ssh`）。",
    },
    messages: &[
        Message {
            id: "others-write",
            text: Text {
                en: "everybody can write {path} (mode {mode}), which decides who logs in as: {users}",
                zh: "任何人都可写 {path}（权限 {mode}），它决定谁能登录：{users}",
            },
        },
        Message {
            id: "group-writes",
            text: Text {
                en: "the group {group} can write {path} (mode {mode}), which decides who logs in as: {users}",
                zh: "组 {group} 可写 {path}（权限 {mode}），它决定谁能登录：{users}",
            },
        },
        Message {
            id: "owner",
            text: Text {
                en: "{path} belongs to {owner}, who can decide who logs in as: {users}",
                zh: "{path} 属于 {owner}，其可决定谁能登录：{users}",
            },
        },
        Message {
            id: "no-file",
            text: Text {
                en: "{path} is no regular file, so sshd reads no key from it for: {users}",
                zh: "{path} 不是普通文件，sshd 不会从中读取密钥，涉及账号：{users}",
            },
        },
        Message {
            id: "closed",
            text: Text {
                en: "{user} may not read {path}, and sshd reads it as {user}: no key in it works ({blocker} is in the way)",
                zh: "{user} 无权读取 {path}，而 sshd 以 {user} 的身份读取：其中的密钥均无效（受阻于 {blocker}）",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    // One finding a path, whoever it concerns.
    let mut faults: BTreeMap<(PathBuf, &'static str), (Refusal, Vec<&AccountKeys>)> = BTreeMap::new();
    for account in &input.host.keys.accounts {
        let strict = account.files.iter().filter(|file| file.holds).filter_map(|file| file.strict.known()).flatten();
        for refusal in strict.chain(&account.directories) {
            let key = (refusal.path.clone(), message(refusal.fault));
            let (_, accounts) = faults.entry(key).or_insert_with(|| (refusal.clone(), Vec::new()));
            if !accounts.iter().any(|known| known.user == account.user) {
                accounts.push(account);
            }
        }
        for (path, why) in &account.unread {
            tally.doubt(file_subject(path), why.clone());
        }
        for file in account.files.iter().filter(|file| file.holds) {
            match (&file.closed, &file.strict) {
                (Fact::Known(Some(blocker)), _) => tally.fail(
                    Finding::new(
                        Severity::Low,
                        format!("{} for {}", file_subject(&file.path), account.user.text()),
                        "closed",
                    )
                    .with("user", account.user.text())
                    .with("path", path_text(&file.path))
                    .with("blocker", path_text(blocker)),
                ),
                (Fact::Unknown(why), _) | (_, Fact::Unknown(why)) => tally.doubt(file_subject(&file.path), why.clone()),
                _ => {}
            }
        }
    }
    for (refusal, accounts) in faults.values() {
        tally.fail(finding(input, refusal, accounts));
    }
    doubt_unread(input, &mut tally);
    tally.verdict()
}

fn message(fault: Fault) -> &'static str {
    match fault {
        Fault::Kind => "no-file",
        Fault::Owner => "owner",
        Fault::OthersWrite => "others-write",
        Fault::GroupWrites => "group-writes",
    }
}

fn finding(input: &Input<'_>, refusal: &Refusal, accounts: &[&AccountKeys]) -> Finding {
    let Refusal { path, fault, meta } = refusal;
    let name = path_text(path);
    let severity = if *fault == Fault::Kind { Severity::Low } else { Severity::High };
    let users = accounts.iter().map(|account| account.user.text().into_owned()).collect();
    let finding = Finding::new(severity, file_subject(path), message(*fault))
        .with("path", &name)
        .with_list("users", users)
        .reproduce(format!("stat -c '%A %U:%G %n' {}", shell_word(&name)))
        .seen(&name, None, format!("mode {:04o}, uid {}, gid {}", meta.mode, meta.uid, meta.gid));
    let hosts = &input.host.accounts;
    let closed = Edit::Chmod { file: path.clone(), mode: meta.mode & !0o022 };
    match fault {
        Fault::Kind => finding,
        Fault::OthersWrite | Fault::GroupWrites => {
            let group =
                hosts.group_by_gid(meta.gid).map_or_else(|| meta.gid.to_string(), |g| g.name.text().into_owned());
            let finding = finding.with("mode", format!("{:04o}", meta.mode));
            let finding = if *fault == Fault::GroupWrites { finding.with("group", group) } else { finding };
            // What stands above a home may serve others; taking write permission from it is for its owner to decide.
            match own(input, path, accounts) {
                Some(_) => finding.fixed_by(closed),
                None => finding,
            }
        }
        Fault::Owner => {
            let owner = hosts.by_uid(meta.uid).map_or_else(|| meta.uid.to_string(), |u| u.name().text().into_owned());
            let finding = finding.with("owner", owner);
            let Some((uid, gid)) = own(input, path, accounts) else { return finding };
            let finding = finding.fixed_by(Edit::Chown { file: path.clone(), uid, gid });
            // sshd names the owner first; others that may write are no less of a fault once that is mended.
            if meta.mode & 0o022 == 0 { finding } else { finding.fixed_by(closed) }
        }
    }
}

/// Uid and gid of the one account in whose home the path lies. None where it lies elsewhere, or several accounts use it.
fn own(input: &Input<'_>, path: &Path, accounts: &[&AccountKeys]) -> Option<(u32, u32)> {
    let [account] = accounts else { return None };
    let user = input.host.accounts.by_name(account.user.bytes())?;
    let home = account.home.as_deref()?;
    path.starts_with(home).then_some((user.entry.uid, user.entry.gid))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use crate::parse::key_blob::samples;

    const FILE: &str = "/home/bob/.ssh/authorized_keys";

    fn case() -> Case {
        Case::new().bob(samples::ED25519.line)
    }

    #[test]
    fn owners_and_modes() {
        case().clean(&CHECK);
        Case::new().clean(&CHECK);
        for (path, uid, gid, mode, want) in [
            (FILE, 1001, 1001, 0o666, "high others-write"),
            ("/home/bob/.ssh", 1001, 3000, 0o770, "high group-writes"),
            ("/home/bob", 1001, 3000, 0o775, "high group-writes"),
            ("/home/bob", 1000, 1001, 0o755, "high owner"),
        ] {
            let bad = case().owned(path, uid, gid, mode);
            assert_eq!(bad.findings(&CHECK), [want], "{path}");
            bad.mends(&CHECK);
        }
        // Everything at once, and after the proposed changes nothing is left.
        let worst = case().owned(FILE, 1000, 3000, 0o666).owned("/home/bob/.ssh", 7, 7, 0o777).owned(
            "/home/bob",
            1001,
            1001,
            0o777,
        );
        assert_eq!(worst.findings(&CHECK).len(), 3);
        worst.mends(&CHECK);
        // The account's own group, on Debian.
        case().owned("/home/bob", 1001, 1001, 0o775).clean(&CHECK);
        assert_eq!(case().upstream().owned("/home/bob", 1001, 1001, 0o775).findings(&CHECK), ["high group-writes"]);
    }

    #[test]
    fn nobody_makes_the_home_of_another_his_own_by_a_link() {
        let al = case().file("/home/al/.ssh/x", "").owned("/home/al", 1000, 1000, 0o755).owned(
            "/home/al/.ssh",
            1000,
            1000,
            0o775,
        );
        let bobs = al.home("/home/bob/h").link("/home/bob/h", "../al");
        assert_eq!(bobs.findings(&CHECK), ["high owner", "high owner"]);
        assert!(bobs.planned(&CHECK).files().all(|change| !change.path.starts_with("/home/al")));
        // A link of root's is his word.
        let roots = al.home("/home/bob/h").link("/home/bob/h", "../al").owned("/home/bob/h", 0, 0, 0o777);
        assert!(roots.planned(&CHECK).files().any(|change| change.path.starts_with("/home/al")));
    }

    #[test]
    fn a_home_that_others_write_is_told_without_keys() {
        assert_eq!(Case::new().owned("/home/bob", 1001, 1001, 0o777).findings(&CHECK), ["high others-write"]);
    }

    #[test]
    fn what_the_account_may_not_read_is_told() {
        let closed = case().owned(FILE, 0, 0, 0o600);
        assert_eq!(closed.findings(&CHECK), ["low closed"]);
        assert_eq!(Case::new().unreadable().doubts(&CHECK).len(), 1);
        assert!(Case::new().hide("/home/bob/.ssh").doubts(&CHECK).contains(&"file:/home/bob/.ssh".to_owned()));
    }
}
