//! A stand-in for Cloud Assistant's RunCommand: runs a command in a test host as its agent does.
//!
//! The content is saved as a script and run by `sh -c`, in a process group of its own, as root in /root, without a terminal and
//! without input; standard output and standard error come through one pipe. Here it finds no environment either.

#![expect(clippy::unwrap_used, reason = "only tests call it, and they end with the reason")]

use std::io::{PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::host::Host;

/// Where the agent saves what it is to run.
const SCRIPTS: &str = "/usr/local/share/aliyun-assist/work/script";
/// What the agent keeps of an output: its end.
pub const QUOTA: usize = 12_000;

/// What a command finds as its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// `/dev/null`.
    Null,
    /// Nothing at all: descriptor 0 is closed.
    Closed,
}

/// How a command is run.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// The shell that reads the script; None: the one that its first line names.
    pub shell: Option<&'a str>,
    /// Its standard input.
    pub input: Input,
    /// What there is of an environment.
    pub environment: &'a [&'a str],
}

/// As the agent does it.
pub const USUAL: Way<'static> = Way { shell: None, input: Input::Null, environment: &[] };

/// A command that ended.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; None: it was killed.
    pub code: Option<i32>,
    /// What it said.
    pub said: String,
    /// How long it took, in wall time.
    pub took: Duration,
}

/// A command under way.
#[derive(Debug)]
pub struct Running {
    child: Child,
    said: PipeReader,
    from: Instant,
}

/// Starts a command of this content.
pub fn start(host: &Host, content: &str, way: Way<'_>) -> Running {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let script = format!("{SCRIPTS}/t-hz{:08}.sh", COUNT.fetch_add(1, Ordering::Relaxed));
    let outside = format!("/proc/{}/root{script}", host.leader());
    crate::suite::write(outside.as_ref(), content.as_bytes(), 0o755).unwrap();
    let line = way.shell.map_or_else(|| script.clone(), |shell| format!("{shell} {script}"));
    let mut command = host.command("env");
    command.args(["-i", "-C", "/root"]).args(way.environment);
    match way.input {
        Input::Null => command.args(["/bin/sh", "-c", &line]),
        Input::Closed => command.args(["/bin/sh", "-c", "exec 0<&-; exec /bin/sh -c \"$1\"", "sh", &line]),
    };
    let (said, into) = std::io::pipe().unwrap();
    command.process_group(0).stdin(Stdio::null()).stdout(into.try_clone().unwrap()).stderr(into);
    let from = Instant::now();
    let child = command.spawn().unwrap();
    Running { child, said, from }
}

/// Runs a command of this content to its end.
pub fn run(host: &Host, content: &str, way: Way<'_>) -> Ran {
    start(host, content, way).wait()
}

impl Running {
    /// Waits for its end.
    pub fn wait(mut self) -> Ran {
        let mut bytes = Vec::new();
        self.said.read_to_end(&mut bytes).unwrap();
        let code = self.child.wait().unwrap().code();
        Ran { code, said: String::from_utf8(bytes).unwrap(), took: self.from.elapsed() }
    }

    /// Ends it as at its time-out, with all of its process group.
    pub fn time_out(self) -> Ran {
        let group = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        // It may have ended by itself.
        let _ = killpg(group, Signal::SIGKILL);
        self.wait()
    }
}
