//! Any bytes as each of the account databases.
#![no_main]

use hostward_checks::parse::passwd::{group, gshadow, passwd, shadow};
use hostward_fuzz::assert_defects;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    for defects in [passwd(input).1, shadow(input).1, group(input).1, gshadow(input).1] {
        assert_defects(input, &defects);
    }
});
