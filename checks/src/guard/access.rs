//! The guards of who gets in: an administrator keeps a way that is really in use, and nobody who came lately is cut unasked.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::{Case, Guard, Outcome, Rule, Ruling};
use crate::access::region::holding;
use crate::access::{Access, AccountAccess, Grant, Method, SourceAccess, SourceClass, classify};
use crate::check::{Input, Param, Text, message};
use crate::fact::Fact;
use crate::host::sudo::Asks;
use crate::observation::login::{Login, Teller};
use crate::observation::{Mode, UnixSeconds};
use crate::plan::Said;

/// How old a login may be and still prove that somebody holds its key: 30 days.
const RECENT: UnixSeconds = 30 * 86_400;
/// Stands for every account in `--accept-cut`.
const EVERYBODY: &str = "*";

/// An administrator's way in remains.
pub static ADMIN_WAY: Guard = Guard {
    id: "access.admin-way",
    title: Text {
        en: "an administrator keeps a way in that is in use", zh: "管理员保有一条确在使用的登录途径"
    },
    rule: Rule::Host(admin_way),
};

/// Whoever logged in lately still can.
pub static RECENT_LOGINS: Guard = Guard {
    id: "access.recent-logins",
    title: Text { en: "nobody who logged in lately is cut", zh: "近期登录过的账号不被切断" },
    rule: Rule::Host(recent_logins),
};

message!(UNCHANGED, "unchanged", "no way in changes", "登录途径没有变化");
message!(OFFLINE, "offline", "nobody is logged in to a directory", "离线目录中没有人登录");
message!(
    KEEPS,
    "keeps",
    "{user} keeps a way in from {source} with the key {key}: last login {ago} s ago as {by} from {at}",
    "{user} 仍可从 {source} 使用密钥 {key} 登录：最近一次登录在 {ago} 秒前，账号 {by}，来自 {at}"
);
message!(
    KEEPS_HELD,
    "keeps-held",
    "{user} keeps a way in from {source} with the key {key}: you say that somebody holds it (--i-hold)",
    "{user} 仍可从 {source} 使用密钥 {key} 登录：你声明有人持有它（--i-hold）"
);
message!(
    SESSION_MANAGER,
    "session-manager",
    "Cloud Assistant's Session Manager counts as the way in, as you asked; its agent runs",
    "按要求将云助手会话管理视为登录途径；其代理正在运行"
);
message!(
    NO_ADMIN,
    "no-admin",
    "no account can administer this host: put a key into root's authorized_keys and log in with it once",
    "没有可以管理本机的账号：请将密钥写入 root 的 authorized_keys 并用它登录一次"
);
message!(
    NO_KEY,
    "no-key",
    "{user}: no key opens a shell from {source} ({why}); put one into its authorized_keys and log in with it once",
    "{user}：没有密钥能从 {source} 打开 shell（{why}）；请将密钥写入其 authorized_keys 并用它登录一次"
);
message!(
    NOT_HELD,
    "not-held",
    "{user}: nobody was seen using its keys in the last 30 days; log in with one of them, or say who holds one: {hint}",
    "{user}：最近 30 天没有人使用过它的密钥；请用其中之一登录一次，或声明持有：{hint}"
);
message!(
    CUT_BY_PLAN,
    "cut-by-plan",
    "{user}: the key {key} opens it from {source} today and would not after the fix ({why}); leave out what closes it, or mend that first",
    "{user}：密钥 {key} 目前可从 {source} 登录，但修复之后不能（{why}）；请排除相应的修复项，或先处理该原因"
);
message!(
    ENDS_SOON,
    "ends-soon",
    "{user}: the way in with the key {key} ends within 30 days (an expiring key, account or password)",
    "{user}：使用密钥 {key} 的登录途径将在 30 天内失效（密钥、账号或口令到期）"
);
message!(
    SUDO_UNSURE,
    "sudo-unsure",
    "{user}: sudoers has lines that sudo may refuse as a whole, so it is no sure administrator; run visudo -c",
    "{user}：sudoers 含有 sudo 可能整体拒绝的行，无法确认其为管理员；请运行 visudo -c"
);
message!(
    SUDO_PASSWORD,
    "sudo-password",
    "{user}: becomes root through sudo, which asks for its password, and that would be locked; set another one (passwd {user}) and run fix again",
    "{user}：通过 sudo 成为 root 需要其口令，而该口令将被锁定；请先设置其他口令（passwd {user}），再运行 fix"
);
message!(
    NO_LOGINS,
    "no-logins",
    "the recent logins cannot be read ({why}), so nothing tells who would be cut: --accept-cut '*' if you know",
    "无法读取近期登录记录（{why}），因此不知道谁会被切断：若已确认，请使用 --accept-cut '*'"
);
message!(
    CUT,
    "cut",
    "{user} logged in with {method} from {source} and could not any more; --accept-cut {user} lets it go",
    "{user} 曾以 {method} 从 {source} 登录，修复后将无法登录；使用 --accept-cut {user} 表示接受"
);
message!(
    UNKNOWN_ACCOUNT,
    "unknown-account",
    "{user} logged in and comes from {where}, which hostward does not read; --accept-cut {user} if it may be cut",
    "{user} 曾经登录，该账号来自 {where}，hostward 无法读取；若可以切断，请使用 --accept-cut {user}"
);
message!(
    ACCEPTED,
    "accepted",
    "{user} would be cut ({method} from {source}), as you accepted",
    "{user} 将被切断（从 {source} 使用 {method}），你已接受"
);
message!(
    NOBODY_CUT,
    "nobody-cut",
    "{count} recent logins looked at, none is cut",
    "已检查 {count} 条近期登录，均不受影响"
);

