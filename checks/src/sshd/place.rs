//! Where a new value is read before every other: the drop-in directory of an `Include` that comes first, if there is one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::keyword;
use super::lexer::{Lines, argv_split, strdelim};
use super::tree::Configuration;
use crate::snapshot::glob_match;

/// The name of hostward's drop-in.
const NAME: &str = "00-hostward.conf";

impl Configuration {
    /// The drop-in of ours that this sshd would read before every value: the first directive of the main file is an Include whose
    /// pattern takes the name in, and no file that it reads earlier holds anything. None: only the main file itself is sure.
    pub fn drop_in(&self) -> Option<PathBuf> {
        let lines = self.main_lines()?;
        let mut directives = lines.lines.iter().filter_map(|line| directive(line));
        let (word, rest) = directives.next()?;
        let include = word.eq_ignore_ascii_case(b"include")
            && keyword::lookup(&self.build, &word).is_some_and(|(key, _)| key == keyword::Key::Include)
            // 8.2 reads a relative pattern as something else: the main file then.
            && (self.build.version != 802 || rest.first() == Some(&b'/'));
        if !include {
            return None;
        }
        // One pattern: what several of them read first is not told from here.
        let words = argv_split(rest.trim_ascii(), true)?;
        let [pattern] = words.as_slice() else { return None };
        let pattern =
            if pattern.starts_with(b"/") { pattern.clone() } else { [b"/etc/ssh/", pattern.as_slice()].concat() };
        let pattern = Path::new(OsStr::from_bytes(&pattern));
        let (dir, name) = (pattern.parent()?, pattern.file_name()?);
        let special = |bytes: &[u8]| bytes.iter().any(|byte| b"*?[\\".contains(byte));
        if special(dir.as_os_str().as_bytes()) || !glob_match(name.as_bytes(), NAME.as_bytes()) {
            return None;
        }
        let ours = dir.join(NAME);
        let earlier = self.included_by(pattern).filter(|(path, _)| *path < ours.as_path());
        let silent =
            |lines: Option<&Lines>| lines.is_some_and(|lines| lines.lines.iter().all(|line| directive(line).is_none()));
        earlier.map(|(_, lines)| lines).all(silent).then_some(ours)
    }

    /// Whether this sshd reads the file, or would if it were there.
    pub fn reads(&self, path: &Path) -> bool {
        self.files.iter().any(|(file, _)| file == path)
            || self.patterns().any(|pattern| {
                let matches = |pattern: Option<&OsStr>, name: Option<&OsStr>| {
                    pattern.zip(name).is_some_and(|(pattern, name)| glob_match(pattern.as_bytes(), name.as_bytes()))
                };
                pattern.parent() == path.parent() && matches(pattern.file_name(), path.file_name())
            })
    }

    /// Where the first Match block of each file begins: what stands behind it beats every global value while the block holds.
    pub fn blocks(&self) -> Vec<(PathBuf, u32)> {
        let all = self.all_files();
        all.filter_map(|(path, lines)| {
            let first = (1..)
                .zip(&lines.lines)
                .find(|(_, line)| directive(line).is_some_and(|(word, _)| word.eq_ignore_ascii_case(b"match")));
            first.map(|(number, _)| (path.to_path_buf(), number))
        })
        .collect()
    }

    /// Whether a word of the file means the same as a keyword: another case, or an alias.
    pub fn means(&self, word: &[u8], keyword: &str) -> bool {
        let key = |word: &[u8]| keyword::lookup(&self.build, word).map(|(key, _)| key);
        word.eq_ignore_ascii_case(keyword.as_bytes())
            || key(word).is_some_and(|key| Some(key) == self::key(self, keyword))
    }
}

fn key(configuration: &Configuration, word: &str) -> Option<keyword::Key> {
    keyword::lookup(&configuration.build, word.as_bytes()).map(|(key, _)| key)
}

/// The keyword of a line and what follows it; None for an empty line or a comment.
fn directive(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut rest = Some(line.trim_ascii_start().to_vec());
    let word = strdelim(&mut rest, true)?;
    (!word.is_empty() && !word.starts_with(b"#")).then(|| (word, rest.unwrap_or_default()))
}
