//! An image without host keys is one without an sshd, unless something makes new ones.

use crate::check::{Input, Text, message, path_text};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::guard::{Circumstances, Guard, Rule};
use crate::host::cloud_init::CloudInit;
use crate::plan::Said;

/// A host key goes only where the first boot makes another.
pub(crate) static NEW_HOST_KEYS: Guard = Guard {
    id: "sshd.new-host-keys",
    title: Text {
        en: "host keys go only where the first boot makes new ones",
        zh: "仅当首次启动会生成新的主机密钥时才删除",
    },
    rule: Rule::Edit(rule),
};

message!(
    NOTHING_MAKES_KEYS,
    "nothing-makes-keys",
    "{file} stays: nothing here makes new host keys at the first boot, and without one sshd does not start; install cloud-init, or a unit that runs `ssh-keygen -A` before sshd (sshd-keygen.service)",
    "保留 {file}：此处没有任何程序会在首次启动时生成新的主机密钥，而没有主机密钥 sshd 无法启动；请安装 cloud-init，或添加在 sshd 之前运行 `ssh-keygen -A` 的单元（sshd-keygen.service）"
);

message!(
    STILL_SERVES,
    "still-serves",
    "{file} stays for now: this system runs, and without host keys its sshd takes no new connection; the last step of a build names the check: `hostward fix --root / --apply sshd.host-keys`",
    "暂时保留 {file}：本系统正在运行，没有主机密钥时其 sshd 将不接受新的连接；请在构建的最后一步指明该检查项：`hostward fix --root / --apply sshd.host-keys`"
);

fn rule(edit: &Edit, input: &Input<'_>, circumstances: &Circumstances) -> Result<(), Said> {
    let Edit::RemoveFile { file } = edit else { return Ok(()) };
    if !input.host.login_files.host_keys.contains_key(file) {
        return Ok(());
    }
    // A configuration without the program makes nothing.
    let runs = |cloud: &CloudInit| cloud.disabled == Fact::Known(false) && cloud.version != Fact::Absent;
    let cloud_init = input.host.cloud_init.known().is_some_and(runs);
    if circumstances.serves && !circumstances.consent.host_keys {
        return Err(Said::new(&STILL_SERVES).with("file", path_text(file)));
    }
    if cloud_init || input.host.login_files.keygen {
        return Ok(());
    }
    Err(Said::new(&NOTHING_MAKES_KEYS).with("file", path_text(file)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;

    #[test]
    fn an_image_keeps_the_keys_that_nothing_would_make_again() {
        let key = "/etc/ssh/ssh_host_ed25519_key";
        let case = Case::new().file(key, "").offline();
        let remove = |file: &str| Edit::RemoveFile { file: file.into() };
        let said = |case: &Case, file: &str| case.refused(&NEW_HOST_KEYS, &remove(file));
        assert_eq!(said(&case, key), Some("nothing-makes-keys"));
        assert_eq!(said(&case, "/etc/motd"), None);
        let cloud = case.file("/etc/cloud/cloud.cfg", "disable_root: false\n");
        assert_eq!(said(&cloud, key), Some("nothing-makes-keys"), "a configuration without the program");
        let cloud = cloud.file("/usr/lib/python3/dist-packages/cloudinit/version.py", "__VERSION__ = \"23.2.2\"\n");
        assert_eq!(said(&cloud, key), None);
        let off = cloud.file("/etc/cloud/cloud-init.disabled", "");
        assert_eq!(said(&off, key), Some("nothing-makes-keys"));
        assert_eq!(said(&case.file("/usr/lib/systemd/system/sshd-keygen.service", "[Service]\n"), key), None);
        assert_eq!(said(&case.file("/usr/lib/systemd/system/sshd-keygen@.service", "[Service]\n"), key), None);
        let mut runs = case.file("/usr/lib/systemd/system/sshd-keygen.service", "[Service]\n");
        runs.circumstances.serves = true;
        assert_eq!(said(&runs, key), Some("still-serves"));
        runs.circumstances.consent.host_keys = true;
        assert_eq!(said(&runs, key), None);
    }
}
