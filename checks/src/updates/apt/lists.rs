//! Which lists apt keeps, whose they are, and what its configuration says of them. The lists themselves are not read here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::check::path_text;
use crate::fact::Why;
use crate::observation::updates::Archive;
use crate::parse::apt::conf;
use crate::parse::apt::preferences::{self, From, Of, Pin};
use crate::parse::apt::release::{Release, release};
use crate::snapshot::{Miss, Reader};

const LISTS: &str = "/var/lib/apt/lists";
/// dpkg's record of what is installed.
pub const STATUS: &str = "/var/lib/dpkg/status";

/// What is to be read, and by what rules.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    /// dpkg's record, where its links lead. None: it is not there.
    pub status: Option<PathBuf>,
    /// The lists that decide: those of security archives, and the others where the preferences may choose between them.
    pub lists: Vec<List>,
    /// The records of the preferences.
    pub pins: Vec<Pin>,
    /// The archives of security updates.
    pub archives: Vec<Archive>,
    /// What could not be read.
    pub gaps: Vec<(String, Why)>,
}

/// A package list.
#[derive(Clone, Debug)]
pub struct List {
    /// Where it stands, links resolved.
    pub path: PathBuf,
    /// How it is compressed, by the end of its name: `lz4`; empty: not at all.
    pub packed: String,
    release: Release,
    site: String,
    component: String,
}

impl List {
    /// Where its packages come from.
    pub fn from(&self) -> From<'_> {
        From { release: &self.release, site: &self.site, component: &self.component }
    }
}

impl Lists {
    /// Reads apt's directory, its release files, preferences and configuration.
    pub fn read(reader: &Reader<'_>) -> Self {
        let mut out = Self { pins: pins(reader), ..Self::default() };
        match reader.canonical(Path::new(STATUS)) {
            Ok(path) => out.status = Some(path),
            Err(Miss::Absent) => return out,
            Err(miss) => out.gap(STATUS, miss),
        }
        let names: Vec<&str> = match reader.names(Path::new(LISTS)) {
            Ok(names) => names.iter().filter_map(|name| name.to_str()).collect(),
            Err(Miss::Absent) => return out,
            Err(miss) => {
                out.gap(LISTS, miss);
                return out;
            }
        };
        for (prefix, file) in releases(&names) {
            out.archive(reader, prefix, file, &names);
        }
        out
    }

    fn gap(&mut self, path: &str, miss: Miss) {
        if let Miss::Unreadable(why) = miss {
            self.gaps.push((format!("file:{path}"), why));
        }
    }

    fn archive(&mut self, reader: &Reader<'_>, prefix: &str, file: &str, names: &[&str]) {
        let path = format!("{LISTS}/{file}");
        let release = match reader.file(Path::new(&path)) {
            Ok(view) => release(view.bytes),
            Err(miss) => return self.gap(&path, miss),
        };
        let Some(release) = release else {
            self.gaps.push((format!("file:{path}"), Why::Defect("is no release file".to_owned())));
            return;
        };
        let security = release.is_security();
        // Only preferences make it matter what others offer.
        if !security && self.pins.is_empty() {
            return;
        }
        // `host:port_path_dists_…`; a file's address begins with its path.
        let (site, before) = (prefix.split(['_', ':']).next().unwrap_or_default(), self.lists.len());
        for name in names {
            let Some((component, packed)) = name.strip_prefix(prefix).and_then(packages) else { continue };
            let path = format!("{LISTS}/{name}");
            match reader.canonical(Path::new(&path)) {
                Ok(path) => self.lists.push(List {
                    path,
                    packed: packed.to_owned(),
                    release: release.clone(),
                    site: site.to_owned(),
                    component: component.to_owned(),
                }),
                Err(miss) => self.gap(&path, miss),
            }
        }
        if security {
            let name = crate::check::bytes_text(release.name().as_bytes());
            if self.lists.len() == before {
                let why = "apt has its release file and no package list of it".to_owned();
                self.gaps.push((format!("archive:{name}"), Why::Failed(why)));
            }
            self.archives.push(Archive { name, dated: release.date });
        }
    }
}

/// The release files, each once, by the beginning of the names of all files of their archive.
fn releases<'n>(names: &[&'n str]) -> BTreeMap<&'n str, &'n str> {
    let of = |end: &str| {
        let each = names.iter().filter_map(move |name| Some((name.strip_suffix(end)?, *name)));
        each.filter(|(prefix, _)| prefix.is_empty() || prefix.ends_with('_')).collect::<Vec<_>>()
    };
    // The signed one is what apt prefers.
    of("Release").into_iter().chain(of("InRelease")).collect()
}

/// The component of a package list, by the end of its name, and how it is compressed. None: it is no such list.
fn packages(rest: &str) -> Option<(&str, &str)> {
    let (what, packed) = rest.rsplit_once('.').map_or((rest, ""), |(what, packed)| (what, packed));
    if what == "Packages" {
        return Some(("", packed));
    }
    let (component, architecture) = what.strip_suffix("_Packages")?.rsplit_once("_binary-")?;
    (!architecture.contains('_')).then_some((component, packed))
}

