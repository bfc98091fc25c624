//! Real logins with the real client, and what each of them was granted.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::host::{Host, INSTANCE};
use crate::netns::Netns;
use crate::suite::{run_directory, write};

/// Lets hundreds of attempts through quickly. It is read first; `PerSourcePenalties` only where sshd knows it (9.8).
///
/// MaxStartups stays below the 1,024 descriptors of a unit: sshd 8.9 polls a slot for every possible start, and where that
/// is more than it may open, `ppoll` fails for ever and nobody is served.
pub const QUICK_SSHD: &str = "MaxStartups 400:30:800\nLoginGraceTime 20\nMaxAuthTries 6\nUseDNS no\n";

/// What a login may be tried with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum With {
    /// A private key file.
    Key(PathBuf),
    /// The `password` method. The empty password is given as the second answer, after a wrong one: an empty first answer sshd
    /// takes for the method `none` (`mm_answer_authpassword`), which AuthenticationMethods does not name.
    Password(String),
    /// The `keyboard-interactive` method, every prompt answered with the password.
    Interactive(String),
    /// A key, then the password by the `password` method: for AuthenticationMethods of two steps.
    KeyThenPassword(PathBuf, String),
    /// A key, then the password by keyboard-interactive.
    KeyThenInteractive(PathBuf, String),
    /// The other way round: sshd takes the steps of a list in its order only, and no key twice.
    PasswordThenKey(PathBuf, String),
    /// The same by keyboard-interactive.
    InteractiveThenKey(PathBuf, String),
}

/// One login attempt's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether sshd let the client in.
    pub authenticated: bool,
    /// The methods that sshd accepted, in order, also those of an attempt that failed later: `publickey`, `password` …
    pub accepted: Vec<String>,
    /// Whether it runs any command.
    pub shell: bool,
    /// Whether it serves the sftp subsystem.
    pub sftp: bool,
    /// Whether it connects onwards to where the client wants.
    pub forward: bool,
    /// The exit status of the session that asked for a command, 255 where there was none.
    pub status: Option<i32>,
    /// What that session printed: a forced command's or nologin's words.
    pub stdout: String,
    /// What the client said, for a failing test's message.
    pub log: String,
}

/// An ssh client in the network around a host.
#[derive(Debug)]
pub struct Client {
    network: Netns,
    target: String,
    port: u16,
    directory: TempDir,
}

