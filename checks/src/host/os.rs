//! Which distribution this is: `os-release(5)`.

use std::path::Path;

use crate::check::bytes_text;
use crate::fact::Fact;
use crate::snapshot::{Miss, Reader};

/// The distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OsRelease {
    /// `ID`, e.g. `debian`, `alinux`, `anolis`.
    pub id: String,
    /// `ID_LIKE`, in order.
    pub like: Vec<String>,
    /// `VERSION_ID`.
    pub version: String,
    /// `PRETTY_NAME`.
    pub pretty: String,
}

/// What the root says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Os {
    /// os-release, from `/etc` or `/usr/lib`.
    pub release: Fact<OsRelease>,
}

impl Os {
    /// Reads `/etc/os-release`, else `/usr/lib/os-release`.
    pub fn read(reader: &Reader<'_>) -> Self {
        let release = match reader.file(Path::new("/etc/os-release")) {
            Err(Miss::Absent) => reader.fact(Path::new("/usr/lib/os-release")),
            Err(miss) => miss.fact(),
            Ok(view) => Fact::Known(view),
        };
        Self { release: release.map(|view| parse(view.bytes)) }
    }

    /// Whether it is Debian or derived from it (Ubuntu): such builds patch sshd.
    pub fn is_debian_like(&self) -> bool {
        self.release
            .known()
            .is_some_and(|release| release.id == "debian" || release.like.iter().any(|id| id == "debian"))
    }
}

fn parse(bytes: &[u8]) -> OsRelease {
    let mut release = OsRelease::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = bytes_text(line.trim_ascii());
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = unquote(value);
        match key {
            "ID" => release.id = value,
            "ID_LIKE" => release.like = value.split_whitespace().map(str::to_owned).collect(),
            "VERSION_ID" => release.version = value,
            "PRETTY_NAME" => release.pretty = value,
            _ => {}
        }
    }
    release
}

/// Takes shell quoting off one word.
fn unquote(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let (mut quote, mut chars) = (None, word.chars());
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(q)) if c == q => quote = None,
            ('\\', None | Some('"')) => out.extend(chars.next()),
            (c, _) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Sketch;

    #[test]
    fn reads_what_is_there_and_says_what_is_not() {
        let snapshot = Sketch::new()
            .file(
                "/usr/lib/os-release",
                "ID=ubuntu\nID_LIKE=\"debian\"\nVERSION_ID='24.04'\nPRETTY_NAME=\"A \\\"B\\\"\"\n",
            )
            .link("/etc/os-release", "../usr/lib/os-release")
            .snapshot();
        let os = Os::read(&Reader::new(&snapshot));
        let release = os.release.known().unwrap();
        assert_eq!((release.version.as_str(), release.pretty.as_str()), ("24.04", "A \"B\""));
        assert!(os.is_debian_like());
        assert_eq!(Os::read(&Reader::new(&Sketch::new().snapshot())).release, Fact::Absent);
    }
}
