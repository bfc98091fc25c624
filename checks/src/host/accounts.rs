//! Accounts and groups as the C library of this host would answer for them, with shadow joined.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::fact::Fact;
use crate::parse::Defect;
use crate::parse::login_defs::{self, LoginDefs};
use crate::parse::passwd::{self, GroupEntry, GshadowEntry, Name, PasswdEntry, PasswordField, ShadowEntry};
use crate::snapshot::{Meta, Miss, Reader};

mod elsewhere;
mod known;
#[cfg(test)]
mod tests;

pub use elsewhere::OtherSource;
pub use known::{Vendor, vendor_of};

/// `/etc/passwd`
pub const PASSWD: &str = "/etc/passwd";
/// `/etc/shadow`
pub const SHADOW: &str = "/etc/shadow";
/// `/etc/login.defs`
pub const LOGIN_DEFS: &str = "/etc/login.defs";

/// The account files and their backups, and those of access control (`hosts_access(5)`), those that anybody may read first.
pub const FILES: [&str; 11] = [
    "/etc/hosts.allow",
    "/etc/hosts.deny",
    PASSWD,
    "/etc/passwd-",
    "/etc/group",
    "/etc/group-",
    SHADOW,
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/security/opasswd",
];

/// Everything the files say about accounts.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// Every line of passwd that is an entry, in order, repeated names and uids too.
    pub users: Fact<Vec<User>>,
    /// Every line of group that is an entry, in order.
    pub groups: Fact<Vec<GroupEntry>>,
    /// Every line of gshadow that is an entry, in order.
    pub gshadow: Fact<Vec<GshadowEntry>>,
    /// Whether shadow could be read; its lines stand with the users.
    pub shadow: Fact<ShadowFile>,
    /// Other sources of accounts and groups that nsswitch.conf names and that may hold some: outside what was looked at.
    pub elsewhere: Vec<OtherSource>,
    /// login.defs.
    pub login_defs: Fact<LoginDefs>,
    /// `/etc/shells`, in order. Absent: `/bin/sh` and `/bin/csh` (`getusershell(3)`).
    pub shells: Fact<Vec<PathBuf>>,
    /// Which of `/etc/nologin`, `/run/nologin` and `/var/run/nologin` stand: logins other than root's are refused (`nologin(5)`).
    pub nologin: Fact<Vec<PathBuf>>,
    /// Owner and mode of [`FILES`], links followed.
    pub files: Vec<(&'static str, Fact<Meta>)>,
    /// Lines of the files that are odd, with the file.
    pub defects: Vec<(&'static str, Defect)>,
    index: Index,
}

/// What shadow holds beside the lines of known users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShadowFile {
    /// Lines whose name no passwd line has.
    pub orphans: Vec<(u32, Name)>,
    /// Lines whose name an earlier line has: look-ups never reach them.
    pub repeated: Vec<(u32, Name)>,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its passwd line.
    pub entry: PasswdEntry,
    /// Its shadow line: the first with its name. Absent: shadow has none.
    pub shadow: Fact<ShadowEntry>,
    /// An earlier passwd line has the same name: look-ups by name never reach this one.
    pub hidden_name: bool,
}

/// The password that counts for an account, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Password<'a> {
    /// The field.
    pub field: &'a PasswordField,
    /// The file.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
}

impl User {
    /// The name.
    pub fn name(&self) -> &Name {
        &self.entry.name
    }

