//! Which cloud-init is installed, told by its own `version.py`: no package database is needed, whatever the distribution.

use std::path::Path;

use crate::fact::{Fact, Why};
use crate::snapshot::{Miss, Reader};

/// Where the distributions and pip put the Python package.
const MODULES: [&str; 4] = [
    "/usr/lib/python[23]*/dist-packages/cloudinit/version.py",
    "/usr/lib/python[23]*/site-packages/cloudinit/version.py",
    "/usr/local/lib/python[23]*/dist-packages/cloudinit/version.py",
    "/usr/local/lib/python[23]*/site-packages/cloudinit/version.py",
];

/// The upstream version. Absent: no such program. Unknown: it is there and does not say.
pub(super) fn installed(reader: &Reader<'_>) -> Fact<String> {
    let mut found = Fact::Absent;
    for pattern in MODULES {
        let globbed = reader.glob(Path::new(pattern));
        if let Some((_, why)) = globbed.unreadable.into_iter().next() {
            found = Fact::Unknown(why);
        }
        for path in globbed.paths {
            match reader.fact(&path) {
                Fact::Known(view) => match upstream(view.bytes) {
                    Some(version) => return Fact::Known(version),
                    None => found = Fact::Unknown(Why::Defect("cloud-init does not say its version".to_owned())),
                },
                Fact::Absent => {}
                Fact::Unknown(why) => found = Fact::Unknown(why),
            }
        }
    }
    if found != Fact::Absent {
        return found;
    }
    for program in ["/usr/bin/cloud-init", "/usr/local/bin/cloud-init"] {
        match reader.meta(Path::new(program)) {
            Ok(_) => return Fact::Unknown(Why::Defect("cloud-init is installed in an unusual place".to_owned())),
            Err(Miss::Absent) => {}
            Err(miss) => return miss.fact(),
        }
    }
    Fact::Absent
}

/// `__VERSION__ = "23.2.2"`; the oldest releases return it from a function.
fn upstream(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let quoted = |line: &str| -> Option<String> {
        let (_, rest) = line.split_once(['"', '\''])?;
        let (version, _) = rest.split_once(['"', '\''])?;
        let sane = version.starts_with(|c: char| c.is_ascii_digit())
            && version.len() <= 40
            && version.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+~".contains(&b));
        sane.then(|| version.to_owned())
    };
    let own = text.lines().find(|line| line.starts_with("__VERSION__")).and_then(quoted);
    own.or_else(|| text.lines().filter(|line| line.trim_start().starts_with("return")).find_map(quoted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_version_py_is_read() {
        for (text, want) in [
            ("import x\n\n__VERSION__ = \"23.2.2\"\n_PACKAGED_VERSION = \"23.2.2-8\"\n", Some("23.2.2")),
            ("__VERSION__ = '19.1'\n", Some("19.1")),
            ("def version_string():\n    return \"0.7.6\"\n", Some("0.7.6")),
            ("__VERSION__ = \"@@VERSION@@\"\n", None),
            ("__VERSION__ = \"1\x1b[2J\"\n", None),
            ("", None),
        ] {
            assert_eq!(upstream(text.as_bytes()).as_deref(), want, "{text}");
        }
    }
}
