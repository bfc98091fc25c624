//! CPU of parsing and fingerprinting 10,000 keys in 200 files, against 200 × `ssh-keygen -lf`, side by side; and of the
//! weak-key mathematics of one RSA key.
//!
//! Both are processes of their own, in turn, user and system time by `getrusage(2)`; the median counts. Ends with 1 where a
//! figure is missed: at most 0.03 of ssh-keygen, at most 100 µs an RSA key of 4096 bits.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use hostward_checks::parse::authorized_keys;
use hostward_checks::weak_key::arithmetic;
use hostward_tests::keys::{real, usual};
use hostward_tests::rng::Rng;
use hostward_tests::{results, static_build};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tempfile::TempDir;

const ROUNDS: usize = 11;
const FILES: usize = 200;
const KEYS: usize = 50;

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("--parse") {
        let directory = PathBuf::from(arguments.next().context("no directory")?);
        return parse(&directory).map(|()| ExitCode::SUCCESS);
    }
    if let Some(code) = static_build::bench("keys")? {
        return Ok(code);
    }
    let directory = TempDir::new()?;
    let mut rng = Rng::new(1);
    let files: Vec<PathBuf> = (0..FILES).map(|number| directory.path().join(number.to_string())).collect();
    for file in &files {
        let lines: Vec<String> = (0..KEYS).map(|_| usual(&mut rng) + " user@host\n").collect();
        std::fs::write(file, lines.concat())?;
    }
    let own = std::env::current_exe()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(cpu(|| run(Command::new(&own).arg("--parse").arg(directory.path())))?);
        theirs.push(cpu(|| files.iter().try_for_each(|file| run(Command::new("ssh-keygen").arg("-lf").arg(file))))?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let ratio = ours as f64 / theirs as f64;
    let line = format!(
        "{} keys in {FILES} files: {FILES} x ssh-keygen -lf {:.0} ms CPU, ours {:.1} ms: {ratio:.4} x (at most 0.03)",
        FILES * KEYS,
        theirs as f64 / 1000.0,
        ours as f64 / 1000.0,
    );
    results::tested("bench keys", "ssh-keygen", line);
    let slow = mathematics(directory.path())?;
    Ok(if ratio <= 0.03 && !slow { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Parses every file of a directory; each key has its fingerprint then.
fn parse(directory: &Path) -> Result<()> {
    let mut keys = 0;
    for entry in std::fs::read_dir(directory)? {
        let (found, defects) = authorized_keys::parse(&std::fs::read(entry?.path())?);
        ensure!(defects.is_empty(), "a file holds lines without a key");
        keys += black_box(found).len();
    }
    ensure!(keys == FILES * KEYS, "{keys} keys");
    Ok(())
}

/// Measures the mathematics on sound keys, for which every test runs to its end. True: too slow.
fn mathematics(directory: &Path) -> Result<bool> {
    let mut slow = false;
    for bits in [2048, 3072, 4096] {
        let (keys, _) = authorized_keys::parse(real(directory, "rsa", bits, 1)?.concat().as_bytes());
        let rsa = keys.first().and_then(|line| line.key.rsa()).context("no RSA key")?;
        ensure!(arithmetic(rsa.modulus, rsa.exponent).is_none(), "a sound key is called weak");
        let runs: i64 = 2000;
        let mut times = Vec::new();
        for _ in 0..5 {
            times.push(own_cpu(|| {
                for _ in 0..runs {
                    black_box(arithmetic(black_box(rsa.modulus), black_box(rsa.exponent)));
                }
            })?);
        }
        let each = median(times) as f64 / runs as f64;
        slow |= each > 100.0;
        results::tested("bench weak keys", &format!("RSA {bits}"), format!("{each:.1} µs a key (at most 100)"));
    }
    Ok(slow)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}

fn median(mut times: Vec<i64>) -> i64 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(i64::MAX)
}

/// User and system time of the processes that `work` runs, in microseconds.
fn cpu(work: impl FnOnce() -> Result<()>) -> Result<i64> {
    let before = used(UsageWho::RUSAGE_CHILDREN)?;
    work()?;
    Ok(used(UsageWho::RUSAGE_CHILDREN)? - before)
}

/// User and system time of this process in `work`, in microseconds.
fn own_cpu(work: impl FnOnce()) -> Result<i64> {
    let before = used(UsageWho::RUSAGE_SELF)?;
    work();
    Ok(used(UsageWho::RUSAGE_SELF)? - before)
}

fn used(who: UsageWho) -> Result<i64> {
    let usage = getrusage(who)?;
    Ok(usage.user_time().num_microseconds() + usage.system_time().num_microseconds())
}
