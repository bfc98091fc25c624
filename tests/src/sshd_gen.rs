//! Generates sshd configuration trees and connections: mostly right, in every spelling, and some of them wrong.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::rng::Rng;

pub mod keywords;

use keywords::{KEYWORDS, Keyword};

/// The keywords that one version of sshd takes, by their usual spelling.
#[derive(Debug, Clone, Default)]
pub struct Dialect {
    /// Taken outside of Match.
    pub global: BTreeSet<&'static str>,
    /// Taken inside of Match.
    pub in_match: BTreeSet<&'static str>,
    /// `Include` is known.
    pub include: bool,
}

/// One file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path below the tree's directory.
    pub name: String,
    /// Its lines, each without its line feed, which the last one has, too.
    pub lines: Vec<Vec<u8>>,
}

impl File {
    /// The bytes of the file.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| line.iter().chain(b"\n")).copied().collect()
    }
}

/// A configuration: a main file with what it includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The directory, absolute in the root file system, below `/etc/ssh`.
    pub directory: String,
    /// The files; the first is the main one.
    pub files: Vec<File>,
    /// Symbolic links: name below the directory, and target.
    pub links: Vec<(String, String)>,
}

impl Tree {
    /// The main file's path.
    #[must_use]
    pub fn main(&self) -> String {
        format!("{}/sshd_config", self.directory)
    }
}

/// A directory below which a drop-in directory, and a second one, of a tree stand.
const DROP_INS: &str = "d";
const MORE: &str = "more";

/// The accounts that the test's root file system has beside the distribution's: name, uid, primary group, other groups.
pub const ACCOUNTS: &[(&str, u32, &str, &[&str])] = &[
    ("alice", 2001, "alice", &["devs"]),
    ("bob", 2002, "devs", &["ops"]),
    ("carol", 2003, "carol", &[]),
    ("dave", 2004, "ops", &["devs", "alice"]),
    ("toor", 0, "root", &[]),
];

/// Makes trees and connections for one version of sshd.
#[derive(Debug)]
pub struct Generator<'dialect> {
    rng: Rng,
    dialect: &'dialect Dialect,
    /// The keywords that this tree is about: few, so that they meet.
    pool: Vec<&'static Keyword>,
}

impl<'dialect> Generator<'dialect> {
    /// A generator whose trees follow from `seed`.
    #[must_use]
    pub fn new(seed: u64, dialect: &'dialect Dialect) -> Self {
        Self { rng: Rng::new(seed), dialect, pool: Vec::new() }
    }

    /// One configuration in `directory`.
    pub fn tree(&mut self, directory: &str) -> Tree {
        self.fill_pool();
        let mut tree = Tree { directory: directory.to_owned(), files: Vec::new(), links: Vec::new() };
        let includes = self.dialect.include && self.rng.chance(60);
        let length = 1 + self.rng.below(14);
        let main = self.file("sshd_config", length, includes.then_some(directory));
        tree.files.push(main);
        if includes {
            for number in 0..=self.rng.below(3) {
                let name = format!("{DROP_INS}/{}0-{}.conf", self.rng.below(10), number);
                let length = 1 + self.rng.below(6);
                let nests = self.rng.chance(25).then_some(directory);
                let file = self.file(&name, length, nests);
                tree.files.push(file);
            }
            let length = 1 + self.rng.below(5);
            let file = self.file(&format!("{MORE}/extra.conf"), length, None);
            tree.files.push(file);
            match self.rng.below(40) {
                0 => tree.links.push((format!("{DROP_INS}/55-dangling.conf"), "/nonexistent".to_owned())),
                1 => tree.links.push((format!("{DROP_INS}/55-link.conf"), "../more/extra.conf".to_owned())),
                2 => {
                    tree.links.push((format!("{DROP_INS}/55-absolute.conf"), format!("{directory}/{MORE}/extra.conf")))
                }
                3 => tree.links.push((format!("{DROP_INS}/55-directory.conf"), "../more".to_owned())),
                _ => {}
            }
        }
        let first = tree.files.first_mut().and_then(|file| file.lines.first_mut());
        if let Some(line) = first.filter(|_| self.rng.chance(1)) {
            line.splice(0..0, *b"\xef\xbb\xbf");
        }
        tree
    }

    /// A connection for `-C`, or none.
    pub fn connection(&mut self) -> Option<String> {
        const USERS: &[&str] =
            &["alice", "alice", "bob", "bob", "carol", "dave", "root", "root", "toor", "ghost", "ALICE"];
        const HOSTS: &[&str] = &["h1.corp.example", "H1.corp.example", "10.1.2.3", "localhost", "gate", "203.0.113.9"];
        const ADDRESSES: &[&str] = &[
            "10.1.2.3",
            "10.9.9.9",
            "192.168.1.5",
            "203.0.113.9",
            "127.0.0.1",
            "::1",
            "2001:db8::7",
            "::ffff:10.1.1.1",
            "100.64.0.1",
        ];
        if self.rng.chance(8) {
            return None;
        }
        let mut parts = vec![
            format!("user={}", self.rng.pick(USERS)),
            format!("host={}", self.rng.pick(HOSTS)),
            format!("addr={}", self.rng.pick(ADDRESSES)),
        ];
        if self.rng.chance(60) {
            parts.push(format!("laddr={}", self.rng.pick(&["10.0.0.1", "172.31.0.10", "::1", "2001:db8::1"])));
        }
        if self.rng.chance(60) {
            parts.push(format!("lport={}", self.rng.pick(&["22", "2222", "8022"])));
        }
        if self.rng.chance(3) {
            let dropped = self.rng.below(parts.len());
            parts.remove(dropped);
        }
        Some(parts.join(","))
    }

