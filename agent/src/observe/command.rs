//! Asking another program: by its absolute path, with nothing of our environment, for so long and so much at most.

use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hostward_checks::fact::{Fact, Why};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What a program wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its standard output, as far as it was read.
    pub bytes: Vec<u8>,
    /// Whether it had more to say, or did not end in time: it was killed.
    pub cut: bool,
    /// Whether it ended by itself and said that all went well.
    pub success: bool,
}

/// Runs the first of these programs that is there. Absent: none is. The child is ended and reaped in every case.
pub fn ask(programs: &[&str], arguments: &[&str], time: Duration, most: usize) -> Fact<Output> {
    let Some(program) = programs.iter().find(|program| Path::new(program).is_file()) else { return Fact::Absent };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/");
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return Fact::Unknown(Why::Failed(format!("failed to run {program}: {error}"))),
    };
    let mut bytes = Vec::new();
    let whole = read(&mut child, Instant::now() + time, most, &mut bytes);
    if !matches!(whole, Ok(true)) {
        let _ = child.kill();
    }
    let status = child.wait();
    match (whole, status) {
        (Ok(whole), Ok(status)) => Fact::Known(Output { bytes, cut: !whole, success: whole && status.success() }),
        (Err(error), _) => Fact::Unknown(Why::Failed(format!("failed to read from {program}: {error}"))),
        (_, Err(error)) => Fact::Unknown(Why::Failed(format!("failed to wait for {program}: {error}"))),
    }
}

/// Reads to the end (true), the limit or the deadline (false).
fn read(child: &mut Child, deadline: Instant, most: usize, bytes: &mut Vec<u8>) -> std::io::Result<bool> {
    let Some(mut pipe) = child.stdout.take() else { return Ok(true) };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || bytes.len() >= most {
            return Ok(false);
        }
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match pipe.read(&mut buffer)? {
            0 => return Ok(true),
            length => bytes.extend_from_slice(buffer.get(..length).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, time: Duration, most: usize) -> Output {
        match ask(&["/nonexistent", "/bin/sh"], &["-c", script], time, most) {
            Fact::Known(output) => output,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_program_is_read_whole_or_said_to_be_cut() {
        let long = Duration::from_secs(20);
        assert_eq!(sh("echo a; echo b >&2", long, 100), Output { bytes: b"a\n".to_vec(), cut: false, success: true });
        let failed = sh("exit 3", long, 100);
        assert!(!failed.success && !failed.cut);
        let endless = sh("while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaa; done", long, 1000);
        assert!(endless.cut && endless.bytes.len() >= 1000);
        let begun = Instant::now();
        assert!(sh("echo x; exec sleep 60", Duration::from_millis(300), 100).cut);
        assert!(begun.elapsed() < long);
        assert_eq!(ask(&["/nonexistent"], &[], long, 1), Fact::Absent);
        assert_eq!(sh("echo ${HOME-none}", long, 100).bytes, b"none\n");
    }
}
