//! Any bytes as the files of /proc: processes choose their own names.
#![no_main]

use hostward_checks::observation::socket::Protocol;
use hostward_checks::parse::procfs::{cgroup, net_table, replaced_libraries, stat};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = (stat(input), cgroup(input), replaced_libraries(input));
    let lines = input.split(|byte| *byte == b'\n').count();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let (listeners, unread) = net_table(input, protocol);
        assert!(listeners.len() + unread <= lines);
    }
});
