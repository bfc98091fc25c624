//! `sshd.crypto`: an algorithm on offer that is known to be weak.

use super::{daemon_subject, fixed_by, set, setting, show};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};

/// The check.
pub static CHECK: Check = Check {
    id: "sshd.crypto",
    title: Text { en: "Only sound algorithms are on offer", zh: "仅提供可靠的算法" },
    rationale: Text {
        en: "A client that prefers a weak algorithm, or is talked into one, gets a session that can be read or tampered with. \
             SHA-1 signatures, CBC modes, RC4, 3DES, MD5 and 1024-bit groups belong to the past.",
        zh: "偏好弱算法（或被诱导使用弱算法）的客户端得到的会话可能被窃听或篡改。SHA-1 签名、CBC 模式、RC4、3DES、MD5 以及 \
             1024 位群都已过时。",
    },
    severity: Severity::Medium,
    profiles: &[Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: "Alibaba Cloud ECS security best practices", item: "secure transport" },
        Reference { source: "RFC 9142", item: "key exchange method updates" },
        Reference { source: "RFC 8758", item: "deprecating RC4 in SSH" },
    ],
    reads: &["sshd configuration", "algorithms compiled into sshd"],
    fix: Some(Text {
        en: "takes the weak algorithms out of the list; the new list wants a confirmation by a new login",
        zh: "从列表中去除弱算法；新列表需要用一次新的登录来确认",
    }),
    remedy: Text {
        en: "Take the named algorithms out, e.g. `Ciphers -aes128-cbc,3des-cbc`, or tighten the system's crypto policy.",
        zh: "去除所列算法，例如 `Ciphers -aes128-cbc,3des-cbc`，或收紧系统的加密策略。",
    },
    messages: &[Message {
        id: "weak",
        text: Text {
            en: "{config}: {keyword} offers weak algorithms: {algorithms}",
            zh: "{config}：{keyword} 提供弱算法：{algorithms}",
        },
    }],
    check,
};

/// Keyword, keys (the name before 8.5 second), and what is weak in it.
type Family = (&'static str, &'static [&'static str], fn(&str) -> bool);

const FAMILIES: [Family; 6] = [
    ("Ciphers", &["ciphers"], weak_cipher),
    ("MACs", &["macs"], weak_mac),
    ("KexAlgorithms", &["kexalgorithms"], weak_exchange),
    ("HostKeyAlgorithms", &["hostkeyalgorithms"], weak_signature),
    ("PubkeyAcceptedAlgorithms", &["pubkeyacceptedalgorithms"], weak_signature),
    ("PubkeyAcceptedKeyTypes", &["pubkeyacceptedkeytypes"], weak_signature),
];

fn weak_cipher(name: &str) -> bool {
    name.contains("-cbc") || name.starts_with("arcfour") || name.starts_with("3des") || name == "none"
}

fn weak_mac(name: &str) -> bool {
    name.starts_with("hmac-md5")
        || name.starts_with("hmac-sha1-96")
        || name.starts_with("hmac-ripemd")
        || name == "none"
}

fn weak_exchange(name: &str) -> bool {
    name.ends_with("-sha1") || name.contains("group1-") || name.contains("-sha1-")
}

fn weak_signature(name: &str) -> bool {
    name.contains("dss") || name == "ssh-rsa" || name == "ssh-rsa-cert-v01@openssh.com"
}

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::default();
    for daemon in &input.access.daemons {
        for (keyword, keys, weak) in FAMILIES {
            let mut all: Vec<String> = Vec::new();
            let mut finding = None;
            for effective in daemon.settings() {
                for key in keys {
                    let list = effective.text(key);
                    let found: Vec<String> = list.split(',').filter(|name| weak(name)).map(str::to_owned).collect();
                    if found.is_empty() {
                        continue;
                    }
                    // What stays is written out: `-name` needs OpenSSH 7.5 and a build that knows every name.
                    let stays: Vec<&str> = list.split(',').filter(|name| !weak(name)).collect();
                    let new = found.iter().any(|name| !all.contains(name));
                    all.extend(found.into_iter().filter(|name| !all.contains(name)).collect::<Vec<_>>());
                    let base = finding.take().unwrap_or_else(|| {
                        Finding::new(Severity::Medium, format!("{} {keyword}", daemon_subject(daemon)), "weak")
                            .with("config", crate::check::path_text(&daemon.config))
                            .with("keyword", keyword)
                            .reproduce(show(daemon))
                    });
                    let base = if new { setting(base, effective, keyword, key) } else { base };
                    // An empty list is refused by sshd: which algorithms to offer instead is not ours to choose.
                    let edit = (!stays.is_empty()).then(|| set(daemon, effective, keyword, &stays.join(",")));
                    finding = Some(fixed_by(base, edit.into_iter().collect()));
                }
            }
            if let Some(finding) = finding {
                tally.fail(finding.with_list("algorithms", all));
            }
        }
    }
    super::unread(input, &mut tally);
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, expect};
    use super::*;

    const GOOD: &str = "Ciphers aes256-gcm@openssh.com\nMACs hmac-sha2-256-etm@openssh.com\nKexAlgorithms curve25519-sha256\n\
                        HostKeyAlgorithms ssh-ed25519\nPubkeyAcceptedAlgorithms ssh-ed25519\n";

    #[test]
    fn weak_algorithms_are_named() {
        for case in [
            Case::pass(GOOD),
            Case::fail(
                &GOOD.replace("aes256-gcm@openssh.com", "aes256-ctr,aes128-cbc,3des-cbc"),
                &["sshd:/etc/ssh/sshd_config Ciphers weak"],
            ),
            Case::fail(
                &GOOD.replace("curve25519-sha256", "diffie-hellman-group14-sha1"),
                &["sshd:/etc/ssh/sshd_config KexAlgorithms weak"],
            ),
            Case::fail(
                &format!("{GOOD}Match User ann\nPubkeyAcceptedAlgorithms +ssh-rsa\n"),
                &["sshd:/etc/ssh/sshd_config PubkeyAcceptedAlgorithms weak"],
            ),
            Case::unknown(GOOD).with_unreadable("/etc/ssh/sshd_config"),
        ] {
            expect(&CHECK, &case);
        }
    }
}
