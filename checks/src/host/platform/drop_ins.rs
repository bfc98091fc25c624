//! Directories of drop-ins as systemd's programs read them: by name over all directories, of one name the first directory's.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::fact::Why;
use crate::snapshot::{Kind, Miss, Reader};

/// The directories, most important first (`CONF_PATHS`, `src/basic/constants.h`).
const ROOTS: [&str; 5] = ["/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib"];

/// A drop-in, or a directory of them that could not be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DropIn<'s> {
    pub(super) path: PathBuf,
    pub(super) content: Result<&'s [u8], Why>,
}

/// The files of `NAME` below each root, in the order in which they are read. What cannot be listed comes last: it could hold anything.
pub(super) fn read<'s>(reader: &Reader<'s>, name: &str) -> Vec<DropIn<'s>> {
    let (mut named, mut out, mut unlisted): (BTreeMap<OsString, PathBuf>, _, _) =
        (BTreeMap::new(), Vec::new(), Vec::new());
    for dir in ROOTS.map(|root| Path::new(root).join(name)) {
        let names = match reader.names(&dir) {
            Ok(names) => names,
            Err(Miss::Absent | Miss::Pending) => continue,
            Err(Miss::Unreadable(why)) => {
                unlisted.push(DropIn { path: dir, content: Err(why) });
                continue;
            }
        };
        for name in names {
            let bytes = name.as_os_str().as_encoded_bytes();
            if bytes.ends_with(b".conf") && !bytes.starts_with(b".") {
                named.entry(name.clone().into_os_string()).or_insert_with(|| dir.join(name));
            }
        }
    }
    for path in named.into_values() {
        match content(reader, &path) {
            Ok(bytes) => out.push(DropIn { path, content: Ok(bytes) }),
            // A link that leads nowhere is as good as no file.
            Err(Miss::Absent | Miss::Pending) => {}
            Err(Miss::Unreadable(why)) => out.push(DropIn { path, content: Err(why) }),
        }
    }
    out.append(&mut unlisted);
    out
}

/// The content; a link to `/dev/null` is an empty file, whether there is a `/dev` or not.
fn content<'s>(reader: &Reader<'s>, path: &Path) -> Result<&'s [u8], Miss> {
    let node = reader.walk(path, false)?;
    if node.meta.kind == Kind::Link && node.body.target.as_deref() == Some(Path::new("/dev/null")) {
        return Ok(&[]);
    }
    reader.file(path).map(|view| view.bytes)
}

/// Whether a drop-in of ours, `/etc/NAME.d/FILE`, would be read after all of these.
pub(super) fn is_last<'p>(file: &str, mut others: impl Iterator<Item = &'p Path>) -> bool {
    others.all(|path| path.file_name().is_some_and(|name| name <= std::ffi::OsStr::new(file)))
}
