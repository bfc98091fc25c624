//! When the audit has to end: CPU time of all its threads, time on the clock, or a cancellation.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// What is left of the budget, shared by the threads.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    cpu_micros: Option<u64>,
    used_micros: AtomicU64,
    deadline: Option<Instant>,
    cancel: &'a AtomicBool,
}

impl<'a> Budget<'a> {
    pub(super) fn new(cpu: Option<Duration>, wall: Option<Duration>, cancel: &'a AtomicBool) -> Self {
        Self {
            cpu_micros: cpu.map(|cpu| u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX)),
            used_micros: AtomicU64::new(0),
            deadline: wall.and_then(|wall| Instant::now().checked_add(wall)),
            cancel,
        }
    }

    pub(super) fn spent(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
            || self.cpu_micros.is_some_and(|limit| self.used_micros.load(Ordering::Relaxed) >= limit)
    }

    /// A meter for the calling thread.
    pub(super) fn meter(&self) -> Meter<'_> {
        Meter { used: &self.used_micros, last: thread_micros() }
    }
}

/// Adds up what one thread uses.
#[derive(Debug)]
pub(super) struct Meter<'a> {
    used: &'a AtomicU64,
    last: u64,
}

impl Meter<'_> {
    /// Charges what the thread used since the last time, and returns it in microseconds.
    pub(super) fn charge(&mut self) -> u64 {
        let now = thread_micros();
        let used = now.saturating_sub(self.last);
        self.last = now;
        self.used.fetch_add(used, Ordering::Relaxed);
        used
    }
}

/// User and system time of the calling thread.
fn thread_micros() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else {
        return 0;
    };
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0))
        .sum()
}
