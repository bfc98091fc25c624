//! `platform.login-anomaly`: somebody guesses passwords, guessed one, or logged in from where nobody did before.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::access::region::Prefix;
use crate::access::{SourceClass, classify};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::fact::{Fact, Why};
use crate::observation::UnixSeconds;
use crate::observation::login::{Login, Logins, Teller, network_of};

mod burst;

use burst::{Burst, bursts};

/// A burst that ended longer ago is no longer under way.
const UNDER_WAY: i64 = 86_400;
const GUESSING: &str = "sshd:guessing";
/// As many sources and names are named in one finding.
const NAMED: usize = 5;
/// As many sources of accepted logins are findings of their own.
const SOURCES: usize = 50;
/// A name in a log may be as long as a line.
const NAME: usize = 64;

/// The check.
pub static CHECK: Check = Check {
    id: "platform.login-anomaly",
    title: Text {
        en: "Nobody guesses passwords or comes from nowhere", zh: "没有暴力破解，也没有来源异常的登录"
    },
    rationale: Text {
        en: "Many refused logins from one source are somebody who guesses; an accepted one from the same source says that they may have \
             succeeded. A login from a source that never came before may be a stolen password or key. What is told rests on the logs of \
             the last 30 days, and on a list of the sources that were seen, which a first scan begins.",
        zh: "同一来源的大量失败登录意味着有人在猜测口令；随后同一来源登录成功，则可能已被猜中。从未出现过的来源登录成功，可能是口令或密钥被盗。\
             判断依据为最近 30 天的日志，以及首次扫描时建立的已知来源列表。",
    },
    severity: Severity::High,
    profiles: &[Profile::Enhanced],
    scope: Scope::Live,
    references: &[Reference {
        source: "Alibaba Cloud Security Center",
        item: "unusual logins: brute force, and logins from unusual places",
    }],
    reads: &["recent logins", "known sources", "access matrix"],
    fix: None,
    remedy: Text {
        en: "Look at what was done after a login that is named (`last`, `journalctl _COMM=sshd`), change that account's password and keys \
             where it was not you, and treat the host as broken into. Close password logins, and limit port 22 in the security group.",
        zh: "核查所列登录之后的操作（`last`、`journalctl _COMM=sshd`）；若非本人操作，请更换该账号的口令和密钥，并按入侵处理。关闭口令登录，并在安全组中限制 22 端口的来源。",
    },
    messages: &[
        Message {
            id: "guessing",
            text: Text {
                en: "passwords are guessed, and one could open this host: {attempts} refused logins in bursts from {count} sources within a day: {sources}",
                zh: "有人正在猜测口令，且本机允许口令登录：一天内来自 {count} 个来源的突发失败登录共 {attempts} 次：{sources}",
            },
        },
        Message {
            id: "guessing-in-vain",
            text: Text {
                en: "logins are guessed, and no password opens this host: {attempts} refused logins in bursts from {count} sources within a day: {sources}",
                zh: "有人正在尝试登录，但本机不允许口令登录：一天内来自 {count} 个来源的突发失败登录共 {attempts} 次：{sources}",
            },
        },
        Message {
            id: "guessed",
            text: Text {
                en: "{source} logged in as {users} by {methods} after {attempts} of its logins were refused in a burst",
                zh: "{source} 在一阵突发的 {attempts} 次登录失败后，以 {methods} 方式登录成功，账号为 {users}",
            },
        },
        Message {
            id: "new-source",
            text: Text {
                en: "{source} logged in as {users} by {methods}, and was never seen before",
                zh: "从未出现过的来源 {source} 以 {methods} 方式登录成功，账号为 {users}",
            },
        },
        Message {
            id: "more",
            text: Text {
                en: "{count} more sources logged in that are new, or guessed before",
                zh: "另有 {count} 个来源为首次出现或在登录成功前有过猜测行为",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    let logins = match &input.seen.logins {
        Fact::Known(logins) => logins,
        Fact::Absent => {
            tally.doubt("logins", Why::Failed("no journal, log or login record was found".to_owned()));
            return tally.verdict();
        }
        Fact::Unknown(why) => {
            tally.doubt("logins", why.clone());
            return tally.verdict();
        }
    };
    unread(logins, &mut tally);
    let limits = &input.policy.limits;
    let found: BTreeMap<IpAddr, Vec<Burst>> = logins
        .refused
        .sources
        .iter()
        .map(|(source, minutes)| (*source, bursts(minutes, limits.login_failure_seconds, limits.login_failures)))
        .filter(|(_, bursts)| !bursts.is_empty())
        .collect();
    under_way(&found, input, &mut tally);
    accepted(logins, &found, input, &mut tally);
    tally.verdict()
}

/// Records, which tell when and from where, but not how.
const RECORDS: [&str; 4] = ["wtmp", "btmp", "lastlog", "lastlog2"];

/// The record that a path is of, rotated or not: `wtmp` of `/var/log/wtmp-20260101`.
fn record(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    let word = name.split(['.', '-']).next()?;
    RECORDS.contains(&word).then_some(word)
}

/// What tells how people log in and could not be read. Where there is no such log, the records have to do.
fn unread(logins: &Logins, tally: &mut Tally) {
    for (name, result) in logins.sources.iter().filter(|(name, _)| record(name).is_none()) {
        if let Err(why) = result {
            tally.doubt(format!("log:{name}"), Why::Failed(why.clone()));
        }
    }
    let read = |wanted: &str| {
        let mut of_it = logins.sources.iter().filter(|(name, _)| record(name) == Some(wanted)).peekable();
        of_it.peek().is_some() && of_it.all(|(_, result)| result.is_ok())
    };
    if logins.sources.iter().all(|(name, _)| record(name).is_some()) && !(read("wtmp") && read("btmp")) {
        let why = "there is neither a journal nor a log of sshd's, and wtmp and btmp do not tell either";
        tally.doubt("logins", Why::Failed(why.to_owned()));
    }
    if let Fact::Unknown(why) = &logins.known_sources.first {
        tally.doubt("sources", why.clone());
    }
}

/// One finding, however many there are: whoever guesses would else choose how much is told.
fn under_way(found: &BTreeMap<IpAddr, Vec<Burst>>, input: &Input<'_>, tally: &mut Tally) {
    let recent = |bursts: &[Burst]| -> u32 {
        let recent = bursts.iter().filter(|burst| burst.last >= input.seen.now - UNDER_WAY);
        recent.fold(0, |sum, burst| sum.saturating_add(burst.attempts))
    };
    let mut sources: Vec<(u32, IpAddr)> = found.iter().map(|(source, bursts)| (recent(bursts), *source)).collect();
    sources.retain(|(attempts, _)| *attempts > 0);
    if sources.is_empty() {
        return;
    }
    sources.sort_by_key(|(attempts, source)| (std::cmp::Reverse(*attempts), *source));
    let open = input.access.daemons.iter().flat_map(|daemon| &daemon.accounts).any(|account| {
        account.sources.iter().any(|source| {
            source.ways.iter().any(|way| way.password_only())
                || source.doubts.iter().any(|doubt| doubt.method.is_none())
        })
    });
    let (severity, message) = if open { (Severity::High, "guessing") } else { (Severity::Low, "guessing-in-vain") };
    let attempts: i64 = sources.iter().map(|(attempts, _)| i64::from(*attempts)).sum();
    let named = sources.iter().take(NAMED).map(|(attempts, source)| format!("{source} ({attempts})")).collect();
    let count = i64::try_from(sources.len()).unwrap_or(i64::MAX);
    let finding = Finding::new(severity, GUESSING, message).with_number("attempts", attempts);
    tally.fail(finding.with_number("count", count).with_list("sources", named));
}

/// Sources that got in: after a burst of theirs, or for the first time.
fn accepted(logins: &Logins, found: &BTreeMap<IpAddr, Vec<Burst>>, input: &Input<'_>, tally: &mut Tally) {
    let mut sources: BTreeMap<IpAddr, Vec<&Login>> = BTreeMap::new();
    for login in &logins.accepted {
        if let Some(source) = login.source.filter(|_| says_how(login, logins)) {
            sources.entry(source).or_default().push(login);
        }
    }
    let mut strange: Vec<Finding> = sources
        .into_iter()
        .filter_map(|(source, logins_of)| {
            let bursts = found.get(&source).map_or(&[][..], Vec::as_slice);
            guessed(source, &logins_of, bursts).or_else(|| new_source(source, &logins_of, logins, input))
        })
        .collect();
    strange.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let more = strange.len().saturating_sub(SOURCES);
    strange.into_iter().take(SOURCES).for_each(|finding| tally.fail(finding));
    if more > 0 {
        let count = i64::try_from(more).unwrap_or(i64::MAX);
        tally.fail(Finding::new(Severity::High, "source:more", "more").with_number("count", count));
    }
}

/// wtmp says that somebody came, and a log how: then the log counts.
fn says_how(login: &Login, logins: &Logins) -> bool {
    let same = |other: &&Login| other.user == login.user && other.source == login.source && !other.method.is_empty();
    !login.method.is_empty() || !logins.accepted.iter().any(|other| same(&other))
}

fn by_password(login: &Login) -> bool {
    login.method.is_empty() || login.method.starts_with("password") || login.method.starts_with("keyboard-interactive")
}

fn guessed(source: IpAddr, logins: &[&Login], bursts: &[Burst]) -> Option<Finding> {
    let after = |login: &&&Login| bursts.iter().any(|burst| login.at >= burst.first);
    let (after, attempts): (Vec<&Login>, u32) = (
        logins.iter().filter(after).copied().collect(),
        bursts.iter().fold(0, |sum, burst| sum.saturating_add(burst.attempts)),
    );
    if after.is_empty() {
        return None;
    }
    // A key is not guessed: somebody else behind the same address was, or the owner tried passwords first.
    let severity = if after.iter().any(|login| by_password(login)) { Severity::Critical } else { Severity::Medium };
    Some(about(severity, source, "guessed", &after).with_number("attempts", attempts))
}

fn new_source(source: IpAddr, logins: &[&Login], all: &Logins, input: &Input<'_>) -> Option<Finding> {
    let first = *all.known_sources.first.known()?.get(&network_of(source))?;
    let days = input.policy.limits.new_source_days;
    let expected = input.policy.admin_sources.iter().filter_map(|text| Prefix::parse(text));
    let is_new = first > all.known_sources.began
        && input.seen.now - first < days.saturating_mul(86_400)
        && classify(source) != SourceClass::Loopback
        && !expected.into_iter().any(|network| network.contains(source));
    let severity = if logins.iter().any(|login| by_password(login)) { Severity::High } else { Severity::Medium };
    is_new.then(|| about(severity, source, "new-source", logins))
}

fn about(severity: Severity, source: IpAddr, message: &'static str, logins: &[&Login]) -> Finding {
    let list = |text: fn(&Login) -> &str| {
        let mut list: Vec<String> = logins.iter().map(|login| text(login).chars().take(NAME).collect()).collect();
        list.sort();
        list.dedup();
        list.truncate(NAMED);
        list
    };
    let mut finding = Finding::new(severity, format!("source:{source}"), message)
        .with("source", source.to_string())
        .with_list("users", list(|login| &login.user))
        .with_list("methods", list(|login| if login.method.is_empty() { "?" } else { &login.method }));
    if let Some(last) = logins.iter().max_by_key(|login| login.at) {
        finding = finding.seen(teller(last), None, time(last.at));
    }
    finding.reproduce(format!("journalctl _COMM=sshd _COMM=sshd-session | grep -F {source}"))
}

fn teller(login: &Login) -> &'static str {
    match login.told_by {
        Teller::Journal => "(journal)",
        Teller::Log => "(log)",
        Teller::Wtmp => "(wtmp)",
        Teller::Lastlog => "(lastlog)",
        Teller::Btmp => "(btmp)",
    }
}

/// `@1780000000`, as `date -d` and `journalctl --since` take it.
fn time(at: UnixSeconds) -> String {
    format!("@{at}")
}

#[cfg(test)]
mod tests;
