//! `image.identity`: every instance made from the image would take itself for the host that it was made of.

use super::{REVEALING, about_all, about_file, file_subject, image};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::host::image::{Becomes, Leftover, What};

/// The check.
pub static CHECK: Check = Check {
    id: "image.identity",
    title: Text { en: "The image has no identity of its own", zh: "镜像中没有固化的主机身份" },
    rationale: Text {
        en: "Instances that share a machine id, host keys, a DHCP identity or the seed of their random numbers are taken for one \
             another; with the state of another instance cloud-init may not put in the ECS key pair.",
        zh: "共用 machine-id、主机密钥、DHCP 标识或随机数种子的实例会被互相混淆；若带有其他实例的状态，cloud-init 可能不会写入 ECS 密钥对。",
    },
    severity: Severity::High,
    profiles: &[Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: REVEALING, item: "instance data in custom images" },
        Reference { source: "systemd", item: "machine-id(5), building images" },
    ],
    reads: &[
        "/etc/machine-id",
        "/etc/ssh/ssh_host_*",
        "/var/lib/cloud",
        "DHCP leases",
        "random seeds",
        "credential.secret",
        "iSCSI's initiator name",
    ],
    fix: Some(Text {
        en: "empties /etc/machine-id, and removes what the first boot makes anew. Nothing of it is kept; an iSCSI initiator name is told to be made \
             anew where the distribution does that",
        zh: "清空 /etc/machine-id，并删除首次启动会重新生成的内容。不保留任何副本；在发行版支持时，使 iSCSI initiator 名称重新生成",
    }),
    remedy: Text {
        en: "Empty /etc/machine-id (`: > /etc/machine-id`), run `cloud-init clean`, and remove host keys, DHCP leases and random \
             seeds as the last step before the disk is taken. A system that runs writes its random seed again when it shuts down.",
        zh: "在制作镜像前的最后一步清空 /etc/machine-id（`: > /etc/machine-id`），运行 `cloud-init clean`，并删除主机密钥、DHCP 租约和随机数种子。运行中的系统会在关机时再次写入随机数种子。",
    },
    messages: &[
        Message {
            id: "machine-id",
            text: Text {
                en: "{file} gives every instance the same machine id",
                zh: "{file} 使所有实例拥有相同的 machine-id",
            },
        },
        Message {
            id: "host-key",
            text: Text { en: "{file} is the public half of a host key", zh: "{file} 是主机密钥的公钥部分" },
        },
        Message {
            id: "seed",
            text: Text {
                en: "{file} has every instance begin with the same random numbers",
                zh: "{file} 使所有实例的随机数从相同的种子开始",
            },
        },
        Message {
            id: "secret",
            text: Text {
                en: "every instance would encrypt its credentials with the secret in {file}",
                zh: "所有实例都会使用 {file} 中的同一密钥加密凭据",
            },
        },
        Message {
            id: "lease",
            text: Text {
                en: "{file} holds the network identity of another host", zh: "{file} 中有其他主机的网络标识"
            },
        },
        Message {
            id: "initiator-name",
            text: Text {
                en: "{file} gives every instance the same iSCSI initiator name",
                zh: "{file} 使所有实例拥有相同的 iSCSI initiator 名称",
            },
        },
        Message {
            id: "initiator-name-stays",
            text: Text {
                en: "{file} gives every instance the same iSCSI initiator name, and nothing here makes it anew: have the first boot write it \
                     (iscsi-iname)",
                zh: "{file} 使所有实例拥有相同的 iSCSI initiator 名称，且本机不会重新生成：请在首次启动时写入（iscsi-iname）",
            },
        },
        Message {
            id: "cloud-init",
            text: Text {
                en: "cloud-init has kept {count} files about the instance that it ran on, in {dir}: {files}",
                zh: "cloud-init 在 {dir} 中保留了关于原实例的 {count} 个文件：{files}",
            },
        },
    ],
    check,
};

