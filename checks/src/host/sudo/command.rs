//! Whether a command of sudoers covers what somebody would run to become root.

use super::odds::Odds;
use crate::parse::sudoers::Command;
use crate::snapshot::glob_match;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// A program of the asker's own choice.
    Anything,
    /// This program with these arguments.
    Program(&'static str, &'static str),
}

/// Programs that give a root shell at once, with the arguments that do.
pub(super) const SHELLS: [Run; 20] = [
    Run::Program("/usr/bin/su", ""),
    Run::Program("/usr/bin/su", "-"),
    Run::Program("/usr/bin/su", "root"),
    Run::Program("/usr/bin/su", "- root"),
    Run::Program("/usr/bin/bash", ""),
    Run::Program("/usr/bin/bash", "-l"),
    Run::Program("/usr/bin/sh", ""),
    Run::Program("/usr/bin/dash", ""),
    Run::Program("/usr/bin/zsh", ""),
    Run::Program("/usr/bin/ksh", ""),
    Run::Program("/usr/bin/env", "bash"),
    Run::Program("/usr/bin/vi", ""),
    Run::Program("/usr/bin/vim", ""),
    Run::Program("/usr/bin/python3", ""),
    Run::Program("/usr/bin/perl", ""),
    Run::Program("/usr/bin/passwd", "root"),
    Run::Program("/usr/bin/passwd", ""),
    Run::Program("/usr/sbin/visudo", ""),
    Run::Program("/usr/sbin/chroot", "/"),
    Run::Program("/usr/bin/nsenter", "-t 1 -m"),
];

impl Run {
    /// The program as it goes into messages.
    pub(super) fn text(self) -> String {
        match self {
            Self::Anything => "ALL".to_owned(),
            Self::Program(path, "") => path.to_owned(),
            Self::Program(path, args) => format!("{path} {args}"),
        }
    }

    /// Whether a command of a rule covers it.
    pub(super) fn covered_by(self, command: &Command) -> Odds {
        let Self::Program(path, args) = self else {
            let whole = [&b"^.*$"[..], b"^.+$", b"^/.*$", b"^/.+$"].contains(&command.path.as_slice());
            return Odds::of(whole && command.args.is_none() && !command.digest);
        };
        if command.digest {
            return Odds::NO;
        }
        let path_odds = match command.path.as_slice() {
            // A regular expression with anything special in it is not worked out.
            [b'^', inner @ .., b'$'] if inner.iter().any(|byte| b"*+?[(|{\\".contains(byte)) => Odds::MAYBE,
            [b'^', inner @ .., b'$'] => Odds::of(merged(inner) == merged(path.as_bytes())),
            [dir @ .., b'/'] => {
                let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                Odds::of(merged(dir) == merged(parent.as_bytes()))
            }
            pattern => Odds::of(path_matches(merged(pattern), merged(path.as_bytes()))),
        };
        let args_match = match command.args.as_deref() {
            None => true,
            Some(b"\"\"") => args.is_empty(),
            Some([b'^', ..]) => return if path_odds == Odds::NO { Odds::NO } else { Odds::MAYBE },
            Some(pattern) => glob_match(pattern, args.as_bytes()),
        };
        if args_match { path_odds } else { Odds::NO }
    }
}

/// A path as it is on a host where `/bin` is a link to `/usr/bin`: sudo compares inodes.
fn merged(path: &[u8]) -> &[u8] {
    match path.strip_prefix(b"/usr") {
        Some(rest) if rest.starts_with(b"/bin") || rest.starts_with(b"/sbin") => rest,
        _ => path,
    }
}

/// `fnmatch(3)` with `FNM_PATHNAME`.
fn path_matches(pattern: &[u8], path: &[u8]) -> bool {
    let (mut patterns, mut parts) = (pattern.split(|byte| *byte == b'/'), path.split(|byte| *byte == b'/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if glob_match(pattern, part) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_covered_as_sudo_matches_them() {
        let su = Run::Program("/usr/bin/su", "-");
        for (path, args, want) in [
            ("/usr/bin/su", None, Odds::YES),
            ("/bin/su", None, Odds::YES),
            ("/bin/su", Some("\"\""), Odds::NO),
            ("/bin/su", Some("-"), Odds::YES),
            ("/bin/su", Some("- oracle"), Odds::NO),
            ("/bin/su", Some("*"), Odds::YES),
            ("/usr/bin/", None, Odds::YES),
            ("/usr/sbin/", None, Odds::NO),
            ("/usr/bin/*", None, Odds::YES),
            ("/*", None, Odds::NO),
            ("/bin/[!s]*", None, Odds::NO),
            ("^/usr/bin/su$", None, Odds::YES),
            ("^/usr/bin/s.*$", None, Odds::MAYBE),
            ("sudoedit", None, Odds::NO),
        ] {
            let command = Command { path: path.into(), args: args.map(Into::into), digest: false };
            assert_eq!(su.covered_by(&command), want, "{path} {args:?}");
            assert_eq!(Run::Anything.covered_by(&command), Odds::NO, "{path}");
        }
        let all = |digest| Command { path: b"^.*$".to_vec(), args: None, digest };
        assert_eq!(Run::Anything.covered_by(&all(false)), Odds::YES);
        assert_eq!(Run::Anything.covered_by(&all(true)), Odds::NO);
    }
}
