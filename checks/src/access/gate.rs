//! Whether sshd lets the account try at all: `auth.c:allowed_user`, in its order.

use std::net::IpAddr;

use super::Decision;
use super::rules::Rules;
use crate::fact::{Fact, Why};
use crate::host::accounts::User;
use crate::parse::authorized_keys::SourceList;
use crate::snapshot::{Kind, Meta};
use crate::sshd::{Origin, Value};

/// Seconds of a day, as shadow counts them.
pub(crate) const DAY: i64 = 86_400;

/// Who comes, from where, when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visitor<'a> {
    pub(crate) user: &'a User,
    /// Names of all its groups; Unknown where they could not be read.
    pub(crate) groups: &'a Fact<Vec<String>>,
    /// The client's address.
    pub(crate) address: IpAddr,
    /// The client's host name as sshd takes it: with UseDNS no the address as text. None: with UseDNS yes, not known.
    pub(crate) host: Option<&'a str>,
    /// Day number of now.
    pub(crate) today: i64,
}

/// The gate's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gate {
    /// Why the account is shut out, where it is.
    pub(crate) shut: Option<String>,
    /// The settings that decided.
    pub(crate) decided: Vec<Decision>,
    /// What the answer rests on and is not known.
    pub(crate) doubts: Vec<Why>,
}

impl Gate {
    fn shut(&mut self, why: impl Into<String>) {
        self.shut.get_or_insert_with(|| why.into());
    }
}

/// Walks through the rules of `allowed_user`. `shell` is what stands at the shell's path.
pub(crate) fn gate(rules: &Rules<'_>, visitor: &Visitor<'_>, shell: &Fact<Meta>) -> Gate {
    let mut gate = Gate::default();
    if rules.refuse_connection {
        gate.decided.extend(decision(rules, "RefuseConnection", "refuseconnection"));
        gate.shut("RefuseConnection ends every connection");
        return gate;
    }
    if !rules.pam {
        without_pam(rules, visitor, &mut gate);
    }
    if rules.chroot.is_none() && gate.shut.is_none() {
        shell_stands(visitor.user, shell, &mut gate);
    }
    if gate.shut.is_none() {
        lists(rules, visitor, &mut gate);
    }
    gate
}

/// Locks and expiry that sshd itself looks at where PAM does not.
fn without_pam(rules: &Rules<'_>, visitor: &Visitor<'_>, gate: &mut Gate) {
    match &visitor.user.shadow {
        Fact::Known(shadow) => {
            if shadow.expire.is_some_and(|day| day < visitor.today) {
                gate.decided.extend(decision(rules, "UsePAM", "usepam"));
                gate.shut("the account has expired");
            }
            if shadow.password.is_bang_locked() {
                gate.decided.extend(decision(rules, "UsePAM", "usepam"));
                gate.shut("the account is locked (! in shadow) and UsePAM is no");
            }
        }
        Fact::Absent if visitor.user.entry.password.is_bang_locked() => {
            gate.decided.extend(decision(rules, "UsePAM", "usepam"));
            gate.shut("the account is locked (! in passwd) and UsePAM is no");
        }
        Fact::Absent => {}
        Fact::Unknown(why) => gate.doubts.push(Why::Failed(format!("/etc/shadow: {why}"))),
    }
}

fn shell_stands(user: &User, shell: &Fact<Meta>, gate: &mut Gate) {
    let name = crate::check::path_text(user.shell());
    match shell {
        Fact::Known(meta) if meta.kind != Kind::File => gate.shut(format!("the shell {name} is no regular file")),
        Fact::Known(meta) if meta.mode & 0o111 == 0 => gate.shut(format!("the shell {name} is not executable")),
        Fact::Known(_) => {}
        Fact::Absent => gate.shut(format!("the shell {name} does not exist")),
        Fact::Unknown(why) => gate.doubts.push(Why::Failed(format!("{name}: {why}"))),
    }
}

/// DenyUsers, AllowUsers, DenyGroups, AllowGroups.
fn lists(rules: &Rules<'_>, visitor: &Visitor<'_>, gate: &mut Gate) {
    const USERS: [(&str, &str, bool); 2] = [("DenyUsers", "denyusers", false), ("AllowUsers", "allowusers", true)];
    const GROUPS: [(&str, &str, bool); 2] = [("DenyGroups", "denygroups", false), ("AllowGroups", "allowgroups", true)];
    let name = visitor.user.name().text();
    for (keyword, key, allow) in USERS {
        let values = values(rules, key);
        if values.is_empty() {
            continue;
        }
        let hit = first_hit(values, |pattern| user_matches(pattern, &name, visitor), gate);
        if judge(keyword, key, allow, hit, rules, gate) {
            return;
        }
    }
    for (keyword, key, allow) in GROUPS {
        let values = values(rules, key);
        if values.is_empty() {
            continue;
        }
        let groups = match visitor.groups {
            Fact::Known(groups) => groups.as_slice(),
            Fact::Absent => &[],
            Fact::Unknown(why) => {
                gate.doubts.push(Why::Failed(format!("groups of the account: {why}")));
                continue;
            }
        };
        let hit = first_hit(values, |pattern| Some(groups.iter().any(|group| matches(pattern, group))), gate);
        if judge(keyword, key, allow, hit, rules, gate) {
            return;
        }
    }
}

