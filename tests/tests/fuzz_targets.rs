//! Every parser of untrusted bytes has a fuzz target, and every fuzz target is built.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names of the Rust files directly in a directory of this project, without `.rs`.
fn names(directory: &str) -> BTreeSet<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let names = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(".rs").map(str::to_owned)).collect()
}

#[test]
fn every_parser_is_fuzzed() {
    let (parsers, targets) = (names("../checks/src/parse"), names("fuzz/fuzz_targets"));
    let missing: Vec<&String> = parsers.difference(&targets).collect();
    assert!(missing.is_empty(), "parsers without a target in tests/fuzz/fuzz_targets: {missing:?}");
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml")).unwrap();
    for target in targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target} is not in the manifest");
    }
}
