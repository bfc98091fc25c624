//! Room on disk: for the store and for every file, before the first of them is written.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::PathBuf;

use anyhow::Context;
use hostward_checks::effect::{Effect, FileChange, State};

use crate::tree::{Dir, Tree, refused};

/// What a file takes beyond its bytes, at most: a block that is not full, its directory's growth.
const PER_FILE: u64 = 16 << 10;
/// What the manifest and the stages take, and what is left to others.
const RESERVE: u64 = 1 << 20;
/// What the stages of undoing take.
const STAGES: u64 = 64 << 10;

/// What one file system is asked for.
#[derive(Debug)]
struct Demand {
    path: PathBuf,
    bytes: u64,
    inodes: u64,
    free_bytes: u64,
    free_inodes: Option<u64>,
}

/// How much is kept aside for undoing these effects: every old content beside the new one, and the stages.
pub(super) fn reserve(effects: &[&Effect]) -> usize {
    let files =
        effects.iter().filter_map(|effect| if let Effect::File(change) = *effect { Some(change) } else { None });
    usize::try_from(back(files)).unwrap_or(0)
}

fn back<'a>(files: impl Iterator<Item = &'a FileChange>) -> u64 {
    STAGES + files.map(|change| change.before.content().map_or(0, |content| content.len() as u64 + 4096)).sum::<u64>()
}

/// Makes sure that a plan fits: old and new content into the store, new content beside the old one where it stands.
///
/// # Errors
/// Exit code 3: it does not, with what is missing.
pub(super) fn enough(tree: &Tree, store: &Dir, files: &[&FileChange]) -> anyhow::Result<()> {
    let mut demands = BTreeMap::new();
    let size = |state: &State| state.content().map_or(0, |content| content.len() as u64);
    let kept = files.iter().map(|change| size(&change.before) + size(&change.after) + 2 * PER_FILE).sum::<u64>()
        + back(files.iter().copied());
    add(&mut demands, store.as_fd(), store.path().to_path_buf(), kept + RESERVE, 8 + 2 * files.len() as u64)?;
    for change in files {
        // A directory that the plan makes lies where the nearest one above it lies.
        let mut above = change.path.parent();
        let (dir, path) = loop {
            let Some(path) = above else { break (tree.top()?, PathBuf::from("/")) };
            match tree.dir(path) {
                Ok(dir) => break (dir, path.to_path_buf()),
                Err(_) if files.iter().any(|other| other.path == path) => above = path.parent(),
                Err(error) => return Err(crate::tree::stale(error)),
            }
        };
        // Undoing it takes as much again.
        add(&mut demands, dir.as_fd(), path, size(&change.before).max(size(&change.after)) + PER_FILE, 1)?;
    }
    for demand in demands.values() {
        let what = if demand.bytes > demand.free_bytes {
            format!("{} KiB are needed and {} are free", demand.bytes.div_ceil(1024), demand.free_bytes / 1024)
        } else if demand.free_inodes.is_some_and(|free| demand.inodes > free) {
            "there are no inodes left for new files".to_owned()
        } else {
            continue;
        };
        let message = format!(
            "no space on the file system of {}: {what}; free some, then try again. Nothing was changed",
            demand.path.display()
        );
        return Err(refused(message));
    }
    Ok(())
}

fn add(
    demands: &mut BTreeMap<u64, Demand>,
    dir: impl AsFd,
    path: PathBuf,
    bytes: u64,
    inodes: u64,
) -> anyhow::Result<()> {
    let context = || format!("failed to look at the file system of {}", path.display());
    let device = rustix::fs::fstat(&dir).with_context(context)?.st_dev;
    let stat = rustix::fs::fstatvfs(&dir).with_context(context)?;
    let demand = demands.entry(device).or_insert_with(|| Demand {
        path: path.clone(),
        bytes: 0,
        inodes: 0,
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        // Some file systems have no fixed number of inodes, and say 0 of 0.
        free_inodes: (stat.f_files > 0).then_some(stat.f_favail),
    });
    demand.bytes = demand.bytes.saturating_add(bytes);
    demand.inodes = demand.inodes.saturating_add(inodes);
    Ok(())
}
