//! Which files stand in the places, as far as names and owners tell: no content is read, and no link of a user's is followed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Form, Place, is_never_searched, places::HOME};
use crate::fact::Why;
use crate::snapshot::{Kind, Meta, Miss, Reader, glob_match};

/// A longer file is not read, and told.
pub const FILE_LIMIT: u64 = 8 << 20;
/// Files looked at in one home, or in one place that was named.
const MAX_FILES: usize = 1000;
/// Files looked at of one pattern.
const MAX_MATCHES: usize = 2000;
/// Names looked at below one directory that was named.
const MAX_NAMES: usize = 20_000;
/// How deep a directory is entered that the policy names.
const MAX_DEPTH: usize = 8;

/// A file to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it stands, every link followed.
    pub path: PathBuf,
    /// Owner, mode, size.
    pub meta: Meta,
    /// How it is read.
    pub form: Form,
    /// Whether it is root's, or whose the root is: it may name other files.
    pub is_roots: bool,
}

/// The files to look at, each once, and what could not be looked into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// In the order of the places.
    pub files: Vec<File>,
    /// Directories and files, with the reason.
    pub unread: Vec<(PathBuf, Why)>,
}

/// Lists what stands in the places.
pub fn list(reader: &Reader<'_>, places: &[Place]) -> Listing {
    let mut lister = Lister {
        reader,
        out: Listing::default(),
        known: BTreeSet::new(),
        names: 0,
        owner: reader.meta(Path::new("/")).map_or(0, |root| root.uid),
    };
    for place in places {
        lister.names = 0;
        match place {
            Place::Pattern(pattern, form) => lister.pattern(pattern, *form),
            Place::Home(home) => lister.home(home),
            Place::Named(path) => lister.named(path),
        }
    }
    lister.out
}

struct Lister<'r, 's> {
    reader: &'r Reader<'s>,
    out: Listing,
    known: BTreeSet<(u64, u64)>,
    /// Looked at below the place that was named.
    names: usize,
    /// Whose the root is: of an unpacked image not always root.
    owner: u32,
}

impl Lister<'_, '_> {
    fn unread(&mut self, path: &Path, why: Why) {
        self.out.unread.push((path.to_path_buf(), why));
    }

    fn is_roots(&self, meta: &Meta) -> bool {
        meta.uid == 0 || meta.uid == self.owner
    }

    fn pattern(&mut self, pattern: &Path, form: Form) {
        let found = self.reader.glob(pattern);
        self.out.unread.extend(found.unreadable);
        if found.paths.len() > MAX_MATCHES {
            self.unread(pattern, more(MAX_MATCHES));
        }
        for path in found.paths.iter().take(MAX_MATCHES) {
            self.file(path, form);
        }
    }

    /// A file, where one stands there that root leads to.
    fn file(&mut self, path: &Path, form: Form) {
        let (path, meta) = match self.end(path) {
            Ok(Some(end)) => end,
            Ok(None) => return,
            Err(why) => return self.unread(path, why),
        };
        if meta.kind != Kind::File || is_never_searched(&path) || !self.known.insert(meta.id) {
            return;
        }
        if meta.size > FILE_LIMIT {
            self.unread(&path, Why::TooLarge(FILE_LIMIT));
        } else if meta.size > 0 {
            let is_roots = self.is_roots(&meta);
            self.out.files.push(File { path, meta, form, is_roots });
        }
    }

    /// Where a path ends; nothing where it is absent, or a link on the way is not of the root's own owner.
    fn end(&self, path: &Path) -> Result<Option<(PathBuf, Meta)>, Why> {
        match self.reader.walk(path, true) {
            Ok(walk) => {
                let led = walk.steps.iter().any(|step| step.meta.kind == Kind::Link && !self.is_roots(&step.meta));
                Ok((!led).then_some((walk.canonical, walk.meta)))
            }
            Err(Miss::Absent | Miss::Pending | Miss::Unreadable(Why::LinkLoop)) => Ok(None),
            Err(Miss::Unreadable(why)) => Err(why),
        }
    }

