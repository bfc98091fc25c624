//! RPM systems: databases that rpm itself wrote, and advisories of our own, against what rpm says is installed and newer.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use hostward_checks::parse::package_version;
use hostward_tests::rng::Rng;
use hostward_tests::suite::{Suite, run_directory};
use hostward_tests::tier::Tier;
use hostward_tests::{results, scan};

use crate::updates::apt::Apt;
use crate::{CHECK, reason, text, told};

/// Installed packages: name, epoch, version, release, and the module's label.
const PACKAGES: [(&str, u32, &str, &str, &str); 8] = [
    ("bash", 0, "4.4.20", "4.al8", ""),
    ("openssl", 1, "1.1.1k", "9.al8", ""),
    ("glibc", 0, "2.32", "1.19.al8", ""),
    ("sudo", 0, "1.9.5p2", "1.0.1.al8", ""),
    ("curl", 0, "7.61.1~rc1", "1.al8", ""),
    ("kernel", 0, "5.10.134", "16.1.al8", ""),
    ("npm", 0, "9.5.1", "1.module+al8", "nodejs:18:8060:abc"),
    ("python", 0, "3.6.8^20240101", "51.al8", ""),
];

/// What advisories mend: package, epoch, version, release, module. `1`: security.
const ADVISORIES: [(&str, u32, &str, &str, &str, bool); 12] = [
    ("bash", 0, "4.4.20", "10.al8", "", true),
    ("bash", 0, "4.4.20", "11.al8", "", false),
    ("openssl", 0, "9.9", "1.al8", "", true),
    ("openssl", 1, "1.1.1k", "12.al8", "", true),
    ("glibc", 0, "2.32", "1.19.al8", "", true),
    ("sudo", 0, "1.9.5p10", "1.al8", "", true),
    ("curl", 0, "7.61.1", "1.al8", "", true),
    ("kernel", 0, "5.10.134", "9.al8", "", true),
    ("npm", 0, "10.1", "1.module+al8", "nodejs:20", true),
    ("npm", 0, "9.6", "1.module+al8", "nodejs:18", true),
    ("python", 0, "3.6.8", "99.al8", "", true),
    ("absent", 0, "9", "9", "", true),
];

