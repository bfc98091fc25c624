//! The file that keeps the resident from fixing anything, as long as it exists.

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::sanitize::brief;

/// Where it stands; what it is makes no difference.
pub const PATH: &str = "/etc/hostward/hold";
/// As much of it is read.
const MOST: u64 = 4096;
/// As much of it is shown.
const SHOWN: usize = 200;

/// What stands in the file, on one line and without what a terminal would obey; empty where nothing is to be read there. None: there
/// is no such file. What cannot be looked at is taken for there.
pub fn reason(path: &Path) -> Option<String> {
    match std::fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return None;
        }
        Ok(meta) if meta.is_file() => {}
        _ => return Some(String::new()),
    }
    // It may have become a pipe meanwhile.
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC;
    let mut bytes = Vec::new();
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path);
    // What cannot be read holds all the same.
    let _ = opened.and_then(|file| file.take(MOST).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    Some(brief(&text.split_whitespace().collect::<Vec<_>>().join(" "), SHOWN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_there_holds_and_what_is_in_a_file_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hold");
        assert_eq!(reason(&path), None);
        assert_eq!(reason(&path.join("below")), None);
        for (content, want) in [("", ""), ("change 4711\nuntil noon\n", "change 4711 until noon")] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(reason(&path).as_deref(), Some(want));
        }
        std::fs::write(&path, b"a\x1b[2Jb\xff".repeat(4000)).unwrap();
        let long = reason(&path).unwrap();
        assert!(long.starts_with('a') && long.len() < 1000 && !long.contains('\x1b'), "{long}");
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(reason(&path).as_deref(), Some(""));
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/nowhere", &path).unwrap();
        assert_eq!(reason(&path).as_deref(), Some(""));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(reason(&path).as_deref(), Some(""));
    }
}
