//! `sshd.host-keys`: the instance's own identity can be taken over.

use std::path::{Path, PathBuf};

use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::host::Host;
use crate::host::cloud_init::CloudInit;
use crate::host::sshd::{KEYGEN_UNIT, Keygen};
use crate::observation::Mode;
use crate::parse::key_blob::PublicKey;
use crate::weak_key::{Weakness, weaknesses};

/// The check.
pub static CHECK: Check = Check {
    id: "sshd.host-keys",
    title: Text { en: "Host keys are strong and private", zh: "主机密钥强度足够且未泄露" },
    rationale: Text {
        en: "Whoever has the host key can pretend to be the instance and read what administrators type. A key that is in an image \
             is shared by every instance made from it.",
        zh: "拥有主机密钥者可以冒充该实例并读取管理员的输入。镜像中的主机密钥会被由其创建的所有实例共用。",
    },
    severity: Severity::High,
    profiles: &[Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: "MLPS level 3", item: "key management" },
        Reference { source: "hostward", item: "hardening" },
    ],
    reads: &["sshd configuration", "host keys"],
    fix: Some(Text {
        en: "chmod 0600, or removes the key from the image", zh: "chmod 0600，或从镜像中删除密钥"
    }),
    remedy: Text {
        en: "Remove the key and make a new one with `ssh-keygen -A`; in an image remove all of them: cloud-init makes new ones.",
        zh: "删除该密钥并用 `ssh-keygen -A` 重新生成；在镜像中应全部删除，cloud-init 会重新生成。",
    },
    messages: &[
        Message {
            id: "readable",
            text: Text {
                en: "the private host key {file} can be read by others (owner {owner}, mode {mode})",
                zh: "主机私钥 {file} 可被他人读取（属主 {owner}，权限 {mode}）",
            },
        },
        Message {
            id: "weak",
            text: Text {
                en: "the host key {file} is weak: {kind}, {bits} bits",
                zh: "主机密钥 {file} 强度不足：{kind}，{bits} 位",
            },
        },
        Message {
            id: "compromised",
            text: Text {
                en: "the private half of the host key {file} is known to others ({fingerprint})",
                zh: "主机密钥 {file} 的私钥已为他人所知（{fingerprint}）",
            },
        },
        Message {
            id: "baked",
            text: Text { en: "the image carries the host key {file}", zh: "镜像中带有主机密钥 {file}" },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::default();
    let image = input.policy.profile == Profile::Image && input.seen.mode == Mode::Offline;
    for (path, key) in &input.host.login_files.host_keys {
        let file = path_text(path);
        let subject = format!("file:{file}");
        let meta = match &key.meta {
            Fact::Known(meta) => meta,
            Fact::Absent => continue,
            Fact::Unknown(why) => {
                tally.doubt(subject, why.clone());
                continue;
            }
        };
        if image {
            let finding = Finding::new(Severity::High, subject, "baked").with("file", &file).seen(&file, None, "");
            tally.fail(super::fixed_by(finding, gone(input.host, path)));
            continue;
        }
        if exposed(input, meta) {
            let finding = Finding::new(Severity::High, subject.clone(), "readable")
                .with("file", &file)
                .with_number("owner", meta.uid)
                .with("mode", format!("{:04o}", meta.mode))
                .seen(&file, None, "")
                .reproduce(format!("stat -c '%u %a' {file}"));
            let chown = (meta.uid != 0).then(|| Edit::Chown { file: path.clone(), uid: 0, gid: 0 });
            let chmod = Edit::Chmod { file: path.clone(), mode: 0o600 };
            tally.fail(super::fixed_by(finding, chown.into_iter().chain([chmod]).collect()));
        }
        match &key.public {
            Fact::Known(public) => strength(input, &subject, &file, public, &mut tally),
            Fact::Absent => {}
            Fact::Unknown(why) => tally.doubt(format!("file:{file}.pub"), why.clone()),
        }
    }
    super::unread(input, &mut tally);
    tally.verdict()
}

/// What takes a host key out of an image, so that sshd has another at the first boot: nothing of the old one is kept.
pub(crate) fn gone(host: &Host, path: &Path) -> Vec<Edit> {
    let erase = Edit::Erase { path: path.to_path_buf(), leave_empty: false };
    let cloud_init = host.cloud_init.known().is_some_and(CloudInit::renews_host_keys);
    if cloud_init || host.login_files.keygen != Keygen::FirstBoot {
        return vec![erase];
    }
    let file = PathBuf::from(format!("/etc/systemd/system/{KEYGEN_UNIT}.d/50-hostward.conf"));
    vec![Edit::WriteFile { file, content: WHENEVER_MISSING.to_owned(), mode: 0o644 }, erase]
}

/// With an empty machine-id no boot is a first one, and with `uninitialized` in it the first boot asks for a locale at the console
/// and enables units that were disabled.
const WHENEVER_MISSING: &str = "# hostward: this image has no host keys. They are made whenever they are missing, not only at what systemd takes for a first\n\
# boot: an empty /etc/machine-id makes none of one.\n\
[Unit]\n\
ConditionFirstBoot=\n\
ConditionPathIsReadWrite=/etc/ssh\n";

/// Readable by somebody other than root. Red Hat's builds let the group ssh_keys read, for ssh-keysign.
fn exposed(input: &Input<'_>, meta: &crate::snapshot::Meta) -> bool {
    let keysign = input.host.accounts.group("ssh_keys").is_some_and(|group| group.gid == meta.gid);
    let group = meta.mode & 0o070 != 0 && meta.gid != 0 && !(keysign && meta.mode & 0o030 == 0);
    meta.uid != 0 || meta.mode & 0o007 != 0 || group
}

fn strength(input: &Input<'_>, subject: &str, file: &str, key: &PublicKey, tally: &mut Tally) {
    let found = weaknesses(key, input.policy.limits.rsa_bits, &input.host.keys.blocklist);
    let Some(worst) = found.first() else { return };
    let fingerprint = key.fingerprint().to_string();
    let weak = matches!(worst, Weakness::Dsa | Weakness::Short { .. });
    let finding = if weak {
        Finding::new(Severity::High, subject, "weak")
            .with("file", file)
            .with("kind", key.kind().short())
            .with_number("bits", key.bits())
    } else {
        Finding::new(Severity::High, subject, "compromised").with("file", file).with("fingerprint", &fingerprint)
    };
    tally.fail(
        finding.seen(format!("{file}.pub"), Some(1), fingerprint).reproduce(format!("ssh-keygen -lf {file}.pub")),
    );
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, KEY, SHORT_RSA, expect};
    use super::*;

    const FILE: &str = "/etc/ssh/ssh_host_ed25519_key";

    fn with_key(case: Case, mode: u32, public: &str) -> Case {
        case.with_file(FILE, "private").owned(FILE, 0, mode).with_file("/etc/ssh/ssh_host_ed25519_key.pub", public)
    }

    #[test]
    fn host_keys_are_judged() {
        let config = "HostKey /etc/ssh/ssh_host_ed25519_key\n";
        for case in [
            with_key(Case::pass(config), 0o600, KEY),
            with_key(Case::fail(config, &["file:/etc/ssh/ssh_host_ed25519_key readable"]), 0o644, KEY),
            with_key(Case::fail(config, &["file:/etc/ssh/ssh_host_ed25519_key weak"]), 0o600, SHORT_RSA),
            with_key(Case::fail(config, &["file:/etc/ssh/ssh_host_ed25519_key baked"]).image(), 0o600, KEY),
            with_key(Case::unknown(config), 0o600, "rubbish"),
        ] {
            expect(&CHECK, &case);
        }
    }
}
