//! A whole configuration: the main file, what it includes, the command line; read once, resolved for any connection.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::build::Build;
use super::command_line::CommandLine;
use super::criteria::Subject;
use super::dump;
use super::keyword::Key;
use super::lexer::{Lines, lines};
use super::listen;
use super::options::{Item, Options};
use super::parse::{Around, Files, Included, Loaded, Parser};
use super::{Connection, Effective, Origin, Refusal};
use crate::fact::Why;
use crate::snapshot::{Miss, Reader};

/// The most bytes of configuration that are resolved. A real one has a few thousand; words cost many times their size.
const SIZE_LIMIT: u64 = 256 << 10;

/// The file that an sshd of this root reads unless told otherwise. openSUSE keeps the vendor's under `/usr/etc`, which
/// counts while the administrator has none.
pub fn default_file(reader: &Reader<'_>) -> PathBuf {
    const VENDOR: &str = "/usr/etc/ssh/sshd_config";
    let own = Path::new(super::DEFAULT_FILE);
    let vendors = matches!(reader.meta(own), Err(Miss::Absent)) && reader.meta(Path::new(VENDOR)).is_ok();
    if vendors { PathBuf::from(VENDOR) } else { own.to_path_buf() }
}

/// A configuration of one sshd.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Which sshd reads it.
    pub build: Build,
    /// The main file.
    pub file: PathBuf,
    /// Every file read, the main one first, with what it holds or why it could not be read.
    pub files: Vec<(PathBuf, Result<(), Why>)>,
    main: Result<Arc<Lines>, String>,
    includes: Tree,
    around: Around,
    /// What the first pass came to.
    global: Result<Options, Refusal>,
    /// The same as settings: what holds for a connection that no Match block tells apart.
    settled: Result<Effective, Refusal>,
    /// Whether the second pass, over the Match blocks, can come to anything: a file holds a Match line, or an included one an
    /// Include, which only that pass may find to be without end.
    second_pass: bool,
}

/// A line without effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// The keyword as written.
    pub keyword: String,
}

/// Included files by the pattern that named them.
#[derive(Clone, Debug, Default)]
struct Tree {
    includes: BTreeMap<Vec<u8>, Vec<(PathBuf, Loaded)>>,
}

impl Files for Tree {
    fn include(&mut self, pattern: &[u8]) -> Included {
        Included { files: self.includes.get(pattern).cloned().unwrap_or_default(), fresh: false }
    }

    fn keep(&mut self, _: &[u8], _: Option<(PathBuf, Loaded)>) {}
}

/// Reads included files the first time.
struct Loader<'r, 's> {
    reader: &'r Reader<'s>,
    build: &'r Build,
    tree: Tree,
    files: Vec<(PathBuf, Result<(), Why>)>,
    size: u64,
}

impl Files for Loader<'_, '_> {
    fn include(&mut self, pattern: &[u8]) -> Included {
        if let Some(known) = self.tree.includes.get(pattern) {
            return Included { files: known.clone(), fresh: false };
        }
        let globbed = self.reader.glob(Path::new(OsStr::from_bytes(pattern)));
        for (dir, why) in globbed.unreadable {
            self.files.push((dir, Err(why)));
        }
        let files = globbed.paths.into_iter().map(|path| (path.clone(), self.load(&path))).collect();
        Included { files, fresh: true }
    }

    fn keep(&mut self, pattern: &[u8], file: Option<(PathBuf, Loaded)>) {
        self.tree.includes.entry(pattern.to_vec()).or_default().extend(file);
    }
}

impl Loader<'_, '_> {
    fn load(&mut self, path: &Path) -> Loaded {
        let bytes: Result<&[u8], Why> = match self.reader.file(path) {
            Ok(view) => {
                self.size = self.size.saturating_add(u64::try_from(view.bytes.len()).unwrap_or(u64::MAX));
                if self.size > SIZE_LIMIT { Err(Why::TooLarge(SIZE_LIMIT)) } else { Ok(view.bytes) }
            }
            Err(Miss::Pending) => Ok(&[]),
            Err(Miss::Absent) => {
                self.files.push((path.to_path_buf(), Err(Why::Failed("No such file or directory".to_owned()))));
                return Loaded::Failed("No such file or directory".to_owned());
            }
            // A directory opens and reads as nothing, and so does /dev/null.
            Err(Miss::Unreadable(Why::WrongKind("directory"))) => Ok(&[]),
            Err(Miss::Unreadable(Why::WrongKind("character device"))) if path == Path::new("/dev/null") => Ok(&[]),
            Err(Miss::Unreadable(why)) => Err(why),
        };
        match bytes {
            Ok(bytes) => {
                self.files.push((path.to_path_buf(), Ok(())));
                Loaded::Lines(Arc::new(lines(bytes, self.build.before(807), self.build.before(708))))
            }
            Err(why) => {
                let said = match &why {
                    Why::Denied => "Permission denied".to_owned(),
                    Why::LinkLoop => "Too many levels of symbolic links".to_owned(),
                    other => other.to_string(),
                };
                self.files.push((path.to_path_buf(), Err(why)));
                Loaded::Failed(said)
            }
        }
    }
}

