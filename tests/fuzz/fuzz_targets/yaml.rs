//! Any bytes as a cloud-init configuration.
#![no_main]

use hostward_checks::parse::yaml::parse;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (node, defects) = parse(input);
    assert!(node.is_none() || defects.is_empty(), "a tree beside {defects:?}");
    assert!(defects.len() <= 1);
});
