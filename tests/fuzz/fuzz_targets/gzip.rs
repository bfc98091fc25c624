//! Any bytes as what gzip unpacks: what comes out is bounded by what is asked for.
#![no_main]

use std::io::Read;

use hostward_checks::parse::gzip::Gzip;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = std::io::copy(&mut Gzip::new(input).take(1 << 20), &mut std::io::sink());
});
