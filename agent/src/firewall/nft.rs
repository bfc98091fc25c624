//! Running nft: by its absolute path, with nothing of our environment, the rules in memory only, for so long at most.

use std::io::{Read, Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hostward_checks::fact::Fact;
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::observe::command::ask;

/// Where nft stands.
const PROGRAMS: [&str; 3] = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"];
/// A change of rules waits for others who change rules, and on old kernels for RCU: seconds on a busy host.
const TIME: Duration = Duration::from_secs(30);
/// As much is read of what it says.
const BYTES: usize = 1 << 20;

/// nft's path; None: it is not installed.
pub fn program() -> Option<&'static str> {
    PROGRAMS.into_iter().find(|program| Path::new(program).is_file())
}

/// Asks whether the text would be taken, changing nothing.
///
/// # Errors
/// It would not.
pub fn check(text: &str) -> anyhow::Result<()> {
    run(&["-c"], text).context("the firewall table is refused")
}

/// Loads the text, all of it or nothing.
///
/// # Errors
/// Nothing was loaded.
pub fn load(text: &str) -> anyhow::Result<()> {
    run(&[], text).context("the firewall table cannot be loaded")
}

/// The text reaches nft as its standard input's file: nft 0.8 reads no `-`, and a sandbox leaves nowhere to write.
fn run(options: &[&str], text: &str) -> anyhow::Result<()> {
    let Some(program) = program() else { bail!("nft is not installed: install nftables") };
    let memory = |name: &std::ffi::CStr| memfd_create(name, MFdFlags::MFD_CLOEXEC).map(std::fs::File::from);
    let mut input = memory(c"rules").context("failed to make a file in memory")?;
    let mut said = memory(c"errors").context("failed to make a file in memory")?;
    input.write_all(text.as_bytes()).context("failed to write a file in memory")?;
    let mut command = Command::new(program);
    command.args(options).args(["-f", "/proc/self/fd/0"]).env_clear().env("LC_ALL", "C").current_dir("/");
    command.stdin(input).stdout(Stdio::null()).stderr(said.try_clone().context("failed to share a file")?);
    let mut child = command.spawn().with_context(|| format!("failed to run {program}"))?;
    let until = Instant::now() + TIME;
    let status = loop {
        match child.try_wait().with_context(|| format!("failed to wait for {program}"))? {
            Some(status) => break status,
            None if Instant::now() > until => {
                let _ = child.kill();
                let _ = child.wait();
                bail!("{program} did not end within {} s", TIME.as_secs());
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    if status.success() {
        return Ok(());
    }
    let mut words = String::new();
    said.rewind().context("failed to read a file in memory")?;
    // What it says may be no text; the first lines are enough.
    let _ = said.take(4096).read_to_string(&mut words);
    let first = words.lines().find(|line| line.contains("rror")).unwrap_or("no reason given").to_owned();
    match status.signal() {
        Some(signal) => bail!("{program} was ended by signal {signal}"),
        None => bail!("{program}: {first}"),
    }
}

/// A table of family inet as nft shows it, counts left out; None: it is not there.
///
/// # Errors
/// nft is missing or does not end.
pub fn listing(table: &str) -> anyhow::Result<Option<String>> {
    // Two `n`: ports and users as numbers with the versions that would look up names.
    match ask(&PROGRAMS, &["-nn", "list", "table", "inet", table], TIME, BYTES) {
        Fact::Known(output) if output.cut => bail!("nft list table: too slow or too long"),
        Fact::Known(output) if output.success => Ok(Some(uncounted(&String::from_utf8_lossy(&output.bytes)))),
        Fact::Known(_) => Ok(None),
        Fact::Absent => bail!("nft is not installed: install nftables"),
        Fact::Unknown(why) => bail!("nft list table: {why}"),
    }
}

/// The text without what its counters have counted.
fn uncounted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut counts = false;
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 {
            out.push(' ');
        }
        let number = word.bytes().all(|byte| byte.is_ascii_digit());
        out.push_str(if counts && number { "0" } else { word });
        counts = matches!(word, "packets" | "bytes");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_makes_no_difference() {
        let text = "\t\tip saddr 10.0.0.0/8 counter packets 12 bytes 3400 drop\n\t\ttcp dport 80 accept";
        assert_eq!(uncounted(text), "\t\tip saddr 10.0.0.0/8 counter packets 0 bytes 0 drop\n\t\ttcp dport 80 accept");
        assert_eq!(uncounted(""), "");
    }
}
