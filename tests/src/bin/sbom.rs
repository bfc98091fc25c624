//! Writes the bill of materials of a built hostward, as CycloneDX, to standard output: `sbom BINARY TARGET TIME`.
//!
//! What cargo compiles into the program for that target is in it and nothing else: no build tools, no macros, nothing of the
//! tests. Tools that read `cargo metadata` see the features of the whole workspace joined; `cargo tree` sees one package's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The package whose program it is.
const PACKAGE: &str = "hostward";
/// How rustc signs what it compiles.
const COMPILER: &str = "rustc version ";

/// One package of the tree, as cargo prints it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    licence: String,
}

impl Package {
    /// Its name in the bill. Only what comes from the registry is known to others by it.
    fn reference(&self, hashes: &BTreeMap<String, String>) -> String {
        let kind = if hashes.contains_key(&self.key()) { "cargo" } else { "generic" };
        // As purl writes a version that says more after a plus.
        format!("pkg:{kind}/{}@{}", self.name, self.version.replace('+', "%2B"))
    }

    fn key(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    fn component(&self, kind: &str, hash: Option<&String>, hashes: &BTreeMap<String, String>) -> Value {
        let reference = self.reference(hashes);
        let hash: Vec<Value> = hash.iter().map(|hash| json!({"alg": "SHA-256", "content": hash})).collect();
        json!({
            "type": kind, "bom-ref": reference, "purl": reference, "name": self.name, "version": self.version,
            "scope": "required", "licenses": [{"expression": self.licence}], "hashes": hash,
        })
    }
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

/// Which package needs which, for the program alone.
fn tree(target: &str) -> Result<BTreeMap<Package, BTreeSet<Package>>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--locked", "--offline", "--package", PACKAGE, "--target", target])
        .args(["--edges", "normal,no-proc-macro", "--prefix", "depth", "--format", "\t{p}\t{l}\t"])
        .output()
        .context("failed to run cargo")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let mut edges: BTreeMap<Package, BTreeSet<Package>> = BTreeMap::new();
    let mut above: Vec<Package> = Vec::new();
    for line in text.lines() {
        let (depth, package) = parsed(line).with_context(|| format!("cargo tree says {line:?}"))?;
        above.truncate(depth);
        if let Some(parent) = above.last() {
            edges.entry(parent.clone()).or_default().insert(package.clone());
        }
        edges.entry(package.clone()).or_default();
        above.push(package);
    }
    Ok(edges)
}

/// A line of `cargo tree`: the depth, the package, its licence.
fn parsed(line: &str) -> Option<(usize, Package)> {
    let mut fields = line.split('\t');
    let depth = fields.next()?.parse().ok()?;
    let (name, rest) = fields.next()?.split_once(" v")?;
    let version = rest.split_whitespace().next()?;
    // The old way to write "or", which is none of SPDX's.
    let licence = fields.next()?.replace('/', " OR ");
    Some((depth, Package { name: name.to_owned(), version: version.to_owned(), licence }))
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
    let subject = itself.component("application", Some(&hex(&Sha256::digest(program))), hashes);
    let others = edges.keys().filter(|package| *package != itself);
    let components: Vec<Value> =
        others.map(|package| package.component("library", hashes.get(&package.key()), hashes)).collect();
    let needs = |all: &BTreeSet<Package>| all.iter().map(|one| one.reference(hashes)).collect::<Vec<_>>();
    let dependencies: Vec<Value> =
        edges.iter().map(|(package, all)| json!({"ref": package.reference(hashes), "dependsOn": needs(all)})).collect();
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

/// The standard library, with the C library that it brings for musl: the program says which compiler's it is.
fn standard(program: &[u8]) -> Result<Package> {
    let at = program.windows(COMPILER.len()).position(|window| window == COMPILER.as_bytes());
    let text =
        at.and_then(|at| program.get(at + COMPILER.len()..)).context("the program does not say what compiled it")?;
    let end = text.iter().position(|byte| matches!(byte, b' ' | 0)).unwrap_or(text.len());
    let version = String::from_utf8_lossy(text.get(..end).unwrap_or_default()).into_owned();
    Ok(Package { name: "rust-std".to_owned(), version, licence: "(MIT OR Apache-2.0) AND MIT".to_owned() })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
