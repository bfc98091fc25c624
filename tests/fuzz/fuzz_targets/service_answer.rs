//! Any bytes as the answer of a service that was asked, whole and in parts, and as an rsyncd.conf.
#![no_main]

use hostward_checks::observation::service::{Answer, VERSION};
use hostward_checks::probe::{Context, Heard, PROBES, Step, TURNS, module_to_ask};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&first, bytes)) = input.split_first() else { return };
    let (probe, turn) = (&PROBES[usize::from(first) % PROBES.len()], first / 64 % (TURNS + 1));
    let module = module_to_ask(bytes);
    assert!(module.as_ref().is_none_or(|name| !name.contains(&b'\n') && name.len() < 256));
    let context = Context { module: module.as_deref() };
    for ended in [false, true] {
        match probe.hear(&Heard { bytes, turn, ended, context }) {
            Step::More => assert!(!ended),
            Step::Say(said) => assert!(turn < TURNS && !ended && said.len() < 4096),
            Step::Done(Answer::Open(Some(version)) | Answer::Tells(Some(version))) => {
                assert!(version.len() <= VERSION && version.bytes().all(|byte| byte.is_ascii_graphic()));
            }
            Step::Done(_) => {}
        }
    }
});
