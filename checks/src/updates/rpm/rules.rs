//! What dnf and yum were told not to install: `exclude=`, `excludepkgs=`, `includepkgs=`, and the locks of their versionlock plugins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::check::{bytes_text, path_text};
use crate::fact::Why;
use crate::observation::updates::Kept;
use crate::parse::package_version::Evr;
use crate::parse::rpm::conf::{self, Value};
use crate::parse::rpm::spec::{self, EXCLUDED, LOCKED, One, Spec};
use crate::snapshot::{Miss, Reader, glob_match};

const REPOSITORIES: [&str; 2] = ["/etc/yum.repos.d", "/etc/distro.repos.d"];
const DNF5: [&str; 2] = ["/usr/share/dnf5/libdnf.conf.d", "/etc/dnf/libdnf5.conf.d"];
const DNF5_LOCKS: &str = "/etc/dnf/versionlock.toml";

/// Who would install an update. Each has its own configuration; the repositories are the same to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manager {
    /// yum 3.
    Yum,
    /// dnf 4; yum 4 is another name for it.
    Dnf,
    /// dnf 5.
    Dnf5,
}

/// Where a version comes from: who fetched it, and the repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// Whose cache it stands in.
    pub manager: Manager,
    /// The name of the repository.
    pub repository: String,
}

/// What the managers were told.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    told: BTreeMap<Manager, Told>,
    /// What could not be read.
    pub gaps: Vec<(String, Why)>,
}

#[derive(Clone, Debug, Default)]
struct Told {
    main: Selection,
    repositories: BTreeMap<String, Selection>,
    /// Entries of a versionlock plugin; a mark in front turns one round.
    locks: Vec<String>,
    conditions: Vec<Lock>,
}

#[derive(Clone, Debug, Default)]
struct Selection {
    excludes: Vec<String>,
    includes: Vec<String>,
}

/// A lock of dnf 5: all its conditions must hold.
#[derive(Clone, Debug, Default)]
struct Lock {
    /// A name, or a pattern.
    name: String,
    conditions: Vec<[String; 3]>,
}

impl Rules {
    /// Reads the configuration, in every place it may stand.
    pub fn read(reader: &Reader<'_>) -> Self {
        let mut out = Self::default();
        let repositories: Vec<Value> =
            REPOSITORIES.iter().flat_map(|directory| out.directory(reader, directory, ".repo")).collect();
        for (manager, path) in
            [(Manager::Yum, "/etc/yum.conf"), (Manager::Dnf, "/etc/dnf/dnf.conf"), (Manager::Dnf5, "/etc/dnf/dnf.conf")]
        {
            let mut values = out.values(reader, Path::new(path));
            if manager == Manager::Dnf5 {
                values.extend(DNF5.iter().flat_map(|directory| out.directory(reader, directory, ".conf")));
            }
            let main = |key: &str| values.iter().rev().find(|one| one.section == "main" && one.key == key);
            let plugins = main("plugins").map(|one| !conf::is_off(&one.text));
            let mut told = Told::of(values.iter().chain(&repositories));
            match manager {
                // yum's plugins are off unless they are turned on.
                Manager::Yum if plugins == Some(true) => told.locks = out.locks(reader, "/etc/yum/pluginconf.d"),
                Manager::Dnf if plugins != Some(false) => told.locks = out.locks(reader, "/etc/dnf/plugins"),
                Manager::Dnf5 => told.conditions = out.conditions(reader),
                Manager::Yum | Manager::Dnf => {}
            }
            out.told.insert(manager, told);
        }
        out
    }

