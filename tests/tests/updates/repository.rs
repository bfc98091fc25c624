//! An archive of our own for the packages that an overlay has: some are newer there, some as old, some older.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::Result;
use hostward_tests::suite::{Overlay, WHERE_ANSWERED};

use crate::updates::apt::Apt;

/// Where the lists of a release stand alone.
const RELEASED: &str = "/var/lib/apt/released";

/// How apt keeps the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packed {
    /// As they are.
    Not,
    /// As apt does where it is told to keep them compressed.
    Lz4,
    /// As older ones did.
    Gzip,
}

/// Preferences that choose between the archives: a name, and the file's text.
pub(crate) const PREFERENCES: [(&str, &str); 4] = [
    ("none", ""),
    ("never", "Package: lib*\nPin: release a=*-security\nPin-Priority: -1\n"),
    ("low", "Package: *\nPin: release l=Own-Security\nPin-Priority: 90\n"),
    ("installed", "Package: a* d* lib*\nPin: release l=Own\nPin-Priority: 990\n"),
];

/// Every installed package: name, architecture, version.
fn installed(overlay: &Overlay) -> Result<Vec<[String; 3]>> {
    let status = std::fs::read_to_string(overlay.path("/var/lib/dpkg/status"))?;
    let field = |one: &str, name: &str| {
        let value = one.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.map(str::to_owned)
    };
    let each = status
        .split("\n\n")
        .map(|one| ["Package", "Architecture", "Version"].map(|name| field(one, name).unwrap_or_default()));
    Ok(each.filter(|[name, ..]| !name.is_empty()).collect())
}

/// Makes the archive with three suites, has apt read it instead of the others, and puts a package on hold.
pub(crate) fn make(overlay: &Overlay, suite: &str, apt: &Apt<'_>, packed: Packed) -> Result<()> {
    let (mut base, mut updates, mut security) = (String::new(), String::new(), String::new());
    for (at, [name, architecture, version]) in installed(overlay)?.iter().enumerate() {
        let entry = |version: &str| {
            format!(
                "Package: {name}\nArchitecture: {architecture}\nVersion: {version}\nMaintainer: x\nSize: 1\nFilename: x.deb\nSHA256: {:064}\nDescription: x\n\n",
                0
            )
        };
        base += &entry(version);
        // Nobody is to have it yet: Ubuntu's archives say so, Debian's never do.
        let phase = if WHERE_ANSWERED.contains(&suite) { "Phased-Update-Percentage: 0\n" } else { "" };
        let phased = |version: &str| entry(version).replace("Maintainer:", &format!("{phase}Maintainer:"));
        match at % 7 {
            0 => security += &entry(&format!("{version}+own1")),
            // In the other archive it is given to some first; in this one it is for all.
            1 => {
                security += &entry(&format!("{version}+own1"));
                updates += &phased(&format!("{version}+own1"));
            }
            2 => security += &entry(version),
            3 => security += &entry("0~old"),
            // A newer one hides it.
            4 => {
                security += &entry(&format!("{version}+own1"));
                let newer = format!("{version}+own2");
                updates += &if at % 2 == 0 { entry(&newer) } else { phased(&newer) };
            }
            5 => updates += &phased(&format!("{version}+own2")),
            _ => security += &entry(&format!("{version}~own1")),
        }
    }
    let mut sources = String::new();
    for (pocket, label, list) in
        [("", "Own", base), ("-updates", "Own", updates), ("-security", "Own-Security", security)]
    {
        overlay.write(&format!("/srv/repo/dists/{suite}{pocket}/main/binary-amd64/Packages"), list, 0o644)?;
        let head = format!(
            "Origin: Own\nLabel: {label}\nSuite: {suite}{pocket}\nCodename: {suite}\nVersion: 42\nComponents: main\nArchitectures: amd64\n"
        );
        overlay.write(&format!("/srv/repo/dists/{suite}{pocket}/Release"), head, 0o644)?;
        overlay.shell(&format!(
            "cd /srv/repo/dists/{suite}{pocket}; f=main/binary-amd64/Packages; echo \"Date: $(date -u '+%a, %d %b %Y %H:%M:%S UTC')\" >>Release
             printf 'SHA256:\\n %s %s %s\\n' $(sha256sum <$f | cut -d' ' -f1) $(stat -c %s $f) $f >>Release"
        ))?;
        let method = if packed == Packed::Not && apt.own { "file" } else { "copy" };
        writeln!(sources, "deb [trusted=yes arch=amd64] {method}:{} {suite}{pocket} main", apt.path("/srv/repo"))?;
    }
    overlay.shell("rm -rf /var/lib/apt/lists /etc/apt/sources.list.d/* /etc/apt/preferences.d/*; mkdir -p /var/lib/apt/lists/partial
        sed -i '/^Package: bash$/,/^$/ s/^Status: install /Status: hold /' /var/lib/dpkg/status")?;
    overlay.write("/etc/apt/sources.list", sources, 0o644)?;
    match packed {
        Packed::Lz4 => apt.update(&["-o", "Acquire::GzipIndexes=true"])?,
        // What the machine's apt is told by its own configuration does not count.
        Packed::Not | Packed::Gzip => apt.update(&["-o", "Acquire::GzipIndexes=false"])?,
    }
    if packed == Packed::Gzip {
        overlay.shell("gzip /var/lib/apt/lists/*_Packages")?;
    }
    let count = |end: &str| overlay.shell(&format!("ls /var/lib/apt/lists/*_Packages{end} | wc -l"));
    let end = match packed {
        Packed::Not => "",
        Packed::Lz4 => ".lz4",
        Packed::Gzip => ".gz",
    };
    anyhow::ensure!(count(end)?.trim() == "3", "apt did not keep its lists as {packed:?}");
    Ok(())
}

/// The lists as if they came from two hosts over the network.
pub(crate) fn moved(overlay: &Overlay, suite: &str) -> Result<()> {
    overlay.shell(&format!(
        "cd /var/lib/apt/lists
         for f in *_srv_repo_dists_*; do
             case $f in *-security_*) host=security.test;; *) host=archive.test:8080;; esac
             mv \"$f\" \"${{host}}_repo_dists_${{f##*_srv_repo_dists_}}\"
         done
         for s in {suite} {suite}-updates; do echo \"deb [trusted=yes arch=amd64] http://archive.test:8080/repo $s main\"; done >/etc/apt/sources.list
         echo 'deb [trusted=yes arch=amd64] http://security.test/repo {suite}-security main' >>/etc/apt/sources.list"
    ))?;
    Ok(())
}

