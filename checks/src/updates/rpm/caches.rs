//! Where rpm's database stands, and which advisories dnf and yum have fetched. The files themselves are not read here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::rules::{Manager, Origin};
use crate::check::path_text;
use crate::fact::Why;
use crate::observation::updates::Archive;
use crate::parse::rpm::conf;
use crate::snapshot::{Miss, Reader};

/// What is to be read.
#[derive(Clone, Debug, Default)]
pub struct Caches {
    /// rpm's database. None: there is none.
    pub database: Option<Database>,
    /// The files of advisories.
    pub advisories: Vec<Advisories>,
    /// The archives that have advisories.
    pub archives: Vec<Archive>,
    /// What could not be read.
    pub gaps: Vec<(String, Why)>,
}

/// rpm's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Where it stands, links resolved.
    pub path: PathBuf,
    /// How it is written.
    pub format: Format,
}

/// How a database is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `rpmdb.sqlite`: from rpm 4.16 on.
    Sqlite,
    /// `Packages`: a Berkeley DB hash, as Alibaba Cloud Linux 2 and 3, Anolis 8 and CentOS 7 and 8 have it.
    Berkeley,
}

/// A file of advisories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advisories {
    /// Where it stands, links resolved.
    pub path: PathBuf,
    /// How it is compressed, by the end of its name; empty: not at all.
    pub packed: String,
    /// Where they come from.
    pub from: Origin,
}

const DATABASES: [&str; 2] = ["/var/lib/rpm", "/usr/lib/sysimage/rpm"];
const REPOSITORIES: &str = "/etc/yum.repos.d";

impl Caches {
    /// Looks for the database and the caches.
    pub fn read(reader: &Reader<'_>) -> Self {
        let mut out = Self::default();
        for directory in DATABASES {
            out.database(reader, directory);
        }
        if out.database.is_none() {
            return out;
        }
        let off = disabled(reader);
        for (parent, manager) in [("/var/cache/dnf", Manager::Dnf), ("/var/cache/libdnf5", Manager::Dnf5)] {
            for cache in out.names(reader, Path::new(parent)) {
                // The name of the repository, and sixteen digits of what is known of it.
                let name = path_text(&cache);
                let name = name.rsplit_once('-').map_or(name.as_str(), |(name, _)| name);
                if !off.contains(name) {
                    out.repository(reader, (name, manager), &Path::new(parent).join(&cache).join("repodata"));
                }
            }
        }
        let yum = Path::new("/var/cache/yum");
        for arch in out.names(reader, yum) {
            for release in out.names(reader, &yum.join(&arch)) {
                let parent = yum.join(&arch).join(&release);
                for cache in out.names(reader, &parent) {
                    let name = path_text(&cache);
                    if !off.contains(&name) {
                        out.repository(reader, (&name, Manager::Yum), &parent.join(&cache));
                    }
                }
            }
        }
        out
    }

    fn gap(&mut self, path: &Path, miss: Miss) {
        if let Miss::Unreadable(why) = miss {
            self.gaps.push((format!("file:{}", path_text(path)), why));
        }
    }

    /// The names in a directory; a file has none.
    fn names(&mut self, reader: &Reader<'_>, path: &Path) -> Vec<PathBuf> {
        match reader.names(path) {
            Ok(names) => names.to_vec(),
            Err(Miss::Unreadable(Why::WrongKind(_))) => Vec::new(),
            Err(miss) => {
                self.gap(path, miss);
                Vec::new()
            }
        }
    }

    fn database(&mut self, reader: &Reader<'_>, directory: &str) {
        for (name, format) in [("rpmdb.sqlite", Format::Sqlite), ("Packages", Format::Berkeley)] {
            let path = Path::new(directory).join(name);
            match reader.canonical(&path) {
                Ok(path) if self.database.is_none() => self.database = Some(Database { path, format }),
                Ok(_) | Err(Miss::Absent) => {}
                Err(miss) => self.gap(&path, miss),
            }
        }
        // What was written last stands in a journal beside it, until somebody merges it.
        let journal = Path::new(directory).join("rpmdb.sqlite-wal");
        if reader.meta(&journal).is_ok_and(|meta| meta.size > 0) {
            let why = "the newest changes of rpm's database stand in its journal, which hostward does not read: any rpm command of root's merges it";
            self.gaps.push((format!("file:{}", journal.display()), Why::Failed(why.to_owned())));
        }
        let path = Path::new(directory).join("Packages.db");
        if reader.meta(&path).is_ok() {
            let why = Why::NotAsked("hostward does not read rpm databases of this kind (ndb)");
            self.gaps.push((format!("file:{}", path.display()), why));
        }
    }

