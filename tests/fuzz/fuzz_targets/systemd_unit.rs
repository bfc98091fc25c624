//! Any bytes as a systemd unit, as its command line, and as an environment file.
#![no_main]

use hostward_checks::parse::systemd_unit::{commands, environment_file, parse};
use hostward_fuzz::assert_defects;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (unit, defects) = parse(input);
    assert_defects(input, &defects);
    let environment = environment_file(input);
    for value in unit.values("Service", "ExecStart").into_iter().chain([input]) {
        assert!(commands(value, &environment).iter().all(|command| !command.is_empty()));
    }
});
