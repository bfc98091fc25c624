//! Any bytes as what lz4 unpacks: what comes out is bounded by what is asked for.
#![no_main]

use std::io::Read;

use hostward_checks::parse::lz4::Lz4;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = std::io::copy(&mut Lz4::new(input).take(1 << 20), &mut std::io::sink());
});
