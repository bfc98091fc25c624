//! An AccessKey among any bytes: whatever is found around it, nothing of it is shown but four characters and two.
#![no_main]

use hostward_checks::access_keys::{Form, scan};
use hostward_checks::parse::access_key::{access_keys, masked};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (before, after) = input.split_at(input.len() / 2);
    let text = [before, b"\nid=LTAI5tQ7xKp2VmZs9RwGd3Hc secret=Jz4mXq8Wv2TkRb6NpYd9LsGh3CfQx1\n", after].concat();
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    let (keys, defects) = access_keys(&text);
    assert!(!defects.is_empty() || keys.iter().any(|key| key.shown == "LTAI****Hc"), "it is not found");
    for key in &keys {
        assert!(key.shown.len() == 10 && key.shown.get(4..8) == Some("****"), "{}", key.shown);
        assert!(key.lines.iter().all(|line| (1..=lines).contains(&(*line as usize))), "{:?} of {lines}", key.lines);
    }
    let name = String::from_utf8_lossy(&text);
    assert!(!masked(&name).contains("5tQ7xKp2VmZs9RwGd3Hc"));
    for form in [Form::Text, Form::Unit, Form::UserData] {
        let _ = scan(form, input);
    }
});
