//! A small file system drawn by hand: what tests read instead of a machine.

use super::*;

/// Builds a complete [`Snapshot`]: what is not drawn is absent. Directories on the way are made, root-owned 0755.
#[derive(Clone, Debug, Default)]
pub struct Sketch {
    answers: BTreeMap<PathBuf, Answer>,
    inode: u64,
}

impl Sketch {
    /// An empty root directory.
    pub fn new() -> Self {
        let mut sketch = Self::default();
        sketch.add(Path::new("/"), Kind::Dir, 0o755, Body::default());
        sketch
    }

    fn add(&mut self, path: &Path, kind: Kind, mode: u32, mut body: Body) {
        if let Some(parent) = path.parent()
            && !self.answers.contains_key(parent)
        {
            self.add(parent, Kind::Dir, 0o755, Body::default());
        }
        self.inode += 1;
        if kind == Kind::Dir {
            body.names = Some(Ok(Arc::from([])));
        }
        let size = match &body.content {
            Some(Ok(bytes)) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            _ => 0,
        };
        let meta = Meta { kind, mode, uid: 0, gid: 0, size, mtime_ns: 0, ctime_ns: 0, id: (1, self.inode) };
        self.answers.insert(path.to_path_buf(), Answer::Node { meta, body });
    }

    /// A regular file, root-owned 0644.
    #[must_use]
    pub fn file(mut self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        let body = Body { content: Some(Ok(Arc::from(content.as_ref()))), ..Body::default() };
        self.add(path.as_ref(), Kind::File, 0o644, body);
        self
    }

    /// A directory, root-owned 0755.
    #[must_use]
    pub fn dir(mut self, path: impl AsRef<Path>) -> Self {
        self.add(path.as_ref(), Kind::Dir, 0o755, Body::default());
        self
    }

    /// A symbolic link.
    #[must_use]
    pub fn link(mut self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        let body = Body { target: Some(target.as_ref().to_path_buf()), ..Body::default() };
        self.add(path.as_ref(), Kind::Link, 0o777, body);
        self
    }

    /// Something else: a pipe, a device, a socket.
    #[must_use]
    pub fn special(mut self, path: impl AsRef<Path>, kind: Kind) -> Self {
        self.add(path.as_ref(), kind, 0o644, Body::default());
        self
    }

    /// A regular file whose content cannot be read.
    #[must_use]
    pub fn unreadable(mut self, path: impl AsRef<Path>, why: Why) -> Self {
        let body = Body { content: Some(Err(why)), ..Body::default() };
        self.add(path.as_ref(), Kind::File, 0o600, body);
        self
    }

    /// Something that does not even show what it is.
    #[must_use]
    pub fn hidden(mut self, path: impl AsRef<Path>, why: Why) -> Self {
        self.add(path.as_ref(), Kind::File, 0o600, Body::default());
        self.answers.insert(path.as_ref().to_path_buf(), Answer::Unreadable(why));
        self
    }

    /// A program whose binary holds these strings.
    #[must_use]
    pub fn program(mut self, path: impl AsRef<Path>, strings: &[&str]) -> Self {
        let marks = Marks { strings: strings.iter().map(|s| (*s).to_owned()).collect() };
        let body = Body { marks: Some(Ok(Arc::new(marks))), ..Body::default() };
        self.add(path.as_ref(), Kind::File, 0o755, body);
        self
    }

    /// Changes owner, group and mode of what was drawn before.
    #[must_use]
    pub fn owned(mut self, path: impl AsRef<Path>, uid: u32, gid: u32, mode: u32) -> Self {
        if let Some(Answer::Node { meta, .. }) = self.answers.get_mut(path.as_ref()) {
            (meta.uid, meta.gid, meta.mode) = (uid, gid, mode);
        }
        self
    }

    /// The finished snapshot.
    pub fn snapshot(mut self) -> Snapshot {
        let mut names: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
        for path in self.answers.keys() {
            if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
                names.entry(parent.to_path_buf()).or_default().push(PathBuf::from(name));
            }
        }
        for (dir, mut list) in names {
            list.sort();
            if let Some(Answer::Node { body, .. }) = self.answers.get_mut(&dir) {
                body.names = Some(Ok(list.into()));
            }
        }
        Snapshot::complete(self.answers)
    }
}