impl Client {
    /// A client that logs in to `host`.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn of(host: &Host) -> Result<Self> {
        Self::at(host.vpc(), INSTANCE, 22)
    }

    /// A client in `network` that logs in at an address.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn at(network: &Netns, target: &str, port: u16) -> Result<Self> {
        let directory = run_directory("client")?;
        let answer = directory.path().join("answer");
        write(&answer, ANSWER, 0o755)?;
        Ok(Self { network: network.try_clone()?, target: target.to_owned(), port, directory })
    }

    /// Makes a key pair; returns the private key's file and the public key's line.
    ///
    /// # Errors
    /// `ssh-keygen` refuses the type or size.
    pub fn key(&self, name: &str, kind: &str, bits: Option<u32>) -> Result<(PathBuf, String)> {
        let file = self.directory.path().join(name);
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-N", "", "-C", name, "-t", kind, "-f"]).arg(&file);
        if let Some(bits) = bits {
            command.args(["-b", &bits.to_string()]);
        }
        let output = command.stdin(Stdio::null()).output().context("failed to run ssh-keygen")?;
        ensure!(output.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&output.stderr));
        let line = fs::read_to_string(file.with_extension("pub"))?;
        Ok((file, line.trim().to_owned()))
    }

    /// Logs in with a key and runs a command. `options` of the client count before its usual ones: `-o`, `ControlPath=…`.
    ///
    /// # Errors
    /// The client cannot be run; a refused login is an exit status of 255.
    pub fn run(&self, user: &str, source: &str, key: &Path, options: &[&str], script: &str) -> Result<Output> {
        let mut command = self.command(options, user, source, &With::Key(key.to_owned()));
        command.arg(&self.target).arg("--").arg(script);
        self.network.run(move || with_input(&mut command, &[]))?.context("failed to run ssh")
    }

    /// Logs in and stays: a shell that is told what to do line by line.
    ///
    /// # Errors
    /// The client cannot be run.
    pub fn open(&self, user: &str, source: &str, with: &With, options: &[&str]) -> Result<Session> {
        // Itself, so that it can be killed; it ends with the host at the latest.
        let mut command = Command::new("ssh");
        self.complete(&mut command, options, user, source, with);
        command.arg(&self.target).arg("--").arg("exec sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = self.network.run(|| command.spawn())?.context("failed to run ssh")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let mut session = Session { child, output };
        let (_, status) = session.run("true")?;
        ensure!(status == 0, "the session runs nothing");
        Ok(session)
    }

    /// Logs in as `user` from the address `source` and finds out what that is good for.
    ///
    /// # Errors
    /// The client cannot be run; a refused login is an [`Outcome`].
    pub fn login(&self, user: &str, source: &str, with: &With) -> Result<Outcome> {
        let attempt = |arguments: &[&str], input: &[u8]| -> Result<Output> {
            let mut command = self.command(&[], user, source, with);
            // The destination goes before `--` and the command.
            let options = arguments.iter().take_while(|word| **word != "--");
            command.args(options).arg(&self.target);
            command.args(arguments.iter().skip_while(|word| **word != "--").skip(1));
            let run = self.network.run(move || with_input(&mut command, input))?;
            run.context("failed to run ssh")
        };
        // Arithmetic, so that an echo of the command line is not taken for a shell.
        let session = attempt(&["--", "echo hostward-$((6*7))"], &[])?;
        let log = String::from_utf8_lossy(&session.stderr).into_owned();
        let stdout = String::from_utf8_lossy(&session.stdout).into_owned();
        let mut outcome = Outcome {
            authenticated: log.lines().any(|line| line.starts_with("Authenticated to ")),
            accepted: accepted_methods(&log, with),
            shell: stdout.contains("hostward-42"),
            sftp: false,
            forward: false,
            status: session.status.code(),
            stdout,
            log,
        };
        if outcome.authenticated && !outcome.shell {
            let sftp = attempt(&["-s", "--", "sftp"], SFTP_INIT)?;
            outcome.sftp = sftp.stdout.get(4) == Some(&SFTP_VERSION);
            let forward = attempt(&["-W", &format!("127.0.0.1:{}", self.port)], &[])?;
            outcome.forward = forward.stdout.starts_with(b"SSH-2.0-");
        }
        Ok(outcome)
    }

    /// Whether sshd connects onwards to a Unix socket: that of the message bus, which answers everybody.
    ///
    /// # Errors
    /// The client cannot be run.
    pub fn reaches_the_bus(&self, user: &str, source: &str, with: &With) -> Result<bool> {
        let socket = self.directory.path().join("bus");
        let _ = fs::remove_file(&socket);
        let mut command = self.command(&[], user, source, with);
        command.arg("-N").arg("-L").arg(format!("{}:/run/dbus/system_bus_socket", socket.display())).arg(&self.target);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut ssh = self.network.run(|| command.spawn())?.context("failed to run ssh")?;
        // It listens once it is let in.
        let from = Instant::now();
        while !socket.exists() && from.elapsed() < Duration::from_secs(10) && ssh.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let answer = UnixStream::connect(&socket).and_then(|mut bus| {
            bus.set_read_timeout(Some(Duration::from_secs(10)))?;
            bus.write_all(b"\0AUTH\r\n")?;
            let mut answer = [0; 8];
            bus.read_exact(&mut answer).map(|()| answer)
        });
        // `timeout` passes it on to ssh.
        kill(Pid::from_raw(ssh.id().try_into()?), Signal::SIGTERM)?;
        ssh.wait()?;
        Ok(answer.is_ok_and(|answer| &answer == b"REJECTED"))
    }

    /// `ssh` up to, without, the target, verbose, answering prompts by itself.
    fn command(&self, first: &[&str], user: &str, source: &str, with: &With) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-k", "1", "60", "ssh"]);
        self.complete(&mut command, first, user, source, with);
        command
    }

    /// Adds what follows `ssh`, up to the target.
    fn complete(&self, command: &mut Command, first: &[&str], user: &str, source: &str, with: &With) {
        command.args(first);
        command.args(["-v", "-F", "none", "-p", &self.port.to_string(), "-b", source, "-l", user]);
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "GlobalKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "ConnectTimeout=10",
            "ControlMaster=no",
            "RequestTTY=no",
            // Whether a host takes RSA keys of 1,024 bits or DSA keys is its own to say; the client must offer them.
            "RequiredRSASize=1024",
            "PubkeyAcceptedAlgorithms=+ssh-dss",
        ] {
            command.args(["-o", option]);
        }
        let (methods, key, password) = match with {
            With::Key(key) => ("publickey", Some(key), None),
            With::Password(password) => ("password", None, Some(password)),
            With::Interactive(password) => ("keyboard-interactive", None, Some(password)),
            With::KeyThenPassword(key, password) => ("publickey,password", Some(key), Some(password)),
            With::KeyThenInteractive(key, password) => ("publickey,keyboard-interactive", Some(key), Some(password)),
            With::PasswordThenKey(key, password) => ("password,publickey", Some(key), Some(password)),
            With::InteractiveThenKey(key, password) => ("keyboard-interactive,publickey", Some(key), Some(password)),
        };
        let wrong_first = password.is_some_and(String::is_empty) && methods.contains("password");
        command.args(["-o", &format!("NumberOfPasswordPrompts={}", if wrong_first { 2 } else { 1 })]);
        let asked = self.directory.path().join("asked");
        let _ = fs::remove_file(&asked);
        command.env("HOSTWARD_TEST_WRONG_FIRST", if wrong_first { asked.as_os_str() } else { OsStr::new("") });
        command.args(["-o", &format!("PreferredAuthentications={methods}")]);
        command.arg("-i").arg(key.map_or(Path::new("/dev/null"), PathBuf::as_path));
        command.env("SSH_ASKPASS", self.directory.path().join("answer")).env("SSH_ASKPASS_REQUIRE", "force");
        command.env("HOSTWARD_TEST_PASSWORD", password.map_or("", String::as_str));
        command.env("LC_ALL", "C").env_remove("SSH_AUTH_SOCK");
    }
}

