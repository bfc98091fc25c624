//! Which version apt would choose: `apt_preferences(5)`, `/etc/apt/preferences` and `preferences.d`.

use super::paragraphs;
use super::release::Release;
use crate::snapshot::glob_match;

/// One record: a pin and whose versions it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Names and patterns of packages. Empty: the record is for all (`Package: *`).
    pub packages: Vec<String>,
    /// Which versions.
    pub of: Of,
    /// `Pin-Priority`.
    pub priority: i32,
}

/// Which versions a pin is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// `version PATTERN`.
    Version(String),
    /// `origin HOST`; empty: local files.
    Site(String),
    /// `release a=…,n=…`: letters and patterns, all of which must match. The letter `*` stands for a suite or code name without one.
    Release(Vec<(char, String)>),
}

/// A package that records may name.
#[derive(Clone, Copy, Debug)]
pub struct Package<'p> {
    /// Its name.
    pub name: &'p str,
    /// The name of what it was built from.
    pub source: &'p str,
    /// Its architecture; of one for all architectures the system's own.
    pub architecture: &'p str,
    /// That is the system's own.
    pub native: bool,
}

/// Where a version comes from.
#[derive(Clone, Copy, Debug)]
pub struct From<'a> {
    /// The archive's release file.
    pub release: &'a Release,
    /// The archive's host; empty for local files.
    pub site: &'a str,
    /// The component: `main`.
    pub component: &'a str,
}

/// `Pin-Priority: never`.
const NEVER: i32 = i16::MIN as i32;

/// Reads a file of records. What is not understood is not there: apt refuses such a file.
pub fn preferences(bytes: &[u8]) -> Vec<Pin> {
    let mut pins = Vec::new();
    paragraphs::all(&["Package", "Pin", "Pin-Priority"], bytes, &mut |one| {
        let (Some(package), Some(pin)) = (one.get("Package"), one.get("Pin").and_then(of)) else { return };
        let Some(priority) = one.get("Pin-Priority").and_then(number) else { return };
        let packages: Vec<String> = package.split_ascii_whitespace().map(str::to_owned).collect();
        let packages = if packages.iter().any(|name| name == "*") { Vec::new() } else { packages };
        pins.push(Pin { packages, of: pin, priority });
    });
    pins
}

/// apt takes no more than sixteen bits, and no nought.
fn number(text: &str) -> Option<i32> {
    if text == "never" {
        return Some(NEVER);
    }
    text.parse::<i16>().ok().filter(|number| *number != 0).map(i32::from)
}

fn of(pin: &str) -> Option<Of> {
    let (kind, rest) = pin.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((pin, ""));
    let rest = rest.trim();
    match kind {
        "version" => Some(Of::Version(rest.to_owned())),
        "origin" => Some(Of::Site(rest.trim_matches('"').to_owned())),
        "release" => Some(Of::Release(release(rest))),
        _ => None,
    }
}

/// `a=stable,o=Debian`, or a suite's name alone, as in `APT::Default-Release`.
pub fn release(text: &str) -> Vec<(char, String)> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty() && *part != "*");
    let part = |part: &str| match part.split_once('=') {
        Some((letter, value)) => (letter.chars().next().unwrap_or('?'), value.to_owned()),
        None if part.starts_with(|c: char| c.is_ascii_digit()) => ('v', part.to_owned()),
        None => ('*', part.to_owned()),
    };
    parts.map(part).collect()
}

/// Whether a pattern is a regular expression, of which hostward reads none.
fn is_expression(pattern: &str) -> bool {
    pattern.len() > 1 && pattern.starts_with('/') && pattern.ends_with('/')
}

/// A pattern of apt's. A regular expression matches nothing here: see [`Pin::is_unclear`].
fn matches(pattern: &str, text: &str) -> bool {
    glob_match(pattern.as_bytes(), text.as_bytes())
}

impl Pin {
    /// Whether the record names this package, or its source with `src:`, of this architecture where one is named: `libc6:i386`.
    fn names(&self, package: &Package<'_>) -> bool {
        self.packages.iter().any(|pattern| {
            let (pattern, name) = match pattern.strip_prefix("src:") {
                Some(pattern) => (pattern, package.source),
                None => (pattern.as_str(), package.name),
            };
            let (pattern, architecture) = pattern.rsplit_once(':').unwrap_or((pattern, "any"));
            let of_it = match architecture {
                "any" => true,
                "native" | "all" => package.native,
                other => other == package.architecture,
            };
            of_it && matches(pattern, name)
        })
    }

    /// Whether the record may be for this package, and for which of its versions hangs on a regular expression.
    pub fn is_unclear(&self, package: &Package<'_>) -> bool {
        let expression = |name: &String| is_expression(name.strip_prefix("src:").unwrap_or(name));
        let of = match &self.of {
            // Of a record for all packages apt does not ask it.
            Of::Version(pattern) => !self.packages.is_empty() && is_expression(pattern),
            Of::Site(pattern) => is_expression(pattern),
            Of::Release(parts) => parts.iter().any(|(_, pattern)| is_expression(pattern)),
        };
        let all = self.packages.is_empty();
        self.packages.iter().any(expression) || (of && (all || self.names(package)))
    }

    fn is_for(&self, version: &str, from: Option<&From<'_>>) -> bool {
        match (&self.of, from) {
            (Of::Version(pattern), _) => matches(pattern, version),
            (Of::Site(site), Some(from)) => matches(site, from.site),
            (Of::Release(parts), Some(from)) => is_release(parts, from),
            (Of::Site(_) | Of::Release(_), None) => false,
        }
    }
}

