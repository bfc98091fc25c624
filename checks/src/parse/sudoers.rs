//! `sudoers(5)`: the rules of one file, as far as they bear on who can become root.
//!
//! Scannerless: which characters a word may hold depends on where it stands, as in sudo's own lexer (`toke.l`). A line that
//! sudo would not parse is a defect and grants nothing; the lines after it count (sudo 1.9.3 and later recover so; older ones
//! refuse to work at all).

use crate::parse::Defect;

mod cursor;
#[cfg(test)]
mod tests;

use cursor::{Cursor, Syntax};

/// What one file says, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sudoers {
    /// The statements in file order.
    pub statements: Vec<Statement>,
}

/// A statement with its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The line, from 1.
    pub line: u32,
    /// What it says.
    pub kind: Kind,
}

/// What a statement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `@include` or `#include`: a file, with `%h` for the host's short name.
    Include(Vec<u8>),
    /// `@includedir` or `#includedir`.
    IncludeDir(Vec<u8>),
    /// `User_Alias NAME = …` and its kin.
    Alias {
        /// Whose list it is.
        family: Family,
        /// Its name, in capitals.
        name: Vec<u8>,
        /// Its members; of a command alias those of [`Member::Command`].
        members: Vec<Entry>,
    },
    /// `Defaults`, for all or bound to some.
    Defaults {
        /// What it is bound to.
        scope: Scope,
        /// Its settings.
        settings: Vec<Setting>,
    },
    /// Who may run what, where, as whom.
    Rule(Rule),
}

/// The four families of aliases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `User_Alias`
    User,
    /// `Runas_Alias`
    Runas,
    /// `Host_Alias`
    Host,
    /// `Cmnd_Alias`, `Cmd_Alias`
    Command,
}

/// What a `Defaults` line is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// `Defaults@`: hosts.
    Hosts(Vec<Entry>),
    /// `Defaults:`: users.
    Users(Vec<Entry>),
    /// `Defaults>`: target users.
    Runas(Vec<Entry>),
    /// `Defaults!`: commands.
    Commands(Vec<Entry>),
}

/// One setting of a `Defaults` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name, e.g. `authenticate`.
    pub name: Vec<u8>,
    /// False where `!` stands before it.
    pub on: bool,
    /// The value after `=`, `+=` or `-=`.
    pub value: Option<Vec<u8>>,
}

/// A member of a list, perhaps negated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `!` an odd number of times.
    pub negated: bool,
    /// The member.
    pub member: Member,
}

/// A member of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// `ALL`
    All,
    /// A word in capitals: an alias where one is defined, else a name.
    Alias(Vec<u8>),
    /// A name, or `#` and an id; of hosts a name or pattern.
    Word(Vec<u8>),
    /// `%group` or `%#gid`, without the percent sign.
    Group(Vec<u8>),
    /// `+netgroup`, without the plus sign.
    Netgroup(Vec<u8>),
    /// An address, or one with a mask.
    Network(Vec<u8>),
    /// A command.
    Command(Command),
}

/// A command of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// A path, a shell pattern, a directory ending in `/`, `sudoedit`, or a regular expression `^…$`.
    pub path: Vec<u8>,
    /// The arguments it is bound to, joined by single blanks; `""` means none at all. None: any.
    pub args: Option<Vec<u8>>,
    /// A digest restricts it (or `ALL`) to known programs.
    pub digest: bool,
}

/// Who may run what, where, as whom: one line with all its host parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The users.
    pub users: Vec<Entry>,
    /// For each list of hosts its commands.
    pub parts: Vec<(Vec<Entry>, Vec<Grant>)>,
    /// The users as written, for messages.
    pub who: String,
}

/// One command specification, with what it inherits from those before it on the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The target users. None: not given.
    pub runas_users: Option<Vec<Entry>>,
    /// Whether target groups are given: without users the command then runs as the invoking user.
    pub runas_groups: bool,
    /// `NOPASSWD` (true), `PASSWD` (false), or neither.
    pub nopasswd: Option<bool>,
    /// `NOTBEFORE`, as written.
    pub not_before: Option<Vec<u8>>,
    /// `NOTAFTER`, as written.
    pub not_after: Option<Vec<u8>>,
    /// The command.
    pub command: Entry,
}

