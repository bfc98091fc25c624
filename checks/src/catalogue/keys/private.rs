//! `keys.private`: an unencrypted private key lies on the instance.

use super::{doubt_users, file_subject, places, shell_word};
use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::parse::private_key::KeyFormat;

/// The check.
pub static CHECK: Check = Check {
    id: "keys.private",
    title: Text { en: "No unencrypted private key lies in a home", zh: "用户目录中没有未加密的私钥" },
    rationale: Text {
        en: "Whoever reads this host's disk, a backup or an image of it, gets on to the next host with the private keys left here.",
        zh: "能读取本机磁盘、备份或镜像的人，可以利用遗留的私钥进入其他主机。",
    },
    severity: Severity::High,
    profiles: &[Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[Reference {
        source: "Alibaba Cloud ECS security best practices",
        item: "keep private keys off instances",
    }],
    reads: &["~/.ssh and key files at the top of the homes of root and of people's accounts"],
    fix: None,
    remedy: Text {
        en: "Use agent forwarding or a jump host instead, or protect the key (`ssh-keygen -p -f FILE`). Keys that were in an \
             image or a backup count as known: replace them.",
        zh: "改用代理转发或跳板机，或为密钥设置口令（`ssh-keygen -p -f 文件`）。曾进入镜像或备份的密钥应视为已泄露并更换。",
    },
    messages: &[
        Message {
            id: "unencrypted",
            text: Text {
                en: "{path} of {user} holds a private key without a passphrase",
                zh: "{user} 的 {path} 中有未设口令的私钥",
            },
        },
        Message {
            id: "opens-here",
            text: Text {
                en: "{path} of {user} holds a private key without a passphrase; on this host alone it opens: {users}",
                zh: "{user} 的 {path} 中有未设口令的私钥；仅在本机即可登录：{users}",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    let private = &input.host.keys.private;
    for file in private.files.iter().filter(|file| !file.key.encrypted) {
        let fingerprint = file.key.public.as_ref().map(|key| key.fingerprint());
        let opened: Vec<_> = places(input)
            .filter(|place| place.line.is_plain() && Some(place.line.key.fingerprint()) == fingerprint)
            .collect();
        let message = if opened.is_empty() { "unencrypted" } else { "opens-here" };
        let path = path_text(&file.path);
        let shown = match fingerprint {
            Some(fingerprint) => format!("{} {fingerprint}", format_word(file.key.format)),
            None => format_word(file.key.format).to_owned(),
        };
        let finding = Finding::new(Severity::High, file_subject(&file.path), message)
            .with("path", &path)
            .with("user", file.user.text())
            .reproduce(format!("ssh-keygen -y -P '' -f {}", shell_word(&path)))
            .seen(path, None, shown);
        tally.fail(if opened.is_empty() { finding } else { finding.with_list("users", super::users(&opened)) });
    }
    doubt_users(input, &mut tally);
    for (path, why) in &private.unknown {
        tally.doubt(file_subject(path), why.clone());
    }
    tally.verdict()
}

fn format_word(format: KeyFormat) -> &'static str {
    match format {
        KeyFormat::OpenSsh => "OpenSSH private key",
        KeyFormat::Traditional => "PEM private key",
        KeyFormat::Pkcs8 => "PKCS#8 private key",
        KeyFormat::Putty => "PuTTY private key",
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use crate::fact::Why;
    use crate::parse::key_blob::samples;

    fn putty(method: &str) -> String {
        let public = samples::ED25519.line.split(' ').nth(1).unwrap();
        format!("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: {method}\nComment: x\nPublic-Lines: 1\n{public}\n")
    }

    #[test]
    fn a_key_without_a_passphrase_is_found() {
        let path = "/home/bob/.ssh/id_ed25519";
        Case::new().file(path, &putty("aes256-cbc")).clean(&CHECK);
        Case::new().file(path, "ssh-ed25519 AAAA").clean(&CHECK);
        assert_eq!(Case::new().file(path, &putty("none")).findings(&CHECK), ["high unencrypted"]);
        let here = Case::new().file(path, &putty("none")).root(samples::ED25519.line);
        assert_eq!(here.findings(&CHECK), ["high opens-here"]);
        let closed = Case::new().deny(path, Why::Denied);
        assert_eq!(closed.doubts(&CHECK), [format!("file:{path}")]);
        assert_eq!(Case::new().file(path, &putty("none")).hide(path).doubts(&CHECK), [format!("file:{path}")]);
        let elsewhere = Case::new().file("/etc/nsswitch.conf", "passwd: files ldap\n");
        assert_eq!(elsewhere.doubts(&CHECK), ["accounts"]);
    }
}
