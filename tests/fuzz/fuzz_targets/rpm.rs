//! Any bytes as rpm's databases, a header and a file of advisories.
#![no_main]

use hostward_checks::parse::rpm::{berkeley, conf, header, sqlite, updateinfo::Updateinfo};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut each = |bytes: &[u8]| {
        header::package(bytes);
    };
    header::package(input);
    conf::values(input);
    conf::tables(input);
    sqlite::headers(&mut { input }, &mut each);
    berkeley::headers(&mut { input }, &mut each);
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    Updateinfo::new().feed(input, &mut |one| whole.push(one.clone()));
    let mut updateinfo = Updateinfo::new();
    for piece in input.chunks(5) {
        updateinfo.feed(piece, &mut |one| pieces.push(one.clone()));
    }
    assert_eq!(whole, pieces);
});
