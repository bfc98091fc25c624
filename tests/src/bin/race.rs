//! A user who races with root: swaps its home, `.ssh` and `authorized_keys` with links, pipes, directories and other files, as fast as it
//! can, until its standard input ends: `race DIR SEED TARGET…`, DIR being the directory that holds the home `h`.
//!
//! It runs as an unprivileged user; whatever it gains, it gains through the race.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hostward_tests::rng::Rng;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

const HOME: &str = "h";
const SSH: &str = "h/.ssh";
const KEYS: &str = "h/.ssh/authorized_keys";

static SWAPS: AtomicU64 = AtomicU64::new(0);
static STOP: AtomicBool = AtomicBool::new(false);

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().context("usage: race DIR SEED TARGET…")?);
    let seed: u64 = arguments.next().context("usage: race DIR SEED TARGET…")?.parse()?;
    let targets: Vec<String> = arguments.collect();
    ensure!(!nix::unistd::geteuid().is_root(), "a race of root proves nothing");
    std::env::set_current_dir(&dir).with_context(|| format!("failed to enter {}", dir.display()))?;
    let key = fs::read(KEYS).context("failed to read the keys")?;
    std::io::stdout().write_all(b"ready\n")?;
    std::thread::scope(|scope| {
        scope.spawn(|| race(seed, &targets, &key));
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        STOP.store(true, Ordering::Relaxed);
    });
    std::io::stdout().write_all(format!("{}\n", SWAPS.load(Ordering::Relaxed)).as_bytes())?;
    Ok(())
}

fn race(seed: u64, targets: &[String], key: &[u8]) {
    let mut rng = Rng::new(seed);
    while !STOP.load(Ordering::Relaxed) {
        // Everything may fail: root moves things, too.
        let _ = restore(key, &mut rng);
        pause(&mut rng, 6000);
        for _ in 0..rng.below(6) + 1 {
            let place = rng.pick(&[HOME, SSH, KEYS]);
            let _ = swap(place, targets, key, &mut rng);
            meddle(&mut rng, targets);
            SWAPS.fetch_add(1, Ordering::Relaxed);
        }
    }
    let _ = restore(key, &mut rng);
}

/// Spins: sleeping is too coarse.
fn pause(rng: &mut Rng, most: usize) {
    let end = Instant::now() + Duration::from_micros(u64::try_from(rng.below(most)).unwrap_or_default());
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// Puts another thing into a place for a moment, by one rename of both where it can.
fn swap(place: &str, targets: &[String], key: &[u8], rng: &mut Rng) -> Result<()> {
    let bait = Path::new("bait");
    clear(bait);
    match rng.below(8) {
        0 => nix::unistd::mkfifo(bait, nix::sys::stat::Mode::from_bits_truncate(0o666))?,
        1 => fs::create_dir(bait)?,
        2 => fs::write(bait, key)?,
        3 => drop(fs::hard_link(KEYS, bait)),
        // The kernel may forbid names for the files of others.
        4 => drop(targets.get(rng.below(targets.len())).map(|target| fs::hard_link(target, bait))),
        _ => symlink(targets.get(rng.below(targets.len())).context("no target")?, bait)?,
    }
    let exchange = || renameat2(AT_FDCWD, bait, AT_FDCWD, place, RenameFlags::RENAME_EXCHANGE);
    exchange()?;
    pause(rng, 300);
    if rng.chance(80) {
        exchange()?;
    }
    Ok(())
}

/// Goes for what root makes in its directories: temporary files are replaced, removed, opened up and written.
fn meddle(rng: &mut Rng, targets: &[String]) {
    for dir in [HOME, SSH] {
        let Ok(entries) = fs::read_dir(dir) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name == ".ssh" || name == "authorized_keys" {
                continue;
            }
            let path = entry.path();
            let target = targets.get(rng.below(targets.len())).map_or("x", String::as_str);
            match rng.below(4) {
                0 => drop(fs::remove_file(&path)),
                1 => {
                    let _ = fs::remove_file(&path).and_then(|()| symlink(target, &path));
                }
                2 => drop(fs::set_permissions(&path, Permissions::from_mode(0o6777))),
                _ => {
                    let _ = File::options().append(true).open(&path).and_then(|mut file| file.write_all(b"meddled\n"));
                }
            }
        }
    }
}

/// The home with something to mend.
fn restore(key: &[u8], rng: &mut Rng) -> Result<()> {
    for (path, dir) in [(HOME, true), (SSH, true), (KEYS, false)] {
        let there = fs::symlink_metadata(path);
        let right = there.is_ok_and(|meta| if dir { meta.is_dir() } else { meta.is_file() });
        if !right {
            clear(Path::new(path));
            if dir {
                fs::create_dir(path)?;
            }
        }
    }
    fs::write(KEYS, key)?;
    for (path, open, right) in [(HOME, 0o777, 0o755), (SSH, 0o777, 0o700), (KEYS, 0o666, 0o600)] {
        fs::set_permissions(path, Permissions::from_mode(if rng.chance(70) { open } else { right }))?;
    }
    Ok(())
}

fn clear(path: &Path) {
    if fs::remove_file(path).is_err() {
        let _ = fs::remove_dir_all(path);
    }
}
