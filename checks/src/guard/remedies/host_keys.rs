//! An image without host keys is one without an sshd, unless something makes new ones.

use std::path::Path;

use crate::check::{Input, Text, message, path_text};
use crate::edit::Edit;
use crate::guard::{Circumstances, Guard, Rule};
use crate::host::cloud_init::CloudInit;
use crate::host::sshd::Keygen;
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

fn rule(edit: &Edit, input: &Input<'_>, _: &Circumstances) -> Result<(), Said> {
    let (Edit::RemoveFile { file } | Edit::Erase { path: file, .. }) = edit else { return Ok(()) };
    if !input.host.login_files.host_keys.contains_key(file) && !usually_a_host_key(file) {
        return Ok(());
    }
    let cloud_init = input.host.cloud_init.known().is_some_and(CloudInit::renews_host_keys);
    if cloud_init || input.host.login_files.keygen != Keygen::Never {
        return Ok(());
    }
    Err(Said::new(&NOTHING_MAKES_KEYS).with("file", path_text(file)))
}

/// A key, or a half of one, under the name that `ssh-keygen -A` gives it.
fn usually_a_host_key(file: &Path) -> bool {
    let name = file.file_name().map(|name| name.as_encoded_bytes()).unwrap_or_default();
    file.parent() == Some(Path::new("/etc/ssh")) && name.starts_with(b"ssh_host_")
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
        for modules in ["cloud_init_modules: [bootcmd]\n", "ssh_genkeytypes: []\n"] {
            assert_eq!(
                said(&cloud.file("/etc/cloud/cloud.cfg", modules), key),
                Some("nothing-makes-keys"),
                "{modules}"
            );
        }
        let usual = "cloud_init_modules:\n - bootcmd\n - [ssh, always]\n";
        assert_eq!(said(&cloud.file("/etc/cloud/cloud.cfg", usual), key), None);
        let unit = case.file("/usr/lib/systemd/system/sshd-keygen.service", "[Service]\n");
        assert_eq!(said(&unit, key), Some("nothing-makes-keys"), "nothing starts the unit");
        let started = unit.file("/usr/lib/systemd/system/sshd.service", "[Unit]\nWants=sshd-keygen.service\n");
        assert_eq!(said(&started, key), None);
    }
}