fn is_release(parts: &[(char, String)], from: &From<'_>) -> bool {
    let release = from.release;
    !parts.is_empty()
        && parts.iter().all(|(letter, pattern)| match letter {
            'a' => matches(pattern, &release.suite),
            'n' => matches(pattern, &release.codename),
            'o' => matches(pattern, &release.origin),
            'l' => matches(pattern, &release.label),
            'v' => matches(pattern, &release.version),
            'c' => matches(pattern, from.component),
            '*' => matches(pattern, &release.suite) || matches(pattern, &release.codename),
            _ => false,
        })
}

/// What the records say of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// Of records that name the package, the first that is for the version from any place: which it is, and what it says.
    named: Option<(usize, i32)>,
    /// The highest of the places that have the version.
    place: i32,
}

impl Priority {
    /// Of a version from one place: by the records for all packages, else by apt's own rules, and by the first record that names the
    /// package. `from` is none for what is installed.
    pub fn of(pins: &[Pin], package: &Package<'_>, version: &str, from: Option<&From<'_>>) -> Self {
        let mut named = pins.iter().enumerate().filter(|(_, pin)| pin.names(package));
        let named = named.find(|(_, pin)| pin.is_for(version, from)).map(|(at, pin)| (at, pin.priority));
        // A version has no place: apt asks such a record of nobody.
        let general =
            |pin: &&Pin| pin.packages.is_empty() && !matches!(pin.of, Of::Version(_)) && pin.is_for(version, from);
        let place = pins.iter().find(general).map_or_else(|| own(from), |pin| pin.priority);
        Self { named, place }
    }

    /// The same version from another place, too.
    pub fn and(self, other: Self) -> Self {
        let named = self.named.into_iter().chain(other.named).min();
        Self { named, place: self.place.max(other.place) }
    }

    /// The priority. A record that names the package counts for the version wherever it comes from, unless none of its places may ever
    /// be used.
    pub fn value(self) -> i32 {
        match self.named {
            Some((_, priority)) if priority == NEVER || self.place != NEVER => priority,
            Some(_) | None => self.place,
        }
    }
}

/// What apt does by itself.
fn own(from: Option<&From<'_>>) -> i32 {
    match from.map(|from| from.release) {
        None => 100,
        Some(release) if release.not_automatic && release.but_automatic_upgrades => 100,
        Some(release) if release.not_automatic => 1,
        Some(_) => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_that_names_the_package_counts() {
        let pins = preferences(
            b"Explanation: x\nPackage: *\nPin: release a=*-security\nPin-Priority: 600\n\nPackage: libssl* src:bash\n\
              Pin: release l=Debian-Security, n=trixie-security\nPin-Priority: -1\n\nPackage: vim\nPin: version 2:9.*\nPin-Priority: 1001\n\n\
              Package: *\nPin: origin \"old.example\"\nPin-Priority: 5\n\nPackage: broken\nPin: nothing\nPin-Priority: 9\n",
        );
        assert_eq!(pins.len(), 4);
        let release = Release {
            label: "Debian-Security".to_owned(),
            suite: "stable-security".to_owned(),
            codename: "trixie-security".to_owned(),
            ..Release::default()
        };
        let from = From { release: &release, site: "deb.example", component: "main" };
        let plain = From { release: &Release::default(), site: "old.example", component: "main" };
        for (package, source, version, from, wanted) in [
            ("libssl3", "openssl", "3", Some(&from), -1),
            ("bash-doc", "bash", "5", Some(&from), -1),
            ("zlib1g", "zlib", "1", Some(&from), 600),
            ("vim", "vim", "2:9.1", Some(&from), 1001),
            ("vim", "vim", "2:9.1", None, 1001),
            ("vim", "vim", "2:8.1", None, 100),
            ("zlib1g", "zlib", "1", Some(&plain), 5),
            ("zlib1g", "zlib", "1", None, 100),
        ] {
            assert_eq!(
                Priority::of(
                    &pins,
                    &Package { name: package, source, architecture: "amd64", native: true },
                    version,
                    from
                )
                .value(),
                wanted,
                "{package} {version}"
            );
        }
    }

    #[test]
    fn an_architecture_may_be_named() {
        for (pattern, wanted) in [
            ("a", [true; 3]),
            ("a:any", [true; 3]),
            ("a:native", [true, false, true]),
            ("?:i386", [false, true, false]),
        ] {
            let pins = preferences(format!("Package: {pattern}\nPin: version *\nPin-Priority: 7\n").as_bytes());
            let told = [("amd64", true), ("i386", false), ("arm64", true)].map(|(architecture, native)| {
                let package = Package { name: "a", source: "a", architecture, native };
                Priority::of(&pins, &package, "1", None).value() == 7
            });
            assert_eq!(told, wanted, "{pattern}");
        }
    }

    #[test]
    fn archives_have_priorities_of_their_own() {
        let of = |text: &[u8]| {
            let release = super::super::release::release(text).unwrap();
            let package = Package { name: "a", source: "a", architecture: "amd64", native: true };
            Priority::of(&[], &package, "1", Some(&From { release: &release, site: "", component: "main" })).value()
        };
        assert_eq!(of(b"Suite: stable\n"), 500);
        assert_eq!(of(b"Suite: experimental\nNotAutomatic: yes\n"), 1);
        assert_eq!(of(b"Suite: backports\nNotAutomatic: yes\nButAutomaticUpgrades: yes\n"), 100);
    }

    #[test]
    fn a_release_is_named_by_letters_or_alone() {
        let bare = |text: &str| {
            release(text).into_iter().map(|(letter, value)| format!("{letter}{value}")).collect::<Vec<_>>()
        };
        assert_eq!(bare("a=stable,o=Debian"), ["astable", "oDebian"]);
        assert_eq!((bare("bookworm"), bare("12.1")), (vec!["*bookworm".to_owned()], vec!["v12.1".to_owned()]));
    }
}
