//! What the usual PAM modules answer for an account, given what the client says its secret is.

use std::net::IpAddr;

use super::stack::Code;
use crate::access::gate::matches;
use crate::fact::{Fact, Why};
use crate::host::accounts::User;
use crate::host::login_files::LoginFiles;
use crate::host::pam::Module;
use crate::parse::access_conf::{AccessAsker, granted};

/// Which question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Facility {
    /// Is it who it says it is.
    Auth,
    /// May it come in.
    Account,
}

/// What the client answers when it is asked for the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secret {
    /// The right one, where there is one.
    Right,
    /// Nothing: what sshd itself answers for a client that asks for the method `none`.
    Empty,
}

/// Everything that modules look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) facility: Facility,
    pub(crate) secret: Secret,
    pub(crate) user: &'a User,
    /// Names of its groups, as far as known.
    pub(crate) groups: &'a Fact<Vec<String>>,
    pub(crate) address: IpAddr,
    pub(crate) service: &'a str,
    /// Day number of now.
    pub(crate) today: i64,
    /// Whether sshd lets empty passwords through (`PAM_DISALLOW_NULL_AUTHTOK` otherwise).
    pub(crate) permit_empty: bool,
    pub(crate) nologin: &'a Fact<Vec<std::path::PathBuf>>,
    pub(crate) shells: &'a Fact<Vec<std::path::PathBuf>>,
    pub(crate) files: &'a LoginFiles,
    /// Bounds of login.defs that pam_usertype goes by: UID_MIN.
    pub(crate) first_human: u32,
}

/// All codes that the module may return, and why it is not sure where there are several.
pub(crate) fn answer(module: &Module, scene: &Scene<'_>) -> (Vec<Code>, Option<Why>) {
    use Facility::{Account, Auth};
    let sure = |code| (vec![code], None);
    let yes_no = |yes| sure(if yes { Code::Success } else { Code::AuthErr });
    let user = scene.user;
    match (module.name.as_str(), scene.facility) {
        // A line that PAM cannot use counts as a module that fails.
        ("pam_deny" | "", _) => sure(Code::AuthErr),
        ("pam_permit" | "pam_rootok" | "pam_debug", _) => sure(Code::Success),
        ("pam_unix" | "pam_unix_auth" | "pam_pwdb", Auth) => unix_auth(module, scene),
        ("pam_unix" | "pam_unix_acct", Account) => unix_account(scene),
        ("pam_localuser", _) => sure(Code::Success),
        ("pam_nologin", _) => nologin(module, scene),
        ("pam_access", _) => access(module, scene),
        ("pam_succeed_if", _) => succeed_if(module, scene),
        ("pam_listfile", _) => listfile(module, scene),
        ("pam_shells", _) => match scene.shells {
            Fact::Known(shells) => yes_no(shells.iter().any(|shell| shell == user.shell())),
            Fact::Absent => yes_no([std::path::Path::new("/bin/sh"), "/bin/csh".as_ref()].contains(&user.shell())),
            Fact::Unknown(why) => maybe("pam_shells", &why.to_string()),
        },
        ("pam_time", Account) => match &scene.files.time_conf {
            Fact::Known(false) | Fact::Absent => sure(Code::Success),
            _ => maybe("pam_time", "limits logins to times of day"),
        },
        ("pam_usertype", _) => {
            // The overflow uid (nobody) counts as a system user.
            let system = user.entry.uid < scene.first_human || user.entry.uid == 65534;
            yes_no(system == module.has("issystem"))
        }
        // They count failures, slow down, remember, or set things up; whoever knows the secret passes.
        ("pam_faillock" | "pam_tally2" | "pam_tally", _) => {
            sure(if module.has("authfail") { Code::AuthErr } else { Code::Success })
        }
        ("pam_faildelay" | "pam_sepermit" | "pam_cap" | "pam_env" | "pam_echo" | "pam_warn", _) => sure(Code::Ignore),
        ("pam_motd" | "pam_mail" | "pam_group" | "pam_keyinit" | "pam_gnome_keyring" | "pam_reauthorize", _) => {
            sure(Code::Ignore)
        }
        // Homes of systemd-homed have no passwd line; those of the file are not its business.
        ("pam_systemd_home", _) => sure(Code::UserUnknown),
        ("pam_securetty", Auth) if !user.is_root() => sure(Code::Success),
        (name, _) => {
            let (mut codes, why) = maybe(name, "a module whose answer is not known");
            codes.push(Code::Ignore);
            codes.push(Code::UserUnknown);
            codes.push(Code::ServiceErr);
            if module.may_miss {
                codes.push(Code::ModuleUnknown);
            }
            (codes, why)
        }
    }
}

