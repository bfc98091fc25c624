//! What is kept of logs over a reboot, as files tell it: the journal's storage.

use std::path::{Path, PathBuf};

use super::drop_ins::{self, is_last};
use crate::fact::{Fact, Why};
use crate::parse::systemd_unit;
use crate::snapshot::{Miss, Reader};

/// Of the main files the first that is there is read.
const MAIN: [&str; 4] = [
    "/etc/systemd/journald.conf",
    "/run/systemd/journald.conf",
    "/usr/local/lib/systemd/journald.conf",
    "/usr/lib/systemd/journald.conf",
];
const PROGRAMS: [&str; 2] = ["/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald"];

/// What files say of logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// Where the journal is kept. Absent: there is no journald.
    pub journal: Fact<Journal>,
    /// Whether `/var/log/journal` is there.
    pub directory: Fact<()>,
}

/// `journald.conf(5)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// Where it is kept.
    pub storage: Storage,
    /// The file and line that say so; None: that is the default.
    pub place: Option<(PathBuf, u32)>,
    /// Whether `ForwardToSyslog=yes` is written somewhere.
    pub forwards: bool,
    /// Files that are read, in their order.
    files: Vec<PathBuf>,
}

/// `Storage=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// On disk.
    Persistent,
    /// On disk where `/var/log/journal` is there, else in memory.
    Auto,
    /// In memory.
    Volatile,
    /// Nowhere.
    None,
}

impl Storage {
    fn from_word(word: &[u8]) -> Option<Self> {
        match word {
            b"persistent" => Some(Self::Persistent),
            b"auto" => Some(Self::Auto),
            b"volatile" => Some(Self::Volatile),
            b"none" => Some(Self::None),
            _ => None,
        }
    }

    /// The word for it in `journald.conf`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Persistent => "persistent",
            Self::Auto => "auto",
            Self::Volatile => "volatile",
            Self::None => "none",
        }
    }
}

impl Logging {
    /// Reads what there is.
    pub fn read(reader: &Reader<'_>) -> Self {
        let directory = reader.meta(Path::new("/var/log/journal")).map_or_else(Miss::fact, |_| Fact::Known(()));
        Self { journal: Journal::read(reader), directory }
    }
}

impl Journal {
    fn read(reader: &Reader<'_>) -> Fact<Self> {
        let mut programs = PROGRAMS.iter().map(|program| reader.meta(Path::new(program)));
        match programs.find(|found| !matches!(found, Err(Miss::Absent | Miss::Pending))) {
            Some(Ok(_)) => {}
            Some(Err(miss)) => return miss.fact(),
            None => return Fact::Absent,
        }
        let mut out = Self { storage: Storage::Auto, place: None, forwards: false, files: Vec::new() };
        for path in MAIN.map(Path::new) {
            match reader.file(path) {
                Err(Miss::Absent | Miss::Pending) => continue,
                Err(Miss::Unreadable(why)) => return Fact::Unknown(why),
                Ok(view) => {
                    out.defaults(view.bytes);
                    if let Err(why) = out.take(path, view.bytes) {
                        return Fact::Unknown(why);
                    }
                }
            }
            break;
        }
        for drop_in in drop_ins::read(reader, "systemd/journald.conf.d") {
            match drop_in.content.and_then(|bytes| out.take(&drop_in.path, bytes)) {
                Ok(()) => out.files.push(drop_in.path),
                Err(why) => return Fact::Unknown(why),
            }
        }
        Fact::Known(out)
    }

    /// The main file is shipped with every default in a comment, which differs between versions (persistent since 259).
    fn defaults(&mut self, bytes: &[u8]) {
        let word = bytes.split(|byte| *byte == b'\n').find_map(|line| line.trim_ascii().strip_prefix(b"#Storage="));
        self.storage = word.and_then(Storage::from_word).unwrap_or(Storage::Auto);
    }

    fn take(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Why> {
        let (unit, _) = systemd_unit::parse(bytes);
        for line in unit.assignments.iter().filter(|line| line.section == b"Journal") {
            match line.key.as_slice() {
                b"Storage" => match Storage::from_word(&line.value) {
                    Some(storage) => (self.storage, self.place) = (storage, Some((path.to_path_buf(), line.line))),
                    // journald says so and goes on with what it had.
                    None if !line.value.is_empty() => {}
                    None => return Err(Why::Defect("an empty Storage=".to_owned())),
                },
                b"ForwardToSyslog" => self.forwards = systemd_unit::is_true(&line.value),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a drop-in of this name in `/etc/systemd/journald.conf.d` would be read after every other file.
    pub fn is_last(&self, name: &str) -> bool {
        is_last(name, self.files.iter().map(PathBuf::as_path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Sketch;

    fn journal(sketch: Sketch) -> Fact<(Storage, bool)> {
        let snapshot = sketch.file("/usr/lib/systemd/systemd-journald", "").snapshot();
        Logging::read(&Reader::new(&snapshot)).journal.map(|journal| (journal.storage, journal.forwards))
    }

    #[test]
    fn drop_ins_count_after_the_main_file_and_defaults_are_the_versions() {
        let main = |text: &str| Sketch::new().file("/etc/systemd/journald.conf", text);
        for (sketch, storage) in [
            (Sketch::new(), Storage::Auto),
            (main("[Journal]\n#Storage=auto\n"), Storage::Auto),
            (main("[Journal]\n#Storage=persistent\n"), Storage::Persistent),
            (main("[Journal]\n#Storage=persistent\nStorage=volatile\n"), Storage::Volatile),
            (main("[Other]\nStorage=volatile\n"), Storage::Auto),
            (main("[Journal]\nStorage=none\nStorage=sometimes\n"), Storage::None),
            (
                main("[Journal]\nStorage=none\n").file("/usr/lib/systemd/journald.conf", "[Journal]\nStorage=auto"),
                Storage::None,
            ),
            (
                main("[Journal]\nStorage=none\n")
                    .file("/usr/lib/systemd/journald.conf.d/a.conf", "[Journal]\nStorage=auto"),
                Storage::Auto,
            ),
        ] {
            assert_eq!(journal(sketch), Fact::Known((storage, false)));
        }
        let forwards =
            Sketch::new().file("/usr/lib/systemd/journald.conf.d/syslog.conf", "[Journal]\nForwardToSyslog=yes\n");
        assert_eq!(journal(forwards), Fact::Known((Storage::Auto, true)));
        let denied = Sketch::new().unreadable("/etc/systemd/journald.conf.d/x.conf", Why::Denied);
        assert_eq!(journal(denied), Fact::Unknown(Why::Denied));
        assert_eq!(Logging::read(&Reader::new(&Sketch::new().snapshot())).journal, Fact::Absent);
    }
}
