//! dpkg's status held against apt's lists, one paragraph at a time.

pub mod lists;

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::fact::Why;
use crate::observation::updates::{Kept, Pending};
use crate::parse::apt::paragraphs::Paragraph;
use crate::parse::apt::preferences::{self, From, Pin, Priority};
use crate::parse::package_version::debian;

/// What is wanted of dpkg's status.
pub const STATUS: &[&str] = &["Package", "Status", "Architecture", "Version", "Source"];
/// What is wanted of a package list.
pub const LIST: &[&str] = &["Package", "Architecture", "Version"];

/// What is installed, and what was offered so far.
#[derive(Debug, Default)]
pub struct Packages {
    installed: HashMap<String, Vec<Installed>>,
    native: String,
    pins: Vec<Pin>,
}

#[derive(Debug)]
struct Installed {
    architecture: String,
    version: String,
    source: String,
    held: bool,
    offers: Vec<Offer>,
}

#[derive(Debug)]
struct Offer {
    version: String,
    priority: Priority,
    security: bool,
}

impl Packages {
    /// Nothing yet; versions will be chosen by these records.
    pub fn new(pins: Vec<Pin>) -> Self {
        Self { pins, ..Self::default() }
    }

    /// A paragraph of dpkg's status.
    pub fn installed(&mut self, one: &Paragraph<'_>) {
        let mut status = one.get("Status").unwrap_or_default().split_ascii_whitespace();
        let held = status.next() == Some("hold");
        if matches!(status.nth(1), None | Some("not-installed" | "config-files")) {
            return;
        }
        let text = |name| one.get(name).map(str::to_owned);
        let (Some(package), Some(version), Some(architecture)) =
            (text("Package"), text("Version"), text("Architecture"))
        else {
            return;
        };
        if package == "dpkg" {
            self.native.clone_from(&architecture);
        }
        let source = one.get("Source").and_then(|source| source.split_ascii_whitespace().next());
        let source = source.unwrap_or(&package).to_owned();
        let (installed, offers) = (self.installed.entry(package).or_default(), Vec::new());
        installed.push(Installed { architecture, version, source, held, offers });
    }

    /// How many packages are installed.
    pub fn count(&self) -> usize {
        self.installed.values().map(Vec::len).sum()
    }

    /// The installed version of a package of the system's own architecture.
    pub fn version(&self, package: &str) -> Option<&str> {
        let mut installed = self.installed.get(package)?.iter();
        installed.find(|mine| mine.architecture == self.native).map(|mine| mine.version.as_str())
    }

    /// A paragraph of the list of an archive. A package for all architectures is one of the system's own.
    pub fn offered(&mut self, one: &Paragraph<'_>, from: &From<'_>) {
        let (Some(package), Some(version)) = (one.get("Package"), one.get("Version")) else { return };
        let Some(installed) = self.installed.get_mut(package) else { return };
        let native = &self.native;
        let real = |architecture: &str| if architecture == "all" { native.clone() } else { architecture.to_owned() };
        let architecture = real(one.get("Architecture").unwrap_or("all"));
        for mine in installed.iter_mut().filter(|mine| real(&mine.architecture) == architecture) {
            let priority = Priority::of(&self.pins, &mine.named(package, native), version, Some(from));
            let security = from.release.is_security();
            match mine.offers.iter_mut().find(|offer| offer.version == version) {
                Some(known) => {
                    known.priority = known.priority.and(priority);
                    known.security |= security;
                }
                None => mine.offers.push(Offer { version: version.to_owned(), priority, security }),
            }
        }
    }

    /// The packages for which an archive of security updates has a newer version, by source and name.
    pub fn pending(&self) -> Vec<Pending> {
        let all = self.installed.iter().flat_map(|(package, each)| each.iter().map(move |mine| (package, mine)));
        let mut pending: Vec<Pending> =
            all.filter_map(|(package, mine)| mine.pending(package, (&self.pins, &self.native))).collect();
        pending.sort();
        pending.dedup();
        pending
    }

