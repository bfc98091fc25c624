#![cfg(test)]

use super::*;
use std::sync::Arc;

fn revised(name: &str, before: &str, key: &str, value: &str) -> String {
    let mut sheet = Sheet::new(Arc::from(before.as_bytes())).unwrap();
    revise(&mut sheet, Form::of(Path::new(name)), key, value);
    String::from_utf8(sheet.content()).unwrap()
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
        ("pwquality.conf", "key = 3\n", "key = 9\n"),
        ("pwquality.conf", "keys = 3\n", "keys = 3\nKEY = 9\n"),
    ] {
        assert_eq!(revised(name, before, "KEY", "9"), want, "{name}: {before:?}");
        assert_eq!(revised(name, want, "KEY", "9"), want, "again: {name}: {before:?}");
    }
}
