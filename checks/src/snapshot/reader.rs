//! How parsers ask: links resolved inside the root, missing answers noted as needs.

use std::ffi::OsStr;

use super::*;

/// As many links as Linux follows in one path (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Reads a [`Snapshot`] and notes what it lacks.
#[derive(Debug)]
pub struct Reader<'s> {
    snapshot: &'s Snapshot,
    need: RefCell<Need>,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// Nothing stands there (or a component of the path is no directory).
    Absent,
    /// It stands there and could not be read.
    Unreadable(Why),
    /// Not recorded yet; the need is noted and the parser will be called again.
    Pending,
}

impl Miss {
    /// As a fact without a value. A pending answer is unknown until the parser is called again.
    pub fn fact<T>(self) -> Fact<T> {
        match self {
            Self::Absent => Fact::Absent,
            Self::Unreadable(why) => Fact::Unknown(why),
            Self::Pending => Fact::Unknown(Why::NotAsked("not recorded yet")),
        }
    }
}

/// One component on the way to a path, in the order in which the kernel passes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The lexical path of the component, with all links before it resolved.
    pub path: PathBuf,
    /// Its metadata.
    pub meta: Meta,
}

/// A path resolved: every component passed, and where it ended.
#[derive(Clone, Debug)]
pub struct Walk<'s> {
    /// Directories and links on the way, the end included.
    pub steps: Vec<Step>,
    /// The canonical path, as `realpath(3)` gives it inside the root.
    pub canonical: PathBuf,
    /// Metadata of the end.
    pub meta: Meta,
    /// What was recorded of the end.
    pub body: &'s Body,
}

/// Where a path ended.
struct End<'s> {
    canonical: PathBuf,
    meta: Meta,
    body: &'s Body,
}

/// A regular file's content and where it really stands.
#[derive(Clone, Copy, Debug)]
pub struct FileView<'s> {
    /// Its bytes.
    pub bytes: &'s [u8],
    /// Its metadata.
    pub meta: Meta,
}

/// What a pattern matched, sorted as `glob(3)` sorts in the C locale, and which directories could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Globbed {
    /// The matches, lexical (links not resolved in the last component).
    pub paths: Vec<PathBuf>,
    /// Directories that could not be listed, with the reason.
    pub unreadable: Vec<(PathBuf, Why)>,
    /// True while something needed is still unrecorded.
    pub pending: bool,
}

impl<'s> Reader<'s> {
    /// A reader that has asked for nothing yet.
    pub fn new(snapshot: &'s Snapshot) -> Self {
        Self { snapshot, need: RefCell::default() }
    }

    /// What was asked for and not there.
    pub fn need(self) -> Need {
        self.need.into_inner()
    }

    fn note(&self, path: &Path, want: Want) -> Miss {
        let mut need = self.need.borrow_mut();
        let wants = need.entry(path.to_path_buf()).or_default();
        if !wants.contains(&want) {
            wants.push(want);
        }
        Miss::Pending
    }

    /// The answer for one lexical path; where there is none, `asked` says what to ask for.
    fn answer(&self, path: &Path, asked: impl FnOnce() -> (PathBuf, Want)) -> Result<(Meta, &'s Body), Miss> {
        match self.snapshot.get(path) {
            None => {
                let (path, want) = asked();
                Err(self.note(&path, want))
            }
            Some(Answer::Absent) => Err(Miss::Absent),
            Some(Answer::Unreadable(why)) => Err(Miss::Unreadable(why.clone())),
            Some(Answer::Node { meta, body }) => Ok((*meta, body)),
        }
    }

    fn directory(&self, path: &Path) -> Result<(Meta, &'s Body), Miss> {
        self.answer(path, || (path.to_path_buf(), Want::Meta))
    }

