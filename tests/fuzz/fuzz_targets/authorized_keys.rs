//! Any bytes as an authorized_keys file, each key with its options put to use.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use hostward_checks::parse::authorized_keys;
use hostward_fuzz::assert_defects;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (lines, defects) = authorized_keys::parse(input);
    assert_defects(input, &defects);
    for line in &lines {
        let options = line.options();
        for from in options.from.iter() {
            let _ = from.admits("10.1.2.3", IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)));
        }
    }
});
