//! Any bytes as lines of a log: who logged in is never somebody whom the line does not name.
#![no_main]

use hostward_checks::observation::login::Teller;
use hostward_checks::parse::sshd_log::{Clock, Line, line};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let clock = Clock { now: 1_780_000_000, offset: 28_800, teller: Teller::Log };
    for bytes in input.split(|byte| *byte == b'\n') {
        if let Line::Accepted(login) = line(bytes, &clock) {
            let text = hostward_checks::check::bytes_text(bytes);
            assert!(login.source.is_some());
            assert!(text.contains(&format!("Accepted {} for {} from ", login.method, login.user)));
            assert!(["sshd[", "sshd-session[", "sshd-auth["].iter().any(|program| text.contains(program)) || text.starts_with('<'));
        }
    }
});