    fn bytes<'s>(&mut self, reader: &Reader<'s>, path: &Path) -> Option<&'s [u8]> {
        match reader.file(path) {
            Ok(view) => Some(view.bytes),
            Err(Miss::Unreadable(why)) => {
                let gap = (format!("file:{}", path_text(path)), why);
                if !self.gaps.contains(&gap) {
                    self.gaps.push(gap);
                }
                None
            }
            Err(Miss::Absent | Miss::Pending) => None,
        }
    }

    fn values(&mut self, reader: &Reader<'_>, path: &Path) -> Vec<Value> {
        self.bytes(reader, path).map(conf::values).unwrap_or_default()
    }

    fn directory(&mut self, reader: &Reader<'_>, directory: &str, ending: &str) -> Vec<Value> {
        let names = reader.names(Path::new(directory)).unwrap_or_default();
        let files = names.iter().filter(|name| path_text(name.as_path()).ends_with(ending));
        files.flat_map(|name| self.values(reader, &Path::new(directory).join(name))).collect()
    }

    /// The entries of the list that the plugin's configuration names. Without one there is no plugin.
    fn locks(&mut self, reader: &Reader<'_>, plugins: &str) -> Vec<String> {
        let values = self.values(reader, &Path::new(plugins).join("versionlock.conf"));
        let value = |key: &str| values.iter().rev().find(|one| one.section == "main" && one.key == key);
        if value("enabled").is_some_and(|one| conf::is_off(&one.text)) {
            return Vec::new();
        }
        let Some(list) = value("locklist").map(|one| PathBuf::from(&one.text)) else { return Vec::new() };
        let bytes = self.bytes(reader, &list).unwrap_or_default();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#"));
        lines.map(|line| bytes_text(line.trim_ascii())).filter(|line| !line.is_empty()).collect()
    }

    fn conditions(&mut self, reader: &Reader<'_>) -> Vec<Lock> {
        let Some(bytes) = self.bytes(reader, Path::new(DNF5_LOCKS)) else { return Vec::new() };
        let Some(tables) = conf::tables(bytes) else {
            let why = "is not written as dnf writes it: which packages are locked is not known";
            self.gaps.push((format!("file:{DNF5_LOCKS}"), Why::Failed(why.to_owned())));
            return Vec::new();
        };
        let mut locks = Vec::<Lock>::new();
        for table in &tables {
            let value = |wanted: &str| {
                let found = table.values.iter().find(|(key, _)| key == wanted);
                found.map(|(_, text)| text.clone()).unwrap_or_default()
            };
            match table.name.as_str() {
                "packages" => locks.push(Lock { name: value("name"), conditions: Vec::new() }),
                "packages.conditions" => {
                    if let Some(lock) = locks.last_mut() {
                        lock.conditions.push(["key", "comparator", "value"].map(value));
                    }
                }
                _ => {}
            }
        }
        locks
    }

    /// What the rules mean where these are all packages that there are.
    pub fn resolve(&self, all: &[One<'_>]) -> Resolved<'_> {
        Resolved { told: self.told.iter().map(|(manager, told)| (*manager, Meant::of(*manager, told, all))).collect() }
    }
}

impl Told {
    fn of<'v>(values: impl Iterator<Item = &'v Value>) -> Self {
        let (mut out, mut off) = (Self::default(), Vec::<String>::new());
        for one in values {
            let of_main = one.section == "main";
            let selection =
                if of_main { &mut out.main } else { out.repositories.entry(one.section.clone()).or_default() };
            let items = conf::list(&one.text).map(str::to_owned);
            match one.key.as_str() {
                "exclude" | "excludepkgs" => selection.excludes.extend(items),
                "includepkgs" => selection.includes.extend(items),
                "disable_excludes" if of_main => off.extend(items),
                _ => {}
            }
        }
        for name in off {
            match name.as_str() {
                "all" | "*" => out = Self::default(),
                "main" => out.main = Selection::default(),
                _ => drop(out.repositories.remove(&name)),
            }
        }
        out
    }
}

/// Rules, and what each of their patterns means.
#[derive(Debug)]
pub struct Resolved<'r> {
    told: BTreeMap<Manager, Meant<'r>>,
}

#[derive(Debug)]
struct Meant<'r> {
    main: Patterns<'r>,
    repositories: BTreeMap<&'r str, Patterns<'r>>,
    /// Patterns of names that are locked, and the versions that they are locked to.
    names: Vec<&'r str>,
    locked: Vec<Pattern<'r>>,
    never: Vec<Pattern<'r>>,
    conditions: &'r [Lock],
}

#[derive(Debug)]
struct Patterns<'r> {
    excludes: Vec<Pattern<'r>>,
    includes: Vec<Pattern<'r>>,
    /// Only what is included is there.
    only: bool,
}

#[derive(Debug)]
enum Pattern<'r> {
    Yum(&'r str),
    Dnf(Spec<'r>),
}

impl Pattern<'_> {
    fn names(&self, one: &One<'_>) -> bool {
        match self {
            Self::Yum(pattern) => spec::is_yums(pattern, one),
            Self::Dnf(spec) => spec.names(one),
        }
    }
}

