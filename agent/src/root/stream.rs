//! Files that are too big to be recorded: opened by the same rules, and read by whoever asked, piece by piece.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use hostward_checks::fact::Why;
use hostward_checks::snapshot::Kind;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};

use super::{Root, meta, open_regular, why};

impl Root {
    /// Opens the regular file at a canonical path: no link is followed, and nothing that may hang is entered.
    ///
    /// # Errors
    /// Why it could not be opened; a path that is not there is [`Why::Unstable`], for it was there when its links were resolved.
    pub fn open_file(&self, path: &Path) -> Result<File, Why> {
        let mut here = PathBuf::from("/");
        let mut dir: Option<OwnedFd> = None;
        let mut names = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        let mut name = names.next().ok_or(Why::WrongKind(Kind::Dir.noun()))?;
        loop {
            here.push(name);
            if let Some(kind) = self.foreign.kind(&here) {
                return Err(Why::Foreign(kind.to_owned()));
            }
            let at = dir.as_ref().map_or_else(|| self.top.as_fd(), AsFd::as_fd);
            let Some(next) = names.next() else {
                let flags = AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT;
                let seen = meta(&fstatat(at, name, flags).map_err(why)?);
                return match seen.kind {
                    Kind::File => open_regular(at, name, seen),
                    other => Err(Why::WrongKind(other.noun())),
                };
            };
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            dir = Some(openat(at, name, flags, Mode::empty()).map_err(why)?);
            name = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn opens_regular_files_and_follows_no_link() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/b"), "text").unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("a/b", dir.path().join("end")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        let mut text = String::new();
        root.open_file(Path::new("/a/b")).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        let refused = |path: &str| root.open_file(Path::new(path)).map(drop).unwrap_err();
        assert_eq!(refused("/a"), Why::WrongKind("directory"));
        assert_eq!(refused("/"), Why::WrongKind("directory"));
        assert_eq!(refused("/end"), Why::WrongKind("symbolic link"));
        assert_eq!(refused("/a/c"), Why::Unstable);
        assert_ne!(refused("/link/b"), Why::WrongKind("directory"));
    }
}
