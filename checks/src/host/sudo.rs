//! sudo: which program is there, which rules hold, and who can become root through them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::check::path_text;
use crate::fact::{Fact, Why};
use crate::host::accounts::{Accounts, User};
use crate::observation::{Observations, UnixSeconds};
use crate::parse::Defect;
use crate::parse::sudoers::{Kind, Statement, sudoers};
use crate::snapshot::{self, Meta, Miss, Reader};

mod command;
mod decide;
mod odds;
#[cfg(test)]
mod tests;
mod time;

pub use decide::everyone;

/// sudo follows as many nested includes (`toke.l`, `MAX_SUDOERS_DEPTH`).
const MAX_DEPTH: usize = 128;
/// And hostward reads as many files in all.
const MAX_FILES: usize = 1000;
/// And as many bytes.
const MAX_BYTES: usize = 32 << 20;

/// What sudo would do on this host.
#[derive(Clone, Debug)]
pub struct Sudo {
    /// The set-uid program. Absent: sudo is not installed, or cannot work.
    pub program: Fact<PathBuf>,
    /// The files and include directories, in the order in which sudo meets them.
    pub files: Vec<SudoFile>,
    /// Lines that sudo would not parse, or whose include it cannot open.
    pub defects: Vec<(PathBuf, Defect)>,
    rules: Vec<(Arc<Path>, Statement)>,
    /// Which of the rules are `Defaults` lines: few, and asked for at every other rule.
    defaults: Vec<usize>,
    hostname: Option<String>,
    addresses: Option<Vec<IpAddr>>,
    now: UnixSeconds,
    bytes: usize,
}

/// A file or include directory of sudoers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SudoFile {
    /// Its path, as the include names it.
    pub path: PathBuf,
    /// Owner and mode, where it stands.
    pub meta: Option<Meta>,
    /// What became of it.
    pub state: FileState,
}

/// What became of a file of sudoers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// sudo reads it.
    Used,
    /// sudo refuses it for its owner or mode.
    Refused(Refusal),
    /// It could not be read here; it may hold anything.
    Unread(Why),
}

/// Why sudo refuses a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not root's.
    Owner,
    /// Everybody may write it.
    Everyone,
    /// A group other than root's may write it.
    Group,
}

/// How an account can become root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SudoRight {
    /// Any command (`ALL`, whatever is taken out of it again), or else the program that gives a root shell.
    pub any_command: bool,
    /// The command that gives it, e.g. `ALL` or `/usr/bin/su`.
    pub command: String,
    /// What sudo asks for first.
    pub asks: Asks,
    /// The file of the rule.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: u32,
    /// The users of the rule as written, e.g. `%wheel`.
    pub who: String,
    /// Whether the rule names `ALL` users.
    pub for_everyone: bool,
}

/// What sudo asks for before it runs a command as root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asks {
    /// Nothing.
    Nothing,
    /// The account's own password.
    OwnPassword,
    /// Root's or another account's (`rootpw`, `targetpw`, `runaspw`): whoever has it could as well use `su`.
    OtherPassword,
}

impl Sudo {
    /// Reads sudoers and everything it includes.
    pub fn read(reader: &Reader<'_>, seen: &Observations) -> Self {
        let hostname = seen.hostname.known().cloned();
        let addresses = seen.addresses.known().cloned();
        let mut sudo = Self {
            program: program(reader),
            files: Vec::new(),
            defects: Vec::new(),
            rules: Vec::new(),
            defaults: Vec::new(),
            hostname,
            addresses,
            now: seen.now,
            bytes: 0,
        };
        let main = sudo.main_file(reader);
        if !matches!(sudo.program, Fact::Absent) {
            sudo.file(reader, &main, 0);
        }
        sudo
    }

