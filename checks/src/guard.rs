//! What must hold before anything is changed: guards as data, evaluated by one engine.
//!
//! Each kind of edit names its guards ([`of`], a match without a catch-all: a new edit does not compile without them). A guard
//! looks at one edit, and then its refusal takes the finding out of the plan; or it looks at the simulated host, and then its
//! refusal stops the whole plan.

pub mod network;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::check::{Input, Text};
use crate::edit::Edit;
use crate::observation::UnixSeconds;
use crate::observation::socket::Protocol;
use crate::plan::{Plan, Said};

mod access;
mod first_boot;
mod remedies;
mod sshd;
#[cfg(test)]
pub(crate) mod testing;

pub use access::{ADMIN_WAY, RECENT_LOGINS, keeper, shrinks_a_way};
pub use first_boot::{FIRST_BOOT, FirstBoot, additions, first_user};
pub use sshd::{ACCEPTED, ALGORITHMS, BINDABLE, GROUPS, PENDING};

/// One guard.
#[derive(Debug)]
pub struct Guard {
    /// Stable id.
    pub id: &'static str,
    /// What it makes sure of.
    pub title: Text,
    /// The rule.
    pub rule: Rule,
}

/// What a guard looks at.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// One edit on the host as it is. A refusal leaves the finding as it is.
    Edit(fn(&Edit, &Input<'_>, &Circumstances) -> Result<(), Said>),
    /// The simulated host. A refusal stops the plan.
    Host(fn(&Case<'_>) -> Ruling),
}

/// A host before and after, as a guard sees it.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// As it is.
    pub before: &'a Input<'a>,
    /// As it would be.
    pub after: &'a Input<'a>,
    /// As it would be [`LATER`] seconds from now, when passwords have aged and keys have expired.
    pub later: &'a Input<'a>,
    /// What would be done.
    pub plan: &'a Plan,
    /// What only the agent can tell.
    pub circumstances: &'a Circumstances,
    /// An image at its first boot, with the key that it gets then.
    pub first_boot: Option<FirstBoot<'a>>,
}

/// How far ahead a way in must last: 30 days.
pub const LATER: UnixSeconds = 30 * 86_400;

/// What a guard of the whole plan says.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub enum Ruling {
    /// It holds, by this evidence.
    Holds(Vec<Said>),
    /// It does not: what is missing and what would mend it.
    Refuses(Vec<Said>),
}

/// One guard evaluated.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which.
    pub guard: &'static Guard,
    /// What it says.
    pub ruling: Ruling,
}

/// The login session that asks for the fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The account that logged in (before any sudo).
    pub user: String,
    /// From where.
    pub source: Option<IpAddr>,
    /// When the connection was made.
    pub since: UnixSeconds,
}

/// How a fix is confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confirm {
    /// By a new login of an administrator.
    #[default]
    Login,
    /// By looking again for some time.
    Probe,
    /// Not at all: image roots.
    None,
}

/// What the user answers for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// `--i-hold`: fingerprints of keys that somebody is said to hold, `SHA256:…`.
    pub held: Vec<String>,
    /// `--accept-cut`: accounts whose recent way in may go.
    pub cut: Vec<String>,
    /// `--accept-pending`: changes of others that our reload would make effective too.
    pub pending: bool,
    /// `--accept-session-manager`: Cloud Assistant's Session Manager counts as a way in.
    pub session_manager: bool,
    /// `--accept-stop`: units that may be stopped although others need them or talk to them.
    pub stop: Vec<String>,
    /// A check of images was named, or `sshd.host-keys`: this is the last step of a build, and what a system that still runs needs
    /// may go.
    pub last_step: bool,
}

/// What only the agent can tell.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// The session that asks, where it is one over ssh.
    pub session: Option<Session>,
    /// What the user answers for.
    pub consent: Consent,
    /// How the fix is confirmed.
    pub confirm: Confirm,
    /// Whether the agent of Cloud Assistant runs.
    pub session_manager_runs: bool,
    /// Addresses that an sshd would have to bind and cannot, with the reason.
    pub unbindable: Vec<(SocketAddr, String)>,
    /// Daemons that run in a service whose main process is another: started by hand from within it. It cannot reload them.
    pub beside: Vec<i32>,
    /// Files of an sshd's configuration, or its program, that changed since it read them; with the unit concerned.
    pub pending: Vec<(String, PathBuf)>,
    /// What hangs on a unit: units that need it, and peers that talk to it now.
    pub dependents: BTreeMap<String, Vec<String>>,
    /// Remote addresses of present connections to a port of this host, each once.
    pub peers: BTreeMap<(Protocol, u16), Vec<IpAddr>>,
    /// Where this program stands, so that a unit can start it.
    pub program: Option<PathBuf>,
    /// Whether the root is the running system's own: its sshd reads host keys and authorized_keys for every new connection.
    pub serves: bool,
    /// Whether nft is missing.
    pub nft_missing: bool,
    /// User ids that were seen asking the metadata service; None: nobody has looked yet.
    pub metadata_users: Option<Vec<u32>>,
}

