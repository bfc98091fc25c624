//! What kernel settings the next boot makes: the files of `sysctl.d(5)` in the order in which they are read.

use std::path::{Path, PathBuf};

use super::drop_ins::{self, is_last};
use crate::fact::{Fact, Why};
use crate::parse::sysctl::{Assignment, path, sysctl};
use crate::snapshot::{Miss, Reader, glob_match};

/// Read by procps itself, and by systemd only where a link below `/etc/sysctl.d` leads to it.
const CLASSIC: &str = "/etc/sysctl.conf";
/// Where systemd's own programs are.
const SYSTEMD: [&str; 2] = ["/usr/lib/systemd", "/lib/systemd"];
/// Whether it knows patterns, and a dash in front of a name: 237 of Ubuntu 18.04 knows neither, 245 of Ubuntu 20.04 both. What those in
/// between know (239 of Alibaba Cloud Linux 3) was not tried.
const NEITHER: u32 = 237;
const BOTH: u32 = 245;

/// What the next boot sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    files: Vec<File>,
    /// Whether systemd-sysctl would read patterns, and a dash; None: that is not known.
    modern: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    path: PathBuf,
    lines: Result<Vec<Assignment>, Why>,
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The value, as it stands there.
    pub value: String,
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
}

impl Sysctl {
    /// Reads every file that would be read at boot.
    pub fn read(reader: &Reader<'_>) -> Self {
        let modern = match version(reader) {
            ..=NEITHER => Some(false),
            BOTH.. => Some(true),
            _ => None,
        };
        let mut out = Self { files: Vec::new(), modern };
        let read = |bytes: &[u8]| {
            let mut lines = sysctl(bytes).0;
            lines.retain(|line| modern != Some(false) || !(line.dash || line.is_pattern()));
            lines
        };
        for drop_in in drop_ins::read(reader, "sysctl.d") {
            out.files.push(File { path: drop_in.path, lines: drop_in.content.map(read) });
        }
        if !has_systemd(reader) {
            let path = PathBuf::from(CLASSIC);
            match reader.file(&path) {
                Ok(view) => out.files.push(File { path, lines: Ok(read(view.bytes)) }),
                Err(Miss::Unreadable(why)) => out.files.push(File { path, lines: Err(why) }),
                Err(Miss::Absent | Miss::Pending) => {}
            }
        }
        out
    }

    /// What the next boot sets a key to, e.g. `kernel.randomize_va_space`. Absent: nothing sets it.
    pub fn at_boot(&self, key: &str) -> Fact<Setting> {
        let key = path(key);
        let fits = |line: &Assignment| if line.is_pattern() { matches(&line.key, &key) } else { line.key == key };
        let newer = |line: &Assignment| (line.dash || line.is_pattern()) && fits(line);
        let mut lines = self.files.iter().filter_map(|file| file.lines.as_ref().ok()).flatten();
        if self.modern.is_none() && lines.any(newer) {
            return Fact::Unknown(Why::Defect(
                "not every systemd-sysctl of this age reads a pattern or a dash".to_owned(),
            ));
        }
        // What names the setting counts before patterns do, wherever they stand; else the last counts.
        let mut unread = None;
        for file in self.files.iter().rev() {
            match &file.lines {
                Err(why) => {
                    unread.get_or_insert(why);
                }
                Ok(lines) => {
                    if let Some(last) = lines.iter().rfind(|line| !line.is_pattern() && line.key == key) {
                        return match unread {
                            Some(why) => Fact::Unknown(why.clone()),
                            None => setting(file, last),
                        };
                    }
                }
            }
        }
        if let Some(why) = unread {
            return Fact::Unknown(why.clone());
        }
        let last = self.files.iter().rev().find_map(|file| {
            let lines = file.lines.as_ref().ok()?;
            // An exception that is a pattern itself excepts nothing.
            lines
                .iter()
                .rfind(|line| line.value.is_some() && line.is_pattern() && fits(line))
                .map(|line| setting(file, line))
        });
        last.unwrap_or(Fact::Absent)
    }