impl Configuration {
    /// Reads the configuration that an sshd with this command line reads. While something is not recorded yet the
    /// result is provisional.
    pub fn read(reader: &Reader<'_>, build: Build, command_line: CommandLine) -> Self {
        let around = around(reader);
        let file = command_line.file.clone();
        let mut loader = Loader { reader, build: &build, tree: Tree::default(), files: Vec::new(), size: 0 };
        let main = if file.as_os_str().eq_ignore_ascii_case("none") {
            Ok(Arc::new(lines(b"", false, false)))
        } else {
            match loader.load(&file) {
                Loaded::Lines(lines) => Ok(lines),
                Loaded::Failed(why) => Err(why),
            }
        };
        let global = first_pass(&build, &around, &mut loader, &command_line, &file, &main);
        let (includes, files) = (loader.tree, loader.files);
        let settled = global.clone().and_then(|options| settle(&build, &file, &options));
        let mut out = Self { build, file, files, main, includes, around, global, settled, second_pass: false };
        out.second_pass = out.has_match() || out.included().any(|lines| words_of(lines, &["include"]).next().is_some());
        out
    }

    /// The settings that hold for a connection, or why sshd refuses the configuration.
    ///
    /// # Errors
    /// What sshd would say before it ends.
    pub fn effective(&self, connection: &Connection) -> Result<Effective, Refusal> {
        self.resolve(Some(&Subject::from(connection)))
    }

    /// The settings as `sshd -T` shows them: `subject` is what `-C` gives, None without it.
    ///
    /// # Errors
    /// What sshd would say before it ends.
    pub fn dump(&self, subject: Option<&Subject>) -> Result<Effective, Refusal> {
        let nobody = Subject { strict_port: true, ..Subject::default() };
        match subject {
            // Up to 7.6 a test needs all three of them, and without any the blocks are not read.
            None if self.build.before(707) => self.resolve(None),
            Some(subject) if self.build.before(707) && !complete(subject) => {
                Err(Refusal::bare(&self.file, "user, host and addr are all required when testing Match configs"))
            }
            None if self.build.before(801) && self.has_match() => Err(Refusal::bare(
                &self.file,
                "'Match' in configuration but no connection test specification (-C) was given",
            )),
            None => self.resolve(Some(&nobody)),
            Some(subject) => self.resolve(Some(subject)),
        }
    }

    fn has_match(&self) -> bool {
        !self.lines_with(&["match"]).is_empty()
    }

    fn resolve(&self, subject: Option<&Subject>) -> Result<Effective, Refusal> {
        let Some(subject) = subject.filter(|_| self.second_pass) else { return self.settled.clone() };
        let mut options = self.global.clone()?;
        let main = self.main.as_ref().map_err(|why| Refusal::bare(&self.file, why))?.clone();
        let mut tree = self.includes.clone();
        let parser = Parser::new(&self.build, &self.around, &mut tree, Some(subject), Options::default());
        let matched = parser.config(&self.file, &main)?;
        if !options.copy_set(&self.build, matched) {
            return Err(Refusal::bare(
                &self.file,
                "Segmentation fault (Subsystem in a Match block and none before it)",
            ));
        }
        settle(&self.build, &self.file, &options)
    }

    /// The text of every Match line and of every list of users, groups and hosts, with the keyword in lower case.
    pub fn criteria(&self) -> Vec<(String, String)> {
        self.lines_with(&["match", "allowusers", "denyusers", "allowgroups", "denygroups"])
    }

    /// Every word that some line, active or not, gives to a keyword (in lower case): all that it may hold for anybody.
    pub fn named(&self, keyword: &str) -> Vec<String> {
        let lines = self.lines_with(&[keyword]);
        let mut words: Vec<String> = lines.iter().flat_map(|(_, text)| super::split_words(&self.build, text)).collect();
        // What the command line sets, and the default.
        if let Ok(global) = &self.settled {
            words.extend(global.words(keyword).into_iter().map(str::to_owned));
        }
        let mut seen = std::collections::BTreeSet::new();
        words.retain(|word| seen.insert(word.clone()));
        words
    }

