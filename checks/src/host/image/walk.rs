//! Looking through files and trees with limits, through no link of a user's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Becomes, Image, Leftover, What};
use crate::fact::Why;
use crate::snapshot::{Kind, Meta, Miss, Reader};

/// Entries that are looked at, of all trees together.
const ENTRIES: usize = 20_000;
/// How deep a tree is entered.
const DEPTH: usize = 12;

/// Whether a directory goes with what is in it. Daemons count on theirs; the journal's has the name of a machine id.
fn goes(what: What, dir: &Path) -> bool {
    match what {
        What::CloudInit | What::Temporary | What::Build | What::Own => true,
        What::Log => dir.parent() == Some(Path::new("/var/log/journal")),
        _ => false,
    }
}

/// Collects what is found.
pub(super) struct Finder<'r, 's> {
    pub(super) reader: &'r Reader<'s>,
    image: Image,
    known: BTreeSet<PathBuf>,
    left: usize,
}

/// What becomes of a file in a tree; None: it is right where it is.
pub(super) type Judge = fn(&Path, &Meta) -> Option<Becomes>;

impl<'r, 's> Finder<'r, 's> {
    pub(super) fn new(reader: &'r Reader<'s>) -> Self {
        Self { reader, image: Image::default(), known: BTreeSet::new(), left: ENTRIES }
    }

    pub(super) fn end(self) -> Image {
        self.image
    }

    /// Notes something, once.
    fn note(&mut self, what: What, path: PathBuf, within: &Path, becomes: Becomes) {
        if self.known.insert(path.clone()) {
            self.image.found.push(Leftover { what, path, within: within.to_path_buf(), becomes });
        }
    }

    fn unread(&mut self, what: What, path: &Path, miss: Miss) {
        if let Miss::Unreadable(why) = miss {
            self.image.unread.push((what, path.to_path_buf(), why));
        }
    }

    /// Where a path really stands and what stands there, the last name not followed; None: nothing, or it is reached by a link
    /// that somebody other than root made.
    pub(super) fn stands(&mut self, what: What, path: &Path) -> Option<(PathBuf, Meta)> {
        match self.reader.walk(path, false) {
            Ok(walk) => {
                let roots = walk.steps.iter().all(|step| step.meta.kind != Kind::Link || step.meta.uid == 0);
                roots.then_some((walk.canonical, walk.meta))
            }
            Err(Miss::Unreadable(Why::LinkLoop)) => None,
            Err(miss) => {
                self.unread(what, path, miss);
                None
            }
        }
    }

    /// A regular file that holds something.
    pub(super) fn file(&mut self, what: What, path: &Path, becomes: Becomes) {
        if let Some((place, meta)) = self.stands(what, path)
            && meta.kind == Kind::File
            && meta.size > 0
        {
            let within = place.parent().unwrap_or(&place).to_path_buf();
            self.note(what, place, &within, becomes);
        }
    }

    /// A link, whatever it leads to.
    pub(super) fn link(&mut self, what: What, path: &str) {
        if let Some((place, meta)) = self.stands(what, Path::new(path))
            && meta.kind == Kind::Link
        {
            let within = place.parent().unwrap_or(&place).to_path_buf();
            self.note(what, place, &within, Becomes::Nothing);
        }
    }

    /// What a pattern matches.
    pub(super) fn paths(&mut self, what: What, pattern: impl AsRef<Path>) -> Vec<PathBuf> {
        let found = self.reader.glob(pattern.as_ref());
        self.image.unread.extend(found.unreadable.into_iter().map(|(path, why)| (what, path, why)));
        found.paths
    }

    /// Every regular file that a pattern matches and that holds something.
    pub(super) fn glob(&mut self, what: What, pattern: &str, becomes: Becomes) {
        for path in self.paths(what, pattern) {
            self.file(what, &path, becomes);
        }
    }

    /// The content of a regular file, where it can be read.
    pub(super) fn content(&mut self, what: What, path: &Path) -> Option<&'s [u8]> {
        let (place, meta) = self.stands(what, path)?;
        if meta.kind != Kind::File {
            return None;
        }
        match self.reader.file(&place) {
            Ok(view) => Some(view.bytes),
            Err(miss) => {
                self.unread(what, &place, miss);
                None
            }
        }
    }

    /// Everything in a directory; the directories in it too where they are empty then.
    pub(super) fn tree(&mut self, what: What, dir: &str, judge: Judge) {
        if let Some((place, meta)) = self.stands(what, Path::new(dir))
            && meta.kind == Kind::Dir
        {
            self.enter(what, &place, &place, judge, DEPTH);
        }
    }

    /// The same, and the directory itself.
    pub(super) fn whole_tree(&mut self, what: What, dir: &Path, judge: Judge) {
        if let Some((place, meta)) = self.stands(what, dir)
            && meta.kind == Kind::Dir
            && self.enter(what, &place, &place, judge, DEPTH)
        {
            self.note(what, place.clone(), &place, Becomes::NoDirectory);
        }
    }

    /// Looks through a directory. Whether nothing is left in it once what was found is gone.
    fn enter(&mut self, what: What, top: &Path, dir: &Path, judge: Judge, depth: usize) -> bool {
        let reader = self.reader;
        let names = match reader.names(dir) {
            Ok(names) => names,
            Err(miss) => {
                self.unread(what, dir, miss);
                return false;
            }
        };
        if depth == 0 || names.len() > self.left {
            let why = Why::Failed("the tree is too large to be looked through".to_owned());
            self.unread(what, dir, Miss::Unreadable(why));
            return false;
        }
        self.left -= names.len();
        let mut emptied = true;
        for name in names {
            emptied &= self.empties(what, top, dir.join(name), judge, depth - 1);
        }
        emptied
    }

    /// Looks at an entry of a directory. Whether nothing of it is left once what was found is gone.
    fn empties(&mut self, what: What, top: &Path, path: PathBuf, judge: Judge, depth: usize) -> bool {
        match self.reader.link_meta(&path) {
            Ok(meta) if meta.kind == Kind::Dir => {
                let before = self.image.found.len();
                let emptied = self.enter(what, top, &path, judge, depth) && goes(what, &path);
                // One that was empty before says nothing, but for the name of an instance.
                let emptied = emptied && (what == What::CloudInit || self.image.found.len() > before);
                if emptied {
                    self.note(what, path, top, Becomes::NoDirectory);
                }
                emptied
            }
            Ok(meta) if meta.kind == Kind::File => {
                let becomes = judge(&path, &meta);
                if let Some(becomes) = becomes {
                    self.note(what, path, top, becomes);
                }
                becomes == Some(Becomes::Nothing)
            }
            // Links, sockets and pipes hold nothing.
            Ok(_) => false,
            Err(miss) => {
                self.unread(what, &path, miss);
                false
            }
        }
    }
}
