//! rpm's database held against the advisories that dnf and yum have fetched.

pub mod caches;
pub mod rules;

use std::collections::{BTreeMap, HashMap};

use rules::{Origin, Rules};

use crate::observation::updates::{Kept, Pending};
use crate::parse::package_version::Evr;
use crate::parse::rpm::header::Package;
use crate::parse::rpm::spec::One;
use crate::parse::rpm::updateinfo::Mended;

/// What is installed, by name and architecture; of several versions the newest, as of kernels there are.
#[derive(Debug, Default)]
pub struct Packages {
    installed: HashMap<(String, String), Package>,
    /// The versions that are newer.
    newer: BTreeMap<(String, String), Vec<Newer>>,
    rules: Rules,
}

/// A version that is newer than the installed one.
#[derive(Debug, PartialEq, Eq)]
struct Newer {
    evr: Evr,
    from: Origin,
    /// The advisory, where it is about security.
    advisory: Option<String>,
}

impl Packages {
    /// Nothing yet; what keeps updates back are these rules.
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// A package that is installed.
    pub fn installed(&mut self, package: Package) {
        let key = (package.name.clone(), package.arch.clone());
        match self.installed.get(&key) {
            Some(known) if known.evr.order(&package.evr).is_ge() => {}
            _ => {
                self.installed.insert(key, package);
            }
        }
    }

    /// How many packages are installed.
    pub fn count(&self) -> usize {
        self.installed.len()
    }

    /// A version that an advisory names. One of a module is for those who have that stream of it installed, and for nobody else.
    pub fn mended(&mut self, one: &Mended, from: &Origin) {
        let key = (one.name.clone(), one.arch.clone());
        let Some(installed) = self.installed.get(&key) else { return };
        if installed.module != one.module || installed.evr.order(&one.evr).is_ge() {
            return;
        }
        let advisory = one.security.then(|| one.advisory.clone());
        let (newer, one) =
            (self.newer.entry(key).or_default(), Newer { evr: one.evr.clone(), from: from.clone(), advisory });
        if !newer.contains(&one) {
            newer.push(one);
        }
    }

    /// The packages of which an advisory about security names a newer version, by source and name.
    pub fn pending(&self) -> Vec<Pending> {
        let installed = self.installed.values().map(|package| of(package, &package.evr));
        let newer = self.newer.iter().filter_map(|(key, newer)| Some((self.installed.get(key)?, newer)));
        let newer = newer.flat_map(|(package, newer)| newer.iter().map(move |one| of(package, &one.evr)));
        let all: Vec<One<'_>> = installed.chain(newer).collect();
        let rules = self.rules.resolve(&all);
        let each = self.newer.iter().filter_map(|(key, newer)| {
            let installed = self.installed.get(key)?;
            let security = newer.iter().filter(|one| one.advisory.is_some());
            let newest = security.clone().map(|one| &one.evr).max_by(|one, other| one.order(other))?;
            let mut advisories: Vec<String> = Vec::new();
            for advisory in security.filter_map(|one| one.advisory.as_ref()) {
                if !advisories.contains(advisory) {
                    advisories.push(advisory.clone());
                }
            }
            // Whatever is as new mends it as well.
            let as_new = newer.iter().filter(|one| one.evr.order(newest).is_ge());
            let kept = as_new.map(|one| rules.kept(&one.from, &of(installed, &one.evr)));
            // Nothing, or else a lock, which says more than an exclusion.
            let kept = kept.min_by_key(|kept| kept.map_or(0, |kept| if kept == Kept::Held { 1 } else { 2 }));
            Some(Pending {
                source: installed.source.as_ref().unwrap_or(&installed.name).clone(),
                package: installed.name.clone(),
                installed: installed.evr.text(),
                available: newest.text(),
                kept: kept.flatten(),
                advisories,
            })
        });
        let mut pending: Vec<Pending> = each.collect();
        pending.sort();
        pending
    }
}

