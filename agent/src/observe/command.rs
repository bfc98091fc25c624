//! Asking another program: by its absolute path, with nothing of our environment, for so long and so much at most.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
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

/// What is run, and how: for programs that act or judge, where their words and their exit status matter.
#[derive(Clone, Debug)]
pub struct Call {
    /// The program, by its absolute path.
    pub program: OsString,
    /// What stands in its first argument; the program's path where there is none.
    pub name: Option<OsString>,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment beyond `LC_ALL` and `PATH`.
    pub environment: Vec<(OsString, OsString)>,
    /// How long it may take.
    pub time: Duration,
}

impl Call {
    /// A call of a program with these arguments, in at most so much time.
    pub fn new<S: Into<OsString>>(
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = S>,
        time: Duration,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { program: program.into(), name: None, arguments, environment: Vec::new(), time }
    }

    /// Runs it to its end; it is killed when its time is over. Its standard input is empty.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self) -> std::io::Result<Ran> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().env("LC_ALL", "C").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).current_dir("/");
        if let Some(name) = &self.name {
            command.arg0(name);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let deadline = Instant::now() + self.time;
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let read = read_both(&mut child, deadline, &mut out, &mut errors);
        let mut timed_out = !matches!(read, Ok(true));
        // It has closed its output, and may go on.
        while !timed_out && child.try_wait()?.is_none() {
            timed_out = Instant::now() >= deadline;
            std::thread::sleep(Duration::from_millis(5));
        }
        if timed_out {
            let _ = child.kill();
        }
        let status = child.wait()?;
        read?;
        Ok(Ran { out, errors, status: if timed_out { None } else { status.code() }, timed_out })
    }
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its standard output, at most [`MOST`] bytes.
    pub out: Vec<u8>,
    /// Its standard error, at most as much.
    pub errors: Vec<u8>,
    /// Its exit status; None: a signal ended it.
    pub status: Option<i32>,
    /// Whether it took too long and was killed.
    pub timed_out: bool,
}

/// The most bytes kept of each of a called program's outputs.
pub const MOST: usize = 1 << 20;

impl Ran {
    /// Whether it said that all went well.
    pub fn success(&self) -> bool {
        self.status == Some(0)
    }

    /// Why it did not go well, in one line: the last thing it said, else how it ended.
    pub fn complaint(&self) -> String {
        let said = if self.errors.trim_ascii().is_empty() { &self.out } else { &self.errors };
        let said = hostward_checks::check::bytes_text(said);
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(3)..).unwrap_or_default().join("; ");
        match (last.is_empty(), self.status) {
            _ if self.timed_out => "it did not end in time".to_owned(),
            (false, _) => last,
            (true, Some(status)) => format!("exit status {status}"),
            (true, None) => "it was killed".to_owned(),
        }
    }
}

/// Reads both outputs to their end (true) or the deadline (false). What is over the limit is read and dropped.
fn read_both(child: &mut Child, deadline: Instant, out: &mut Vec<u8>, errors: &mut Vec<u8>) -> std::io::Result<bool> {
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let mut buffer = vec![0; 64 * 1024];
    while stdout.is_some() || stderr.is_some() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let ready = |fds: &[PollFd<'_>], at: usize| fds.get(at).and_then(PollFd::any).unwrap_or(false);
        let (first, second) = {
            let mut fds: Vec<PollFd<'_>> = Vec::new();
            fds.extend(stdout.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
            fds.extend(stderr.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let first = stdout.is_some() && ready(&fds, 0);
            (first, stderr.is_some() && ready(&fds, usize::from(stdout.is_some())))
        };
        if first {
            drain(&mut stdout, &mut buffer, out)?;
        }
        if second {
            drain(&mut stderr, &mut buffer, errors)?;
        }
    }
    Ok(true)
}

/// Reads once; at its end the pipe is closed.
fn drain(pipe: &mut Option<impl Read>, buffer: &mut [u8], into: &mut Vec<u8>) -> std::io::Result<()> {
    let Some(open) = pipe else { return Ok(()) };
    match open.read(buffer)? {
        0 => *pipe = None,
        length => {
            let room = MOST.saturating_sub(into.len());
            into.extend_from_slice(buffer.get(..length.min(room)).unwrap_or_default());
        }
    }
    Ok(())
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

    #[test]
    fn a_called_program_tells_how_it_ended() {
        let call = |script: &str, time| Call::new("/bin/sh", ["-c", script], time).run().unwrap();
        let long = Duration::from_secs(20);
        let ran = call("echo a; echo b >&2; exit 3", long);
        assert_eq!((ran.out.as_slice(), ran.errors.as_slice(), ran.status), (&b"a\n"[..], &b"b\n"[..], Some(3)));
        assert_eq!(ran.complaint(), "b");
        assert!(call("exec >&- 2>&-; sleep 0.1", long).success(), "it closes its output first and ends later");
        let begun = Instant::now();
        let slow = call("echo x; exec sleep 60", Duration::from_millis(300));
        assert!(slow.timed_out && !slow.success() && begun.elapsed() < long);
        assert_eq!(slow.complaint(), "it did not end in time");
        assert_eq!(call("kill -9 $$", long).complaint(), "it was killed");
        assert_eq!(call("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2", long).out.len(), MOST);
        let named = Call {
            name: Some("other".into()),
            environment: vec![("A".into(), "b".into())],
            ..Call::new("/bin/sh", ["-c", "echo $0 $A"], long)
        };
        assert_eq!(named.run().unwrap().out, b"other b\n");
    }
}
