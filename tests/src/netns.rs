//! Network namespaces that live exactly as long as their handle, without a name and thus without leftovers.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace of its own, loopback up.
#[derive(Debug)]
pub struct Netns {
    file: File,
}

impl Netns {
    /// Makes an empty namespace.
    ///
    /// # Errors
    /// The kernel refuses it (no root).
    pub fn new() -> Result<Self> {
        crate::machine::begin();
        let made = thread::spawn(|| -> Result<File> {
            unshare(CloneFlags::CLONE_NEWNET).context("failed to make a network namespace")?;
            File::open("/proc/thread-self/ns/net").context("failed to open the new network namespace")
        });
        let file = made.join().map_err(|_| anyhow!("the thread that makes a network namespace panicked"))??;
        let namespace = Self { file };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// One that is there already, by its file.
    ///
    /// # Errors
    /// There is no such file.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { file: File::open(path).with_context(|| format!("failed to open {}", path.display()))? })
    }

    /// Runs `work` in a thread inside the namespace: sockets it opens and processes it spawns belong to the namespace.
    ///
    /// # Errors
    /// The namespace cannot be entered, or `work` panics.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| -> Result<T> {
                self.enter()?;
                Ok(work())
            });
            inside.join().map_err(|_| anyhow!("a thread in a network namespace panicked"))?
        })
    }

    /// Moves the calling thread, and what it spawns from now on, into the namespace.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn enter(&self) -> Result<()> {
        setns(&self.file, CloneFlags::CLONE_NEWNET).context("failed to enter a network namespace")
    }

    /// Runs `ip ARGUMENTS` inside, words separated by single spaces.
    ///
    /// # Errors
    /// `ip` says so.
    pub fn ip(&self, arguments: &str) -> Result<()> {
        let output =
            self.run(|| Command::new("ip").args(arguments.split(' ')).output())?.context("failed to run ip")?;
        ensure!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }

    /// A second handle, for a thread that stays.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self { file: self.file.try_clone()? })
    }

    /// Joins two namespaces with a cable: `near` here and `far` in `peer`, both up.
    ///
    /// # Errors
    /// `ip` says so.
    pub fn connect(&self, near: &str, peer: &Self, far: &str) -> Result<()> {
        // ip takes a process or a name for the other end; the thread that stays inside `peer` for so long is both.
        thread::scope(|scope| {
            let (ready, is_ready) = std::sync::mpsc::channel();
            let (done, is_done) = std::sync::mpsc::channel::<()>();
            let holder = scope.spawn(move || -> Result<()> {
                peer.enter()?;
                ready.send(nix::unistd::gettid()).context("the other thread is gone")?;
                let _ = is_done.recv();
                Ok(())
            });
            let result = match is_ready.recv() {
                Ok(thread) => self.ip(&format!("link add {near} type veth peer name {far} netns {thread}")),
                Err(_) => Err(anyhow!("the peer's namespace cannot be entered")),
            };
            drop(done);
            holder.join().map_err(|_| anyhow!("a thread in a network namespace panicked"))??;
            result
        })?;
        self.ip(&format!("link set {near} up"))?;
        peer.ip(&format!("link set {far} up"))
    }
}
