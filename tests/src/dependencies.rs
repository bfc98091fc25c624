//! What is linked into the program: the packages that cargo compiles into it for a target, and the standard library.
//!
//! No build tools, no macros, nothing of the tests. Tools that read `cargo metadata` see the features of the whole workspace
//! joined; `cargo tree` sees one package's.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The package whose program it is.
pub const PACKAGE: &str = "hostward";
/// How rustc signs what it compiles.
const COMPILER: &str = "rustc version ";

/// One package of the tree, as cargo prints it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, as an expression of SPDX.
    pub licence: String,
}

impl Package {
    /// Name and version, as Cargo.lock tells packages apart.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

/// Which package needs which, for the program alone.
///
/// # Errors
/// Cargo fails, or prints what is not understood.
pub fn tree(target: &str) -> Result<BTreeMap<Package, BTreeSet<Package>>> {
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

/// The standard library, with the C library that it brings for musl: the program says which compiler's it is.
///
/// # Errors
/// It does not say so.
pub fn standard(program: &[u8]) -> Result<Package> {
    let at = program.windows(COMPILER.len()).position(|window| window == COMPILER.as_bytes());
    let text =
        at.and_then(|at| program.get(at + COMPILER.len()..)).context("the program does not say what compiled it")?;
    let end = text.iter().position(|byte| matches!(byte, b' ' | 0)).unwrap_or(text.len());
    let version = String::from_utf8_lossy(text.get(..end).unwrap_or_default()).into_owned();
    Ok(Package { name: "rust-std".to_owned(), version, licence: "(MIT OR Apache-2.0) AND MIT".to_owned() })
}
