//! Any bytes as a file of sudoers.
#![no_main]

use hostward_checks::parse::sudoers::sudoers;
use hostward_fuzz::assert_defects;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (file, defects) = sudoers(input);
    assert_defects(input, &defects);
    assert!(file.statements.is_sorted_by_key(|statement| statement.line));
});