/// Whether this guard saw somebody's way in become less.
pub fn shrinks_a_way(outcome: &Outcome) -> bool {
    let same = |said: &Said| [UNCHANGED.id, OFFLINE.id].contains(&said.message.id);
    let saw = match &outcome.ruling {
        Ruling::Holds(said) => !said.iter().all(same),
        Ruling::Refuses(_) => true,
    };
    std::ptr::eq(outcome.guard, &ADMIN_WAY) && saw
}

/// The account that keeps a way in, where this guard found one.
pub fn keeper(outcome: &Outcome) -> Option<String> {
    let Ruling::Holds(said) = &outcome.ruling else { return None };
    let keeps = said.iter().find(|said| [KEEPS.id, KEEPS_HELD.id].contains(&said.message.id))?;
    keeps.params.iter().find_map(|(name, value)| match value {
        Param::Text(user) if *name == "user" => Some(user.clone()),
        _ => None,
    })
}

/// The entry of an account at each daemon, from exactly this address.
fn places<'a>(
    access: &'a Access,
    user: &'a str,
    address: IpAddr,
) -> impl Iterator<Item = (&'a AccountAccess, &'a SourceAccess)> {
    let accounts =
        access.daemons.iter().flat_map(|daemon| &daemon.accounts).filter(move |account| account.user == user);
    accounts.filter_map(move |account| source(account, address).map(|source| (account, source)))
}

fn source(account: &AccountAccess, address: IpAddr) -> Option<&SourceAccess> {
    let regions: Vec<(&SourceClass, IpAddr)> = account.sources.iter().map(|one| (&one.class, one.example)).collect();
    account.sources.get(holding(&regions, address)?)
}

/// The keys that open a shell of this account from there.
pub(super) fn keys(access: &Access, user: &str, address: IpAddr) -> BTreeSet<String> {
    let ways = places(access, user, address).flat_map(|(_, source)| &source.ways);
    ways.filter(|way| way.is_key_shell()).flat_map(|way| way.keys.iter().cloned()).collect()
}

/// The accounts that administer the host, each once.
fn admins(input: &Input<'_>) -> Vec<(String, u32)> {
    let mut out: Vec<(String, u32)> = Vec::new();
    for account in input.access.daemons.iter().flat_map(|daemon| &daemon.accounts) {
        let entry = (account.user.clone(), account.uid);
        if account.admin == Fact::Known(true) && !out.contains(&entry) {
            out.push(entry);
        }
    }
    // Root first: it is what ECS and Workbench use.
    out.sort_by_key(|(_, uid)| *uid != 0);
    out
}