    /// Resolves an absolute path inside the root as the kernel would under `chroot(2)`. `follow` says whether a link
    /// in the last component is followed.
    pub fn walk(&self, path: &Path, follow: bool) -> Result<Walk<'s>, Miss> {
        let mut steps = Vec::new();
        let End { canonical, meta, body } = self.resolve(path, follow, Want::Meta, |path, meta| {
            steps.push(Step { path: path.to_path_buf(), meta });
        })?;
        Ok(Walk { steps, canonical, meta, body })
    }

    /// The same; `pass` is told of every component, a link as itself.
    fn resolve(
        &self,
        path: &Path,
        follow: bool,
        want: Want,
        mut pass: impl FnMut(&Path, Meta),
    ) -> Result<End<'s>, Miss> {
        let mut todo: Vec<&OsStr> = Vec::with_capacity(8);
        todo.extend(components(path).rev());
        let mut here = PathBuf::with_capacity(path.as_os_str().len());
        here.push("/");
        let (mut meta, mut body) = self.directory(&here)?;
        pass(&here, meta);
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == ".." {
                here.pop();
                (meta, body) = self.directory(&here)?;
                continue;
            }
            if meta.kind != Kind::Dir {
                return Err(Miss::Absent);
            }
            here.push(name);
            // The whole rest is asked for at once: one round for a path without links, however deep.
            let (found, its) = self.answer(&here, || {
                let rest = todo.iter().rev().take_while(|name| **name != "..");
                (here.iter().chain(rest.copied()).collect(), want)
            })?;
            pass(&here, found);
            if found.kind == Kind::Link && (follow || !todo.is_empty()) {
                links += 1;
                let Some(target) = its.target.as_deref().filter(|_| links <= MAX_LINKS) else {
                    return Err(Miss::Unreadable(Why::LinkLoop));
                };
                here.pop();
                if target.has_root() {
                    here.push("/");
                    (meta, body) = self.directory(&here)?;
                }
                todo.extend(components(target).rev());
            } else {
                (meta, body) = (found, its);
            }
        }
        Ok(End { canonical: here, meta, body })
    }

    fn end(&self, path: &Path, want: Want) -> Result<End<'s>, Miss> {
        self.resolve(path, true, want, |_, _| {})
    }

    /// The metadata behind a path, links followed: `stat(2)`.
    pub fn meta(&self, path: &Path) -> Result<Meta, Miss> {
        self.end(path, Want::Meta).map(|end| end.meta)
    }

    /// The metadata of the path itself, a last link not followed: `lstat(2)`.
    pub fn link_meta(&self, path: &Path) -> Result<Meta, Miss> {
        self.resolve(path, false, Want::Meta, |_, _| {}).map(|end| end.meta)
    }

    /// The canonical path: `realpath(3)` inside the root.
    pub fn canonical(&self, path: &Path) -> Result<PathBuf, Miss> {
        self.end(path, Want::Meta).map(|end| end.canonical)
    }

    /// The content of a regular file, links followed.
    pub fn file(&self, path: &Path) -> Result<FileView<'s>, Miss> {
        let end = self.end(path, Want::Content)?;
        if end.meta.kind != Kind::File {
            return Err(Miss::Unreadable(Why::WrongKind(end.meta.kind.noun())));
        }
        match &end.body.content {
            None => Err(self.note(&end.canonical, Want::Content)),
            Some(Err(why)) => Err(Miss::Unreadable(why.clone())),
            Some(Ok(bytes)) => Ok(FileView { bytes, meta: end.meta }),
        }
    }

    /// The content of a regular file as a fact.
    pub fn fact(&self, path: &Path) -> Fact<FileView<'s>> {
        match self.file(path) {
            Ok(view) => Fact::Known(view),
            Err(miss) => miss.fact(),
        }
    }

    /// The names in a directory, sorted by bytes, links followed.
    pub fn names(&self, path: &Path) -> Result<&'s [PathBuf], Miss> {
        let end = self.end(path, Want::Names)?;
        if end.meta.kind != Kind::Dir {
            return Err(Miss::Unreadable(Why::WrongKind(end.meta.kind.noun())));
        }
        match &end.body.names {
            None => Err(self.note(&end.canonical, Want::Names)),
            Some(Err(why)) => Err(Miss::Unreadable(why.clone())),
            Some(Ok(names)) => Ok(names),
        }
    }

    /// The [`Marks`] of a program, links followed.
    pub fn marks(&self, path: &Path) -> Result<&'s Marks, Miss> {
        let end = self.end(path, Want::Marks)?;
        match &end.body.marks {
            None => Err(self.note(&end.canonical, Want::Marks)),
            Some(Err(why)) => Err(Miss::Unreadable(why.clone())),
            Some(Ok(marks)) => Ok(marks),
        }
    }

    /// Expands a shell pattern as `glob(3)` does with flags 0: `*`, `?`, `[…]` with `!` or `^`, backslash quotes, a leading dot only
    /// matched literally, sorted by bytes. A pattern without a special character matches what stands there.
    pub fn glob(&self, pattern: &Path) -> Globbed {
        let mut out = Globbed::default();
        let parts: Vec<&OsStr> = components(pattern).collect();
        self.glob_into(Path::new("/"), &parts, &mut out);
        out.paths.sort();
        out
    }

    fn glob_into(&self, base: &Path, parts: &[&OsStr], out: &mut Globbed) {
        let Some((part, rest)) = parts.split_first() else {
            match self.link_meta(base) {
                Ok(_) => out.paths.push(base.to_path_buf()),
                Err(Miss::Pending) => out.pending = true,
                Err(Miss::Unreadable(why)) => out.unreadable.push((base.to_path_buf(), why)),
                Err(Miss::Absent) => {}
            }
            return;
        };
        let pattern = part.as_encoded_bytes();
        if !pattern.iter().any(|b| b"*?[\\".contains(b)) {
            return self.glob_into(&base.join(part), rest, out);
        }
        match self.names(base) {
            Ok(names) => {
                for name in names.iter().filter(|name| glob_match(pattern, name.as_os_str().as_encoded_bytes())) {
                    self.glob_into(&base.join(name), rest, out);
                }
            }
            Err(Miss::Pending) => out.pending = true,
            Err(Miss::Unreadable(Why::WrongKind(_)) | Miss::Absent) => {}
            Err(Miss::Unreadable(why)) => out.unreadable.push((base.to_path_buf(), why)),
        }
    }
}

