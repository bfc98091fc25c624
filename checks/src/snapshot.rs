//! What the machine answered, path by path, and the [`Reader`] through which parsers ask for more.
//!
//! A snapshot never follows links by itself: it holds for each path what `lstat(2)` said, and the reader resolves
//! links inside the root in pure code. So an offline image, a live host and a simulated fix are read alike, and every
//! answer that a verdict rests on, absent ones too, stands in the snapshot.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fact::{Fact, Why};

mod reader;
mod sketch;

pub(crate) use reader::glob_match;
pub use reader::{FileView, Globbed, Miss, Reader, Step, Walk};
pub use sketch::Sketch;

/// The type of a file system node, as `st_mode` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl Kind {
    /// The word for it in messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::File => "regular file",
            Self::Dir => "directory",
            Self::Link => "symbolic link",
            Self::Fifo => "named pipe",
            Self::Socket => "socket",
            Self::CharDevice => "character device",
            Self::BlockDevice => "block device",
        }
    }
}

/// Owner, mode and identity of a node, as `lstat(2)` tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-id and sticky: `st_mode & 0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes of content.
    pub size: u64,
    /// Last change of content, nanoseconds since the epoch.
    pub mtime_ns: i128,
    /// Last change of the inode, nanoseconds since the epoch.
    pub ctime_ns: i128,
    /// Device and inode: two paths with the same pair are one file.
    pub id: (u64, u64),
}

/// What was recorded of a node beyond its metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// The content of a regular file, once asked for.
    pub content: Option<Result<Arc<[u8]>, Why>>,
    /// The names in a directory, sorted by bytes, once asked for.
    pub names: Option<Result<Arc<[PathBuf]>, Why>>,
    /// Where a symbolic link points.
    pub target: Option<PathBuf>,
    /// What a program's binary says of itself, once asked for.
    pub marks: Option<Result<Arc<Marks>, Why>>,
}

/// Printable strings found in a program's binary: a banner, a keyword table, compiled defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Every NUL-terminated printable string of the binary that the asker's filter ([`wanted_mark`]) let through, in file order.
    pub strings: Vec<String>,
}

/// Whether a printable string of an sshd binary is worth keeping: its version, a word of its keyword table, the name
/// of an algorithm or a compiled list of them, or one of its compiled paths. Everything else in a megabyte of program
/// is dropped while it is read.
pub fn wanted_mark(string: &[u8]) -> bool {
    let keyword = (3..=40).contains(&string.len())
        && string.first().is_some_and(u8::is_ascii_alphabetic)
        && string.iter().all(u8::is_ascii_alphanumeric);
    let banner = string.len() < 120 && string.starts_with(b"OpenSSH_");
    let name = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"@.-".contains(byte);
    let algorithm = (6..=64).contains(&string.len()) && string.contains(&b'-') && string.iter().all(name);
    let list = string.len() >= 8
        && string.contains(&b',')
        && string.iter().all(|b| b.is_ascii_alphanumeric() || b"@.,-_".contains(b));
    let path = string.starts_with(b"/etc/ssh/")
        || [&b"/sshd.pid"[..], b"/xauth", b"/sshd-session", b"/sshd-auth"].iter().any(|end| string.ends_with(end));
    keyword || banner || algorithm || list || (path && string.len() < 120)
}

/// One answer of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing stands at the path.
    Absent,
    /// Not even `lstat(2)` answered.
    Unreadable(Why),
    /// Something stands there.
    Node {
        /// Owner, mode and identity.
        meta: Meta,
        /// What was asked for beyond that.
        body: Body,
    },
}

/// What is wanted of a path; a larger want includes the metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Want {
    /// `lstat(2)` and, for a link, its target.
    Meta,
    /// The names in a directory.
    Names,
    /// The content of a regular file.
    Content,
    /// The [`Marks`] of a program.
    Marks,
}

/// Paths that a parser wants and the snapshot lacks, with what is wanted of each.
pub type Need = BTreeMap<PathBuf, Vec<Want>>;

/// What the machine answered, path by path. Paths are absolute, in the root that was recorded, and lexical: no `.`, no
/// `//`, no slash at the end, so that a path is found by its bytes.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    answers: HashMap<OsString, Answer>,
    /// True when a path without an answer is absent rather than not yet asked (sketches and replays).
    complete: bool,
}

impl Snapshot {
    /// A snapshot with no answer yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A snapshot that holds all there is: paths without an answer are absent.
    pub fn complete(answers: BTreeMap<PathBuf, Answer>) -> Self {
        let lexical = |path: PathBuf| path.components().collect::<PathBuf>().into_os_string();
        Self { answers: answers.into_iter().map(|(path, answer)| (lexical(path), answer)).collect(), complete: true }
    }

    /// The answer for exactly this lexical path, if one was recorded.
    pub fn get(&self, path: &Path) -> Option<&Answer> {
        match self.answers.get(path.as_os_str()) {
            None if self.complete => Some(&Answer::Absent),
            answer => answer,
        }
    }

    /// Records an answer; what an earlier answer held beyond the metadata is kept where the new one lacks it and the
    /// node is the same.
    pub fn put(&mut self, path: PathBuf, answer: Answer) {
        let path = path.into_os_string();
        let answer = match (self.answers.remove(&path), answer) {
            (Some(Answer::Node { meta: old, body: had }), Answer::Node { meta, mut body }) if old == meta => {
                body.content = body.content.or(had.content);
                body.names = body.names.or(had.names);
                body.marks = body.marks.or(had.marks);
                Answer::Node { meta, body }
            }
            (_, answer) => answer,
        };
        self.answers.insert(path, answer);
    }

    /// Every recorded path with its answer, in no order: the watch list of a resident.
    pub fn answers(&self) -> impl Iterator<Item = (&Path, &Answer)> {
        self.answers.iter().map(|(path, answer)| (Path::new(path), answer))
    }
}
