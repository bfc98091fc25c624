//! sudo's decision, worked out for every outcome that what is not known allows (`parse.c`, `match.c`, `defaults.c`).

use std::cell::RefCell;
use std::net::IpAddr;
use std::path::Path;

use super::command::{Run, SHELLS};
use super::odds::{Odds, list};
use super::time::moment;
use super::{Asks, Sudo, SudoRight};
use crate::check::path_text;
use crate::fact::{Fact, Why};
use crate::host::accounts::{Accounts, User};
use crate::parse::sudoers::{Entry, Family, Grant, Kind, Member, Rule, Scope, Setting};
use crate::snapshot::glob_match;

/// The right of an account. Any command first, then the programs that give a shell.
pub(super) fn right(sudo: &Sudo, accounts: &Accounts, user: &User) -> Fact<SudoRight> {
    let ask = Ask { sudo, accounts, user, within: RefCell::default() };
    let rules = ask.rules();
    std::iter::once(Run::Anything)
        .chain(SHELLS)
        .map(|run| ask.decide(&rules, run))
        .find(|right| !matches!(right, Fact::Absent))
        .unwrap_or(Fact::Absent)
}

/// Rules whose users are `ALL` and that allow any command as root, whatever a later rule takes back.
pub fn everyone(sudo: &Sudo) -> Vec<SudoRight> {
    let mut rights = Vec::new();
    for (file, statement) in &sudo.rules {
        let Kind::Rule(rule) = &statement.kind else { continue };
        let all = |entries: &[Entry]| entries.last().is_some_and(|entry| !entry.negated && entry.member == Member::All);
        if !rule.users.iter().any(|entry| !entry.negated && entry.member == Member::All) {
            continue;
        }
        for grant in rule.parts.iter().flat_map(|(_, grants)| grants) {
            let as_root =
                grant.runas_users.as_ref().map_or(!grant.runas_groups, |users| all(users) || names_root(users));
            if as_root && all(std::slice::from_ref(&grant.command)) {
                let asks = asks(sudo, grant, |_, _| Odds::MAYBE);
                rights.push(found(file, statement.line, rule, Run::Anything, asks.unwrap_or(Asks::OwnPassword)));
            }
        }
    }
    rights
}

fn names_root(entries: &[Entry]) -> bool {
    let root = |member: &Member| matches!(member, Member::Word(word) if word == b"root" || word == b"#0");
    entries.iter().any(|entry| !entry.negated && root(&entry.member))
}

fn found(file: &Path, line: u32, rule: &Rule, run: Run, asks: Asks) -> SudoRight {
    SudoRight {
        any_command: run == Run::Anything,
        command: run.text(),
        asks,
        file: file.to_path_buf(),
        line,
        who: rule.who.clone(),
        for_everyone: rule.users.iter().any(|entry| !entry.negated && entry.member == Member::All),
    }
}

/// Which list of a `Defaults` line is asked about.
#[derive(Clone, Copy)]
enum Bound {
    Host,
    User,
    Runas,
    Command,
}

/// What sudo asks for. None: it cannot be told.
fn asks(sudo: &Sudo, grant: &Grant, matches: impl Fn(Bound, &[Entry]) -> Odds) -> Option<Asks> {
    let (mut authenticate, mut sure) = (true, true);
    let (mut rootpw, mut runaspw, mut targetpw) = (false, false, false);
    for pass in 0..5 {
        for (scope, setting) in settings(sudo) {
            let odds = match (pass, scope) {
                (0, Scope::All) => Odds::YES,
                (1, Scope::Hosts(entries)) => matches(Bound::Host, entries),
                (2, Scope::Users(entries)) => matches(Bound::User, entries),
                (3, Scope::Runas(entries)) => matches(Bound::Runas, entries),
                (4, Scope::Commands(entries)) => matches(Bound::Command, entries),
                _ => continue,
            };
            if !odds.allow {
                continue;
            }
            let flag = match setting.name.as_slice() {
                b"authenticate" => &mut authenticate,
                b"rootpw" => &mut rootpw,
                b"runaspw" => &mut runaspw,
                b"targetpw" => &mut targetpw,
                // Members of that group are not asked.
                b"exempt_group" if setting.on => {
                    sure = false;
                    continue;
                }
                _ => continue,
            };
            sure &= odds.certain();
            *flag = setting.on;
        }
    }
    if let Some(nopasswd) = grant.nopasswd {
        (authenticate, sure) = (!nopasswd, sure || nopasswd);
    }
    let asks = match (authenticate, rootpw || runaspw || targetpw) {
        (false, _) => Asks::Nothing,
        (true, false) => Asks::OwnPassword,
        (true, true) => Asks::OtherPassword,
    };
    sure.then_some(asks)
}