    /// Whether a drop-in of this name in `/etc/sysctl.d` would be read after every other file.
    pub fn is_last(&self, name: &str) -> bool {
        let classic = Path::new(CLASSIC);
        let mut paths = self.files.iter().map(|file| file.path.as_path());
        paths.all(|path| path != classic && is_last(name, std::iter::once(path)))
    }
}

fn setting(file: &File, line: &Assignment) -> Fact<Setting> {
    match &line.value {
        Some(value) => Fact::Known(Setting { value: value.clone(), file: file.path.clone(), line: line.line }),
        None => Fact::Absent,
    }
}

/// `glob(3)`: no wildcard stands for a slash.
fn matches(pattern: &str, key: &str) -> bool {
    let (patterns, parts): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), key.split('/').collect());
    let fits = |(pattern, part): (&&str, &&str)| glob_match(pattern.as_bytes(), part.as_bytes());
    patterns.len() == parts.len() && patterns.iter().zip(&parts).all(fits)
}

fn has_systemd(reader: &Reader<'_>) -> bool {
    SYSTEMD.iter().any(|dir| reader.meta(&Path::new(dir).join("systemd-sysctl")).is_ok())
}

/// systemd's version, from the name of its own library; Debian's newer ones keep that elsewhere.
fn version(reader: &Reader<'_>) -> u32 {
    let version = |name: &PathBuf| -> Option<u32> {
        name.to_str()?.strip_prefix("libsystemd-shared-")?.split(['.', '-', '~']).next()?.parse().ok()
    };
    let named = SYSTEMD.iter().filter_map(|dir| reader.names(Path::new(dir)).ok());
    named.flatten().filter_map(version).max().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Sketch;

    fn at_boot(sketch: Sketch, key: &str) -> Fact<String> {
        let snapshot = sketch.snapshot();
        Sysctl::read(&Reader::new(&snapshot))
            .at_boot(key)
            .map(|setting| format!("{} {}:{}", setting.value, setting.file.display(), setting.line))
    }

    fn host() -> Sketch {
        Sketch::new().file("/usr/lib/systemd/systemd-sysctl", "")
    }

    #[test]
    fn the_last_name_counts_and_of_one_name_the_first_directory() {
        let key = "a.b";
        let known = |text: &str| Fact::Known(text.to_owned());
        let files = |list: &[(&str, &str)]| list.iter().fold(host(), |host, (path, text)| host.file(path, text));
        for (list, want) in [
            (
                &[("/usr/lib/sysctl.d/50-x.conf", "a.b=1"), ("/etc/sysctl.d/10-x.conf", "a.b=2")][..],
                known("1 /usr/lib/sysctl.d/50-x.conf:1"),
            ),
            (&[("/usr/lib/sysctl.d/50-x.conf", "a.b=1"), ("/etc/sysctl.d/50-x.conf", "")], Fact::Absent),
            (
                &[("/run/sysctl.d/50-x.conf", "a.b=1"), ("/usr/local/lib/sysctl.d/50-x.conf", "a.b=3")],
                known("1 /run/sysctl.d/50-x.conf:1"),
            ),
            (&[("/lib/sysctl.d/50-x.conf", "a.b=1\n-a/b=2")], known("2 /lib/sysctl.d/50-x.conf:2")),
            (&[("/etc/sysctl.d/x", "a.b=1"), ("/etc/sysctl.d/.x.conf", "a.b=1")], Fact::Absent),
            // systemd reads it through a link only.
            (&[("/etc/sysctl.conf", "a.b=1")], Fact::Absent),
        ] {
            assert_eq!(at_boot(files(list), key), want, "{list:?}");
        }
        let linked = files(&[("/etc/sysctl.conf", "a.b=1"), ("/etc/sysctl.d/98-x.conf", "a.b=2")])
            .link("/etc/sysctl.d/99-sysctl.conf", "../sysctl.conf");
        assert_eq!(at_boot(linked, key), known("1 /etc/sysctl.d/99-sysctl.conf:1"));
        let masked = files(&[("/usr/lib/sysctl.d/50-x.conf", "a.b=1")]).link("/etc/sysctl.d/50-x.conf", "/dev/null");
        assert_eq!(at_boot(masked, key), Fact::Absent);
        let dangling = host().link("/etc/sysctl.d/99-sysctl.conf", "../sysctl.conf");
        assert_eq!(at_boot(dangling, key), Fact::Absent);
        // procps reads it last of all.
        let procps = Sketch::new().file("/etc/sysctl.conf", "a.b=1").file("/etc/sysctl.d/zz.conf", "a.b=2");
        assert_eq!(at_boot(procps, key), known("1 /etc/sysctl.conf:1"));
    }

    #[test]
    fn patterns_count_where_nothing_names_the_setting() {
        let known = |text: &str| Fact::Known(text.to_owned());
        let one = |text: &str| host().file("/etc/sysctl.d/x.conf", text);
        for (text, want) in [
            ("a.*.c=1\na.b.c=2\na.?.c=3", known("2 /etc/sysctl.d/x.conf:2")),
            ("a.*.c=1\na.[b].c=2", known("2 /etc/sysctl.d/x.conf:2")),
            ("a.*=1\n*.c=1", Fact::Absent),
            ("a.*.c=1\n-a.b.c", Fact::Absent),
            ("a.b.c=2\n-a.b.c\na.*.c=1", Fact::Absent),
        ] {
            assert_eq!(at_boot(one(text), "a.b.c"), want, "{text}");
        }
        let old = one("a.*.c=1").file("/lib/systemd/libsystemd-shared-237.so", "");
        assert_eq!(at_boot(old, "a.b.c"), Fact::Absent);
        let between = |text: &str| at_boot(one(text).file("/lib/systemd/libsystemd-shared-239.so", ""), "a.b.c");
        assert!(matches!(between("a.*.c=1"), Fact::Unknown(_)) && matches!(between("-a.b.c=1"), Fact::Unknown(_)));
        assert_eq!(between("a.b.c=1\na.*.d=1"), known("1 /etc/sysctl.d/x.conf:1"));
        let older = one("a.b.c=1\n-a.b.c=2").file("/lib/systemd/libsystemd-shared-237.so", "");
        assert_eq!(at_boot(older, "a.b.c"), known("1 /etc/sysctl.d/x.conf:1"));
        let new = one("a.*.c=1").file("/usr/lib/systemd/libsystemd-shared-252.so", "");
        assert_eq!(at_boot(new, "a.b.c"), known("1 /etc/sysctl.d/x.conf:1"));
    }

    #[test]
    fn a_file_that_cannot_be_read_may_hide_a_value() {
        let host = host().file("/etc/sysctl.d/50.conf", "a.b=1");
        let before = host.clone().unreadable("/etc/sysctl.d/10.conf", Why::Denied);
        assert!(matches!(at_boot(before.clone(), "a.b"), Fact::Known(_)));
        assert_eq!(at_boot(before, "a.c"), Fact::Unknown(Why::Denied));
        assert_eq!(at_boot(host.unreadable("/etc/sysctl.d/60.conf", Why::Denied), "a.b"), Fact::Unknown(Why::Denied));
    }

    #[test]
    fn a_drop_in_of_ours_is_last_where_no_name_comes_behind_it() {
        let last = |sketch: Sketch| Sysctl::read(&Reader::new(&sketch.snapshot())).is_last("zz-hostward.conf");
        let ours = host().file("/etc/sysctl.d/99-x.conf", "").file("/etc/sysctl.d/zz-hostward.conf", "");
        assert!(last(ours));
        assert!(!last(host().file("/usr/lib/sysctl.d/zzz.conf", "")));
        assert!(!last(Sketch::new().file("/etc/sysctl.conf", "")));
    }
}
