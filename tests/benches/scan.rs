//! A whole scan against the programs it replaces, side by side, on a host of 20 accounts with a key each: CPU by `getrusage(2)`, medians.
//!
//! Ends with 1 where a figure is missed: at most 0.5 of the CPU of `sshd -T`, `ss -tulpn` and one `ssh-keygen -lf` an account; under 10 MiB.

use std::fs;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Result, ensure};
use hostward_tests::results;
use hostward_tests::suite::Suite;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

const ACCOUNTS: usize = 20;
const ROUNDS: usize = 15;
const SCAN: &str =
    "/hostward scan --password-budget 0 --cross-check none --format json --output /root/report.json --exit-zero";

fn main() -> Result<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        Some("--inside") => inside(),
        Some("--memory") => memory(),
        _ => outside(),
    }
}

/// Makes the host and starts this program in it: its children are then measured without a wrapper around each.
fn outside() -> Result<ExitCode> {
    let overlay = Suite::find("bookworm")?.overlay()?;
    overlay.prepare_sshd()?;
    fs::copy(hostward_tests::binary()?, overlay.path("/hostward"))?;
    fs::copy(std::env::current_exe()?, overlay.path("/bench"))?;
    overlay.shell(&format!(
        "ip link set lo up; for i in $(seq {ACCOUNTS}); do useradd -m -s /bin/bash u$i; install -d -o u$i -g u$i -m 700 /home/u$i/.ssh
         ssh-keygen -q -t ed25519 -N '' -f /root/k$i; install -o u$i -g u$i -m 600 /root/k$i.pub /home/u$i/.ssh/authorized_keys; done"
    ))?;
    let run = |what: &str| -> Result<Vec<f64>> {
        let output = overlay.command("/bench").arg(what).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().filter_map(|word| word.parse().ok()).collect())
    };
    let (times, peak) = (run("--inside")?, run("--memory")?);
    let ([ours, theirs], [peak]) = (times.as_slice(), peak.as_slice()) else {
        anyhow::bail!("the measurement printed {times:?} and {peak:?}");
    };
    let (ratio, mib) = (ours / theirs, peak / 1024.0);
    let line = format!(
        "{ACCOUNTS} accounts: sshd -T + ss -tulpn + {ACCOUNTS} x ssh-keygen -lf {theirs:.1} ms CPU, scan {ours:.1} ms, {ratio:.2} x (at most 0.5); peak {mib:.1} MiB (under 10)"
    );
    results::tested("bench scan", "bookworm", line);
    Ok(if ratio <= 0.5 && mib < 10.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn inside() -> Result<ExitCode> {
    // A listener or two, as any host has.
    let mut sshd = Command::new("/usr/sbin/sshd").arg("-D").stderr(Stdio::null()).spawn()?;
    std::thread::sleep(std::time::Duration::from_millis(500));
    let mut times: [Vec<i64>; 2] = Default::default();
    let [ours, theirs] = &mut times;
    for _ in 0..ROUNDS {
        ours.push(cpu(&[SCAN.to_owned()])?);
        let mut programs = vec!["/usr/sbin/sshd -T".to_owned(), "/usr/bin/ss -tulpnH".to_owned()];
        programs.extend((1..=ACCOUNTS).map(|i| format!("/usr/bin/ssh-keygen -lf /home/u{i}/.ssh/authorized_keys")));
        theirs.push(cpu(&programs)?);
    }
    sshd.kill()?;
    sshd.wait()?;
    let [ours, theirs] = times.map(|mut times| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default() as f64 / 1000.0
    });
    emit(&format!("{ours} {theirs}\n"))
}

/// The peak of one scan: this program has no other child, and is itself smaller.
fn memory() -> Result<ExitCode> {
    start(SCAN)?;
    emit(&format!("{}\n", getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss()))
}

fn emit(text: &str) -> Result<ExitCode> {
    std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn start(line: &str) -> Result<()> {
    let mut words = line.split(' ');
    let status = Command::new(words.next().unwrap_or_default()).args(words).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{line}: {status}");
    Ok(())
}

/// User and system time of the programs together, in microseconds.
fn cpu(programs: &[String]) -> Result<i64> {
    let used = || -> Result<i64> {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        Ok(usage.user_time().num_microseconds() + usage.system_time().num_microseconds())
    };
    let before = used()?;
    for program in programs {
        start(program)?;
    }
    Ok(used()? - before)
}
