//! Several pieces of work at once, so that those that wait for nothing hold nobody else up.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, scope};

/// As many at once.
pub(super) const AT_ONCE: usize = 16;
/// What one of them needs, in bytes.
const STACK: usize = 256 << 10;

/// Does each piece of work, in their order, and begins none once it `is_over`. None: it was not begun.
pub(super) fn at_once<W: Sync, R: Send + Sync>(
    work: &[W],
    is_over: impl Fn() -> bool + Sync,
    each: impl Fn(&W) -> R + Sync,
) -> Vec<Option<R>> {
    let next = AtomicUsize::new(0);
    let done: Vec<(&W, OnceLock<R>)> = work.iter().map(|work| (work, OnceLock::new())).collect();
    let take_turns = || {
        while !is_over() {
            let Some((work, slot)) = done.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            let _ = slot.set(each(work));
        }
    };
    scope(|scope| {
        for _ in 1..AT_ONCE.min(work.len()) {
            // Where no more threads can be had, those that there are take more turns.
            let _ = Builder::new().stack_size(STACK).spawn_scoped(scope, take_turns);
        }
        take_turns();
    });
    done.into_iter().map(|(_, slot)| slot.into_inner()).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::super::ALL;
    use super::super::exchange::EXCHANGE;
    use super::*;

    thread_local! {
        /// What the limits of the waits of this thread add up to.
        static WAITED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    /// Time is what a silent service's limits add up to: none answers before its own.
    #[test]
    fn whoever_keeps_silent_all_wait_no_longer_than_all_may_and_the_rest_is_not_begun() {
        for (silent, begun) in [(1, 1), (AT_ONCE, AT_ONCE), (2 * AT_ONCE, 2 * AT_ONCE), (64, 2 * AT_ONCE)] {
            WAITED.set(Duration::ZERO);
            let work: Vec<usize> = (0..silent).collect();
            let ends = at_once(
                &work,
                || WAITED.get() >= ALL,
                |_| {
                    WAITED.set(WAITED.get() + EXCHANGE.min(ALL - WAITED.get()));
                    WAITED.get()
                },
            );
            assert_eq!(ends.iter().flatten().count(), begun, "{silent}");
            assert!(ends.iter().flatten().all(|end| *end <= ALL), "{ends:?}");
            assert!(ends.iter().skip(begun).all(Option::is_none), "in their order");
        }
        assert!(ALL <= Duration::from_secs(5));
    }

    #[test]
    fn one_that_waits_holds_nobody_up() {
        let (others, all) = (AtomicUsize::new(0), 40);
        let work: Vec<usize> = (0..all).collect();
        let done = at_once(
            &work,
            || false,
            |index| {
                // The first ends when all others have.
                while *index == 0 && others.load(Ordering::SeqCst) < all - 1 {
                    std::thread::yield_now();
                }
                others.fetch_add(usize::from(*index > 0), Ordering::SeqCst);
                *index
            },
        );
        assert_eq!(done, work.iter().copied().map(Some).collect::<Vec<_>>());
    }
}
