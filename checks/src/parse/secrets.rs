//! Finds secrets in text that people write for machines: AccessKeys, private keys, passwords in scripts and cloud-config.
//!
//! Nothing that is found leaves this module but its kind, its line and a shown form in which the secret is masked.

use super::access_key::{self, Holds};
use super::yaml::{self, Node};

mod shell;

/// A secret's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A long-lived AccessKey id (`LTAI…`); its secret usually stands beside it.
    AccessKey,
    /// A private key in PEM or OpenSSH form.
    PrivateKey,
    /// A password or another shared secret in clear.
    Password,
    /// A password hash: can be guessed at leisure.
    PasswordHash,
}

impl Kind {
    /// The word for it in subjects.
    pub fn word(self) -> &'static str {
        match self {
            Self::AccessKey => "access-key",
            Self::PrivateKey => "private-key",
            Self::Password => "password",
            Self::PasswordHash => "password-hash",
        }
    }
}

/// A secret that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// What it is.
    pub kind: Kind,
    /// The line, from 1.
    pub line: u32,
    /// What stands there with the secret masked, e.g. `root:****`.
    pub shown: String,
}

/// As many as one text is searched for.
const MAX_SECRETS: usize = 200;
/// What stands for a secret.
const MASK: &str = "****";

/// The secrets of a text, by line. cloud-config is read as YAML, everything else line by line.
pub fn secrets(text: &[u8]) -> Vec<Secret> {
    let mut found = Vec::new();
    if let Some(node) = cloud_config(text) {
        settings(&node, &mut found);
    }
    access_keys(text, &mut found);
    let told: Vec<(u32, Kind)> = found.iter().map(|secret| (secret.line, secret.kind)).collect();
    for (number, line) in (1..).zip(text.split(|b| *b == b'\n')) {
        if found.len() >= MAX_SECRETS {
            break;
        }
        // Bytes that are no UTF-8 end words and are no part of a secret that is looked for.
        let line = String::from_utf8_lossy(line);
        if is_private_key(&line) {
            found.push(Secret { kind: Kind::PrivateKey, line: number, shown: format!("-----BEGIN {MASK}") });
        }
        let before = found.len();
        shell::passwords(&line, number, &mut found);
        // What was told by its place in the cloud-config is not told again by its words.
        let mut seen = found.split_off(before);
        seen.retain(|secret| !told.contains(&(secret.line, secret.kind)));
        found.append(&mut seen);
    }
    found.sort_by(|a, b| (a.line, a.kind, &a.shown).cmp(&(b.line, b.kind, &b.shown)));
    // One secret found by two rules is one secret.
    found.dedup_by(|later, earlier| {
        later.line == earlier.line && later.kind == earlier.kind && later.shown == earlier.shown
    });
    found
}

/// The ids of long-lived AccessKeys. A signed request gives none away, and temporary credentials have ended by the time.
fn access_keys(text: &[u8], found: &mut Vec<Secret>) {
    for key in access_key::access_keys(text).0.into_iter().filter(|key| key.holds >= Holds::Id) {
        let shown = key.shown;
        found.extend(key.lines.into_iter().map(|line| Secret { kind: Kind::AccessKey, line, shown: shown.clone() }));
    }
}

fn is_private_key(line: &str) -> bool {
    line.split_once("-----BEGIN ").is_some_and(|(_, rest)| {
        rest.split_once("-----")
            .is_some_and(|(label, _)| label.ends_with("PRIVATE KEY") || label.ends_with("PRIVATE KEY BLOCK"))
    })
}

fn cloud_config(text: &[u8]) -> Option<Node> {
    let first = text.split(|b| *b == b'\n').next()?.trim_ascii();
    if first != b"#cloud-config" && !first.starts_with(b"#cloud-config ") {
        return None;
    }
    yaml::parse(text).0
}

/// `password`, `chpasswd` and the password keys of `users` and `user`.
fn settings(node: &Node, found: &mut Vec<Secret>) {
    for (key, value) in node.entries() {
        match key.as_str() {
            "password" => password(key, value, found),
            "chpasswd" => {
                for (key, inner) in value.entries() {
                    match key.as_str() {
                        "list" => pairs(inner, found),
                        "users" => people(inner, found),
                        _ => {}
                    }
                }
            }
            "users" => people(value, found),
            "user" => person(value, found),
            _ => {}
        }
    }
}

fn people(list: &Node, found: &mut Vec<Secret>) {
    for item in list.items() {
        person(item, found);
    }
    for (_, item) in list.entries() {
        person(item, found);
    }
}

fn person(item: &Node, found: &mut Vec<Secret>) {
    let name = shell::name(item.get("name").and_then(Node::text).unwrap_or("user"));
    for key in ["password", "plain_text_passwd", "passwd", "hashed_passwd"] {
        if let Some(value) = item.get(key) {
            password(&format!("{name} {key}"), value, found);
        }
    }
}

fn password(what: &str, value: &Node, found: &mut Vec<Secret>) {
    if let Some(text) = value.text().filter(|text| shell::is_secret(text)) {
        found.push(Secret { kind: shell::kind(text), line: value.line, shown: format!("{what}: {MASK}") });
    }
}

/// `name:password` lines of one string or a list of strings.
fn pairs(list: &Node, found: &mut Vec<Secret>) {
    let texts = list.text().map(|text| (list.line, text)).into_iter();
    for (line, text) in texts.chain(list.items().iter().filter_map(|item| item.text().map(|text| (item.line, text)))) {
        // A block scalar begins on the line after its mark, its node on the line of the mark or of the text.
        for pair in text.lines() {
            if let Some((name, secret)) = pair.split_once(':').filter(|(_, secret)| shell::is_secret(secret)) {
                found.push(Secret { kind: shell::kind(secret), line, shown: format!("{}:{MASK}", shell::name(name)) });
            }
        }
    }
}

#[cfg(test)]
mod tests;
