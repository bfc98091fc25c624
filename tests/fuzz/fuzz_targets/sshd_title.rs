//! Any bytes as the command line of an sshd.
#![no_main]

use hostward_checks::parse::sshd_title;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Some(argv) = sshd_title::argv(input) {
        assert!(!argv.is_empty());
        assert!(argv.iter().map(Vec::len).sum::<usize>() <= input.len());
    }
});
