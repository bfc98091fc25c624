//! The characters of a sudoers file, taken token by token as sudo's lexer takes them.

use super::{Command, Member};
use crate::check::bytes_text;

/// Why a line does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syntax(pub(super) &'static str);

/// A place in the file.
#[derive(Debug)]
pub(super) struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
    line: u32,
}

/// Tags, which end in a colon.
const TAGS: [&[u8]; 16] = [
    b"NOPASSWD",
    b"PASSWD",
    b"NOEXEC",
    b"EXEC",
    b"INTERCEPT",
    b"NOINTERCEPT",
    b"SETENV",
    b"NOSETENV",
    b"LOG_OUTPUT",
    b"NOLOG_OUTPUT",
    b"LOG_INPUT",
    b"NOLOG_INPUT",
    b"MAIL",
    b"NOMAIL",
    b"FOLLOW",
    b"NOFOLLOW",
];

/// Options, which take a value after `=`.
const OPTIONS: [&[u8]; 10] = [
    b"TIMEOUT",
    b"NOTBEFORE",
    b"NOTAFTER",
    b"CWD",
    b"CHROOT",
    b"ROLE",
    b"TYPE",
    b"APPARMOR_PROFILE",
    b"PRIVS",
    b"LIMITPRIVS",
];

impl<'b> Cursor<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0, line: 1 }
    }

    fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn line(&self) -> u32 {
        self.line
    }

    pub(super) fn at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(super) fn at_bol(&self) -> bool {
        self.at == 0 || self.bytes.get(self.at - 1) == Some(&b'\n')
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    pub(super) fn mark(&self) -> usize {
        self.at
    }

    /// What was read since a mark, as one line of text.
    pub(super) fn since(&self, mark: usize) -> String {
        let text = bytes_text(self.bytes.get(mark..self.at).unwrap_or_default());
        text.split_whitespace().filter(|word| *word != "\\").collect::<Vec<_>>().join(" ")
    }

    pub(super) fn starts_with(&self, word: &[u8]) -> bool {
        self.rest().starts_with(word)
    }

    /// The length of a continuation (a backslash before a line feed) that begins here.
    fn continuation(rest: &[u8]) -> Option<usize> {
        let after = rest.strip_prefix(b"\\")?;
        let blanks = after.iter().take_while(|byte| b" \t".contains(byte)).count();
        let tail = after.get(blanks..)?;
        let feed = if tail.starts_with(b"\r\n") { 2 } else { usize::from(tail.starts_with(b"\n")) };
        (feed > 0).then_some(1 + blanks + feed)
    }

    /// Skips blanks and continuations.
    pub(super) fn blanks(&mut self) {
        loop {
            match (self.peek(), Self::continuation(self.rest())) {
                (Some(b' ' | b'\t'), _) => self.at += 1,
                (_, Some(length)) => {
                    self.at += length;
                    self.line += 1;
                }
                _ => return,
            }
        }
    }

    /// Whether the logical line ends here: a line feed, the end, or a comment (`#` that opens no id).
    pub(super) fn at_eol(&self) -> bool {
        match self.rest() {
            [] | [b'\n', ..] | [b'\r', b'\n', ..] | [b'#'] => true,
            [b'#', b'-', digit, ..] => !digit.is_ascii_digit(),
            [b'#', digit, ..] => !digit.is_ascii_digit(),
            _ => false,
        }
    }

    /// Goes behind the line feed that ends the logical line; a comment ends with its physical line.
    pub(super) fn next_line(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'#' && self.at_eol() {
                self.at += self.rest().iter().take_while(|byte| **byte != b'\n').count();
            } else if let Some(length) = Self::continuation(self.rest()) {
                self.at += length;
                self.line += 1;
            } else {
                self.at += 1;
                if byte == b'\n' {
                    self.line += 1;
                    return;
                }
            }
        }
    }

    /// Takes a character after blanks, where it stands.
    pub(super) fn have(&mut self, byte: u8) -> bool {
        self.blanks();
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    pub(super) fn want(&mut self, byte: u8) -> Result<(), Syntax> {
        if self.have(byte) { Ok(()) } else { Err(Syntax("lacks \"=\" or \")\"")) }
    }

    /// A run of `!`: whether it negates. Two runs in a row are an error.
    pub(super) fn bangs(&mut self) -> Result<bool, Syntax> {
        let run = self.rest().iter().take_while(|byte| **byte == b'!').count();
        self.at += run;
        self.blanks();
        if run % 2 == 1 && self.peek() == Some(b'!') { Err(Syntax("is negated twice")) } else { Ok(run % 2 == 1) }
    }

    /// A keyword that opens a statement: not the beginning of a longer word.
    pub(super) fn keyword(&mut self, word: &[u8]) -> bool {
        let Some(after) = self.rest().strip_prefix(word) else { return false };
        let bound = word == b"Defaults" && after.starts_with(b"@");
        let whole = word_length(after) == 0 || bound;
        self.at += if whole { word.len() } else { 0 };
        whole
    }

    /// `#include` or `#includedir` with a blank after it, which must stand at the very beginning of a line.
    pub(super) fn hash_include(&self) -> bool {
        let after = self.rest().strip_prefix(b"#includedir").or_else(|| self.rest().strip_prefix(b"#include"));
        matches!(after, Some([b' ' | b'\t', ..]))
    }

    /// Takes the include word; whether it names a directory.
    pub(super) fn take_include(&mut self) -> Option<bool> {
        let word = self.rest().get(1..)?;
        let dir = word.starts_with(b"includedir");
        self.at += if dir { b"#includedir".len() } else { b"#include".len() };
        Some(dir)
    }

    pub(super) fn include_path(&mut self) -> Option<Vec<u8>> {
        if self.peek() == Some(b'"') {
            return self.quoted();
        }
        let rest = self.rest();
        let mut length = 0;
        while let Some(byte) = rest.get(length) {
            match byte {
                b'\\' if matches!(rest.get(length + 1), Some(b' ' | b'\t')) => length += 2,
                byte if byte.is_ascii_whitespace() => break,
                _ => length += 1,
            }
        }
        self.take(length)
    }

    /// Takes that many bytes, backslashes removed.
    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        let raw = self.rest().get(..length).filter(|raw| !raw.is_empty())?;
        self.at += length;
        Some(unescape(raw))
    }

    /// A string in double quotes, on one logical line.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            if let Some(length) = Self::continuation(self.rest()) {
                self.at += length;
                self.line += 1;
                self.at += self.rest().iter().take_while(|byte| b" \t".contains(byte)).count();
                continue;
            }
            match self.rest() {
                [b'"', ..] => {
                    self.at += 1;
                    return (!out.is_empty()).then_some(out);
                }
                [b'\\', b'"', ..] => {
                    out.push(b'"');
                    self.at += 2;
                }
                [] | [b'\n', ..] => return None,
                [byte, ..] => {
                    out.push(*byte);
                    self.at += 1;
                }
            }
        }
    }

    /// A member of a list of users, target users or groups.
    pub(super) fn member(&mut self) -> Option<Member> {
        if self.peek() == Some(b'"') {
            return self.quoted().map(typed);
        }
        let rest = self.rest();
        let sign = usize::from(matches!(rest.first(), Some(b'%' | b'+')));
        let colon = usize::from(rest.starts_with(b"%:"));
        let name = rest.get(sign + colon..).unwrap_or_default();
        let length = id_length(name).max(word_length(name));
        if length == 0 {
            return None;
        }
        let raw = rest.get(..length)?;
        if sign == 0 && is_alias(raw) {
            self.at += length;
            return Some(if raw == b"ALL" { Member::All } else { Member::Alias(raw.to_vec()) });
        }
        self.take(sign + colon + length).map(typed)
    }

    /// A member of a list of hosts.
    pub(super) fn host(&mut self) -> Option<Member> {
        let rest = self.rest();
        let run = rest.iter().take_while(|byte| byte.is_ascii_hexdigit() || b":./".contains(byte)).count();
        let text = std::str::from_utf8(rest.get(..run)?).ok()?;
        let address = text.split_once('/').map_or(text, |(address, _)| address);
        if address.parse::<std::net::IpAddr>().is_ok() {
            self.at += run;
            return Some(Member::Network(text.as_bytes().to_vec()));
        }
        match self.member()? {
            Member::Group(_) => None,
            member => Some(member),
        }
    }

    /// A command with its arguments.
    pub(super) fn command(&mut self) -> Option<Member> {
        let digest = self.digests()?;
        let member = self.bare_command(true)?;
        Some(match member {
            Member::All if digest => Member::Command(Command { path: b"ALL".to_vec(), args: None, digest }),
            Member::Command(command) => Member::Command(Command { digest, ..command }),
            member => member,
        })
    }

    /// A command without arguments, as `Defaults!` takes it.
    pub(super) fn plain_command(&mut self) -> Option<Member> {
        self.bare_command(false)
    }

    /// `sha256:…` before a command, several separated by commas. None: a broken one.
    fn digests(&mut self) -> Option<bool> {
        let mut any = false;
        while [b"sha224", b"sha256", b"sha384", b"sha512"].iter().any(|kind| self.starts_with(*kind)) {
            self.at += b"sha224".len();
            if !self.have(b':') {
                return None;
            }
            self.blanks();
            let length = self.rest().iter().take_while(|b| b.is_ascii_alphanumeric() || b"+/=".contains(b)).count();
            self.at += length;
            any = true;
            self.blanks();
            if self.peek() == Some(b',') {
                self.at += 1;
                self.blanks();
            }
        }
        Some(any)
    }

    fn bare_command(&mut self, with_args: bool) -> Option<Member> {
        let rest = self.rest();
        let word = word_length(rest);
        let raw = rest.get(..word)?;
        if is_alias(raw) {
            self.at += word;
            return Some(if raw == b"ALL" { Member::All } else { Member::Alias(raw.to_vec()) });
        }
        let path = match rest.first()? {
            b'/' => self.take(path_length(rest))?,
            b'^' => {
                let length = rest.iter().position(|byte| *byte == b'$')? + 1;
                let raw = rest.get(..length).filter(|raw| !raw.iter().any(|byte| b"#\r\n".contains(byte)))?;
                self.at += length;
                raw.to_vec()
            }
            _ if raw == b"sudoedit" || raw == b"list" => self.take(word)?,
            _ => return None,
        };
        let args = if with_args && !path.ends_with(b"/") { self.args() } else { None };
        Some(Member::Command(Command { path, args, digest: false }))
    }

    /// The arguments of a command: up to `,`, `:`, `=`, `#` or the end of the line, blanks folded.
    fn args(&mut self) -> Option<Vec<u8>> {
        let mut out: Vec<u8> = Vec::new();
        loop {
            let before = self.at;
            self.blanks();
            let spaced = self.at > before;
            match self.rest() {
                [] | [b'#' | b':' | b',' | b'=' | b'\r' | b'\n', ..] => break,
                rest => {
                    if spaced && !out.is_empty() {
                        out.push(b' ');
                    }
                    let (taken, pushed): (usize, &[u8]) = match rest {
                        [b'\\', b'*' | b'?' | b'[' | b']' | b'!' | b'^', ..] => (2, rest.get(..2).unwrap_or_default()),
                        [b'\\', _, ..] => (2, rest.get(1..2).unwrap_or_default()),
                        _ => (1, rest.get(..1).unwrap_or_default()),
                    };
                    out.extend_from_slice(pushed);
                    self.at += taken;
                }
            }
        }
        (!out.is_empty()).then_some(out)
    }

    /// A tag such as `NOPASSWD:`.
    pub(super) fn tag(&mut self) -> Option<&'static [u8]> {
        self.word_before(&TAGS, b':')
    }

    /// An option such as `NOTAFTER=`.
    pub(super) fn option(&mut self) -> Option<&'static [u8]> {
        self.word_before(&OPTIONS, b'=')
    }

    fn word_before(&mut self, words: &[&'static [u8]], end: u8) -> Option<&'static [u8]> {
        let length = word_length(self.rest());
        let raw = self.rest().get(..length)?;
        let word = words.iter().find(|word| **word == raw)?;
        let start = (self.at, self.line);
        self.at += length;
        if self.have(end) {
            return Some(word);
        }
        (self.at, self.line) = start;
        None
    }

    pub(super) fn option_value(&mut self) -> Result<Vec<u8>, Syntax> {
        let value = match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'/') => self.take(path_length(self.rest())),
            _ => self.take(word_length(self.rest())),
        };
        value.ok_or(Syntax("an option lacks its value"))
    }

    /// The name of a default.
    pub(super) fn variable(&mut self) -> Option<Vec<u8>> {
        self.take(self.rest().iter().take_while(|byte| byte.is_ascii_lowercase() || **byte == b'_').count())
    }

    /// `=`, `+=` or `-=`.
    pub(super) fn operator(&mut self) -> bool {
        let length = match self.rest() {
            [b'=', ..] => 1,
            [b'+' | b'-', b'=', ..] => 2,
            _ => 0,
        };
        self.at += length;
        length > 0
    }

    /// The value of a default.
    pub(super) fn value(&mut self) -> Result<Vec<u8>, Syntax> {
        if self.peek() == Some(b'"') {
            return self.quoted().ok_or(Syntax("has a string without an end, or an empty one"));
        }
        self.take(run(self.rest(), b"#=, \t\r\n\\\"")).ok_or(Syntax("a default lacks its value"))
    }
}

