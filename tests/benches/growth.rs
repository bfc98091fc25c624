//! How a scan and `access` grow with the accounts of an image: CPU an account with many, against CPU an account with few.
//!
//! Each account has a group, a home with a key, a password and a place in a group that sudo names, so that every check has to look
//! at all of them. User and system time by `getrusage(2)`, the least of some runs. Ends with 1 where an account among many costs
//! more than twice what it costs among few: work that is done for every pair of accounts would cost eight times as much.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Result, ensure};
use hostward_tests::keys::usual;
use hostward_tests::results;
use hostward_tests::rng::Rng;
use hostward_tests::suite::{Overlay, Suite};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

const FEW: usize = 1_000;
const MANY: usize = 8_000;
const ROUNDS: usize = 3;
const LIMIT: f64 = 2.0;
const COMMANDS: [&[&str]; 2] =
    [&["scan", "--format", "json", "--password-budget", "0", "--exit-zero"], &["access", "--json"]];

fn main() -> Result<ExitCode> {
    let suite = Suite::find("trixie")?;
    let (few, many) = (suite.overlay()?, suite.overlay()?);
    populate(&few, FEW)?;
    populate(&many, MANY)?;
    let mut code = ExitCode::SUCCESS;
    for command in COMMANDS {
        let each = |image: &Overlay, accounts: usize| -> Result<f64> {
            let times = (0..ROUNDS).map(|_| cpu(image, command)).collect::<Result<Vec<_>>>()?;
            Ok(times.into_iter().min().unwrap_or_default() as f64 / accounts as f64)
        };
        let (one_of_few, one_of_many) = (each(&few, FEW)?, each(&many, MANY)?);
        let growth = one_of_many / one_of_few;
        let name = command.first().unwrap_or(&"");
        let line = format!(
            "{name}: {one_of_few:.0} µs CPU an account of {FEW}, {one_of_many:.0} µs of {MANY}: {growth:.2} x (at most {LIMIT})"
        );
        results::tested("bench growth", suite.name(), line);
        if growth > LIMIT {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn populate(image: &Overlay, accounts: usize) -> Result<()> {
    let mut rng = Rng::new(1);
    let (mut passwd, mut shadow, mut group) = (String::new(), String::new(), String::new());
    for (number, id) in (0..accounts).zip(10_000_u32..) {
        writeln!(passwd, "u{number}:x:{id}:{id}::/home/u{number}:/bin/sh")?;
        writeln!(shadow, "u{number}:$6$abcdefgh${number:086}:19000:0:99999:7:::")?;
        writeln!(group, "u{number}:x:{id}:")?;
        let home = image.path(&format!("/home/u{number}"));
        let keys = home.join(".ssh/authorized_keys");
        fs::create_dir_all(home.join(".ssh"))?;
        fs::write(&keys, usual(&mut rng) + "\n")?;
        // A group may write, and it is the account's own.
        for path in [home.clone(), home.join(".ssh"), keys] {
            chown(&path, Some(id), Some(id))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(if path.is_dir() { 0o775 } else { 0o664 }))?;
        }
    }
    let names: Vec<String> = (0..accounts).map(|number| format!("u{number}")).collect();
    writeln!(group, "everybody:x:9999:{}", names.join(","))?;
    for (path, lines, mode) in
        [("/etc/passwd", passwd, 0o644), ("/etc/shadow", shadow, 0o640), ("/etc/group", group, 0o644)]
    {
        image.write(path, fs::read_to_string(image.path(path))? + &lines, mode)?;
    }
    image.write("/etc/sudoers.d/everybody", "%everybody ALL=(ALL) ALL\n", 0o440)?;
    Ok(())
}

/// User and system time of one run, in microseconds.
fn cpu(image: &Overlay, command: &[&str]) -> Result<i64> {
    let used = || -> Result<i64> {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        Ok(usage.user_time().num_microseconds() + usage.system_time().num_microseconds())
    };
    let before = used()?;
    let mut program = Command::new(hostward_tests::binary()?);
    let status = program.args(command).arg("--root").arg(image.root()).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(used()? - before)
}