/// Parses one file.
pub fn sudoers(bytes: &[u8]) -> (Sudoers, Vec<Defect>) {
    let (mut file, mut defects) = (Sudoers::default(), Vec::new());
    let mut cursor = Cursor::new(bytes);
    while !cursor.at_end() {
        let bol = cursor.at_bol();
        cursor.blanks();
        let line = cursor.line();
        let mut push = |kind| file.statements.push(Statement { line, kind });
        let read = if bol && cursor.hash_include() {
            include(&mut cursor, &mut push)
        } else if cursor.at_eol() {
            Ok(())
        } else {
            statement(&mut cursor, &mut push)
        };
        let read = read.and_then(|()| {
            cursor.blanks();
            if cursor.at_eol() { Ok(()) } else { Err(Syntax("has something left over at its end")) }
        });
        if let Err(Syntax(what)) = read {
            // All or nothing: sudo takes a rule only with the line feed that ends it.
            while file
                .statements
                .last()
                .is_some_and(|last| last.line == line && !matches!(last.kind, Kind::Alias { .. }))
            {
                file.statements.pop();
            }
            defects.push(Defect { line, what: what.to_owned() });
        }
        cursor.next_line();
    }
    (file, defects)
}

fn include(cursor: &mut Cursor<'_>, push: &mut impl FnMut(Kind)) -> Result<(), Syntax> {
    let dir = cursor.take_include().ok_or(Syntax("is no include"))?;
    cursor.blanks();
    let path = cursor.include_path().ok_or(Syntax("names no file to include"))?;
    push(if dir { Kind::IncludeDir(path) } else { Kind::Include(path) });
    Ok(())
}

fn statement(cursor: &mut Cursor<'_>, push: &mut impl FnMut(Kind)) -> Result<(), Syntax> {
    if cursor.starts_with(b"@include") {
        return include(cursor, push);
    }
    if cursor.keyword(b"Defaults") {
        push(defaults(cursor)?);
        return Ok(());
    }
    const ALIASES: [(&[u8], Family); 5] = [
        (b"User_Alias", Family::User),
        (b"Runas_Alias", Family::Runas),
        (b"Host_Alias", Family::Host),
        (b"Cmnd_Alias", Family::Command),
        (b"Cmd_Alias", Family::Command),
    ];
    if let Some((_, family)) = ALIASES.into_iter().find(|(word, _)| cursor.keyword(word)) {
        return aliases(cursor, family, push);
    }
    push(Kind::Rule(rule(cursor)?));
    Ok(())
}

fn aliases(cursor: &mut Cursor<'_>, family: Family, push: &mut impl FnMut(Kind)) -> Result<(), Syntax> {
    loop {
        cursor.blanks();
        let Some(Member::Alias(name)) = cursor.member() else {
            return Err(Syntax("an alias needs a name in capitals"));
        };
        cursor.want(b'=')?;
        let members = match family {
            Family::User | Family::Runas => list(cursor, Cursor::member)?,
            Family::Host => list(cursor, Cursor::host)?,
            Family::Command => list(cursor, Cursor::command)?,
        };
        push(Kind::Alias { family, name, members });
        if !cursor.have(b':') {
            return Ok(());
        }
    }
}

fn defaults(cursor: &mut Cursor<'_>) -> Result<Kind, Syntax> {
    let scope = match cursor.peek() {
        Some(b'@') => Scope::Hosts(bound(cursor, Cursor::host)?),
        Some(b':') => Scope::Users(bound(cursor, Cursor::member)?),
        Some(b'>') => Scope::Runas(bound(cursor, Cursor::member)?),
        Some(b'!') => Scope::Commands(bound(cursor, Cursor::plain_command)?),
        _ => Scope::All,
    };
    let mut settings = Vec::new();
    loop {
        cursor.blanks();
        let on = !cursor.bangs()?;
        cursor.blanks();
        let name = cursor.variable().ok_or(Syntax("a default needs a name"))?;
        cursor.blanks();
        let value = if cursor.operator() {
            cursor.blanks();
            Some(cursor.value()?)
        } else {
            None
        };
        settings.push(Setting { name, on, value });
        if !cursor.have(b',') {
            return Ok(Kind::Defaults { scope, settings });
        }
    }
}

