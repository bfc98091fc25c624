//! `sysctl.d(5)` and `/etc/sysctl.conf` as systemd-sysctl reads them (`src/sysctl/sysctl.c`).

use crate::check::bytes_text;
use crate::parse::Defect;

/// A line that says something of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The line, from 1.
    pub line: u32,
    /// The path below `/proc/sys`, e.g. `kernel/randomize_va_space`; may hold `*`, `?` and `[…]`.
    pub key: String,
    /// Whether a dash stands in front: a failure to set it is none. systemd before 244 knows no dash, and no such line.
    pub dash: bool,
    /// The value; None: patterns are to leave the setting alone.
    pub value: Option<String>,
}

impl Assignment {
    /// Whether the key is a pattern for several settings.
    pub fn is_pattern(&self) -> bool {
        self.key.contains(['*', '?', '['])
    }
}

/// Parses one file. A line that is no assignment is a defect, and systemd-sysctl goes on behind it.
pub fn sysctl(bytes: &[u8]) -> (Vec<Assignment>, Vec<Defect>) {
    let (mut assignments, mut defects) = (Vec::new(), Vec::new());
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let text = text.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") || text.starts_with(b";") {
            continue;
        }
        // A dash in front: failing to set it is no error; without a value it is an exception from patterns.
        let (dash, body) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
        let equals = body.iter().position(|byte| *byte == b'=');
        let (key, value) = match equals.and_then(|at| Some((body.get(..at)?, body.get(at + 1..)?))) {
            Some((key, value)) => (key, Some(bytes_text(value.trim_ascii()))),
            None if dash => (body, None),
            None => {
                defects.push(Defect { line, what: "is no assignment".to_owned() });
                continue;
            }
        };
        assignments.push(Assignment { line, key: path(&bytes_text(key.trim_ascii())), dash, value });
    }
    (assignments, defects)
}

/// The path of a key: where a dot comes before any slash the two stand for each other (`sysctl_normalize`).
pub fn path(key: &str) -> String {
    if key.find(['.', '/']).is_none_or(|first| key.get(first..=first) == Some("/")) {
        return key.to_owned();
    }
    let turn = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    key.chars().map(turn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(u32, String, Option<String>)> {
        sysctl(text.as_bytes()).0.into_iter().map(|one| (one.line, one.key, one.value)).collect()
    }

    #[test]
    fn lines_are_read_as_systemd_reads_them() {
        let is = |line, key: &str, value: &str| (line, key.to_owned(), Some(value.to_owned()));
        for (text, want) in [
            ("kernel.randomize_va_space = 2", is(1, "kernel/randomize_va_space", "2")),
            ("# a\n; b\n\n  kernel/x=1  ", is(4, "kernel/x", "1")),
            ("-net.ipv4.conf.eth0/1.x=0", is(1, "net/ipv4/conf/eth0.1/x", "0")),
            ("net/ipv4/conf/eth0.1/x=0", is(1, "net/ipv4/conf/eth0.1/x", "0")),
            ("a.b = c = d # e", is(1, "a/b", "c = d # e")),
            ("a.b =", is(1, "a/b", "")),
            ("\tplain\t=\t1\r", is(1, "plain", "1")),
        ] {
            assert_eq!(read(text), [want], "{text:?}");
        }
        assert_eq!(read("-a.b"), [(1, "a/b".to_owned(), None)]);
        let (found, defects) = sysctl(b"what\na.*.b=1\n\xff=\xff\n");
        assert_eq!(defects.iter().map(|defect| defect.line).collect::<Vec<_>>(), [1]);
        assert_eq!(found.iter().map(Assignment::is_pattern).collect::<Vec<_>>(), [true, false]);
    }
}
