//! Any bytes as user data, packed or not; and the secrets in what comes out.
#![no_main]

use hostward_checks::parse::secrets::secrets;
use hostward_checks::parse::user_data::parts;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (parts, _) = parts(input);
    assert!(parts.len() <= 64);
    for part in parts.iter().take(4) {
        let _ = secrets(&part.text);
    }
});