fn maybe(name: &str, what: &str) -> (Vec<Code>, Option<Why>) {
    (vec![Code::Success, Code::AuthErr], Some(Why::Defect(format!("PAM {name}: {what}"))))
}

/// `pam_unix_auth.c`: a password that can be right, or an empty one with `nullok`.
fn unix_auth(module: &Module, scene: &Scene<'_>) -> (Vec<Code>, Option<Why>) {
    let nullok = module.args.iter().any(|arg| arg == "nullok" || arg == "nullok_secure");
    match scene.user.password() {
        Fact::Known(password) if password.field.is_empty() => {
            (vec![if nullok && scene.permit_empty { Code::Success } else { Code::AuthErr }], None)
        }
        Fact::Known(password) => {
            // A hash may be that of the empty word: nobody knows before it is guessed, and guessing is the audit's business.
            let can = scene.secret == Secret::Right && password.field.hash().is_some_and(can_match);
            (vec![if can { Code::Success } else { Code::AuthErr }], None)
        }
        Fact::Absent => (vec![Code::AuthErr], None),
        Fact::Unknown(why) => maybe("pam_unix", &format!("/etc/shadow: {why}")),
    }
}

/// Whether some password can be right for this field: what crypt(3) knows begins with `$` or `_`, or is 13 characters or more.
pub(crate) fn can_match(hash: &[u8]) -> bool {
    let salted = hash.starts_with(b"$") && hash.len() > 3 || hash.starts_with(b"_") && hash.len() >= 20;
    let des = hash.len() >= 13 && hash.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'));
    salted || des
}

/// `passverify.c:check_shadow_expiry`.
fn unix_account(scene: &Scene<'_>) -> (Vec<Code>, Option<Why>) {
    let shadow = match &scene.user.shadow {
        Fact::Known(shadow) => shadow,
        // Without a shadow line there is nothing to expire, unless passwd points to one.
        Fact::Absent if scene.user.entry.password.bytes() == b"x" => return (vec![Code::AuthErr], None),
        Fact::Absent => return (vec![Code::Success], None),
        Fact::Unknown(why) => return maybe("pam_unix", &format!("/etc/shadow: {why}")),
    };
    let sure = |code| (vec![code], None);
    if shadow.expire.is_some_and(|day| scene.today >= day) {
        return sure(Code::AcctExpired);
    }
    let Some(changed) = shadow.last_change else { return sure(Code::Success) };
    if changed == 0 {
        return sure(Code::NewAuthtokReqd);
    }
    let age = scene.today - changed;
    let (Some(max), true) = (shadow.max, age >= 0) else { return sure(Code::Success) };
    if shadow.inactive.is_some_and(|inactive| age > max + inactive) {
        return sure(Code::AuthtokExpired);
    }
    sure(if age > max { Code::NewAuthtokReqd } else { Code::Success })
}

fn nologin(module: &Module, scene: &Scene<'_>) -> (Vec<Code>, Option<Why>) {
    let own = module.args.iter().any(|arg| arg.starts_with("file="));
    let free = if module.args.iter().any(|arg| arg == "successok") { Code::Success } else { Code::Ignore };
    match scene.nologin {
        _ if own => maybe("pam_nologin", "looks at a file of its own"),
        Fact::Absent => (vec![free], None),
        Fact::Known(_) if scene.user.is_root() => (vec![Code::Success], None),
        Fact::Known(_) => (vec![Code::AuthErr], None),
        Fact::Unknown(why) => maybe("pam_nologin", &why.to_string()),
    }
}

fn access(module: &Module, scene: &Scene<'_>) -> (Vec<Code>, Option<Why>) {
    let odd =
        module.args.iter().find(|arg| ["accessfile=", "listsep=", "fieldsep="].iter().any(|o| arg.starts_with(o)));
    if let Some(odd) = odd {
        return maybe("pam_access", odd);
    }
    let lines = match &scene.files.access_conf {
        Fact::Known(lines) => lines,
        Fact::Absent => return (vec![Code::Success], None),
        Fact::Unknown(why) => return maybe("pam_access", &why.to_string()),
    };
    let name = scene.user.name().text();
    let Fact::Known(groups) = scene.groups else { return maybe("pam_access", "the account's groups are not known") };
    let bare_groups = !module.args.iter().any(|arg| arg == "nodefgroup");
    match granted(lines, &AccessAsker { user: &name, groups, address: scene.address, bare_groups }) {
        Some((true, _)) => (vec![Code::Success], None),
        Some((false, _)) => (vec![Code::PermDenied], None),
        None => maybe("pam_access", "access.conf names a netgroup or a host"),
    }
}