/// The packages, built by rpmbuild into a directory. One has thousands of files, so that its header takes pages.
fn build(directory: &Path) {
    let mut spec = String::from("Name: own\nVersion: 1\nRelease: 1\nSummary: x\nLicense: x\n%description\nx\n");
    for (name, epoch, version, release, module) in PACKAGES {
        let module = if module.is_empty() { String::new() } else { format!("ModularityLabel: {module}\n") };
        write!(spec, "%package -n {name}\nSummary: x\nEpoch: {epoch}\nVersion: {version}\nRelease: {release}\n{module}%description -n {name}\nx\n").unwrap();
    }
    for (name, ..) in PACKAGES {
        writeln!(spec, "%files -n {name}").unwrap();
        let files = if name == "kernel" { 3000 } else { 1 };
        (0..files).for_each(|n| writeln!(spec, "%ghost /usr/share/{name}/a-file-of-it/{n}").unwrap());
    }
    std::fs::write(directory.join("own.spec"), spec).unwrap();
    let top = format!("_topdir {}", directory.display());
    let mut command = Command::new("rpmbuild");
    command.args(["-bb", "--quiet", "--target", "x86_64", "--define", &top]).arg(directory.join("own.spec"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The advisories as dnf has fetched them into a root.
fn fetched(root: &Path) {
    let mut xml = String::from("<?xml version=\"1.0\"?>\n<updates>\n");
    for (at, (name, epoch, version, release, module, security)) in ADVISORIES.iter().enumerate() {
        let kind = if *security { "security" } else { "bugfix" };
        let module = module
            .split_once(':')
            .map_or(String::new(), |(name, stream)| format!("<module name=\"{name}\" stream=\"{stream}\"/>"));
        writeln!(xml, "<update type=\"{kind}\"><id>OWN-{at}</id><description>a &lt; b</description><pkglist><collection>{module}\
            <package name=\"{name}\" epoch=\"{epoch}\" version=\"{version}\" release=\"{release}\" arch=\"x86_64\"/></collection></pkglist></update>").unwrap();
    }
    xml += "</updates>\n";
    let cache = root.join("var/cache/dnf/own-updates-0123456789abcdef/repodata");
    std::fs::create_dir_all(&cache).unwrap();
    std::fs::write(cache.join("aa-updateinfo.xml"), xml).unwrap();
    assert!(Command::new("gzip").arg(cache.join("aa-updateinfo.xml")).status().unwrap().success());
}

/// Which packages a security advisory mends, by rpm's own order.
fn expected() -> BTreeSet<String> {
    let module = |label: &str| label.split(':').take(2).collect::<Vec<_>>().join(":");
    let is_newer = |name: &str| {
        let (_, epoch, version, release, label) = PACKAGES.into_iter().find(|package| package.0 == name)?;
        let newer = ADVISORIES.iter().any(|one| {
            let order = vercmp(&[(format!("{}:{}-{}", one.1, one.2, one.3), format!("{epoch}:{version}-{release}"))]);
            one.0 == name && one.5 && module(one.4) == module(label) && order == [1]
        });
        newer.then(|| name.to_owned())
    };
    PACKAGES.iter().filter_map(|package| is_newer(package.0)).collect()
}

/// How rpm orders pairs of versions.
fn vercmp(pairs: &[(String, String)]) -> Vec<i32> {
    let mut lua = String::new();
    pairs.iter().for_each(|(one, other)| writeln!(lua, "print(rpm.vercmp('{one}', '{other}') .. ' ')").unwrap());
    let output = Command::new("rpm").arg("--eval").arg(format!("%{{lua:{lua}}}")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().split_whitespace().map(|number| number.parse().unwrap()).collect()
}

/// What a scan of the root says, which is what rpm says.
fn agrees(root: &Path, what: &str) {
    let scan = {
        let mut command = scan::offline(root).unwrap();
        command.args(["--only", CHECK]);
        scan::json(command).unwrap()
    };
    assert_eq!((told(&scan).pending, reason(&scan)), (expected(), String::new()), "{what}");
    results::tested("updates, rpm", what, format!("{} of {} packages pending", expected().len(), PACKAGES.len()));
}

#[test]
fn a_database_that_rpm_wrote_is_read() {
    let directory = run_directory("rpm").unwrap();
    build(directory.path());
    let root = directory.path().join("host");
    std::fs::create_dir(&root).unwrap();
    let install = format!(
        "rpm --define '_db_backend sqlite' --dbpath /var/lib/rpm --root {} -i --nodeps --justdb --noscripts {}/RPMS/x86_64/*.rpm",
        root.display(),
        directory.path().display()
    );
    let output = Command::new("sh").args(["-ec", &install]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fetched(&root);
    agrees(&root, "SQLite");

    // A cache that nobody renewed, and advisories that are not there.
    let repodata = root.join("var/cache/dnf/own-updates-0123456789abcdef/repodata");
    assert!(
        Command::new("touch")
            .args(["-d", "30 days ago"])
            .arg(repodata.join("aa-updateinfo.xml.gz"))
            .status()
            .unwrap()
            .success()
    );
    let again = || {
        let mut command = scan::offline(&root).unwrap();
        command.args(["--only", CHECK]);
        scan::json(command).unwrap()
    };
    assert!(reason(&again()).contains("30 days old"), "{}", reason(&again()));
    std::fs::remove_dir_all(&repodata).unwrap();
    assert_eq!(again().verdict(CHECK), "unknown");
    std::fs::write(root.join("var/lib/rpm/rpmdb.sqlite"), "SQLite format 3\0").unwrap();
    assert!(reason(&again()).contains("is no rpm database"), "{}", reason(&again()));
}

/// Berkeley DB is what Alibaba Cloud Linux 2 and 3 have; the rpm of Debian 11 still writes it.
#[test]
fn a_berkeley_database_that_rpm_wrote_is_read() {
    if Tier::current() == Tier::Quick {
        return;
    }
    let suite = Suite::find("bullseye").unwrap();
    let overlay = suite.overlay().unwrap();
    if let Err(error) = Apt::of(&overlay).install(&["rpm"]) {
        results::skipped("updates, rpm", "Berkeley DB", format!("NOT TESTED: no rpm that writes it: {error:#}"));
        return;
    }
    let directory = run_directory("rpm").unwrap();
    build(directory.path());
    overlay.shell("mkdir -p /packages /host/var/lib/rpm").unwrap();
    for entry in std::fs::read_dir(directory.path().join("RPMS/x86_64")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, overlay.path("/packages").join(path.file_name().unwrap())).unwrap();
    }
    overlay.shell("rpm --define '_db_backend bdb' --dbpath /var/lib/rpm --root /host -i --nodeps --justdb --noscripts /packages/*.rpm; test -f /host/var/lib/rpm/Packages").unwrap();
    fetched(&overlay.path("/host"));
    agrees(&overlay.path("/host"), "Berkeley DB");
}

#[test]
fn versions_are_ordered_as_rpm_orders_them() {
    let (mut rng, count) = (Rng::new(8), Tier::current().pick(2000, 50_000));
    let version = |rng: &mut Rng| {
        let start = rng.pick(&["0", "1", "2", "10"]).to_owned();
        (start + &text(rng, 6) + rng.pick(&["", "", "^", "^1", "_2"])).replace('+', ".")
    };
    let pairs: Vec<(String, String)> = (0..count)
        .map(|_| {
            let one = version(&mut rng);
            let other = if rng.chance(50) { version(&mut rng) } else { format!("{one}{}", text(&mut rng, 3)) };
            (one, other)
        })
        .collect();
    for some in pairs.chunks(500) {
        for ((one, other), wanted) in some.iter().zip(vercmp(some)) {
            let order = package_version::rpm(one.as_bytes(), other.as_bytes());
            assert_eq!(order as i32, wanted, "{one} and {other}");
        }
    }
    results::tested("rpm's order", "versions", format!("{count} pairs"));
}
