//! PAM: the stacks of the services that log in or change passwords, laid flat as Linux-PAM loads them (`pam_handlers.c`), and
//! the settings files of the modules that make a password policy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::check::path_text;
use crate::fact::{Fact, Why};
use crate::parse::Defect;
use crate::parse::pam::{Facility, Kind, Line, pam};
use crate::parse::security_conf::{Setting, security_conf};
use crate::snapshot::{self, Miss, Reader};

mod policy;
#[cfg(test)]
mod tests;

pub use policy::{Lockout, Quality, Remember, Sourced};

/// Services that are read: logins, becoming root, changing a password.
pub const SERVICES: [&str; 6] = ["sshd", "login", "su", "sudo", "passwd", "chpasswd"];
/// Where services are described, first come.
const PLACES: [&str; 3] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d"];
/// As deep as Linux-PAM follows includes (`PAM_SUBSTACK_MAX_LEVEL`).
const MAX_DEPTH: usize = 16;
/// As many entries as hostward unfolds for one stack: files that include each other many times would go on for ever.
const MAX_ENTRIES: usize = 20_000;
/// Reading this many bytes counts as much as an entry.
const BYTES_AN_ENTRY: usize = 100;

/// Everything read of PAM.
#[derive(Clone, Debug)]
pub struct Pam {
    /// The stacks, by service.
    pub services: BTreeMap<String, Service>,
    /// pwquality.conf with its drop-ins, in the order in which they are read: the last value of a key holds.
    pub pwquality: Fact<Vec<(PathBuf, Setting)>>,
    /// faillock.conf.
    pub faillock: Fact<Vec<(PathBuf, Setting)>>,
    /// pwhistory.conf.
    pub pwhistory: Fact<Vec<(PathBuf, Setting)>>,
    /// Lines that PAM cannot use.
    pub defects: Vec<(PathBuf, Defect)>,
}

/// The stacks of one service. Absent: neither it nor `other` says anything, and PAM refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name, e.g. `sshd`.
    pub name: String,
    /// Is it who it says it is.
    pub auth: Fact<Vec<Entry>>,
    /// May it come in now.
    pub account: Fact<Vec<Entry>>,
    /// Changing the password.
    pub password: Fact<Vec<Entry>>,
}

/// An entry of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A module.
    Module(Module),
    /// A stack within the stack: a jump counts it as one, `die` and `done` end only it.
    Substack(Vec<Entry>),
}

/// A module of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The file that names it.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// `required`, `requisite`, `sufficient`, `optional`, or `[value=action …]`.
    pub control: String,
    /// Its name without directory and ending: `pam_unix`. Empty: a line that PAM cannot use, which fails.
    pub name: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// No complaint where it is missing.
    pub may_miss: bool,
}

impl Module {
    /// Whether an argument stands there as a word.
    pub fn has(&self, word: &str) -> bool {
        self.args.iter().any(|arg| arg == word)
    }

    /// The value of the last `key=value` argument.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.args.iter().rev().find_map(|arg| arg.strip_prefix(key)?.strip_prefix('='))
    }

    /// The same as a number.
    pub fn number(&self, key: &str) -> Option<i64> {
        self.value(key)?.parse().ok()
    }

    /// The line as evidence.
    pub fn text(&self) -> String {
        let mut words = vec![self.control.as_str(), self.name.as_str()];
        words.extend(self.args.iter().map(String::as_str));
        words.join(" ")
    }
}

/// Every module of a stack in order, those of substacks too.
pub fn modules(entries: &[Entry]) -> Vec<&Module> {
    fn walk<'e>(entries: &'e [Entry], out: &mut Vec<&'e Module>) {
        for entry in entries {
            match entry {
                Entry::Module(module) => out.push(module),
                Entry::Substack(inner) => walk(inner, out),
            }
        }
    }
    let mut out = Vec::new();
    walk(entries, &mut out);
    out
}

impl Service {
    /// Reads the stacks of a service by name.
    pub fn read(reader: &Reader<'_>, name: &str, defects: &mut Vec<(PathBuf, Defect)>) -> Self {
        let mut loader = Loader { reader, defects, service: name.to_ascii_lowercase(), left: 0 };
        Self {
            name: name.to_owned(),
            auth: loader.stack(Facility::Auth),
            account: loader.stack(Facility::Account),
            password: loader.stack(Facility::Password),
        }
    }

    /// The modules of a stack; empty where it is not known.
    pub fn auth_modules(&self) -> Vec<&Module> {
        self.auth.known().map_or_else(Vec::new, |entries| modules(entries))
    }

    /// The same of the account stack.
    pub fn account_modules(&self) -> Vec<&Module> {
        self.account.known().map_or_else(Vec::new, |entries| modules(entries))
    }

    /// The same of the password stack.
    pub fn password_modules(&self) -> Vec<&Module> {
        self.password.known().map_or_else(Vec::new, |entries| modules(entries))
    }
}

impl Pam {
    /// Reads the services and the settings files.
    pub fn read(reader: &Reader<'_>) -> Self {
        let mut defects = Vec::new();
        let services = SERVICES.map(|name| (name.to_owned(), Service::read(reader, name, &mut defects)));
        defects.sort_by(|(one, a), (other, b)| (one, a.line).cmp(&(other, b.line)));
        defects.dedup();
        Self {
            services: services.into(),
            pwquality: settings(reader, "/etc/security/pwquality.conf", true),
            faillock: settings(reader, "/etc/security/faillock.conf", false),
            pwhistory: settings(reader, "/etc/security/pwhistory.conf", false),
            defects,
        }
    }

    /// A service that was read.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(name)
    }
}