/// Whatever may decide about a login.
static LOGINS: [&Guard; 3] = [&ADMIN_WAY, &RECENT_LOGINS, &FIRST_BOOT];
/// What sshd reads.
static SSHD: [&Guard; 7] = [&ADMIN_WAY, &RECENT_LOGINS, &FIRST_BOOT, &ACCEPTED, &PENDING, &BINDABLE, &GROUPS];
/// What sshd and its clients agree on.
static NEGOTIATION: [&Guard; 8] =
    [&ADMIN_WAY, &RECENT_LOGINS, &FIRST_BOOT, &ACCEPTED, &PENDING, &BINDABLE, &GROUPS, &ALGORITHMS];

/// The guards of a kind of edit: what its way of working needs, and what no remedy of its kind may do.
pub fn of(edit: &Edit) -> Vec<&'static Guard> {
    let common: &[&Guard] = match edit {
        Edit::SshdSet { keyword, .. } | Edit::SshdLine { keyword, .. } if negotiates(keyword) => &NEGOTIATION,
        Edit::SshdSet { .. } | Edit::SshdLine { .. } | Edit::SshdReload { .. } => &SSHD,
        Edit::LockPassword { .. } => &LOGINS,
        Edit::ForgetPassword { .. } | Edit::Erase { .. } => &LOGINS,
        Edit::SetShell { .. } => &LOGINS,
        Edit::SetAgeing { .. } => &LOGINS,
        Edit::SetKey { .. } => &LOGINS,
        // No login depends on it.
        Edit::SetKernel { .. } => &[],
        Edit::WriteFile { .. } => &LOGINS,
        Edit::RemoveLine { .. } => &LOGINS,
        Edit::Chmod { .. } | Edit::Chown { .. } => &LOGINS,
        Edit::RemoveFile { .. } => &LOGINS,
        Edit::StopUnit { .. } => &network::OF_STOP,
        Edit::LimitPort { .. } => &network::OF_PORT,
        Edit::LimitMetadata { .. } => &network::OF_METADATA,
        Edit::RequireMetadataTokens { .. } => &[],
    };
    [common, remedies::of(edit)].concat()
}

/// Whether client and server agree on this keyword's values when they meet: a banner proves nothing of it.
fn negotiates(keyword: &str) -> bool {
    [
        "ciphers",
        "macs",
        "kexalgorithms",
        "hostkeyalgorithms",
        "hostkey",
        "pubkeyacceptedalgorithms",
        "pubkeyacceptedkeytypes",
    ]
    .contains(&keyword.to_ascii_lowercase().as_str())
}

/// Evaluates every guard of the whole plan that its effects name, each once; and whether sshd accepts its configuration wherever a
/// check of these is about sshd, for then it could not even be looked at.
pub fn evaluate(case: &Case<'_>, checks: &[&str]) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    let sshd = checks.iter().any(|check| check.starts_with("sshd."));
    let named = case.plan.effects.iter().flat_map(|planned| planned.guards.iter().copied());
    for guard in named.chain(sshd.then_some(&ACCEPTED)) {
        if let Rule::Host(rule) = guard.rule
            && !outcomes.iter().any(|outcome| std::ptr::eq(outcome.guard, guard))
        {
            outcomes.push(Outcome { guard, ruling: rule(case) });
        }
    }
    outcomes
}

/// The guards of one edit that look at it alone.
///
/// # Errors
/// The first refusal.
pub fn permits(edit: &Edit, input: &Input<'_>, circumstances: &Circumstances) -> Result<(), Said> {
    of(edit).iter().try_for_each(|guard| match guard.rule {
        Rule::Edit(rule) => rule(edit, input, circumstances),
        Rule::Host(_) => Ok(()),
    })
}