/// Where administrators come from today: this session, else the newest login of one that did not come from the host itself.
fn from(case: &Case<'_>) -> IpAddr {
    let outside = |address: &IpAddr| classify(*address) != SourceClass::Loopback;
    let session = case.circumstances.session.as_ref().and_then(|session| session.source).filter(outside);
    let admins = admins(case.before);
    let logins = case.before.seen.logins.known().into_iter().flat_map(|logins| &logins.accepted);
    let newest = logins
        .filter(|login| admins.iter().any(|(user, _)| *user == login.user))
        .filter_map(|login| Some((login.at, login.source.filter(outside)?)))
        .max_by_key(|(at, _)| *at);
    // An address on the internet (RFC 5737), where nobody came from anywhere.
    session.or(newest.map(|(_, address)| address)).unwrap_or(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)))
}

/// Why somebody is taken to hold a key, as words that still lack account, source and key: a login that the kernel vouches for,
/// or the user's word.
fn evidence(case: &Case<'_>, key: &str) -> Option<Said> {
    let now = case.before.seen.now;
    let logins = case.before.seen.logins.known().into_iter().flat_map(|logins| &logins.accepted);
    let proves = |login: &&Login| {
        login.told_by == Teller::Journal && login.at >= now - RECENT && login.key.as_deref() == Some(key)
    };
    if let Some(login) = logins.filter(proves).max_by_key(|login| login.at) {
        let source = login.source.map_or_else(|| "?".to_owned(), |source| source.to_string());
        let ago = (now - login.at).to_string();
        return Some(Said::new(&KEEPS).with("ago", ago).with("by", &login.user).with("at", source));
    }
    case.circumstances.consent.held.iter().any(|held| held == key).then(|| Said::new(&KEEPS_HELD))
}

/// Whether any way of anybody shrinks, from anywhere.
fn shrinks(case: &Case<'_>) -> bool {
    let (before, after) = (case.before.access, case.after.access);
    let left = admins(case.after);
    if admins(case.before).iter().any(|admin| !left.contains(admin)) {
        return true;
    }
    let examples = |access: &Access, user: &str| -> Vec<IpAddr> {
        let accounts = access.daemons.iter().flat_map(|daemon| &daemon.accounts).filter(|account| account.user == user);
        accounts.flat_map(|account| &account.sources).map(|source| source.example).collect()
    };
    let users: BTreeSet<&str> =
        before.daemons.iter().flat_map(|daemon| &daemon.accounts).map(|account| account.user.as_str()).collect();
    users.into_iter().any(|user| {
        let addresses: BTreeSet<IpAddr> = examples(before, user).into_iter().chain(examples(after, user)).collect();
        addresses.into_iter().any(|address| !keeps(before, after, user, address))
    })
}

/// Whether every way of an account from there is there afterwards, with all its keys, and gives no less.
fn keeps(before: &Access, after: &Access, user: &str, address: IpAddr) -> bool {
    let ways = |access| places(access, user, address).flat_map(|(_, source)| &source.ways).collect::<Vec<_>>();
    let now = ways(after);
    ways(before).into_iter().all(|way| {
        now.iter().any(|new| {
            (new.certain || !way.certain)
                && new.methods == way.methods
                && new.grants <= way.grants
                && way.keys.iter().all(|key| new.keys.contains(key))
        })
    })
}

fn admin_way(case: &Case<'_>) -> Ruling {
    if case.before.seen.mode == Mode::Offline {
        return Ruling::Holds(vec![Said::new(&OFFLINE)]);
    }
    if !shrinks(case) {
        return Ruling::Holds(vec![Said::new(&UNCHANGED)]);
    }
    let mut missing = match kept(case) {
        Ok(said) => return Ruling::Holds(vec![said]),
        Err(missing) => missing,
    };
    let consent = &case.circumstances.consent;
    if consent.session_manager && case.circumstances.session_manager_runs {
        return Ruling::Holds(vec![Said::new(&SESSION_MANAGER)]);
    }
    if missing.is_empty() {
        missing.push(Said::new(&NO_ADMIN));
    }
    Ruling::Refuses(missing)
}

