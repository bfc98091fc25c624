//! Security updates that are pending, by the package manager's own data, and whether what runs is older than what is installed.

use super::UnixSeconds;
use crate::fact::{Fact, Why};

/// What the package manager's data say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Updates {
    /// Packages for which there is a security update, by name.
    pub pending: Vec<Pending>,
    /// The archives of security updates whose lists were read.
    pub archives: Vec<Archive>,
    /// What could not be read: a subject, and why.
    pub gaps: Vec<(String, Why)>,
}

/// An archive of security updates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Its name: `trixie-security`, `alinux3-updates`.
    pub name: String,
    /// When its lists were written. None: nothing tells.
    pub dated: Option<UnixSeconds>,
}

/// A package for which there is a security update.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pending {
    /// What it was built from, where that is known, else the package itself.
    pub source: String,
    /// The package.
    pub package: String,
    /// The installed version.
    pub installed: String,
    /// The newest version that an archive of security updates has.
    pub available: String,
    /// Why the package manager would not install it.
    pub kept: Option<Kept>,
    /// The advisories that are about it, where the archive names them.
    pub advisories: Vec<String>,
}

/// Why the package manager would not install an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// The package is on hold, or locked to another version.
    Held,
    /// The preferences choose another version, or exclude the package.
    Preferences,
}

/// Whether what runs is older than what is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// The running kernel's release, as `uname -r` has it.
    pub running: String,
    /// The newest installed kernel of the same flavour. Absent: none is installed.
    pub newest: Fact<String>,
    /// The running kernel's build and the installed one of the same release, where they differ (Debian).
    pub rebuilt: Option<(String, String)>,
    /// What asked for a restart: packages in `/run/reboot-required.pkgs`. None: nobody did.
    pub required: Option<Vec<String>>,
    /// Who runs with libraries that were replaced since.
    pub replaced: Fact<Vec<Outdated>>,
}

/// A service that runs with replaced libraries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outdated {
    /// The unit, else the program's path.
    pub name: String,
    /// The libraries, by file name.
    pub libraries: Vec<String>,
}
