#![cfg(test)]

use super::*;
use std::sync::Arc;

use proptest::prelude::*;

use crate::parse::login_defs::login_defs;
use crate::parse::security_conf::security_conf;

fn revised(name: &str, before: &str, key: &str, value: &str) -> String {
    let mut sheet = Sheet::new(Arc::from(before.as_bytes())).unwrap();
    revise(&mut sheet, Form::of(Path::new(name)), key, value);
    String::from_utf8(sheet.content()).unwrap()
}

proptest! {
    /// Whatever stands in a file: who reads it gets the value afterwards, first and last, and a second time changes nothing.
    #[test]
    fn the_value_is_read_afterwards(
        parts in prop::collection::vec(prop_oneof![
            Just("deny"), Just("DENY"), Just(" "), Just("\t"), Just("="), Just("#"), Just("\n"), Just("\r\n"), Just("\""), Just("7"), Just("x"),
        ], 0..60),
        form in 0..3_usize,
    ) {
        let name = ["login.defs", "faillock.conf", "pwquality.conf"][form];
        let before = parts.concat();
        let after = revised(name, &before, "deny", "5");
        let values: Vec<String> = if form == 0 {
            let (defs, _) = login_defs(after.as_bytes());
            defs.settings.into_iter().filter(|setting| setting.key == "deny").map(|setting| setting.value).collect()
        } else {
            let same = |key: &str| if form == 2 { key.eq_ignore_ascii_case("deny") } else { key == "deny" };
            security_conf(after.as_bytes()).into_iter().filter(|setting| same(&setting.key)).map(|setting| setting.value).collect()
        };
        prop_assert!(!values.is_empty() && values.iter().all(|value| value == "5"), "{before:?} -> {after:?}: {values:?}");
        prop_assert_eq!(revised(name, &after, "deny", "5"), after);
    }
}

#[test]
fn every_occurrence_is_set_and_the_rest_is_kept() {
    for (name, before, want) in [
        ("login.defs", "# KEY 1\nKEY\t1\r\nOTHER 2\n  KEY  3\nKEY\n", "# KEY 1\nKEY\t9\r\nOTHER 2\n  KEY  9\nKEY\n"),
        ("login.defs", "KEY 7 # days\n", "# days\nKEY 9\n"),
        ("login.defs", "KEY \"SHA\" x\n", "KEY 9\n"),
        ("login.defs", "KEYS 1\nkey 1", "KEYS 1\nkey 1\nKEY\t9\n"),
        ("login.defs", "", "KEY\t9\n"),
        ("faillock.conf", "# KEY = 1\nKEY=1  # why\nKEY 2\nkey = 3\n", "# KEY = 1\nKEY = 9  # why\nKEY = 9\nkey = 3\n"),
        ("faillock.conf", "KEY\n", "KEY = 9\n"),
        ("faillock.conf", "KEY=1#why\n", "KEY = 9 #why\n"),
        ("pwquality.conf", "key = 3\n", "KEY = 9\n"),
        ("faillock.conf", "KEY#why\n", "KEY = 9 #why\n"),
        ("login.defs", "KEY#1\n", "KEY#1\nKEY\t9\n"),
        ("pwquality.conf", "keys = 3\n", "keys = 3\nKEY = 9\n"),
    ] {
        assert_eq!(revised(name, before, "KEY", "9"), want, "{name}: {before:?}");
        assert_eq!(revised(name, want, "KEY", "9"), want, "again: {name}: {before:?}");
    }
}
