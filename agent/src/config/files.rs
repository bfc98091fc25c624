//! Configuration files are read when nobody but their owner can have written them.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Problem;

/// Most bytes of one file.
const MAX_SIZE: u64 = 1 << 20;
/// Most fragments.
const MAX_FILES: usize = 200;

fn problem(file: &Path, what: impl Into<String>) -> Problem {
    Problem { file: file.to_path_buf(), place: None, key: String::new(), what: what.into() }
}

/// The text of a file. A missing one is a mistake only where it was asked for by name.
pub(super) fn read(file: &Path, asked_for: bool, problems: &mut Vec<Problem>) -> Option<String> {
    // A named pipe must not hold us up.
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits() | nix::fcntl::OFlag::O_NOCTTY.bits();
    let opened = match OpenOptions::new().read(true).custom_flags(flags).open(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !asked_for => return None,
        Err(error) => {
            problems.push(problem(file, format!("failed to open: {}", words(&error))));
            return None;
        }
        Ok(opened) => opened,
    };
    match trusted(&opened, file).and_then(|()| content(opened)) {
        Ok(text) => Some(text),
        Err(what) => {
            problems.push(problem(file, what));
            None
        }
    }
}

fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// Judges the open descriptor and the directories that lead to it, the real one where the name is a link.
fn trusted(opened: &File, file: &Path) -> Result<(), String> {
    let meta = opened.metadata().map_err(|error| format!("failed to look at it: {}", words(&error)))?;
    if !meta.is_file() {
        return Err("is no regular file".to_owned());
    }
    private("it", meta.uid(), meta.mode(), false)?;
    let real = std::fs::canonicalize(file).map_err(|error| format!("failed to resolve it: {}", words(&error)))?;
    for path in [file, real.as_path()] {
        directory(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

fn directory(dir: &Path) -> Result<(), String> {
    let meta =
        std::fs::metadata(dir).map_err(|error| format!("failed to look at {}: {}", dir.display(), words(&error)))?;
    // In a sticky directory nobody else can replace the file.
    private(&dir.display().to_string(), meta.uid(), meta.mode(), meta.mode() & 0o1000 != 0)
}

fn private(what: &str, owner: u32, mode: u32, sticky: bool) -> Result<(), String> {
    let me = nix::unistd::geteuid().as_raw();
    if owner != 0 && owner != me {
        return Err(format!("{what} belongs to user {owner}, who could change the policy: chown it to root"));
    }
    if mode & 0o022 != 0 && !sticky {
        return Err(format!("{what} can be written by others (mode {:04o}): chmod go-w", mode & 0o7777));
    }
    Ok(())
}

fn content(opened: File) -> Result<String, String> {
    let mut bytes = Vec::new();
    opened.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(|error| format!("failed to read: {}", words(&error)))?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(format!("is larger than {MAX_SIZE} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| format!("is not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))
}

/// `policy.toml` and `policy.d/*.toml` by name: later ones count more.
pub(super) fn policy_files(directory: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut files = vec![directory.join("policy.toml")];
    let fragments = directory.join("policy.d");
    let entries = match std::fs::read_dir(&fragments) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return files,
        Err(error) => {
            problems.push(problem(&fragments, format!("failed to list: {}", words(&error))));
            return files;
        }
        Ok(entries) => entries,
    };
    let mut found = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => found.push(entry.path()),
            Err(error) => problems.push(problem(&fragments, format!("failed to list: {}", words(&error)))),
        }
    }
    let wanted = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.as_encoded_bytes().to_vec()).unwrap_or_default();
        name.ends_with(b".toml") && !name.starts_with(b".")
    };
    found.retain(wanted);
    found.sort();
    if found.len() > MAX_FILES {
        problems.push(problem(&fragments, format!("holds more than {MAX_FILES} files")));
        found.truncate(MAX_FILES);
    }
    files.append(&mut found);
    files
}
