//! `image.credentials`: whoever knows a password, a key or a host key of the image has it for every instance.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::sshd::host_keys::gone;
use super::{PRESET, about_file, file_subject, image};
use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::host::accounts::{PASSWD, SHADOW, User};
use crate::host::cloud_init::Layer;
use crate::host::image::What;
use crate::host::keys::{AccountKeys, KeyFile};
use crate::parse::authorized_keys::KeyLine;

/// The check.
pub static CHECK: Check = Check {
    id: "image.credentials",
    title: Text { en: "The image carries no password and no key", zh: "镜像中没有预置口令和密钥" },
    rationale: Text {
        en: "What opens the host that an image is made of opens every instance made from it. When an instance is created ECS sets the \
             password or key of root or ecs-user only; all others stay as the image has them.",
        zh: "能登录制作镜像的主机的凭据，也能登录由该镜像创建的所有实例。创建实例时 ECS 只会设置 root 或 ecs-user 的密码或密钥，其他账号的凭据保持镜像中的原样。",
    },
    severity: Severity::Critical,
    profiles: &[Profile::Image],
    scope: Scope::Both,
    references: &[Reference { source: PRESET, item: "passwords, authorized_keys and keys in custom images" }],
    reads: &["accounts", "authorized_keys", "host keys", "backups of the account files", "cloud-init configuration"],
    fix: Some(Text {
        en: "puts `!` in place of every password hash (`*` where an sshd runs without PAM), and removes backups of them, \
             authorized_keys that the policy does not approve, and host keys that the first boot makes anew. Nothing of it is kept",
        zh: "将所有口令哈希替换为 `!`（sshd 未启用 PAM 时为 `*`），删除其备份、策略未批准的 authorized_keys，以及首次启动会重新生成的主机密钥。不保留任何副本",
    }),
    remedy: Text {
        en: "Lock the passwords (`usermod -p '!' USER`; never `passwd -d`, which leaves an empty one), remove authorized_keys and \
             /etc/ssh/ssh_host_*, and let cloud-init or `ssh-keygen -A` make host keys at the first boot. Create instances with a key \
             pair, and without PasswordInherit.",
        zh: "锁定口令（`usermod -p '!' 用户`；不要使用 `passwd -d`，它会留下空口令），删除 authorized_keys 和 /etc/ssh/ssh_host_*，由 cloud-init 或 `ssh-keygen -A` 在首次启动时生成主机密钥。创建实例时使用密钥对，不要使用 PasswordInherit。",
    },
    messages: &[
        Message {
            id: "password",
            text: Text { en: "the image carries a password of {user}", zh: "镜像中带有 {user} 的口令" },
        },
        Message {
            id: "empty-password",
            text: Text { en: "{user} has an empty password in the image", zh: "镜像中 {user} 的口令为空" },
        },
        Message {
            id: "locked-hash",
            text: Text {
                en: "the password of {user} is locked, and the image carries its hash all the same",
                zh: "{user} 的口令已锁定，但镜像中仍带有其哈希",
            },
        },
        Message { id: "hashes", text: Text { en: "{file} holds password hashes", zh: "{file} 中有口令哈希" } },
        Message {
            id: "keys",
            text: Text {
                en: "{file} lets {count} keys in for {users}",
                zh: "{file} 允许 {count} 个密钥以 {users} 身份登录",
            },
        },
        Message {
            id: "packer-key",
            text: Text {
                en: "{file} holds the temporary key of Packer (for {users}; {count} keys in all)",
                zh: "{file} 中有 Packer 的临时密钥（用于 {users}；共 {count} 个密钥）",
            },
        },
        Message {
            id: "host-key",
            text: Text {
                en: "every instance made from the image would have the host key {file}",
                zh: "由该镜像创建的所有实例都会使用主机密钥 {file}",
            },
        },
        Message {
            id: "cloud-init-password",
            text: Text {
                en: "{file} has cloud-init set a password at every first boot: take it out",
                zh: "{file} 会让 cloud-init 在每次首次启动时设置口令：请将其移除",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    passwords(input, &mut tally);
    if let Some(image) = image(input, &[What::Hashes, What::HostKey], &mut tally) {
        for leftover in image.of(What::Hashes) {
            let finding = Finding::new(Severity::High, file_subject(&leftover.path), "hashes");
            tally.fail(about_file(finding, leftover));
        }
        for leftover in image.of(What::HostKey) {
            let file = path_text(&leftover.path);
            let finding =
                Finding::new(Severity::Critical, file_subject(&leftover.path), "host-key").with("file", &file);
            let edits = gone(input.host, &leftover.path);
            tally.fail(edits.into_iter().fold(finding.seen(&file, None, ""), Finding::fixed_by));
        }
    }
    keys(input, &mut tally);
    cloud_init(input, &mut tally);
    tally.verdict()
}

fn passwords(input: &Input<'_>, tally: &mut Tally) {
    if let Some(why) = input.host.accounts.users.why() {
        tally.doubt(format!("file:{PASSWD}"), why.clone());
    }
    if let Some(why) = input.host.accounts.shadow.why() {
        tally.doubt(format!("file:{SHADOW}"), why.clone());
    }
    for user in input.host.accounts.list().iter().filter(|user| !user.hidden_name) {
        let Some((severity, message)) = preset(user) else { continue };
        let name = user.name().text();
        let finding = Finding::new(severity, format!("account:{name}"), message).with("user", &*name);
        tally.fail(finding.fixed_by(Edit::ForgetPassword { user: name.into_owned() }));
    }
}

/// What is wrong with an account's password in an image.
fn preset(user: &User) -> Option<(Severity, &'static str)> {
    let password = user.password();
    let field = password.known()?.field;
    if field.is_empty() {
        Some((Severity::Critical, "empty-password"))
    } else if field.hash().is_some() {
        Some((Severity::Critical, "password"))
    } else if field.hash_behind_lock().is_some_and(|hash| hash.len() > 1) {
        Some((Severity::High, "locked-hash"))
    } else {
        None
    }
}

fn keys(input: &Input<'_>, tally: &mut Tally) {
    let mut files: BTreeMap<&Path, Vec<(&AccountKeys, &KeyFile)>> = BTreeMap::new();
    for account in &input.host.keys.accounts {
        for file in &account.files {
            files.entry(&file.canonical).or_default().push((account, file));
        }
    }
    for (path, readers) in files {
        let Some((_, file)) = readers.first() else { continue };
        let lines = match &file.content {
            Fact::Known(lines) => &lines.keys,
            Fact::Absent => continue,
            Fact::Unknown(why) => {
                tally.doubt(file_subject(path), why.clone());
                continue;
            }
        };
        let strange: Vec<&KeyLine> = lines.iter().filter(|line| !approved(input, line)).collect();
        if strange.is_empty() {
            continue;
        }
        let packer = strange.iter().any(|line| line.comment.starts_with(b"packer"));
        let users = readers.iter().map(|(account, _)| account.user.text().into_owned()).collect();
        let message = if packer { "packer-key" } else { "keys" };
        let mut finding = Finding::new(Severity::Critical, file_subject(path), message)
            .with("file", path_text(path))
            .with_number("count", i64::try_from(strange.len()).unwrap_or(i64::MAX))
            .with_list("users", users);
        for line in &strange {
            finding = finding.seen(path_text(path), Some(line.line), line.key.fingerprint().to_string());
        }
        tally.fail(if strange.len() == lines.len() {
            finding.fixed_by(Edit::Erase { path: path.to_path_buf(), leave_empty: false })
        } else {
            strange.iter().fold(finding, |finding, line| {
                let key = line.key.fingerprint();
                finding.fixed_by(Edit::RemoveLine { file: path.to_path_buf(), line: line.line, key })
            })
        });
    }
}

/// Whether the policy wants this key in the image.
fn approved(input: &Input<'_>, line: &KeyLine) -> bool {
    let policy = input.policy;
    let list =
        if line.options().cert_authority { Some(&policy.approved_authorities) } else { policy.approved_keys.as_ref() };
    let fingerprint = line.key.fingerprint().to_string();
    list.is_some_and(|list| list.contains(&fingerprint))
}

/// A password in cloud-init's own configuration. What came with the instance goes with the instance's state.
fn cloud_init(input: &Input<'_>, tally: &mut Tally) {
    let Fact::Known(cloud) = &input.host.cloud_init else { return };
    let own = cloud.password.known().filter(|set| set.layer == Layer::System).map(|set| (&set.file, set.line));
    let all = cloud.chpasswd.known().filter(|set| set.layer == Layer::System).map(|set| (&set.file, set.line));
    if let Some((file, line)) = own.or(all) {
        let file = path_text(file);
        let finding =
            Finding::new(Severity::Critical, format!("file:{file}"), "cloud-init-password").with("file", &file);
        tally.fail(finding.seen(file, Some(line), ""));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, KEY};
    use super::*;
    use crate::fact::Why;
    use crate::policy::Policy;

    const HASH: &str =
        "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";
    const FILE: &str = "/root/.ssh/authorized_keys";

    #[test]
    fn passwords_go_without_their_hash() {
        let clean = Case::new();
        clean.passes(&CHECK);
        for (field, message) in [(HASH, "password"), ("", "empty-password"), (&*format!("!{HASH}"), "locked-hash")] {
            let case = clean.shadow("ann", field);
            assert_eq!(case.findings(&CHECK), [format!("account:ann {message}")]);
            let shadow = case.mends(&CHECK).text("/etc/shadow");
            assert!(shadow.contains("ann:!:") && !shadow.contains("$6$"), "{shadow}");
        }
        // An sshd without PAM takes no key for an account whose field begins with `!`.
        let bare = clean.sshd("UsePAM no\n").shadow("ann", HASH);
        assert!(bare.mends(&CHECK).text("/etc/shadow").contains("ann:*:"));
        for field in ["*", "!", "!!", "!*", "*LK*"] {
            clean.shadow("ann", field).passes(&CHECK);
        }
        assert_eq!(clean.deny("/etc/shadow", Why::Denied).doubts(&CHECK), ["file:/etc/shadow"]);
    }

    #[test]
    fn backups_of_hashes_go_and_other_files_stay() {
        let line = format!("ann:{HASH}:19000:0:99999:7:::\n");
        let clean =
            Case::new().file("/etc/shadow-", "ann:!:19000:0:99999:7:::\n").file("/etc/passwd-", "ann:x:1:1::/:/\n");
        let clean = clean.file("/etc/passwd-ossfs", "bucket:LTAIexampleexample:secretsecretsecretsecretsecret\n");
        clean.passes(&CHECK);
        for path in ["/etc/shadow-", "/etc/shadow.bak", "/var/backups/shadow.bak"] {
            let case = clean.file(path, &line);
            assert_eq!(case.findings(&CHECK), [format!("file:{path} hashes")]);
            assert!(!case.mends(&CHECK).holds(path));
        }
        let dir = "/var/backups";
        assert_eq!(clean.hide(dir).doubts(&CHECK), [format!("file:{dir}")]);
        let old = clean.file("/etc/security/opasswd", &format!("ann:1000:1:{HASH}\n"));
        assert_eq!(old.mends(&CHECK).text("/etc/security/opasswd"), "");
    }

    #[test]
    fn keys_go_unless_the_policy_wants_them() {
        let case = Case::new().file(FILE, KEY);
        assert_eq!(case.findings(&CHECK), [format!("file:{FILE} keys")]);
        assert!(!case.mends(&CHECK).holds(FILE));
        let packer = Case::new().file(FILE, &KEY.replace(" a\n", " packer_6745\n"));
        assert_eq!(packer.findings(&CHECK), [format!("file:{FILE} packer-key")]);
        let print = "SHA256:8gN4OgU99kLqnOmMzbQ4OFKtG43g2XnqdhaMHivcaF0".to_owned();
        let wanted = Policy { approved_keys: Some(vec![print]), ..case.policy.clone() };
        Case { policy: wanted.clone(), ..case.clone() }.passes(&CHECK);
        let other = crate::parse::key_blob::samples::RSA.line;
        let both = Case { policy: wanted, ..case.file(FILE, &format!("{KEY}{other}\n")) };
        assert_eq!(both.mends(&CHECK).text(FILE), KEY, "the approved one stays");
        assert_eq!(case.deny(FILE, Why::Denied).doubts(&CHECK), [format!("file:{FILE}")]);
    }

    #[test]
    fn host_keys_go_where_new_ones_are_made() {
        let key = "/etc/ssh/ssh_host_rsa_key";
        let case = Case::new().file(key, "key");
        assert_eq!(case.findings(&CHECK), [format!("file:{key} host-key")]);
        assert_eq!(case.refused(&CHECK), ["nothing-makes-keys"]);
        let keygen = case.keygen("");
        assert!(!keygen.mends(&CHECK).holds(key));
        // Debian's unit does nothing where the machine id is an empty file.
        let drop_in = "/etc/systemd/system/sshd-keygen.service.d/50-hostward.conf";
        let after = case.keygen("ConditionFirstBoot=yes\n").mends(&CHECK);
        assert!(!after.holds(key) && after.text(drop_in).contains("\nConditionFirstBoot=\n"));
        assert!(!keygen.mends(&CHECK).holds(drop_in));
    }

    #[test]
    fn a_password_that_cloud_init_would_set_is_told() {
        let case = Case::new().file("/etc/cloud/cloud.cfg", "password: secret\n");
        assert_eq!(case.findings(&CHECK), ["file:/etc/cloud/cloud.cfg cloud-init-password"]);
    }
}
