//! A word list of any size: one word a line, read where each task stands, never held whole.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use hostward_checks::candidate::Candidate;
use hostward_checks::crypt::PASSWORD_MAX;
use hostward_checks::fact::Why;

use super::budget::Budget;

/// Bytes that a task reads at once.
const CHUNK: usize = 16 << 10;

/// An opened word list.
#[derive(Debug)]
pub(super) struct WordList {
    file: Arc<File>,
    /// Words that can be tried.
    pub(super) words: u64,
    /// Lines that no password can be.
    pub(super) skipped: u64,
}

impl WordList {
    /// Opens and counts.
    pub(super) fn open(path: &Path, budget: &Budget<'_>) -> Result<Self, Why> {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => Why::Denied,
            _ => Why::Failed(format!("failed to read {}: {error}", path.display())),
        };
        // Non-blocking: a FIFO without a writer must not hang the audit before it is seen for what it is.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC)
            .open(path)
            .map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(Why::WrongKind("no regular file"));
        }
        let mut list = Self { file: Arc::new(file), words: 0, skipped: 0 };
        let mut reader = list.reader();
        let mut meter = budget.meter();
        while reader.next().is_some() {
            list.words += 1;
            if list.words.is_multiple_of(65_536) {
                meter.charge();
                if budget.spent() {
                    break;
                }
            }
        }
        meter.charge();
        if let Some(error) = reader.error {
            return Err(failed(error));
        }
        list.skipped = reader.skipped;
        Ok(list)
    }

    /// Reads from the beginning.
    pub(super) fn reader(&self) -> Reader {
        Reader {
            file: Arc::clone(&self.file),
            words: self.words,
            offset: 0,
            buffer: Vec::new(),
            at: 0,
            skipped: 0,
            error: None,
        }
    }
}

/// Where one task stands in the list.
#[derive(Debug)]
pub(super) struct Reader {
    file: Arc<File>,
    pub(super) words: u64,
    offset: u64,
    buffer: Vec<u8>,
    at: usize,
    skipped: u64,
    error: Option<std::io::Error>,
}

impl Reader {
    /// What is read and not yet used; nothing at the end.
    fn fill(&mut self) -> &[u8] {
        if self.at >= self.buffer.len() {
            self.buffer.resize(CHUNK, 0);
            let read = loop {
                match self.file.read_at(&mut self.buffer, self.offset) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        self.error = Some(error);
                        break 0;
                    }
                    Ok(read) => break read,
                }
            };
            self.buffer.truncate(read);
            self.offset += read as u64;
            self.at = 0;
        }
        self.buffer.get(self.at..).unwrap_or_default()
    }
}

impl Iterator for Reader {
    type Item = Candidate;

    /// The next line that can be a password, without its line end (LF or CR LF).
    fn next(&mut self) -> Option<Candidate> {
        loop {
            let mut line = Vec::new();
            let (mut read, mut ended, mut too_long) = (false, false, false);
            while !ended {
                let rest = self.fill();
                if rest.is_empty() {
                    break;
                }
                read = true;
                let end = rest.iter().position(|&c| c == b'\n');
                let part = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
                // One more for the CR.
                if line.len() + part.len() <= PASSWORD_MAX + 1 {
                    line.extend_from_slice(part);
                } else {
                    too_long = true;
                }
                ended = end.is_some();
                let used = part.len() + usize::from(ended);
                self.at += used;
            }
            if !read {
                return None;
            }
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if too_long || line.len() > PASSWORD_MAX || line.contains(&0) {
                self.skipped += 1;
            } else if !line.is_empty() {
                return Some(Candidate::from(line));
            }
        }
    }
}
