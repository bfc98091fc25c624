//! The host keys that an sshd would load: whether they are there, whose they are, who can read them.

use std::path::PathBuf;

use crate::fact::Fact;
use crate::snapshot::{Meta, Reader};
use crate::sshd::{Configuration, Origin};

/// One HostKey file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    /// The private key's file.
    pub path: PathBuf,
    /// Owner and mode, links followed.
    pub meta: Fact<Meta>,
    /// The line that names it.
    pub origin: Origin,
}

/// Looks at every HostKey of a configuration; at none where sshd refuses it.
pub(super) fn read(reader: &Reader<'_>, configuration: &Configuration) -> Vec<HostKey> {
    let Ok(effective) = configuration.dump(None) else { return Vec::new() };
    let values = effective.setting("hostkey").map_or(&[][..], |setting| setting.values.as_slice());
    // A key that is `none` has no word.
    let files = values.iter().filter_map(|value| Some((value, value.words.first()?)));
    files
        .map(|(value, file)| {
            let path = PathBuf::from(file);
            let meta = reader.meta(&path).map_or_else(|miss| miss.fact(), Fact::Known);
            HostKey { path, meta, origin: value.origin.clone() }
        })
        .collect()
}
