//! What one pass over a configuration has set: `servconf.h:ServerOptions`, as words with their origins.

use std::collections::BTreeMap;

use super::Origin;
use super::build::Build;
use super::keyword::{Key, copied};

/// One value: the words it is made of, and the line that set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The words; of a plain value one.
    pub(crate) words: Vec<Vec<u8>>,
    /// Who set it.
    pub(crate) origin: Origin,
}

/// A ListenAddress that waits until all Ports are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queued {
    /// The host as written.
    pub(crate) host: Vec<u8>,
    /// The port, where the line names one.
    pub(crate) port: Option<u16>,
    /// The routing domain.
    pub(crate) rdomain: Option<Vec<u8>>,
    /// Who set it.
    pub(crate) origin: Origin,
}

/// An address to listen on, in the order in which sshd has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    /// As `sshd -T` prints it: `[::]:22`.
    pub(crate) text: String,
    /// The routing domain: addresses are printed a domain at a time.
    pub(crate) rdomain: Option<Vec<u8>>,
    /// Who set it.
    pub(crate) origin: Origin,
}

/// The values that a pass has set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    set: BTreeMap<Key, Vec<Item>>,
    /// Whether `-p` was given: the file's Port lines are ignored then.
    pub(crate) ports_from_command_line: bool,
    /// ListenAddress lines not yet combined with ports.
    pub(crate) queued: Vec<Queued>,
    /// Addresses to listen on.
    pub(crate) listen: Vec<Listen>,
}

impl Options {
    /// All values of a key.
    pub(crate) fn items(&self, key: Key) -> &[Item] {
        self.set.get(&key).map_or(&[], Vec::as_slice)
    }

    /// The first value of a key.
    pub(crate) fn item(&self, key: Key) -> Option<&Item> {
        self.items(key).first()
    }

    /// The first word of the first value as text.
    pub(crate) fn text(&self, key: Key) -> Option<String> {
        let word = self.item(key)?.words.first()?;
        Some(String::from_utf8_lossy(word).into_owned())
    }

    /// Whether anything is set.
    pub(crate) fn is_set(&self, key: Key) -> bool {
        !self.items(key).is_empty()
    }

    /// Sets a value whatever was there.
    pub(crate) fn put(&mut self, key: Key, item: Item) {
        self.set.insert(key, vec![item]);
    }

    /// Sets a value unless there is one.
    pub(crate) fn put_once(&mut self, key: Key, item: Item) {
        if !self.is_set(key) {
            self.put(key, item);
        }
    }

    /// Adds a value.
    pub(crate) fn push(&mut self, key: Key, item: Item) {
        self.set.entry(key).or_default().push(item);
    }

    /// Replaces all values.
    pub(crate) fn put_all(&mut self, key: Key, items: Vec<Item>) {
        self.set.insert(key, items);
    }

    /// Makes a list count as given and empty: `none` in the global section.
    pub(crate) fn clear(&mut self, key: Key) {
        self.set.insert(key, Vec::new());
    }

    /// Whether a list was given and is empty.
    pub(crate) fn is_cleared(&self, key: Key) -> bool {
        self.set.get(&key).is_some_and(Vec::is_empty)
    }

    /// Removes a value.
    pub(crate) fn unset(&mut self, key: Key) {
        self.set.remove(&key);
    }

    /// What a Match block set replaces what the global section set (`copy_set_server_options`). False: before 10.3 sshd
    /// crashes where only a Match block sets subsystems.
    pub(crate) fn copy_set(&mut self, build: &Build, from: Self) -> bool {
        let crashes = build.before(1003) && from.is_set(Key::Subsystem) && !self.is_set(Key::Subsystem);
        for (key, items) in from.set {
            if !items.is_empty() && copied(build, key) {
                self.set.insert(key, items);
            }
        }
        !crashes
    }
}
