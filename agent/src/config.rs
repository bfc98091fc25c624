//! Configuration: `/etc/hostward/hostward.toml` (how the agent runs), `policy.toml` and `policy.d/*.toml` (what is right).
//!
//! Files become fragments, fragments are merged, the result is filled with built-in defaults. Every mistake is told with
//! file, line, column and key, all of them at once. An offline scan reads none of the host's own files: they are not part of
//! the root that is looked at.

use std::fmt;
use std::path::{Path, PathBuf};

use hostward_checks::check::Profile;
use hostward_checks::policy::Policy;
use hostward_checks::snapshot::{Need, Want};
use sha2::{Digest, Sha256};

use crate::exit_code::{Ends, ExitCode};

pub mod files;
pub mod kept;
mod keys;
mod policy;
mod reader;
mod settings;
mod value;

pub use settings::{Agent, Budget, CrossCheck, Platform, Settings};
pub use value::length;

/// Where the files stand.
pub const DIRECTORY: &str = "/etc/hostward";

/// A mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line and column, from 1. None: the file as a whole.
    pub place: Option<(u32, u32)>,
    /// The key with the tables around it; empty where there is none.
    pub key: String,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if self.key.is_empty() { write!(f, ": {}", self.what) } else { write!(f, ": {}: {}", self.key, self.what) }
    }
}

/// Which files are read.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The directory of the files; None: none of them (an offline root).
    pub directory: Option<PathBuf>,
    /// This policy instead of the directory's.
    pub policy: Option<PathBuf>,
    /// These settings instead of the directory's.
    pub settings: Option<PathBuf>,
}

impl Sources {
    /// The host's own files; none where a directory is scanned as an offline root.
    pub fn of_host(offline: bool) -> Self {
        Self { directory: (!offline).then(|| PathBuf::from(DIRECTORY)), policy: None, settings: None }
    }
}

/// Everything that was configured.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// How the agent runs.
    pub settings: Settings,
    /// What is right.
    pub policy: Policy,
    /// The files that were read, in the order in which they count.
    pub files: Vec<PathBuf>,
}

impl Configuration {
    /// Reads the files. `profile` is what the command line says, `otherwise` what holds where nobody says anything.
    ///
    /// # Errors
    /// Every mistake that was found.
    pub fn read(sources: &Sources, profile: Option<Profile>, otherwise: Profile) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let texts = Texts::read(sources, &mut problems);
        Self::of(&texts, problems, profile, otherwise)
    }

    /// What the texts say, with the mistakes there are beside theirs.
    fn of(
        texts: &Texts,
        mut problems: Vec<Problem>,
        profile: Option<Profile>,
        otherwise: Profile,
    ) -> Result<Self, Vec<Problem>> {
        let said = texts.settings.as_ref().map(|(file, text)| settings::parse(file, text, &mut problems));
        let mut merged = policy::Fragment::default();
        for (file, text) in &texts.policy {
            merged.merge(policy::parse(file, text, &mut problems));
        }
        let files = texts.settings.iter().chain(&texts.policy).map(|(file, _)| file.clone()).collect();
        if problems.is_empty() {
            Ok(Self { settings: said.unwrap_or_default(), policy: merged.settle(profile, otherwise), files })
        } else {
            Err(problems)
        }
    }

    /// [`Self::read`], with the first mistake as the error that ends the program.
    ///
    /// # Errors
    /// Exit code 78: the first mistake, and how many more there are.
    pub fn load(sources: &Sources, profile: Option<Profile>, otherwise: Profile) -> anyhow::Result<Self> {
        Self::read(sources, profile, otherwise).map_err(|problems| wrong(&problems))
    }
}

/// The error that ends the program for these mistakes.
fn wrong(problems: &[Problem]) -> anyhow::Error {
    let more = problems.len().saturating_sub(1);
    let first = problems.first().map(ToString::to_string).unwrap_or_default();
    let rest = if more > 0 { format!(" (and {more} more: hostward validate shows all)") } else { String::new() };
    Ends::with(ExitCode::Config, format!("{first}{rest}"))
}

/// The files of a configuration, read: each with its path.
#[derive(Debug, Default)]
struct Texts {
    settings: Option<(PathBuf, String)>,
    /// In the order in which they count.
    policy: Vec<(PathBuf, String)>,
}

impl Texts {
    fn read(sources: &Sources, problems: &mut Vec<Problem>) -> Self {
        let named = |file: &PathBuf| (file.clone(), true);
        let usual = sources.directory.as_ref().map(|directory| (directory.join("hostward.toml"), false));
        let settings = sources.settings.as_ref().map(named).or(usual);
        let policy = match (&sources.policy, &sources.directory) {
            (Some(file), _) => vec![named(file)],
            (None, Some(directory)) => {
                files::policy_files(directory, problems).into_iter().map(|file| (file, false)).collect()
            }
            (None, None) => Vec::new(),
        };
        let mut read =
            |(file, asked_for): (PathBuf, bool)| files::read(&file, asked_for, problems).map(|text| (file, text));
        let settings = settings.and_then(&mut read);
        Self { settings, policy: policy.into_iter().filter_map(read).collect() }
    }
}

/// What the configuration of a host rests on: a change there is a change of what is right.
pub fn places() -> Need {
    let dir = Path::new(DIRECTORY);
    let mut need: Need = [("hostward.toml", Want::Content), ("policy.toml", Want::Content), ("policy.d", Want::Names)]
        .map(|(name, want)| (dir.join(name), vec![want]))
        .into();
    let fragments = files::policy_files(dir, &mut Vec::new());
    need.extend(fragments.into_iter().map(|file| (file, vec![Want::Content])));
    need
}

/// The digest of what is right, whichever files said it: SHA-256 in hex.
pub fn digest(policy: &Policy) -> String {
    let hash = Sha256::digest(policy.canonical().as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads one file as what its name says: `hostward.toml` is settings, every other is policy.
///
/// # Errors
/// Every mistake in it.
pub fn validate(file: &Path) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    if let Some(text) = files::read(file, true, &mut problems) {
        if file.file_name().is_some_and(|name| name == "hostward.toml") {
            settings::parse(file, &text, &mut problems);
        } else {
            policy::parse(file, &text, &mut problems);
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Reads text as a policy on its own, for who tests or fuzzes.
///
/// # Errors
/// Every mistake in it.
pub fn policy_from(text: &str) -> Result<Policy, Vec<Problem>> {
    let mut problems = Vec::new();
    let fragment = policy::parse(Path::new("policy.toml"), text, &mut problems);
    if problems.is_empty() { Ok(fragment.settle(None, Profile::default())) } else { Err(problems) }
}

#[cfg(test)]
mod tests;