/// What an installed package was built from.
pub(crate) fn source(overlay: &Overlay, package: &str) -> Result<String> {
    let status = std::fs::read_to_string(overlay.path("/var/lib/dpkg/status"))?;
    let its = status.split("\n\n").find(|one| one.starts_with(&format!("Package: {package}\n"))).unwrap_or_default();
    let source = its.lines().find_map(|line| line.strip_prefix("Source: ")?.split(' ').next());
    Ok(source.unwrap_or(package).to_owned())
}

/// Puts every package back to the version, with the dependencies, that the suite itself has, as on a host that took no update. What only
/// came with an update is not there yet, and what an update made needless still is: the released versions need it. How many packages there are.
pub(crate) fn as_released(overlay: &Overlay, suite: &str, apt: &Apt<'_>) -> Result<usize> {
    let list = overlay.shell(&format!("cat /var/lib/apt/lists/*_dists_{suite}_*_Packages"))?;
    let name = |one: &str| {
        let name = one.lines().find_map(|line| line.strip_prefix("Package: "));
        name.map(str::to_owned)
    };
    let released: BTreeMap<String, &str> = list.split("\n\n").filter_map(|one| Some((name(one)?, one))).collect();
    let status = std::fs::read_to_string(overlay.path("/var/lib/dpkg/status"))?;
    let mut names: BTreeSet<String> = status.split("\n\n").filter_map(name).collect();
    names.retain(|name| released.contains_key(name));
    // The release alone, so that nothing newer mends what is broken.
    overlay.shell(&format!(
        "rm -rf {RELEASED}; mkdir -p {RELEASED}/partial; cp -p /var/lib/apt/lists/*_dists_{suite}_* {RELEASED}"
    ))?;
    for _ in 0..5 {
        let each = names.iter().filter_map(|name| released.get(name));
        let each = each.map(|one| format!("{}\nStatus: install ok installed\n\n", one.trim()));
        overlay.write("/var/lib/dpkg/status", each.collect::<String>(), 0o644)?;
        let (more, fewer) = apt.mends(RELEASED)?;
        if more.is_empty() && fewer.is_empty() {
            return Ok(names.len());
        }
        names.extend(more);
        names.retain(|name| !fewer.contains(name));
    }
    anyhow::bail!("the packages of {suite} do not fit together as they were released")
}
