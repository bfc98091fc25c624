//! Any text as a policy: mistakes have a place in it, and what has none has one digest.
#![no_main]

use hostward::config::{digest, policy_from};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match policy_from(text) {
        Ok(policy) => assert_eq!(digest(&policy), digest(&policy.clone())),
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(problem.place.is_some_and(|(line, column)| line >= 1 && column >= 1), "{problem}");
            }
        }
    }
});
