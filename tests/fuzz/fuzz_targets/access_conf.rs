//! Any bytes as pam_access's access.conf.
#![no_main]

use hostward_checks::parse::access_conf;
use hostward_fuzz::assert_defects;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (lines, defects) = access_conf::parse(input);
    assert_defects(input, &defects);
    assert!(lines.windows(2).all(|pair| pair[0].line < pair[1].line), "lines are in order");
    let _ = access_conf::patterns(&lines);
});
