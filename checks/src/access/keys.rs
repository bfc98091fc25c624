//! Which keys this sshd takes for an account from a source: `auth2-pubkey.c` and what it calls.

use std::net::IpAddr;
use std::path::Path;

use super::gate::{matches, names_a_host};
use super::grant::KeyTerms;
use super::rules::Rules;
use super::ways::UsableKey;
use crate::check::path_text;
use crate::fact::{Fact, Why};
use crate::host::accounts::User;
use crate::host::keys::{AccountKeys, KeyFile, expand};
use crate::host::login_files::LoginFiles;
use crate::parse::authorized_keys::{KeyLine, Release};
use crate::parse::key_blob::{KeyKind, PublicKey};

/// Who asks, of which sshd.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) user: &'a User,
    pub(crate) keys: Option<&'a AccountKeys>,
    pub(crate) files: &'a LoginFiles,
    pub(crate) address: IpAddr,
    /// The client's host name as sshd takes it; None: not known (UseDNS yes).
    pub(crate) host: Option<&'a str>,
    pub(crate) now: i64,
    pub(crate) release: Release,
}

/// What came of looking through the files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found<'k> {
    pub(crate) keys: Vec<UsableKey<'k>>,
    /// Why files or keys do not count.
    pub(crate) refused: Vec<String>,
    /// What could open the account unseen, or undo what was seen.
    pub(crate) doubts: Vec<Why>,
}

impl Found<'_> {
    fn refuse(&mut self, why: String) {
        if !self.refused.contains(&why) {
            self.refused.push(why);
        }
    }

    fn doubt(&mut self, why: Why) {
        if !self.doubts.contains(&why) {
            self.doubts.push(why);
        }
    }
}

/// Looks through every file that `AuthorizedKeysFile` names, in order.
pub(crate) fn find<'k>(rules: &Rules<'_>, asker: &Asker<'k>) -> Found<'k> {
    let mut found = Found::default();
    let Some(revoked) = Revoked::of(rules, asker.files, &mut found) else { return found };
    for pattern in rules.effective.words("authorizedkeysfile") {
        let Some(path) = expand(pattern, asker.user) else { continue };
        // From 10.0 a word is a shell pattern and may name several files, or none.
        let pattern_of_many = asker.release >= (10, 0) && pattern.contains(['*', '?', '[']);
        let files = asker.keys.map_or(&[][..], |keys| &keys.files);
        let mut files = files.iter().filter(|file| file.pattern == *pattern || file.path == path).peekable();
        if files.peek().is_none() && !pattern_of_many {
            found.doubt(Why::NotAsked("an AuthorizedKeysFile that was not read"));
        }
        files.for_each(|file| look(rules, asker, file, &revoked, &mut found));
    }
    authorities(rules, asker, &mut found);
    let command = rules.effective.text("authorizedkeyscommand");
    if !command.is_empty() && !command.eq_ignore_ascii_case("none") {
        found.doubt(Why::Failed(format!("AuthorizedKeysCommand {command} may hand out keys")));
    }
    found
}

fn look<'k>(rules: &Rules<'_>, asker: &Asker<'k>, file: &'k KeyFile, revoked: &Revoked<'_>, found: &mut Found<'k>) {
    let name = path_text(&file.path);
    let lines = match &file.content {
        Fact::Known(lines) => lines,
        Fact::Absent => return,
        Fact::Unknown(why) => return found.doubt(Why::Failed(format!("{name}: {why}"))),
    };
    if let Fact::Known(Some(at)) = &file.closed {
        return found.refuse(format!("{name}: the account itself cannot open it ({})", path_text(at)));
    }
    let mut certain = !matches!(revoked, Revoked::Unknown);
    if rules.strict_modes {
        match &file.strict {
            Fact::Known(refusals) => {
                if let Some(refusal) = refusals.first() {
                    return found.refuse(format!("StrictModes: {refusal}"));
                }
            }
            Fact::Absent => {}
            Fact::Unknown(why) => {
                certain = false;
                found.doubt(Why::Failed(format!("{name}: {why}")));
            }
        }
    }
    if let Fact::Unknown(why) = &file.closed {
        certain = false;
        found.doubt(Why::Failed(format!("{name}: {why}")));
    }
    for line in &lines.keys {
        let fingerprint = line.key.fingerprint().to_string();
        // The first line of a key that fits decides about its options.
        if found.keys.iter().any(|key| key.fingerprint == fingerprint) {
            continue;
        }
        match fits(rules, asker, line, revoked) {
            Fit::Yes => {
                let options = line.options();
                let terms = KeyTerms { command: options.command.as_deref(), no_forwarding: !options.port_forwarding };
                found.keys.push(UsableKey { fingerprint, terms, certain });
            }
            Fit::No(why) => found.refuse(format!("{name} line {}: {why}", line.line)),
            Fit::Doubt(why) => found.doubt(Why::Failed(format!("{name} line {}: {why}", line.line))),
        }
    }
}

enum Fit {
    Yes,
    No(String),
    Doubt(String),
}

