//! What earlier audits have tried, so that nothing is hashed twice.
//!
//! A file of this host's own, for root alone: how far each pair of a hash and a list of candidates is tried, and whether one fitted.
//! Hashes and lists stand in it as digests under a key that is in no other file; never a password, nor where in a list it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hostward_checks::candidate::{Candidates, Generator};
use hostward_checks::fact::Fact;
use ring::hmac;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Progress;
use super::schedule::Schedule;
use super::tried::Tried;

/// The version of the file.
const SCHEMA: &str = "hostward.tried/1";
/// The file is never so long.
const MOST: u64 = 16 << 20;
/// So many lists of candidates are kept of one hash.
const LISTS: usize = 8;
/// How often an audit under way writes down how far it is.
const EVERY: Duration = Duration::from_secs(60);

/// A pair of a hash and a list of candidates. None for the list: nothing is known that tells it from another.
#[derive(Clone, Debug)]
pub(super) struct List {
    hash: String,
    list: Option<String>,
}

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    schema: String,
    /// In hex.
    key: String,
    /// By the hash, then by the list.
    hashes: BTreeMap<String, BTreeMap<String, Tried>>,
}

/// What is remembered.
#[derive(Debug)]
pub struct Memory {
    path: Option<PathBuf>,
    key: hmac::Key,
    kept: Kept,
    /// As it was read or written last.
    written: Option<Kept>,
    /// The lists of this audit.
    used: BTreeSet<String>,
}

impl Memory {
    /// Nothing is remembered, and nothing will be.
    #[must_use]
    pub fn none() -> Self {
        Self::with(None, None)
    }

    /// What the file has. One that is missing, broken, of another version, or that others could have read or written is begun anew.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        Self::with(Some(path.to_path_buf()), read(path))
    }

    fn with(path: Option<PathBuf>, written: Option<Kept>) -> Self {
        let mut fresh = [0_u8; 32];
        // Without randomness there is no key that nobody knows, so nothing is written.
        let random = crate::random::fill(&mut fresh).is_ok();
        let kept = written.clone().unwrap_or_else(|| Kept {
            schema: SCHEMA.to_owned(),
            key: hex(&fresh),
            hashes: BTreeMap::new(),
        });
        let key = hmac::Key::new(hmac::HMAC_SHA256, kept.key.as_bytes());
        Self { path: path.filter(|_| random), key, kept, written, used: BTreeSet::new() }
    }

    /// A digest that nobody makes without the key. The parts cannot be mistaken for others.
    fn digest<'b>(&self, parts: impl IntoIterator<Item = &'b [u8]>) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        hex(context.sign().as_ref())
    }

    fn hash(&self, hash: &[u8]) -> String {
        self.digest([b"hash", hash])
    }

    /// Our own candidates against a hash.
    pub(super) fn own(&mut self, hash: &[u8], rules: &[u8], candidates: &Candidates) -> List {
        let mut parts: Vec<Vec<u8>> = vec![b"own".to_vec(), rules.to_vec()];
        parts.extend(candidates.words().flat_map(|(word, level)| [word.to_vec(), level.to_le_bytes().to_vec()]));
        let list = self.digest(parts.iter().map(Vec::as_slice));
        self.used.insert(list.clone());
        List { hash: self.hash(hash), list: Some(list) }
    }

    /// Word lists with this digest against a hash.
    pub(super) fn listed(&mut self, hash: &[u8], digest: Option<&[u8]>) -> List {
        let list = digest.map(|digest| self.digest([b"words", digest]));
        self.used.extend(list.clone());
        List { hash: self.hash(hash), list }
    }

    /// How far that is tried.
    pub(super) fn tried(&self, list: &List) -> Tried {
        let of_hash = self.kept.hashes.get(&list.hash);
        of_hash.zip(list.list.as_ref()).and_then(|(lists, list)| lists.get(list)).copied().unwrap_or_default()
    }

    fn learn(&mut self, list: &List, tried: Tried) {
        if let Some(name) = &list.list
            && tried != Tried::default()
        {
            self.kept.hashes.entry(list.hash.clone()).or_default().insert(name.clone(), tried);
        }
    }

    /// Forgets the hashes that are nobody's any more; none, where it is not known whose there are.
    pub(super) fn forget_others<'b>(&mut self, passwords: impl Iterator<Item = &'b Fact<Vec<u8>>>) {
        let mut present = BTreeSet::new();
        for password in passwords {
            match password {
                Fact::Known(password) => drop(present.insert(self.hash(password))),
                Fact::Absent => {}
                Fact::Unknown(_) => return,
            }
        }
        self.kept.hashes.retain(|hash, _| present.contains(hash));
    }

    /// Writes it down, with what another audit has written meanwhile. Where that cannot be done it is tried again next time.
    fn save(&mut self) {
        let Some(path) = self.path.clone() else { return };
        if let Some(there) = read(&path).filter(|there| there.key == self.kept.key) {
            for (hash, lists) in &mut self.kept.hashes {
                for (list, theirs) in there.hashes.get(hash).into_iter().flatten() {
                    let ours = lists.entry(list.clone()).or_default();
                    *ours = ours.and(*theirs);
                }
            }
        }
        for lists in self.kept.hashes.values_mut().filter(|lists| lists.len() > LISTS) {
            lists.retain(|list, _| self.used.contains(list));
        }
        if self.written.as_ref() == Some(&self.kept) {
            return;
        }
        let dir = path.parent().map_or(Ok(()), crate::files::private_dir);
        let written = dir.and_then(|()| Ok(serde_json::to_vec(&self.kept)?));
        match written.and_then(|bytes| crate::files::replace(&path, &bytes)) {
            Ok(()) => self.written = Some(self.kept.clone()),
            Err(error) => crate::warning::warn(&format!("what passwords were tried is not remembered: {error:#}")),
        }
    }
}

