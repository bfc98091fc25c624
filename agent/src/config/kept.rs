//! The last configuration that was good, kept for the resident: a mistake in a file is not to leave a host unwatched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hostward_checks::check::Profile;
use serde::{Deserialize, Serialize};

use super::{Configuration, Sources, Texts, wrong};

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
    let mut problems = Vec::new();
    let texts = Texts::read(sources, &mut problems);
    let problems = match Configuration::of(&texts, problems, profile, otherwise) {
        Ok(good) => {
            // One that cannot be kept holds all the same.
            let trouble = keep(sources, &texts, kept).err().map(|error| format!("{error:#}"));
            return Ok((good, trouble));
        }
        Err(problems) => problems,
    };
    let wrong = wrong(&problems);
    match last(sources, kept).and_then(|texts| Configuration::of(&texts, Vec::new(), profile, otherwise).ok()) {
        Some(good) => Ok((good, Some(format!("the configuration is wrong, the last good one holds: {wrong:#}")))),
        None => Err(wrong),
    }
}

fn keep(sources: &Sources, good: &Texts, kept: &Path) -> anyhow::Result<()> {
    let Some(directory) = &sources.directory else { return Ok(()) };
    // Those that the command line named are not ours to keep.
    let inside = |(file, text): &(PathBuf, String)| {
        file.strip_prefix(directory).ok().map(|inside| (inside.to_path_buf(), text.clone()))
    };
    let now = Kept { files: good.settings.iter().chain(&good.policy).filter_map(inside).collect() };
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

/// The kept files, in the place of those that the command line did not name. No file is made for it: the resident has no
/// place for one but its own, which may be full.
fn last(sources: &Sources, kept: &Path) -> Option<Texts> {
    let directory = sources.directory.as_ref()?;
    let mut problems = Vec::new();
    // Without a directory there are those that were named, and no others.
    let mut texts = Texts::read(&Sources { directory: None, ..sources.clone() }, &mut problems);
    let (fragments, files): (Vec<_>, Vec<_>) =
        read(kept)?.files.into_iter().partition(|(inside, _)| inside.starts_with("policy.d"));
    for (inside, text) in files.into_iter().chain(fragments) {
        let file = directory.join(&inside);
        if inside == Path::new("hostward.toml") {
            texts.settings.get_or_insert((file, text));
        } else if sources.policy.is_none() {
            texts.policy.push((file, text));
        }
    }
    problems.is_empty().then_some(texts)
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
