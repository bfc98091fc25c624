//! Test harness of hostward: root file systems, booted hosts, a fake metadata service, real logins and generated configurations.
//!
//! Nothing here outlives the test process, killed or not: mounts and network namespaces belong to threads of the process,
//! hosts run in a process namespace that dies with it.

pub mod access_key_corpus;
pub mod assistant;
pub mod cgroup;
pub mod crossing;
pub mod dependencies;
pub mod dhcp;
pub mod docker;
pub mod host;
pub mod imds;
pub mod iptables_gen;
pub mod keys;
pub mod listen;
pub mod machine;
pub mod netns;
pub mod place;
pub mod recording;
pub mod resident;
pub mod results;
pub mod rng;
pub mod ruleset_gen;
pub mod scan;
pub mod silent;
pub mod ssh;
pub mod sshd_gen;
pub mod sshd_oracle;
pub mod state;
pub mod static_build;
pub mod suite;
pub mod suite_rules;
pub mod tier;
pub mod transact;
pub mod verdicts;

use std::path::{Path, PathBuf};

use anyhow::Context;

/// The directory of cached root file systems: `HOSTWARD_TEST_CACHE`, else `/var/tmp/hostward-tests`.
#[must_use]
pub fn cache() -> PathBuf {
    std::env::var_os("HOSTWARD_TEST_CACHE").map_or_else(|| PathBuf::from("/var/tmp/hostward-tests"), PathBuf::from)
}

/// The `hostward` binary under test: `HOSTWARD_BIN` (static, set by `tests/run`), else the last one that was built.
///
/// # Errors
/// There is none.
pub fn binary() -> anyhow::Result<PathBuf> {
    machine::begin();
    if let Some(path) = std::env::var_os("HOSTWARD_BIN") {
        return Ok(PathBuf::from(path));
    }
    let target = concat!(env!("CARGO_MANIFEST_DIR"), "/../target");
    let built =
        ["debug/hostward", "x86_64-unknown-linux-musl/release/hostward"].map(|path| Path::new(target).join(path));
    let age = |path: &PathBuf| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let last = built.into_iter().filter(|path| path.is_file()).max_by_key(age);
    let last = last.context("there is no hostward binary: run tests/run, or cargo build -p hostward")?;
    Ok(last.canonicalize()?)
}