fn any(patterns: &[Pattern<'_>], one: &One<'_>) -> bool {
    patterns.iter().any(|pattern| pattern.names(one))
}

impl<'r> Meant<'r> {
    fn of(manager: Manager, told: &'r Told, all: &[One<'_>]) -> Self {
        let pattern = |text: &'r String| match manager {
            Manager::Yum => Some(Pattern::Yum(text)),
            Manager::Dnf | Manager::Dnf5 => Spec::resolve(text, &EXCLUDED, all).map(Pattern::Dnf),
        };
        let patterns = |selection: &'r Selection| Patterns {
            excludes: selection.excludes.iter().filter_map(pattern).collect(),
            includes: selection.includes.iter().filter_map(pattern).collect(),
            only: !selection.includes.is_empty(),
        };
        let repositories = told.repositories.iter().map(|(name, selection)| (name.as_str(), patterns(selection)));
        let (main, repositories) = (patterns(&told.main), repositories.collect());
        let mut out = Self {
            main,
            repositories,
            names: Vec::new(),
            locked: Vec::new(),
            never: Vec::new(),
            conditions: &told.conditions,
        };
        for entry in &told.locks {
            match entry.strip_prefix('!') {
                Some(entry) => out.never.extend(out.lock(manager, entry, all)),
                None => {
                    let pattern = out.lock(manager, entry, all);
                    out.names.extend(names(manager, entry, all));
                    out.locked.extend(pattern);
                }
            }
        }
        out
    }

    fn lock(&self, manager: Manager, entry: &'r str, all: &[One<'_>]) -> Option<Pattern<'r>> {
        match manager {
            Manager::Yum => spec::yums_name(entry).map(|_| Pattern::Yum(entry)),
            Manager::Dnf | Manager::Dnf5 => Spec::resolve(entry, &LOCKED, all).map(Pattern::Dnf),
        }
    }
}

/// The names that an entry locks: dnf counts those of every form that it has tried.
fn names<'r>(manager: Manager, entry: &'r str, all: &[One<'_>]) -> Vec<&'r str> {
    if manager == Manager::Yum {
        return spec::yums_name(entry).into_iter().collect();
    }
    let mut out = Vec::new();
    for spec in LOCKED.iter().filter_map(|form| Spec::read(entry, *form)) {
        out.push(spec.name);
        if all.iter().any(|one| spec.names(one)) {
            break;
        }
    }
    out
}

impl Resolved<'_> {
    /// Why a version from there would not be installed. None: nothing keeps it back.
    pub fn kept(&self, from: &Origin, one: &One<'_>) -> Option<Kept> {
        let told = self.told.get(&from.manager)?;
        let repository = told.repositories.get(from.repository.as_str());
        // Those of a repository count where there are none for all.
        let includes = [Some(&told.main), repository].into_iter().flatten().find(|its| its.only);
        let included = includes.is_none_or(|its| any(&its.includes, one));
        let excluded = any(&told.main.excludes, one) || repository.is_some_and(|its| any(&its.excludes, one));
        if excluded || !included {
            return Some(Kept::Preferences);
        }
        let is_name = |pattern: &str| glob_match(pattern.as_bytes(), one.name.as_bytes());
        let locked = told.names.iter().any(|name| is_name(name)) && !any(&told.locked, one);
        let mut locks = told.conditions.iter().filter(|lock| is_name(&lock.name)).peekable();
        let elsewhere = locks.peek().is_some() && !locks.any(|lock| lock.holds(one));
        (locked || elsewhere || any(&told.never, one)).then_some(Kept::Held)
    }
}

impl Lock {
    fn holds(&self, one: &One<'_>) -> bool {
        self.conditions.iter().all(|[key, comparator, value]| {
            let order = match key.as_str() {
                "evr" => one.evr.order(&evr(value)),
                "epoch" => match value.parse() {
                    Ok(epoch) => one.evr.epoch.cmp(&epoch),
                    Err(_) => return false,
                },
                "arch" => one.arch.cmp(value.as_str()),
                _ => return false,
            };
            match comparator.as_str() {
                "=" | "==" => order.is_eq(),
                "!=" | "<>" => order.is_ne(),
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                ">=" => order.is_ge(),
                _ => false,
            }
        })
    }
}

