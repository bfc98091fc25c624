//! Any bytes as wtmp, btmp and lastlog.
#![no_main]

use hostward_checks::parse::utmp;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (records, defects) = utmp::wtmp(input);
    assert!((records.len() + defects.len()) * 384 <= input.len() + 400);
    let (refused, defects) = utmp::btmp(input);
    assert!(refused.len() >= records.len() && (refused.len() + defects.len()) * 384 <= input.len() + 400);
    for wide in [false, true] {
        for record in utmp::lastlog(input, wide) {
            assert!(record.at > 0 && record.uid.is_some());
        }
    }
});
