//! Processes that listen, for tests about sockets: each opens what it is told and stays until its handle is dropped.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// A process that listens.
#[derive(Debug)]
pub struct Listening {
    child: Child,
}

impl Listening {
    /// Starts the `listen` program with these sockets (its own description says how they are written). It belongs to the
    /// network namespace of the calling thread.
    ///
    /// # Errors
    /// The program cannot be run, or cannot bind.
    pub fn start(program: &Path, sockets: &[String]) -> Result<Self> {
        let mut many = Self::start_all(program, std::slice::from_ref(&sockets.to_vec()), |command| command)?;
        many.pop().context("no process was started")
    }

    /// Starts one process for each list of sockets, prepared by `prepare`, and waits until all listen.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_all(
        program: &Path,
        lists: &[Vec<String>],
        prepare: impl Fn(&mut Command) -> &mut Command,
    ) -> Result<Vec<Self>> {
        let mut all = Vec::with_capacity(lists.len());
        for sockets in lists {
            let mut command = Command::new(program);
            command.args(sockets).stdin(Stdio::piped()).stdout(Stdio::piped());
            let child =
                prepare(&mut command).spawn().with_context(|| format!("failed to run {}", program.display()))?;
            all.push(Self { child });
        }
        for one in &mut all {
            let stdout = one.child.stdout.take().context("no standard output")?;
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line)?;
            ensure!(line == "ready\n", "a listener did not start");
        }
        Ok(all)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Sockets for `processes` processes that listen on `total` TCP ports together, from port 1000 on.
#[must_use]
pub fn spread(total: u16, processes: u16) -> Vec<Vec<String>> {
    let each = total / processes;
    let ports = |process: u16| (0..each).map(move |at| format!("tcp:0.0.0.0:{}", 1000 + process * each + at));
    (0..processes).map(|process| ports(process).collect()).collect()
}

/// A copy of the program that may be deleted while it runs.
///
/// # Errors
/// It cannot be copied.
pub fn copy(program: &Path, directory: &Path) -> Result<PathBuf> {
    let to = directory.join("copy-of-listen");
    std::fs::copy(program, &to).with_context(|| format!("failed to copy {}", program.display()))?;
    Ok(to)
}
