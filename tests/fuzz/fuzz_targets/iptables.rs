//! Any bytes as the rules that iptables-save prints, judged.
#![no_main]

use hostward_checks::observation::socket::Protocol;
use hostward_checks::parse::iptables;
use hostward_checks::parse::ruleset::{Family, Ruleset};
use hostward_fuzz::assert_defects;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut rules = Ruleset::default();
    let defects = iptables::read(input, Family::V4, &mut rules);
    assert_defects(input, &defects);
    let firewall = rules.judge("iptables");
    for port in [1, 22, 443, 65_535] {
        let said = firewall.accepts(Protocol::Tcp, port);
        assert!(firewall.filters_input || said != Some(false), "nothing drops, and yet it is shut");
    }
});
