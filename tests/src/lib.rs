//! Test harness of hostward: root file systems, booted hosts, a fake metadata service, real logins and generated configurations.
//!
//! Nothing here outlives the test process, killed or not: mounts and network namespaces belong to threads of the process,
//! hosts run in a process namespace that dies with it.

pub mod cgroup;
pub mod host;
pub mod imds;
pub mod netns;
pub mod results;
pub mod ssh;
pub mod suite;
pub mod tier;

use std::path::PathBuf;

/// The directory of cached root file systems: `HOSTWARD_TEST_CACHE`, else `/var/tmp/hostward-tests`.
#[must_use]
pub fn cache() -> PathBuf {
    std::env::var_os("HOSTWARD_TEST_CACHE").map_or_else(|| PathBuf::from("/var/tmp/hostward-tests"), PathBuf::from)
}

/// The `hostward` binary under test: `HOSTWARD_BIN` (static, set by `tests/run`), else the last static release build.
///
/// # Errors
/// Neither exists.
pub fn binary() -> anyhow::Result<PathBuf> {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/x86_64-unknown-linux-musl/release/hostward");
    let path = std::env::var_os("HOSTWARD_BIN").map_or_else(|| PathBuf::from(built), PathBuf::from);
    anyhow::ensure!(
        path.is_file(),
        "{} is missing: run tests/run, or cargo build --release --target x86_64-unknown-linux-musl -p hostward",
        path.display()
    );
    Ok(path)
}
