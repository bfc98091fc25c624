//! Keys of `KEY value` and `key = value` files.

use std::path::Path;

use super::fold::{Refused, Work};
use crate::plan::Obstacle;

/// Sets a key, adding it where it is missing.
pub(super) fn set(_: &mut Work<'_, '_>, file: &Path, _: &str, _: &str) -> Result<(), Refused> {
    Err((file.to_path_buf(), Obstacle::Missing))
}
