//! A package's header as the database holds it: an index of tags, and their values behind it (`rpm` format, version 4).

use super::Bytes;
use crate::parse::package_version::Evr;

/// What is taken from a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub evr: Evr,
    /// `x86_64`, `noarch`.
    pub arch: String,
    /// The module's name and stream that it belongs to: `nodejs:18`.
    pub module: Option<String>,
    /// The name of the package that it was built from.
    pub source: Option<String>,
}

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const ARCH: u32 = 1022;
const SOURCE: u32 = 1044;
const MODULE: u32 = 5096;

/// Reads a header. None: it is none, or of no package that has an architecture (a public key).
pub fn package(bytes: &[u8]) -> Option<Package> {
    let head = Bytes(bytes);
    let (count, size) = (head.be32(0)? as usize, head.be32(4)? as usize);
    let start = count.checked_mul(16)?.checked_add(8)?;
    let index = bytes.get(8..start)?;
    let data = bytes.get(start..start.checked_add(size)?)?;
    let value = |tag: u32| {
        let entry = index.chunks_exact(16).find(|entry| Bytes(entry).be32(0) == Some(tag))?;
        data.get(Bytes(entry).be32(8)? as usize..)
    };
    let text = |tag| {
        let value: &[u8] = value(tag)?;
        let end = value.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(value.get(..end)?).ok().map(str::to_owned)
    };
    let epoch = value(EPOCH).and_then(|value| Bytes(value).be32(0)).unwrap_or_default();
    let evr = Evr { epoch: u64::from(epoch), version: text(VERSION)?, release: text(RELEASE)? };
    let module = text(MODULE).and_then(|label| {
        let mut parts = label.split(':');
        Some(format!("{}:{}", parts.next()?, parts.next()?))
    });
    // `bash-4.4.20-4.el8.src.rpm`
    let source = text(SOURCE).and_then(|file| Some(file.rsplitn(3, '-').nth(2)?.to_owned()));
    Some(Package { name: text(NAME)?, evr, arch: text(ARCH)?, module, source })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header with these texts.
    pub(crate) fn header(texts: &[(u32, &str)], epoch: Option<u32>) -> Vec<u8> {
        let (mut index, mut data) = (Vec::new(), Vec::new());
        let mut entry = |tag: u32, kind: u32, value: &[u8]| {
            for word in [tag, kind, data.len() as u32, 1] {
                index.extend(word.to_be_bytes());
            }
            data.extend_from_slice(value);
        };
        if let Some(epoch) = epoch {
            entry(EPOCH, 4, &epoch.to_be_bytes());
        }
        for (tag, text) in texts {
            entry(*tag, 6, format!("{text}\0").as_bytes());
        }
        let mut bytes = ((index.len() / 16) as u32).to_be_bytes().to_vec();
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(index);
        bytes.extend(data);
        bytes
    }

    /// A header of a package.
    pub(crate) fn of(name: &str, version: &str, release: &str) -> Vec<u8> {
        header(&[(NAME, name), (VERSION, version), (RELEASE, release), (ARCH, "x86_64")], None)
    }

    #[test]
    fn reads_what_is_wanted_of_a_header() {
        let texts = [
            (NAME, "npm"),
            (VERSION, "9.5.1"),
            (RELEASE, "1.18.module+el8"),
            (ARCH, "x86_64"),
            (SOURCE, "nodejs-18.1-1.module+el8.src.rpm"),
            (MODULE, "nodejs:18:8060:abc"),
        ];
        let read = package(&header(&texts, Some(1))).unwrap();
        assert_eq!((read.name.as_str(), read.evr.text().as_str()), ("npm", "1:9.5.1-1.18.module+el8"));
        assert_eq!((read.module.as_deref(), read.source.as_deref()), (Some("nodejs:18"), Some("nodejs")));
        assert_eq!(package(&header(&texts[..3], None)), None, "a public key");
        let whole = of("a", "1", "2");
        for end in 0..whole.len() {
            assert_eq!(package(&whole[..end]), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if bytes.len() > 8 {
                bytes[..3].fill(0);
                bytes[4..7].fill(0);
            }
            package(&bytes);
        }
    }
}