    /// Lines whose keyword sshd accepts and does not act on, whatever they say.
    pub fn without_effect(&self) -> Vec<Idle> {
        let mut out: Vec<Idle> = Vec::new();
        for (path, lines) in self.all_files() {
            for (line, text) in (1_u32..).zip(&lines.lines) {
                let mut rest = Some(text.clone());
                let Some(word) = super::lexer::strdelim(&mut rest, true) else { continue };
                let key = super::keyword::lookup(&self.build, &word).map(|(key, _)| key);
                let idle = Idle { file: path.to_path_buf(), line, keyword: crate::check::bytes_text(&word) };
                if matches!(key, Some(Key::Deprecated | Key::Ignored | Key::Unsupported)) && !out.contains(&idle) {
                    out.push(idle);
                }
            }
        }
        out
    }

    fn lines_with(&self, keywords: &[&str]) -> Vec<(String, String)> {
        self.main.iter().chain(self.included()).flat_map(|lines| words_of(lines, keywords)).collect()
    }

    /// Every file that could be read, with its lines; one that several patterns name, several times.
    pub(super) fn all_files(&self) -> impl Iterator<Item = (&Path, &Arc<Lines>)> {
        let main = self.main.iter().map(|lines| (self.file.as_path(), lines));
        let included = self.includes.includes.values().flatten().filter_map(|(path, loaded)| match loaded {
            Loaded::Lines(lines) => Some((path.as_path(), lines)),
            Loaded::Failed(_) => None,
        });
        main.chain(included)
    }

    /// The main file's lines, where it could be read.
    pub(super) fn main_lines(&self) -> Option<&Lines> {
        self.main.as_ref().ok().map(Arc::as_ref)
    }

    /// Every pattern that an Include names, active or not.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &Path> {
        self.includes.includes.keys().map(|pattern| Path::new(OsStr::from_bytes(pattern)))
    }

    /// What a pattern names, in the order of reading, with the lines of what could be read.
    pub(super) fn included_by(&self, pattern: &Path) -> impl Iterator<Item = (&Path, Option<&Lines>)> {
        let files = self.includes.includes.get(pattern.as_os_str().as_bytes()).into_iter().flatten();
        files.map(|(path, loaded)| match loaded {
            Loaded::Lines(lines) => (path.as_path(), Some(lines.as_ref())),
            Loaded::Failed(_) => (path.as_path(), None),
        })
    }

    /// The included files that could be read.
    fn included(&self) -> impl Iterator<Item = &Arc<Lines>> {
        self.includes.includes.values().flatten().filter_map(|(_, loaded)| match loaded {
            Loaded::Lines(lines) => Some(lines),
            Loaded::Failed(_) => None,
        })
    }
}

/// The lines with one of these keywords: the keyword in lower case, and the rest.
fn words_of<'a>(lines: &'a Lines, keywords: &'a [&str]) -> impl Iterator<Item = (String, String)> + 'a {
    lines.lines.iter().filter_map(move |line| {
        let mut rest = Some(line.clone());
        let word = super::lexer::strdelim(&mut rest, true)?;
        let word = String::from_utf8_lossy(&word).to_ascii_lowercase();
        // sshd strips what stands at the end of a line before it looks at it, the carriage return of CRLF too.
        let text = || {
            let rest = rest.unwrap_or_default();
            let end = rest.iter().rposition(|byte| !b" \t\r\n\x0c".contains(byte)).map_or(0, |at| at + 1);
            String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned()
        };
        keywords.contains(&word.as_str()).then(|| (word, text()))
    })
}

fn complete(subject: &Subject) -> bool {
    subject.user.is_some() && subject.host.is_some() && subject.address.is_some()
}

/// Options as settings, the defaults filled in.
fn settle(build: &Build, file: &Path, options: &Options) -> Result<Effective, Refusal> {
    dump::effective(build, options).map_err(|why| Refusal::bare(file, &why))
}

fn first_pass(
    build: &Build,
    around: &Around,
    files: &mut dyn Files,
    command_line: &CommandLine,
    file: &Path,
    main: &Result<Arc<Lines>, String>,
) -> Result<Options, Refusal> {
    let mut parser = Parser::new(build, around, files, None, Options::default());
    command_line.apply(&mut parser)?;
    let main = main.as_ref().map_err(|why| Refusal::bare(file, &format!("{}: {why}", file.display())))?;
    if let Some(line) = main.too_long {
        return Err(Refusal::at(file, line, "too long"));
    }
    let options = parser.config(file, main)?;
    sensible(build, around, options, file)
}

