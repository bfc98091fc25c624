//! Which sshd this is: its version, whose build, and what its binary says it knows.

use std::path::Path;

use super::algorithms::Algorithms;
use crate::fact::Why;
use crate::snapshot::{Marks, Miss, Reader};

/// Who built it: vendors patch keywords and defaults in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavour {
    /// Debian and Ubuntu.
    Debian,
    /// Red Hat and what is built from it: CentOS, Alibaba Cloud Linux, Anolis.
    RedHat,
    /// Nobody known: as upstream.
    #[default]
    Upstream,
}

/// One sshd program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// Its release as it names itself, e.g. `OpenSSH_9.2p1 Debian-2+deb12u3`; empty where it could not be read.
    pub release: String,
    /// Major × 100 + minor, e.g. 902 for 9.2.
    pub version: u16,
    /// Whose build.
    pub flavour: Flavour,
    /// Its algorithms: the compiled default lists and all that it supports.
    pub(crate) algorithms: Algorithms,
    /// Strings of its binary, where it could be read.
    words: Option<Vec<String>>,
    /// What is not certain about it.
    pub doubts: Vec<Why>,
}

/// The version that is assumed where nothing tells: the newest whose behaviour is known.
const NEWEST: u16 = 1006;

impl Build {
    /// Whether `AuthorizedPrincipalsCommand` looks whether AuthorizedKeysCommand is set instead of itself: from 8.7 to 9.3
    /// (bz#3574), unless Ubuntu 22.04's sshd has the mend of its revision 0.4 (LP 2031942).
    pub(crate) fn asks_for_keys_command(&self) -> bool {
        let revision = self.release.strip_prefix("OpenSSH_8.9p1 Ubuntu-3ubuntu0.");
        let mended = revision.and_then(|number| number.parse::<u32>().ok()).is_some_and(|number| number >= 4);
        self.since(807) && self.before(904) && !mended
    }

    /// An upstream sshd of a version, without a binary to look into.
    pub fn plain(version: u16) -> Self {
        Self { version, algorithms: Algorithms::of(version, None), ..Self::default() }
    }

    /// Looks into a program. A program that is not there or cannot be read leaves a doubt, and what the distribution
    /// is known to ship is assumed.
    pub fn read(reader: &Reader<'_>, program: &Path) -> Self {
        let (marks, doubt) = match reader.marks(program) {
            Ok(marks) => (Some(marks), None),
            Err(Miss::Pending) => (None, None),
            Err(Miss::Absent) => (None, Some(Why::Failed(format!("{} is not there", program.display())))),
            Err(Miss::Unreadable(why)) => (None, Some(why)),
        };
        let release = marks.and_then(release_of);
        let os = crate::host::os::Os::read(reader);
        let (id, version) = os.release.known().map_or(("", ""), |os| (os.id.as_str(), os.version.as_str()));
        let flavour = match &release {
            Some(release) if release.contains("Debian") || release.contains("Ubuntu") => Flavour::Debian,
            _ if os.is_debian_like() => Flavour::Debian,
            _ if RED_HAT.contains(&id) => Flavour::RedHat,
            _ => Flavour::Upstream,
        };
        let mut doubts: Vec<Why> = doubt.into_iter().collect();
        let said = release.as_deref().and_then(version_of);
        if said.is_none() && marks.is_some() {
            doubts.push(Why::Failed("the sshd binary does not say its version".to_owned()));
        }
        let number = said.unwrap_or_else(|| shipped(id, version));
        Self {
            release: release.unwrap_or_default(),
            version: number,
            flavour,
            algorithms: Algorithms::of(number, marks),
            words: marks.map(|marks| marks.strings.clone()),
            doubts,
        }
    }

    /// Whether it is of this version (major × 100 + minor) or later.
    pub fn since(&self, version: u16) -> bool {
        self.version >= version
    }

    /// Whether it is older than this version.
    pub fn before(&self, version: u16) -> bool {
        self.version < version
    }

    /// Whether it has a keyword: its binary is asked where the version alone does not say.
    pub fn knows(&self, keyword: &str) -> bool {
        super::keyword::lookup(self, keyword.as_bytes()).is_some()
    }

