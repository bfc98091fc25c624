//! Where news come from, and how a flood of them costs little: while a look is due nobody is heard, because it sees everything that
//! came before it; and what was of no account twice in short order is heard again only after a while.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::firewall::Firewall;
use super::listeners::Listeners;
use super::trace::Trace;
use super::wake::{Cause, Wake};
use super::watch::Watches;

/// The sources of news.
#[derive(Debug)]
pub(super) struct News {
    pub(super) watches: Watches,
    listeners: Listeners,
    /// The kernel tells of new listeners.
    pub(super) trace: Option<Trace>,
    pub(super) firewall: Firewall,
    mounts: File,
    /// When something was heard last.
    heard: Option<Instant>,
    /// Nobody is heard before.
    quiet: Option<Instant>,
}

impl News {
    /// Opens every source that there is.
    ///
    /// # Errors
    /// There is no list of mounts, or no root.
    pub(super) fn open() -> anyhow::Result<Self> {
        let mounts = File::open("/proc/self/mountinfo").context("failed to open /proc/self/mountinfo")?;
        let (watches, trace) = (Watches::new()?, Trace::open());
        let mut listeners = Listeners::default();
        listeners.changed();
        Ok(Self { watches, listeners, trace, firewall: Firewall::new(), mounts, heard: None, quiet: None })
    }

    /// What to wait for.
    pub(super) fn waited(&self) -> impl Iterator<Item = (Wake, PollFd<'_>)> {
        let mounts = (Wake::Mounts, PollFd::new(self.mounts.as_fd(), PollFlags::POLLPRI));
        let files = self.watches.fd().map(|fd| (Wake::Files, PollFd::new(fd, PollFlags::POLLIN)));
        let trace = self.trace.as_ref().map(|trace| (Wake::Sockets, PollFd::new(trace.as_fd(), PollFlags::POLLIN)));
        let firewall = self.firewall.fd().map(|fd| (Wake::Firewall, PollFd::new(fd, PollFlags::POLLIN)));
        [Some(mounts), files, trace, firewall].into_iter().flatten()
    }

    /// When somebody may be heard again; None: now.
    pub(super) fn quiet(&self) -> Option<Instant> {
        self.quiet.filter(|until| Instant::now() < *until)
    }

    /// Hears one of them. What to look at because of it, if it counts.
    pub(super) fn hear(&mut self, wake: Wake) -> Option<Cause> {
        let (cause, counts) = match wake {
            Wake::Files => (Cause::Files, self.watches.read()),
            Wake::Sockets => (Cause::Sockets, self.hear_of_listeners()),
            Wake::Firewall => (Cause::Firewall, self.firewall.drain()),
            Wake::Mounts => (Cause::Mounts, true),
            _ => return None,
        };
        counts.then_some(cause)
    }

    /// Somebody was heard: a second one within `pause` is the last for as long, or until `ready`.
    pub(super) fn pause(&mut self, pause: Duration, ready: Instant) {
        let now = Instant::now();
        let again = self.heard.replace(now).is_some_and(|before| now - before < pause);
        self.quiet = again.then_some(now + pause).into_iter().chain((ready > now).then_some(ready)).max();
    }

    /// Sockets began to listen, or ceased, somewhere: they may be another namespace's.
    fn hear_of_listeners(&mut self) -> bool {
        if self.trace.as_mut().is_some_and(|trace| !trace.drain()) {
            self.trace = None;
        }
        self.listeners.changed()
    }

    /// A look begins: it sees everything that came before it.
    pub(super) fn forget(&mut self) {
        self.watches.read();
        self.hear_of_listeners();
        self.firewall.drain();
        // To ask is to have heard.
        let _ = poll(&mut [PollFd::new(self.mounts.as_fd(), PollFlags::POLLPRI)], PollTimeout::ZERO);
    }

    /// Asks for what nobody tells of.
    pub(super) fn ask(&mut self) -> Option<Cause> {
        if self.trace.is_none() {
            self.trace = Trace::open();
        }
        let sockets = self.listeners.changed().then_some(Cause::Sockets);
        let files = self.watches.poll(Instant::now()).then_some(Cause::Files);
        sockets.or(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_no_account_is_followed_at_once_and_many_wait() {
        let mut news = News::open().unwrap();
        let (pause, now) = (Duration::from_secs(60), Instant::now());
        news.pause(pause, now);
        assert_eq!(news.quiet(), None);
        news.pause(pause, now);
        assert!(news.quiet().is_some_and(|until| until > now + pause / 2));
        news.heard = None;
        news.pause(pause, now + pause * 2);
        assert_eq!(news.quiet(), Some(now + pause * 2), "what may be taken is taken");
    }
}
