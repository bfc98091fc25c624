//! CPU of finding sockets and their owners, against `ss -tulpn`, side by side: 10,000 listeners in 2,000 processes.
//!
//! Every measurement is a process of its own, `ss` and ours in turn, user and system time by `getrusage(2)`; the median counts.
//! Ends with 1 where a figure is missed: sockets and owners at most 0.5 of `ss`, all facts at most 0.9.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use hostward::observe;
use hostward_tests::listen::{Listening, spread};
use hostward_tests::netns::Netns;
use hostward_tests::{results, static_build};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

const ROUNDS: usize = 21;

fn main() -> Result<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        Some("--owners") => {
            let (listeners, holders) =
                observe::sockets::sockets_and_owners().map_err(|why| anyhow::anyhow!("{why}"))?;
            ensure!(listeners.len() == 10_000 && holders.sockets() == 10_000, "{} listeners", listeners.len());
            return Ok(ExitCode::SUCCESS);
        }
        Some("--facts") => {
            let sockets = observe::sockets();
            let sockets = sockets.known().context("sockets unknown")?;
            let owned = sockets.listeners.iter().filter(|l| l.namespace.is_none() && l.owners.known().is_some());
            ensure!(owned.count() == 10_000, "not every listener has an owner");
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    if let Some(code) = static_build::bench("sockets")? {
        return Ok(code);
    }
    Netns::new()?.run(compare)?
}

fn compare() -> Result<ExitCode> {
    let own = std::env::current_exe()?;
    let _kept =
        Listening::start_all(Path::new(env!("CARGO_BIN_EXE_listen")), &spread(10_000, 2_000), |command| command)?;
    let mut times: [Vec<i64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let commands = [
            ("ss", "-tulpnH"),
            (own.to_str().context("odd path")?, "--owners"),
            (own.to_str().context("odd path")?, "--facts"),
        ];
        for ((program, argument), times) in commands.into_iter().zip(&mut times) {
            times.push(cpu(program, argument)?);
        }
    }
    let [ss, owners, facts] = times.map(|mut times| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or(i64::MAX)
    });
    let ratio = |ours: i64| ours as f64 / ss as f64;
    let line = format!(
        "10,000 listeners in 2,000 processes: ss -tulpn {:.1} ms CPU; sockets and owners {:.2} x (at most 0.5), all facts {:.2} x (at most 0.9)",
        ss as f64 / 1000.0,
        ratio(owners),
        ratio(facts)
    );
    results::tested("bench sockets", "namespace", line);
    Ok(if ratio(owners) <= 0.5 && ratio(facts) <= 0.9 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// User and system time of one run, in microseconds.
fn cpu(program: &str, argument: &str) -> Result<i64> {
    let used = || -> Result<i64> {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        Ok(usage.user_time().num_microseconds() + usage.system_time().num_microseconds())
    };
    let before = used()?;
    let status = Command::new(program).arg(argument).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{program} {argument} failed");
    Ok(used()? - before)
}
