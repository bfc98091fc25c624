//! How dnf and yum name packages, with patterns: `bash`, `bash.x86_64`, `bash-5.2*`, `bash-0:5.2-1.*` (`dnf(8)`, "Specifying packages").

use crate::parse::package_version::Evr;
use crate::snapshot::glob_match;

/// A version of a package.
#[derive(Clone, Copy, Debug)]
pub struct One<'p> {
    /// Its name.
    pub name: &'p str,
    /// Its version.
    pub evr: &'p Evr,
    /// Its architecture.
    pub arch: &'p str,
}

/// Which parts a name has: name, epoch, version, release, architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `bash-0:5.2-1.x86_64`.
    Nevra,
    /// `bash.x86_64`.
    Na,
    /// `bash`.
    Name,
    /// `bash-5.2-1`.
    Nevr,
    /// `bash-5.2`.
    Nev,
}

/// The order in which dnf tries them for what its configuration excludes.
pub const EXCLUDED: [Form; 5] = [Form::Nevra, Form::Na, Form::Name, Form::Nevr, Form::Nev];
/// And for what its versionlock plugin locks.
pub const LOCKED: [Form; 5] = [Form::Nevra, Form::Nevr, Form::Nev, Form::Na, Form::Name];

/// A pattern read in one of the forms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec<'t> {
    /// The name, or a pattern of it.
    pub name: &'t str,
    epoch: Option<u64>,
    version: Option<&'t str>,
    release: Option<&'t str>,
    arch: Option<&'t str>,
}

impl<'t> Spec<'t> {
    /// Reads it so. None: it is not of that form.
    pub fn read(text: &'t str, form: Form) -> Option<Self> {
        let mut spec = Self::default();
        let mut rest = text;
        if matches!(form, Form::Nevra | Form::Na) {
            let (before, arch) = rest.rsplit_once('.')?;
            (rest, spec.arch) = (before, Some(arch));
        }
        if matches!(form, Form::Nevra | Form::Nevr) {
            let (before, release) = rest.rsplit_once('-')?;
            (rest, spec.release) = (before, Some(release));
        }
        if matches!(form, Form::Nevra | Form::Nevr | Form::Nev) {
            let (before, version) = rest.rsplit_once('-')?;
            rest = before;
            spec.version = Some(match version.split_once(':') {
                Some((epoch, version)) => {
                    spec.epoch = Some(epoch.parse().ok()?);
                    version
                }
                None => version,
            });
        }
        spec.name = rest;
        let parts = [Some(spec.name), spec.version, spec.release, spec.arch];
        let odd = |part: &&str| part.is_empty() || part.contains([':', '(', '/', '=', '<', '>', ' ']);
        let dash = spec.arch.is_some_and(|arch| arch.contains('-'));
        (!dash && !parts.iter().flatten().any(odd)).then_some(spec)
    }

    /// Whether it names this version.
    pub fn names(&self, one: &One<'_>) -> bool {
        let part = |pattern: Option<&str>, text: &str| {
            pattern.is_none_or(|pattern| glob_match(pattern.as_bytes(), text.as_bytes()))
        };
        self.epoch.is_none_or(|epoch| epoch == one.evr.epoch)
            && part(Some(self.name), one.name)
            && part(self.version, &one.evr.version)
            && part(self.release, &one.evr.release)
            && part(self.arch, one.arch)
    }

    /// What a pattern means where these are all that there is: it is read in the first form in which it names any of them.
    pub fn resolve(text: &'t str, forms: &[Form], all: &[One<'_>]) -> Option<Self> {
        let mut specs = forms.iter().filter_map(|form| Self::read(text, *form));
        specs.find(|spec| all.iter().any(|one| spec.names(one)))
    }
}

/// Whether a pattern of yum's names it: yum holds it against every way to write a package.
pub fn is_yums(pattern: &str, one: &One<'_>) -> bool {
    let (One { name, arch, .. }, Evr { epoch, version, release }) = (one, one.evr);
    [
        (*name).to_owned(),
        format!("{name}.{arch}"),
        format!("{name}-{version}"),
        format!("{name}-{version}-{release}"),
        format!("{name}-{version}-{release}.{arch}"),
        format!("{epoch}:{name}-{version}-{release}.{arch}"),
        format!("{name}-{epoch}:{version}-{release}.{arch}"),
    ]
    .iter()
    .any(|text| glob_match(pattern.as_bytes(), text.as_bytes()))
}

/// The name in an entry of yum's versionlock plugin: `0:bash-4.2.46-34.el7.*`, `bash-0:4.2.46-34.el7.*`.
pub fn yums_name(entry: &str) -> Option<&str> {
    let epoch = entry.split_once(':').filter(|(epoch, _)| epoch.bytes().all(|byte| byte.is_ascii_digit()));
    let name = epoch.map_or(entry, |(_, rest)| rest).rsplitn(3, '-').nth(2)?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evr() -> Evr {
        Evr { epoch: 1, version: "5.2".to_owned(), release: "1.al8".to_owned() }
    }

    #[test]
    fn patterns_are_read_in_the_first_form_that_names_something() {
        let evr = evr();
        let one = |name: &'static str| One { name, evr: &evr, arch: "x86_64" };
        let all = [one("kernel"), one("kernel-core"), one("bash")];
        for (pattern, wanted) in [
            ("bash", vec!["bash"]),
            ("b*", vec!["bash"]),
            ("kernel*", vec!["kernel", "kernel-core"]),
            // As a name, and so not as a version of kernel.
            ("kernel-*", vec!["kernel-core"]),
            ("kernel-5*", vec!["kernel"]),
            ("bash.x86_64", vec!["bash"]),
            ("bash.i686", vec![]),
            ("bash-5.2-1.al8", vec!["bash"]),
            ("bash-1:5.2-1.al8.x86_64", vec!["bash"]),
            ("bash-1:5.2-1.*", vec!["bash"]),
            ("bash-0:5.2-1.al8.x86_64", vec![]),
            ("bash-5.1", vec![]),
            ("1:bash", vec![]),
            ("", vec![]),
        ] {
            let spec = Spec::resolve(pattern, &EXCLUDED, &all);
            let names: Vec<&str> = all
                .iter()
                .filter(|one| spec.as_ref().is_some_and(|spec| spec.names(one)))
                .map(|one| one.name)
                .collect();
            assert_eq!(names, wanted, "{pattern}");
        }
    }

    #[test]
    fn yum_takes_every_way_to_write_a_package() {
        let evr = evr();
        let one = One { name: "bash", evr: &evr, arch: "x86_64" };
        for (pattern, wanted) in [
            ("bash", true),
            ("ba*", true),
            ("bash-*", true),
            ("bash-5.2-1.al8", true),
            ("1:bash-5.2-1.al8.*", true),
            ("0:bash-5.2-1.al8.*", false),
            ("dash", false),
        ] {
            assert_eq!(is_yums(pattern, &one), wanted, "{pattern}");
        }
        let names = ["0:kernel-core-4.2-1.el7.*", "bash-0:4.2-1.el7.*", "bash-4.2-1.x", "bash"].map(yums_name);
        assert_eq!(names, [Some("kernel-core"), Some("bash"), Some("bash"), None]);
    }
}
