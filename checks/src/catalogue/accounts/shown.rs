//! What the tests show of the checks of accounts.
#![cfg(test)]

use super::testing::{Case, SHA512};
use super::{
    admin, empty_password, files, hash_method, lockout, password_age, password_policy, shared_password, sudo,
    system_shell, uid0, unknown, weak_password,
};
use crate::catalogue::shown::Shown;
use crate::observation::password::{Outcome, Rank};

const PWQUALITY: &str = "password requisite pam_pwquality.so\npassword required pam_unix.so sha512 remember=5\n";
const FAILLOCK: &str =
    "auth required pam_faillock.so preauth\nauth sufficient pam_unix.so\nauth [default=die] pam_faillock.so authfail\n";

/// A host with sudo and one rule.
fn ruled(rule: &str) -> Case {
    let sudo = Case::new().file("/usr/bin/sudo", "").owned("/usr/bin/sudo", 0, 0, 0o4755);
    sudo.file("/etc/sudoers", &format!("{rule}\n"))
}

/// One row for each check.
pub(crate) fn rows() -> Vec<Shown> {
    let new = Case::new();
    let alice = new.password("alice", SHA512);
    let aged = new.file("/etc/login.defs", "PASS_MAX_DAYS 90\nPASS_MIN_DAYS 7\nPASS_WARN_AGE 7\n");
    let quality = new.file("/etc/pam.d/passwd", PWQUALITY);
    let strict = quality.file("/etc/security/pwquality.conf", "minlen = 9\nminclass = 3\n");
    let locking = new.file("/etc/pam.d/sshd", FAILLOCK);
    let (rule, open) = ("alice ALL=(ALL) ALL", "alice ALL=(ALL) NOPASSWD: ALL");
    let mut listed = new.clone();
    listed.policy.expected_accounts = Some(Vec::new());
    vec![
        Shown::of(
            &weak_password::CHECK,
            &alice.audit("alice", 1000, Outcome::NotFound),
            &alice.audit("alice", 10, Outcome::Weak(Rank::First1000)),
            &alice,
        ),
        Shown::of(&empty_password::CHECK, &alice, &new.password("alice", ""), &alice.deny("/etc/shadow")),
        Shown::of(&shared_password::CHECK, &alice, &alice.password("root", SHA512), &alice.deny("/etc/shadow")),
        Shown::of(
            &hash_method::CHECK,
            &alice,
            &alice.file("/etc/login.defs", "ENCRYPT_METHOD DES\n"),
            &alice.deny("/etc/shadow"),
        ),
        Shown::of(
            &password_age::CHECK,
            &aged.shadow("alice", &format!("{SHA512}:11500:7:90:7:::")),
            &new.shadow("alice", &format!("{SHA512}:11560:0:99999:7:::")),
            &aged.deny("/etc/shadow"),
        ),
        Shown::of(&password_policy::CHECK, &strict, &quality, &new.deny("/etc/pam.d/passwd")),
        Shown::of(
            &lockout::CHECK,
            &locking,
            &locking.file("/etc/security/faillock.conf", "deny = 0\n"),
            &new.deny("/etc/pam.d/sshd"),
        ),
        Shown::of(&uid0::CHECK, &new, &new.user("toor:x:0:0::/root:/bin/sh"), &new.deny("/etc/passwd")),
        Shown::of(&system_shell::CHECK, &new, &new.password("web", SHA512), &new.doubtful()),
        Shown::of(&admin::CHECK, &ruled(open).login("alice"), &new.login("root"), &ruled(open).doubtful()),
        Shown::of(&sudo::CHECK, &ruled(rule), &ruled(open), &ruled(rule).deny("/etc/sudoers")),
        Shown::of(&files::CHECK, &new, &new.owned("/etc/shadow", 1000, 1000, 0o666), &new.hide("/etc/shadow")),
        Shown::of(&unknown::CHECK, &listed, &listed.password("alice", SHA512), &listed.deny("/etc/passwd")),
    ]
}
