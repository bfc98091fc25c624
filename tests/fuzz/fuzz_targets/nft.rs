//! Any bytes as the rules that nft prints, judged.
#![no_main]

use hostward_checks::observation::socket::Protocol;
use hostward_checks::parse::nft;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (read, defects) = nft::read(input);
    assert!(defects.len() <= 1);
    let firewall = read.rules.judge("nftables");
    for port in [1, 22, 443, 65_535] {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let said = firewall.accepts(protocol, port);
            assert!(firewall.filters_input || said != Some(false), "nothing drops, and yet it is shut");
        }
    }
});
