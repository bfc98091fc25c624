//! Any bytes as a package list, a release file, preferences and configuration of apt's.
#![no_main]

use hostward_checks::parse::apt::{conf, paragraphs, preferences, release};

const FIELDS: &[&str; 2] = &["Package", "Version"];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut paragraphs, mut out) = (paragraphs::Paragraphs::new(FIELDS), Vec::new());
        let mut each = |one: &paragraphs::Paragraph<'_>| {
            out.push(FIELDS.map(|name| one.get(name).map(str::to_owned)));
        };
        for piece in pieces {
            paragraphs.feed(piece, &mut each);
        }
        paragraphs.end(&mut each);
        out
    };
    assert_eq!(read(&mut std::iter::once(input)), read(&mut input.chunks(3)));
    release::release(input);
    conf::value(input, "APT::Default-Release");
    let pins = preferences::preferences(input);
    let package = preferences::Package { name: "bash", source: "bash", architecture: "amd64", native: true };
    preferences::Priority::of(&pins, &package, "5.2-1", None).value();
    pins.iter().any(|pin| pin.is_unclear(&package));
});