fn values<'e>(rules: &Rules<'e>, key: &str) -> &'e [Value] {
    rules.effective.setting(key).map_or(&[], |setting| &setting.values)
}

/// The first value one of whose patterns holds; a pattern that cannot be decided casts doubt.
fn first_hit<'v>(
    values: &'v [Value],
    holds: impl Fn(&str) -> Option<bool>,
    gate: &mut Gate,
) -> Option<(&'v Value, &'v str)> {
    for value in values {
        for word in &value.words {
            match holds(word) {
                Some(true) => return Some((value, word)),
                Some(false) => {}
                None => gate.doubts.push(Why::Failed(format!("{word}: depends on the client's host name"))),
            }
        }
    }
    None
}

/// Notes what a list decides; true when it shuts the account out.
fn judge(
    keyword: &'static str,
    key: &str,
    allow: bool,
    hit: Option<(&Value, &str)>,
    rules: &Rules<'_>,
    gate: &mut Gate,
) -> bool {
    match (allow, hit) {
        (true, Some((value, word))) => {
            gate.decided.push(Decision { keyword, value: word.to_owned(), origin: value.origin.clone() });
            false
        }
        (false, Some((value, word))) => {
            gate.decided.push(Decision { keyword, value: word.to_owned(), origin: value.origin.clone() });
            gate.shut(format!("{keyword} {word}"));
            true
        }
        (true, None) if gate.doubts.is_empty() => {
            gate.decided.extend(decision(rules, keyword, key));
            gate.shut(format!("{keyword} does not name the account"));
            true
        }
        _ => false,
    }
}

/// `match.c:match_user`. None: it depends on a host name that is not known.
fn user_matches(pattern: &str, name: &str, visitor: &Visitor<'_>) -> Option<bool> {
    // Up to 9.x the first `@` parts user and host, later the last one; both are tried.
    let Some((user, host)) = pattern.split_once('@') else { return Some(matches(pattern, name)) };
    let first = matches(user, name).then(|| host_matches(host, visitor));
    let last =
        pattern.rsplit_once('@').filter(|(user, _)| matches(user, name)).map(|(_, host)| host_matches(host, visitor));
    match (first, last) {
        (None, None) => Some(false),
        (Some(first), Some(last)) if first == last => first,
        _ => None,
    }
}

/// `match.c:match_host_and_ip`.
fn host_matches(list: &str, visitor: &Visitor<'_>) -> Option<bool> {
    let sources = SourceList(list.as_bytes().to_vec());
    let text = visitor.address.to_string();
    let by_address = sources.admits(&text, visitor.address);
    match visitor.host {
        Some(host) => Some(sources.admits(host, visitor.address)),
        None if by_address || !names_a_host(list) => Some(by_address),
        None => None,
    }
}

/// Whether a list holds a word that could match a host name.
pub(crate) fn names_a_host(list: &str) -> bool {
    list.split(',').any(|word| {
        let word = word.trim_start_matches('!');
        super::region::Prefix::parse(word).is_none() && !word.bytes().all(|b| b.is_ascii_digit() || b".*?".contains(&b))
    })
}

/// `match.c:match_pattern`: `*` and `?`, case counts.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() || p < pattern.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(byte) if t < text.len() && (*byte == b'?' || text.get(t) == Some(byte)) => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            _ => {}
        }
        match retry {
            Some((after, from)) if from < text.len() => {
                retry = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            _ => return false,
        }
    }
    true
}

/// A setting as a decision; None where this sshd does not know the keyword.
pub(crate) fn decision(rules: &Rules<'_>, keyword: &'static str, key: &str) -> Option<Decision> {
    let setting = rules.effective.setting(key)?;
    let text: Vec<&str> = setting.values.iter().map(|value| value.text.as_str()).collect();
    let origin = setting.values.first().map_or(Origin::Default, |value| value.origin.clone());
    Some(Decision { keyword, value: text.join(" "), origin })
}
