//! What the tests show of the checks of sshd.
#![cfg(test)]

use super::testing::{Case, KEY, expect, process};
use super::{
    cloud_init, config, crypto, empty_password, forwarding, host_keys, limits, logging, other_methods, password_login,
    port, root_login, running, source,
};
use crate::catalogue::shown::Shown;
use crate::check::Check;
use crate::fact::Fact;

const MAIN: &str = "/etc/ssh/sshd_config";
const HOST_KEY: &str = "/etc/ssh/ssh_host_ed25519_key";

/// A check on a host that passes, one that fails, one that cannot be read.
fn row(check: &'static Check, cases: &[Case; 3]) -> Shown {
    for case in cases {
        expect(check, case);
    }
    let [pass, fail, unknown] = cases;
    Shown::of(check, pass, fail, unknown)
}

/// sshd's own file cannot be read.
fn unread(config: &str) -> Case {
    Case::unknown(config).with_unreadable(MAIN)
}

fn with_host_key(case: Case, mode: u32, public: &str) -> Case {
    case.with_file(HOST_KEY, "private").owned(HOST_KEY, 0, mode).with_file(&format!("{HOST_KEY}.pub"), public)
}

fn with_cloud_init(case: Case, config: &str) -> Case {
    case.with_file("/etc/cloud/cloud.cfg", config)
}

fn started(mut case: Case, at: i128) -> Case {
    case.daemons = Fact::Known(vec![process(&["/usr/sbin/sshd", "-D"], Fact::Known(at))]);
    case
}

/// One row for each check.
pub(crate) fn rows() -> Vec<Shown> {
    let closed = "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM yes\n";
    let (open, root) = ("UsePAM yes\n", "UsePAM yes\nPermitRootLogin yes\n");
    let empty = "UsePAM yes\nPermitEmptyPasswords yes\n";
    let users = "UsePAM yes\nAllowUsers *@10.0.0.0/8\n";
    let limited = "MaxAuthTries 4\nLoginGraceTime 60\nClientAliveInterval 10m\nClientAliveCountMax 3\n";
    let tunnels = "UsePAM yes\nPermitRootLogin no\n";
    let sound = "Ciphers aes256-gcm@openssh.com\nMACs hmac-sha2-256-etm@openssh.com\nKexAlgorithms curve25519-sha256\n\
                 HostKeyAlgorithms ssh-ed25519\nPubkeyAcceptedAlgorithms ssh-ed25519\n";
    let host_key = format!("HostKey {HOST_KEY}\n");
    vec![
        row(
            &password_login::CHECK,
            &[Case::pass(closed), Case::fail(open, &["account:ann open"]), Case::unknown(open).without_shadow()],
        ),
        row(
            &root_login::CHECK,
            &[
                Case::pass(open),
                Case::fail(root, &["account:root password", "account:toor password"]),
                Case::unknown(root).without_shadow(),
            ],
        ),
        row(
            &empty_password::CHECK,
            &[
                Case::pass(open).with_empty_password(),
                Case::fail(empty, &["account:bob reached"]).with_empty_password(),
                Case::unknown("UsePAM yes\nMatch User bob\nPermitEmptyPasswords yes\n").without_shadow(),
            ],
        ),
        row(
            &source::CHECK,
            &[
                Case::pass(users),
                Case::fail(open, &["sshd:/etc/ssh/sshd_config anywhere"]),
                Case::unknown(open).without_shadow(),
            ],
        ),
        row(
            &other_methods::CHECK,
            &[
                Case::pass(open),
                Case::fail(
                    "PermitUserEnvironment yes\n",
                    &["sshd:/etc/ssh/sshd_config PermitUserEnvironment environment"],
                ),
                Case::unknown("UsePAM yes\nTrustedUserCAKeys /etc/ssh/ca.pub\n").with_unreadable("/etc/ssh/ca.pub"),
            ],
        ),
        row(
            &limits::CHECK,
            &[
                Case::pass(limited),
                Case::fail(&limited.replace("Tries 4", "Tries 20"), &["sshd:/etc/ssh/sshd_config MaxAuthTries range"]),
                unread(limited),
            ],
        ),
        row(
            &forwarding::CHECK,
            &[
                Case::pass(&format!("{tunnels}DisableForwarding yes\n")),
                Case::fail(tunnels, &["account:ann open"]),
                Case::unknown(tunnels).without_shadow(),
            ],
        ),
        row(
            &crypto::CHECK,
            &[
                Case::pass(sound),
                Case::fail(
                    &sound.replace("Ciphers ", "Ciphers 3des-cbc,"),
                    &["sshd:/etc/ssh/sshd_config Ciphers weak"],
                ),
                unread(sound),
            ],
        ),
        row(
            &host_keys::CHECK,
            &[
                with_host_key(Case::pass(&host_key), 0o600, KEY),
                with_host_key(Case::fail(&host_key, &["file:/etc/ssh/ssh_host_ed25519_key readable"]), 0o644, KEY),
                with_host_key(Case::unknown(&host_key), 0o600, "rubbish"),
            ],
        ),
        row(
            &logging::CHECK,
            &[Case::pass(""), Case::fail("LogLevel ERROR\n", &["sshd:/etc/ssh/sshd_config quiet"]), unread("")],
        ),
        row(
            &port::CHECK,
            &[
                Case::pass("UsePAM yes\nPort 2222\n"),
                Case::fail(open, &["sshd:/etc/ssh/sshd_config default"]),
                Case::unknown(open).without_shadow(),
            ],
        ),
        // When a daemon read its files is observed, not drawn: the reload is what the plan can show; that it mends
        // is shown by `fix_daemons::an_sshd_that_has_not_read_its_files_is_reloaded`.
        row(
            &running::CHECK,
            &[
                started(Case::pass(""), i128::from(u32::MAX) * 1_000_000_000),
                started(Case::fail("", &["sshd:/etc/ssh/sshd_config stale /etc/ssh/sshd_config stale"]), -1),
                Case::unknown(""),
            ],
        )
        .only_planned(&["reload ssh.service"]),
        row(
            &cloud_init::CHECK,
            &[
                with_cloud_init(Case::pass(closed), "ssh_pwauth: false\n"),
                with_cloud_init(Case::fail(closed, &["cloud-init:ssh_pwauth pwauth"]), "ssh_pwauth: true\n"),
                Case::unknown(closed).with_unreadable("/etc/cloud/cloud.cfg"),
            ],
        ),
        row(
            &config::CHECK,
            &[
                Case::pass(open),
                Case::fail(open, &["file:/etc/ssh/sshd_config writable"]).owned(MAIN, 0, 0o666),
                unread(""),
            ],
        ),
    ]
}
