//! Whether rules of the packet filter have changed: the kernel's news of nftables, where a verdict rests on them.
//!
//! What they say is not needed: who looks asks anew. So a flood costs next to nothing: the least buffer is soon full, and
//! what does not fit is lost. Of the rules of the older iptables nobody tells; they are seen by the next look.

use std::os::fd::{AsFd, BorrowedFd};

use crate::firewall::monitor::News;

/// The news of the packet filter.
#[derive(Debug, Default)]
pub struct Firewall {
    news: Option<News>,
    counts: bool,
}

impl Firewall {
    /// Nothing rests on it yet, and the kernel's part of it may come later.
    pub fn new() -> Self {
        let mut new = Self::default();
        new.rests(true);
        new
    }

    /// Whether a verdict rests on it: else nobody listens.
    pub fn rests(&mut self, counts: bool) {
        self.counts = counts;
        if !counts {
            self.news = None;
        } else if self.news.is_none() {
            // A kernel without nftables tells of none.
            self.news = News::least().ok();
        }
    }

    /// What to wait for.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.news.as_ref().map(AsFd::as_fd)
    }

    /// Reads all news there are. Whether there were any.
    pub fn drain(&mut self) -> bool {
        let Some(news) = &self.news else { return false };
        let any = news.drain(&mut [0; 16], |_| true);
        if any.is_err() {
            self.news = None;
        }
        any.unwrap_or(true)
    }

    /// How changes are heard of, in a word.
    pub fn word(&self) -> &'static str {
        match (&self.news, self.counts) {
            (Some(_), _) => "netlink",
            (None, true) => "look",
            (None, false) => "none",
        }
    }
}