type Take<'b> = fn(&mut Cursor<'b>) -> Option<Member>;

fn bound<'b>(cursor: &mut Cursor<'b>, member: Take<'b>) -> Result<Vec<Entry>, Syntax> {
    cursor.skip();
    list(cursor, member)
}

/// Members separated by commas, each perhaps negated.
fn list<'b>(cursor: &mut Cursor<'b>, member: Take<'b>) -> Result<Vec<Entry>, Syntax> {
    let mut entries = Vec::new();
    loop {
        entries.push(entry(cursor, member)?);
        if !cursor.have(b',') {
            return Ok(entries);
        }
    }
}

fn entry<'b>(cursor: &mut Cursor<'b>, member: Take<'b>) -> Result<Entry, Syntax> {
    cursor.blanks();
    let negated = cursor.bangs()?;
    cursor.blanks();
    let member = member(cursor).ok_or(Syntax("a list lacks a member"))?;
    Ok(Entry { negated, member })
}

fn rule(cursor: &mut Cursor<'_>) -> Result<Rule, Syntax> {
    let start = cursor.mark();
    let users = list(cursor, Cursor::member)?;
    let who = cursor.since(start);
    let mut parts = Vec::new();
    loop {
        let hosts = list(cursor, Cursor::host)?;
        cursor.want(b'=')?;
        let mut grants: Vec<Grant> = Vec::new();
        loop {
            let grant = grant(cursor, grants.last())?;
            grants.push(grant);
            if !cursor.have(b',') {
                break;
            }
        }
        parts.push((hosts, grants));
        if !cursor.have(b':') {
            return Ok(Rule { users, parts, who });
        }
    }
}

fn grant(cursor: &mut Cursor<'_>, before: Option<&Grant>) -> Result<Grant, Syntax> {
    let mut runas_users = None;
    let mut runas_groups = false;
    if cursor.have(b'(') {
        cursor.blanks();
        // `()` and `(:)` mean the invoking user.
        runas_users =
            Some(if matches!(cursor.peek(), Some(b')' | b':')) { Vec::new() } else { list(cursor, Cursor::member)? });
        if cursor.have(b':') {
            cursor.blanks();
            if cursor.peek() != Some(b')') {
                list(cursor, Cursor::member)?;
                runas_groups = true;
            }
        }
        cursor.want(b')')?;
    }
    let (mut nopasswd, mut not_before, mut not_after) = (None, None, None);
    loop {
        cursor.blanks();
        if let Some(option) = cursor.option() {
            cursor.blanks();
            let value = cursor.option_value()?;
            match option {
                b"NOTBEFORE" => not_before = Some(value),
                b"NOTAFTER" => not_after = Some(value),
                _ => {}
            }
        } else if let Some(tag) = cursor.tag() {
            match tag {
                b"NOPASSWD" => nopasswd = Some(true),
                b"PASSWD" => nopasswd = Some(false),
                _ => {}
            }
        } else {
            break;
        }
    }
    let command = entry(cursor, Cursor::command)?;
    let inherit = |of: fn(&Grant) -> Option<Vec<u8>>| before.and_then(of);
    if runas_users.is_none()
        && let Some(before) = before
    {
        (runas_users, runas_groups) = (before.runas_users.clone(), before.runas_groups);
    }
    Ok(Grant {
        runas_users,
        runas_groups,
        nopasswd: nopasswd.or(before.and_then(|grant| grant.nopasswd)),
        not_before: not_before.or_else(|| inherit(|grant| grant.not_before.clone())),
        not_after: not_after.or_else(|| inherit(|grant| grant.not_after.clone())),
        command,
    })
}