/// `pam_succeed_if(8)`: every condition must hold.
fn succeed_if(module: &Module, scene: &Scene<'_>) -> (Vec<Code>, Option<Why>) {
    let words: Vec<&str> = module
        .args
        .iter()
        .map(String::as_str)
        .filter(|word| !matches!(*word, "debug" | "use_uid" | "quiet" | "quiet_fail" | "quiet_success" | "audit"))
        .collect();
    if module.args.iter().any(|arg| arg == "use_uid") {
        return maybe("pam_succeed_if", "use_uid");
    }
    for condition in words.chunks(3) {
        match holds(condition, scene) {
            Some(true) => {}
            Some(false) => return (vec![Code::AuthErr], None),
            None => return maybe("pam_succeed_if", &condition.join(" ")),
        }
    }
    (vec![Code::Success], None)
}

fn holds(condition: &[&str], scene: &Scene<'_>) -> Option<bool> {
    let [left, operator, right] = condition else { return None };
    let user = scene.user;
    let number = match *left {
        "uid" => Some(i64::from(user.entry.uid)),
        "gid" => Some(i64::from(user.entry.gid)),
        _ => None,
    };
    if let Some(number) = number {
        let bound: i64 = right.parse().ok()?;
        return match *operator {
            "lt" | "<" => Some(number < bound),
            "le" | "<=" => Some(number <= bound),
            "eq" | "==" | "=" => Some(number == bound),
            "ge" | ">=" => Some(number >= bound),
            "gt" | ">" => Some(number > bound),
            "ne" | "!=" => Some(number != bound),
            _ => None,
        };
    }
    let text = match *left {
        "user" => user.name().text().into_owned(),
        "shell" => crate::check::path_text(user.entry.shell.clone()),
        "home" => crate::check::path_text(user.entry.home.clone()),
        "service" => scene.service.to_owned(),
        "rhost" => scene.address.to_string(),
        _ => return None,
    };
    let in_group = || match scene.groups {
        Fact::Known(groups) => Some(right.split(':').any(|name| groups.iter().any(|group| group == name))),
        _ => None,
    };
    match *operator {
        "=" | "==" | "eq" => Some(text == *right),
        "!=" | "ne" => Some(text != *right),
        "=~" => Some(matches(right, &text)),
        "!~" => Some(!matches(right, &text)),
        "in" => Some(right.split(':').any(|item| item == text)),
        "notin" => Some(!right.split(':').any(|item| item == text)),
        "ingroup" => in_group(),
        "notingroup" => in_group().map(|inside| !inside),
        _ => None,
    }
}

/// `pam_listfile(8)`.
fn listfile(module: &Module, scene: &Scene<'_>) -> (Vec<Code>, Option<Why>) {
    let arg = |name: &str| module.args.iter().find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='));
    let (Some(item), Some(sense), Some(file)) = (arg("item"), arg("sense"), arg("file")) else {
        return maybe("pam_listfile", "incomplete");
    };
    if arg("apply").is_some() {
        return maybe("pam_listfile", "apply=");
    }
    let failing = if arg("onerr") == Some("succeed") { Code::Success } else { Code::AuthErr };
    let lines = match scene.files.lists.get(std::path::Path::new(file)) {
        Some(Fact::Known(lines)) => lines,
        Some(Fact::Absent) => return (vec![failing], None),
        Some(Fact::Unknown(why)) => return maybe("pam_listfile", &format!("{file}: {why}")),
        None => return maybe("pam_listfile", file),
    };
    let listed = |name: &str| lines.iter().any(|line| line == name);
    let found = match item {
        "user" => listed(&scene.user.name().text()),
        "shell" => listed(&crate::check::path_text(scene.user.entry.shell.clone())),
        "rhost" => listed(&scene.address.to_string()),
        "group" => match scene.groups {
            Fact::Known(groups) => groups.iter().any(|group| listed(group)),
            _ => return maybe("pam_listfile", "the account's groups are not known"),
        },
        other => return maybe("pam_listfile", other),
    };
    (vec![if found == (sense == "allow") { Code::Success } else { Code::AuthErr }], None)
}