fn evr(text: &str) -> Evr {
    let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
    let (version, release) = rest.split_once('-').unwrap_or((rest, ""));
    Evr { epoch: epoch.parse().unwrap_or_default(), version: version.to_owned(), release: release.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Sketch;

    /// What the rules of a root make of bash 5.2-2 in `updates`, of which 5.1-1 is installed, and of kernel beside it.
    fn kept(files: &[(&str, &str)], manager: Manager) -> [Option<Kept>; 2] {
        let sketch = files.iter().fold(Sketch::new(), |sketch, (path, text)| sketch.file(path, *text));
        let rules = Rules::read(&Reader::new(&sketch.snapshot()));
        assert_eq!(rules.gaps, []);
        let (old, new) = (evr("5.1-1"), evr("5.2-2"));
        let one = |name, evr| One { name, evr, arch: "x86_64" };
        let all = [one("bash", &old), one("bash", &new), one("kernel", &new), one("kernel-core", &old)];
        let resolved = rules.resolve(&all);
        let from = Origin { manager, repository: "updates".to_owned() };
        [all[1], all[2]].map(|one| resolved.kept(&from, &one))
    }

    const EXCLUDED: [Option<Kept>; 2] = [Some(Kept::Preferences), None];
    const HELD: [Option<Kept>; 2] = [Some(Kept::Held), None];

    #[test]
    fn each_manager_has_its_own_configuration() {
        for (path, text, wanted) in [
            ("/etc/dnf/dnf.conf", "[main]\nexclude=bash\n", [[None, None], EXCLUDED, EXCLUDED]),
            ("/etc/yum.conf", "[main]\nexclude=dash, ba*\n", [EXCLUDED, [None, None], [None, None]]),
            ("/etc/yum.repos.d/a.repo", "[updates]\nexcludepkgs=bash\n[other]\nexclude=kernel\n", [EXCLUDED; 3]),
            ("/etc/yum.repos.d/a.repo", "[updates]\nincludepkgs=kernel\n", [EXCLUDED; 3]),
            ("/etc/yum.repos.d/a.bak", "[updates]\nexclude=bash\n", [[None, None]; 3]),
            ("/etc/dnf/libdnf5.conf.d/a.conf", "[main]\nexcludepkgs=bash\n", [[None, None], [None, None], EXCLUDED]),
            ("/etc/dnf/dnf.conf", "[main]\nexclude=bash\ndisable_excludes=all\n", [[None, None]; 3]),
            ("/etc/dnf/dnf.conf", "[main]\nexclude=bash-5.1*\n", [[None, None]; 3]),
        ] {
            let told = [Manager::Yum, Manager::Dnf, Manager::Dnf5].map(|manager| kept(&[(path, text)], manager));
            assert_eq!(told, wanted, "{path} {text}");
        }
    }

    #[test]
    fn locks_count_where_the_plugin_does() {
        let list = ("/etc/dnf/plugins/versionlock.list", "# x\nbash-0:5.1-1.*\n");
        let conf = |text| ("/etc/dnf/plugins/versionlock.conf", text);
        let on = conf("[main]\nenabled = 1\nlocklist = /etc/dnf/plugins/versionlock.list\n");
        assert_eq!(kept(&[list, on], Manager::Dnf), HELD);
        assert_eq!(kept(&[list, on], Manager::Dnf5), [None, None]);
        assert_eq!(kept(&[list], Manager::Dnf), [None, None]);
        let off = conf("[main]\nenabled = 0\nlocklist = /etc/dnf/plugins/versionlock.list\n");
        assert_eq!(kept(&[list, off], Manager::Dnf), [None, None]);
        assert_eq!(kept(&[list, on, ("/etc/dnf/dnf.conf", "[main]\nplugins=0\n")], Manager::Dnf), [None, None]);
        for (entries, wanted) in [
            ("bash-0:5.2-2.*\n", [None, None]),
            ("bash-5.1-1.*\nbash-5.2*\n", [None, None]),
            ("!bash-0:5.2-2.*\n", HELD),
            ("bash-0:9-9.*\n", HELD),
            ("bash-0:5.1-1.*\nkernel-5.2\n", HELD),
        ] {
            let told = kept(&[("/etc/dnf/plugins/versionlock.list", entries), on], Manager::Dnf);
            assert_eq!(told, wanted, "{entries}");
        }
        let list = ("/etc/yum/pluginconf.d/versionlock.list", "0:bash-5.1-1.*\n");
        let conf =
            ("/etc/yum/pluginconf.d/versionlock.conf", "[main]\nlocklist = /etc/yum/pluginconf.d/versionlock.list\n");
        assert_eq!(kept(&[list, conf], Manager::Yum), [None, None]);
        assert_eq!(kept(&[list, conf, ("/etc/yum.conf", "[main]\nplugins=1\n")], Manager::Yum), HELD);
    }

    #[test]
    fn locks_of_dnf_5_have_conditions() {
        let lock = |conditions: &str| format!("version = \"1.0\"\n[[packages]]\nname = \"bash\"\n{conditions}");
        let condition = |comparator: &str, value: &str| {
            format!("[[packages.conditions]]\nkey = \"evr\"\ncomparator = \"{comparator}\"\nvalue = \"{value}\"\n")
        };
        for (text, wanted) in [
            (lock(&condition("=", "5.1-1")), HELD),
            (lock(&condition("=", "0:5.2-2")), [None, None]),
            (lock(&condition("<", "5.2-2")), HELD),
            (lock(&(condition(">", "5.1-1") + &condition("<=", "5.2-2"))), [None, None]),
            (
                lock(&condition("=", "5.1-1")) + &lock(&condition("=", "5.2-2")).replace("version = \"1.0\"\n", ""),
                [None, None],
            ),
        ] {
            assert_eq!(kept(&[(DNF5_LOCKS, &text)], Manager::Dnf5), wanted, "{text}");
        }
        let sketch = Sketch::new().file(DNF5_LOCKS, "[x]\n");
        assert_eq!(Rules::read(&Reader::new(&sketch.snapshot())).gaps.len(), 1);
    }
}
