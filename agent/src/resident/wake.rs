//! Why the resident wakes, and why it looks: each reason has a name, so that who wonders what it does is told.

use std::collections::BTreeMap;

/// A reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// It is told to end, or to look.
    Signal,
    /// Somebody wants its status.
    Asked,
    /// The kernel tells of files.
    Files,
    /// The kernel tells of sockets, here or in another namespace.
    Sockets,
    /// The kernel tells of rules of the packet filter.
    Firewall,
    /// The kernel tells of mounts.
    Mounts,
    /// A look tells something.
    Look,
    /// A password audit tells something.
    Audit,
    /// The applier has done its work.
    Remedy,
    /// What nobody tells of is asked for, and the service manager told that it is alive.
    Poll,
    /// What was put off is done: a look begins, events are told again, a source is heard again.
    Due,
}

impl Wake {
    const ALL: [(Self, &'static str); 11] = [
        (Self::Signal, "signal"),
        (Self::Asked, "asked"),
        (Self::Files, "files"),
        (Self::Sockets, "sockets"),
        (Self::Firewall, "firewall"),
        (Self::Mounts, "mounts"),
        (Self::Look, "look"),
        (Self::Audit, "audit"),
        (Self::Remedy, "remedy"),
        (Self::Poll, "poll"),
        (Self::Due, "due"),
    ];
}

/// How often it woke for each reason.
#[derive(Clone, Debug, Default)]
pub(super) struct Wakes([u64; Wake::ALL.len()]);

impl Wakes {
    /// It woke for these reasons; for none of them: because of the time, which is one.
    pub(super) fn count(&mut self, reasons: &[Wake], of_time: Wake) {
        let reasons = if reasons.is_empty() { &[of_time] } else { reasons };
        for ((wake, _), count) in Wake::ALL.iter().zip(&mut self.0) {
            *count += u64::from(reasons.contains(wake));
        }
    }

    /// By name; what never happened is left out.
    pub(super) fn named(&self) -> BTreeMap<String, u64> {
        let named = Wake::ALL.iter().zip(self.0).filter(|(_, count)| *count > 0);
        named.map(|((_, name), count)| ((*name).to_owned(), count)).collect()
    }
}

/// Why something is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Start,
    Files,
    Sockets,
    Firewall,
    Mounts,
    Time,
    Asked,
}

impl Cause {
    /// The word for it in the status.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Files => "files",
            Self::Sockets => "sockets",
            Self::Firewall => "firewall",
            Self::Mounts => "mounts",
            Self::Time => "time",
            Self::Asked => "asked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_under_its_own_name() {
        let mut wakes = Wakes::default();
        for (wake, _) in Wake::ALL {
            wakes.count(&[wake], Wake::Poll);
        }
        wakes.count(&[], Wake::Poll);
        let named = wakes.named();
        assert_eq!(named.len(), Wake::ALL.len());
        assert_eq!((named.get("files"), named.get("poll")), (Some(&1), Some(&2)));
    }
}