/// A login that stays until it is dropped.
#[derive(Debug)]
pub struct Session {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Session {
    /// Runs a script in its shell: what it prints, and its exit status.
    ///
    /// # Errors
    /// The session has ended.
    pub fn run(&mut self, script: &str) -> Result<(String, i32)> {
        let input = self.child.stdin.as_mut().context("no input")?;
        // Arithmetic, so that an echo of the input is not taken for the end.
        writeln!(input, "( {script} ) </dev/null 2>&1; echo \"hostward-$((6*7)) $?\"")?;
        input.flush()?;
        let mut said = String::new();
        loop {
            let mut line = String::new();
            ensure!(self.output.read_line(&mut line)? > 0, "the session has ended; it said {said}");
            match line.split_once("hostward-42 ") {
                Some((before, status)) => return Ok((said + before, status.trim().parse()?)),
                None => said.push_str(&line),
            }
        }
    }

    /// Starts a script in its shell and does not wait for it.
    ///
    /// # Errors
    /// The session has ended.
    pub fn start(&mut self, script: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("no input")?;
        writeln!(input, "{script}")?;
        Ok(input.flush()?)
    }

    /// Sends bytes as they are, as keys that are pressed at a terminal.
    ///
    /// # Errors
    /// The session has ended.
    pub fn press(&mut self, keys: &[u8]) -> Result<()> {
        let input = self.child.stdin.as_mut().context("no input")?;
        input.write_all(keys)?;
        Ok(input.flush()?)
    }

    /// Cuts the connection: the client is killed as by a dying laptop.
    ///
    /// # Errors
    /// It is gone already.
    pub fn cut(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What ssh asks for the password: it answers from its environment, the first time wrongly where it is told to.
const ANSWER: &[u8] = br#"#!/bin/sh
if [ -n "$HOSTWARD_TEST_WRONG_FIRST" ] && [ ! -e "$HOSTWARD_TEST_WRONG_FIRST" ]; then
  : >"$HOSTWARD_TEST_WRONG_FIRST"
  echo wrong
else
  printf '%s\n' "$HOSTWARD_TEST_PASSWORD"
fi
"#;

/// The methods that were taken: those with partial success, then the last one.
fn accepted_methods(log: &str, with: &With) -> Vec<String> {
    let mut accepted = Vec::new();
    if log.contains("partial success") {
        accepted.push(match with {
            With::Password(_) | With::PasswordThenKey(..) => "password".to_owned(),
            With::Interactive(_) | With::InteractiveThenKey(..) => "keyboard-interactive".to_owned(),
            With::Key(_) | With::KeyThenPassword(..) | With::KeyThenInteractive(..) => "publickey".to_owned(),
        });
    }
    let last = log.lines().find(|line| line.starts_with("Authenticated to "));
    let method = last.and_then(|line| line.rsplit_once("using ")?.1.split('"').nth(1));
    accepted.extend(method.map(str::to_owned));
    accepted
}

/// The client's first packet of the SSH file transfer protocol: SSH_FXP_INIT, version 3.
const SFTP_INIT: &[u8] = &[0, 0, 0, 5, 1, 0, 0, 0, 3];
/// The type of the server's answer, SSH_FXP_VERSION.
const SFTP_VERSION: u8 = 2;

/// Runs a command with `input` on its standard input, which ends after the first answer: a file server that reads the
/// end at once forgets what it was about to say.
fn with_input(command: &mut Command, input: &[u8]) -> std::io::Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut answer = vec![0; 64];
    let mut length = 0;
    if let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.as_mut()) {
        // A client that was refused has closed it already.
        let _ = stdin.write_all(input);
        if !input.is_empty() {
            length = stdout.read(&mut answer)?;
        }
    }
    let mut output = child.wait_with_output()?;
    answer.truncate(length);
    answer.append(&mut output.stdout);
    output.stdout = answer;
    Ok(output)
}
