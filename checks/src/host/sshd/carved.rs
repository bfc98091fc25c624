//! What a configuration tells apart: the patterns that its Match lines and user lists name.

use crate::sshd::{Configuration, split_words};

/// Patterns by what they are tested against, each once, in order of appearance, without their `!`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carved {
    /// Address patterns of `Match Address` and of the host parts of AllowUsers and DenyUsers: networks and wildcards.
    pub addresses: Vec<String>,
    /// Host name patterns of `Match Host` and of those host parts.
    pub hosts: Vec<String>,
    /// User patterns.
    pub users: Vec<String>,
    /// Group patterns.
    pub groups: Vec<String>,
    /// Patterns of `Match LocalAddress`.
    pub local_addresses: Vec<String>,
    /// Ports of `Match LocalPort`.
    pub local_ports: Vec<u16>,
}

fn add(list: &mut Vec<String>, patterns: &str) {
    for pattern in patterns.split(',').map(|pattern| pattern.trim_start_matches('!')).filter(|p| !p.is_empty()) {
        if !list.iter().any(|known| known == pattern) {
            list.push(pattern.to_owned());
        }
    }
}

impl Carved {
    /// Collects them.
    pub fn of(configuration: &Configuration) -> Self {
        let mut out = Self::default();
        for (keyword, text) in configuration.criteria() {
            let words = split_words(&configuration.build, &text);
            match keyword.as_str() {
                "match" => out.add_match(&words),
                "allowusers" | "denyusers" => words.iter().for_each(|word| out.add_user(word)),
                _ => words.iter().for_each(|word| add(&mut out.groups, word)),
            }
        }
        out
    }

    fn add_user(&mut self, pattern: &str) {
        let (user, host) = pattern.rsplit_once('@').map_or((pattern, None), |(user, host)| (user, Some(host)));
        add(&mut self.users, user);
        if let Some(host) = host {
            add(&mut self.addresses, host);
            add(&mut self.hosts, host);
        }
    }

    fn add_match(&mut self, words: &[String]) {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (name, inline) = word.split_once('=').map_or((word.as_str(), None), |(name, list)| (name, Some(list)));
            let name = name.to_ascii_lowercase();
            if name == "all" || name == "invalid-user" {
                continue;
            }
            let Some(list) = inline.or_else(|| words.next().map(String::as_str)) else { return };
            match name.as_str() {
                "user" => add(&mut self.users, list),
                "group" => add(&mut self.groups, list),
                "host" => add(&mut self.hosts, list),
                "address" => add(&mut self.addresses, list),
                "localaddress" => add(&mut self.local_addresses, list),
                "localport" => self.local_ports.extend(list.parse::<u16>().ok()),
                _ => {}
            }
        }
    }
}
