//! Writes the licences of what is linked into a built hostward to standard output: `notices BINARY TARGET`.
//!
//! Each package with its licence, and the texts that it comes with, each text once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hostward_tests::dependencies::{PACKAGE, Package, standard, tree};
use serde_json::Value;

/// How the names of such files begin, in capitals.
const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
/// So deep in a package's directory they are looked for.
const DEPTH: usize = 3;
/// The C library that the standard library brings along, and under what its texts stand.
const MUSL: &str = "Copyright (c) 2005-2020 Rich Felker, et al.";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [binary, target] = arguments.as_slice() else { anyhow::bail!("usage: notices BINARY TARGET") };
    let program = fs::read(binary).with_context(|| format!("failed to read {binary}"))?;
    let homes = homes()?;
    let mut packages = Vec::new();
    for package in tree(target)?.into_keys().filter(|package| !is_own(package)) {
        let home =
            homes.get(&package.key()).with_context(|| format!("cargo does not say where {} is", package.key()))?;
        let mut texts = BTreeMap::new();
        collect(home, home, DEPTH, &mut texts)?;
        ensure!(!texts.is_empty(), "{} comes without the text of its licence: {}", package.key(), package.licence);
        packages.push((package, texts.into_values().collect()));
    }
    packages.push((standard(&program)?, standard_texts()?));
    std::io::stdout().lock().write_all(written(&packages)?.as_bytes()).context("failed to write")
}

fn is_own(package: &Package) -> bool {
    package.name == PACKAGE || package.name.starts_with("hostward-")
}

/// Where each package's files are.
fn homes() -> Result<BTreeMap<String, PathBuf>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .output()
        .context("failed to run cargo")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("cargo metadata names no package")?;
    let word = |package: &Value, key: &str| package.get(key).and_then(Value::as_str).map(str::to_owned);
    let home = |package: &Value| {
        let key = format!("{} {}", word(package, "name")?, word(package, "version")?);
        Some((key, Path::new(&word(package, "manifest_path")?).parent()?.to_owned()))
    };
    Ok(packages.iter().filter_map(home).collect())
}

/// The texts in a directory and below it, by their path in the package.
fn collect(home: &Path, directory: &Path, depth: usize, texts: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("failed to read {}", directory.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if depth > 1 {
                collect(home, &path, depth - 1, texts)?;
            }
        } else if NAMES.iter().any(|begin| name.starts_with(begin)) && !name.ends_with(".RS") {
            let text = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
            let text = String::from_utf8_lossy(&text).replace("\r\n", "\n").trim().to_owned();
            texts.insert(path.strip_prefix(home)?.to_owned(), text);
        }
    }
    Ok(())
}

/// The standard library's licences are this project's own; the C library's is the second of them, by others.
fn standard_texts() -> Result<Vec<String>> {
    let own = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
        fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
    };
    let mit = own("LICENSE-MIT")?;
    let ours = mit.lines().find(|line| line.starts_with("Copyright")).context("LICENSE-MIT names nobody")?;
    let rust = mit.replace(ours, "Copyright (c) The Rust Project Developers");
    Ok([own("LICENSE-APACHE")?, rust, mit.replace(ours, MUSL)].map(|text| text.trim().to_owned()).into())
}

fn written(packages: &[(Package, Vec<String>)]) -> Result<String> {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    let mut out = String::from(
        "hostward itself is under MIT or Apache-2.0, as you choose. Linked into the program are these packages; the numbers are those of \
         the texts below.\n\n",
    );
    for (package, texts) in packages {
        let mut these = Vec::new();
        for text in texts {
            let number = *numbers.entry(text).or_insert_with(|| {
                order.push(text);
                order.len()
            });
            these.push(number.to_string());
        }
        writeln!(out, "{}: {} ({})", package.key(), package.licence, these.join(", "))?;
    }
    for (number, text) in (1..).zip(order) {
        write!(out, "\n{:=<100}\n{number}\n\n{text}\n", "")?;
    }
    Ok(out)
}
