//! Writing files of our own: whole or not at all, and private.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, bail};

/// Writes a file so that a reader, also after a crash, sees the old content or the new: a temporary file in the same
/// directory, mode 0600, synced, renamed, the directory synced.
pub fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let context = || format!("failed to write {}", path.display());
    let mut file = tempfile::Builder::new()
        .prefix(".hostward-")
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(dir)
        .with_context(context)?;
    file.write_all(content).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    file.persist(path).map_err(|error| error.error).with_context(context)?;
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).with_context(context)
}

/// Makes a directory that only we may enter, and refuses one that others could have made or can write.
pub fn private_dir(dir: &Path) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir).with_context(|| format!("failed to make {}", dir.display()))?;
    let meta = std::fs::symlink_metadata(dir).with_context(|| format!("failed to look at {}", dir.display()))?;
    if !meta.is_dir() || meta.uid() != nix::unistd::geteuid().as_raw() || meta.mode() & 0o022 != 0 {
        bail!("{} can be written by others: chown it to root and chmod it 0700", dir.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        for content in ["first", "second"] {
            replace(&path, content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_directory_that_others_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("state");
        private_dir(&inside).unwrap();
        std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(private_dir(&inside).unwrap_err().to_string().contains("can be written by others"));
    }
}
