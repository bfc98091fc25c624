//! Any bytes as a file that may hold a private key.
#![no_main]

use hostward_checks::parse::private_key::find;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = find(input);
});
