//! The plugin, the commands and the steps of an image build, run as Cloud Assistant runs them.

use std::process::{Command, Output};

use hostward_tests::host::Host;
use hostward_tests::place::{Place, started, text};
use hostward_tests::results;
use hostward_tests::suite::Suite;
use serde_json::Value;

use crate::TEST;
use crate::installed::run;
use crate::made::{done, packages, project};

/// A script of `packaging/`, run as Cloud Assistant runs one: no terminal, no input, next to no environment, in /root.
fn assistant(host: &Host, script: &str, environment: &[&str]) -> Output {
    let mut command = host.command("env");
    command.args(["-i", "-C", "/root"]).args(environment).args(["sh", "-c", script]);
    command.output().unwrap()
}

/// The plugin as its manager unpacks and runs it; the commands of `packaging/cloud-assistant`; the steps of an image build.
#[test]
fn cloud_assistant_runs_the_plugin_and_the_scripts() {
    let packages = packages();
    let suite = Suite::find("bookworm").unwrap();
    let scripts = project().join("packaging").canonicalize().unwrap();
    let plan = Host::of(&suite).bind(packages.directory(), "/packages").bind(&scripts, "/scripts");
    let place = Place::booted(plan.boot().unwrap());
    let host = &place.host;
    let dir = "/usr/local/share/aliyun-assist/plugin/hostward/0.1.0";
    let unpacked = place.root().join(dir.trim_start_matches('/'));
    std::fs::create_dir_all(&unpacked).unwrap();
    done(Command::new("unzip").arg("-q").arg(packages.path(".zip")).arg("-d").arg(&unpacked));
    let config: Value = serde_json::from_slice(&std::fs::read(unpacked.join("config.json")).unwrap()).unwrap();
    assert_eq!((config["runPath"].as_str(), config["pluginType"].as_str()), (Some("hostward"), Some("Once")));
    let plugin = format!("PLUGIN_DIR={dir}");
    let ran =
        assistant(host, &format!("chmod 744 {dir}/hostward; {dir}/hostward scan --password-budget 0"), &[&plugin]);
    let said = text(&ran.stdout);
    assert!(matches!(ran.status.code(), Some(0..=2)) && ran.stderr.is_empty(), "{}", Place::said(&ran));
    assert!(said.len() < 12_000 && said.lines().rev().nth(1).unwrap().starts_with("FAIL: "), "{said}");

    run(host, "dpkg -i /packages/*64.deb");
    let two: Vec<_> = (0..2)
        .map(|_| {
            started(host.command("env").args(["-i", "-C", "/root", "sh", "-c", "/scripts/cloud-assistant/scan.sh"]))
        })
        .collect();
    for one in two {
        let ran = one.wait_with_output().unwrap();
        assert!(matches!(ran.status.code(), Some(0..=2)) && ran.stdout.len() <= 8192, "{}", Place::said(&ran));
        let summary: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert!(summary["summary"]["verdict"].is_string(), "{summary}");
    }

    let (before, pid) = (place.await_banner(|_| true), run(host, "systemctl show -p MainPID ssh.service"));
    let hardened = assistant(host, "/scripts/image-builder/harden.sh", &[]);
    assert!(hardened.status.success() && hardened.stdout.len() < 12_000, "{}", Place::said(&hardened));
    // Whoever builds still comes in, as before.
    assert_eq!((place.await_banner(|_| true), run(host, "systemctl show -p MainPID ssh.service")), (before, pid));
    assert!(
        place
            .client
            .run("root", hostward_tests::host::PUBLIC_CLIENT, &place.key, &[], "true")
            .unwrap()
            .status
            .success()
    );
    // Nothing would make new host keys here: they stay, and the image is none to make.
    let sealed = assistant(host, "/scripts/image-builder/seal.sh", &[]);
    let said = Place::said(&sealed);
    assert!(sealed.status.code() == Some(1) && said.contains("nothing here makes new host keys"), "{said}");
    run(host, "ls /etc/ssh/ssh_host_*_key; touch /usr/bin/cloud-init; chmod 755 /usr/bin/cloud-init");
    let sealed = assistant(host, "/scripts/image-builder/seal.sh", &[]);
    assert!(sealed.status.success(), "{}", Place::said(&sealed));
    run(host, "! ls /etc/ssh/ssh_host_*_key 2>/dev/null; ssh-keygen -A; rm /usr/bin/cloud-init; systemctl restart ssh");
    // As the sshd of a new instance has read its files.
    let tested = assistant(host, "/scripts/image-builder/test.sh", &[]);
    assert!(tested.status.success(), "{}", Place::said(&tested));
    results::tested(TEST, "cloud", "plugin, commands and image build run as Cloud Assistant runs them");
}
