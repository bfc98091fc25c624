//! A password among any bytes: whatever is found around it, it is never shown.
#![no_main]

use hostward_checks::parse::secrets::secrets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let half = input.len() / 2;
    let (before, after) = input.split_at(half);
    let text = [before, b"\nDB_PASSWORD=Zx9Hunter22Qy\n", after].concat();
    let lines = text.split(|byte| *byte == b'\n').count();
    for secret in secrets(&text) {
        assert!(!secret.shown.contains("Zx9Hunter22"), "{}", secret.shown);
        assert!(!secret.shown.chars().any(char::is_control), "{:?}", secret.shown);
        assert!((1..=lines + 1).contains(&(secret.line as usize)), "line {} of {lines}", secret.line);
    }
});
