//! Any bytes as what the metadata service sends.
#![no_main]

use hostward::observe::metadata::parse_answer;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Ok(answer) = parse_answer(input, 512) {
        assert!(answer.body.len() <= 512);
        assert!((100..600).contains(&answer.status));
    }
});