    /// Chooses what the next tree is about; the keywords that open and close doors come first in the table.
    fn fill_pool(&mut self) {
        let known: Vec<&Keyword> =
            KEYWORDS.iter().filter(|keyword| self.dialect.global.contains(keyword.name)).collect();
        let doors: Vec<&Keyword> = known
            .iter()
            .copied()
            .filter(|keyword| {
                const DOORS: &[&str] = &[
                    "Users",
                    "Groups",
                    "Authe",
                    "AuthorizedKeysFile",
                    "Password",
                    "Pubkey",
                    "Root",
                    "Interactive",
                    "Challenge",
                    "PAM",
                ];
                DOORS.iter().any(|door| keyword.name.contains(door))
            })
            .collect();
        self.pool.clear();
        for table in [&doors, &doors, &doors, &doors, &known, &known, &known, &known, &known, &known] {
            let keyword = self.rng.pick(table);
            self.pool.push(keyword);
        }
        if self.rng.chance(6) {
            let all: Vec<&Keyword> = KEYWORDS.iter().collect();
            self.pool.push(self.rng.pick(&all));
        }
    }

    /// A file of some lines, with Match blocks, and with Include where `include` names the tree's directory.
    fn file(&mut self, name: &str, length: usize, include: Option<&str>) -> File {
        let carriage_returns = self.rng.chance(6);
        let mut lines = Vec::new();
        let mut inside = false;
        for _ in 0..length {
            let choice = self.rng.below(100);
            let mut line = match choice {
                0..=14 => {
                    inside = true;
                    self.match_line()
                }
                15..=24 if include.is_some() => self.include_line(include.unwrap_or_default()),
                25..=29 => self.filler(),
                _ => self.setting(inside),
            };
            if carriage_returns {
                line.push(b'\r');
            }
            lines.push(line);
        }
        File { name: name.to_owned(), lines }
    }

    /// A comment, an empty line, or something that looks like them.
    fn filler(&mut self) -> Vec<u8> {
        let line: &[u8] = self.rng.pick(&[
            b"".as_slice(),
            b"# PermitRootLogin yes",
            b"   ",
            b"\t# x",
            b"#",
            b"#PasswordAuthentication no\\",
            b"",
            b"# caf\xc3\xa9 \xff",
        ]);
        line.to_vec()
    }

    /// One keyword with its arguments in some spelling.
    fn setting(&mut self, inside: bool) -> Vec<u8> {
        let mut candidates = self.pool.clone();
        if inside && !self.rng.chance(3) {
            let allowed: Vec<_> =
                candidates.iter().copied().filter(|keyword| self.dialect.in_match.contains(keyword.name)).collect();
            if !allowed.is_empty() {
                candidates = allowed;
            }
        }
        let keyword = self.rng.pick(&candidates);
        let arguments = if self.rng.chance(2) { self.rng.pick(keyword.odd) } else { self.rng.pick(keyword.good) };
        self.spell(keyword.name, arguments)
    }

    /// `Include` of drop-ins, of nothing, of a directory …
    fn include_line(&mut self, directory: &str) -> Vec<u8> {
        let relative = directory.trim_start_matches("/etc/ssh/");
        let arguments = match self.rng.below(16) {
            0..=4 => format!("{directory}/{DROP_INS}/*.conf"),
            5..=7 => format!("{relative}/{DROP_INS}/*.conf"),
            8 => format!("{directory}/{DROP_INS}/[0-4]*.conf {directory}/{MORE}/*.conf"),
            9 => format!("{directory}/{MORE}/extra.conf"),
            10 => format!("\"{directory}/{MORE}/extra.conf\""),
            11 => format!("{directory}/nothing/*.conf"),
            12 => format!("{directory}/nothing.conf"),
            13 => format!("{directory}/m*"),
            14 => format!("{relative}/{MORE}/?xtra.conf"),
            _ => format!("{directory}/{DROP_INS}/* # more"),
        };
        self.spell("Include", &arguments)
    }

