//! What starts with the system: enabled units, and the services of inetd and xinetd.

use std::path::{Path, PathBuf};

use crate::check::bytes_text;
use crate::fact::Why;
use crate::snapshot::{Miss, Reader};

/// Where units stand (`systemd.unit(5)`).
const UNITS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Something that is started, or whose socket is opened, at boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enabled {
    /// The unit's name without suffix and instance, or the service's name.
    pub name: String,
    /// Who starts it: the unit, `init script: NAME`, `inetd: NAME` or `xinetd: NAME`.
    pub by: String,
    /// The link or file that says so.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: Option<u32>,
}

/// Everything that is enabled, as far as links and files tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// In the order in which it was found.
    pub enabled: Vec<Enabled>,
    /// What could not be read.
    pub unread: Vec<(PathBuf, Why)>,
}

impl Services {
    /// Reads `*.wants` and `*.requires` of `/etc/systemd/system`, the runlevels of System V, `inetd.conf`, `xinetd.conf` and `xinetd.d`.
    pub fn read(reader: &Reader<'_>) -> Self {
        let mut out = Self::default();
        for pattern in ["/etc/systemd/system/*.wants/*", "/etc/systemd/system/*.requires/*"] {
            for file in out.glob(reader, pattern) {
                let Some(unit) = file.file_name().map(|name| bytes_text(name.as_encoded_bytes())) else { continue };
                let stem = unit.rsplit_once('.').map_or(unit.as_str(), |(stem, _)| stem);
                let name = stem.split('@').next().unwrap_or(stem).to_owned();
                out.enabled.push(Enabled { name, by: unit, file, line: None });
            }
        }
        out.runlevels(reader);
        let inetd = PathBuf::from("/etc/inetd.conf");
        out.lines(reader, &inetd, |number, words| {
            let name = words.first().filter(|name| !name.starts_with('#'))?;
            let (name, by) = ((*name).to_owned(), format!("inetd: {name}"));
            Some(Enabled { name, by, file: inetd.clone(), line: Some(number) })
        });
        let fragments = out.glob(reader, "/etc/xinetd.d/*");
        for file in [PathBuf::from("/etc/xinetd.conf")].into_iter().chain(fragments) {
            out.xinetd(reader, &file);
        }
        out
    }

    /// What has no unit of its own is started by links to its init script (`systemd-sysv-generator(8)`).
    fn runlevels(&mut self, reader: &Reader<'_>) {
        for file in self.glob(reader, "/etc/rc[2-5].d/S[0-9][0-9]?*") {
            let name = file.file_name().and_then(|name| name.as_encoded_bytes().get(3..)).map(bytes_text);
            let Some(name) = name else { continue };
            let unit = format!("{name}.service");
            if !UNITS.iter().any(|dir| reader.link_meta(&Path::new(dir).join(&unit)).is_ok()) {
                self.enabled.push(Enabled { by: format!("init script: {name}"), name, file, line: None });
            }
        }
    }

    /// A file may hold several services, each in a block (`xinetd.conf(5)`).
    fn xinetd(&mut self, reader: &Reader<'_>, file: &Path) {
        let mut open: Option<Enabled> = None;
        self.lines(reader, file, |number, words| match words {
            ["service", name, ..] => {
                let (name, by) = ((*name).to_owned(), format!("xinetd: {name}"));
                open.replace(Enabled { name, by, file: file.to_path_buf(), line: Some(number) })
            }
            ["disable", "=", "yes", ..] => {
                open = None;
                None
            }
            ["}", ..] => open.take(),
            _ => None,
        });
        self.enabled.extend(open);
    }

    fn glob(&mut self, reader: &Reader<'_>, pattern: &str) -> Vec<PathBuf> {
        let found = reader.glob(Path::new(pattern));
        self.unread.extend(found.unreadable);
        found.paths
    }

    fn lines(&mut self, reader: &Reader<'_>, file: &Path, mut take: impl FnMut(u32, &[&str]) -> Option<Enabled>) {
        match reader.file(file) {
            Ok(view) => {
                for (number, line) in (1..).zip(view.bytes.split(|byte| *byte == b'\n')) {
                    let line = bytes_text(line);
                    self.enabled.extend(take(number, &line.split_whitespace().collect::<Vec<_>>()));
                }
            }
            Err(Miss::Unreadable(why)) => self.unread.push((file.to_path_buf(), why)),
            Err(Miss::Absent | Miss::Pending) => {}
        }
    }
}
