//! The last configuration that was good, kept for the resident: a mistake in a file is not to leave a host unwatched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use hostward_checks::check::Profile;
use serde::{Deserialize, Serialize};

use super::{Configuration, Sources};

/// The files of a configuration, by their paths in its directory, as they were when it was good.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    files: BTreeMap<PathBuf, String>,
}

/// Reads the configuration, and keeps a good one in `kept`. Where it is wrong, the last good one holds; then why, as the second
/// value.
///
/// # Errors
/// It is wrong, and none is kept.
pub fn load(
    sources: &Sources,
    profile: Option<Profile>,
    otherwise: Profile,
    kept: &Path,
) -> anyhow::Result<(Configuration, Option<String>)> {
    let wrong = match Configuration::load(sources, profile, otherwise) {
        Ok(good) => {
            // One that cannot be kept holds all the same.
            let trouble = keep(sources, &good, kept).err().map(|error| format!("{error:#}"));
            return Ok((good, trouble));
        }
        Err(wrong) => wrong,
    };
    match last(sources, profile, otherwise, kept) {
        Some(good) => Ok((good, Some(format!("the configuration is wrong, the last good one holds: {wrong:#}")))),
        None => Err(wrong),
    }
}

fn keep(sources: &Sources, good: &Configuration, kept: &Path) -> anyhow::Result<()> {
    let Some(directory) = &sources.directory else { return Ok(()) };
    let mut files = BTreeMap::new();
    for file in &good.files {
        // Those that the command line named are not ours to keep.
        if let Ok(inside) = file.strip_prefix(directory) {
            let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
            files.insert(inside.to_path_buf(), text);
        }
    }
    let now = Kept { files };
    if read(kept).as_ref() == Some(&now) {
        return Ok(());
    }
    if let Some(dir) = kept.parent() {
        crate::files::private_dir(dir)?;
    }
    crate::files::replace(kept, &serde_json::to_vec(&now)?)
}

fn read(kept: &Path) -> Option<Kept> {
    serde_json::from_slice(&std::fs::read(kept).ok()?).ok()
}

/// The kept files are read as files, by the same rules as the others.
fn last(sources: &Sources, profile: Option<Profile>, otherwise: Profile, kept: &Path) -> Option<Configuration> {
    let files = read(kept)?.files;
    let dir = tempfile::tempdir().ok()?;
    for (inside, text) in &files {
        let path = dir.path().join(
            inside
                .file_name()
                .filter(|_| inside.components().count() == 1)
                .map_or_else(|| PathBuf::from("policy.d").join(inside.file_name().unwrap_or_default()), PathBuf::from),
        );
        std::fs::create_dir_all(path.parent()?).ok()?;
        std::fs::write(path, text).ok()?;
    }
    let sources = Sources { directory: Some(dir.path().to_path_buf()), ..sources.clone() };
    Configuration::read(&sources, profile, otherwise).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_leaves_the_last_good_one_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let (etc, kept) = (dir.path().join("etc"), dir.path().join("state/config.json"));
        std::fs::create_dir_all(etc.join("policy.d")).unwrap();
        let sources = Sources { directory: Some(etc.clone()), policy: None, settings: None };
        let load = || load(&sources, None, Profile::Enhanced, &kept);
        std::fs::write(etc.join("policy.toml"), "profil = 1\n").unwrap();
        assert!(load().is_err(), "there was no good one yet");
        std::fs::write(etc.join("policy.toml"), "profile = \"basic\"\n").unwrap();
        std::fs::write(etc.join("policy.d/a.toml"), "[severity]\n\"sshd.port\" = \"low\"\n").unwrap();
        let (good, trouble) = load().unwrap();
        assert_eq!((good.policy.profile, trouble), (Profile::Basic, None));
        for wrong in ["profil = 1\n", "\u{0}", "profile = \"enhanced"] {
            std::fs::write(etc.join("policy.d/a.toml"), wrong).unwrap();
            let (held, trouble) = load().unwrap();
            assert_eq!(held.policy, good.policy);
            assert!(trouble.unwrap().contains("policy.d/a.toml"));
        }
        std::fs::remove_file(etc.join("policy.d/a.toml")).unwrap();
        assert_ne!(load().unwrap().0.policy, good.policy);
        std::fs::write(&kept, "{").unwrap();
        std::fs::write(etc.join("policy.toml"), "profil = 1\n").unwrap();
        assert!(load().is_err());
    }
}