/// The administrator who, on the host as it would be, keeps a lasting way by key from where administrators come, with the evidence;
/// else what each of them lacks.
pub(super) fn kept(case: &Case<'_>) -> Result<Said, Vec<Said>> {
    let address = from(case);
    let admins = admins(case.after);
    let mut missing = Vec::new();
    for (user, uid) in &admins {
        if *uid != 0 && !case.after.host.sudo.defects.is_empty() {
            missing.push(Said::new(&SUDO_UNSURE).with("user", user));
            continue;
        }
        match stays(case, user, address) {
            Ok(said) => return Ok(said),
            Err(said) => missing.push(said),
        }
    }
    // An administrator that is none any more: say what closes it.
    let lost = self::admins(case.before).into_iter().filter(|admin| !admins.contains(admin));
    missing.extend(lost.filter_map(|(user, _)| match asks_for_a_locked_password(case, &user) {
        true => Some(Said::new(&SUDO_PASSWORD).with("user", &user)),
        false => stays(case, &user, address).err(),
    }));
    Err(missing)
}

/// Whether the account, as it would be, could become root through sudo but for its password.
fn asks_for_a_locked_password(case: &Case<'_>, user: &str) -> bool {
    let host = case.after.host;
    let Some(user) = host.accounts.by_name(user) else { return false };
    let right = host.sudo.can_become_root(&host.accounts, user);
    right.known().is_some_and(|right| right.asks == Asks::OwnPassword)
}

/// The way of one administrator that stays, or what is missing for one.
fn stays(case: &Case<'_>, user: &str, address: IpAddr) -> Result<Said, Said> {
    let (before, after) = (keys(case.before.access, user, address), keys(case.after.access, user, address));
    let about = |message| Said::new(message).with("user", user).with("source", address.to_string());
    let held = |keys: &BTreeSet<String>| keys.iter().find_map(|key| Some((key.clone(), evidence(case, key)?)));
    let later = keys(case.later.access, user, address);
    let lasting: BTreeSet<String> = after.intersection(&later).cloned().collect();
    if let Some((key, evidence)) = held(&lasting) {
        return Ok(evidence.with("user", user).with("source", address.to_string()).with("key", key));
    }
    if let Some((key, _)) = held(&after) {
        return Err(about(&ENDS_SOON).with("key", key));
    }
    if let Some((key, _)) = held(&before) {
        return Err(about(&CUT_BY_PLAN).with("key", key).with("why", why(case.after.access, user, address)));
    }
    if after.is_empty() {
        return Err(about(&NO_KEY).with("why", why(case.after.access, user, address)));
    }
    let hint = after.iter().take(3).map(|key| format!("--i-hold {key}")).collect::<Vec<_>>().join(" | ");
    Err(about(&NOT_HELD).with("hint", hint))
}

/// Why no key opens a shell of the account from there.
pub(super) fn why(access: &Access, user: &str, address: IpAddr) -> String {
    let sources = || places(access, user, address).map(|(_, source)| source);
    let mut reasons: Vec<String> = sources().flat_map(|source| source.refused_because.clone()).collect();
    reasons.extend(sources().flat_map(|source| &source.doubts).map(|doubt| doubt.why.to_string()));
    let ways = sources().flat_map(|source| &source.ways).filter(|way| way.methods.contains(&Method::Publickey));
    for way in ways {
        match (way.grants, way.methods.as_slice()) {
            (Grant::Shell, [Method::Publickey]) => {}
            (Grant::Shell, _) => reasons.push(format!("{} are asked for together", way.path())),
            (grants, _) => reasons.push(format!("a key gives {} only", grants.word())),
        }
    }
    let mut seen = BTreeSet::new();
    reasons.retain(|reason| seen.insert(reason.clone()));
    reasons.truncate(3);
    if reasons.is_empty() { "none is there".to_owned() } else { reasons.join("; ") }
}