const KINDS: [(What, &str); 5] = [
    (What::MachineId, "machine-id"),
    (What::HostKeyPublic, "host-key"),
    (What::Seed, "seed"),
    (What::HostSecret, "secret"),
    (What::Lease, "lease"),
];

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    let all: Vec<What> = KINDS.iter().map(|(what, _)| *what).chain([What::CloudInit, What::InitiatorName]).collect();
    let Some(image) = image(input, &all, &mut tally) else { return tally.verdict() };
    for (what, message) in KINDS {
        for leftover in image.of(what) {
            let finding = Finding::new(Severity::High, file_subject(&leftover.path), message);
            tally.fail(about_file(finding, leftover));
        }
    }
    // Nobody has to be misled by it who does not use iSCSI.
    for leftover in image.of(What::InitiatorName) {
        let message = if leftover.becomes == Becomes::Stays { "initiator-name-stays" } else { "initiator-name" };
        tally.fail(about_file(Finding::new(Severity::Low, file_subject(&leftover.path), message), leftover));
    }
    let state: Vec<&Leftover> = image.of(What::CloudInit).collect();
    if !state.is_empty() {
        let dir = std::path::Path::new("/var/lib/cloud");
        let finding = Finding::new(Severity::High, "dir:/var/lib/cloud", "cloud-init");
        tally.fail(about_all(finding, dir, &state));
    }
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use crate::fact::Why;

    const ID: &str = "/etc/machine-id";

    #[test]
    fn the_machine_id_is_left_for_the_first_boot() {
        let clean = Case::new();
        clean.passes(&CHECK);
        for empty in ["", "uninitialized\n", "\n"] {
            clean.file(ID, empty).passes(&CHECK);
        }
        let case = clean.file(ID, "4c6a3f0bd6c14fa5a2a7e52b4d3b7c11\n");
        assert_eq!(case.findings(&CHECK), [format!("file:{ID} machine-id")]);
        assert_eq!(case.mends(&CHECK).text(ID), "", "a file has to be there, where /etc cannot be written");
        // D-Bus has it too, and systemd would take it from there; a link is the usual thing and right.
        let dbus = "/var/lib/dbus/machine-id";
        assert!(!clean.file(dbus, "4c6a\n").mends(&CHECK).holds(dbus));
        clean.link(dbus, ID).passes(&CHECK);
        assert_eq!(clean.deny(ID, Why::Denied).doubts(&CHECK), [format!("file:{ID}")]);
    }

    #[test]
    fn what_another_host_was_goes() {
        for (path, message) in [
            ("/var/lib/systemd/random-seed", "seed"),
            ("/var/lib/systemd/credential.secret", "secret"),
            ("/var/lib/systemd/network/dhcp-server-lease/br0", "lease"),
            ("/var/lib/NetworkManager/secret_key", "lease"),
            ("/var/lib/dhcp/dhclient.eth0.leases", "lease"),
            ("/var/lib/NetworkManager/internal-1-eth0.lease", "lease"),
            ("/etc/udev/rules.d/70-persistent-net.rules", "lease"),
        ] {
            let case = Case::new().file(path, "x");
            assert_eq!(case.findings(&CHECK), [format!("file:{path} {message}")]);
            assert!(!case.mends(&CHECK).holds(path));
            assert_eq!(Case::new().hide(path).doubts(&CHECK), [format!("file:{path}")]);
        }
        for public in ["/etc/ssh/ssh_host_rsa_key.pub", "/etc/ssh/ssh_host_rsa_key-cert.pub"] {
            let case = Case::new().file(public, "ssh-rsa AAAA").keygen("");
            assert_eq!(case.findings(&CHECK), [format!("file:{public} host-key")]);
            assert!(!case.mends(&CHECK).holds(public));
        }
    }

    #[test]
    fn an_initiator_name_is_made_anew_where_something_makes_it() {
        let (file, unit) = (crate::host::image::INITIATOR_NAME, "/usr/lib/systemd/system/iscsi-init.service");
        let named = Case::new().file(file, "## DO NOT EDIT\nInitiatorName=iqn.1993-08.org.debian:01:f4b2\n");
        assert_eq!(named.findings(&CHECK), [format!("file:{file} initiator-name-stays")]);
        let debian = named.file("/usr/lib/open-iscsi/startup-checks.sh", "#!/bin/sh\n");
        assert_eq!(debian.findings(&CHECK), [format!("file:{file} initiator-name")]);
        assert_eq!(debian.mends(&CHECK).text(file), "GenerateName=yes\n");
        let red_hat = named.file(unit, &format!("[Unit]\nConditionPathExists=!{file}\n"));
        assert!(!red_hat.mends(&CHECK).holds(file));
        let other = named.file(unit, "[Unit]\nConditionPathExists=/x\n");
        assert_eq!(other.findings(&CHECK), [format!("file:{file} initiator-name-stays")]);
        Case::new().file(file, "GenerateName=yes\n").passes(&CHECK);
        assert_eq!(Case::new().deny(file, Why::Denied).doubts(&CHECK), [format!("file:{file}")]);
    }

    #[test]
    fn cloud_init_starts_anew() {
        let instance = "/var/lib/cloud/instances/i-bp1";
        let case = Case::new()
            .file(&format!("{instance}/user-data.txt"), "#!/bin/sh\n")
            .file(&format!("{instance}/sem/config_ssh"), "")
            .file("/var/lib/cloud/data/instance-id", "i-bp1\n")
            .link("/var/lib/cloud/instance", instance)
            .file("/var/lib/cloud/seed/nocloud/meta-data", "instance-id: x\n")
            .file("/var/lib/cloud/scripts/per-boot/mine.sh", "#!/bin/sh\n");
        assert_eq!(case.findings(&CHECK), ["dir:/var/lib/cloud cloud-init"]);
        let after = case.mends(&CHECK);
        assert!(!after.holds(instance) && !after.holds("/var/lib/cloud/data/instance-id"));
        assert!(!after.holds("/var/lib/cloud/instance"));
        assert!(
            after.holds("/var/lib/cloud/seed/nocloud/meta-data")
                && after.holds("/var/lib/cloud/scripts/per-boot/mine.sh")
        );
    }

    #[test]
    fn the_link_to_an_instance_goes_and_those_of_others_stay() {
        let (link, gone) = ("/var/lib/cloud/instance", "/var/lib/cloud/instances/i-bp1");
        let case = Case::new().link(link, gone);
        assert_eq!(case.findings(&CHECK), ["dir:/var/lib/cloud cloud-init"]);
        assert!(!case.mends(&CHECK).holds(link));
        // What cloud-init reads itself is root's.
        case.owned(link, 1000, 1000, 0o777).passes(&CHECK);
        let dir = "/var/lib/cloud/data";
        assert_eq!(Case::new().hide(dir).doubts(&CHECK), [format!("file:{dir}")]);
    }
}
