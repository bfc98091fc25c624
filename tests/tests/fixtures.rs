//! Distributions whose root file systems cannot be had here: their decisive files as they are documented and shown in public,
//! with a program in sshd's place that only says its version. No sshd answers for them: these are fixtures, and called so.

#![cfg(test)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use hostward_tests::results;
use hostward_tests::scan::{self, Scan};
use serde_json::Value;
use tempfile::TempDir;

/// Files of a root: path, mode, content.
type Files<'a> = [(&'a str, u32, &'a str)];

/// Alibaba Cloud Linux 3: EL 8's layout, an sshd 8.0p1 whose algorithms the system's crypto policy gives on the command line.
const ALINUX_3: &Files<'_> = &[
    (
        "etc/os-release",
        0o644,
        "NAME=\"Alibaba Cloud Linux\"\nVERSION=\"3 (OpenAnolis Edition)\"\nID=\"alinux\"\nID_LIKE=\"rhel fedora centos anolis\"\n\
         VERSION_ID=\"3\"\nPLATFORM_ID=\"platform:al8\"\nPRETTY_NAME=\"Alibaba Cloud Linux 3.2104 U13.1 (OpenAnolis Edition)\"\n",
    ),
    (
        "usr/lib/systemd/system/sshd.service",
        0o644,
        "[Unit]\nAfter=network.target sshd-keygen.target\n[Service]\nType=notify\n\
         EnvironmentFile=-/etc/crypto-policies/back-ends/opensshserver.config\nEnvironmentFile=-/etc/sysconfig/sshd\n\
         ExecStart=/usr/sbin/sshd -D $OPTIONS $CRYPTO_POLICY\n[Install]\nWantedBy=multi-user.target\n",
    ),
    (
        "etc/crypto-policies/back-ends/opensshserver.config",
        0o644,
        "CRYPTO_POLICY='-oCiphers=aes256-gcm@openssh.com,aes256-ctr,3des-cbc -oMACs=hmac-sha2-256-etm@openssh.com,hmac-sha1'\n",
    ),
    (
        "etc/sysconfig/sshd",
        0o640,
        "SSH_USE_STRONG_RNG=0\n# To opt-out, uncomment the following line\n# CRYPTO_POLICY=\n",
    ),
    (
        "etc/ssh/sshd_config",
        0o600,
        "HostKey /etc/ssh/ssh_host_rsa_key\nHostKey /etc/ssh/ssh_host_ecdsa_key\nHostKey /etc/ssh/ssh_host_ed25519_key\n\
         SyslogFacility AUTHPRIV\nPermitRootLogin yes\nAuthorizedKeysFile\t.ssh/authorized_keys\nPasswordAuthentication yes\n\
         ChallengeResponseAuthentication no\nGSSAPIAuthentication yes\nGSSAPICleanupCredentials no\nUsePAM yes\nX11Forwarding yes\n\
         PrintMotd no\nAcceptEnv LANG LC_CTYPE\nSubsystem\tsftp\t/usr/libexec/openssh/sftp-server\n",
    ),
    (
        "etc/pam.d/sshd",
        0o644,
        "#%PAM-1.0\nauth       substack     password-auth\nauth       include      postlogin\naccount    required     pam_sepermit.so\n\
         account    required     pam_nologin.so\naccount    include      password-auth\npassword   include      password-auth\n",
    ),
    ("etc/pam.d/postlogin", 0o644, "session optional pam_umask.so silent\n"),
    (
        "etc/pam.d/password-auth",
        0o644,
        "auth        required      pam_env.so\nauth        sufficient    pam_unix.so try_first_pass nullok\nauth        required      pam_deny.so\n\
         account     required      pam_unix.so\npassword    requisite     pam_pwquality.so try_first_pass local_users_only retry=3 authtok_type=\n\
         password    sufficient    pam_unix.so try_first_pass use_authtok nullok sha512 shadow\npassword    required      pam_deny.so\n",
    ),
    (
        "etc/passwd",
        0o644,
        "root:x:0:0:root:/root:/bin/bash\nsshd:x:74:74::/var/empty/sshd:/sbin/nologin\nadmin:x:1000:1000::/home/admin:/bin/bash\n",
    ),
    ("etc/group", 0o644, "root:x:0:\nsshd:x:74:\nadmin:x:1000:\nwheel:x:10:admin\n"),
    (
        "etc/shadow",
        0o0,
        "root:$6$saltsalt$PVqHPoSGMXAr9aSm0fXIA6dvOXZGdjVPSHmZ1RnM0o65tyYqAB3Ch5Zp9eRdkoRN.xKjYBTrYqWqDbAM2Drzh0:19000:0:99999:7:::\n\
         sshd:!!:19000::::::\nadmin:!!:19000:0:99999:7:::\n",
    ),
    ("etc/nsswitch.conf", 0o644, "passwd: sss files systemd\nshadow: files sss\ngroup: sss files systemd\n"),
    (
        "etc/login.defs",
        0o644,
        "PASS_MAX_DAYS\t99999\nPASS_MIN_DAYS\t0\nPASS_WARN_AGE\t7\nENCRYPT_METHOD SHA512\nUMASK 077\n",
    ),
    ("etc/sudoers", 0o440, "root ALL=(ALL) ALL\n%wheel ALL=(ALL) ALL\n"),
    ("bin/bash", 0o755, ""),
    ("sbin/nologin", 0o755, ""),
];

