//! `KEY = VALUE` files of PAM modules: `pwquality.conf(5)`, `faillock.conf(5)`, `pwhistory.conf(5)`.

use crate::check::bytes_text;

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The line, from 1.
    pub line: u32,
    /// The key.
    pub key: String,
    /// The value; empty for a flag.
    pub value: String,
}

/// Parses such a file. A comment begins anywhere; the key ends at a blank or `=`.
pub fn security_conf(bytes: &[u8]) -> Vec<Setting> {
    let setting = |(line, text): (u32, &[u8])| {
        let text = bytes_text(text.split(|byte| *byte == b'#').next().unwrap_or_default());
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let end = text.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(text.len());
        let (key, rest) = text.split_at_checked(end)?;
        let rest = rest.trim_start();
        let value = rest.strip_prefix('=').unwrap_or(rest).trim();
        Some(Setting { line, key: key.to_owned(), value: value.to_owned() })
    };
    (1..).zip(bytes.split(|byte| *byte == b'\n')).filter_map(setting).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_values_and_flags() {
        let list = security_conf(b"# x\nminlen = 9\nminclass=3 # y\n  deny 5\nenforce_for_root\n\n= 3\n");
        let brief: Vec<_> = list.iter().map(|s| (s.line, s.key.as_str(), s.value.as_str())).collect();
        assert_eq!(
            brief,
            [(2, "minlen", "9"), (3, "minclass", "3"), (4, "deny", "5"), (5, "enforce_for_root", ""), (7, "", "3")]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_parse(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for setting in security_conf(&bytes) {
                prop_assert!(!setting.key.contains(['=', '#', '\n']));
            }
        }
    }
}