fn read(path: &Path) -> Option<Kept> {
    let bytes = crate::files::read_private(path, MOST).ok().flatten()?;
    let kept: Kept = serde_json::from_slice(&bytes).ok()?;
    (kept.schema == SCHEMA && kept.key.len() == 64).then_some(kept)
}

/// The digest of what all own candidates are made by: lists and rules, as they are in this program.
pub(super) fn rules(generator: &Generator) -> Vec<u8> {
    let mut digest = Sha256::new();
    for candidate in generator.sample() {
        digest.update(candidate.as_bytes());
        digest.update(b"\n");
    }
    digest.finalize().to_vec()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes down every so often how far an audit is, and passes its progress on.
pub(super) struct Saving<'a> {
    schedule: &'a Mutex<Schedule>,
    lists: &'a [(List, List)],
    memory: Mutex<(&'a mut Memory, Instant)>,
    progress: &'a dyn Progress,
}

impl<'a> Saving<'a> {
    pub(super) fn new(
        schedule: &'a Mutex<Schedule>,
        lists: &'a [(List, List)],
        memory: &'a mut Memory,
        progress: &'a dyn Progress,
    ) -> Self {
        Self { schedule, lists, memory: Mutex::new((memory, Instant::now())), progress }
    }

    /// Writes it down for the last time.
    pub(super) fn end(&self) {
        self.save(Duration::ZERO);
    }

    fn save(&self, every: Duration) {
        // Where another thread does it, it is being done.
        let Ok(mut memory) = self.memory.try_lock() else { return };
        let (memory, last) = &mut *memory;
        if last.elapsed() < every {
            return;
        }
        *last = Instant::now();
        let schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
        for ((own, listed), (own_tried, listed_tried)) in self.lists.iter().zip(schedule.stands()) {
            memory.learn(own, own_tried);
            memory.learn(listed, listed_tried);
        }
        drop(schedule);
        memory.save();
    }
}

impl Progress for Saving<'_> {
    fn advance(&self, tried: u64, of: u64) {
        self.save(EVERY);
        self.progress.advance(tried, of);
    }
}