    /// Whether included files see the connection and leave ports alone: not in 8.2 and 8.3 as released (bz#3122), where
    /// Debian and Ubuntu had the correction.
    pub(crate) fn include_mended(&self) -> bool {
        !(802..804).contains(&self.version) || self.flavour == Flavour::Debian
    }

    /// Whether the binary holds a word in any case: None where it could not be read. The linker stores a word that ends another
    /// one only once, so the end of a string counts.
    pub(crate) fn holds(&self, word: &str) -> Option<bool> {
        let ends = |string: &String| {
            let start = string.len().checked_sub(word.len());
            start.and_then(|start| string.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(word))
        };
        Some(self.words.as_ref()?.iter().any(ends))
    }

    /// The first path in the binary with this ending.
    pub(crate) fn path(&self, ending: &str) -> Option<&str> {
        let mut words = self.words.as_ref()?.iter();
        words.find(|word| word.starts_with('/') && word.ends_with(ending)).map(String::as_str)
    }
}

const RED_HAT: [&str; 12] =
    ["rhel", "centos", "fedora", "alinux", "alios", "anolis", "almalinux", "rocky", "ol", "openEuler", "kylin", "amzn"];

/// The longest string that begins with the product's name: `OpenSSH_9.2p1 Debian-2` rather than `OpenSSH_9.2p1` or the
/// patterns of old bugs (`OpenSSH_2.*`).
fn release_of(marks: &Marks) -> Option<String> {
    let versions = marks.strings.iter().filter(|string| version_of(string).is_some() && !string.contains(['*', ',']));
    versions.max_by_key(|string| (version_of(string), string.len())).cloned()
}

/// Major × 100 + minor of `OpenSSH_9.2p1 …`.
fn version_of(release: &str) -> Option<u16> {
    let (major, rest) = release.strip_prefix("OpenSSH_")?.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let (major, minor) = (major.parse::<u16>().ok()?, minor.parse::<u16>().ok()?);
    major.checked_mul(100)?.checked_add(minor)
}

/// What a distribution ships, where its binary cannot be asked.
fn shipped(id: &str, version: &str) -> u16 {
    let major = version.split('.').next().unwrap_or_default();
    match (id, version, major) {
        ("debian", _, "10") => 709,
        ("debian", _, "11") => 804,
        ("debian", _, "12") => 902,
        ("debian", _, "13") => 1000,
        ("ubuntu", "18.04", _) => 706,
        ("ubuntu", "20.04", _) => 802,
        ("ubuntu", "22.04", _) => 809,
        ("ubuntu", "24.04", _) => 906,
        ("ubuntu", "26.04", _) => 1002,
        ("alinux", _, "2") | ("centos" | "rhel" | "ol" | "anolis", _, "7") => 704,
        ("alinux", _, "3") | ("centos" | "rhel" | "ol" | "rocky" | "almalinux" | "anolis", _, "8") => 800,
        ("centos" | "rhel" | "ol" | "rocky" | "almalinux", _, "9") => 909,
        ("centos" | "rhel" | "ol" | "rocky" | "almalinux", _, "10") => 909,
        _ => NEWEST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Sketch;

    #[test]
    fn the_binary_says_its_version_and_old_bug_patterns_do_not() {
        let snapshot = Sketch::new()
            .program(
                "/usr/sbin/sshd",
                &["OpenSSH_2.*,OpenSSH_3.0*", "OpenSSH_9.2", "OpenSSH_9.2p1 Debian-2+deb12u3", "include"],
            )
            .snapshot();
        let build = Build::read(&Reader::new(&snapshot), Path::new("/usr/sbin/sshd"));
        assert_eq!((build.version, build.flavour), (902, Flavour::Debian));
        assert_eq!(build.release, "OpenSSH_9.2p1 Debian-2+deb12u3");
        assert_eq!((build.holds("include"), build.holds("pubkeyauthoptions")), (Some(true), Some(false)));
        assert!(build.doubts.is_empty());
    }

    #[test]
    fn without_a_binary_the_distribution_decides_and_a_doubt_stays() {
        let snapshot =
            Sketch::new().file("/etc/os-release", "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"22.04\"\n").snapshot();
        let build = Build::read(&Reader::new(&snapshot), Path::new("/usr/sbin/sshd"));
        assert_eq!((build.version, build.flavour, build.doubts.len()), (809, Flavour::Debian, 1));
        assert_eq!(build.holds("include"), None);
    }
}
