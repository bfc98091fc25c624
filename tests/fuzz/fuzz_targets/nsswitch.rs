//! Any bytes as nsswitch.conf.
#![no_main]

use hostward_checks::parse::nsswitch::nsswitch;
use hostward_fuzz::assert_defects;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (_, defects) = nsswitch(input);
    assert_defects(input, &defects);
});
