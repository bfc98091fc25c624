//! Word lists of any size: one word a line, read where each task stands, never held whole.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostward_checks::candidate::Candidate;
use hostward_checks::crypt::PASSWORD_MAX;
use hostward_checks::fact::Why;
use sha2::{Digest as _, Sha256};

use super::budget::Budget;

/// Bytes that a task reads at once.
const CHUNK: usize = 16 << 10;

/// Opened word lists, read as one after the other.
#[derive(Debug)]
pub(super) struct WordList {
    files: Arc<[File]>,
    /// Words that can be tried.
    pub(super) words: u64,
    /// Lines that no password can be.
    pub(super) skipped: u64,
    /// What they hold; None: they were not read to their end.
    pub(super) digest: Option<Vec<u8>>,
}

impl WordList {
    /// Opens and counts. A list that cannot be opened is named, and the others are read.
    pub(super) fn open(paths: &[PathBuf], budget: &Budget<'_>) -> (Self, Option<Why>) {
        let mut trouble = None;
        let mut files = Vec::new();
        for path in paths {
            match open_regular(path) {
                Ok(file) => files.push(file),
                Err(why) => trouble = trouble.or(Some(Why::Failed(format!("{}: {why}", path.display())))),
            }
        }
        let mut list = Self { files: files.into(), words: 0, skipped: 0, digest: None };
        let mut reader = Reader { digest: Some(Sha256::new()), ..list.reader() };
        let mut meter = budget.meter();
        let mut whole = true;
        while reader.next().is_some() {
            list.words += 1;
            if list.words.is_multiple_of(65_536) {
                meter.charge();
                if budget.spent() {
                    whole = false;
                    break;
                }
            }
        }
        meter.charge();
        list.skipped = reader.skipped;
        let digest = reader.digest.take().filter(|_| whole && reader.error.is_none());
        list.digest = digest.map(|digest| digest.finalize().to_vec());
        let failed = reader.error.map(|error| Why::Failed(format!("a word list breaks off: {error}")));
        (list, trouble.or(failed))
    }

    /// Reads from the beginning.
    pub(super) fn reader(&self) -> Reader {
        Reader {
            files: Arc::clone(&self.files),
            file: 0,
            words: self.words,
            offset: 0,
            buffer: Vec::new(),
            at: 0,
            skipped: 0,
            error: None,
            digest: None,
        }
    }
}

/// Opens a list. Non-blocking: a FIFO without a writer must not hang the audit before it is seen for what it is.
fn open_regular(path: &Path) -> Result<File, Why> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => Why::Denied,
        _ => Why::Failed(error.to_string()),
    };
    let mut options = OpenOptions::new();
    let file =
        options.read(true).custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC).open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_file() { Ok(file) } else { Err(Why::Failed("no regular file".to_owned())) }
}

/// Where one task stands in the lists.
#[derive(Debug)]
pub(super) struct Reader {
    files: Arc<[File]>,
    /// Which of them.
    file: usize,
    pub(super) words: u64,
    offset: u64,
    buffer: Vec<u8>,
    at: usize,
    skipped: u64,
    /// Why it ended before its end.
    pub(super) error: Option<std::io::Error>,
    digest: Option<Sha256>,
}

impl Reader {
    /// What is read of a list and not yet used; nothing at its end.
    fn fill(&mut self) -> &[u8] {
        if self.at >= self.buffer.len()
            && let Some(file) = self.files.get(self.file)
        {
            self.buffer.resize(CHUNK, 0);
            let read = loop {
                match file.read_at(&mut self.buffer, self.offset) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        self.error = Some(error);
                        break 0;
                    }
                    Ok(read) => break read,
                }
            };
            self.buffer.truncate(read);
            if let Some(digest) = &mut self.digest {
                digest.update(&self.buffer);
            }
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
                if self.error.is_some() || self.file >= self.files.len() {
                    return None;
                }
                if let Some(digest) = &mut self.digest {
                    // Where one list ends and the next begins makes a difference to the words.
                    digest.update(self.offset.to_le_bytes());
                }
                (self.file, self.offset) = (self.file + 1, 0);
                continue;
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