fn pins(reader: &Reader<'_>) -> Vec<Pin> {
    let text = |path: &PathBuf| reader.file(path).ok().map(|view| view.bytes);
    let mut configuration = parts(reader, "/etc/apt/apt.conf.d", "conf");
    configuration.push(PathBuf::from("/etc/apt/apt.conf"));
    let values = configuration.iter().filter_map(text).filter_map(|bytes| conf::value(bytes, "APT::Default-Release"));
    let mut pins = Vec::new();
    if let Some(default) = values.last().filter(|default| !default.is_empty()) {
        pins.push(Pin { packages: Vec::new(), of: Of::Release(preferences::release(&default)), priority: 990 });
    }
    let mut files = vec![PathBuf::from("/etc/apt/preferences")];
    files.extend(parts(reader, "/etc/apt/preferences.d", "pref"));
    pins.extend(files.iter().filter_map(text).flat_map(preferences::preferences));
    pins
}

/// The files of a directory that apt reads: those with this ending, and those with none.
fn parts(reader: &Reader<'_>, directory: &str, ending: &str) -> Vec<PathBuf> {
    let names = reader.names(Path::new(directory)).unwrap_or_default();
    let read = names.iter().filter(|name| {
        let text = path_text(name.as_path());
        let ends = text.split_once('.').is_none_or(|_| text.ends_with(&format!(".{ending}")));
        ends && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
    });
    read.map(|name| Path::new(directory).join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Sketch;

    const SECURITY: &str =
        "Origin: Debian\nLabel: Debian-Security\nCodename: trixie-security\nDate: Thu, 01 Jan 1970 00:00:10 UTC\n";

    fn sketch() -> Sketch {
        let list = |name: &str| format!("{LISTS}/deb.example_debian{name}");
        Sketch::new()
            .file(STATUS, "")
            .file(list("-security_dists_trixie-security_InRelease"), SECURITY)
            .file(list("-security_dists_trixie-security_main_binary-amd64_Packages.lz4"), "")
            .file(list("-security_dists_trixie-security_non-free_binary-amd64_Packages"), "")
            .file(list("-security_dists_trixie-security_main_i18n_Translation-en"), "")
            .file(list("_dists_trixie_InRelease"), "Origin: Debian\nCodename: trixie\n")
            .file(list("_dists_trixie_main_binary-amd64_Packages"), "")
            .file(format!("{LISTS}/_srv_repo_._Release"), "Suite: x-security\n")
            .link(format!("{LISTS}/_srv_repo_._Packages"), "/srv/repo/Packages")
            .file("/srv/repo/Packages", "")
    }

    fn read(sketch: Sketch) -> Lists {
        Lists::read(&Reader::new(&sketch.snapshot()))
    }

    #[test]
    fn security_lists_are_found_with_whose_they_are() {
        let lists = read(sketch());
        let brief: Vec<String> = lists
            .lists
            .iter()
            .map(|list| format!("{} {:?} {:?} {}", list.path.display(), list.site, list.component, list.packed))
            .collect();
        let of = |name: &str| format!("{LISTS}/deb.example_debian-security_dists_trixie-security_{name}");
        assert_eq!(
            brief,
            [
                "/srv/repo/Packages \"\" \"\" ".to_owned(),
                of("main_binary-amd64_Packages.lz4 \"deb.example\" \"main\" lz4"),
                of("non-free_binary-amd64_Packages \"deb.example\" \"non-free\" "),
            ]
        );
        let archives: Vec<_> = lists.archives.iter().map(|one| (one.name.as_str(), one.dated)).collect();
        assert_eq!(archives, [("x-security", None), ("trixie-security", Some(10))]);
        assert_eq!(lists.gaps, []);
    }

    #[test]
    fn preferences_make_the_others_matter() {
        for (path, text, more) in [
            ("/etc/apt/preferences.d/a.pref", "Package: *\nPin: release a=x\nPin-Priority: 1\n", 1),
            ("/etc/apt/preferences.d/a.bak", "Package: *\nPin: release a=x\nPin-Priority: 1\n", 0),
            ("/etc/apt/apt.conf.d/90default", "APT::Default-Release \"trixie\";", 1),
            ("/etc/apt/apt.conf", "APT { Default-Release \"\"; };", 0),
        ] {
            let lists = read(sketch().file(path, text));
            assert_eq!((lists.lists.len(), lists.pins.len()), (3 + more, more), "{path}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        assert!(read(Sketch::new()).status.is_none());
        let none = read(Sketch::new().file(STATUS, ""));
        assert!(none.status.is_some() && none.archives.is_empty() && none.gaps.is_empty());
        let bare = Sketch::new().file(STATUS, "").file(format!("{LISTS}/a_InRelease"), SECURITY);
        assert_eq!(read(bare).gaps.len(), 1, "no package list");
        let denied = sketch().unreadable(format!("{LISTS}/a_Release"), Why::Denied);
        assert_eq!(read(denied).gaps, [(format!("file:{LISTS}/a_Release"), Why::Denied)]);
    }
}
