//! The bill of materials: it names what is linked into the program, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use hostward_tests::results;
use serde_json::Value;

use crate::TEST;
use crate::made::{done, packages, project};

/// What cargo compiles into the program for its target, as `name version`.
fn linked() -> BTreeSet<String> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let mut command = Command::new("cargo");
    command.args([
        "tree",
        "--locked",
        "--offline",
        "-p",
        "hostward",
        "--target",
        &target,
        "-e",
        "normal,no-proc-macro",
    ]);
    let output = done(command.args(["--prefix", "none", "--no-dedupe"]).current_dir(project()));
    let text = String::from_utf8(output.stdout).unwrap();
    let key = |line: &str| {
        let (name, rest) = line.split_once(" v").unwrap();
        format!("{name} {}", rest.split_whitespace().next().unwrap())
    };
    text.lines().map(key).collect()
}

/// The packages of the registry whose source files the program itself names, in what it would say of a panic.
fn told_by(program: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(program);
    let places = text.split("/registry/src/").skip(1);
    let directories = places.filter_map(|place| place.split('/').nth(1));
    let key = |directory: &str| {
        // The version begins after the dash that a number and a full stop follow: md-5-0.11.0.
        let version = |rest: &str| rest.split_once('.').is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        let (at, _) = directory.match_indices('-').find(|(at, _)| version(&directory[at + 1..]))?;
        Some(format!("{} {}", &directory[..at], &directory[at + 1..]))
    };
    directories.filter_map(key).collect()
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// What the schema of CycloneDX 1.6 asks of the fields that are there.
fn valid(bill: &Value) {
    assert_eq!(
        (word(bill, "bomFormat"), word(bill, "specVersion"), &bill["version"]),
        ("CycloneDX", "1.6", &Value::from(1))
    );
    assert!(bill.get("serialNumber").is_none(), "nothing in it is random");
    let time = word(&bill["metadata"], "timestamp");
    assert!(time.len() == 20 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
    let components = bill["components"].as_array().unwrap();
    let mut references = BTreeSet::new();
    for component in components.iter().chain([&bill["metadata"]["component"]]) {
        assert!(["application", "library"].contains(&word(component, "type")), "{component}");
        assert!(!word(component, "name").is_empty() && !word(component, "version").is_empty(), "{component}");
        assert!(word(component, "purl").starts_with("pkg:"), "{component}");
        assert!(!word(&component["licenses"][0], "expression").contains('/'), "{component}");
        assert!(references.insert(word(component, "bom-ref")), "twice: {component}");
        for hash in component["hashes"].as_array().into_iter().flatten() {
            let content = word(hash, "content");
            assert!(word(hash, "alg") == "SHA-256" && content.len() == 64, "{component}");
            assert!(content.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)), "{component}");
        }
        // Only what comes from the registry is called by its name there, and has its hash from Cargo.lock.
        let registry = component["type"] == "library" && component["hashes"] != Value::Array(Vec::new());
        assert_eq!(word(component, "purl").starts_with("pkg:cargo/"), registry, "{component}");
    }
    let dependencies = bill["dependencies"].as_array().unwrap();
    let named: BTreeSet<&str> = dependencies.iter().map(|one| word(one, "ref")).collect();
    assert_eq!(named, references, "each has its dependencies, once");
    assert_eq!(named.len(), dependencies.len());
    let needs: BTreeMap<&str, Vec<&str>> = dependencies
        .iter()
        .map(|one| {
            (word(one, "ref"), one["dependsOn"].as_array().unwrap().iter().map(|need| need.as_str().unwrap()).collect())
        })
        .collect();
    // All of it is reached from the program.
    let mut reached = BTreeSet::new();
    let mut next = vec![word(&bill["metadata"]["component"], "bom-ref")];
    while let Some(reference) = next.pop() {
        if reached.insert(reference) {
            next.extend(&needs[reference]);
        }
    }
    assert_eq!(reached, references, "something is needed by nobody, or not named");
}

/// The bill against cargo's own answer, and against what the program says of itself.
#[test]
fn the_bill_names_what_is_linked() {
    let packages = packages();
    let bill: Value = serde_json::from_slice(&std::fs::read(packages.path(".cdx.json")).unwrap()).unwrap();
    valid(&bill);
    let components = bill["components"].as_array().unwrap().iter().chain([&bill["metadata"]["component"]]);
    let mut named: BTreeSet<String> =
        components.map(|one| format!("{} {}", word(one, "name"), word(one, "version"))).collect();
    let standard = named.iter().find(|name| name.starts_with("rust-std ")).cloned().expect("the standard library");
    named.remove(&standard);
    assert_eq!(named, linked());
    let binary = hostward_tests::binary().unwrap();
    let program = std::fs::read(&binary).unwrap();
    let told = told_by(&program);
    assert!(told.len() > 20, "{told:?}");
    assert!(told.is_subset(&named), "the bill lacks {:?}", told.difference(&named).collect::<Vec<_>>());
    let sum = String::from_utf8(done(Command::new("sha256sum").arg(&binary)).stdout).unwrap();
    assert_eq!(sum.split(' ').next(), bill["metadata"]["component"]["hashes"][0]["content"].as_str());
    results::tested(TEST, "bill", format!("{} packages and {standard}; the program names {}", named.len(), told.len()));
}

/// Each package's licence goes with the program, in the same file for all.
#[test]
fn the_licences_of_what_is_linked_go_with_it() {
    let packages = packages();
    let directory = tempfile::tempdir().unwrap();
    done(Command::new("tar").arg("-xzf").arg(packages.path(".tar.gz")).arg("-C").arg(directory.path()));
    done(Command::new("unzip").arg("-q").arg(packages.path(".zip")).arg("-d").arg(directory.path().join("plugin")));
    let find = ["-name", "THIRD-PARTY-LICENSES.gz", "-exec", "zcat", "{}", "+"];
    let output = done(Command::new("find").arg(directory.path()).args(find));
    let text = String::from_utf8(output.stdout).unwrap();
    let (first, second) = text.split_at(text.len() / 2);
    assert_eq!(first, second, "the tarball's and the plugin's");
    let (list, texts) = first.split_once("\n====").unwrap();
    let named = list.lines().filter_map(|line| line.split_once(": ")).map(|(key, _)| key.to_owned());
    let own = |key: &String| key == "hostward" || key.starts_with("hostward ") || key.starts_with("hostward-");
    let named: BTreeSet<String> = named.filter(|key| !key.starts_with("rust-std ") && !own(key)).collect();
    assert_eq!(named, linked().into_iter().filter(|key| !own(key)).collect());
    for words in ["Permission is hereby granted", "Apache License", "Rich Felker"] {
        assert!(texts.contains(words), "{words}");
    }
    results::tested(TEST, "licences", format!("{} packages, {} KiB", named.len(), first.len() / 1024));
}