/// The components of a path, `.` dropped.
fn components(path: &Path) -> impl DoubleEndedIterator<Item = &OsStr> {
    use std::path::Component;
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        Component::ParentDir => Some(OsStr::new("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// `fnmatch(3)` with `FNM_PERIOD` in the C locale, on one path component.
pub(crate) fn glob_match(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') && !pattern.starts_with(b"\\.") {
        return false;
    }
    matches_here(pattern, name)
}

fn matches_here(pattern: &[u8], name: &[u8]) -> bool {
    // Iterative with one point to come back to: no pattern makes this exponential.
    let (mut rest, mut left) = (pattern, name);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let step = match rest.split_first() {
            None if left.is_empty() => return true,
            None => None,
            Some((b'*', after)) => {
                retry = Some((after, left));
                rest = after;
                continue;
            }
            Some(_) => left.split_first().and_then(|(byte, tail)| one(rest, *byte).map(|after| (after, tail))),
        };
        match (step, retry) {
            (Some((after, tail)), _) => (rest, left) = (after, tail),
            (None, Some((after, from))) => {
                let Some((_, tail)) = from.split_first() else { return false };
                retry = Some((after, tail));
                (rest, left) = (after, tail);
            }
            (None, None) => return false,
        }
    }
}

/// Matches one byte against the first element of the pattern; the pattern after it.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern.split_first()? {
        (b'?', rest) => Some(rest),
        (b'\\', rest) => match rest.split_first() {
            Some((quoted, rest)) => (*quoted == byte).then_some(rest),
            None => (byte == b'\\').then_some(rest),
        },
        (b'[', rest) => match bracket(rest, byte) {
            Some((hit, rest)) => hit.then_some(rest),
            None => (byte == b'[').then_some(rest),
        },
        (literal, rest) => (*literal == byte).then_some(rest),
    }
}

/// A bracket expression after its `[`: whether it holds, and the pattern after its `]`. None when it is not closed.
fn bracket(set: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, mut rest) = match set.split_first() {
        Some((b'!' | b'^', rest)) => (true, rest),
        _ => (false, set),
    };
    let (mut hit, mut first) = (false, true);
    loop {
        let (&low, after) = rest.split_first()?;
        if low == b']' && !first {
            return Some((hit != negated, after));
        }
        first = false;
        let (low, after) = if low == b'\\' { after.split_first().map(|(&b, r)| (b, r))? } else { (low, after) };
        match after {
            [b'-', high, tail @ ..] if *high != b']' => {
                hit |= (low..=*high).contains(&byte);
                rest = tail;
            }
            _ => {
                hit |= low == byte;
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_glob_3_does() {
        for (pattern, name, want) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".a.conf", false),
            (".*", ".a", true),
            ("[ab]?", "bz", true),
            ("[!a]", "b", true),
            ("[^a]", "a", false),
            ("[a-c]x", "bx", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("[", "[", true),
            ("[]]", "]", true),
        ] {
            assert_eq!(glob_match(pattern.as_bytes(), name.as_bytes()), want, "{pattern} on {name}");
        }
    }

    #[test]
    fn links_stay_inside_the_root_and_loops_end() {
        let snapshot = Sketch::new()
            .file("/real/file", b"x")
            .link("/abs", "/real")
            .link("/up", "../../../real/file")
            .link("/loop", "/loop")
            .link("/dangling", "/nowhere")
            .snapshot();
        let reader = Reader::new(&snapshot);
        assert_eq!(reader.file(Path::new("/abs/file")).unwrap().bytes, b"x");
        assert_eq!(reader.file(Path::new("/up")).unwrap().bytes, b"x");
        assert_eq!(reader.canonical(Path::new("/abs/../abs/file")).unwrap(), Path::new("/real/file"));
        assert_eq!(reader.file(Path::new("/loop")).unwrap_err(), Miss::Unreadable(Why::LinkLoop));
        assert_eq!(reader.file(Path::new("/dangling")).unwrap_err(), Miss::Absent);
        assert_eq!(reader.file(Path::new("/real")).unwrap_err(), Miss::Unreadable(Why::WrongKind("directory")));
        assert_eq!(reader.file(Path::new("/real/file/x")).unwrap_err(), Miss::Absent);
    }

    #[test]
    fn what_is_not_recorded_is_needed() {
        let snapshot = Snapshot::new();
        let reader = Reader::new(&snapshot);
        assert_eq!(reader.file(Path::new("/etc/passwd")).unwrap_err(), Miss::Pending);
        assert!(reader.need().contains_key(Path::new("/")));
    }
}
