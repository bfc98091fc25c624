//! What stands at a path against one side of a change.

use std::path::Path;

use hostward_checks::effect::{FileChange, State};

use super::{Content, FileRecord, Side, XattrRecord};
use crate::tree::{Standing, Tree, digest, look, refused};

/// A file change without attributes, as it is written down.
pub(super) fn bare(change: &FileChange) -> FileRecord {
    FileRecord {
        path: change.path.clone(),
        before: Side::of(&change.before, content(&change.before), None),
        after: Side::of(&change.after, content(&change.after), None),
    }
}

fn content(state: &State) -> Option<Content> {
    let bytes = state.content()?;
    Some(Content { sha256: digest(bytes), size: u64::try_from(bytes.len()).unwrap_or(u64::MAX) })
}

/// A file change with its attributes, as it is written down; the host must stand as the change was planned from.
pub(super) fn record(tree: &Tree, change: &FileChange, all: &[&FileChange]) -> anyhow::Result<FileRecord> {
    let bare = bare(change);
    let made = |path: &Path| all.iter().any(|other| other.path == path && other.before == State::Absent);
    if bare.before == Side::Absent && change.path.parent().is_some_and(made) {
        return Ok(bare);
    }
    let (dir, name) = tree.parent(&change.path).map_err(crate::tree::stale)?;
    let node = look(&dir, name).map_err(crate::tree::stale)?;
    bare.before.check(&change.path, &node.standing, dir.user().is_some())?;
    // Only new content takes a new file, and a new file needs the attributes of the old one.
    let moved = bare.before.content().is_some();
    let xattrs = moved.then(|| node.xattrs.iter().filter_map(XattrRecord::new).collect::<Vec<_>>());
    Ok(FileRecord {
        path: bare.path,
        before: Side::of(&change.before, content(&change.before), xattrs.clone()),
        after: Side::of(&change.after, content(&change.after), xattrs),
    })
}

impl Side {
    /// Whether this is what stands there.
    pub fn is(&self, standing: &Standing) -> bool {
        match (self, standing) {
            (Self::Absent, Standing::Absent) => true,
            (Self::Dir { owner }, Standing::Dir { owner: there }) => there == &(*owner).into(),
            (Self::File { owner, content, .. }, Standing::File { owner: there, sha256, .. }) => {
                there == &(*owner).into() && content.as_ref().is_none_or(|content| content.sha256 == *sha256)
            }
            _ => false,
        }
    }

    /// Makes sure that this is what stands there.
    ///
    /// # Errors
    /// Exit code 3: something else does, or in a user's directory a file of more than one name.
    pub fn check(&self, path: &Path, standing: &Standing, users: bool) -> anyhow::Result<()> {
        if let Standing::Other(noun) = standing {
            return Err(refused(format!("{} is a {noun}", path.display())));
        }
        if !self.is(standing) {
            return Err(refused(format!("{} has changed since it was looked at: run fix again", path.display())));
        }
        // A second name may be in a place where the user could not have written.
        if users && matches!(standing, Standing::File { alone: false, .. }) {
            return Err(refused(format!("{} has a second name (hard link): remove it first", path.display())));
        }
        Ok(())
    }
}