fn fits(rules: &Rules<'_>, asker: &Asker<'_>, line: &KeyLine, revoked: &Revoked<'_>) -> Fit {
    if !line.understood_by(asker.release) {
        return Fit::No(match line.refused {
            Some(refused) => refused.to_string(),
            None => format!("OpenSSH {}.{} does not understand it", asker.release.0, asker.release.1),
        });
    }
    let options = line.options();
    if let Some(from) = &options.from {
        let text = String::from_utf8_lossy(&from.0);
        let by_address = from.admits(&asker.address.to_string(), asker.address);
        match asker.host {
            Some(host) if !from.admits(host, asker.address) => return Fit::No("from= does not hold".to_owned()),
            None if !by_address && names_a_host(&text) => {
                return Fit::Doubt("from= depends on the client's host name".to_owned());
            }
            None if !by_address => return Fit::No("from= does not hold".to_owned()),
            _ => {}
        }
    }
    match options.expiry.map(|expiry| expiry.passed(asker.now)) {
        Some(Some(true)) => return Fit::No("expiry-time has passed".to_owned()),
        Some(None) => return Fit::Doubt("whether expiry-time has passed depends on the time zone".to_owned()),
        Some(Some(false)) | None => {}
    }
    if let Err(why) = accepted(rules, &line.key) {
        return Fit::No(why);
    }
    if revoked.holds(&line.key) {
        return Fit::No("RevokedKeys names it".to_owned());
    }
    if options.cert_authority {
        let authority = line.key.fingerprint();
        return Fit::Doubt(format!("certificates of {authority} are taken"));
    }
    Fit::Yes
}

/// Whether this sshd takes a key of this type and size.
pub(crate) fn accepted(rules: &Rules<'_>, key: &PublicKey) -> Result<(), String> {
    let minimum = rules.effective.number("requiredrsasize").unwrap_or(1024).max(1024);
    if key.kind() == KeyKind::Rsa && i64::from(key.bits()) < minimum {
        return Err(format!("RSA of {} bits is below RequiredRSASize {minimum}", key.bits()));
    }
    let list = ["pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes"]
        .into_iter()
        .map(|key| rules.effective.text(key))
        .find(|text| !text.is_empty());
    let Some(list) = list else { return Ok(()) };
    let names: &[&str] = match key.kind() {
        KeyKind::Rsa => &["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"],
        kind => &[kind.name()],
    };
    let taken = names.iter().any(|name| in_list(list, name));
    if taken { Ok(()) } else { Err(format!("PubkeyAcceptedAlgorithms does not name {}", key.kind().name())) }
}

/// `match.c:match_pattern_list`.
fn in_list(list: &str, name: &str) -> bool {
    let mut hit = false;
    for word in list.split(',') {
        match word.strip_prefix('!') {
            Some(word) if matches(word, name) => return false,
            Some(_) => {}
            None => hit |= matches(word, name),
        }
    }
    hit
}

/// What `RevokedKeys` names.
enum Revoked<'a> {
    Nothing,
    /// It could not be read here; sshd may read it.
    Unknown,
    List(&'a crate::parse::revoked_keys::RevokedKeys),
}

impl<'a> Revoked<'a> {
    /// None: every key is refused, because sshd cannot use the file.
    fn of(rules: &Rules<'_>, files: &'a LoginFiles, found: &mut Found<'_>) -> Option<Self> {
        let words = rules.effective.words("revokedkeys");
        let Some(file) = words.first().filter(|w| !w.is_empty() && !w.eq_ignore_ascii_case("none")) else {
            return Some(Self::Nothing);
        };
        let all = |found: &mut Found<'_>, why: &str| {
            found.refuse(format!("RevokedKeys {file} {why}: every key is refused"));
            None
        };
        match files.revoked.get(Path::new(file)) {
            Some(Fact::Known(Ok(list))) => Some(Self::List(list)),
            Some(Fact::Known(Err(_))) => all(found, "is broken"),
            Some(Fact::Absent) => all(found, "is missing"),
            Some(Fact::Unknown(Why::WrongKind(kind))) => all(found, &format!("is a {kind}")),
            Some(Fact::Unknown(why)) => {
                found.doubt(Why::Failed(format!("RevokedKeys {file}: {why}")));
                Some(Self::Unknown)
            }
            None => {
                found.doubt(Why::NotAsked("a RevokedKeys file that was not read"));
                Some(Self::Unknown)
            }
        }
    }

    fn holds(&self, key: &PublicKey) -> bool {
        match self {
            Self::Nothing | Self::Unknown => false,
            Self::List(list) => list.holds(key),
        }
    }
}

/// `TrustedUserCAKeys`: whoever holds a certificate that names the account gets in; hostward cannot know who does.
fn authorities(rules: &Rules<'_>, asker: &Asker<'_>, found: &mut Found<'_>) {
    let words = rules.effective.words("trustedusercakeys");
    let Some(file) = words.first().filter(|w| !w.is_empty() && !w.eq_ignore_ascii_case("none")) else { return };
    match asker.files.authorities.get(Path::new(file)) {
        Some(Fact::Known(lines)) if lines.is_empty() => {}
        Some(Fact::Known(_)) => {
            found.doubt(Why::Failed(format!("certificates of the authorities in {file} are taken")))
        }
        // sshd cannot read it either: no certificate is trusted.
        Some(Fact::Absent) => {}
        Some(Fact::Unknown(why)) => found.doubt(Why::Failed(format!("{file}: {why}"))),
        None => found.doubt(Why::NotAsked("a TrustedUserCAKeys file that was not read")),
    }
}