    /// Where the rules begin: what sudo.conf says, sudo-rs's own file where that is the program, else `/etc/sudoers`, else the
    /// vendor's.
    fn main_file(&self, reader: &Reader<'_>) -> PathBuf {
        let there = |path: &str| !matches!(reader.link_meta(Path::new(path)), Err(Miss::Absent));
        let rust = self.program.known().is_some_and(|path| {
            let text = path.as_os_str().as_encoded_bytes();
            text.ends_with(b"sudo-rs") || text.starts_with(b"/usr/lib/cargo/")
        });
        if rust && there("/etc/sudoers-rs") {
            return PathBuf::from("/etc/sudoers-rs");
        }
        if let Ok(view) = reader.file(Path::new("/etc/sudo.conf")) {
            let named = view.bytes.split(|byte| *byte == b'\n').find_map(|line| {
                let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
                (words.next() == Some(b"Plugin") && words.next() == Some(b"sudoers_policy")).then_some(())?;
                words.find_map(|word| {
                    word.strip_prefix(b"sudoers_file=").map(|path| PathBuf::from(OsStr::from_bytes(path)))
                })
            });
            if let Some(path) = named {
                return path;
            }
        }
        let vendor = !there("/etc/sudoers") && there("/usr/etc/sudoers");
        PathBuf::from(if vendor { "/usr/etc/sudoers" } else { "/etc/sudoers" })
    }

    fn file(&mut self, reader: &Reader<'_>, path: &Path, depth: usize) -> bool {
        let note = |sudo: &mut Self, meta, state| sudo.files.push(SudoFile { path: path.to_path_buf(), meta, state });
        if depth > MAX_DEPTH || self.files.len() >= MAX_FILES {
            note(self, None, FileState::Unread(Why::Defect("sudoers includes too many files".to_owned())));
            return true;
        }
        let view = match reader.file(path) {
            Ok(view) => view,
            Err(Miss::Absent) => return false,
            Err(miss) => {
                let why = miss.fact::<()>().why().cloned().unwrap_or(Why::Denied);
                note(self, reader.meta(path).ok(), FileState::Unread(why));
                return true;
            }
        };
        if let Some(refused) = refused(&view.meta) {
            note(self, Some(view.meta), FileState::Refused(refused));
            return true;
        }
        self.bytes += view.bytes.len();
        if self.bytes > MAX_BYTES {
            note(self, None, FileState::Unread(Why::Defect("sudoers includes too much".to_owned())));
            return true;
        }
        note(self, Some(view.meta), FileState::Used);
        let (parsed, defects) = sudoers(view.bytes);
        self.defects.extend(defects.into_iter().map(|defect| (path.to_path_buf(), defect)));
        let shared: Arc<Path> = Arc::from(path);
        for statement in parsed.statements {
            match &statement.kind {
                Kind::Include(name) => {
                    let found = self.expand(name, path).map(|target| self.file(reader, &target, depth + 1));
                    if found == Some(false) {
                        let what = "includes a file that is not there".to_owned();
                        self.defects.push((path.to_path_buf(), Defect { line: statement.line, what }));
                    }
                }
                Kind::IncludeDir(name) => {
                    if let Some(dir) = self.expand(name, path) {
                        self.directory(reader, &dir, depth + 1);
                    }
                }
                kind => {
                    self.defaults.extend(matches!(kind, Kind::Defaults { .. }).then_some(self.rules.len()));
                    self.rules.push((shared.clone(), statement));
                }
            }
        }
        true
    }

    /// An include directory: missing or unsafe ones are passed over; names with a dot or a final `~` too (`toke.l`, `read_dir_files`).
    fn directory(&mut self, reader: &Reader<'_>, dir: &Path, depth: usize) {
        let meta = match reader.meta(dir) {
            Ok(meta) if meta.kind == snapshot::Kind::Dir => Some(meta),
            Ok(_) | Err(Miss::Absent) => return,
            Err(_) => None,
        };
        let mut note = |state| self.files.push(SudoFile { path: dir.to_path_buf(), meta, state });
        if let Some(refused) = meta.as_ref().and_then(refused) {
            return note(FileState::Refused(refused));
        }
        let names = match reader.names(dir) {
            Ok(names) => names,
            Err(Miss::Absent) => return,
            Err(miss) => return note(FileState::Unread(miss.fact::<()>().why().cloned().unwrap_or(Why::Denied))),
        };
        note(FileState::Used);
        for name in names {
            let bytes = name.as_os_str().as_encoded_bytes();
            let path = dir.join(name);
            let regular = || !matches!(reader.meta(&path), Ok(meta) if meta.kind != snapshot::Kind::File);
            if !bytes.contains(&b'.') && !bytes.ends_with(b"~") && regular() {
                self.file(reader, &path, depth);
            }
        }
    }