    fn names(&mut self, directory: &Path) -> Vec<PathBuf> {
        match self.reader.names(directory) {
            Ok(names) => names.to_vec(),
            Err(Miss::Absent | Miss::Pending | Miss::Unreadable(Why::WrongKind(_))) => Vec::new(),
            Err(Miss::Unreadable(why)) => {
                self.unread(directory, why);
                Vec::new()
            }
        }
    }

    fn home(&mut self, home: &Path) {
        let patterns: Vec<Vec<&str>> = HOME.iter().map(|pattern| pattern.split('/').collect()).collect();
        let before = self.out.files.len();
        match self.end(home) {
            Ok(Some((path, meta))) if meta.kind == Kind::Dir => {
                self.below(&path, &patterns.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
            Ok(_) => {}
            Err(why) => self.unread(home, why),
        }
        self.cut(home, before);
    }

    /// The files below a directory that one of the patterns matches: the directory is listed once for all of them.
    fn below(&mut self, directory: &Path, patterns: &[&[&str]]) {
        for name in self.names(directory) {
            let matching = |pattern: &&&[&str]| {
                pattern.first().is_some_and(|part| glob_match(part.as_bytes(), name.as_os_str().as_encoded_bytes()))
            };
            let rests: Vec<&[&str]> = patterns.iter().filter(matching).filter_map(|pattern| pattern.get(1..)).collect();
            if rests.is_empty() {
                continue;
            }
            let path = directory.join(&name);
            // A user's link leads nowhere.
            let (path, meta) = match self.reader.link_meta(&path) {
                Ok(meta) if meta.kind == Kind::Link => match self.end(&path) {
                    Ok(Some(end)) if !is_never_searched(&end.0) => end,
                    Ok(_) => continue,
                    Err(why) => {
                        self.unread(&path, why);
                        continue;
                    }
                },
                Ok(meta) => (path, meta),
                Err(Miss::Unreadable(why)) => {
                    self.unread(&path, why);
                    continue;
                }
                Err(Miss::Absent | Miss::Pending) => continue,
            };
            match meta.kind {
                Kind::File if rests.iter().any(|rest| rest.is_empty()) => self.file(&path, Form::Text),
                Kind::Dir => {
                    let deeper: Vec<&[&str]> = rests.into_iter().filter(|rest| !rest.is_empty()).collect();
                    if !deeper.is_empty() {
                        self.below(&path, &deeper);
                    }
                }
                _ => {}
            }
        }
    }

    fn named(&mut self, path: &Path) {
        let before = self.out.files.len();
        let found = self.reader.glob(path);
        self.out.unread.extend(found.unreadable);
        for path in found.paths.iter().take(MAX_MATCHES) {
            match self.end(path) {
                Ok(Some((path, meta))) if meta.kind == Kind::Dir => self.tree(&path, MAX_DEPTH),
                Ok(Some((path, _))) => {
                    let unit = path.extension().is_some_and(|suffix| suffix == "service");
                    self.file(&path, if unit { Form::Unit } else { Form::Text });
                }
                Ok(None) => {}
                Err(why) => self.unread(path, why),
            }
        }
        self.cut(path, before);
    }

    /// Every file below a directory, links and the kernel's own left out.
    fn tree(&mut self, directory: &Path, depth: usize) {
        if is_never_searched(directory) {
            return;
        }
        if depth == 0 {
            return self.unread(directory, Why::Failed(format!("deeper than {MAX_DEPTH} directories")));
        }
        for name in self.names(directory) {
            self.names += 1;
            if self.names > MAX_NAMES {
                return self.unread(directory, more(MAX_NAMES));
            }
            let path = directory.join(&name);
            match self.reader.link_meta(&path) {
                Ok(meta) if meta.kind == Kind::File => self.file(&path, Form::Text),
                Ok(meta) if meta.kind == Kind::Dir => self.tree(&path, depth - 1),
                Err(Miss::Unreadable(why)) => self.unread(&path, why),
                Ok(_) | Err(Miss::Absent | Miss::Pending) => {}
            }
        }
    }

    /// Leaves out what one place has beyond its share.
    fn cut(&mut self, place: &Path, before: usize) {
        if self.out.files.len() - before > MAX_FILES {
            self.out.files.truncate(before + MAX_FILES);
            self.unread(place, more(MAX_FILES));
        }
    }
}

fn more(limit: usize) -> Why {
    Why::Failed(format!("more than {limit} entries"))
}