fn settings(sudo: &Sudo) -> impl Iterator<Item = (&Scope, &Setting)> {
    sudo.defaults.iter().filter_map(|at| sudo.rules.get(*at)).flat_map(|(_, statement)| {
        let (scope, settings) = match &statement.kind {
            Kind::Defaults { scope, settings } => (scope, settings.as_slice()),
            _ => (&Scope::All, &[][..]),
        };
        settings.iter().map(move |setting| (scope, setting))
    })
}

/// A rule for an account.
struct Applicable<'a> {
    file: &'a Path,
    line: u32,
    rule: &'a Rule,
    /// Whether it is for this account.
    who: Odds,
}

/// One account's question.
struct Ask<'a> {
    sudo: &'a Sudo,
    accounts: &'a Accounts,
    user: &'a User,
    /// Aliases that are being looked into: an alias within itself is no alias (`alias.c`).
    within: RefCell<Vec<Vec<u8>>>,
}

impl Ask<'_> {
    /// The rules whose users may be this one, from the last to the first.
    fn rules(&self) -> Vec<Applicable<'_>> {
        let rules = self.sudo.rules.iter().rev().filter_map(|(file, statement)| {
            let Kind::Rule(rule) = &statement.kind else { return None };
            let who = self.users(&rule.users);
            who.allow.then_some(Applicable { file, line: statement.line, rule, who })
        });
        rules.collect()
    }

    /// The first rule that certainly applies ends it. What may apply on the way is kept.
    fn decide(&self, rules: &[Applicable<'_>], run: Run) -> Fact<SudoRight> {
        let mut outcomes: Vec<Option<(SudoRight, bool)>> = Vec::new();
        let mut ended = false;
        'rules: for &Applicable { file, line, rule, who } in rules {
            for (hosts, grants) in rule.parts.iter().rev() {
                let here = self.hosts(hosts);
                for grant in grants.iter().rev().filter(|_| here.allow) {
                    let (now, target) = (self.in_time(grant), self.runas(grant));
                    if !now.allow || !target.allow {
                        continue;
                    }
                    let command = self.commands(std::slice::from_ref(&grant.command), run);
                    if command.allow {
                        let asks = asks(self.sudo, grant, |bound, entries| self.bound(bound, entries, run));
                        let right = found(file, line, rule, run, asks.unwrap_or(Asks::OwnPassword));
                        outcomes.push(Some((right, asks.is_some())));
                    }
                    if command.deny {
                        outcomes.push(None);
                    }
                    if !command.skip && [who, here, now, target].into_iter().all(Odds::certain) {
                        ended = true;
                        break 'rules;
                    }
                }
            }
        }
        if !ended {
            outcomes.push(None);
        }
        let uncertain = |right: &SudoRight| {
            Why::Failed(format!(
                "whether the rule at {}:{} holds cannot be told here",
                path_text(&right.file),
                right.line
            ))
        };
        let Some(Some((right, _))) = outcomes.iter().find(|outcome| outcome.is_some()) else { return Fact::Absent };
        let agreed =
            outcomes.iter().all(|outcome| outcome.as_ref().is_some_and(|(r, sure)| *sure && r.asks == right.asks));
        if agreed { Fact::Known(right.clone()) } else { Fact::Unknown(uncertain(right)) }
    }

    fn bound(&self, bound: Bound, entries: &[Entry], run: Run) -> Odds {
        match bound {
            Bound::Host => self.hosts(entries),
            Bound::User => self.users(entries),
            Bound::Runas => list(entries, |member| self.target(member)),
            Bound::Command => self.commands(entries, run),
        }
    }

    fn in_time(&self, grant: &Grant) -> Odds {
        let side = |text: &Option<Vec<u8>>, holds: fn(i64, i64) -> bool| match text.as_deref().map(moment) {
            None => Odds::YES,
            Some(None) => Odds::MAYBE,
            Some(Some(moment)) => Odds::of(holds(self.sudo.now, moment)),
        };
        match (side(&grant.not_before, |now, t| now >= t), side(&grant.not_after, |now, t| now <= t)) {
            (Odds::NO, _) | (_, Odds::NO) => Odds::NO,
            (Odds::YES, Odds::YES) => Odds::YES,
            _ => Odds::MAYBE,
        }
    }

    /// An alias looked into, or None where the word is none.
    fn alias(&self, family: Family, name: &[u8], look: impl Fn(&[Entry]) -> Odds) -> Option<Odds> {
        if self.within.borrow().iter().any(|outer| outer == name) {
            return None;
        }
        let members = self.sudo.rules.iter().find_map(|(_, statement)| match &statement.kind {
            Kind::Alias { family: kind, name: known, members } if *kind == family && known == name => Some(members),
            _ => None,
        })?;
        self.within.borrow_mut().push(name.to_vec());
        let odds = look(members);
        self.within.borrow_mut().pop();
        Some(odds)
    }

    fn users(&self, entries: &[Entry]) -> Odds {
        list(entries, |member| match member {
            Member::Alias(name) => self
                .alias(Family::User, name, |members| self.users(members))
                .unwrap_or_else(|| self.named(name, self.user)),
            member => self.user_member(member, self.user),
        })
    }

    /// A member that is no alias, against an account.
    fn user_member(&self, member: &Member, user: &User) -> Odds {
        match member {
            Member::All => Odds::YES,
            Member::Word(name) | Member::Alias(name) => self.named(name, user),
            Member::Group(group) => self.in_group(group, user),
            Member::Netgroup(_) => Odds::MAYBE,
            Member::Network(_) | Member::Command(_) => Odds::NO,
        }
    }

    fn named(&self, name: &[u8], user: &User) -> Odds {
        let own = user.name().bytes();
        let folded = own.eq_ignore_ascii_case(name) && self.flag(b"case_insensitive_user");
        Odds::of(id(name) == Some(user.entry.uid) || own == name || folded)
    }

    fn in_group(&self, group: &[u8], user: &User) -> Odds {
        let plugin = settings(self.sudo).any(|(_, setting)| setting.name == b"group_plugin");
        let folded = self.flag(b"case_insensitive_group");
        let names = match self.accounts.groups_of(user) {
            Fact::Known(names) => names,
            Fact::Absent | Fact::Unknown(_) => return Odds::MAYBE,
        };
        let by_id = id(group).is_some_and(|gid| self.accounts.gids_of(user).contains(&gid));
        let by_name = names.iter().any(|n| n.bytes() == group || (folded && n.bytes().eq_ignore_ascii_case(group)));
        let elsewhere = ["group", "initgroups"].iter().any(|database| self.accounts.elsewhere_of(database).is_some());
        match by_id || by_name {
            true => Odds::YES,
            false if plugin || elsewhere => Odds::MAYBE,
            false => Odds::NO,
        }
    }

    fn flag(&self, name: &[u8]) -> bool {
        let last = settings(self.sudo).filter(|(scope, s)| **scope == Scope::All && s.name == name).last();
        last.is_some_and(|(_, setting)| setting.on)
    }

    /// Whether a grant runs commands as root.
    fn runas(&self, grant: &Grant) -> Odds {
        match &grant.runas_users {
            Some(users) => list(users, |member| self.target(member)),
            None if grant.runas_groups => Odds::NO,
            None => {
                let default = settings(self.sudo).filter(|(_, s)| s.name == b"runas_default").last();
                let name = default.and_then(|(_, setting)| setting.value.as_deref()).unwrap_or(b"root");
                self.target(&Member::Word(name.to_vec()))
            }
        }
    }

    /// A target user against root, under whatever name uid 0 has.
    fn target(&self, member: &Member) -> Odds {
        let Some(root) = self.accounts.by_uid(0) else {
            return match member {
                Member::All => Odds::YES,
                Member::Word(name) => Odds::of(name == b"root" || name == b"#0"),
                _ => Odds::MAYBE,
            };
        };
        match member {
            Member::Alias(name) => self
                .alias(Family::Runas, name, |members| list(members, |member| self.target(member)))
                .unwrap_or_else(|| self.named(name, root)),
            member => self.user_member(member, root),
        }
    }

    fn hosts(&self, entries: &[Entry]) -> Odds {
        list(entries, |member| match member {
            Member::All => Odds::YES,
            Member::Alias(name) => {
                self.alias(Family::Host, name, |members| self.hosts(members)).unwrap_or_else(|| self.host(name))
            }
            Member::Word(name) => self.host(name),
            Member::Network(network) => self.network(network),
            Member::Netgroup(_) => Odds::MAYBE,
            Member::Group(_) | Member::Command(_) => Odds::NO,
        })
    }

    /// A pattern with a dot is compared with the long name, which DNS may lengthen; one without with the short name.
    fn host(&self, pattern: &[u8]) -> Odds {
        let Some(own) = &self.sudo.hostname else { return Odds::MAYBE };
        let own = own.to_ascii_lowercase();
        let long = pattern.contains(&b'.');
        let name = if long { own.as_str() } else { own.split('.').next().unwrap_or_default() };
        match glob_match(&pattern.to_ascii_lowercase(), name.as_bytes()) {
            false if long && self.flag(b"fqdn") => Odds::MAYBE,
            matches => Odds::of(matches),
        }
    }

    /// An address of an interface, or a network that holds one. An address that is none of ours may still name an interface's network.
    fn network(&self, text: &[u8]) -> Odds {
        let (Some(own), Ok(text)) = (&self.sudo.addresses, std::str::from_utf8(text)) else { return Odds::MAYBE };
        let (address, mask) = text.split_once('/').map_or((text, None), |(address, mask)| (address, Some(mask)));
        let Ok(address) = address.parse::<IpAddr>() else { return Odds::MAYBE };
        match mask.map(|mask| prefix(mask, address)) {
            None if own.contains(&address) => Odds::YES,
            None | Some(None) => Odds::MAYBE,
            Some(Some(bits)) => Odds::of(own.iter().any(|one| same_network(*one, address, bits))),
        }
    }

    fn commands(&self, entries: &[Entry], run: Run) -> Odds {
        list(entries, |member| match member {
            Member::All => Odds::YES,
            Member::Alias(name) => {
                self.alias(Family::Command, name, |members| self.commands(members, run)).unwrap_or(Odds::NO)
            }
            Member::Command(command) => run.covered_by(command),
            Member::Word(_) | Member::Group(_) | Member::Netgroup(_) | Member::Network(_) => Odds::NO,
        })
    }
}

/// `#` and a number.
fn id(name: &[u8]) -> Option<u32> {
    std::str::from_utf8(name.strip_prefix(b"#")?).ok()?.parse().ok()
}

/// A mask as a number of bits: itself, or a dotted mask of leading ones.
fn prefix(mask: &str, address: IpAddr) -> Option<u32> {
    if let Ok(bits) = mask.parse::<u32>() {
        return Some(bits.min(if address.is_ipv4() { 32 } else { 128 }));
    }
    match mask.parse::<IpAddr>().ok()? {
        IpAddr::V4(mask) => {
            let bits = mask.to_bits();
            (bits.leading_ones() + bits.trailing_zeros() >= 32).then(|| bits.leading_ones())
        }
        IpAddr::V6(mask) => Some(mask.to_bits().leading_ones()),
    }
}

fn same_network(one: IpAddr, other: IpAddr, bits: u32) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
            one.to_bits() & mask == other.to_bits() & mask
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
            one.to_bits() & mask == other.to_bits() & mask
        }
        _ => false,
    }
}
