//! Writing files of our own: whole or not at all, and private; a device or a pipe is written into, and stays.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

/// How the name of a file begins that is to replace another.
const TEMPORARY: &str = ".hostward-";
/// Nobody writes one file for so long.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Writes a file so that a reader, also after a crash, sees the old content or the new: a temporary file in the same
/// directory, mode 0600, synced, renamed, the directory synced. A symbolic link is replaced itself, so that nobody's link
/// leads us elsewhere.
///
/// # Errors
/// The directory cannot be written, or something stands there that is no regular file: that is never replaced.
pub fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let kind = std::fs::symlink_metadata(path).map(|meta| meta.file_type()).ok();
    if kind.is_some_and(|kind| !kind.is_file() && !kind.is_symlink()) || is_stream(path) {
        bail!("failed to write {}: it is no regular file", path.display());
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let context = || format!("failed to write {}", path.display());
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(dir)
        // Without the name that it made up: the same mishap is told in the same words.
        .map_err(|error| std::io::Error::from(error.kind()))
        .with_context(context)?;
    file.as_file_mut().write_all(content).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    file.persist(path).map_err(|error| error.error).with_context(context)?;
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).with_context(context)
}

/// What stands in a file of our own that nobody else could have read or written, at most so many bytes. None: it is not there.
///
/// # Errors
/// It cannot be read, is no regular file, is another's, or is longer.
pub fn read_private(path: &Path, most: u64) -> std::io::Result<Option<Vec<u8>>> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let meta = file.metadata()?;
    if !meta.is_file() || meta.uid() != nix::unistd::geteuid().as_raw() || meta.mode() & 0o077 != 0 || meta.len() > most
    {
        return Err(std::io::ErrorKind::PermissionDenied.into());
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Removes what a [`replace`] that was killed has left in a directory of ours. One under way takes seconds.
pub fn sweep(dir: &Path) {
    let abandoned = |entry: &std::fs::DirEntry| {
        let ours = entry.file_name().to_string_lossy().starts_with(TEMPORARY);
        let age = entry.metadata().and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
        ours && age.is_some_and(|age| age > ABANDONED)
    };
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten().filter(abandoned) {
        // It costs a little room, and no more.
        let _ = std::fs::remove_file(entry.path());
    }
}

/// Writes what a user asked for to where the user said: into a device, a pipe or an open file (`/dev/stdout`), else as a file
/// that [`replace`] writes.
///
/// # Errors
/// It cannot be written; a named pipe that nobody reads among them.
pub fn deliver(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    if !is_stream(path) {
        return replace(path, content);
    }
    let flags = nix::fcntl::OFlag::O_NOCTTY | nix::fcntl::OFlag::O_NONBLOCK;
    let context = || format!("failed to write {}", path.display());
    let mut stream = OpenOptions::new().write(true).custom_flags(flags.bits()).open(path).with_context(context)?;
    // It was opened so that a pipe without a reader is an error; a slow reader is waited for.
    nix::fcntl::fcntl(&stream, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty())).with_context(context)?;
    match stream.write_all(content) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).with_context(context),
        _ => Ok(()),
    }
}

/// Whether the path stands for a device, a pipe, or a descriptor that is open already.
fn is_stream(path: &Path) -> bool {
    let link = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    let descriptor = link && ["/dev", "/proc"].iter().any(|dir| path.starts_with(dir));
    descriptor
        || std::fs::metadata(path).is_ok_and(|meta| {
            let kind = meta.file_type();
            kind.is_char_device() || kind.is_fifo()
        })
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
    fn what_a_kill_left_is_removed_when_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        for (name, hours, stays) in [(".hostward-a", 2, false), (".hostward-b", 0, true), ("report.json", 2, true)] {
            let path = dir.path().join(name);
            let file = std::fs::File::create(&path).unwrap();
            file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600 * hours)).unwrap();
            sweep(dir.path());
            assert_eq!(path.exists(), stays, "{name}");
        }
    }

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
        let missing = dir.path().join("no/such/report.json");
        assert_eq!(
            format!("{:#}", replace(&missing, b"x").unwrap_err()),
            format!("failed to write {}: entity not found", missing.display())
        );
    }

    #[test]
    fn a_device_a_pipe_and_a_descriptor_stay_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(deliver(&pipe, b"x").is_err(), "nobody reads");
        let from = pipe.clone();
        let to = std::thread::spawn(move || std::fs::read(from));
        while deliver(&pipe, b"through the pipe").is_err() {
            std::thread::yield_now();
        }
        assert_eq!(to.join().unwrap().unwrap(), b"through the pipe");
        let link = dir.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        for path in [&link, Path::new("/dev/null"), &pipe, dir.path()] {
            let before = std::fs::symlink_metadata(path).unwrap();
            assert!(replace(path, b"x").is_err(), "{}", path.display());
            assert_eq!(deliver(path, b"x").is_ok(), path.ends_with("null"), "{}", path.display());
            let after = std::fs::symlink_metadata(path).unwrap();
            assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()), "{}", path.display());
        }
        // A descriptor of our own, open on a regular file: written into, not replaced.
        let open = std::fs::File::create(dir.path().join("open")).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&open);
        deliver(Path::new(&format!("/proc/self/fd/{number}")), b"told").unwrap();
        assert_eq!(std::fs::read(dir.path().join("open")).unwrap(), b"told");
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
