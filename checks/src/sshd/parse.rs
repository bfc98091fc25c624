//! The pass over a configuration: lines, blocks and included files, as `servconf.c` goes through them.
//!
//! sshd reads everything twice. The first pass acts on the global section and on what follows `Match all`, and only
//! checks the other blocks. The second pass, once a connection is known, acts on the blocks that hold for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::build::Build;
use super::criteria::Subject;
use super::keyword::{Key, Scope, lookup};
use super::lexer::{Args, Lines, WHITESPACE, strdelim};
use super::listen;
use super::options::Options;
use super::{Origin, Refusal};

/// How deep files may include files.
const MAX_DEPTH: u32 = 16;

/// A line that is being read.
#[derive(Clone, Debug)]
pub(crate) struct Where {
    /// The file, as its Include named it.
    pub(crate) file: Arc<Path>,
    /// The name that sshd's messages give it: `reprocess config` for the main file in the second pass.
    pub(crate) shown: Arc<str>,
    /// The line, from 1; 0 on the command line.
    pub(crate) line: u32,
    /// The option, on the command line.
    pub(crate) option: Option<String>,
}

impl Where {
    /// As the origin of a value.
    pub(crate) fn origin(&self) -> Origin {
        match &self.option {
            Some(option) => Origin::CommandLine(option.clone()),
            None => Origin::Line { file: self.file.to_path_buf(), line: self.line },
        }
    }
}

/// Why a line was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The line is bad; the file is read on and refused at its end.
    Bad,
    /// sshd ends here.
    Fatal,
}

/// What a file or a pattern of an Include came to.
#[derive(Clone, Debug)]
pub(crate) enum Loaded {
    /// Its lines.
    Lines(Arc<Lines>),
    /// It cannot be opened: the words of `strerror(3)`.
    Failed(String),
}

/// The files that one pattern of an Include names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Included {
    /// The files, in order.
    pub(crate) files: Vec<(PathBuf, Loaded)>,
    /// Whether they were looked for just now rather than remembered.
    pub(crate) fresh: bool,
}

/// Where included files come from.
pub(crate) trait Files {
    /// The files that match a pattern.
    fn include(&mut self, pattern: &[u8]) -> Included;

    /// Remembers a file of a pattern, or that it has none. sshd does so after it has read the file, so that a file which
    /// includes its own pattern sees only those before it.
    fn keep(&mut self, pattern: &[u8], file: Option<(PathBuf, Loaded)>);
}

/// What sshd asks the host for while it reads: home directories for `~`, and the names of ports.
#[derive(Clone, Debug, Default)]
pub(crate) struct Around {
    /// Home directories by user name.
    pub(crate) homes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The home directory of uid 0.
    pub(crate) root_home: Option<Vec<u8>>,
    /// Port numbers of `services(5)` for TCP.
    pub(crate) services: BTreeMap<Vec<u8>, u16>,
    /// Addresses of `hosts(5)` by name.
    pub(crate) hosts: BTreeMap<Vec<u8>, Vec<std::net::IpAddr>>,
}

/// What is true of the file being read, and not of the files it includes.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    /// No Match in it holds: it was included inside a block that does not.
    never: bool,
    /// It is read for its Match blocks only (second pass).
    match_only: bool,
}

/// One pass.
pub(crate) struct Parser<'a> {
    /// Which sshd.
    pub(crate) build: &'a Build,
    /// What the host says.
    pub(crate) around: &'a Around,
    files: &'a mut dyn Files,
    /// The connection, in the second pass.
    subject: Option<&'a Subject>,
    /// What was set so far.
    pub(crate) options: Options,
    /// Everything that sshd would have said.
    said: Vec<String>,
    first: Option<(PathBuf, Option<u32>, String)>,
}

impl<'a> Parser<'a> {
    /// A pass that has read nothing yet.
    pub(crate) fn new(
        build: &'a Build,
        around: &'a Around,
        files: &'a mut dyn Files,
        subject: Option<&'a Subject>,
        options: Options,
    ) -> Self {
        Self { build, around, files, subject, options, said: Vec::new(), first: None }
    }

