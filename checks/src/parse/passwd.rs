//! The passwd family as glibc reads it: `passwd(5)`, `shadow(5)`, `group(5)`, `gshadow(5)`.
//!
//! The rules are those of glibc's `files` service (`nss/nss_files`): leading blanks are skipped, `#` opens a comment line, a NUL
//! ends the line, numbers are read by `strtoul(3)` and must fit 32 bits, the last fields may be missing, and a line whose
//! numbers do not parse is no entry at all. Other tools are stricter; what sshd, sudo and PAM see is this.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::check::bytes_text;
use crate::parse::Defect;

#[cfg(test)]
mod tests;

/// The name of an account or group: bytes, as hostile as whoever wrote the file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// A name of these bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().into())
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As text: bytes that are no UTF-8 become `\xNN`. Control characters stay; they are escaped on output.
    pub fn text(&self) -> Cow<'_, str> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(bytes_text(&self.0)),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

/// The second field of passwd or shadow. A secret: it is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordField(Box<[u8]>);

impl PasswordField {
    /// A field of these bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().into())
    }

    /// The bytes. Never to be shown, logged or kept.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// No password is wanted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// No password can match: `*`, `!`, or a hash put out of use by `!` in front (`crypt(5)`: no method begins so).
    pub fn is_locked(&self) -> bool {
        self.0.starts_with(b"!") || self.0.starts_with(b"*")
    }

    /// The field begins with `!`: an sshd with `UsePAM no` then refuses keys too (`auth.c`, `LOCKED_PASSWD_PREFIX`).
    pub fn is_bang_locked(&self) -> bool {
        self.0.starts_with(b"!")
    }

    /// What a password is compared with; None where it is empty or locked.
    pub fn hash(&self) -> Option<&[u8]> {
        (!self.is_empty() && !self.is_locked()).then_some(&self.0)
    }

    /// The hash behind the lock, where one was kept (`usermod -L`, `passwd -l`).
    pub fn hash_behind_lock(&self) -> Option<&[u8]> {
        let start = self.0.iter().position(|byte| *byte != b'!')?;
        let rest = self.0.get(start..)?;
        (start > 0 && !rest.is_empty() && !rest.starts_with(b"*")).then_some(rest)
    }
}

impl fmt::Debug for PasswordField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.is_empty(), self.is_locked()) {
            (true, _) => "(empty)",
            (_, true) => "(locked)",
            _ => "(hash)",
        })
    }
}

/// A line of `passwd(5)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswdEntry {
    /// The line, from 1.
    pub line: u32,
    /// The login name.
    pub name: Name,
    /// `x`: look into shadow. Anything else is the password itself.
    pub password: PasswordField,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Real name and the like.
    pub gecos: Vec<u8>,
    /// Home directory; may be empty.
    pub home: PathBuf,
    /// The shell as written; empty means `/bin/sh`.
    pub shell: PathBuf,
}

/// A line of `shadow(5)`. Days are days since 1970-01-01; None is an empty field: not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowEntry {
    /// The line, from 1.
    pub line: u32,
    /// The login name.
    pub name: Name,
    /// The hash, `!…`, `*`, or empty.
    pub password: PasswordField,
    /// Day of the last change; 0: must be changed at the next login.
    pub last_change: Option<i64>,
    /// Days before it may be changed again.
    pub min: Option<i64>,
    /// Days after which it must be changed.
    pub max: Option<i64>,
    /// Days of warning before.
    pub warn: Option<i64>,
    /// Days after expiry during which it is still accepted.
    pub inactive: Option<i64>,
    /// Day on which the account expires.
    pub expire: Option<i64>,
}

/// A line of `group(5)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEntry {
    /// The line, from 1.
    pub line: u32,
    /// The group's name.
    pub name: Name,
    /// `x`: look into gshadow. Anything else is the password itself.
    pub password: PasswordField,
    /// Group id.
    pub gid: u32,
    /// Members, as written. Accounts whose primary group it is are not named here.
    pub members: Vec<Name>,
}

/// A line of `gshadow(5)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GshadowEntry {
    /// The line, from 1.
    pub line: u32,
    /// The group's name.
    pub name: Name,
    /// Who knows it may join by `newgrp(1)`; empty: members only.
    pub password: PasswordField,
    /// Who may change members and password.
    pub admins: Vec<Name>,
    /// Members who need no password.
    pub members: Vec<Name>,
}

/// A file of the family: its entries, and the lines that hand over to NIS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<T> {
    /// The entries in file order, repeated names too: look-ups take the first.
    pub entries: Vec<T>,
    /// Lines that begin with `+` or `-`: the `compat` service asks NIS for them, `files` skips them.
    pub nis_lines: Vec<u32>,
}

/// Parses `passwd(5)`.
pub fn passwd(bytes: &[u8]) -> (Table<PasswdEntry>, Vec<Defect>) {
    table(bytes, |line, fields| {
        Some(PasswdEntry {
            line,
            name: Name::new(fields.text()),
            password: PasswordField::new(fields.text()),
            uid: fields.number()?,
            gid: fields.number()?,
            gecos: fields.text().to_vec(),
            home: path(fields.text()),
            shell: path(fields.rest),
        })
    })
}