    /// The path of an include: relative to the including file, `%h` the host's short name. None: that name is not known.
    fn expand(&mut self, name: &[u8], from: &Path) -> Option<PathBuf> {
        let mut path = Vec::new();
        let mut rest = name;
        while let Some((first, tail)) = rest.split_first() {
            if let Some(after) = rest.strip_prefix(b"%h") {
                let Some(host) = &self.hostname else {
                    let why = Why::Failed("depends on the host's name, which is not known here".to_owned());
                    let path = PathBuf::from(OsStr::from_bytes(name));
                    self.files.push(SudoFile { path, meta: None, state: FileState::Unread(why) });
                    return None;
                };
                path.extend_from_slice(host.split('.').next().unwrap_or_default().as_bytes());
                rest = after;
            } else {
                path.push(*first);
                rest = tail;
            }
        }
        let path = Path::new(OsStr::from_bytes(&path));
        Some(from.parent().unwrap_or(Path::new("/")).join(path))
    }

    /// Whether and how an account can become root through sudo. Absent: it cannot. An account with uid 0 need not.
    pub fn can_become_root(&self, accounts: &Accounts, user: &User) -> Fact<SudoRight> {
        match &self.program {
            Fact::Absent => return Fact::Absent,
            Fact::Unknown(why) => return Fact::Unknown(why.clone()),
            Fact::Known(_) => {}
        }
        if let Some(why) = self.unread() {
            return Fact::Unknown(why);
        }
        match (decide::right(self, accounts, user), accounts.elsewhere_of("sudoers")) {
            (Fact::Absent, Some(source)) => Fact::Unknown(source.why()),
            (right, _) => right,
        }
    }

    /// Why the rules as a whole are not known, where they are not.
    pub fn unread(&self) -> Option<Why> {
        self.files.iter().find_map(|file| match &file.state {
            FileState::Unread(why) => Some(Why::Failed(format!("{}: {why}", path_text(&file.path)))),
            FileState::Used | FileState::Refused(_) => None,
        })
    }

    /// Whether an account administers this host: uid 0, or able to become root through sudo with nothing or with a password of its own that
    /// can be right.
    pub fn is_admin(&self, accounts: &Accounts, user: &User) -> Fact<bool> {
        if user.is_root() {
            return Fact::Known(true);
        }
        let right = match self.can_become_root(accounts, user) {
            Fact::Known(right) => right,
            Fact::Absent => return Fact::Known(false),
            Fact::Unknown(why) => return Fact::Unknown(why),
        };
        match right.asks {
            Asks::Nothing => Fact::Known(true),
            Asks::OtherPassword => Fact::Known(false),
            Asks::OwnPassword => match user.password() {
                Fact::Known(password) => Fact::Known(!password.field.is_locked()),
                Fact::Absent => Fact::Known(false),
                Fact::Unknown(why) => Fact::Unknown(why),
            },
        }
    }

    /// Rules that let `ALL` users become root, and what they ask for.
    pub fn rules_for_everyone(&self) -> Vec<SudoRight> {
        let mut seen = BTreeSet::new();
        everyone(self).into_iter().filter(|right| seen.insert((right.file.clone(), right.line))).collect()
    }
}

/// Why sudo refuses a file or directory (`sudo_secure_path`), or None.
pub fn refused(meta: &Meta) -> Option<Refusal> {
    match meta {
        Meta { uid: 1.., .. } => Some(Refusal::Owner),
        Meta { mode, .. } if mode & 0o002 != 0 => Some(Refusal::Everyone),
        Meta { mode, gid: 1.., .. } if mode & 0o020 != 0 => Some(Refusal::Group),
        _ => None,
    }
}

/// The set-uid program, links resolved.
fn program(reader: &Reader<'_>) -> Fact<PathBuf> {
    for path in ["/usr/bin/sudo", "/usr/local/bin/sudo", "/bin/sudo"] {
        match reader.walk(Path::new(path), true) {
            Ok(walk) if walk.meta.mode & 0o4000 != 0 && walk.meta.uid == 0 => return Fact::Known(walk.canonical),
            Ok(_) | Err(Miss::Absent) => {}
            Err(miss) => return miss.fact(),
        }
    }
    Fact::Absent
}