/// Whether the account opens from there by the method that a log names; an unknown method: by any.
fn admits(access: &Access, login: &Login, address: IpAddr) -> bool {
    let word = login.method.split('/').next().unwrap_or_default();
    let method = Method::from_word(word);
    places(access, &login.user, address).flat_map(|(_, source)| &source.ways).any(|way| {
        let last = method.is_none() || way.methods.last() == method.as_ref();
        // A certificate's key stands in no file.
        let key = login.key.as_ref().filter(|_| method == Some(Method::Publickey) && login.authority.is_none());
        last && key.is_none_or(|key| way.keys.contains(key))
    })
}

fn recent_logins(case: &Case<'_>) -> Ruling {
    if case.before.seen.mode == Mode::Offline {
        return Ruling::Holds(vec![Said::new(&OFFLINE)]);
    }
    let consent = &case.circumstances.consent.cut;
    let accepts = |user: &str| consent.iter().any(|cut| cut == user || cut == EVERYBODY);
    let logins = match &case.before.seen.logins {
        Fact::Known(logins) => &logins.accepted[..],
        Fact::Absent if accepts(EVERYBODY) => &[],
        Fact::Unknown(_) if accepts(EVERYBODY) => &[],
        Fact::Absent => return Ruling::Refuses(vec![Said::new(&NO_LOGINS).with("why", "no log is there")]),
        Fact::Unknown(why) => return Ruling::Refuses(vec![Said::new(&NO_LOGINS).with("why", why.to_string())]),
    };
    let mut all: Vec<Login> =
        logins.iter().filter(|login| login.at >= case.before.seen.now - RECENT).cloned().collect();
    all.extend(case.circumstances.session.iter().map(|session| Login {
        at: session.since,
        user: session.user.clone(),
        method: String::new(),
        source: session.source,
        key: None,
        authority: None,
        told_by: Teller::Journal,
    }));
    let (mut cut, mut accepted, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for login in &all {
        let Some(address) = login.source else { continue };
        // wtmp and lastlog tell of the same login without its method; what the log says of it counts.
        let told = |other: &Login| !other.method.is_empty() && other.user == login.user && other.source == login.source;
        if login.method.is_empty() && all.iter().any(told) {
            continue;
        }
        let Some(said) = cut_of(case, login, address) else { continue };
        if !seen.insert((login.user.clone(), said.message.id, login.method.clone(), address)) {
            continue;
        }
        if accepts(&login.user) {
            let method = said_method(login);
            let source = address.to_string();
            accepted.push(Said::new(&ACCEPTED).with("user", &login.user).with("method", method).with("source", source));
        } else {
            cut.push(said);
        }
    }
    if !cut.is_empty() {
        return Ruling::Refuses(cut);
    }
    accepted.push(Said::new(&NOBODY_CUT).with("count", all.len().to_string()));
    Ruling::Holds(accepted)
}

/// What a login's owner would lose.
fn cut_of(case: &Case<'_>, login: &Login, address: IpAddr) -> Option<Said> {
    if case.before.host.accounts.by_name(&login.user).is_none() {
        let elsewhere = case.before.host.accounts.elsewhere_of("passwd")?;
        return Some(Said::new(&UNKNOWN_ACCOUNT).with("user", &login.user).with("where", &elsewhere.service));
    }
    let cut = admits(case.before.access, login, address) && !admits(case.after.access, login, address);
    cut.then(|| {
        Said::new(&CUT).with("user", &login.user).with("method", said_method(login)).with("source", address.to_string())
    })
}

fn said_method(login: &Login) -> String {
    match (&login.key, login.method.is_empty()) {
        (Some(key), _) => format!("{} {key}", login.method),
        (None, true) => "?".to_owned(),
        (None, false) => login.method.clone(),
    }
}

#[cfg(test)]
mod tests;