/// Parses `shadow(5)`. A line that ends before the sixth field is no entry, as for `getspnam(3)`.
pub fn shadow(bytes: &[u8]) -> (Table<ShadowEntry>, Vec<Defect>) {
    table(bytes, |line, fields| {
        let (name, password) = (Name::new(fields.text()), PasswordField::new(fields.text()));
        let (last_change, min, max) = (fields.days()?, fields.days()?, fields.days()?);
        // The old form of the line ends here; the new one has all its colons.
        let (warn, inactive, expire) =
            if fields.at_end() { (None, None, None) } else { (fields.days()?, fields.days()?, fields.days()?) };
        Some(ShadowEntry { line, name, password, last_change, min, max, warn, inactive, expire })
    })
}

/// Parses `group(5)`.
pub fn group(bytes: &[u8]) -> (Table<GroupEntry>, Vec<Defect>) {
    table(bytes, |line, fields| {
        Some(GroupEntry {
            line,
            name: Name::new(fields.text()),
            password: PasswordField::new(fields.text()),
            gid: fields.number()?,
            members: names(fields.rest),
        })
    })
}

/// Parses `gshadow(5)`.
pub fn gshadow(bytes: &[u8]) -> (Table<GshadowEntry>, Vec<Defect>) {
    table(bytes, |line, fields| {
        Some(GshadowEntry {
            line,
            name: Name::new(fields.text()),
            password: PasswordField::new(fields.text()),
            admins: names(fields.text()),
            members: names(fields.rest),
        })
    })
}

fn table<'b, T>(bytes: &'b [u8], parse: impl Fn(u32, &mut Fields<'b>) -> Option<T>) -> (Table<T>, Vec<Defect>) {
    let mut table = Table { entries: Vec::new(), nis_lines: Vec::new() };
    let mut defects = Vec::new();
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let mut defect = |what: &str| defects.push(Defect { line, what: what.to_owned() });
        let cut = text.iter().position(|byte| *byte == 0);
        if cut.is_some() {
            defect("holds a NUL byte, which ends the line for those who read it");
        }
        let text = skip_blanks(text.get(..cut.unwrap_or(text.len())).unwrap_or(text));
        match text.first() {
            None | Some(b'#') => {}
            Some(b'+' | b'-') => table.nis_lines.push(line),
            Some(first) => {
                if *first == b':' {
                    defect("has an empty name");
                }
                match parse(line, &mut Fields { rest: text }) {
                    Some(entry) => table.entries.push(entry),
                    None => defect("is no entry: a field is missing or is no number"),
                }
            }
        }
    }
    (table, defects)
}

/// What is left of a line, taken apart at colons.
struct Fields<'b> {
    rest: &'b [u8],
}

impl<'b> Fields<'b> {
    /// The next field; empty past the end.
    fn text(&mut self) -> &'b [u8] {
        match self.rest.iter().position(|byte| *byte == b':').and_then(|at| self.rest.split_at_checked(at)) {
            Some((field, rest)) => {
                self.rest = rest.get(1..).unwrap_or_default();
                field
            }
            None => std::mem::take(&mut self.rest),
        }
    }

    /// `INT_FIELD`: a number, which must be there.
    fn number(&mut self) -> Option<u32> {
        strtou32(self.text())
    }

    /// `INT_FIELD_MAYBE_NULL`: a number or nothing, while the line goes on.
    fn days(&mut self) -> Option<Option<i64>> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.text();
        if field.is_empty() {
            return Some(None);
        }
        // glibc casts to int: 4294967295 is −1, "not set".
        let days = i64::from(strtou32(field)?.cast_signed());
        Some((days != -1).then_some(days))
    }

    fn at_end(&mut self) -> bool {
        self.rest = skip_blanks(self.rest);
        self.rest.is_empty()
    }
}

/// `strtoul(3)` in base 10 on 64 bits; the whole field must be a number, and one that 32 bits do not hold is none (seen with
/// `getent` of glibc 2.27 to 2.43).
fn strtou32(field: &[u8]) -> Option<u32> {
    let field = skip_blanks(field);
    let (negative, digits) = match field.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, field),
    };
    let value = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    let value: u64 = value.parse().ok()?;
    u32::try_from(if negative { value.wrapping_neg() } else { value }).ok()
}

/// `isspace(3)` in the C locale.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// What is left behind leading blanks, which the C library skips.
pub(crate) fn skip_blanks(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !is_blank(*byte)).unwrap_or(bytes.len());
    bytes.get(start..).unwrap_or_default()
}

/// A list of names: leading blanks of each skipped, empty ones dropped.
fn names(list: &[u8]) -> Vec<Name> {
    list.split(|byte| *byte == b',').map(skip_blanks).filter(|name| !name.is_empty()).map(Name::new).collect()
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}