    /// The password that login programs compare with: shadow's where passwd says `x` (or `##name`), else passwd's own.
    /// Absent: passwd points to a shadow line that is not there, so that no password is right (`pam_unix`, `passverify.c`).
    pub fn password(&self) -> Fact<Password<'_>> {
        let own = &self.entry.password;
        let shadowed = own.bytes() == b"x" || own.bytes().strip_prefix(b"##") == Some(self.entry.name.bytes());
        if !shadowed {
            return Fact::Known(Password { field: own, file: PASSWD, line: self.entry.line });
        }
        self.shadow.as_ref().map(|shadow| Password { field: &shadow.password, file: SHADOW, line: shadow.line })
    }

    /// The shell that a login runs: an empty field means `/bin/sh`.
    pub fn shell(&self) -> &Path {
        if self.entry.shell.as_os_str().is_empty() { Path::new("/bin/sh") } else { &self.entry.shell }
    }

    /// Whether the shell gives a session: false for `nologin`, `false` and the programs that passwd files of old name in its
    /// place (`sync`, `shutdown`, `halt`).
    pub fn has_login_shell(&self) -> bool {
        const NONE: [&str; 6] = ["nologin", "false", "true", "sync", "shutdown", "halt"];
        let name = self.shell().file_name().and_then(|name| name.to_str());
        !name.is_some_and(|name| NONE.contains(&name))
    }

    /// Whether its uid is 0.
    pub fn is_root(&self) -> bool {
        self.entry.uid == 0
    }
}

/// Where look-ups find their entries: files of many thousand accounts are asked for each of them.
#[derive(Clone, Debug, Default)]
struct Index {
    /// The first user of a name.
    user_names: HashMap<Box<[u8]>, usize>,
    /// The first user with a uid.
    uids: HashMap<u32, usize>,
    /// The first group of a name.
    group_names: HashMap<Box<[u8]>, usize>,
    /// The first group with a gid.
    gids: HashMap<u32, usize>,
    /// The gids of the groups that name a user, in file order.
    memberships: HashMap<Box<[u8]>, Vec<u32>>,
    /// The uids that have a gid as their primary one.
    primaries: HashMap<u32, Vec<u32>>,
}

impl Index {
    fn of(users: &[User], groups: &[GroupEntry]) -> Self {
        let mut index = Self::default();
        for (place, user) in users.iter().enumerate() {
            index.user_names.entry(user.entry.name.bytes().into()).or_insert(place);
            index.uids.entry(user.entry.uid).or_insert(place);
            index.primaries.entry(user.entry.gid).or_default().push(user.entry.uid);
        }
        for (place, group) in groups.iter().enumerate() {
            index.group_names.entry(group.name.bytes().into()).or_insert(place);
            index.gids.entry(group.gid).or_insert(place);
            for member in &group.members {
                index.memberships.entry(member.bytes().into()).or_default().push(group.gid);
            }
        }
        index
    }
}

impl Accounts {
    /// Reads what `/etc` says.
    pub fn read(reader: &Reader<'_>) -> Self {
        let mut defects = Vec::new();
        let passwd = parsed(reader, PASSWD, passwd::passwd, &mut defects);
        let shadow = parsed(reader, SHADOW, passwd::shadow, &mut defects);
        let group = parsed(reader, "/etc/group", passwd::group, &mut defects);
        let gshadow = parsed(reader, "/etc/gshadow", passwd::gshadow, &mut defects);
        let nis = [("passwd", &passwd.nis), ("shadow", &shadow.nis), ("group", &group.nis)];
        let elsewhere = elsewhere::read(reader, &nis);
        let login_defs = match reader.fact(Path::new(LOGIN_DEFS)) {
            // Where a vendor ships its own, /etc only overrides (shadow built with --enable-vendordir).
            Fact::Absent => reader.fact(Path::new("/usr/etc/login.defs")),
            fact => fact,
        };
        let login_defs = login_defs.map(|view| {
            let (defs, odd) = login_defs::login_defs(view.bytes);
            defects.extend(odd.into_iter().map(|defect| (LOGIN_DEFS, defect)));
            defs
        });
        let (users, shadow) = join(passwd.entries, shadow.entries);
        let index =
            Index::of(users.known().map_or(&[], Vec::as_slice), group.entries.known().map_or(&[], Vec::as_slice));
        Self {
            index,
            users,
            groups: group.entries,
            gshadow: gshadow.entries,
            shadow,
            elsewhere,
            login_defs,
            shells: reader.fact(Path::new("/etc/shells")).map(|view| shells(view.bytes)),
            nologin: nologin(reader),
            files: FILES.iter().map(|path| (*path, meta(reader, path))).collect(),
            defects,
        }
    }

    /// The accounts in file order; empty where passwd could not be read (then [`Accounts::users`] says why).
    pub fn list(&self) -> &[User] {
        self.users.known().map_or(&[], Vec::as_slice)
    }