/// A settings file, its drop-ins before it where it has any (`pwquality_read_config`).
fn settings(reader: &Reader<'_>, path: &str, drop_ins: bool) -> Fact<Vec<(PathBuf, Setting)>> {
    let mut paths = Vec::new();
    if drop_ins {
        let dir = PathBuf::from(format!("{path}.d"));
        match reader.names(&dir) {
            Ok(names) => {
                let conf = names.iter().filter(|name| name.as_os_str().as_encoded_bytes().ends_with(b".conf"));
                paths.extend(conf.map(|name| dir.join(name)));
            }
            Err(Miss::Absent) => {}
            Err(miss) => return miss.fact(),
        }
    }
    paths.push(PathBuf::from(path));
    let (mut out, mut any) = (Vec::new(), false);
    for path in paths {
        match reader.file(&path) {
            Ok(view) => {
                any = true;
                out.extend(security_conf(view.bytes).into_iter().map(|setting| (path.clone(), setting)));
            }
            Err(Miss::Absent) => {}
            Err(miss) => return miss.fact(),
        }
    }
    if any { Fact::Known(out) } else { Fact::Absent }
}

/// What a stack needs while it is unfolded.
struct Loader<'r, 's, 'd> {
    reader: &'r Reader<'s>,
    defects: &'d mut Vec<(PathBuf, Defect)>,
    service: String,
    left: usize,
}

impl Loader<'_, '_, '_> {
    fn stack(&mut self, facility: Facility) -> Fact<Vec<Entry>> {
        self.left = MAX_ENTRIES;
        let dirs = PLACES.iter().any(|dir| {
            !matches!(self.reader.meta(Path::new(dir)), Err(Miss::Absent))
                && self.reader.meta(Path::new(dir)).map_or(true, |meta| meta.kind == snapshot::Kind::Dir)
        });
        let service = self.service.clone();
        for name in [service.as_str(), "other"] {
            let entries = if dirs {
                self.file(name, facility, 0)
            } else {
                self.lines(Path::new("/etc/pam.conf"), true).and_then(|lines| match lines {
                    Some((path, lines)) => {
                        let mine = lines.into_iter().filter(|line| line.service == name).collect();
                        self.entries(&path, mine, facility, 0).map(Some)
                    }
                    None => Ok(None),
                })
            };
            match entries {
                Ok(Some(entries)) if !entries.is_empty() => return Fact::Known(entries),
                Ok(_) => {}
                Err(why) => return Fact::Unknown(why),
            }
        }
        Fact::Absent
    }

    /// One file, wherever it stands. None: nowhere.
    fn file(&mut self, name: &str, facility: Facility, depth: usize) -> Result<Option<Vec<Entry>>, Why> {
        let candidates: Vec<PathBuf> = if name.starts_with('/') {
            vec![PathBuf::from(name)]
        } else {
            PLACES.iter().map(|dir| Path::new(dir).join(name)).collect()
        };
        for path in candidates {
            if let Some((path, lines)) = self.lines(&path, false)? {
                return self.entries(&path, lines, facility, depth).map(Some);
            }
        }
        Ok(None)
    }

    fn lines(&mut self, path: &Path, with_service: bool) -> Result<Option<(PathBuf, Vec<Line>)>, Why> {
        match self.reader.file(path) {
            Ok(view) => {
                self.spend(1 + view.bytes.len() / BYTES_AN_ENTRY)?;
                let (lines, defects) = pam(view.bytes, with_service);
                self.defects.extend(defects.into_iter().map(|defect| (path.to_path_buf(), defect)));
                Ok(Some((path.to_path_buf(), lines)))
            }
            Err(Miss::Absent) => Ok(None),
            Err(miss) => {
                let why = miss.fact::<()>().why().cloned().unwrap_or(Why::Denied);
                Err(Why::Failed(format!("{}: {why}", path_text(path))))
            }
        }
    }

    fn spend(&mut self, cost: usize) -> Result<(), Why> {
        let endless = || Why::Defect("PAM's files include each other without an end".to_owned());
        self.left = self.left.checked_sub(cost).ok_or_else(endless)?;
        Ok(())
    }

    fn entries(&mut self, path: &Path, lines: Vec<Line>, facility: Facility, depth: usize) -> Result<Vec<Entry>, Why> {
        let mut out = Vec::new();
        for Line { line, kind, .. } in lines {
            self.spend(1)?;
            let fails = || {
                let (file, control) = (path.to_path_buf(), "required".to_owned());
                Entry::Module(Module { file, line, control, name: String::new(), args: Vec::new(), may_miss: false })
            };
            let (target, substack) = match kind {
                Kind::IncludeAll(target) => (target, false),
                Kind::Include(of, target) if of == facility => (target, false),
                Kind::Substack(of, target) if of == facility => (target, true),
                Kind::Broken(of) if of == facility => {
                    out.push(fails());
                    continue;
                }
                Kind::Module { facility: of, may_miss, control, path: module, args } if of == facility => {
                    let name = module.rsplit('/').next().unwrap_or_default();
                    let name = name.strip_suffix(".so").unwrap_or(name).to_owned();
                    out.push(Entry::Module(Module { file: path.to_path_buf(), line, control, name, args, may_miss }));
                    continue;
                }
                _ => continue,
            };
            let inner = if depth < MAX_DEPTH { self.file(&target, facility, depth + 1)? } else { None };
            match inner {
                Some(inner) if substack => out.push(Entry::Substack(inner)),
                Some(inner) => out.extend(inner),
                None => {
                    let what = "includes a file that is not there".to_owned();
                    self.defects.push((path.to_path_buf(), Defect { line, what }));
                    out.push(fails());
                }
            }
        }
        Ok(out)
    }
}