    fn repository(&mut self, reader: &Reader<'_>, (name, manager): (&str, Manager), directory: &Path) {
        let (before, mut newest) = (self.advisories.len(), None);
        for file in self.names(reader, directory) {
            let path = directory.join(&file);
            // Whoever asks whether there is something new touches one of them.
            let meta = reader.meta(&path);
            newest = newest.max(meta.ok().map(|meta| meta.mtime_ns));
            let Some((_, packed)) = path_text(&file).split_once("updateinfo.xml").map(|(_, end)| ((), end.to_owned()))
            else {
                continue;
            };
            let packed = packed.trim_start_matches('.').to_owned();
            match reader.canonical(&path) {
                Ok(path) => {
                    let from = Origin { manager, repository: name.to_owned() };
                    self.advisories.push(Advisories { path, packed, from });
                }
                Err(miss) => self.gap(&path, miss),
            }
        }
        if self.advisories.len() > before {
            let dated = newest.and_then(|nanos| i64::try_from(nanos / 1_000_000_000).ok());
            self.archives.push(Archive { name: name.to_owned(), dated });
        }
    }
}

/// The repositories that are turned off: what was fetched of them says nothing.
fn disabled(reader: &Reader<'_>) -> BTreeSet<String> {
    let mut off = BTreeSet::new();
    let names = reader.names(Path::new(REPOSITORIES)).unwrap_or_default();
    for name in names.iter().filter(|name| path_text(name.as_path()).ends_with(".repo")) {
        let Ok(view) = reader.file(&Path::new(REPOSITORIES).join(name)) else { continue };
        for one in conf::values(view.bytes).into_iter().filter(|one| one.key == "enabled") {
            if conf::is_off(&one.text) {
                off.insert(one.section)
            } else {
                off.remove(&one.section)
            };
        }
    }
    off
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Sketch;

    fn read(sketch: Sketch) -> Caches {
        Caches::read(&Reader::new(&sketch.snapshot()))
    }

    fn host() -> Sketch {
        let dnf = "/var/cache/dnf";
        Sketch::new()
            .file("/var/lib/rpm/Packages", "")
            .file(format!("{dnf}/alinux3-updates-0123456789abcdef/repodata/aa-updateinfo.xml.gz"), "")
            .file(format!("{dnf}/alinux3-updates-0123456789abcdef/repodata/repomd.xml"), "")
            .file(format!("{dnf}/alinux3-os-0123456789abcdef/repodata/repomd.xml"), "")
            .file(format!("{dnf}/debug-0123456789abcdef/repodata/bb-updateinfo.xml.gz"), "")
            .file(format!("{dnf}/alinux3-updates-updateinfo.solvx"), "")
            .file("/etc/yum.repos.d/a.repo", "[alinux3-updates]\nenabled=1\n[debug]\nenabled = 0\n")
    }

    #[test]
    fn advisories_of_repositories_in_use_are_found() {
        let caches = read(host());
        let path = PathBuf::from("/var/lib/rpm/Packages");
        assert_eq!(caches.database, Some(Database { path, format: Format::Berkeley }));
        let names: Vec<&str> = caches.archives.iter().map(|archive| archive.name.as_str()).collect();
        assert_eq!((names, caches.advisories.len()), (vec!["alinux3-updates"], 1));
        assert_eq!((caches.advisories[0].packed.as_str(), caches.gaps), ("gz", vec![]));
        let yum = host()
            .file("/var/cache/yum/x86_64/7/updates/cc-updateinfo.xml", "")
            .file("/var/cache/yum/x86_64/7/.gpgkeyschecked.yum", "");
        let yum = read(yum);
        assert_eq!((yum.archives.len(), yum.advisories[1].packed.as_str()), (2, ""));
    }

    #[test]
    fn databases_that_cannot_be_read_whole_are_told() {
        assert_eq!(read(Sketch::new()).database, None);
        let journal = host().file("/var/lib/rpm/rpmdb.sqlite-wal", "x");
        assert_eq!(read(journal).gaps.len(), 1);
        assert_eq!(read(host().file("/var/lib/rpm/rpmdb.sqlite-wal", "")).gaps, []);
        assert_eq!(read(host().file("/var/lib/rpm/Packages.db", "")).gaps.len(), 1);
    }
}
