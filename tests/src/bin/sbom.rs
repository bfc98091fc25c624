//! Writes the bill of materials of a built hostward, as CycloneDX, to standard output: `sbom BINARY TARGET TIME`.
//!
//! What is linked into the program is in it and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use hostward_tests::dependencies::{PACKAGE, Package, standard, tree};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Its name in the bill. Only what comes from the registry is known to others by it.
fn reference(package: &Package, hashes: &BTreeMap<String, String>) -> String {
    let kind = if hashes.contains_key(&package.key()) { "cargo" } else { "generic" };
    // As purl writes a version that says more after a plus.
    format!("pkg:{kind}/{}@{}", package.name, package.version.replace('+', "%2B"))
}

fn component(package: &Package, kind: &str, hash: Option<&String>, hashes: &BTreeMap<String, String>) -> Value {
    let reference = reference(package, hashes);
    let hash: Vec<Value> = hash.iter().map(|hash| json!({"alg": "SHA-256", "content": hash})).collect();
    json!({
        "type": kind, "bom-ref": reference, "purl": reference, "name": package.name, "version": package.version,
        "scope": "required", "licenses": [{"expression": package.licence}], "hashes": hash,
    })
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [binary, target, time] = arguments.as_slice() else { anyhow::bail!("usage: sbom BINARY TARGET TIME") };
    let program = std::fs::read(binary).with_context(|| format!("failed to read {binary}"))?;
    let mut edges = tree(target)?;
    let standard = standard(&program)?;
    for needs in edges.values_mut() {
        needs.insert(standard.clone());
    }
    edges.insert(standard, BTreeSet::new());
    let bill = bill(&edges, &hashes()?, &program, time)?;
    serde_json::to_writer_pretty(std::io::stdout().lock(), &bill).context("failed to write")
}

/// What Cargo.lock says of each package that comes from the registry.
fn hashes() -> Result<BTreeMap<String, String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    let lock = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let lock: toml::Table = lock.parse().context("Cargo.lock is broken")?;
    let packages = lock.get("package").and_then(toml::Value::as_array).context("Cargo.lock names no package")?;
    let word = |package: &toml::Value, key: &str| Some(package.get(key)?.as_str()?.to_owned());
    Ok(packages
        .iter()
        .filter_map(|package| {
            Some((format!("{} {}", word(package, "name")?, word(package, "version")?), word(package, "checksum")?))
        })
        .collect())
}

fn bill(
    edges: &BTreeMap<Package, BTreeSet<Package>>,
    hashes: &BTreeMap<String, String>,
    program: &[u8],
    time: &str,
) -> Result<Value> {
    let itself = edges.keys().find(|package| package.name == PACKAGE).context("hostward is not in its own tree")?;
    let subject = component(itself, "application", Some(&hex(&Sha256::digest(program))), hashes);
    let others = edges.keys().filter(|package| *package != itself);
    let components: Vec<Value> =
        others.map(|package| component(package, "library", hashes.get(&package.key()), hashes)).collect();
    let needs = |all: &BTreeSet<Package>| all.iter().map(|one| reference(one, hashes)).collect::<Vec<_>>();
    let dependencies: Vec<Value> = edges
        .iter()
        .map(|(package, all)| json!({"ref": reference(package, hashes), "dependsOn": needs(all)}))
        .collect();
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"timestamp": time, "component": subject},
        "components": components,
        "dependencies": dependencies,
    }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
