//! `login.defs(5)` as shadow-utils reads it (`lib/getdef.c`).

use crate::check::bytes_text;
use crate::parse::Defect;

/// A setting of login.defs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The line, from 1.
    pub line: u32,
    /// The key, e.g. `PASS_MAX_DAYS`.
    pub key: String,
    /// The value: the rest of the line up to a quote, a trailing comment included, for that is how it is read.
    pub value: String,
}

/// All settings of a login.defs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginDefs {
    /// In file order; of a repeated key the last holds.
    pub settings: Vec<Setting>,
}

impl LoginDefs {
    /// The setting that holds for a key.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().rev().find(|setting| setting.key == key)
    }

    /// A number, as `getdef_num` and `getdef_long` read it (`strtol(3)` with base 0). None: not set, or not a number, which shadow-utils
    /// answers with its default.
    pub fn number(&self, key: &str) -> Option<i64> {
        strtol(&self.get(key)?.value)
    }

    /// Whether a key says `yes`, as `getdef_bool` reads it.
    pub fn yes(&self, key: &str) -> bool {
        self.get(key).is_some_and(|setting| setting.value.eq_ignore_ascii_case("yes"))
    }
}

/// Parses login.defs.
pub fn login_defs(bytes: &[u8]) -> (LoginDefs, Vec<Defect>) {
    let (mut defs, mut defects) = (LoginDefs::default(), Vec::new());
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let text = text.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        let Some(end) = text.iter().position(|byte| b" \t".contains(byte)) else {
            defects.push(Defect { line, what: "has a key and no value".to_owned() });
            continue;
        };
        let (key, rest) = text.split_at_checked(end).unwrap_or((text, b""));
        let start = rest.iter().position(|byte| !b" \t\"".contains(byte)).unwrap_or(rest.len());
        let value = rest.get(start..).unwrap_or_default().split(|byte| *byte == b'"').next().unwrap_or_default();
        let setting = Setting { line, key: bytes_text(key), value: bytes_text(value) };
        if NUMBERS.contains(&setting.key.as_str()) && strtol(&setting.value).is_none() {
            defects.push(Defect { line, what: format!("the value of {} is no number", setting.key) });
        }
        defs.settings.push(setting);
    }
    (defs, defects)
}

/// Keys that hostward reads as numbers.
const NUMBERS: [&str; 10] = [
    "PASS_MAX_DAYS",
    "PASS_MIN_DAYS",
    "PASS_WARN_AGE",
    "UID_MIN",
    "UID_MAX",
    "SYS_UID_MIN",
    "SYS_UID_MAX",
    "SHA_CRYPT_MIN_ROUNDS",
    "SHA_CRYPT_MAX_ROUNDS",
    "YESCRYPT_COST_FACTOR",
];

/// `strtol(3)` with base 0 on the whole text.
pub(crate) fn strtol(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().split_first()? {
        (b'-', _) => (true, text.get(1..)?),
        (b'+', _) => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, digits.get(2..)?),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let value = i64::from_str_radix(digits, radix).ok()?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_value_holds_and_a_trailing_comment_spoils_a_number() {
        let (defs, defects) = login_defs(
            b"# PASS_MAX_DAYS 1\nPASS_MAX_DAYS\t99999\n  PASS_MAX_DAYS 90 \nPASS_MIN_DAYS 7 # days\nENCRYPT_METHOD \"SHA512\" x\nALONE\n\
              UID_MIN 0x10\nSYS_UID_MIN 010\nUSERGROUPS_ENAB YES\n",
        );
        assert_eq!(defs.number("PASS_MAX_DAYS"), Some(90));
        assert_eq!(defs.get("PASS_MAX_DAYS").unwrap().line, 3);
        assert_eq!(defs.number("PASS_MIN_DAYS"), None);
        assert_eq!(defs.get("ENCRYPT_METHOD").unwrap().value, "SHA512");
        assert_eq!((defs.number("UID_MIN"), defs.number("SYS_UID_MIN")), (Some(16), Some(8)));
        assert!(defs.yes("USERGROUPS_ENAB") && !defs.yes("NONE"));
        assert_eq!(defects.iter().map(|d| d.line).collect::<Vec<_>>(), [4, 6]);
    }

    #[test]
    fn numbers_as_strtol_reads_them() {
        for (text, want) in [
            ("-1", Some(-1)),
            ("+5", Some(5)),
            ("0", Some(0)),
            ("0x1f", Some(31)),
            ("017", Some(15)),
            ("08", None),
            ("", None),
            ("-", None),
            ("--1", None),
            ("0x", None),
            ("9999999999999999999", None),
        ] {
            assert_eq!(strtol(text), want, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse(bytes in prop::collection::vec(prop_oneof![Just(b' '), Just(b'"'), Just(b'\n'), any::<u8>()], 0..300)) {
            let (defs, _) = login_defs(&bytes);
            for setting in &defs.settings {
                prop_assert!(!setting.key.is_empty());
                let _ = defs.number(&setting.key);
            }
        }
    }
}
