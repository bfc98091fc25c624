//! The rpm, installed, upgraded and removed by rpm itself.

use std::process::Command;

use hostward_tests::results;
use hostward_tests::suite::Suite;

use crate::TEST;
use crate::made::{done, packages};

/// rpm itself installs, upgrades and removes it in a root file system that it does not run: its scripts do.
#[test]
fn an_rpm_installs_and_leaves_what_it_should() {
    let packages = packages();
    let suite = Suite::find("bookworm").unwrap();
    let image = suite.overlay().unwrap();
    let rpm = |arguments: &[&str]| {
        let mut command = Command::new("rpm");
        command.args(["--root", &image.root().display().to_string(), "--nodeps"]).args(arguments);
        done(&mut command)
    };
    let file = packages.path(".rpm").display().to_string();
    let files = String::from_utf8(
        done(Command::new("rpm").args([
            "-qp",
            "--queryformat",
            "[%{FILENAMES} %{FILEUSERNAME} %{FILEFLAGS:fflags}\n]",
            &file,
        ]))
        .stdout,
    )
    .unwrap();
    assert!(files.lines().all(|line| line.split(' ').nth(1) == Some("root")), "{files}");
    for kept in ["/etc/hostward/hostward.toml root cn", "/etc/hostward/policy.toml root cn"] {
        assert!(files.lines().any(|line| line == kept), "{kept} in {files}");
    }
    rpm(&["-i", &file]);
    image.shell("test \"$(hostward --version)\" = 'hostward 0.1.0'; systemctl is-enabled hostward-recover.service; test -s /usr/share/man/man1/hostward.1.gz; echo '# ours' >>/etc/hostward/policy.toml").unwrap();
    rpm(&["-U", "--force", &file]);
    image.shell("grep -q '^# ours' /etc/hostward/policy.toml; systemctl is-enabled hostward-recover.service").unwrap();
    rpm(&["-e", "hostward"]);
    image.shell("! test -e /usr/bin/hostward; ! ls /etc/systemd/system/*/hostward* 2>/dev/null; test -s /etc/hostward/policy.toml.rpmsave").unwrap();
    results::tested(TEST, "rpm", "installed, upgraded and removed by rpm in a root file system of another kind");
}
