//! Debian and Ubuntu: dpkg's status and the lists that apt keeps.

use std::path::Path;

use hostward_checks::fact::Why;
use hostward_checks::observation::updates::Updates;
use hostward_checks::parse::apt::paragraphs::{Paragraph, Paragraphs};
use hostward_checks::snapshot::Reader;
use hostward_checks::updates::apt::lists::{Lists, STATUS};
use hostward_checks::updates::apt::{LIST, Packages, STATUS as INSTALLED};

use super::stream::{self, Allowance};
use crate::record::settle;
use crate::root::Root;

/// What is installed, and which security updates are pending. None: dpkg manages nothing here.
pub(super) fn look(root: &Root, allowance: &mut Allowance) -> Option<(Packages, Updates)> {
    let lists = settle(root, |snapshot| {
        let reader = Reader::new(snapshot);
        (Lists::read(&reader), reader.need())
    });
    let Lists { status, lists, pins, archives, mut gaps } = lists;
    let mut packages = Packages::new(pins);
    if let Some(status) = &status {
        let read = paragraphs(root, status, "", INSTALLED, allowance, &mut |one| packages.installed(one));
        gaps.extend(read.err().map(|why| (format!("file:{STATUS}"), why)));
    }
    // Other distributions have dpkg too, as a tool.
    if packages.count() == 0 && gaps.is_empty() {
        return None;
    }
    for list in &lists {
        let from = list.from();
        let read = paragraphs(root, &list.path, &list.packed, LIST, allowance, &mut |one| packages.offered(one, &from));
        gaps.extend(read.err().map(|why| (format!("file:{}", list.path.display()), why)));
    }
    let pending = packages.pending();
    gaps.extend(packages.unclear(&pending));
    let updates = Updates { pending, archives, gaps };
    Some((packages, updates))
}

fn paragraphs(
    root: &Root,
    path: &Path,
    packed: &str,
    wanted: &'static [&'static str],
    allowance: &mut Allowance,
    each: &mut dyn FnMut(&Paragraph<'_>),
) -> Result<(), Why> {
    let mut paragraphs = Paragraphs::new(wanted);
    let read = stream::read(root, path, packed, allowance, &mut |piece| paragraphs.feed(piece, each));
    // The last paragraph of a file that breaks off may lack half of its version.
    if read.is_ok() {
        paragraphs.end(each);
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with these files.
    fn root(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let root = Root::open(dir.path()).unwrap();
        (dir, root)
    }

    const STATUS: &[u8] = b"Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n";
    const RELEASE: &[u8] = b"Suite: x-security\nDate: Thu, 01 Jan 1970 00:00:10 UTC\n";
    const NEWER: &[u8] = b"Package: dpkg\nArchitecture: amd64\nVersion: 2\n";

    fn pending(packed: &str, list: &[u8]) -> (usize, Vec<String>) {
        let name = format!("var/lib/apt/lists/a_main_binary-amd64_Packages{packed}");
        let release = ("var/lib/apt/lists/a_InRelease", RELEASE);
        let (_dir, root) = root(&[("var/lib/dpkg/status", STATUS), release, (&name, list)]);
        let (_, updates) = look(&root, &mut Allowance::default()).unwrap();
        assert_eq!(updates.archives.len(), 1);
        (updates.pending.len(), updates.gaps.iter().map(|(_, why)| why.to_string()).collect())
    }

    #[test]
    fn lists_are_read_packed_or_not_and_broken_ones_are_told() {
        assert_eq!(pending("", NEWER), (1, vec![]));
        let stored = |plain: &[u8]| {
            let mut bytes = vec![0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
            bytes.extend((plain.len() as u32 | 1 << 31).to_le_bytes());
            [bytes, plain.to_vec(), vec![0; 4]].concat()
        };
        assert_eq!(pending(".lz4", &stored(NEWER)), (1, vec![]));
        assert_eq!(pending(".lz4", &stored(NEWER)[..20]), (0, vec!["failed to fill whole buffer".to_owned()]));
        assert_eq!(pending(".gz", NEWER), (0, vec!["is no gzip member".to_owned()]));
        assert_eq!(pending(".xyz", NEWER).1, ["is compressed as xyz, which hostward does not read"]);
    }

    #[test]
    fn a_root_without_dpkgs_packages_is_none_of_its() {
        assert!(look(&root(&[]).1, &mut Allowance::default()).is_none());
        assert!(look(&root(&[("var/lib/dpkg/status", b"")]).1, &mut Allowance::default()).is_none());
    }
}
