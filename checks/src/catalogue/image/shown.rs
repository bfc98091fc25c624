//! What the tests show of the checks of images.
#![cfg(test)]

use super::testing::{Case, KEY};
use super::{credentials, identity, traces};
use crate::catalogue::shown::Shown;
use crate::fact::Why;

/// One row for each check.
pub(crate) fn rows() -> Vec<Shown> {
    let clean = Case::new();
    vec![
        Shown::of(
            &credentials::CHECK,
            &clean,
            &clean.shadow("ann", "").file("/root/.ssh/authorized_keys", KEY),
            &clean.deny("/etc/shadow", Why::Denied),
        ),
        Shown::of(
            &identity::CHECK,
            &clean,
            &clean.file("/etc/machine-id", "4c6a3f0bd6c14fa5a2a7e52b4d3b7c11\n"),
            &clean.deny("/etc/machine-id", Why::Denied),
        ),
        Shown::of(
            &traces::CHECK,
            &clean,
            &clean.file("/root/.bash_history", "ls\n").file("/var/log/auth.log.1", "x"),
            &clean.hide("/var/log/auth.log.1"),
        ),
    ]
}
