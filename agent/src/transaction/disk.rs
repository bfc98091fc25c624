//! The store on disk: private directories, files that are whole or not there, everything synced before it counts.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use hostward_checks::effect::Effect;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{AFTER, BEFORE, Content, MANIFEST, Manifest, PATH, RESERVE, STAGE, Stages, space};
use crate::tree::{Dir, Tree, digest};

/// The most bytes of a file of the store.
const LIMIT: u64 = 32 << 20;
/// What a transaction is called until it is whole.
const UNFINISHED: &str = ".unfinished";

/// The store's directory, made where it is missing and `make` says so; None: it is not there.
///
/// # Errors
/// It cannot be entered or made, or others may enter it.
pub(super) fn private(tree: &Tree, make: bool) -> anyhow::Result<Option<Dir>> {
    let mut here = tree.top()?;
    for name in Path::new(PATH).strip_prefix("/").unwrap_or(Path::new(PATH)) {
        let path = here.path().join(name);
        if here.stat(name).with_context(|| format!("failed to look at {}", path.display()))?.is_none() {
            if !make {
                return Ok(None);
            }
            match here.make(name) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error).with_context(|| format!("failed to make {}", path.display())),
            }
            // /var and /var/lib are everybody's to enter; they are only missing in an image that is being made.
            if !path.starts_with("/var/lib/hostward") {
                let dir = tree.enter(&here, name)?;
                rustix::fs::chmodat(&here, name, Mode::from_raw_mode(0o755), rustix::fs::AtFlags::empty())
                    .with_context(|| format!("failed to make {}", dir.path().display()))?;
            }
            here.sync().with_context(|| format!("failed to sync {}", here.path().display()))?;
        }
        here = tree.enter(&here, name)?;
    }
    let stat = rustix::fs::fstat(&here).with_context(|| format!("failed to look at {PATH}"))?;
    if stat.st_uid != tree.me() || stat.st_mode & 0o077 != 0 {
        bail!("{PATH} is not root's alone: chown it to root and chmod it 0700");
    }
    Ok(Some(here))
}

/// Writes a transaction under a name that nobody lists, syncs it, and gives it its own.
///
/// # Errors
/// It cannot be written: then it is not there.
pub(super) fn write_transaction(
    tree: &Tree,
    store: &Dir,
    manifest: &Manifest,
    effects: &[&Effect],
    stages: &Stages,
) -> anyhow::Result<()> {
    let unfinished = OsStr::new(UNFINISHED);
    // One that was not finished, in a run that died.
    remove(tree, store, unfinished)?;
    let written = (|| {
        store.make(unfinished).with_context(|| format!("failed to make {PATH}/{UNFINISHED}"))?;
        let dir = tree.enter(store, unfinished)?;
        for (side, after) in [(BEFORE, false), (AFTER, true)] {
            dir.make(side).with_context(|| format!("failed to make {PATH}/{UNFINISHED}/{side}"))?;
            let blobs = tree.enter(&dir, OsStr::new(side))?;
            for (index, effect) in effects.iter().enumerate() {
                let state = match effect {
                    Effect::File(change) | Effect::Erase(change) if after => &change.after,
                    Effect::File(change) => &change.before,
                    // What goes for good is kept nowhere, not even until it is gone.
                    _ => continue,
                };
                if let Some(content) = state.content() {
                    create(&blobs, &index.to_string(), content)?;
                }
            }
            blobs.sync().context("failed to sync the transaction")?;
        }
        create(&dir, RESERVE, &vec![0; space::reserve(effects)])?;
        create(&dir, MANIFEST, &serde_json::to_vec_pretty(manifest)?)?;
        create(&dir, STAGE, &serde_json::to_vec_pretty(stages)?)?;
        dir.sync().context("failed to sync the transaction")?;
        store.rename(unfinished, OsStr::new(&manifest.id), false).context("failed to name the transaction")?;
        store.sync().context("failed to sync the transaction")
    })();
    if written.is_err() {
        // The first error is the one to tell.
        let _ = remove(tree, store, unfinished);
    }
    written
}

