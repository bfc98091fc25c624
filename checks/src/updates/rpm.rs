//! rpm's database held against the advisories that dnf and yum have fetched.

pub mod caches;

use std::collections::{BTreeMap, HashMap};

use crate::observation::updates::Pending;
use crate::parse::package_version::Evr;
use crate::parse::rpm::header::Package;
use crate::parse::rpm::updateinfo::Mended;

/// What is installed, by name and architecture; of several versions the newest, as of kernels there are.
#[derive(Debug, Default)]
pub struct Packages {
    installed: HashMap<(String, String), Package>,
    /// The newest version that mends each, and the advisories of all that do.
    mended: BTreeMap<(String, String), (Evr, Vec<String>)>,
}

impl Packages {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
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
    pub fn mended(&mut self, one: &Mended) {
        let key = (one.name.clone(), one.arch.clone());
        let Some(installed) = self.installed.get(&key) else { return };
        if installed.module != one.module || installed.evr.order(&one.evr).is_ge() {
            return;
        }
        let (newest, advisories) = self.mended.entry(key).or_insert_with(|| (one.evr.clone(), Vec::new()));
        if newest.order(&one.evr).is_lt() {
            newest.clone_from(&one.evr);
        }
        if !advisories.contains(&one.advisory) {
            advisories.push(one.advisory.clone());
        }
    }

    /// The packages of which an advisory names a newer version, by source and name.
    pub fn pending(&self) -> Vec<Pending> {
        let each = self.mended.iter().filter_map(|(key, (newest, advisories))| {
            let installed = self.installed.get(key)?;
            Some(Pending {
                source: installed.source.as_ref().unwrap_or(&installed.name).clone(),
                package: installed.name.clone(),
                installed: installed.evr.text(),
                available: newest.text(),
                kept: None,
                advisories: advisories.clone(),
            })
        });
        let mut pending: Vec<Pending> = each.collect();
        pending.sort();
        pending
    }
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
        Mended { advisory, name, evr: evr(version), arch, module: module.map(str::to_owned) }
    }

    #[test]
    fn advisories_name_what_is_older() {
        let mut packages = Packages::new();
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
            packages.mended(&one);
        }
        let told = |packages: &Packages| {
            let each = packages.pending().into_iter();
            each.map(|one| format!("{} {}>{} {}", one.package, one.installed, one.available, one.advisories.join(" ")))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&packages), ["bash 4.4-1.al8>4.4-10.al8 SA-1 SA-2"]);
        packages.mended(&mended("npm", "9-2", "SA-6", Some("nodejs:18")));
        assert_eq!(told(&packages).get(1).unwrap(), "npm 9-1>9-2 SA-6");
    }
}