    /// The account of this name, as `getpwnam(3)` finds it: the first.
    pub fn by_name(&self, name: impl AsRef<[u8]>) -> Option<&User> {
        self.list().get(*self.index.user_names.get(name.as_ref())?)
    }

    /// The account with this uid, as `getpwuid(3)` finds it: the first.
    pub fn by_uid(&self, uid: u32) -> Option<&User> {
        self.list().get(*self.index.uids.get(&uid)?)
    }

    /// The group of this name, as `getgrnam(3)` finds it.
    pub fn group(&self, name: impl AsRef<[u8]>) -> Option<&GroupEntry> {
        self.group_list().get(*self.index.group_names.get(name.as_ref())?)
    }

    /// The group with this gid, as `getgrgid(3)` finds it.
    pub fn group_by_gid(&self, gid: u32) -> Option<&GroupEntry> {
        self.group_list().get(*self.index.gids.get(&gid)?)
    }

    /// The groups in file order; empty where group could not be read.
    pub fn group_list(&self) -> &[GroupEntry] {
        self.groups.known().map_or(&[], Vec::as_slice)
    }

    /// The uids of the accounts that have a gid as their primary one, in file order.
    pub fn primary_uids(&self, gid: u32) -> &[u32] {
        self.index.primaries.get(&gid).map_or(&[], Vec::as_slice)
    }

    /// The gids of an account, as `getgrouplist(3)` finds them: the primary first, then every group that names it, each once.
    pub fn gids_of(&self, user: &User) -> Vec<u32> {
        let mut gids = vec![user.entry.gid];
        let mut seen = BTreeSet::from([user.entry.gid]);
        let named = self.index.memberships.get(user.entry.name.bytes()).map_or(&[][..], Vec::as_slice);
        gids.extend(named.iter().copied().filter(|gid| seen.insert(*gid)));
        gids
    }

    /// The names of an account's groups, the primary one too, as sshd and sudo see them: gids turned back into names, so
    /// that of two names for one gid the first counts. Unknown where the group file could not be read.
    pub fn groups_of(&self, user: &User) -> Fact<Vec<Name>> {
        let names = |_: &Vec<GroupEntry>| {
            let gids = self.gids_of(user);
            gids.into_iter().filter_map(|gid| self.group_by_gid(gid)).map(|group| group.name.clone()).collect()
        };
        match &self.groups {
            Fact::Known(groups) => Fact::Known(names(groups)),
            Fact::Absent => Fact::Known(Vec::new()),
            Fact::Unknown(why) => Fact::Unknown(why.clone()),
        }
    }

    /// Debian's rule for group-writable files in a user's care (its sshd's `secure_permissions`): the group has exactly
    /// one member, the file's owner; nobody else has it as the primary group.
    pub fn is_private_group(&self, gid: u32, owner: u32) -> bool {
        let Some(group) = self.group_by_gid(gid) else { return false };
        let Some(user) = self.by_uid(owner) else { return false };
        let primary = self.primary_uids(gid);
        let has_primary = !primary.is_empty();
        let others = primary.iter().any(|uid| *uid != owner);
        let only_it = match group.members.as_slice() {
            [] => has_primary,
            [member] => *member == user.entry.name,
            _ => false,
        };
        only_it && !others
    }

    /// Whether an account of this name exists. Unknown where passwd could not be read, or another source may hold it.
    pub fn exists(&self, name: impl AsRef<[u8]>) -> Fact<bool> {
        match (&self.users, self.by_name(name), self.elsewhere_of("passwd")) {
            (Fact::Unknown(why), ..) => Fact::Unknown(why.clone()),
            (_, Some(_), _) => Fact::Known(true),
            (_, None, Some(source)) => Fact::Unknown(source.why()),
            (_, None, None) => Fact::Known(false),
        }
    }

    /// The first source besides the files that may hold entries of this database (`passwd`, `shadow`, `group`).
    pub fn elsewhere_of(&self, database: &str) -> Option<&OtherSource> {
        self.elsewhere.iter().find(|source| source.database == database)
    }

