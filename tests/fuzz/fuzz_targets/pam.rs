//! Any bytes as a file of pam.d, and as pam.conf.
#![no_main]

use hostward_checks::parse::pam::pam;
use hostward_fuzz::assert_defects;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    for with_service in [false, true] {
        let (lines, defects) = pam(input, with_service);
        assert_defects(input, &defects);
        assert!(lines.is_sorted_by_key(|line| line.line));
    }
});
