//! Any bytes as a file of sysctl.d.
#![no_main]

use hostward_checks::parse::sysctl::sysctl;
use hostward_fuzz::assert_defects;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (assignments, defects) = sysctl(input);
    assert_defects(input, &defects);
    assert!(assignments.is_sorted_by_key(|assignment| assignment.line));
});