    /// Of what is pending, the packages of which it cannot be told whether apt would install it.
    pub fn unclear(&self, pending: &[Pending]) -> Vec<(String, Why)> {
        const WHY: &str = "apt's preferences have a regular expression for it, and hostward reads none: whether apt would install the update is not known";
        let is_unclear = |one: &&Pending| {
            let installed = self.installed.get(&one.package).into_iter().flatten();
            let mut named = installed.map(|mine| mine.named(&one.package, &self.native));
            named.any(|package| self.pins.iter().any(|pin| pin.is_unclear(&package)))
        };
        let unclear = pending.iter().filter(|one| one.kept != Some(Kept::Held)).filter(is_unclear);
        let mut out: Vec<_> = unclear.map(|one| (format!("package:{}", one.source), Why::NotAsked(WHY))).collect();
        out.dedup();
        out
    }
}

fn order(one: &str, other: &str) -> Ordering {
    debian(one.as_bytes(), other.as_bytes())
}

impl Installed {
    /// As records of the preferences may name it.
    fn named<'p>(&'p self, name: &'p str, native: &'p str) -> preferences::Package<'p> {
        let architecture = if self.architecture == "all" { native } else { &self.architecture };
        preferences::Package { name, source: &self.source, architecture, native: architecture == native }
    }

    fn pending(&self, package: &str, rules: (&[Pin], &str)) -> Option<Pending> {
        let offered = self.offers.iter().filter(|offer| offer.security).map(|offer| &offer.version);
        let newest = offered.max_by(|one, other| order(one, other))?;
        if order(newest, &self.version).is_le() {
            return None;
        }
        let kept = match (self.held, order(self.candidate(package, rules), newest)) {
            (true, _) => Some(Kept::Held),
            (false, Ordering::Less) => Some(Kept::Preferences),
            (false, _) => None,
        };
        Some(Pending {
            source: self.source.clone(),
            package: package.to_owned(),
            installed: self.version.clone(),
            available: newest.clone(),
            kept,
            advisories: Vec::new(),
        })
    }

    /// The version that apt would choose: of the highest priority the newest, and an older one than the installed only where
    /// its priority says so (1000 and above).
    fn candidate(&self, package: &str, (pins, native): (&[Pin], &str)) -> &str {
        let mut own = Priority::of(pins, &self.named(package, native), &self.version, None);
        for same in self.offers.iter().filter(|offer| offer.version == self.version) {
            own = own.and(same.priority);
        }
        let others = self.offers.iter().filter(|offer| offer.version != self.version);
        let all = others.map(|offer| (offer.priority.value(), offer.version.as_str()));
        let usable = all.chain([(own.value(), self.version.as_str())]).filter(|(priority, version)| {
            *priority > 0 && (*priority >= 1000 || order(version, &self.version).is_ge())
        });
        usable
            .max_by(|one, other| one.0.cmp(&other.0).then_with(|| order(one.1, other.1)))
            .map_or("", |(_, version)| version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::apt::{paragraphs, release::Release};

    fn package(name: &str, status: &str, version: &str) -> String {
        format!("Package: {name}\nStatus: {status}\nArchitecture: amd64\nVersion: {version}\n\n")
    }

    /// Which updates are pending where these are installed, these records are kept, and archives of these suites offer those.
    fn pending(status: &str, pins: &str, lists: &[(&str, &str)]) -> Vec<String> {
        let mut packages = Packages::new(crate::parse::apt::preferences::preferences(pins.as_bytes()));
        let native = package("dpkg", "install ok installed", "1.22");
        paragraphs::all(STATUS, (status.to_owned() + &native).as_bytes(), &mut |one| packages.installed(one));
        for (suite, list) in lists {
            let release = Release { suite: (*suite).to_owned(), ..Release::default() };
            let from = From { release: &release, site: "", component: "main" };
            paragraphs::all(LIST, list.as_bytes(), &mut |one| packages.offered(one, &from));
        }
        let each = packages.pending().into_iter();
        each.map(|one| format!("{} {}>{} {:?}", one.package, one.installed, one.available, one.kept)).collect()
    }

    fn list(packages: &[(&str, &str, &str)]) -> String {
        let each = packages.iter();
        each.map(|(name, architecture, version)| {
            format!("Package: {name}\nArchitecture: {architecture}\nVersion: {version}\n\n")
        })
        .collect()
    }

    #[test]
    fn what_is_installed_and_older_is_pending() {
        let status = package("a", "install ok installed", "1.0-1")
            + &package("b", "install ok installed", "1.0-1+deb13u1")
            + &package("gone", "deinstall ok config-files", "1")
            + &package("half", "install ok half-configured", "1")
            + &package("held", "hold ok installed", "1");
        let security = list(&[
            ("a", "amd64", "1.0-1+deb13u1"),
            ("a", "amd64", "1.0-1+deb13u2"),
            ("a", "i386", "9"),
            ("b", "amd64", "1.0-1+deb13u1"),
            ("gone", "amd64", "2"),
            ("half", "all", "2"),
            ("held", "amd64", "2"),
            ("other", "amd64", "2"),
        ]);
        let wanted = ["a 1.0-1>1.0-1+deb13u2 None", "half 1>2 None", "held 1>2 Some(Held)"];
        assert_eq!(pending(&status, "", &[("x-security", &security)]), wanted);
        let main = list(&[("a", "amd64", "5")]);
        assert_eq!(pending(&status, "", &[("x-updates", &main)]), [""; 0], "no security archive has it");
        assert_eq!(
            pending(&status, "", &[("x-updates", &main), ("x-security", &security)]).first().unwrap(),
            wanted[0]
        );
    }

    #[test]
    fn of_regular_expressions_it_is_said_that_they_are_not_read() {
        let unclear = |pins: &str| {
            let mut packages = Packages::new(crate::parse::apt::preferences::preferences(pins.as_bytes()));
            let status = package("dpkg", "install ok installed", "1") + &package("held", "hold ok installed", "1");
            paragraphs::all(STATUS, status.as_bytes(), &mut |one| packages.installed(one));
            let release = Release { suite: "x-security".to_owned(), ..Release::default() };
            let from = From { release: &release, site: "", component: "main" };
            let list = list(&[("dpkg", "amd64", "2"), ("held", "amd64", "2")]);
            paragraphs::all(LIST, list.as_bytes(), &mut |one| packages.offered(one, &from));
            packages.unclear(&packages.pending()).into_iter().map(|(subject, _)| subject).collect::<Vec<_>>()
        };
        for (pins, wanted) in [
            ("Package: dpkg\nPin: version 2*\nPin-Priority: 9\n", false),
            ("Package: /^dp/\nPin: version 2*\nPin-Priority: 9\n", true),
            ("Package: bash src:/^dp/\nPin: version 2*\nPin-Priority: 9\n", true),
            ("Package: dpkg\nPin: version /2.*/\nPin-Priority: 9\n", true),
            ("Package: bash\nPin: version /2.*/\nPin-Priority: 9\n", false),
            ("Package: *\nPin: version /2.*/\nPin-Priority: 9\n", false),
            ("Package: *\nPin: release a=/-security$/\nPin-Priority: 9\n", true),
            ("Package: *\nPin: origin /example/\nPin-Priority: 9\n", true),
        ] {
            assert_eq!(unclear(pins) == ["package:dpkg"], wanted, "{pins}");
        }
    }

    #[test]
    fn preferences_may_keep_an_update_back() {
        let status = package("a", "install ok installed", "1");
        let (security, stable) = (list(&[("a", "amd64", "2")]), list(&[("a", "amd64", "1")]));
        let lists = [("x-security", security.as_str()), ("x", stable.as_str())];
        let kept = ["a 1>2 Some(Preferences)"];
        for (pins, wanted) in [
            ("", ["a 1>2 None"]),
            ("Package: a\nPin: release a=x-security\nPin-Priority: -1\n", kept),
            ("Package: a\nPin: release a=x-security\nPin-Priority: 50\n", kept),
            ("Package: a\nPin: version 1*\nPin-Priority: 900\n", kept),
            ("Package: *\nPin: release x\nPin-Priority: 990\n", kept),
            ("Package: *\nPin: release x\nPin-Priority: 500\n", ["a 1>2 None"]),
            ("Package: b\nPin: version *\nPin-Priority: 900\n", ["a 1>2 None"]),
        ] {
            assert_eq!(pending(&status, pins, &lists), wanted, "{pins}");
        }
    }
}
