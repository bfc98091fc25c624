//! Any bytes as pwquality.conf or faillock.conf.
#![no_main]

use hostward_checks::parse::security_conf::security_conf;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    assert!(security_conf(input).iter().all(|setting| !setting.key.contains(['=', '#', '\n'])));
});
