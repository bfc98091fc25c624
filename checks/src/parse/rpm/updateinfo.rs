//! `updateinfo.xml`: which versions the advisories of an archive are about, as it streams by. Reads tags and attributes of
//! a file that tools write, and no more of XML: no entities of its own, no namespaces.

use crate::check::bytes_text;
use crate::parse::package_version::Evr;

/// A tag is read so far and no further.
const TAG: usize = 16 << 10;
/// So is the text of an identifier.
const TEXT: usize = 256;

/// A package that an advisory names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// The advisory: `ALINUX3-SA-2024:0001`.
    pub advisory: String,
    /// The package's name.
    pub name: String,
    /// The version that is mended.
    pub evr: Evr,
    /// Its architecture.
    pub arch: String,
    /// The module's name and stream, where it belongs to one.
    pub module: Option<String>,
    /// The advisory is about security.
    pub security: bool,
}

/// Takes bytes in pieces of any size and gives every package that an advisory names.
#[derive(Debug, Default)]
pub struct Updateinfo {
    /// A tag, from behind its `<`. None: between tags.
    tag: Option<Vec<u8>>,
    text: Vec<u8>,
    /// Text is the advisory's name.
    in_id: bool,
    current: Mended,
    any: bool,
}

impl Updateinfo {
    /// Begins a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it was such a file at all.
    pub fn is_one(&self) -> bool {
        self.any
    }

    /// The next bytes.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(&Mended)) {
        for byte in bytes {
            match &mut self.tag {
                None if *byte == b'<' => self.tag = Some(Vec::new()),
                None => {
                    if self.in_id && self.text.len() < TEXT {
                        self.text.push(*byte);
                    }
                }
                Some(tag) => {
                    if *byte == b'>' && ends(tag) {
                        let tag = self.tag.take().unwrap_or_default();
                        self.tag(&tag, each);
                    } else if tag.len() < TAG {
                        tag.push(*byte);
                    } else {
                        // Only how it ends is still of interest.
                        tag.drain(4..tag.len() - 2);
                        tag.push(*byte);
                    }
                }
            }
        }
    }

    fn tag(&mut self, tag: &[u8], each: &mut dyn FnMut(&Mended)) {
        if tag.starts_with(b"!") || tag.starts_with(b"?") {
            return;
        }
        let tag = bytes_text(tag);
        let name = tag.split(|c: char| c.is_ascii_whitespace() || c == '/').next().unwrap_or_default();
        let value = |wanted: &str| attribute(&tag, wanted).unwrap_or_default();
        match name {
            "updates" => self.any = true,
            "update" => {
                self.current = Mended { security: value("type") == "security", ..Mended::default() };
            }
            "id" => (self.in_id, self.text) = (true, Vec::new()),
            "" if tag.starts_with("/id") => {
                self.in_id = false;
                self.current.advisory = bytes_text(self.text.trim_ascii());
            }
            "" if tag.starts_with("/collection") => self.current.module = None,
            "module" => self.current.module = Some(format!("{}:{}", value("name"), value("stream"))),
            "package" => {
                let epoch = value("epoch").parse().unwrap_or_default();
                self.current.evr = Evr { epoch, version: value("version"), release: value("release") };
                (self.current.name, self.current.arch) = (value("name"), value("arch"));
                each(&self.current);
            }
            _ => {}
        }
    }
}

/// Whether a `>` ends the tag so far: comments and literal text end otherwise.
fn ends(tag: &[u8]) -> bool {
    if tag.starts_with(b"!--") {
        tag.len() >= 5 && tag.ends_with(b"--")
    } else if tag.starts_with(b"![CDATA[") || tag.starts_with(b"![CD") {
        tag.ends_with(b"]]")
    } else {
        true
    }
}

/// The value of an attribute, its five named characters put in.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    loop {
        let at = rest.find(name)?;
        let (before, behind) = (rest.get(..at)?, rest.get(at + name.len()..)?);
        if before.ends_with(|c: char| c.is_ascii_whitespace())
            && let Some(value) = behind.trim_start().strip_prefix('=')
        {
            let value = value.trim_start();
            let quote = value.chars().next().filter(|c| ['"', '\''].contains(c))?;
            let (value, _) = value.get(1..)?.split_once(quote)?;
            let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
            return Some(named.iter().fold(value.to_owned(), |text, (from, to)| text.replace(from, to)));
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = r#"<?xml version="1.0"?>
<updates><update from="x" status="final" type="security" version="1">
 <id>ALINUX3-SA-2024:0001</id><title>a > b</title><severity>Important</severity>
 <description><![CDATA[<package name="no"/> ]] > ]]></description><!-- <package name="nor"/> -- > -->
 <pkglist><collection short="x"><name>x</name>
  <package arch="x86_64" name="openssl" epoch="1" version="1.1.1k" release='9.al8' src="openssl.src.rpm"><filename>f</filename></package>
 </collection><collection><module name="nodejs" stream="18" version="8" context="c" arch="x86_64"/>
  <package name="npm" version="9" release="1" epoch="0" arch="noarch"/>
 </collection><collection><package name="a&amp;b" version="1" release="2" arch="x86_64"/></collection></pkglist>
</update><update type="bugfix"><id>B</id><pkglist><collection><package name="bash" version="9" release="1" arch="x86_64"/></collection></pkglist></update>
</updates>"#;

    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let (mut file, mut out) = (Updateinfo::new(), Vec::new());
        for piece in pieces {
            file.feed(piece, &mut |one| {
                let module = one.module.as_deref().unwrap_or("-");
                let kind = if one.security { "" } else { " bugfix" };
                out.push(format!("{} {}.{} {} {module}{kind}", one.advisory, one.name, one.arch, one.evr.text()));
            });
        }
        out
    }

    #[test]
    fn advisories_name_their_packages() {
        let id = "ALINUX3-SA-2024:0001";
        let wanted = [
            format!("{id} openssl.x86_64 1:1.1.1k-9.al8 -"),
            format!("{id} npm.noarch 9-1 nodejs:18"),
            format!("{id} a&b.x86_64 1-2 -"),
            "B bash.x86_64 9-1 - bugfix".to_owned(),
        ];
        assert_eq!(read(&[FILE.as_bytes()]), wanted);
        let long = FILE.replace("<package name=\"no\"/>", &"<package name=\"no\"/> ".repeat(2000));
        assert_eq!(read(&[long.as_bytes()]), wanted);
        let comment = FILE.replace("<package name=\"nor\"/>", &"<package name=\"nor\"/> ".repeat(2000));
        assert_eq!(read(&[comment.as_bytes()]), wanted);
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_are_the_same(size in 1..60_usize) {
            prop_assert_eq!(read(&FILE.as_bytes().chunks(size).collect::<Vec<_>>()), read(&[FILE.as_bytes()]));
        }

        #[test]
        fn any_bytes_parse(bytes in prop::collection::vec(prop_oneof![Just(b'<'), Just(b'>'), Just(b'!'), Just(b'-'), Just(b'='), any::<u8>()], 0..300)) {
            read(&[&bytes]);
        }
    }
}
