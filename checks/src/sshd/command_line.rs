//! The command line of an sshd: which file it reads and what it sets before (`sshd.c:main`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::Origin;
use super::Refusal;
use super::keyword::Key;
use super::options::Item;
use super::parse::Parser;
use super::scalar;

/// The file that an sshd reads unless told otherwise.
pub const DEFAULT_FILE: &str = "/etc/ssh/sshd_config";

/// What a command line says about the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The configuration file.
    pub file: PathBuf,
    /// Options in order: letter and argument (empty for those without one).
    pub options: Vec<(u8, Vec<u8>)>,
}

impl Default for CommandLine {
    fn default() -> Self {
        Self::of_file(DEFAULT_FILE)
    }
}

/// Letters that take an argument.
const WITH_ARGUMENT: &[u8] = b"CEbcfghkopu";

impl CommandLine {
    /// A command line that names only a file.
    pub fn of_file(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), options: Vec::new() }
    }

    /// Takes an argument vector apart as `getopt(3)` does; the program's own name comes first.
    pub fn parse(argv: &[Vec<u8>]) -> Self {
        let mut out = Self::default();
        let mut words = argv.iter().skip(1);
        while let Some(word) = words.next() {
            let Some(mut letters) = word.strip_prefix(b"-").filter(|letters| !letters.is_empty()) else { break };
            if letters == b"-" {
                break;
            }
            while let Some((letter, rest)) = letters.split_first() {
                if !WITH_ARGUMENT.contains(letter) {
                    out.options.push((*letter, Vec::new()));
                    letters = rest;
                    continue;
                }
                let argument = if rest.is_empty() { words.next().cloned().unwrap_or_default() } else { rest.to_vec() };
                if *letter == b'f' {
                    out.file = PathBuf::from(OsStr::from_bytes(&argument));
                } else {
                    out.options.push((*letter, argument));
                }
                break;
            }
        }
        out
    }

    /// Sets what the options set, in their order.
    pub(crate) fn apply(&self, parser: &mut Parser<'_>) -> Result<(), Refusal> {
        for (letter, argument) in &self.options {
            let shown = String::from_utf8_lossy(argument).into_owned();
            let origin = Origin::CommandLine(format!("-{} {shown}", char::from(*letter)).trim_end().to_owned());
            let item = |value: &[u8]| Item { words: vec![value.to_vec()], origin: origin.clone() };
            let refuse = |text: &str| Err(Refusal::bare(&self.file, text));
            match letter {
                b'4' => parser.options.put(Key::AddressFamily, item(b"inet")),
                b'6' => parser.options.put(Key::AddressFamily, item(b"inet6")),
                b'c' => parser.options.push(Key::HostCertificate, item(argument)),
                b'h' => parser.options.push(Key::HostKey, item(argument)),
                b'q' => parser.options.put(Key::LogLevel, item(b"QUIET")),
                b'd' => {
                    let more = match parser.options.text(Key::LogLevel).as_deref() {
                        Some("DEBUG") => "DEBUG2",
                        Some("DEBUG2" | "DEBUG3") => "DEBUG3",
                        _ => "DEBUG",
                    };
                    parser.options.put(Key::LogLevel, item(more.as_bytes()));
                }
                b'g' => match scalar::seconds(parser.build, argument) {
                    Some(value) => parser.options.put(Key::LoginGraceTime, item(value.to_string().as_bytes())),
                    None => return refuse("Invalid login grace time."),
                },
                b'p' => {
                    parser.options.ports_from_command_line = true;
                    match scalar::port(parser.build, &parser.around.services, argument) {
                        Some(port) if port > 0 => parser.options.push(Key::Port, item(port.to_string().as_bytes())),
                        _ => return refuse("Bad port number."),
                    }
                }
                b'o' => parser.option(argument)?,
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_arguments_are_taken_as_getopt_takes_them() {
        let argv = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        let line = CommandLine::parse(&argv(&[
            "/usr/sbin/sshd",
            "-Dp2222",
            "-o",
            "PermitRootLogin=no",
            "-f/x",
            "-4",
            "rest",
            "-6",
        ]));
        assert_eq!(line.file, PathBuf::from("/x"));
        let options: Vec<(char, String)> = line
            .options
            .iter()
            .map(|(letter, argument)| (char::from(*letter), String::from_utf8(argument.clone()).unwrap()))
            .collect();
        assert_eq!(
            options,
            [('D', String::new()), ('p', "2222".into()), ('o', "PermitRootLogin=no".into()), ('4', String::new())]
        );
        assert_eq!(CommandLine::parse(&argv(&["sshd"])).file, PathBuf::from(DEFAULT_FILE));
    }
}