/// Makes a new file, private and synced.
fn create(dir: &Dir, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let context = || format!("failed to write {}", dir.path().join(name).display());
    let fd = dir.open(name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL).with_context(context)?;
    let mut file = File::from(fd);
    file.write_all(content).and_then(|()| file.sync_all()).with_context(context)
}

/// Replaces a file of a transaction: a reader, also after a crash, sees the old one or the new one.
///
/// # Errors
/// It cannot be written.
pub(super) fn replace_json(dir: &Dir, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
    let context = || format!("failed to write {}", dir.path().join(name).display());
    let temporary = format!(".{name}");
    match dir.unlink(&temporary) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error).with_context(context),
    }
    create(dir, &temporary, &serde_json::to_vec_pretty(value)?)?;
    dir.rename(OsStr::new(&temporary), OsStr::new(name), true).with_context(context)?;
    dir.sync().with_context(context)
}

/// Reads a file of the store.
///
/// # Errors
/// It cannot be read, or is broken.
pub(super) fn read_json<T: DeserializeOwned>(dir: &Dir, name: &str) -> anyhow::Result<T> {
    let bytes = read(dir, name)?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is broken", dir.path().join(name).display()))
}

/// Reads a content of one side.
///
/// # Errors
/// It cannot be read, or is not what was written.
pub(super) fn read_blob(dir: &Dir, side: &str, index: usize, content: &Content) -> anyhow::Result<Vec<u8>> {
    let name = format!("{side}/{index}");
    let blobs = dir.open(side, OFlags::PATH | OFlags::DIRECTORY);
    let blobs = blobs.with_context(|| format!("failed to read {}", dir.path().join(&name).display()))?;
    let fd = rustix::fs::openat(&blobs, index.to_string(), READ, Mode::empty())
        .with_context(|| format!("failed to read {}", dir.path().join(&name).display()))?;
    let bytes = read_all(File::from(fd), &dir.path().join(&name))?;
    if digest(&bytes) != content.sha256 {
        bail!("{} is not what was written there", dir.path().join(&name).display());
    }
    Ok(bytes)
}

const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

fn read(dir: &Dir, name: &str) -> anyhow::Result<Vec<u8>> {
    let path = dir.path().join(name);
    let fd = dir.open(name, READ).with_context(|| format!("failed to read {}", path.display()))?;
    read_all(File::from(fd), &path)
}

fn read_all(file: File, path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).with_context(|| format!("failed to read {}", path.display()))?;
    if bytes.len() as u64 > LIMIT {
        bail!("{} is larger than {LIMIT} bytes", path.display());
    }
    Ok(bytes)
}

/// Removes a transaction: its stage first, so that half of one is none.
///
/// # Errors
/// Something in it cannot be removed.
pub(super) fn remove(tree: &Tree, store: &Dir, name: &OsStr) -> anyhow::Result<()> {
    let context = || format!("failed to remove {}", store.path().join(name).display());
    if store.stat(name).with_context(context)?.is_none() {
        return Ok(());
    }
    let unfinished = OsStr::new(UNFINISHED);
    if name != unfinished {
        // Under this name nobody takes it for a transaction any more.
        remove(tree, store, unfinished)?;
        store.rename(name, unfinished, false).with_context(context)?;
        return remove(tree, store, unfinished);
    }
    let dir = tree.enter(store, name)?;
    for inside in dir.names().with_context(context)? {
        if [BEFORE, AFTER].map(OsStr::new).contains(&inside.as_os_str()) {
            let blobs = tree.enter(&dir, &inside)?;
            for blob in blobs.names().with_context(context)? {
                blobs.unlink(&blob).with_context(context)?;
            }
            dir.remove(&inside).with_context(context)?;
        } else {
            dir.unlink(&inside).with_context(context)?;
        }
    }
    store.remove(name).with_context(context)?;
    store.sync().with_context(context)
}
