//! What the process does to itself while it tries passwords: no core dump, and no hurry where nobody waits.

use nix::sys::prctl::{get_dumpable, set_dumpable};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// As long as it lives, a crash leaves no core dump and no other process of the user may look into this one.
#[derive(Debug)]
pub(super) struct NoCoreDump {
    dumpable: bool,
    limit: Option<(u64, u64)>,
}

impl NoCoreDump {
    pub(super) fn new() -> Self {
        let guard = Self { dumpable: get_dumpable().unwrap_or(false), limit: getrlimit(Resource::RLIMIT_CORE).ok() };
        // Where one of the two is refused the other still holds.
        let _ = set_dumpable(false);
        if let Some((_, hard)) = guard.limit {
            let _ = setrlimit(Resource::RLIMIT_CORE, 0, hard);
        }
        guard
    }
}

impl Drop for NoCoreDump {
    fn drop(&mut self) {
        if self.dumpable {
            let _ = set_dumpable(true);
        }
        if let Some((soft, hard)) = self.limit {
            let _ = setrlimit(Resource::RLIMIT_CORE, soft, hard);
        }
    }
}

/// Puts the calling thread under SCHED_IDLE: it runs when no other wants the CPU. A refusal changes nothing.
#[expect(unsafe_code, reason = "no safe wrapper sets a thread's scheduling policy, and musl's own is a stub")]
pub(super) fn run_when_idle() {
    use nix::libc;
    let priority = libc::c_int::default();
    // SAFETY: sched_setscheduler(2) reads one `struct sched_param`, which is one int on Linux, from a pointer to a live local;
    // 0 names the calling thread. Nothing is written.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_IDLE, &raw const priority) };
}
