//! Images: a root file system is fixed in a directory, boots, and lets its owner in with the key of the metadata service.

#![cfg(test)]

use std::process::Command;

use hostward_tests::host::{Host, PUBLIC_CLIENT};
use hostward_tests::imds::{Behaviour, Imds};
use hostward_tests::ssh::{Client, With};
use hostward_tests::suite::{Suite, run_directory};
use hostward_tests::tier::Tier;
use hostward_tests::{binary, results};

/// What cloud-init does at the first boot of an instance, in a few lines: host keys of its own, the key pair into root's file.
const FIRST_BOOT: &str = "#!/bin/sh
set -e
ssh-keygen -A
for i in 1 2 3 4 5 6 7 8 9 10; do
  token=$(curl -s --max-time 2 -X PUT -H 'X-aliyun-ecs-metadata-token-ttl-seconds: 60' http://100.100.100.200/latest/api/token) && break
  sleep 0.3
done
mkdir -p -m 700 /root/.ssh
curl -s -H \"X-aliyun-ecs-metadata-token: $token\" http://100.100.100.200/latest/meta-data/public-keys/0/openssh-key >/root/.ssh/authorized_keys
chmod 600 /root/.ssh/authorized_keys
";

const UNIT: &str = "[Unit]
Before=ssh.service ssh.socket
After=network.target
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/first-boot
[Install]
WantedBy=multi-user.target
";

/// An image as somebody left it: open, with passwords and keys of its own.
const LEFT: &str = "
    useradd -m -s /bin/bash ann; echo 'ann:Aliyun@123' | chpasswd; echo 'root:Pa55-root-word' | chpasswd
    printf 'PermitRootLogin yes\\nPasswordAuthentication yes\\nX11Forwarding yes\\n' | cat - /etc/ssh/sshd_config >/tmp/n; cat /tmp/n >/etc/ssh/sshd_config; rm /tmp/n
    chmod 644 /etc/shadow; mkdir -p /etc/systemd/system/sockets.target.wants
    for at in sockets multi-user; do ln -s /lib/systemd/system/rpcbind.socket /etc/systemd/system/$at.target.wants/rpcbind.socket; done
    ln -s /etc/systemd/system/first-boot.service /etc/systemd/system/multi-user.target.wants/first-boot.service";

#[test]
fn a_fixed_image_boots_and_lets_its_owner_in() {
    let suites: &[&str] = Tier::current().pick(
        &["bionic", "bookworm", "noble"],
        &["bionic", "focal", "bullseye", "jammy", "bookworm", "noble", "trixie", "resolute", "sid"],
    );
    for name in suites {
        let Ok(suite) = Suite::find(name) else {
            results::skipped("fix-image", name, "no root file system");
            continue;
        };
        let image = suite.overlay().unwrap();
        image.write("/usr/local/sbin/first-boot", FIRST_BOOT, 0o755).unwrap();
        image.write("/etc/systemd/system/first-boot.service", UNIT, 0o644).unwrap();
        image.shell(LEFT).unwrap();

        let directory = run_directory("strace").unwrap();
        let log = directory.path().join("log");
        let root = image.root().to_str().unwrap().to_owned();
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-qq", "-s", "512", "-e", "trace=%file,%desc", "-o"]).arg(&log);
        command.arg(binary().unwrap()).args(["fix", "--root", &root, "--apply", "--password-budget", "20s"]);
        let output = command.env_clear().current_dir("/").output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(matches!(output.status.code(), Some(0 | 1)), "{name}: {said}");
        assert!(said.contains("DONE: transaction"), "{name}: {said}");
        nothing_outside_is_written(&std::fs::read_to_string(&log).unwrap(), &root, name);

        for target in ["sockets", "multi-user"] {
            let link = image.path(&format!("/etc/systemd/system/{target}.target.wants/rpcbind.socket"));
            assert!(link.symlink_metadata().is_err(), "{name}: {} still starts rpcbind: {said}", link.display());
        }
        let shadow = std::fs::read_to_string(image.path("/etc/shadow")).unwrap();
        assert!(
            shadow.lines().any(|line| line.starts_with("ann:!")),
            "{name}: the weak password is not locked: {said}"
        );
        let host = Host::of(&suite).layer(&image.changes()).boot().unwrap();
        let imds = Imds::start(host.vpc(), Behaviour::TokenRequired).unwrap();
        let client = Client::of(&host).unwrap();
        let (key, line) = client.key("owner", "ed25519", None).unwrap();
        imds.set("/latest/meta-data/public-keys/0/openssh-key", format!("{line}\n"));
        // The metadata service of a test answers after the boot; the unit of the first boot is asked again.
        host.shell("/usr/local/sbin/first-boot; systemctl reload-or-restart ssh.service").unwrap();
        // A reload closes the socket for a moment.
        host.shell("for i in $(seq 100); do bash -c 'exec 3<>/dev/tcp/127.0.0.1/22; read -t 5 -u 3' 2>/dev/null && exit 0; sleep 0.1; done; exit 1")
            .unwrap();
        let owner = client.login("root", PUBLIC_CLIENT, &With::Key(key)).unwrap();
        assert!(owner.shell, "{name}: the owner is locked out: {}\n{said}", owner.log);
        for (user, password) in [("root", "Pa55-root-word"), ("ann", "Aliyun@123")] {
            let outcome = client.login(user, PUBLIC_CLIENT, &With::Password(password.to_owned())).unwrap();
            assert!(!outcome.authenticated, "{name}: {user} still enters with its password\n{said}");
        }
        results::tested("fix-image", name, "fixed, booted, entered with the key of the metadata service");
    }
}

/// Every call that writes or changes something names a path in the image, or an open file there.
fn nothing_outside_is_written(log: &str, root: &str, name: &str) {
    const CHANGE: [&str; 18] = [
        "rename",
        "unlink",
        "mkdir",
        "rmdir",
        "link",
        "symlink",
        "chmod",
        "fchmod",
        "chown",
        "fchown",
        "lchown",
        "truncate",
        "ftruncate",
        "setxattr",
        "fsetxattr",
        "lsetxattr",
        "mknod",
        "utimensat",
    ];
    let mut changes = 0;
    for line in log.lines() {
        let call = line.split_once(' ').map_or(line, |(_, call)| call.trim_start());
        let word = call.split('(').next().unwrap_or_default();
        let kind = word.trim_end_matches("at2").trim_end_matches("at");
        let writes =
            word.starts_with("open") && ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| call.contains(flag));
        if (!writes && !CHANGE.contains(&kind) && word != "write") || call.contains("= -1 ") {
            continue;
        }
        // Its own output, and what a thread wakes another with.
        if call.contains("<pipe:")
            || call.contains("<anon_inode:")
            || call.contains("/dev/null")
            || call.contains("<socket:")
        {
            continue;
        }
        changes += 1;
        assert!(call.contains(root), "{name}: outside the image: {line}");
    }
    assert!(changes > 10, "{name}: nothing was watched");
}
