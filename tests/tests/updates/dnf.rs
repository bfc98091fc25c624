//! What dnf would install of what is pending, with exclusions and locks of every kind, against what hostward tells.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use hostward_checks::parse::package_version::Evr;
use hostward_tests::suite::{self, Overlay, Suite, run_directory};
use hostward_tests::tier::Tier;
use hostward_tests::{results, scan};

use crate::CHECK;
use crate::updates::apt::Apt;

/// A package and its epoch; of all of them the version is 1.9.
const PACKAGES: [(&str, u64); 8] = [
    ("bash", 0),
    ("openssl", 1),
    ("glibc", 0),
    ("glibc-common", 0),
    ("kernel", 0),
    ("kernel-core", 0),
    ("sudo", 0),
    ("vim", 0),
];

/// Where releases of packages stand: which, the repository, for which packages, and whether their advisory is about security.
const RELEASES: [(u32, &str, &[&str], bool); 3] = [
    (2, "updates", &["bash", "openssl", "glibc", "glibc-common", "kernel", "kernel-core", "sudo"], true),
    (3, "updates", &["bash", "sudo", "vim"], false),
    (2, "extra", &["openssl"], true),
];

const CONF: &str = "/etc/dnf/dnf.conf";
const REPO: &str = "/etc/yum.repos.d/own.repo";
const LOCKS: &str = "/etc/dnf/plugins/versionlock.list";
const LOCKS5: &str = "/etc/dnf/versionlock.toml";

/// Lines of `dnf.conf`, of the repository `updates`, and of the repository `extra`.
const EXCLUDES: [[&str; 3]; 24] = [
    ["", "", ""],
    ["exclude=bash", "", ""],
    ["excludepkgs=bash sudo", "", ""],
    ["exclude=bash,\n  sudo", "", ""],
    ["exclude=bash\nexcludepkgs=sudo", "", ""],
    ["exclude=kernel*", "", ""],
    ["exclude=kernel-*", "", ""],
    ["exclude=*-common k[ei]rnel", "", ""],
    ["exclude=?ash", "", ""],
    ["exclude=bash.x86_64 sudo.i686 glibc*.x86_64", "", ""],
    ["exclude=bash-1.9-2", "", ""],
    ["exclude=bash-1.9-3 sudo-1.9-2.x86_64", "", ""],
    ["exclude=bash-1.9* sudo-0:1.9-* openssl-0:1.9-2", "", ""],
    ["exclude=openssl-1:1.9-2.x86_64", "", ""],
    ["exclude=1:openssl nothing glibc-1.8", "", ""],
    ["exclude=*", "", ""],
    ["", "exclude=openssl bash", ""],
    ["", "excludepkgs=openssl", "excludepkgs=openssl"],
    ["", "", "exclude=openssl"],
    ["includepkgs=bash kernel*", "", ""],
    ["includepkgs=bash", "includepkgs=sudo", ""],
    ["exclude=bash", "includepkgs=bash glibc", ""],
    ["exclude=sudo\ndisable_excludes=main", "exclude=bash", ""],
    ["exclude=sudo\ndisable_excludes=updates", "exclude=bash", ""],
];

/// Entries of the versionlock plugin of dnf 4.
const ENTRIES: [&str; 15] = [
    "# nothing\n",
    "bash-0:1.9-1.*\n",
    "# Added lock\nbash-0:1.9-1.*\nsudo-0:1.9-1.*\n",
    "bash-0:1.9-2.*\n",
    "bash-0:1.9-3.*\n",
    "bash-0:1.9-1.*\nbash-0:1.9-2.*\n",
    "!bash-0:1.9-2.*\n!bash-0:1.9-3.*\n",
    "!sudo-0:1.9-3.*\n",
    "!kernel*\n",
    "kernel*-0:1.9-1.*\n",
    "glibc\n",
    "bash-1.9*\n",
    "bash-1.8*\n",
    "openssl-1:1.9-1.*\nkernel.x86_64\n",
    "openssl-0:1.9-1.*\nglibc-1.9-1.x86_64\n",
];