    /// An option of the command line: `-o LINE`.
    pub(crate) fn option(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let option = format!("-o {}", String::from_utf8_lossy(line));
        let at = Where {
            file: Path::new("command-line").into(),
            shown: "command-line".into(),
            line: 0,
            option: Some(option),
        };
        let mut active = true;
        match self.line(&at, line, &mut active, &mut Flags::default(), 0, true) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.refusal(&at.file)),
        }
    }

    /// The whole configuration.
    pub(crate) fn config(mut self, file: &Path, lines: &Lines) -> Result<Options, Refusal> {
        let shown = if self.subject.is_some() { "reprocess config".into() } else { file.to_string_lossy() };
        let flags = Flags { never: false, match_only: self.subject.is_some() && self.build.include_mended() };
        let mut active = self.subject.is_none();
        let mut read = self.file(&file.into(), &shown, lines, flags, &mut active, 0);
        if self.build.include_mended() {
            read = read.and_then(|()| self.listen_addresses());
        }
        match read {
            Ok(()) => Ok(self.options),
            Err(_) => Err(self.refusal(file)),
        }
    }

    /// Combines waiting ListenAddress lines with the ports known now.
    fn listen_addresses(&mut self) -> Result<(), Stop> {
        listen::process(self.build, self.around, &mut self.options).map_err(|(at, message)| {
            let (file, line) = match at {
                Some(Origin::Line { file, line }) => (file, Some(line)),
                _ => (PathBuf::new(), None),
            };
            self.said.push(message.clone());
            self.first.get_or_insert((file, line, message));
            Stop::Fatal
        })
    }

    fn file(
        &mut self,
        file: &Arc<Path>,
        shown: &str,
        lines: &Lines,
        mut flags: Flags,
        active: &mut bool,
        depth: u32,
    ) -> Result<(), Stop> {
        let mut at = Where { file: file.clone(), shown: shown.into(), line: 0, option: None };
        if depth > MAX_DEPTH {
            return Err(self.fatal_bare("Too many recursive configuration includes"));
        }
        let mut bad = 0_u32;
        for line in &lines.lines {
            at.line = at.line.saturating_add(1);
            match self.line(&at, line, active, &mut flags, depth, false) {
                Ok(()) => {}
                Err(Stop::Bad) => bad += 1,
                Err(Stop::Fatal) => return Err(Stop::Fatal),
            }
        }
        if bad > 0 {
            self.said.push(format!("{shown}: terminating, {bad} bad configuration options"));
            return Err(Stop::Fatal);
        }
        if !self.build.include_mended() {
            self.listen_addresses()?;
        }
        Ok(())
    }

    fn line(
        &mut self,
        at: &Where,
        line: &[u8],
        active: &mut bool,
        flags: &mut Flags,
        depth: u32,
        command_line: bool,
    ) -> Result<(), Stop> {
        let end = line.iter().rposition(|byte| !WHITESPACE.contains(byte) && *byte != 0x0c).map_or(1, |at| at + 1);
        let line = line.get(..end.min(line.len())).unwrap_or_default();
        if line.is_empty() {
            return Ok(());
        }
        let mut rest = Some(line.to_vec());
        let Some(mut keyword) = strdelim(&mut rest, true) else { return Ok(()) };
        if keyword.is_empty() {
            let Some(second) = strdelim(&mut rest, true) else { return Ok(()) };
            keyword = second;
        }
        if keyword.is_empty() || keyword.first() == Some(&b'#') {
            return Ok(());
        }
        let split = self.build.since(807);
        let word = String::from_utf8_lossy(&keyword).into_owned();
        if split && rest.as_ref().is_none_or(Vec::is_empty) {
            return Err(self.bad(at, &format!("no argument after keyword \"{word}\"")));
        }
        let found = lookup(self.build, &keyword);
        if found.is_none() {
            self.say(
                at,
                format!("{}: line {}: Bad configuration option: {word}", at.shown, at.line),
                format!("Bad configuration option: {word}"),
            );
        }
        let args = if split { Args::split(rest.clone()) } else { Some(Args::old(rest.clone())) };
        let Some(mut args) = args else { return Err(self.bad(at, "invalid quotes")) };
        if !*active && !matches!(found, Some((_, Scope::Everywhere))) {
            if self.subject.is_none() {
                return Err(self.fatal(at, &format!("Directive '{word}' is not allowed within a Match block")));
            }
            return Ok(());
        }
        let Some((key, _)) = found else { return Err(Stop::Bad) };
        match key {
            Key::Include if command_line => {
                return Err(self.fatal_bare("Include directive not supported as a command-line option"));
            }
            Key::Match if command_line => {
                return Err(self.fatal_bare("Match directive not supported as a command-line option"));
            }
            Key::Include => self.include(at, &word, &mut args, active, *flags, depth)?,
            Key::Match => {
                let known = self.subject.filter(|_| !(flags.never && self.build.include_mended()));
                let holds = self.match_line(at, &mut args, known)?;
                *active = holds && !flags.never;
                flags.match_only = false;
            }
            key => {
                if self.directive(at, key, &word, &mut args, *active)?.is_done() {
                    return Ok(());
                }
            }
        }
        match args.garbage() {
            None => Ok(()),
            Some(_) if split => Err(self.bad(at, &format!("keyword {word} extra arguments at end of line"))),
            Some(garbage) => {
                let garbage = String::from_utf8_lossy(&garbage).into_owned();
                Err(self.fatal(at, &format!("garbage at end of line; \"{garbage}\".")))
            }
        }
    }

    fn include(
        &mut self,
        at: &Where,
        word: &str,
        args: &mut Args,
        active: &mut bool,
        flags: Flags,
        depth: u32,
    ) -> Result<(), Stop> {
        let mut count = 0;
        while let Some(pattern) = args.next_in_list(true) {
            if pattern.is_empty() {
                return Err(self.bad(at, &format!("keyword {word} empty argument")));
            }
            count += 1;
            let pattern = match pattern.first() {
                Some(b'/' | b'~') => pattern,
                // 8.2 put its own keyword, as written, in the place of a relative path.
                _ if self.build.version == 802 => [b"/etc/ssh/", word.as_bytes()].concat(),
                _ => [b"/etc/ssh/", pattern.as_slice()].concat(),
            };
            let outer = *active;
            let included = self.files.include(&pattern);
            if included.fresh && included.files.is_empty() {
                self.files.keep(&pattern, None);
            }
            for (path, loaded) in included.files {
                let shown = path.to_string_lossy().into_owned();
                let lines = match &loaded {
                    Loaded::Lines(lines) => lines.clone(),
                    Loaded::Failed(why) => {
                        self.say(at, format!("{shown}: {why}"), format!("{shown}: {why}"));
                        return Err(Stop::Fatal);
                    }
                };
                let flags = Flags { never: !flags.match_only && !outer, match_only: flags.match_only };
                self.file(&path.as_path().into(), &shown, &lines, flags, active, depth + 1)?;
                *active = outer;
                if included.fresh {
                    self.files.keep(&pattern, Some((path, loaded)));
                }
            }
        }
        if count == 0 {
            return Err(
                self.fatal(at, &self.wording(word, "Include missing filename argument", "missing filename argument"))
            );
        }
        Ok(())
    }

    /// A message that begins with the keyword since 8.7 and had words of its own before.
    pub(super) fn wording(&self, word: &str, old: &str, new: &str) -> String {
        if self.build.since(807) { format!("{word} {new}") } else { old.to_owned() }
    }

    fn say(&mut self, at: &Where, whole: String, message: String) {
        self.said.push(whole);
        let line = (at.line > 0).then_some(at.line);
        self.first.get_or_insert_with(|| (at.file.to_path_buf(), line, message));
    }

    /// The line is bad; reading goes on.
    pub(super) fn bad(&mut self, at: &Where, message: &str) -> Stop {
        self.say(at, format!("{} line {}: {message}", at.shown, at.line), message.to_owned());
        Stop::Bad
    }

    /// sshd ends at this line.
    pub(super) fn fatal(&mut self, at: &Where, message: &str) -> Stop {
        self.bad(at, message);
        Stop::Fatal
    }

    /// sshd ends at this line with a message that does not begin with it.
    pub(super) fn fatal_at(&mut self, at: &Where, message: &str) -> Stop {
        self.say(at, message.to_owned(), message.to_owned());
        Stop::Fatal
    }

    /// A message without a line, before one that has it.
    pub(super) fn bare(&mut self, message: &str) -> Stop {
        self.said.push(message.to_owned());
        Stop::Bad
    }

    /// sshd ends with a message that names no line.
    pub(super) fn fatal_bare(&mut self, message: &str) -> Stop {
        self.said.push(message.to_owned());
        self.first.get_or_insert_with(|| (PathBuf::new(), None, message.to_owned()));
        Stop::Fatal
    }

    fn refusal(&mut self, file: &Path) -> Refusal {
        let said = std::mem::take(&mut self.said);
        let (at, line, message) =
            self.first.take().unwrap_or_else(|| (file.to_path_buf(), None, said.first().cloned().unwrap_or_default()));
        let file = if at.as_os_str().is_empty() { file.to_path_buf() } else { at };
        Refusal { file, line, message, said }
    }
}

/// What a handler did with its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The words it wanted; more would be garbage.
    Words,
    /// The whole line, whatever is on it.
    Line,
}

impl Taken {
    fn is_done(self) -> bool {
        self == Self::Line
    }
}