    /// Whether it is an account for people, by login.defs: its uid lies in `UID_MIN`–`UID_MAX` (1000–60000).
    pub fn is_human(&self, user: &User) -> bool {
        let bound = |key: &str, default: i64| {
            self.login_defs.known().and_then(|defs| defs.number(key)).filter(|n| *n > 0).unwrap_or(default)
        };
        (bound("UID_MIN", 1000)..=bound("UID_MAX", 60000)).contains(&i64::from(user.entry.uid))
    }

    /// Whether it is an account of the system or a service: neither uid 0 nor for people.
    pub fn is_system(&self, user: &User) -> bool {
        !user.is_root() && !self.is_human(user)
    }
}

type Parse<T> = fn(&[u8]) -> (passwd::Table<T>, Vec<Defect>);

/// One file of the passwd family, read.
struct Parsed<T> {
    entries: Fact<Vec<T>>,
    nis: Vec<u32>,
}

fn parsed<T>(
    reader: &Reader<'_>,
    path: &'static str,
    parse: Parse<T>,
    defects: &mut Vec<(&'static str, Defect)>,
) -> Parsed<T> {
    let mut nis = Vec::new();
    let entries = reader.fact(Path::new(path)).map(|view| {
        let (table, odd) = parse(view.bytes);
        defects.extend(odd.into_iter().map(|defect| (path, defect)));
        nis = table.nis_lines;
        table.entries
    });
    Parsed { entries, nis }
}

/// Gives each account the first shadow line with its name.
fn join(passwd: Fact<Vec<PasswdEntry>>, shadow: Fact<Vec<ShadowEntry>>) -> (Fact<Vec<User>>, Fact<ShadowFile>) {
    let mut first: BTreeMap<Name, &ShadowEntry> = BTreeMap::new();
    let mut file = ShadowFile::default();
    for entry in shadow.known().into_iter().flatten() {
        if first.contains_key(&entry.name) {
            file.repeated.push((entry.line, entry.name.clone()));
        } else {
            first.insert(entry.name.clone(), entry);
        }
    }
    let mut names = BTreeSet::new();
    let users = passwd.map(|entries| {
        let user = |entry: PasswdEntry| User {
            shadow: match (&shadow, first.get(&entry.name)) {
                (Fact::Unknown(why), _) => Fact::Unknown(why.clone()),
                (_, Some(line)) => Fact::Known((*line).clone()),
                (_, None) => Fact::Absent,
            },
            hidden_name: !names.insert(entry.name.clone()),
            entry,
        };
        entries.into_iter().map(user).collect()
    });
    file.orphans = first.iter().filter(|(name, _)| !names.contains(*name)).map(|(n, e)| (e.line, n.clone())).collect();
    file.orphans.sort();
    (users, shadow.map(|_| file))
}

/// `/etc/shells` as `getusershell(3)` reads it: from the first slash of a line to a blank or `#`.
fn shells(bytes: &[u8]) -> Vec<PathBuf> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let path = |line: &[u8]| -> Option<PathBuf> {
        let line = line.split(|byte| *byte == b'#').next()?;
        let start = line.iter().position(|byte| *byte == b'/')?;
        let word = line.get(start..)?.split(u8::is_ascii_whitespace).next()?;
        Some(PathBuf::from(OsStr::from_bytes(word)))
    };
    bytes.split(|byte| *byte == b'\n').filter_map(path).collect()
}

fn meta(reader: &Reader<'_>, path: &str) -> Fact<Meta> {
    reader.meta(Path::new(path)).map_or_else(Miss::fact, Fact::Known)
}

fn nologin(reader: &Reader<'_>) -> Fact<Vec<PathBuf>> {
    let mut there = Vec::new();
    for path in ["/etc/nologin", "/run/nologin", "/var/run/nologin"] {
        match reader.meta(Path::new(path)) {
            Ok(_) => there.push(PathBuf::from(path)),
            Err(Miss::Absent) => {}
            Err(miss) => return miss.fact(),
        }
    }
    if there.is_empty() { Fact::Absent } else { Fact::Known(there) }
}