    /// A Match line: criteria of every kind, some with a fault.
    fn match_line(&mut self) -> Vec<u8> {
        let mut arguments = String::new();
        if self.rng.chance(10) {
            arguments.push_str("all");
        } else {
            // One criterion mostly, up to three.
            let last = [0, 0, 1, 0, 1, 2];
            for number in 0..=last.get(self.rng.below(last.len())).copied().unwrap_or_default() {
                if number > 0 {
                    arguments.push_str(self.rng.pick(&[" ", " ", "  ", "\t"]));
                }
                let (criterion, values) = self.criterion();
                let separator = if self.rng.chance(4) { "=" } else { " " };
                let _ = write!(arguments, "{criterion}{separator}{values}");
            }
        }
        if self.rng.chance(2) {
            arguments.push_str(self.rng.pick(&[
                " all",
                " User",
                " # comment",
                " #comment",
                " canonical",
                " exec true",
                ",",
            ]));
        }
        self.spell("Match", &arguments)
    }

    fn criterion(&mut self) -> (String, String) {
        let (name, good, odd): (_, &[&str], &[&str]) = match self.rng.below(20) {
            0..=6 => (
                "User",
                &["alice", "bob", "root", "a*", "alice,bob", "*", "?ob", "toor", "*,!root", "!bob,*", "carol"],
                &["!bob", "", ",", "alice,", "\"alice\"", "\"a b\""],
            ),
            7..=9 => (
                "Group",
                &["devs", "ops", "devs,ops", "d*", "*,!devs", "root", "!ops,*", "alice"],
                &["!devs", "nonesuch", "nogroup"],
            ),
            10..=11 => (
                "Host",
                &["*.corp.example", "h1.corp.example", "localhost", "*,!gate", "10.*", "H1*"],
                &["!gate", "10.0.0.0/8"],
            ),
            12..=15 => (
                "Address",
                &[
                    "10.0.0.0/8",
                    "10.0.0.0/8,192.168.0.0/16",
                    "*",
                    "203.0.113.9",
                    "10.*",
                    "!10.1.2.3,10.0.0.0/8",
                    "2001:db8::/32",
                    "127.0.0.1,::1",
                    "192.168.1.?",
                    "0.0.0.0/0",
                    "::/0",
                ],
                &["10.0.0.1/8", "10.0.0.0/33", "!10.0.0.0/8", "10.0.0.0/x", "300.1.1.1", "10/8"],
            ),
            16..=17 => {
                ("LocalAddress", &["10.0.0.1", "172.31.0.0/16", "*", "::1", "!10.0.0.1,*"], &["172.31.0.10/16", "x"])
            }
            18 => ("LocalPort", &["22", "2222"], &["x", "22,2222", "0", "99999"]),
            _ => {
                let (name, values) = match self.rng.below(8) {
                    0 => ("invalid-user", ""),
                    1 => ("RDomain", "vrf1"),
                    2 => ("version", "OpenSSH_*"),
                    3 => ("Nonesuch", "x"),
                    _ => ("User", "dave"),
                };
                return (name.to_owned(), values.to_owned());
            }
        };
        let values = if self.rng.chance(2) { self.rng.pick(odd) } else { self.rng.pick(good) };
        let name = if self.rng.chance(15) { self.recase(name) } else { name.to_owned() };
        (name, values.to_owned())
    }

    /// Writes a keyword with its arguments: with `=`, quotes, comments, odd blanks and odd case, now and then.
    fn spell(&mut self, keyword: &str, arguments: &str) -> Vec<u8> {
        let keyword = if self.rng.chance(15) { self.recase(keyword) } else { keyword.to_owned() };
        let separator =
            if self.rng.chance(12) { self.rng.pick(&["=", " = ", "= ", " =", "\t", "  ", " \t "]) } else { " " };
        let mut arguments = arguments.to_owned();
        if self.rng.chance(5) && !arguments.contains(['"', ' ']) {
            arguments = match self.rng.below(6) {
                0 => format!("'{arguments}'"),
                _ => format!("\"{arguments}\""),
            };
        }
        let mut line = String::new();
        if self.rng.chance(6) {
            line.push_str(self.rng.pick(&[" ", "\t", "    "]));
        }
        let _ = write!(line, "{keyword}{separator}{arguments}");
        if self.rng.chance(6) {
            line.push_str(self.rng.pick(&[" # why", " #why", "\t# \"why", " ", "\t", "  "]));
        }
        let mut line = line.into_bytes();
        if self.rng.chance(1) {
            self.spoil(&mut line);
        }
        line
    }

    /// Puts a fault into a line that only a lexer sees.
    fn spoil(&mut self, line: &mut Vec<u8>) {
        let fault: &[u8] = self.rng.pick(&[
            b"#x".as_slice(),
            b"\"",
            b"'",
            b" trailing",
            b"\\",
            b"\x0c",
            b"\0",
            b"\xc2\xa0",
            b"==",
            b"\\\"",
            b" \"\"",
        ]);
        let at = if self.rng.chance(70) { line.len() } else { self.rng.below(line.len() + 1) };
        line.splice(at..at, fault.iter().copied());
    }

    fn recase(&mut self, word: &str) -> String {
        match self.rng.below(3) {
            0 => word.to_ascii_lowercase(),
            1 => word.to_ascii_uppercase(),
            _ => word
                .chars()
                .map(|c| if self.rng.chance(50) { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
                .collect(),
        }
    }
}
