//! `accounts.files`: who can read and write the account files, and those of access control.

use super::BASELINE;
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::snapshot::Meta;

/// The check.
pub static CHECK: Check = Check {
    id: "accounts.files",
    title: Text {
        en: "Account files belong to root and are closed to others", zh: "账号文件的属主和权限正确"
    },
    rationale: Text {
        en: "Who writes passwd or group is root; who reads shadow, or an old copy of it, has every hash to try at leisure. hosts.allow and \
             hosts.deny say whom wrapped services let in, and name commands that they run as root.",
        zh: "能写 passwd、group 就等于 root；能读 shadow 或其备份，就能拿到所有哈希慢慢破解。hosts.allow、hosts.deny 决定 TCP Wrapper 服务放行哪些来源，\
             其中的命令会以 root 身份执行。",
    },
    severity: Severity::High,
    profiles: &[Profile::Basic, Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: BASELINE, item: "CheckId 12 访问控制配置文件的权限设置" },
        Reference { source: BASELINE, item: "CheckId 13 设置用户权限配置文件的权限" },
    ],
    reads: &["owner and mode of passwd, group, shadow, gshadow, their backups and opasswd, hosts.allow, hosts.deny"],
    fix: Some(Text { en: "sets owner and mode", zh: "修正属主和权限" }),
    remedy: Text {
        en: "`chown root:root` and `chmod 0644` for passwd, group, hosts.allow and hosts.deny; `chmod 0400` for shadow and gshadow (root:shadow and 0640 on \
             Debian and Ubuntu).",
        zh: "passwd、group、hosts.allow、hosts.deny 执行 `chown root:root` 与 `chmod 0644`；shadow、gshadow 执行 `chmod 0400`（Debian、Ubuntu 为 root:shadow、0640）。",
    },
    messages: &[
        Message {
            id: "owner",
            text: Text {
                en: "{file} belongs to {uid}:{gid} instead of root",
                zh: "{file} 的属主为 {uid}:{gid}，应为 root",
            },
        },
        Message {
            id: "mode",
            text: Text {
                en: "{file} has mode {mode}; no more than {most} is right",
                zh: "{file} 的权限为 {mode}，不应超过 {most}",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    let accounts = &input.host.accounts;
    // Debian and Ubuntu let the group shadow read; unix_chkpwd and chage are set-gid to it.
    let shadow = accounts.group("shadow").map(|group| group.gid);
    for (file, meta) in &accounts.files {
        let meta = match meta {
            Fact::Known(meta) => meta,
            Fact::Absent => continue,
            Fact::Unknown(why) => {
                tally.doubt(format!("file:{file}"), why.clone());
                continue;
            }
        };
        let secret = file.contains("shadow") || file.ends_with("opasswd");
        let by_group = secret && file.contains("shadow") && Some(meta.gid) == shadow;
        let most: u32 = match (secret, by_group) {
            (false, _) => 0o644,
            (true, true) => 0o640,
            // Root's own group, where distributions leave it the right to read.
            (true, false) if meta.gid == 0 => 0o640,
            (true, false) => 0o600,
        };
        judge(&mut tally, file, meta, most, by_group);
    }
    tally.verdict()
}

fn judge(tally: &mut Tally, file: &'static str, meta: &Meta, most: u32, by_group: bool) {
    let seen = format!("{:04o} {}:{}", meta.mode, meta.uid, meta.gid);
    if meta.uid != 0 || (meta.gid != 0 && !by_group) {
        let finding = Finding::new(Severity::High, format!("file:{file}"), "owner")
            .with("file", file)
            .with_number("uid", meta.uid)
            .with_number("gid", meta.gid)
            .seen(file, None, seen.as_str())
            .reproduce(format!("stat {file}"));
        tally.fail(finding.fixed_by(Edit::Chown {
            file: file.into(),
            uid: 0,
            gid: if by_group { meta.gid } else { 0 },
        }));
    }
    if meta.mode & !most & 0o7777 != 0 {
        let finding = Finding::new(Severity::High, format!("file:{file}"), "mode")
            .with("file", file)
            .with("mode", format!("{:04o}", meta.mode))
            .with("most", format!("{most:04o}"))
            .seen(file, None, seen)
            .reproduce(format!("stat {file}"));
        tally.fail(finding.fixed_by(Edit::Chmod { file: file.into(), mode: meta.mode & most }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;

    #[test]
    fn owners_and_modes_of_every_distribution_pass_and_others_fail() {
        for (file, uid, gid, mode, want) in [
            ("/etc/shadow", 0, 42, 0o640, &[][..]),
            ("/etc/shadow", 0, 0, 0o000, &[]),
            ("/etc/shadow", 0, 0, 0o400, &[]),
            ("/etc/shadow", 0, 0, 0o600, &[]),
            ("/etc/shadow", 0, 0, 0o640, &[]),
            ("/etc/shadow", 0, 1000, 0o640, &["file:/etc/shadow owner", "file:/etc/shadow mode"]),
            ("/etc/shadow", 0, 0, 0o644, &["file:/etc/shadow mode"]),
            ("/etc/shadow", 1000, 0, 0o600, &["file:/etc/shadow owner"]),
            ("/etc/shadow", 0, 42, 0o660, &["file:/etc/shadow mode"]),
            ("/etc/passwd", 0, 0, 0o644, &[]),
            ("/etc/passwd", 0, 0, 0o600, &[]),
            ("/etc/passwd", 0, 0, 0o646, &["file:/etc/passwd mode"]),
            ("/etc/passwd", 0, 0, 0o4644, &["file:/etc/passwd mode"]),
            ("/etc/passwd", 0, 42, 0o644, &["file:/etc/passwd owner"]),
            ("/etc/hosts.allow", 0, 0, 0o644, &[]),
            ("/etc/hosts.allow", 0, 0, 0o664, &["file:/etc/hosts.allow mode"]),
            ("/etc/hosts.deny", 1000, 0, 0o644, &["file:/etc/hosts.deny owner"]),
        ] {
            let mut case = Case::new();
            if file.starts_with("/etc/hosts") {
                case = case.file(file, "ALL: 10.0.0.0/8\n");
            }
            let case = case.owned(file, uid, gid, mode);
            assert_eq!(case.findings(&CHECK), want, "{file} {uid}:{gid} {mode:o}");
        }
        let backup = Case::new().file("/etc/shadow-", "").owned("/etc/shadow-", 0, 0, 0o604);
        assert_eq!(backup.findings(&CHECK), ["file:/etc/shadow- mode"]);
    }

    #[test]
    fn the_fix_mends_it() {
        let deny = Case::new().file("/etc/hosts.deny", "ALL: ALL\n").owned("/etc/hosts.deny", 0, 1000, 0o666);
        assert!(deny.becomes(&CHECK, "/etc/hosts.deny").starts_with("0:0 0644 ALL"));
        let case = Case::new().owned("/etc/shadow", 0, 42, 0o646);
        assert_eq!(case.finding(&CHECK).fix, [Edit::Chmod { file: "/etc/shadow".into(), mode: 0o640 }]);
        assert!(case.becomes(&CHECK, "/etc/shadow").starts_with("0:42 0640 root:"));
        for (uid, gid, mode, want) in
            [(1000, 1000, 0o666, "0:0 0600"), (0, 1000, 0o640, "0:0 0600"), (7, 42, 0o777, "0:42 0640")]
        {
            let case = Case::new().owned("/etc/shadow", uid, gid, mode);
            assert!(case.becomes(&CHECK, "/etc/shadow").starts_with(want), "{uid}:{gid} {mode:o}");
        }
    }

    #[test]
    fn what_cannot_be_looked_at_is_unknown() {
        assert_eq!(Case::new().hide("/etc/shadow").doubts(&CHECK), ["file:/etc/shadow"]);
    }
}