/// The checks of `sshd.c:main` after the first pass, and the defaults that only it fills in.
fn sensible(build: &Build, around: &Around, mut options: Options, file: &Path) -> Result<Options, Refusal> {
    listen::fill_default(&mut options);
    if build.before(807) {
        // Challenge and response is done through keyboard-interactive.
        let challenge = options.text(Key::ChallengeResponseAuthentication).is_none_or(|text| text == "yes");
        let word: &[u8] = if challenge { b"yes" } else { b"no" };
        let origin =
            options.item(Key::ChallengeResponseAuthentication).map_or(Origin::Default, |item| item.origin.clone());
        let item = Item { words: vec![word.to_vec()], origin };
        if challenge {
            options.put(Key::KbdInteractiveAuthentication, item);
        } else {
            let no = Item { words: vec![b"no".to_vec()], origin: Origin::Default };
            options.put_once(Key::KbdInteractiveAuthentication, no);
        }
    }
    // `none` of the global section is as good as nothing; in a Match block these words stay as they are.
    for key in [Key::ForceCommand, Key::ChrootDirectory, Key::AuthorizedPrincipalsFile] {
        if options.text(key).is_some_and(|text| text.eq_ignore_ascii_case("none")) {
            options.unset(key);
        }
    }
    for key in [Key::ChannelTimeout, Key::RevokedKeys, Key::AuthorizedKeysFile] {
        let none =
            options.items(key).len() == 1 && options.text(key).is_some_and(|text| text.eq_ignore_ascii_case("none"));
        if none && (key == Key::ChannelTimeout || build.since(1003)) {
            options.clear(key);
        }
    }
    if options.items(Key::AuthenticationMethods).iter().all(|item| item.words == [b"any".to_vec()]) {
        options.unset(Key::AuthenticationMethods);
    }
    // A list that comes to nothing is found when the defaults are filled in.
    settle(build, file, &options)?;
    let set = |key: Key| options.text(key).is_some_and(|text| !text.eq_ignore_ascii_case("none"));
    if set(Key::AuthorizedKeysCommand) && !options.is_set(Key::AuthorizedKeysCommandUser) {
        return Err(Refusal::bare(file, "AuthorizedKeysCommand set without AuthorizedKeysCommandUser"));
    }
    if set(Key::AuthorizedPrincipalsCommand) && !options.is_set(Key::AuthorizedPrincipalsCommandUser) {
        return Err(Refusal::bare(file, "AuthorizedPrincipalsCommand set without AuthorizedPrincipalsCommandUser"));
    }
    let lists: Vec<Vec<u8>> =
        options.items(Key::AuthenticationMethods).iter().filter_map(|item| item.words.first().cloned()).collect();
    let mut nothing = Tree::default();
    let parser = Parser::new(build, around, &mut nothing, None, options);
    let refused: Vec<String> = lists.iter().filter_map(|list| parser.methods_valid(list, true).err()).collect();
    if !lists.is_empty() && refused.len() == lists.len() {
        let mut refusal =
            Refusal::bare(file, "AuthenticationMethods cannot be satisfied by enabled authentication methods");
        refusal.said.splice(0..0, refused);
        return Err(refusal);
    }
    Ok(parser.options)
}

/// Home directories, services and hosts, as far as files tell.
fn around(reader: &Reader<'_>) -> Around {
    let mut out = Around::default();
    let text = |path: &str| reader.file(Path::new(path)).map_or(&b""[..], |view| view.bytes);
    for line in text("/etc/passwd").split(|byte| *byte == b'\n') {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let [name, _, uid, _, _, home, ..] = fields.as_slice() else { continue };
        out.homes.entry(name.to_vec()).or_insert_with(|| home.to_vec());
        if *uid == b"0" && out.root_home.is_none() {
            out.root_home = Some(home.to_vec());
        }
    }
    let words = |line: &[u8]| -> Vec<Vec<u8>> {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(<[u8]>::to_vec).collect()
    };
    for line in text("/etc/services").split(|byte| *byte == b'\n') {
        let words = words(line);
        let [name, port, aliases @ ..] = words.as_slice() else { continue };
        let Some(number) = port.strip_suffix(b"/tcp").and_then(|port| std::str::from_utf8(port).ok()) else { continue };
        let Ok(number) = number.parse::<u16>() else { continue };
        for name in std::iter::once(name).chain(aliases) {
            out.services.entry(name.clone()).or_insert(number);
        }
    }
    for line in text("/etc/hosts").split(|byte| *byte == b'\n') {
        let words = words(line);
        let [address, names @ ..] = words.as_slice() else { continue };
        let Some(address) = super::pattern::numeric_host(address) else { continue };
        for name in names {
            out.hosts.entry(name.to_ascii_lowercase()).or_default().push(address);
        }
    }
    out
}
