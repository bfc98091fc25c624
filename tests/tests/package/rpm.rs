//! The rpm: installed, upgraded and removed by rpm itself, on a booted host and in a root file system that nothing runs in.

use std::path::Path;
use std::process::Command;

use hostward_tests::host::Host;
use hostward_tests::place::text;
use hostward_tests::results;
use hostward_tests::suite::Suite;

use crate::TEST;
use crate::installed::{documented, resides, run, verified, works};
use crate::made::{Packages, done, packages};

/// What rpm needs and a Debian host lacks.
const LIBRARIES: [&str; 5] = ["librpm", "libpopt", "liblua", "libsqlite3", "libgcrypt"];

fn file(packages: &Packages) -> String {
    packages.path(".rpm").display().to_string()
}

#[test]
fn an_rpm_names_its_files() {
    let query = "[%{FILENAMES} %{FILEUSERNAME} %{FILEFLAGS:fflags}\n]";
    let files = text(&done(Command::new("rpm").args(["-qp", "--queryformat", query, &file(packages())])).stdout);
    assert!(files.lines().all(|line| line.split(' ').nth(1) == Some("root")), "{files}");
    for kept in ["/etc/hostward/hostward.toml root cn", "/etc/hostward/policy.toml root cn"] {
        assert!(files.lines().any(|line| line == kept), "{kept} in {files}");
    }
}

/// Its scripts run as on a host of its own kind: the resident starts, is started anew, and is gone.
#[test]
fn an_rpm_does_its_work_on_a_booted_host() {
    let suite = Suite::find("bookworm").unwrap();
    let plan =
        Host::of(&suite).bind(packages().directory(), "/packages").bind(Path::new("/usr/lib/rpm"), "/usr/lib/rpm");
    let host = plan.program(Path::new("/usr/bin/rpm"), &LIBRARIES).unwrap().boot().unwrap();
    run(&host, "rpm -i --nodeps /packages/*.rpm");
    verified(&host);
    let mut figures = resides(&host);
    figures.push_str(&format!("; {}", works(&host)));
    let pid = "systemctl show -p MainPID hostward.service";
    run(&host, "systemctl start hostward.service; echo '# ours' >>/etc/hostward/policy.toml");
    let before = run(&host, pid);
    run(
        &host,
        "rpm -U --force --nodeps /packages/*.rpm; grep -q '^# ours' /etc/hostward/policy.toml
         systemctl is-active -q hostward.service; systemctl is-enabled -q hostward-recover.service; test -s /var/lib/hostward/known.json",
    );
    assert_ne!(run(&host, pid), before, "the program that was replaced runs on");
    run(
        &host,
        "rpm -e hostward; ! test -e /usr/bin/hostward; ! rpm -q hostward; ! systemctl is-active -q hostward.service
         ! ls /etc/systemd/system/*/hostward* 2>/dev/null
         test -s /etc/hostward/policy.toml.rpmsave; test -s /var/lib/hostward/report.json",
    );
    results::tested(TEST, "rpm", format!("installed, upgraded and removed by rpm on a booted host; {figures}"));
}

#[test]
fn an_rpm_installs_into_an_image() {
    let suite = Suite::find("bookworm").unwrap();
    let image = suite.overlay().unwrap();
    let rpm = |arguments: &[&str]| {
        let mut command = Command::new("rpm");
        command.args(["--root", &image.root().display().to_string(), "--nodeps"]).args(arguments);
        done(&mut command)
    };
    rpm(&["-i", &file(packages())]);
    documented(image.root(), |script| image.shell(script).unwrap());
    image.shell("test \"$(hostward --version)\" = 'hostward 0.1.0'; systemctl is-enabled hostward-recover.service; echo '# ours' >>/etc/hostward/policy.toml").unwrap();
    rpm(&["-U", "--force", &file(packages())]);
    image.shell("grep -q '^# ours' /etc/hostward/policy.toml; systemctl is-enabled hostward-recover.service").unwrap();
    rpm(&["-e", "hostward"]);
    image.shell("! test -e /usr/bin/hostward; ! ls /etc/systemd/system/*/hostward* 2>/dev/null; test -s /etc/hostward/policy.toml.rpmsave").unwrap();
    results::tested(TEST, "rpm", "installed, upgraded and removed by rpm in an image");
}
