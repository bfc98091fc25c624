//! Blocklists of openssh-blacklist: Debian's predictable keys of 2006–2008. None ships with hostward; one that stands on
//! the host is used.

use std::path::PathBuf;

use md5::{Digest as _, Md5};

use crate::parse::key_blob::{KeyKind, PublicKey};

/// The keys of the lists that were found: the last 80 bits of each MD5 fingerprint, by kind and size of key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocklist {
    /// Sorted.
    entries: Vec<[u8; 10]>,
}

impl Blocklist {
    /// No list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where a list that concerns this key may stand: `openssh-blacklist` used the first directory, administrators the second,
    /// and both spellings were in use. Empty for kinds of keys that were never listed.
    pub fn paths(key: &PublicKey) -> Vec<PathBuf> {
        let family = match key.kind() {
            KeyKind::Rsa => "RSA",
            KeyKind::Dsa => "DSA",
            _ => return Vec::new(),
        };
        let mut paths = Vec::new();
        for directory in ["/usr/share/ssh", "/etc/ssh"] {
            for word in ["blacklist", "blocklist"] {
                paths.push(PathBuf::from(format!("{directory}/{word}.{family}-{}", key.bits())));
            }
        }
        paths
    }

    /// Adds a list: one entry a line, the last 20 hexadecimal digits of an MD5 fingerprint (or all 32). Other lines
    /// are comments.
    pub fn add(&mut self, list: &[u8]) {
        for line in list.split(|byte| *byte == b'\n') {
            let digits = line.trim_ascii();
            let tail = digits.len().checked_sub(20).and_then(|start| digits.get(start..));
            if let Some(entry) = tail.filter(|_| matches!(digits.len(), 20 | 32)).and_then(unhex) {
                self.entries.push(entry);
            }
        }
        self.entries.sort_unstable();
    }

    /// Whether the key stands in a list.
    pub fn holds(&self, key: &PublicKey) -> bool {
        if self.entries.is_empty() || !matches!(key.kind(), KeyKind::Rsa | KeyKind::Dsa) {
            return false;
        }
        let digest: [u8; 16] = Md5::digest(key.blob()).into();
        digest.last_chunk::<10>().is_some_and(|tail| self.entries.binary_search(tail).is_ok())
    }
}

fn unhex(digits: &[u8]) -> Option<[u8; 10]> {
    let mut out = [0; 10];
    for (byte, pair) in out.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}
