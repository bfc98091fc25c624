//! What the tests show of the checks of keys.
#![cfg(test)]

use super::testing::{Case, VAGRANT};
use super::{options, permissions, private, shared, unapproved, unrestricted_root, weak};
use crate::catalogue::shown::Shown;
use crate::fact::Why;
use crate::parse::key_blob::samples;

const BOBS: &str = "/home/bob/.ssh/id_ed25519";

/// A private key in PuTTY's form.
fn putty(encryption: &str) -> String {
    let public = samples::ED25519.line.split(' ').nth(1).unwrap_or_default();
    format!("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: {encryption}\nComment: x\nPublic-Lines: 1\n{public}\n")
}

/// One row for each check.
pub(crate) fn rows() -> Vec<Shown> {
    let line = samples::ED25519.line;
    let (new, bob) = (Case::new(), Case::new().bob(line));
    let unread = new.unreadable();
    let approved = bob.approve(&[samples::ED25519.fingerprint]);
    let private = |encryption: &str| new.file(BOBS, &putty(encryption));
    vec![
        Shown::of(&weak::CHECK, &bob, &bob.root(VAGRANT), &unread),
        Shown::of(&unapproved::CHECK, &approved, &approved.root(VAGRANT), &unread.approve(&[])),
        Shown::of(&shared::CHECK, &bob, &bob.root(line), &unread),
        Shown::of(&permissions::CHECK, &bob, &bob.owned("/home/bob/.ssh", 1001, 3000, 0o770), &unread),
        Shown::of(&unrestricted_root::CHECK, &bob, &bob.root(line), &unread),
        Shown::of(&options::CHECK, &bob, &bob.root(&format!("cert-authority {line}")), &unread),
        Shown::of(&private::CHECK, &private("aes256-cbc"), &private("none"), &new.deny(BOBS, Why::Denied)),
    ]
}
