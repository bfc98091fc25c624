//! Any bytes as the rules of both families together: what they do with every port is the same however often it is asked.
#![no_main]

use hostward_checks::parse::iptables;
use hostward_checks::parse::ruleset::{Family, Ruleset};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (four, six) = input.split_at(input.len() / 2);
    let mut rules = Ruleset::default();
    let _ = iptables::read(four, Family::V4, &mut rules);
    let _ = iptables::read(six, Family::V6, &mut rules);
    assert_eq!(rules.judge("iptables"), rules.judge("iptables"));
});
