//! File systems whose server never answers: whoever enters one hangs, and is seen at the door.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A mount in the calling thread's namespace. Dropping it lets everybody go who hangs in it.
#[derive(Debug)]
pub struct Silent {
    point: PathBuf,
    /// Where the kernel leaves what it asks the server.
    requests: OwnedFd,
}

impl Silent {
    /// A FUSE file system: its server says hello, as the kernel wants, and then nothing.
    ///
    /// # Errors
    /// The kernel has no FUSE, or `point` is no directory.
    pub fn fuse(point: &Path) -> Result<Self> {
        let mut device =
            File::options().read(true).write(true).open("/dev/fuse").context("failed to open /dev/fuse")?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        mount(Some("silent"), point, Some("fuse"), MsFlags::empty(), Some(options.as_str()))
            .with_context(|| format!("failed to mount FUSE on {}", point.display()))?;
        let silent = Self { point: point.to_owned(), requests: device.try_clone()?.into() };
        // `struct fuse_in_header`: the length, the operation, a number that the answer repeats, and more.
        let mut hello = [0; 64 << 10];
        let length = device.read(&mut hello).context("failed to read from /dev/fuse")?;
        let begins = length > 16 && hello.get(4..8) == Some(&FUSE_INIT.to_ne_bytes()[..]);
        ensure!(begins, "the kernel does not begin with FUSE_INIT");
        // `struct fuse_out_header` and `struct fuse_init_out`: length, no error, the number; version 7.31, and zeros.
        let mut answer = Vec::new();
        answer.extend(80_u32.to_ne_bytes());
        answer.extend(0_u32.to_ne_bytes());
        answer.extend(hello.iter().skip(8).take(8));
        answer.extend([7_u32, 31].iter().flat_map(|number| number.to_ne_bytes()));
        answer.resize(80, 0);
        device.write_all(&answer).context("failed to answer FUSE_INIT")?;
        Ok(silent)
    }

    /// A directory whose entries the automounter would mount when somebody asks for them, and does not.
    ///
    /// # Errors
    /// The kernel has no autofs, or `point` is no directory.
    pub fn automount(point: &Path) -> Result<Self> {
        let (requests, daemon) = std::io::pipe()?;
        // The automounter's own process group walks through; everybody in ours shall not.
        let mut exempt = Command::new("sleep").arg("60").process_group(0).spawn().context("failed to run sleep")?;
        let options = format!("fd={},pgrp={},minproto=5,maxproto=5,indirect", daemon.as_raw_fd(), exempt.id());
        let mounted = mount(Some("silent"), point, Some("autofs"), MsFlags::empty(), Some(options.as_str()));
        exempt.kill()?;
        exempt.wait()?;
        mounted.with_context(|| format!("failed to mount autofs on {}", point.display()))?;
        Ok(Self { point: point.to_owned(), requests: requests.into() })
    }

    /// Whether anybody has asked for anything inside since it was mounted.
    ///
    /// # Errors
    /// The descriptor cannot be polled.
    pub fn entered(&self) -> Result<bool> {
        let mut door = [PollFd::new(self.requests.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut door, PollTimeout::ZERO)? > 0)
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = umount2(&self.point, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH);
    }
}

/// The kernel's first request (`linux/fuse.h`).
const FUSE_INIT: u32 = 26;
