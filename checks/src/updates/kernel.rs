//! Kernels by their releases (`uname -r`): which are of one flavour, and which is newer.

use std::cmp::Ordering;

use crate::parse::package_version::rpm;

/// What is left of a release without its numbers: `-amd64`, `-generic`, `.el.x86_64`. Kernels of one flavour follow each other.
fn flavour(release: &str) -> String {
    let first = release.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(release.len());
    // `+deb13-amd64`: from the letters on, for the numbers before them are of different lengths.
    let (_, words) = release.split_at(first);
    let (words, machine) = match ["x86_64", "amd64", "aarch64", "arm64"].iter().find(|name| words.contains(*name)) {
        Some(machine) => (words.replacen(machine, "", 1), *machine),
        None => (words.to_owned(), ""),
    };
    let letters: String = words.chars().filter(|c| c.is_ascii_alphabetic() || *c == '+').collect();
    format!("{letters} {machine}")
}

fn order(one: &str, other: &str) -> Ordering {
    rpm(one.as_bytes(), other.as_bytes())
}

/// The newest of the installed kernels that are of the running one's flavour.
pub fn newest<'a>(running: &str, installed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mine = flavour(running);
    let alike = installed.into_iter().filter(|release| flavour(release) == mine);
    alike.max_by(|one, other| order(one, other))
}

/// Whether the first release is older.
pub fn is_older(running: &str, installed: &str) -> bool {
    order(running, installed).is_lt()
}

/// The releases in the names of `/boot`: `vmlinuz-6.1.0-18-amd64`. What only rescues does not count.
pub fn in_boot<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let releases = names
        .into_iter()
        .filter_map(|name| ["vmlinuz-", "vmlinux-", "Image-"].iter().find_map(|prefix| name.strip_prefix(prefix)));
    let kept = |release: &&str| {
        release.starts_with(|c: char| c.is_ascii_digit())
            && !release.contains("rescue")
            && ![".old", ".bak", ".dpkg-new", ".hmac"].iter().any(|end| release.ends_with(end))
    };
    releases.filter(kept).collect()
}

/// The package version of the running kernel's build in `uname -v`, as Debian's kernels have it: `#1 SMP Debian 6.1.76-1 (2024-02-01)`.
pub fn debian_build(version: &str) -> Option<&str> {
    let build = version.split_once("Debian ")?.1.split_ascii_whitespace().next()?;
    build.starts_with(|c: char| c.is_ascii_digit()).then_some(build)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_of_the_same_flavour() {
        for (running, installed, wanted) in [
            ("6.1.0-9-amd64", &["6.1.0-9-amd64", "6.1.0-18-amd64", "6.1.0-20-cloud-amd64"][..], Some("6.1.0-18-amd64")),
            ("6.12.38+deb13-amd64", &["6.12.41+deb13-amd64", "6.12.48+deb13-cloud-amd64"], Some("6.12.41+deb13-amd64")),
            ("5.15.0-91-generic", &["5.15.0-101-generic", "6.5.0-1-lowlatency"], Some("5.15.0-101-generic")),
            (
                "5.10.134-16.1.al8.x86_64",
                &["5.10.134-16.3.al8.x86_64", "5.10.134-9.al8.x86_64"],
                Some("5.10.134-16.3.al8.x86_64"),
            ),
            (
                "4.18.0-348.7.1.el8_5.x86_64",
                &["4.18.0-477.10.1.el8_8.x86_64", "4.18.0-500.el8.x86_64+debug"],
                Some("4.18.0-477.10.1.el8_8.x86_64"),
            ),
            ("3.10.0-1160.el7.x86_64", &["3.10.0-957.el7.x86_64"], Some("3.10.0-957.el7.x86_64")),
            ("6.18.44-custom", &["6.1.0-18-amd64"], None),
            ("", &[], None),
        ] {
            assert_eq!(newest(running, installed.iter().copied()), wanted, "{running}");
        }
        assert!(is_older("6.1.0-9-amd64", "6.1.0-18-amd64") && !is_older("6.1.0-18-amd64", "6.1.0-18-amd64"));
        assert!(is_older("3.10.0-957.el7.x86_64", "3.10.0-1160.2.1.el7.x86_64"));
    }

    #[test]
    fn kernels_are_found_in_boot_and_builds_in_their_versions() {
        let names = [
            "vmlinuz-6.1.0-18-amd64",
            "vmlinuz",
            "vmlinuz-0-rescue-abc",
            "initrd.img-6.1.0-18-amd64",
            "vmlinuz-6.1.0-17-amd64.old",
        ];
        assert_eq!(in_boot(names), ["6.1.0-18-amd64"]);
        assert_eq!(debian_build("#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)"), Some("6.1.76-1"));
        assert_eq!(debian_build("#101-Ubuntu SMP Tue Nov 14 13:30:08 UTC 2023"), None);
    }
}
