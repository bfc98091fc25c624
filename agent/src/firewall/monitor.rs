//! Hearing of changes of nftables rules as the kernel makes them (`NFNLGRP_NFTABLES`): of any, or of our table only.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt, socket, sockopt,
};

// linux/netfilter/nfnetlink.h, nf_tables.h, linux/netfilter.h
const NFNLGRP_NFTABLES: u32 = 7;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFPROTO_INET: u8 = 1;
/// In messages about tables, chains, rules and sets alike the first attribute names the table.
const NFTA_TABLE: u16 = 1;
const HEADER: usize = 16;
const GENERIC: usize = 4;

/// One change is seldom alone: so long after the last word the others are waited for, and no longer than this in all.
const QUIET: Duration = Duration::from_millis(30);
const ENOUGH: Duration = Duration::from_secs(1);

/// The kernel's news of rules in this network namespace.
#[derive(Debug)]
pub(crate) struct News(OwnedFd);

impl News {
    /// Listens from now on.
    pub(crate) fn new() -> Result<Self, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkNetFilter)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 1 << (NFNLGRP_NFTABLES - 1)))?;
        Ok(Self(socket))
    }

    /// The same, for who only wants to know that there are any: what does not fit into the least buffer is lost, which is said.
    pub(crate) fn least() -> Result<Self, Errno> {
        let news = Self::new()?;
        setsockopt(&news.0, sockopt::RcvBuf, &0)?;
        Ok(news)
    }

    /// Reads all there is. Whether any of it counts; what was lost may have.
    pub(crate) fn drain(&self, buffer: &mut [u8], counts: impl Fn(&[u8]) -> bool) -> Result<bool, Errno> {
        let mut any = false;
        loop {
            match recv(self.0.as_raw_fd(), buffer, MsgFlags::empty()) {
                Ok(length) => any |= counts(buffer.get(..length).unwrap_or_default()),
                Err(Errno::ENOBUFS) => any = true,
                Err(Errno::EAGAIN) => return Ok(any),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for News {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The news of one table.
#[derive(Debug)]
pub(super) struct Monitor {
    news: News,
    table: &'static str,
    buffer: Vec<u8>,
}

impl Monitor {
    /// Listens from now on for changes of that table of family inet.
    pub(super) fn of(table: &'static str) -> Result<Self, Errno> {
        Ok(Self { news: News::new()?, table, buffer: vec![0; 64 * 1024] })
    }

    /// Sleeps until the table has changed and all is quiet again (true), or that long (false).
    pub(super) fn wait(&mut self, most: Option<Duration>) -> Result<bool, Errno> {
        let until = most.map(|most| Instant::now() + most);
        while !self.hears(until)? {
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(false);
            }
        }
        let enough = Instant::now() + ENOUGH;
        while Instant::now() < enough && self.readable(Some(Instant::now() + QUIET))? {
            self.drain()?;
        }
        Ok(true)
    }

    /// Waits for news; whether they were of our table.
    fn hears(&mut self, until: Option<Instant>) -> Result<bool, Errno> {
        if self.readable(until)? { self.drain() } else { Ok(false) }
    }

    fn readable(&self, until: Option<Instant>) -> Result<bool, Errno> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        match poll(&mut [PollFd::new(self.news.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) => Ok(false),
            ready => Ok(ready? > 0),
        }
    }

    fn drain(&mut self) -> Result<bool, Errno> {
        self.news.drain(&mut self.buffer, |datagram| is_about(datagram, self.table))
    }
}

/// Whether any message of the datagram is about the table.
fn is_about(mut rest: &[u8], table: &str) -> bool {
    let u16_at = |bytes: &[u8], at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    while let Some(length) = rest.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes)) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(message) = rest.get(..length).filter(|message| message.len() >= HEADER) else { return false };
        let named = || {
            let attribute = message.get(HEADER + GENERIC..)?;
            let name = attribute.get(4..usize::from(u16_at(attribute, 0)?))?;
            let first = u16_at(attribute, 2)? == NFTA_TABLE && message.get(HEADER) == Some(&NFPROTO_INET);
            Some(first && name.strip_suffix(b"\0").unwrap_or(name) == table.as_bytes())
        };
        if u16_at(message, 4).is_some_and(|kind| kind >> 8 == NFNL_SUBSYS_NFTABLES) && named() == Some(true) {
            return true;
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, family: u8, attribute: u16, name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let size = 4 + name.len() + 1;
        let total = HEADER + GENERIC + size;
        out.extend(u32::try_from(total).unwrap().to_ne_bytes());
        out.extend(kind.to_ne_bytes());
        out.extend([0; 10]);
        out.extend([family, 0, 0, 0]);
        out.extend(u16::try_from(size).unwrap().to_ne_bytes());
        out.extend(attribute.to_ne_bytes());
        out.extend(name.as_bytes());
        out.resize(total.next_multiple_of(4), 0);
        out
    }

    #[test]
    fn only_our_table_wakes() {
        let rules = 10 << 8;
        let ours = message(rules | 2, 1, 1, "hostward");
        let others = [
            message(rules, 2, 1, "hostward"),
            message(rules, 1, 1, "hostward2"),
            message(1 << 8, 1, 1, "hostward"),
            message(rules, 1, 2, "hostward"),
        ]
        .concat();
        assert!(is_about(&ours, "hostward") && !is_about(&others, "hostward"));
        assert!(is_about(&[others, ours.clone()].concat(), "hostward"));
        for cut in 0..ours.len() - 3 {
            assert!(!is_about(&ours[..cut], "hostward"), "{cut}");
        }
        assert!(!is_about(&[0; 64], "hostward") && !is_about(&[255; 64], "hostward"));
    }
}
