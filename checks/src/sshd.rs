//! sshd's configuration as sshd itself reads it: `sshd_config(5)`, resolved for any connection.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

mod algorithms;
mod build;
mod command_line;
mod criteria;
mod directive;
mod dump;
mod keyword;
mod lexer;
mod listen;
mod options;
mod parse;
pub(crate) mod pattern;
mod place;
mod scalar;
mod tree;

pub use build::{Build, Flavour};
pub use command_line::{CommandLine, DEFAULT_FILE};
pub use criteria::Subject;
pub use tree::{Configuration, Idle, default_file};

/// Cuts the arguments of a line into words as this sshd does; after a quote without its end nothing is left.
pub(crate) fn split_words(build: &Build, text: &str) -> Vec<String> {
    let rest = Some(text.as_bytes().to_vec());
    let args = if build.since(807) { lexer::Args::split(rest) } else { Some(lexer::Args::old(rest)) };
    let mut args = args.unwrap_or_else(|| lexer::Args::old(None));
    std::iter::from_fn(|| args.next_in_list(true)).map(|word| crate::check::bytes_text(&word)).collect()
}

/// Who connects, from where, to where: what Match criteria are tested against (`sshd -T -C`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// The account's name; None: no user given, Match criteria on users and groups do not hold.
    pub user: Option<String>,
    /// Names of all its groups, the primary one too (`getgrouplist(3)`); empty for a user who does not exist.
    pub groups: Vec<String>,
    /// Whether the account exists (`invalid-user` of 9.9).
    pub exists: bool,
    /// Whether it has uid 0, under whatever name.
    pub root: bool,
    /// The client's host name; with `UseDNS no` the address as text.
    pub host: Option<String>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The local address.
    pub local_address: Option<IpAddr>,
    /// The local port.
    pub local_port: Option<u16>,
    /// The routing domain.
    pub rdomain: Option<String>,
}

/// Where a setting's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Compiled into this sshd.
    Default,
    /// An option on the command line, e.g. `-o PermitRootLogin=no`.
    CommandLine(String),
    /// A line of a file.
    Line {
        /// The file, as its Include named it.
        file: PathBuf,
        /// The line, from 1.
        line: u32,
    },
}

/// One effective setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The keyword in lower case, as `sshd -T` of 10.2 and earlier prints it.
    pub keyword: &'static str,
    /// The values, one an output line of `sshd -T`, in its order; empty where it prints none (an unset list).
    pub values: Vec<Value>,
}

/// One output line's value with the line that set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The value as `sshd -T` prints it.
    pub text: String,
    /// The words it is made of: what the printed text may have lost the bounds of (`AuthorizedKeysFile "/a b"`).
    pub words: Vec<String>,
    /// Where it comes from.
    pub origin: Origin,
}

/// sshd would not start with this file, or would refuse every connection; its own kind of message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, where there is one.
    pub line: Option<u32>,
    /// The message, without file and line.
    pub message: String,
    /// Every line that sshd would write before it ends, with file and line as it writes them.
    pub said: Vec<String>,
}

impl Refusal {
    /// A refusal that names no line.
    pub(crate) fn bare(file: &Path, message: &str) -> Self {
        Self { file: file.to_path_buf(), line: None, message: message.to_owned(), said: vec![message.to_owned()] }
    }

    /// A refusal at a line.
    pub(crate) fn at(file: &Path, line: u32, message: &str) -> Self {
        let said = vec![format!("{} line {line} {message}", file.display())];
        Self { file: file.to_path_buf(), line: Some(line), message: message.to_owned(), said }
    }
}

/// All settings that hold for one connection, in the order in which `sshd -T` prints them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    /// The settings, one a keyword.
    pub settings: Vec<Setting>,
}

impl Effective {
    /// A setting by its keyword in lower case. None: this sshd does not know the keyword.
    pub fn setting(&self, keyword: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.keyword == keyword)
    }

    /// The first (for most keywords the only) value.
    pub fn value(&self, keyword: &str) -> Option<&Value> {
        self.setting(keyword)?.values.first()
    }

    /// The first value as text; empty where there is none.
    pub fn text(&self, keyword: &str) -> &str {
        self.value(keyword).map_or("", |value| value.text.as_str())
    }

    /// Whether the value is `yes`.
    pub fn yes(&self, keyword: &str) -> bool {
        self.text(keyword).eq_ignore_ascii_case("yes")
    }

    /// All words of all values.
    pub fn words(&self, keyword: &str) -> Vec<&str> {
        let values = self.setting(keyword).map_or(&[][..], |setting| &setting.values);
        values.iter().flat_map(|value| value.words.iter().map(String::as_str)).collect()
    }

    /// The value as a number (seconds for times).
    pub fn number(&self, keyword: &str) -> Option<i64> {
        self.text(keyword).parse().ok()
    }

    /// The lines of `sshd -T`: keyword in lower case, a space, the value.
    pub fn dump(&self) -> impl Iterator<Item = String> {
        self.settings
            .iter()
            .flat_map(|setting| setting.values.iter().map(|value| format!("{} {}", setting.keyword, value.text)))
    }
}

#[cfg(test)]
mod tests;