fn of<'p>(package: &'p Package, evr: &'p Evr) -> One<'p> {
    One { name: &package.name, evr, arch: &package.arch }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evr(text: &str) -> Evr {
        let (version, release) = text.split_once('-').unwrap();
        Evr { epoch: 0, version: version.to_owned(), release: release.to_owned() }
    }

    fn package(name: &str, version: &str, module: Option<&str>) -> Package {
        let module = module.map(str::to_owned);
        Package { name: name.to_owned(), evr: evr(version), arch: "x86_64".to_owned(), module, source: None }
    }

    fn mended(name: &str, version: &str, advisory: &str, module: Option<&str>) -> Mended {
        let (name, arch, advisory) = (name.to_owned(), "x86_64".to_owned(), advisory.to_owned());
        Mended { advisory, name, evr: evr(version), arch, module: module.map(str::to_owned), security: true }
    }

    fn origin() -> Origin {
        Origin { manager: rules::Manager::Dnf, repository: "updates".to_owned() }
    }

    #[test]
    fn what_is_excluded_is_kept_back_unless_something_as_new_is_not() {
        let told = |text: &str, bugfix: Option<&str>| {
            let sketch = crate::snapshot::Sketch::new().file("/etc/dnf/dnf.conf", text);
            let mut packages = Packages::new(Rules::read(&crate::snapshot::Reader::new(&sketch.snapshot())));
            packages.installed(package("bash", "4.4-1", None));
            packages.mended(&mended("bash", "4.4-2", "SA-1", None), &origin());
            packages.mended(&mended("bash", "4.4-3", "SA-2", None), &origin());
            if let Some(version) = bugfix {
                let one = Mended { security: false, ..mended("bash", version, "BA-1", None) };
                packages.mended(&one, &origin());
            }
            packages.pending().into_iter().map(|one| (one.available, one.kept)).collect::<Vec<_>>()
        };
        let newest = |kept| vec![("4.4-3".to_owned(), kept)];
        assert_eq!(told("[main]\n", None), newest(None));
        assert_eq!(told("[main]\nexclude=bash\n", Some("4.4-9")), newest(Some(Kept::Preferences)));
        assert_eq!(told("[main]\nexclude=bash-4.4-3\n", None), newest(Some(Kept::Preferences)));
        assert_eq!(told("[main]\nexclude=bash-4.4-3\n", Some("4.4-9")), newest(None));
        assert_eq!(told("[main]\nexclude=bash-4.4-2\n", None), newest(None));
    }

    #[test]
    fn advisories_name_what_is_older() {
        let mut packages = Packages::new(Rules::default());
        for (name, version, module) in [
            ("bash", "4.4-1.al8", None),
            ("kernel", "5.10-1.al8", None),
            ("kernel", "5.10-3.al8", None),
            ("kernel", "5.10-2.al8", None),
            ("npm", "9-1", Some("nodejs:18")),
        ] {
            packages.installed(package(name, version, module));
        }
        assert_eq!(packages.count(), 3);
        for one in [
            mended("bash", "4.4-2.al8", "SA-1", None),
            mended("bash", "4.4-10.al8", "SA-2", None),
            mended("bash", "4.4-9.al8", "SA-2", None),
            mended("kernel", "5.10-3.al8", "SA-3", None),
            mended("other", "9-9", "SA-3", None),
            mended("npm", "10-1", "SA-4", Some("nodejs:20")),
            mended("npm", "10-1", "SA-5", None),
        ] {
            packages.mended(&one, &origin());
        }
        let told = |packages: &Packages| {
            let each = packages.pending().into_iter();
            each.map(|one| format!("{} {}>{} {}", one.package, one.installed, one.available, one.advisories.join(" ")))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&packages), ["bash 4.4-1.al8>4.4-10.al8 SA-1 SA-2"]);
        packages.mended(&mended("npm", "9-2", "SA-6", Some("nodejs:18")), &origin());
        assert_eq!(told(&packages).get(1).unwrap(), "npm 9-1>9-2 SA-6");
    }
}
