//! The configuration of dnf and yum: values in sections (`dnf.conf(5)`, `yum.conf(5)`, `.repo` files).

use crate::check::bytes_text;

/// What is given to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The section: `main`, or the name of a repository.
    pub section: String,
    /// The key.
    pub key: String,
    /// The value; lines that go on are joined by a blank.
    pub text: String,
}

/// Reads a file. A line that is none of its kind is not there.
pub fn values(bytes: &[u8]) -> Vec<Value> {
    let (mut out, mut section) = (Vec::<Value>::new(), String::new());
    // Whether a line that begins with a blank goes on with the value before.
    let mut open = false;
    for line in bytes.split(|byte| *byte == b'\n') {
        let (text, indented) = (bytes_text(line.trim_ascii()), line.first().is_some_and(u8::is_ascii_whitespace));
        if text.starts_with(['#', ';']) {
            continue;
        }
        if indented && open && !text.is_empty() {
            if let Some(last) = out.last_mut() {
                last.text.push(' ');
                last.text.push_str(&text);
            }
            continue;
        }
        open = false;
        if let Some(name) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
            name.0.clone_into(&mut section);
        } else if let Some((key, value)) = text.split_once('=') {
            let (key, text) = (key.trim().to_owned(), value.trim().to_owned());
            out.push(Value { section: section.clone(), key, text });
            open = true;
        }
    }
    out
}

/// The items of a list, between blanks and commas.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c == ',').filter(|item| !item.is_empty())
}

/// Whether a value turns something off.
pub fn is_off(text: &str) -> bool {
    ["0", "no", "false", "off"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// One table of `versionlock.toml`, or of its like: its name, and the keys that stand in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// `packages.conditions`; empty: what stands before the first one.
    pub name: String,
    /// Keys and texts.
    pub values: Vec<(String, String)>,
}

/// Reads such a file: arrays of tables and texts in quotes, as dnf writes it, and nothing else of TOML. None: there is something else in it.
pub fn tables(bytes: &[u8]) -> Option<Vec<Table>> {
    let mut out = vec![Table { name: String::new(), values: Vec::new() }];
    for line in std::str::from_utf8(bytes).ok()?.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("[[") {
            let (name, rest) = name.split_once("]]")?;
            ends(rest)?;
            out.push(Table { name: name.trim().to_owned(), values: Vec::new() });
            continue;
        }
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        let quote = value.chars().next().filter(|c| ['"', '\''].contains(c))?;
        let (text, rest) = value.get(1..)?.split_once(quote)?;
        // An escape, or a text of several lines.
        if (quote == '"' && text.contains('\\')) || rest.starts_with(quote) {
            return None;
        }
        ends(rest)?;
        out.last_mut()?.values.push((key.trim().to_owned(), text.to_owned()));
    }
    Some(out)
}

/// Whether nothing but a comment follows.
fn ends(rest: &str) -> Option<()> {
    let rest = rest.trim_start();
    (rest.is_empty() || rest.starts_with('#')).then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_stand_in_sections() {
        let file = b"# x\n[main]\nexclude = bash,\n  kernel* openssl\n; y\n no=continuation\n[updates]\nenabled=0\n\n excludepkgs=glibc\nodd\n";
        let read: Vec<String> =
            values(file).iter().map(|one| format!("{}.{}={}", one.section, one.key, one.text)).collect();
        assert_eq!(
            read,
            ["main.exclude=bash, kernel* openssl no=continuation", "updates.enabled=0", "updates.excludepkgs=glibc"]
        );
        assert_eq!(list(" bash, kernel*\topenssl,").collect::<Vec<_>>(), ["bash", "kernel*", "openssl"]);
        assert!(is_off("False") && is_off("0") && !is_off("1") && !is_off(""));
    }

    #[test]
    fn tables_are_read_or_nothing_is() {
        let file = b"version = \"1.0\" # x\n\n[[packages]]\nname = \"bash\"\n[[packages.conditions]]\nkey = 'evr'\n";
        let read: Vec<String> =
            tables(file).unwrap().iter().map(|table| format!("{} {:?}", table.name, table.values)).collect();
        assert_eq!(
            read,
            [r#" [("version", "1.0")]"#, r#"packages [("name", "bash")]"#, r#"packages.conditions [("key", "evr")]"#]
        );
        for odd in ["[x]\n", "a = 1\n", "a = \"\"\"\nx\"\"\"\n", "a = \"\\u0041\"\n", "a = \"x\" y\n", "[[a] ]\n"] {
            assert_eq!(tables(odd.as_bytes()), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse(bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'['), Just(b']'), Just(b'='), Just(b'"'), Just(b' '), any::<u8>()], 0..200)) {
            values(&bytes);
            tables(&bytes);
        }
    }
}
