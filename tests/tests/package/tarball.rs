//! The tarball with its script, on a booted host and into an image.

use std::process::Command;

use hostward_tests::host::Host;
use hostward_tests::results;
use hostward_tests::suite::Suite;

use crate::TEST;
use crate::installed::{ours, run, verified, works};
use crate::made::{done, packages};

/// The archive with its script, on a booted host and into an image: again and again the same, and nothing is left.
#[test]
fn a_tarball_installs_and_leaves_what_it_should() {
    let packages = packages();
    let suite = Suite::find("bookworm").unwrap();
    let host = Host::of(&suite).bind(packages.directory(), "/packages").boot().unwrap();
    run(&host, "mkdir /t; tar -xzf /packages/*.tar.gz -C /t --strip-components=1; /t/install.sh");
    verified(&host);
    works(&host);
    let listing = "find /usr /etc -name '*hostward*' -print0 | sort -z | xargs -0 ls -ld --time-style=+ | cksum";
    let first = run(&host, listing);
    run(&host, "/t/install.sh");
    assert_eq!(run(&host, listing), first, "installed twice");
    run(
        &host,
        "echo '# ours' >>/etc/hostward/policy.toml; /t/install.sh; grep -q '^# ours' /etc/hostward/policy.toml; test -s /etc/hostward/policy.toml.new
         /t/install.sh --uninstall; ! test -e /usr/bin/hostward; test -s /etc/hostward/policy.toml; test -s /var/lib/hostward/report.json
         /t/install.sh; systemctl is-enabled -q hostward-recover.service; /t/install.sh --purge; rm -r /t",
    );
    assert_eq!(ours(&host), "");

    let image = suite.overlay().unwrap();
    let archive = packages.path(".tar.gz");
    let script = "tar -xzf \"$1\" -C \"$2\"; \"$2\"/*/install.sh --root \"$3\"; \"$2\"/*/install.sh --root \"$3\"; chroot \"$3\" hostward --version; ls -d \"$3\"/hostward-install* 2>/dev/null && exit 1; \
                  chroot \"$3\" systemctl is-enabled hostward-recover.service; test ! -e \"$3/run/hostward.lock\"; \"$2\"/*/install.sh --root \"$3\" --purge";
    let unpacked = tempfile::tempdir().unwrap();
    done(Command::new("bash").args(["-ec", script, "bash"]).arg(archive).arg(unpacked.path()).arg(image.root()));
    assert_eq!(image.shell("find / -xdev -name '*hostward*'").unwrap(), "");
    results::tested(TEST, "tarball", "installed twice, edited, uninstalled, back, purged; the same into an image");
}
