//! What `packaging/build` makes of the binary under test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use hostward_tests::place::Place;
use hostward_tests::results;
use hostward_tests::suite::run_directory;
use tempfile::TempDir;

use crate::TEST;

/// What packs; built in a hurry, because that is all that they do.
const TOOLS: [&str; 2] = ["cargo-deb", "cargo-generate-rpm"];

/// The time that everything is to have: in seconds, and as it is written.
const EPOCH: (u32, &str) = (1_700_000_000, "2023-11-14T22:13:20Z");

/// What every test here looks at: made once, by the first that asks. The directory goes with the next run.
pub(crate) fn packages() -> &'static Packages {
    static PACKAGES: LazyLock<Packages> = LazyLock::new(make);
    &PACKAGES
}

/// What `packaging/build` made of the binary under test, and a deb of a version after it.
pub(crate) struct Packages {
    directory: TempDir,
}

impl Packages {
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, end: &str) -> PathBuf {
        let mut names = std::fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path());
        names.find(|path| path.to_string_lossy().ends_with(end)).unwrap_or_else(|| panic!("no {end} was made"))
    }
}

pub(crate) fn project() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

pub(crate) fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", Place::said(&output));
    output
}

/// Where the tools are: in the cache, not among the user's own.
fn tools() -> PathBuf {
    let tools = hostward_tests::cache().join("tools");
    let lock = std::fs::File::create(hostward_tests::cache().join("tools.lock")).unwrap();
    lock.lock().unwrap();
    for tool in TOOLS {
        if !tools.join("bin").join(tool).is_file() {
            let mut install = Command::new("cargo");
            install.args(["install", "--quiet", "--locked", "--root"]).arg(&tools).arg(tool);
            for (key, value) in [("OPT_LEVEL", "1"), ("LTO", "off"), ("CODEGEN_UNITS", "16")] {
                install.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
            }
            done(&mut install);
        }
    }
    tools
}

/// `packaging/build`, with what it would otherwise have cargo build, and with the signing key that is to be.
fn build(pages: &Path, key: Option<&Path>) -> (Packages, Output) {
    let directory = run_directory("packages").unwrap();
    let path = std::env::join_paths(
        [tools().join("bin")].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut command = Command::new(project().join("packaging/build"));
    command.arg(hostward_tests::binary().unwrap()).arg(directory.path()).env_remove("HOSTWARD_SIGNING_KEY");
    command.env("HOSTWARD_PAGES", pages).env("PATH", path.unwrap());
    command.env("HOSTWARD_SBOM", env!("CARGO_BIN_EXE_sbom")).env("HOSTWARD_NOTICES", env!("CARGO_BIN_EXE_notices"));
    command.env("SOURCE_DATE_EPOCH", EPOCH.0.to_string());
    if let Some(key) = key {
        command.env("HOSTWARD_SIGNING_KEY", key);
    }
    let output = done(&mut command);
    (Packages { directory }, output)
}

fn pages() -> TempDir {
    let pages = tempfile::tempdir().unwrap();
    done(Command::new(env!("CARGO_BIN_EXE_pages")).arg(pages.path()));
    pages
}

/// The same binary gives the same bytes; the sums are those of the files. `HOSTWARD_PACKAGES` names a directory of packages that are
/// to be tested instead.
fn make() -> Packages {
    if let Some(built) = std::env::var_os("HOSTWARD_PACKAGES") {
        let directory = run_directory("packages").unwrap();
        done(Command::new("cp").arg("-R").arg(Path::new(&built).join(".")).arg(directory.path()));
        let packages = Packages { directory };
        next(&packages);
        return packages;
    }
    let pages = pages();
    let key = pages.path().join("key");
    done(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&key));
    let ((first, said), (second, unsaid)) = (build(pages.path(), Some(&key)), build(pages.path(), None));
    let sums = |packages: &Packages| std::fs::read_to_string(packages.path("SHA256SUMS")).unwrap();
    assert_eq!(sums(&first), sums(&second), "two builds differ");
    assert_eq!(sums(&first).lines().count() + 2, std::fs::read_dir(first.directory()).unwrap().count());
    done(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(first.directory()));
    let bill = std::fs::read_to_string(first.path(".cdx.json")).unwrap();
    assert!(bill.contains(&format!("\"timestamp\": \"{}\"", EPOCH.1)), "the time is another");
    signed(&first, &key);
    assert!(!Place::said(&said).contains("is not signed"), "{}", Place::said(&said));
    assert!(Place::said(&unsaid).contains("SHA256SUMS is not signed: HOSTWARD_SIGNING_KEY names no key"));
    assert!(!second.directory().join("SHA256SUMS.sig").exists());
    let sizes: Vec<String> = [".deb", ".rpm", ".tar.gz", ".zip"]
        .iter()
        .map(|end| format!("{end} {} KiB", first.path(end).metadata().unwrap().len() / 1024))
        .collect();
    results::tested(TEST, "reproducible", format!("two builds, the same bytes: {}", sizes.join(", ")));
    next(&first);
    first
}

/// Whoever trusts the key, and nobody else's, is told by OpenSSH that the sums are as they were signed.
fn signed(packages: &Packages, key: &Path) {
    let trusted = tempfile::tempdir().unwrap();
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let sums = std::fs::read(packages.path("SHA256SUMS")).unwrap();
    let verified = |namespace: &str, sums: &[u8]| {
        let signers = trusted.path().join("allowed_signers");
        std::fs::write(&signers, format!("hostward namespaces=\"{namespace}\" {public}")).unwrap();
        std::fs::write(trusted.path().join("sums"), sums).unwrap();
        let mut command = Command::new("ssh-keygen");
        command.args(["-Y", "verify", "-n", "hostward", "-I", "hostward", "-f"]).arg(signers);
        command.arg("-s").arg(packages.path("SHA256SUMS.sig"));
        command.stdin(std::fs::File::open(trusted.path().join("sums")).unwrap()).output().unwrap().status.success()
    };
    assert!(verified("hostward", &sums), "the signature is refused");
    let mut changed = sums.clone();
    changed[0] ^= 1;
    assert!(!verified("hostward", &changed), "a changed byte is not seen");
    assert!(!verified("git", &sums), "a key that is trusted for something else is taken");
}

/// The same deb as a version after it, with another text in one of the configuration files.
fn next(packages: &Packages) {
    let tree = tempfile::tempdir().unwrap();
    let to = packages.directory.path().join("next.deb");
    let script = "dpkg-deb -R \"$1\" \"$2\"; sed -i 's/^Version: .*/&.1/' \"$2/DEBIAN/control\"
                  echo '# a later version' >>\"$2/etc/hostward/hostward.toml\"
                  dpkg-deb --root-owner-group -Zgzip -z1 -b \"$2\" \"$3\"";
    done(
        Command::new("bash")
            .args(["-ec", script, "bash"])
            .arg(packages.path("64.deb"))
            .arg(tree.path().join("t"))
            .arg(to),
    );
}