/// Builds a root. `version`: what the program in sshd's place says of itself.
fn root(files: &Files<'_>, version: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (path, mode, content) in files {
        write(dir.path(), path, *mode, content);
    }
    let words = ["permitrootlogin", "passwordauthentication", "usepam", "include"];
    let keywords = if version < "OpenSSH_8" { &words[..3] } else { &words[..] };
    write(dir.path(), "usr/sbin/sshd", 0o755, &format!("\x7fELF\0{version}\0{}\0", keywords.join("\0")));
    for dir_path in ["root", "home/admin", "etc/systemd/system/multi-user.target.wants"] {
        fs::create_dir_all(dir.path().join(dir_path)).unwrap();
    }
    symlink(
        "/usr/lib/systemd/system/sshd.service",
        dir.path().join("etc/systemd/system/multi-user.target.wants/sshd.service"),
    )
    .unwrap();
    dir
}

fn write(root: &Path, path: &str, mode: u32, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

fn hostward(arguments: &[&str], root: &Path) -> (String, String) {
    let mut command = Command::new(hostward_tests::binary().unwrap());
    let output = command.args(arguments).arg("--root").arg(root).env_clear().output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A scan without the passwords, which take their time.
fn scan_of(root: &Path) -> Scan {
    let mut command = scan::offline(root).unwrap();
    command.args(["--skip", "accounts.weak-password"]);
    scan::json(command).unwrap()
}

fn setting(root: &Path, keyword: &str) -> String {
    let (dump, errors) = hostward(&["sshd-config", "--origin"], root);
    let line = dump.lines().find(|line| line.split(' ').next() == Some(keyword));
    line.unwrap_or_else(|| panic!("no {keyword} in {dump}{errors}")).to_owned()
}

#[test]
fn alibaba_cloud_linux_3() {
    let dir = root(ALINUX_3, "OpenSSH_8.0p1");
    let root = dir.path();
    assert!(setting(root, "permitrootlogin").starts_with("permitrootlogin yes  # /etc/ssh/sshd_config:5"));
    // What the unit adds on the command line is no part of the file, as for `sshd -T`.
    assert!(setting(root, "ciphers").contains("chacha20-poly1305@openssh.com"));

    let scan = scan_of(root);
    assert_eq!(scan.report["host"]["os"]["id"], "alinux");
    assert_eq!(scan.unknown(), []);
    let findings = |id: &str| -> Vec<Value> {
        let check = scan.checks().find(|check| check["id"] == id).unwrap();
        check["findings"].as_array().unwrap().clone()
    };
    assert!(findings("sshd.root-login")[0]["evidence"].to_string().contains("\"line\":5"));
    let crypto = findings("sshd.crypto");
    assert!(crypto.iter().any(|finding| finding["params"].to_string().contains("3des-cbc")), "{crypto:?}");

    let (access, _) = hostward(&["access", "root", "--from", "203.0.113.9", "--json"], root);
    let access: Value = serde_json::from_str(&access).unwrap();
    let source = &access["sshd"][0]["accounts"][0]["sources"][0];
    let methods = source["methods"].as_array().unwrap();
    assert_eq!(
        (methods.len(), &methods[0]["path"], &methods[0]["grants"]),
        (1, &"password".into(), &"shell".into()),
        "{source}"
    );

    // The administrator opts out of the crypto policy, and gives options: both stand in the same file.
    write(root, "etc/sysconfig/sshd", 0o640, "CRYPTO_POLICY=\nOPTIONS=\"-o PermitRootLogin=no -p 2222\"\n");
    let (access, _) = hostward(&["access", "root", "--from", "203.0.113.9", "--json"], root);
    let access: Value = serde_json::from_str(&access).unwrap();
    let sshd = &access["sshd"][0];
    assert!(sshd["listeners"][0].as_str().unwrap().ends_with(":2222"), "{sshd}");
    assert_eq!(sshd["accounts"][0]["sources"][0]["methods"], serde_json::json!([]), "{sshd}");
    results::tested("fixtures", "alinux 3", "sshd's settings, root's way in, crypto policy, opt-out");
}

#[test]
fn alibaba_cloud_linux_2() {
    let unit = "[Service]\nType=notify\nEnvironmentFile=/etc/sysconfig/sshd\nExecStart=/usr/sbin/sshd -D $OPTIONS\n";
    let mut files: Vec<_> = ALINUX_3.iter().copied().filter(|(path, ..)| !path.contains("crypto-policies")).collect();
    for file in &mut files {
        match file.0 {
            "etc/os-release" => {
                file.2 = "NAME=\"Alibaba Cloud Linux (Aliyun Linux)\"\nVERSION=\"2.1903 LTS (Hunting Beagle)\"\nID=\"alinux\"\n\
                          ID_LIKE=\"rhel fedora centos anolis\"\nVERSION_ID=\"2.1903\"\n\
                          PRETTY_NAME=\"Alibaba Cloud Linux (Aliyun Linux) 2.1903 LTS (Hunting Beagle)\"\n";
            }
            "usr/lib/systemd/system/sshd.service" => file.2 = unit,
            _ => {}
        }
    }
    let dir = root(&files, "OpenSSH_7.4p1");
    let root = dir.path();
    assert!(setting(root, "permitrootlogin").starts_with("permitrootlogin yes  # /etc/ssh/sshd_config:5"));
    // EL 7 builds it with its own defaults: the system's random numbers, GSSAPI; 7.4 knows no Include.
    let scan = scan_of(root);
    assert_eq!((scan.unknown(), scan.code), (vec![], 1));
    let config = fs::read_to_string(root.join("etc/ssh/sshd_config")).unwrap();
    write(root, "etc/ssh/sshd_config", 0o600, &format!("Include /etc/ssh/sshd_config.d/*.conf\n{config}"));
    let (_, errors) = hostward(&["sshd-config"], root);
    assert!(errors.contains("/etc/ssh/sshd_config: line 1: Bad configuration option: Include"), "{errors}");
    assert_eq!(scan_of(root).code, 1, "an sshd that does not start is told");
    results::tested("fixtures", "alinux 2", "sshd's settings; no Include in 7.4");
}
