//! What to watch: every directory in which an answer of the snapshot stands. The parsers alone decide what that is.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use hostward_checks::snapshot::{Answer, Kind, Meta, Snapshot};

use super::line::{Bytes, Name, Place};

/// File systems of the kernel's own making tell nobody of changes.
const SILENT: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The directories to watch, in the order of their paths.
pub fn places(snapshot: &Snapshot) -> Vec<Place> {
    let mut places: BTreeMap<PathBuf, Place> = BTreeMap::new();
    let at = |path: &Path, id| Place {
        path: Bytes(path.as_os_str().as_bytes().to_vec()),
        id,
        listed: false,
        names: Vec::new(),
    };
    for (path, answer) in snapshot.answers() {
        if SILENT.iter().any(|silent| path.starts_with(silent)) {
            continue;
        }
        if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
            // Below what is absent or no directory nothing can come into being unseen.
            if let Some(id) = directory(snapshot, parent) {
                let place = places.entry(parent.to_path_buf()).or_insert_with(|| at(parent, id));
                place.names.push(named(name, answer));
            }
        }
        if let Answer::Node { meta, body } = answer
            && body.names.is_some()
        {
            places.entry(path.to_path_buf()).or_insert_with(|| at(path, meta.id)).listed = true;
        }
    }
    places.into_values().collect()
}

/// The device and inode of what was seen to be a directory.
fn directory(snapshot: &Snapshot, path: &Path) -> Option<(u64, u64)> {
    match snapshot.get(path) {
        Some(Answer::Node { meta, .. }) if meta.kind == Kind::Dir => Some(meta.id),
        _ => None,
    }
}

fn named(name: &OsStr, answer: &Answer) -> Name {
    let (content, signature) = match answer {
        Answer::Absent => (true, signature(None, true)),
        Answer::Unreadable(_) => (true, UNREADABLE),
        Answer::Node { meta, body } => {
            let content = body.content.is_some() || body.marks.is_some() || body.names.is_some();
            (content, signature(Some(meta), content))
        }
    };
    Name { name: Bytes(name.as_bytes().to_vec()), content, signature }
}

/// The signature of what could not be looked at, or must not be: a file system that may hang is not touched to see whether it
/// changed.
pub const UNREADABLE: u64 = 1;

/// A number that changes with whatever counts of a node: what it is, who owns it, its mode; with its content also when that
/// last changed. None: nothing is there.
pub fn signature(meta: Option<&Meta>, content: bool) -> u64 {
    let Some(meta) = meta else { return 0 };
    let mut hash = Fnv::default();
    hash.take(&[meta.kind as u8]);
    hash.take(&meta.mode.to_ne_bytes());
    hash.take(&meta.uid.to_ne_bytes());
    hash.take(&meta.gid.to_ne_bytes());
    hash.take(&meta.id.0.to_ne_bytes());
    hash.take(&meta.id.1.to_ne_bytes());
    if content || meta.kind == Kind::Link {
        hash.take(&meta.size.to_ne_bytes());
        hash.take(&meta.mtime_ns.to_ne_bytes());
        hash.take(&meta.ctime_ns.to_ne_bytes());
    }
    hash.0.max(UNREADABLE + 1)
}

/// FNV-1a: the same in every process of this program.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use hostward_checks::snapshot::Sketch;

    use super::*;

    #[test]
    fn what_a_verdict_rests_on_is_watched() {
        let sketch = Sketch::new().file("/etc/ssh/sshd_config", "Port 22").dir("/home/ops").file("/proc/version", "x");
        let whole = sketch.snapshot();
        let mut seen = Snapshot::new();
        for path in
            ["/", "/etc", "/etc/ssh", "/etc/ssh/sshd_config", "/home", "/home/ops", "/home/ops/.ssh", "/proc/version"]
        {
            seen.put(PathBuf::from(path), whole.get(Path::new(path)).unwrap().clone());
        }
        let told: Vec<(String, Vec<String>)> = places(&seen)
            .into_iter()
            .map(|place| (String::from(place.path), place.names.into_iter().map(|name| name.name.into()).collect()))
            .collect();
        let (dirs, names): (Vec<&str>, Vec<usize>) =
            told.iter().map(|(dir, names)| (dir.as_str(), names.len())).unzip();
        assert_eq!(dirs, ["/", "/etc", "/etc/ssh", "/home", "/home/ops"]);
        assert_eq!(names, [2, 1, 1, 1, 1]);
        assert_eq!(told[4].1, [".ssh"]);
    }

    #[test]
    fn a_signature_is_of_what_counts() {
        let whole = Sketch::new().file("/a", "x").snapshot();
        let Some(Answer::Node { meta, .. }) = whole.get(Path::new("/a")) else { panic!() };
        let later = Meta { mtime_ns: meta.mtime_ns + 1, ..*meta };
        assert_eq!(signature(Some(meta), false), signature(Some(&later), false));
        assert_ne!(signature(Some(meta), true), signature(Some(&later), true));
        assert_ne!(signature(Some(meta), false), signature(Some(&Meta { uid: 7, ..*meta }), false));
        assert_eq!(signature(None, true), 0);
    }
}
