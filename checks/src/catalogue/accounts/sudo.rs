//! `accounts.sudo`: root without a password, for accounts that nobody vouched for, or for everybody.

use std::collections::BTreeSet;

use super::{MLPS, doubt_users, subject};
use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::fact::Fact;
use crate::host::accounts::{User, Vendor, vendor_of};
use crate::host::sudo::{Asks, FileState, Refusal, SudoRight};

/// The check.
pub static CHECK: Check = Check {
    id: "accounts.sudo",
    title: Text { en: "sudo gives root to known accounts only", zh: "sudo 只授权给已知账号" },
    rationale: Text {
        en: "An account with NOPASSWD: ALL is root for whoever holds its key, or runs code as it. A rule for ALL users, or a sudoers \
             file that others can write, makes every account root.",
        zh: "拥有 NOPASSWD: ALL 的账号，只要有人持有其密钥或能以其身份执行代码，就等于 root。针对所有用户的规则、或可被他人写入的 sudoers 文件，则会让任何账号成为 root。",
    },
    severity: Severity::Medium,
    profiles: &[Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: MLPS, item: "no (ALL) for all in sudoers" },
        Reference { source: "Alibaba Cloud Cloud Assistant", item: "ecs-assist-user, ecs-user: known and left alone" },
    ],
    reads: &["sudoers and what it includes", "passwd", "group"],
    fix: None,
    remedy: Text {
        en: "Ask for a password (take NOPASSWD away) or name the commands; name accounts you vouch for in the policy. Edit with \
             visudo, and keep a root shell open until `sudo -l` shows what you meant.",
        zh: "去掉 NOPASSWD 以要求口令，或只列出需要的命令；确认可信的账号请写入策略。用 visudo 修改，并保留一个 root 会话，直到 `sudo -l` 显示符合预期。",
    },
    messages: &[
        Message {
            id: "nopasswd",
            text: Text {
                en: "{user} becomes root without a password ({who}: {command})",
                zh: "账号 {user} 无需口令即可成为 root（{who}: {command}）",
            },
        },
        Message {
            id: "everyone",
            text: Text {
                en: "every account may become root through sudo", zh: "任何账号都可以通过 sudo 成为 root"
            },
        },
        Message {
            id: "owner",
            text: Text {
                en: "{file} is not root's: sudo refuses it, and what its owner wrote counts once that is mended",
                zh: "{file} 的属主不是 root：sudo 拒绝使用它；属主修复后，原属主写入的内容将会生效",
            },
        },
        Message {
            id: "writable",
            text: Text {
                en: "{file} can be written by others: sudo refuses it, and what they wrote counts once the mode is mended",
                zh: "{file} 可被他人写入：sudo 拒绝使用它；权限修复后，他人写入的内容将会生效",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let (sudo, accounts) = (&input.host.sudo, &input.host.accounts);
    if sudo.program == Fact::Absent {
        return Verdict::NotApplicable(Text { en: "sudo is not installed", zh: "未安装 sudo" });
    }
    let mut tally = Tally::new();
    doubt_users(input, &mut tally);
    let mut said = BTreeSet::new();
    // One that is included twice is read twice.
    for file in sudo.files.iter().filter(|file| said.insert(&file.path)) {
        match &file.state {
            FileState::Used => {}
            FileState::Unread(why) => tally.doubt(format!("file:{}", path_text(&file.path)), why.clone()),
            FileState::Refused(why) => {
                let path = path_text(&file.path);
                let message = if *why == Refusal::Owner { "owner" } else { "writable" };
                let finding = Finding::new(Severity::High, format!("file:{path}"), message);
                let meta = file.meta.map_or_else(String::new, |m| format!("{:04o} {}:{}", m.mode, m.uid, m.gid));
                tally.fail(finding.with("file", path.clone()).seen(path, None, meta));
            }
        }
    }
    for right in sudo.rules_for_everyone().into_iter().filter(|right| right.asks != Asks::OtherPassword) {
        let severity = if right.asks == Asks::Nothing { Severity::Critical } else { Severity::High };
        let place = format!("sudoers:{}", path_text(&right.file));
        tally.fail(seen(Finding::new(severity, place, "everyone"), &right));
    }
    for user in accounts.list().iter().filter(|user| !user.is_root() && !user.hidden_name) {
        match sudo.can_become_root(accounts, user) {
            Fact::Known(right) if right.asks == Asks::Nothing && !right.for_everyone && !vouched(input, user) => {
                let finding = Finding::new(Severity::Medium, subject(user), "nopasswd")
                    .with("user", user.name().text())
                    .with("who", right.who.as_str())
                    .with("command", right.command.as_str())
                    .reproduce(format!("sudo -l -U {}", user.name().text()));
                tally.fail(seen(finding, &right));
            }
            // Files that could not be read stand above, once.
            Fact::Unknown(why) if sudo.unread().is_none() => tally.doubt(subject(user), why),
            Fact::Known(_) | Fact::Absent | Fact::Unknown(_) => {}
        }
    }
    tally.verdict()
}

fn vouched(input: &Input<'_>, user: &User) -> bool {
    vendor_of(user.name().bytes()) == Some(Vendor::AlibabaAdmin)
        || input.policy.sudo_accounts.iter().any(|name| name.as_bytes() == user.name().bytes())
}

fn seen(finding: Finding, right: &SudoRight) -> Finding {
    let tag = if right.asks == Asks::Nothing { "NOPASSWD: " } else { "" };
    finding.seen(path_text(&right.file), Some(right.line), format!("{} … {tag}{}", right.who, right.command))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;

    fn sudo(rules: &str) -> Case {
        Case::new()
            .file("/usr/bin/sudo", "")
            .owned("/usr/bin/sudo", 0, 0, 0o4755)
            .file("/etc/sudoers", &format!("root ALL=(ALL) ALL\n{rules}\n"))
    }

    #[test]
    fn root_without_a_password_is_found_unless_vouched_for() {
        sudo("%sudo ALL=(ALL) ALL\nalice ALL=(ALL) ALL\nweb ALL=NOPASSWD: /usr/bin/systemctl restart web")
            .clean(&CHECK);
        let case = sudo("alice ALL=(ALL) NOPASSWD: ALL");
        assert_eq!(case.findings(&CHECK), ["account:alice nopasswd"]);
        assert_eq!(sudo("alice ALL=NOPASSWD: /bin/su").findings(&CHECK), ["account:alice nopasswd"]);
        let mut known = case;
        known.policy.sudo_accounts.push("alice".to_owned());
        known.clean(&CHECK);
        let session = "ecs-assist-user:x:1001:1001::/home/ecs-assist-user:/sbin/nologin";
        sudo("ecs-assist-user ALL=(ALL) NOPASSWD:ALL").user(session).clean(&CHECK);
    }

    #[test]
    fn rules_for_everybody_and_files_that_others_write_are_found() {
        assert_eq!(sudo("ALL ALL=(ALL) ALL").findings(&CHECK), ["sudoers:/etc/sudoers everyone"]);
        let open = sudo("ALL ALL=(ALL) NOPASSWD: ALL");
        assert_eq!(open.finding(&CHECK).severity, Severity::Critical);
        assert_eq!(open.findings(&CHECK).len(), 1, "not once for each account");
        sudo("Defaults targetpw\nALL ALL=(ALL) ALL").clean(&CHECK);
        let written = sudo("").owned("/etc/sudoers", 0, 0, 0o666);
        assert_eq!(written.findings(&CHECK), ["file:/etc/sudoers writable"]);
        let twice =
            sudo("@include /etc/more\n@include /etc/more").file("/etc/more", "").owned("/etc/more", 0, 0, 0o666);
        assert_eq!(twice.findings(&CHECK), ["file:/etc/more writable"]);
        assert_eq!(sudo("").owned("/etc/sudoers", 1000, 0, 0o440).findings(&CHECK), ["file:/etc/sudoers owner"]);
    }

    #[test]
    fn what_cannot_be_read_is_unknown_and_without_sudo_there_is_no_question() {
        assert_eq!(sudo("").deny("/etc/sudoers").doubts(&CHECK), ["file:/etc/sudoers"]);
        assert_eq!(sudo("+admins ALL=NOPASSWD: ALL").doubts(&CHECK), ["account:web", "account:alice"]);
        assert!(matches!(Case::new().verdict(&CHECK), Verdict::NotApplicable(_)));
    }
}