/// The length of a run of bytes none of which is among `stops`; a backslash takes the next byte along.
fn run(bytes: &[u8], stops: &[u8]) -> usize {
    let mut length = 0;
    while let Some(byte) = bytes.get(length) {
        match byte {
            b'\\' if bytes.get(length + 1).is_some_and(|next| !b"\t\r\n".contains(next)) => length += 2,
            byte if stops.contains(byte) => break,
            _ => length += 1,
        }
    }
    length.min(bytes.len())
}

/// `WORD` of sudo's lexer.
fn word_length(bytes: &[u8]) -> usize {
    run(bytes, b"#>!=:,() \t\r\n\\\"")
}

/// `PATH` of sudo's lexer.
fn path_length(bytes: &[u8]) -> usize {
    run(bytes, b",:=\\ \t\r\n#")
}

/// `ID` of sudo's lexer: `#` and a number.
fn id_length(bytes: &[u8]) -> usize {
    let Some(after) = bytes.strip_prefix(b"#") else { return 0 };
    let sign = usize::from(after.starts_with(b"-"));
    let digits = after.iter().skip(sign).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 { 0 } else { 1 + sign + digits }
}

fn is_alias(word: &[u8]) -> bool {
    word.first().is_some_and(u8::is_ascii_uppercase)
        && word.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
}

/// A name by its first character.
fn typed(name: Vec<u8>) -> Member {
    match name.as_slice() {
        [b'%', rest @ ..] => Member::Group(rest.to_vec()),
        [b'+', rest @ ..] => Member::Netgroup(rest.to_vec()),
        _ => Member::Word(name),
    }
}

/// Removes backslashes; `\xHH` is a byte.
fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'\\', [b'x', high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or_default();
                out.push(u8::try_from(digit(high) * 16 + digit(low)).unwrap_or_default());
                rest = after;
            }
            (b'\\', [byte, after @ ..]) => {
                out.push(*byte);
                rest = after;
            }
            _ => out.push(*first),
        }
    }
    out
}
