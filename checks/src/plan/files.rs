//! Files of our own, single lines, owners and modes.

use std::path::Path;

use super::fold::{Refused, Work};
use crate::effect::Owner;

/// A file of ours, root's.
pub(super) fn write(work: &mut Work<'_, '_>, file: &Path, content: &str, mode: u32) -> Result<(), Refused> {
    work.draft.write(file, content.as_bytes(), Owner::root(mode)).map_err(|obstacle| (file.to_path_buf(), obstacle))
}

/// Takes a line out.
pub(super) fn remove_line(work: &mut Work<'_, '_>, file: &Path, line: u32) -> Result<(), Refused> {
    let sheet = work.draft.sheet(file).map_err(|obstacle| (file.to_path_buf(), obstacle))?;
    sheet.remove(line);
    Ok(())
}

/// Sets the mode, keeping the owner.
pub(super) fn chmod(work: &mut Work<'_, '_>, file: &Path, mode: u32) -> Result<(), Refused> {
    work.draft.owner(file).map_err(|obstacle| (file.to_path_buf(), obstacle))?.mode = mode;
    Ok(())
}

/// Sets owner and group.
pub(super) fn chown(work: &mut Work<'_, '_>, file: &Path, uid: u32, gid: u32) -> Result<(), Refused> {
    let owner = work.draft.owner(file).map_err(|obstacle| (file.to_path_buf(), obstacle))?;
    (owner.uid, owner.gid) = (uid, gid);
    Ok(())
}
