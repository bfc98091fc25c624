//! Any bytes as login.defs.
#![no_main]

use hostward_checks::parse::login_defs::login_defs;
use hostward_fuzz::assert_defects;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (_, defects) = login_defs(input);
    assert_defects(input, &defects);
});