/// A name and conditions: a key, a comparison and a value.
type Lock = (&'static str, &'static [[&'static str; 3]]);

/// Locks of dnf 5.
const CONDITIONS: [&[Lock]; 17] = [
    &[],
    &[("bash", &[["evr", "=", "1.9-1"]])],
    &[("bash", &[["evr", "=", "0:1.9-2"]])],
    &[("bash", &[["evr", "=", "1.9-1"]]), ("bash", &[["evr", "=", "1.9-3"]])],
    &[("sudo", &[["evr", "<", "1.9-2"]]), ("vim", &[["evr", "<", "1.9-2"]])],
    &[("sudo", &[["evr", ">=", "1.9-1"], ["evr", "<=", "1.9-2"]])],
    &[("sudo", &[["evr", "!=", "1.9-2"]])],
    &[("openssl", &[["epoch", "=", "1"]]), ("glibc", &[["epoch", ">", "1"]])],
    &[("openssl", &[["evr", "=", "1.9-2"]])],
    &[("kernel", &[["arch", "=", "i686"]]), ("kernel-core", &[["arch", "=", "x86_64"]])],
    &[("nothing", &[["evr", "=", "1.9-1"]])],
    &[("bash", &[["evr", "=", "9-9"]])],
    &[("k*", &[["evr", "<", "1.9-2"]]), ("kernel-core", &[["evr", "=", "1.9-2"]])],
    &[("bash", &[["evr", "<", "1.9"]]), ("sudo", &[["evr", "<=", "1.9"]])],
    &[("bash", &[["evr", "=", "1.9"]]), ("sudo", &[["evr", ">=", "1.9"]])],
    &[("bash", &[["evr", ">", "1.9"]]), ("sudo", &[["evr", "!=", "1.9"]]), ("openssl", &[["evr", "<", "1:2"]])],
    &[("openssl", &[["evr", "<", "2"]]), ("glibc", &[["evr", "<", "1:0"]])],
];

fn evr(release: u32, epoch: u64) -> Evr {
    Evr { epoch, version: "1.9".to_owned(), release: release.to_string() }
}

/// Builds these packages in this release.
fn build(directory: &Path, release: u32, names: &[&str]) {
    let mut spec = String::from("Name: own\nVersion: 1\nRelease: 1\nSummary: x\nLicense: x\n%description\nx\n");
    for (name, epoch) in PACKAGES.iter().filter(|(name, _)| names.contains(name)) {
        write!(spec, "%package -n {name}\nSummary: x\nEpoch: {epoch}\nVersion: 1.9\nRelease: {release}\n%description -n {name}\nx\n%files -n {name}\n").unwrap();
    }
    std::fs::create_dir_all(directory).unwrap();
    std::fs::write(directory.join("own.spec"), spec).unwrap();
    let mut command = Command::new("rpmbuild");
    command.args(["-bb", "--quiet", "--target", "x86_64", "--define", "_build_id_links none"]);
    command.arg("--define").arg(format!("_topdir {}/top", directory.display()));
    command.arg("--define").arg(format!("_rpmdir {}", directory.display())).arg(directory.join("own.spec"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The advisories of a repository.
fn advisories(repository: &str) -> String {
    let mut xml = String::from("<?xml version=\"1.0\"?>\n<updates>\n");
    for (release, _, names, security) in RELEASES.iter().filter(|one| one.1 == repository) {
        let kind = if *security { "security" } else { "bugfix" };
        write!(xml, "<update type=\"{kind}\" from=\"x\" status=\"final\" version=\"1\"><id>OWN-{repository}-{release}</id><title>x</title><pkglist><collection short=\"x\"><name>x</name>").unwrap();
        for (name, epoch) in PACKAGES.iter().filter(|(name, _)| names.contains(name)) {
            write!(xml, "<package name=\"{name}\" epoch=\"{epoch}\" version=\"1.9\" release=\"{release}\" arch=\"x86_64\" src=\"own-1-1.src.rpm\"><filename>{name}-1.9-{release}.x86_64.rpm</filename></package>").unwrap();
        }
        xml += "</collection></pkglist></update>\n";
    }
    xml + "</updates>\n"
}

/// The host below `/host`, on which release 1 of everything is installed, and its two repositories.
fn host(overlay: &Overlay) {
    let directory = run_directory("dnf").unwrap();
    let names = PACKAGES.map(|(name, _)| name);
    build(&directory.path().join("installed"), 1, &names);
    for (release, repository, names, _) in RELEASES {
        build(&directory.path().join(repository), release, names);
    }
    for (inside, from) in [("/installed", "installed"), ("/srv/updates", "updates"), ("/srv/extra", "extra")] {
        std::fs::create_dir_all(overlay.path(inside)).unwrap();
        for entry in std::fs::read_dir(directory.path().join(from).join("x86_64")).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, overlay.path(inside).join(path.file_name().unwrap())).unwrap();
        }
    }
    for repository in ["updates", "extra"] {
        overlay.write(&format!("/srv/{repository}.xml"), advisories(repository), 0o644).unwrap();
        overlay
            .shell(&format!(
                "createrepo_c --general-compress-type=gz /srv/{repository} || createrepo_c /srv/{repository}
                 cp /srv/{repository}.xml /srv/updateinfo.xml
                 modifyrepo_c --mdtype=updateinfo --compress-type=gz /srv/updateinfo.xml /srv/{repository}/repodata"
            ))
            .unwrap();
    }
    // Debian's rpm keeps its database at home, and its dnf has a repository of its own.
    overlay.write("/etc/rpm/macros", "%_dbpath /var/lib/rpm\n", 0o644).unwrap();
    overlay.write("/etc/dnf/plugins/local.conf", "[main]\nenabled = 0\n", 0o644).unwrap();
    overlay.shell("mkdir -p /host; rpm --root /host -i --noscripts /installed/*.rpm").unwrap();
}

/// Writes these files where dnf looks for them, and where it would on the host.
fn configure(overlay: &Overlay, [main, updates, extra]: [&str; 3]) {
    let conf = format!("[main]\ngpgcheck=0\nbest=0\nmodule_platform_id=platform:el8\n{main}\n");
    overlay.write(&format!("/host{CONF}"), conf, 0o644).unwrap();
    let mut repositories = String::new();
    for (name, text) in [("updates", updates), ("extra", extra)] {
        writeln!(repositories, "[{name}]\nname={name}\nbaseurl=file:///srv/{name}\nenabled=1\n{text}").unwrap();
    }
    overlay.write(&format!("/host{REPO}"), repositories, 0o644).unwrap();
}

fn dnf(overlay: &Overlay, program: &str, arguments: &[&str]) -> String {
    let mut command = overlay.command(program);
    command.args(["--installroot=/host", "--releasever=8", "--setopt=reposdir=/host/etc/yum.repos.d"]);
    if program == "dnf" {
        command.arg(format!("--config=/host{CONF}"));
    }
    let output = command.args(arguments).output().unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // It does nothing, as it was told: that is an error to it.
    let aborted = error.contains("Operation aborted") || out.contains("Operation aborted");
    assert!(output.status.success() || aborted, "{arguments:?}: {out}{error}");
    out.into_owned()
}

/// What dnf would install.
fn upgrades(overlay: &Overlay, program: &str) -> BTreeMap<String, Evr> {
    let out = dnf(overlay, program, &["--assumeno", "upgrade"]);
    let (mut found, mut installs) = (BTreeMap::new(), false);
    for line in out.lines() {
        // Of kernels there are several beside each other.
        if !line.starts_with(' ') {
            installs = ["Upgrading:", "Installing:"].contains(&line);
        }
        if !installs {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [name, "x86_64", version, ..] = words[..] {
            let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
            let (version, release) = rest.split_once('-').unwrap();
            let (version, release) = (version.to_owned(), release.to_owned());
            found.insert(name.to_owned(), Evr { epoch: epoch.parse().unwrap(), version, release });
        }
    }
    found
}

/// What hostward tells of each package.
fn told(overlay: &Overlay) -> BTreeMap<String, String> {
    let mut command = scan::offline(&overlay.path("/host")).unwrap();
    command.args(["--only", CHECK]);
    let scan = scan::json(command).unwrap();
    let check = scan.checks().find(|check| check["id"] == CHECK).unwrap();
    assert_eq!(crate::reason(&scan), "");
    let mut told = BTreeMap::new();
    for finding in check["findings"].as_array().unwrap() {
        for name in finding["params"]["packages"].as_array().unwrap() {
            let message = finding["message_id"].as_str().unwrap();
            told.insert(name.as_str().unwrap().to_owned(), message.to_owned());
        }
    }
    told
}

/// Compares the two. How many updates are kept back.
fn agrees(overlay: &Overlay, program: &str, kept: &str, what: &str) -> usize {
    let upgrades = upgrades(overlay, program);
    let pending = PACKAGES.iter().filter(|(name, _)| RELEASES.iter().any(|one| one.3 && one.2.contains(name)));
    let expected: BTreeMap<String, String> = pending
        .map(|(name, epoch)| {
            let installs = upgrades.get(*name).is_some_and(|one| one.order(&evr(2, *epoch)).is_ge());
            ((*name).to_owned(), if installs { "pending" } else { kept }.to_owned())
        })
        .collect();
    assert_eq!(told(overlay), expected, "{what}: {upgrades:?}");
    expected.values().filter(|message| *message == kept).count()
}

#[test]
fn what_dnf_was_told_not_to_install_is_kept_back() {
    let test = "updates, dnf's exclusions and locks";
    if Tier::current() == Tier::Quick {
        return;
    }
    for name in suite::chosen(&["bookworm", "trixie", "sid"]) {
        let suite = Suite::find(name).unwrap();
        let overlay = suite.overlay().unwrap();
        let five = name == "sid";
        let program = if five { "dnf5" } else { "dnf" };
        let packages: &[&str] =
            if five { &["dnf5", "rpm", "createrepo-c"] } else { &["dnf", "dnf-plugins-core", "rpm", "createrepo-c"] };
        if let Err(error) = Apt::of(&overlay).install(packages) {
            results::skipped(test, name, format!("NOT TESTED: no dnf: {error:#}"));
            continue;
        }
        host(&overlay);
        configure(&overlay, [""; 3]);
        dnf(&overlay, program, &["makecache"]);
        let (mut excluded, mut locked) = (0, 0);
        for lines in EXCLUDES {
            configure(&overlay, lines);
            excluded += agrees(&overlay, program, "preferences", &format!("{name}, {lines:?}"));
        }
        configure(&overlay, [""; 3]);
        let entries = if five { CONDITIONS.len() } else { ENTRIES.len() };
        for at in 0..entries {
            let (path, text) = if five { (LOCKS5, toml(CONDITIONS[at])) } else { (LOCKS, ENTRIES[at].to_owned()) };
            // dnf 4 takes its plugins' configuration from where it runs.
            overlay.write(path, &text, 0o644).unwrap();
            overlay.write(&format!("/host{path}"), &text, 0o644).unwrap();
            if !five {
                let conf = format!("[main]\nenabled = 1\nlocklist = {LOCKS}\n");
                overlay.write("/etc/dnf/plugins/versionlock.conf", &conf, 0o644).unwrap();
                overlay.write("/host/etc/dnf/plugins/versionlock.conf", &conf, 0o644).unwrap();
            }
            locked += agrees(&overlay, program, "held", &format!("{name}, {text}"));
        }
        let version = overlay.shell(&format!("{program} --version | head -n 1")).unwrap();
        let figures = format!(
            "dnf {}: {} configurations, {excluded} updates excluded, {entries} lists of locks, {locked} locked, as `upgrade` has it",
            version.split_whitespace().last().unwrap_or_default(),
            EXCLUDES.len()
        );
        assert!(excluded > 20 && locked > 5, "{figures}");
        results::tested(test, name, figures);
    }
}

fn toml(locks: &[Lock]) -> String {
    let mut text = String::from("version = \"1.0\"\n");
    for (name, conditions) in locks {
        writeln!(text, "\n[[packages]]\nname = \"{name}\"").unwrap();
        for [key, comparator, value] in *conditions {
            writeln!(
                text,
                "[[packages.conditions]]\nkey = \"{key}\"\ncomparator = \"{comparator}\"\nvalue = \"{value}\""
            )
            .unwrap();
        }
    }
    text
}
