//! The area accounts: passwords, who may become root, and the files that say so.

use crate::access::Grant;
use crate::check::{Finding, Input, Tally};
use crate::edit::Edit;
use crate::fact::{Fact, Why};
use crate::host::accounts::{PASSWD, Password, SHADOW, User, vendor_of};

pub mod admin;
pub mod empty_password;
pub mod files;
pub mod hash_method;
pub mod lockout;
pub mod password_age;
pub mod password_policy;
pub mod shared_password;
#[cfg(test)]
pub(super) mod shown;
pub mod sudo;
pub mod system_shell;
#[cfg(test)]
mod testing;
pub mod uid0;
pub mod unknown;
pub mod weak_password;

/// Security Center's baseline "Alibaba Cloud Standard", whose items have numbers.
const BASELINE: &str = "Alibaba Cloud Security Center baseline";
/// The multi-level protection scheme.
const MLPS: &str = "MLPS level 3 (等保三级)";
/// "Security best practices" of ECS.
const PRACTICE: &str = "Alibaba Cloud ECS security best practices";
/// "Cloud workload protection in practice".
const PROTECTION: &str = "Alibaba Cloud 云上业务安全防护体系实践";

/// The subject of a finding about an account.
fn subject(user: &User) -> String {
    format!("account:{}", user.name().text())
}

/// Says that the accounts are not known, or not all of them, where they are not.
pub(super) fn doubt_users(input: &Input<'_>, tally: &mut Tally) {
    match &input.host.accounts.users {
        Fact::Known(_) => {}
        Fact::Absent => tally.doubt(format!("file:{PASSWD}"), Why::Failed("there is no such file".to_owned())),
        Fact::Unknown(why) => tally.doubt(format!("file:{PASSWD}"), why.clone()),
    }
    if let Some(source) = input.host.accounts.elsewhere_of("passwd") {
        tally.doubt("accounts", source.why());
    }
}

/// Every account with the password that counts for it. Those whose password is not known are doubts; those without any are left out.
fn passwords<'a>(input: &Input<'a>, tally: &mut Tally) -> Vec<(&'a User, Password<'a>)> {
    doubt_users(input, tally);
    let mut out = Vec::new();
    for user in input.host.accounts.list() {
        match user.password() {
            Fact::Known(password) => out.push((user, password)),
            Fact::Absent => {}
            Fact::Unknown(why) => tally.doubt(format!("file:{SHADOW}"), why),
        }
    }
    if let Some(source) = input.host.accounts.elsewhere_of("shadow") {
        tally.doubt("passwords", source.why());
    }
    out
}

/// Adds the password's line as evidence, the hash left out.
fn shown(finding: Finding, user: &User, password: &Password<'_>, what: &str) -> Finding {
    finding.seen(password.file, Some(password.line), format!("{}:{what}:…", user.name().text()))
}

/// Adds the lock of the account's password. Accounts of Alibaba Cloud's own agents are left alone, and so is a name that is no text.
fn locking(finding: Finding, user: &User) -> Finding {
    match std::str::from_utf8(user.name().bytes()) {
        Ok(name) if vendor_of(name).is_none() => finding.fixed_by(Edit::LockPassword { user: name.to_owned() }),
        _ => finding,
    }
}

/// What the access matrix says of an account.
#[derive(Clone, Debug, Default)]
struct WayIn {
    /// It can surely log in somehow, and gets something.
    any: bool,
    /// It can surely log in and gets a shell.
    shell: bool,
    /// What that rests on and is not known.
    doubts: Vec<Why>,
}

fn way_in(input: &Input<'_>, user: &User) -> WayIn {
    let mut way = WayIn::default();
    for daemon in &input.access.daemons {
        way.doubts.extend(daemon.doubts.iter().cloned());
        let mine = daemon.accounts.iter().filter(|a| a.uid == user.entry.uid && a.user == user.name().text());
        for source in mine.flat_map(|account| &account.sources) {
            way.any |= source.sure().any(|way| way.grants != Grant::Nothing);
            way.shell |= source.sure().any(|way| way.grants == Grant::Shell);
            way.doubts.extend(source.doubts.iter().map(|doubt| doubt.why.clone()));
        }
    }
    way
}
