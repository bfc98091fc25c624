//! Which words of `AuthorizedKeysFile` hold for an account, over all sshd instances.

use crate::fact::Fact;
use crate::host::accounts::{Accounts, User};
use crate::host::sshd::Sshd;
use crate::sshd::Connection;

/// `AuthorizedKeysFile` where nothing sets it.
const DEFAULT: [&str; 2] = [".ssh/authorized_keys", ".ssh/authorized_keys2"];

const KEYWORD: &str = "authorizedkeysfile";

/// A word of `AuthorizedKeysFile`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// The word.
    pub(super) text: String,
    /// Whether it holds for the account: not only in a Match block for others.
    pub(super) holds: bool,
}

/// The words that a host's sshd instances know.
#[derive(Debug)]
pub struct Patterns<'a> {
    sshd: &'a Sshd,
    accounts: &'a Accounts,
    /// Outside every Match block.
    global: Vec<String>,
    /// On any line.
    stated: Vec<String>,
    /// From OpenSSH 10.0 a word is a shell pattern.
    pub(super) globs: bool,
}

fn add(list: &mut Vec<String>, word: &str) {
    if !list.iter().any(|known| known == word) {
        list.push(word.to_owned());
    }
}

impl<'a> Patterns<'a> {
    /// Collects the words of every instance.
    pub fn of(sshd: &'a Sshd, accounts: &'a Accounts) -> Self {
        let (mut global, mut stated) = (Vec::new(), Vec::new());
        let mut globs = false;
        for instance in &sshd.instances {
            let configuration = &instance.configuration;
            globs |= configuration.build.since(1000);
            if let Ok(effective) = instance.effective(&Connection::default()) {
                effective.words(KEYWORD).into_iter().for_each(|word| add(&mut global, word));
            }
            configuration.named(KEYWORD).iter().for_each(|word| add(&mut stated, word));
        }
        if global.is_empty() {
            global = DEFAULT.map(str::to_owned).to_vec();
        }
        Self { sshd, accounts, global, stated, globs }
    }

    /// The words for one account, those that hold for it first.
    pub(super) fn for_user(&self, user: &User) -> Vec<Pattern> {
        let others = self.stated.iter().any(|word| !self.global.contains(word));
        let holding = if others { self.resolved(user) } else { self.global.clone() };
        let rest: Vec<&String> =
            self.global.iter().chain(&self.stated).filter(|word| !holding.contains(word)).collect();
        let holding = holding.iter().map(|text| Pattern { text: text.clone(), holds: true });
        // A Match block may look at the address, which is not known here. A path of the account's own is its own in any
        // case; one for everybody, in a block that does not hold for it, is not.
        let own = |text: &str| !text.starts_with('/') || ["%u", "%h", "%U"].iter().any(|token| text.contains(token));
        let rest = rest.into_iter().map(|text| Pattern { text: text.clone(), holds: own(text) });
        let mut patterns: Vec<Pattern> = Vec::new();
        for pattern in holding.chain(rest) {
            if !patterns.iter().any(|known| known.text == pattern.text) {
                patterns.push(pattern);
            }
        }
        patterns
    }

    /// What the instances resolve for the account, from no address in particular.
    fn resolved(&self, user: &User) -> Vec<String> {
        let groups = match self.accounts.groups_of(user) {
            Fact::Known(groups) => groups.iter().map(|name| name.text().into_owned()).collect(),
            Fact::Absent | Fact::Unknown(_) => Vec::new(),
        };
        let connection = Connection {
            user: Some(user.name().text().into_owned()),
            groups,
            exists: true,
            root: user.is_root(),
            ..Connection::default()
        };
        let mut words = Vec::new();
        for effective in self.sshd.instances.iter().filter_map(|instance| instance.effective(&connection).ok()) {
            effective.words(KEYWORD).into_iter().for_each(|word| add(&mut words, word));
        }
        if words.is_empty() { self.global.clone() } else { words }
    }
}
