//! Looks for AccessKeys in files and environments: one is read at a time and forgotten before the next; only what may be shown is kept.

mod environments;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostward_checks::access_keys::{File, Form, Place, list, places, scan};
use hostward_checks::fact::Why;
use hostward_checks::host::Host;
use hostward_checks::observation::Mode;
use hostward_checks::observation::access_key::{AccessKeys, InFile};
use hostward_checks::policy::Policy;
use hostward_checks::snapshot::{Answer, Body, Need, Reader, Snapshot, Want};

use crate::record::settle;
use crate::root::{Budget, Root};

/// What one search may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Time on the clock.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 128 << 20, time: Duration::from_secs(20) }
    }
}

/// How often files are looked for that files name: a unit's environment file may name a file with credentials.
const ROUNDS: usize = 3;

/// Looks in the known places and in those of the policy, and live in the environments of processes too.
pub fn access_keys(root: &Root, host: &Host, policy: &Policy, mode: Mode, limits: Limits) -> AccessKeys {
    let mut search = Search {
        root,
        deadline: Instant::now() + limits.time,
        bytes: limits.bytes,
        read: HashSet::new(),
        out: AccessKeys::default(),
    };
    let mut places = places(&host.accounts, policy);
    for _ in 0..ROUNDS {
        let listing = settle(root, |snapshot| {
            let reader = Reader::new(snapshot);
            (list(&reader, &places), reader.need())
        });
        search.out.unread.extend(listing.unread);
        let named = search.files(&listing.files);
        if named.is_empty() {
            break;
        }
        places = named.into_iter().map(|path| Place::Pattern(path, Form::Text)).collect();
    }
    if mode == Mode::Live {
        environments::look(&mut search.out);
    }
    search.out
}

struct Search<'r> {
    root: &'r Root,
    deadline: Instant,
    bytes: u64,
    read: HashSet<(u64, u64)>,
    out: AccessKeys,
}

impl Search<'_> {
    /// Looks into the files. Which others they name: a user's files name none, or they would choose what root reads.
    fn files(&mut self, files: &[File]) -> Vec<PathBuf> {
        let mut named = Vec::new();
        for (index, file) in files.iter().enumerate() {
            let over = Instant::now() >= self.deadline || file.meta.size > self.bytes;
            if over {
                let why = format!("the limits of the search were reached: {} files were not read", files.len() - index);
                self.out.unread.push((file.path.clone(), Why::Failed(why)));
                break;
            }
            if !self.read.insert(file.meta.id) {
                continue;
            }
            match self.content(file) {
                Ok(Some(bytes)) => {
                    let scanned = self.look(file, &bytes);
                    named.extend(scanned.into_iter().filter(|_| file.is_roots));
                }
                Ok(None) => {}
                Err(why) => self.out.unread.push((file.path.clone(), why)),
            }
        }
        named
    }

    fn look(&mut self, file: &File, bytes: &[u8]) -> Vec<PathBuf> {
        self.bytes = self.bytes.saturating_sub(bytes.len() as u64);
        self.out.files += 1;
        let scanned = scan(file.form, bytes);
        self.out.found.extend(scanned.keys.into_iter().map(|key| InFile { path: file.path.clone(), key }));
        let defects = scanned.defects.into_iter().map(|defect| (file.path.clone(), Why::Defect(defect.what)));
        self.out.unread.extend(defects);
        scanned.names
    }

    /// The content of a file; nothing where there is none by now.
    fn content(&self, file: &File) -> Result<Option<Arc<[u8]>>, Why> {
        let need = Need::from([(file.path.clone(), vec![Want::Content])]);
        let mut snapshot = Snapshot::new();
        self.root.answer(&need, &mut snapshot, &mut Budget::default());
        match snapshot.get(&file.path) {
            Some(Answer::Node { body: Body { content: Some(content), .. }, .. }) => content.clone().map(Some),
            Some(Answer::Node { .. } | Answer::Absent) => Ok(None),
            Some(Answer::Unreadable(why)) => Err(why.clone()),
            None => Err(Why::Unstable),
        }
    }
}

#[cfg(test)]
mod tests;
