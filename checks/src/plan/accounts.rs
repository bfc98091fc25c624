//! Locks, shells and ageing: single fields of shadow and passwd.

use super::fold::{Refused, Work};
use crate::check::Input;
use crate::plan::Obstacle;

/// Locks an account's password; key logins stay.
pub(super) fn lock(_: &mut Work<'_, '_>, _: &Input<'_>, _: &str) -> Result<(), Refused> {
    Err(("/etc/shadow".into(), Obstacle::Missing))
}

/// Gives an account a shell.
pub(super) fn shell(_: &mut Work<'_, '_>, _: &Input<'_>, _: &str, _: &str) -> Result<(), Refused> {
    Err(("/etc/passwd".into(), Obstacle::Missing))
}

/// Sets `sp_min`, `sp_max` and `sp_warn` where they are given.
pub(super) fn ageing(_: &mut Work<'_, '_>, _: &Input<'_>, _: &str, _: [Option<i64>; 3]) -> Result<(), Refused> {
    Err(("/etc/shadow".into(), Obstacle::Missing))
}
