//! What the template of a fleet sends, and the steps of an image build, run as Cloud Assistant runs them.

use hostward_tests::assistant::{self, QUOTA, Ran, USUAL};
use hostward_tests::host::{Host, PUBLIC_CLIENT};
use hostward_tests::place::Place;
use hostward_tests::results;
use hostward_tests::suite::Suite;
use serde_json::Value;

use crate::TEST;
use crate::installed::run;
use crate::made::{packages, project};
use crate::templates::yaml;

/// A script that the host has, run as Cloud Assistant runs one.
fn assistant(host: &Host, script: &str) -> Ran {
    let ran = assistant::run(host, &format!("exec {script}\n"), USUAL);
    assert!(ran.said.len() < QUOTA, "{}", ran.said);
    ran
}

/// Gives the host an archive of security updates that has what is installed, to be fetched as from a mirror.
fn archive(host: &Host) {
    run(
        host,
        r#"d=/srv/repo/dists/bookworm-security f=main/binary-amd64/Packages
           mkdir -p $d/main/binary-amd64; cd $d
           field='${Package}\nArchitecture: ${Architecture}\nVersion: ${Version}'
           dpkg-query -W -f "Package: $field\nMaintainer: x\nSize: 1\nFilename: x.deb\nDescription: x\n\n" >$f
           printf '%s\n' 'Label: Own-Security' 'Suite: stable-security' 'Codename: bookworm-security' 'Components: main' \
             'Architectures: amd64' "Date: $(date -u '+%a, %d %b %Y %H:%M:%S UTC')" 'SHA256:' \
             " $(sha256sum <$f | cut -d' ' -f1) $(stat -c %s $f) $f" >Release
           rm -f /etc/apt/sources.list.d/*
           echo 'deb [trusted=yes] file:/srv/repo bookworm-security main' >/etc/apt/sources.list"#,
    );
}

#[test]
fn cloud_assistant_runs_a_fleet_and_an_image_build() {
    let packages = packages();
    let suite = Suite::find("bookworm").unwrap();
    let scripts = project().join("packaging").canonicalize().unwrap();
    let plan = Host::of(&suite).bind(packages.directory(), "/packages").bind(&scripts, "/scripts");
    let place = Place::booted(plan.boot().unwrap());
    let host = &place.host;
    run(host, "dpkg -i /packages/*64.deb");
    // What the template of a fleet sends: findings are an answer there, what keeps it from looking is none.
    let template = yaml("cloud-assistant/fleet.oos.yml");
    let fleet = template["Tasks"][1]["Properties"]["commandContent"].as_str().unwrap();
    let ran = assistant::run(host, fleet, USUAL);
    assert!(ran.code == Some(0) && ran.said.len() <= 8192, "{ran:?}");
    let summary: Value = serde_json::from_str(&ran.said).unwrap();
    assert_eq!(summary["summary"]["verdict"], "fail", "{summary}");
    run(host, "cp /etc/hostward/policy.toml /root; echo 'profil = 1' >/etc/hostward/policy.toml");
    assert_eq!(assistant::run(host, fleet, USUAL).code, Some(78));
    run(host, "cp /root/policy.toml /etc/hostward/policy.toml");

    let (before, pid) = (place.await_banner(|_| true), run(host, "systemctl show -p MainPID ssh.service"));
    let hardened = assistant(host, "/scripts/image-builder/harden.sh");
    assert!(hardened.code == Some(0), "{}", hardened.said);
    // Whoever builds still comes in, as before.
    assert_eq!((place.await_banner(|_| true), run(host, "systemctl show -p MainPID ssh.service")), (before, pid));
    assert!(place.client.run("root", PUBLIC_CLIENT, &place.key, &[], "true").unwrap().status.success());
    // Nothing would make new host keys here: they stay, and the image is none to make.
    let sealed = assistant(host, "/scripts/image-builder/seal.sh");
    assert!(sealed.code == Some(1) && sealed.said.contains("nothing here makes new host keys"), "{}", sealed.said);
    run(host, "ls /etc/ssh/ssh_host_*_key; touch /usr/bin/cloud-init; chmod 755 /usr/bin/cloud-init");
    let sealed = assistant(host, "/scripts/image-builder/seal.sh");
    assert_eq!(sealed.code, Some(0), "{}", sealed.said);
    run(host, "! ls /etc/ssh/ssh_host_*_key 2>/dev/null; ssh-keygen -A; rm /usr/bin/cloud-init; systemctl restart ssh");
    archive(host);
    // As the sshd of a new instance has read its files.
    let tested = assistant(host, "/scripts/image-builder/test.sh");
    assert_eq!(tested.code, Some(0), "{}", tested.said);
    results::tested(TEST, "cloud", "fleet and image build run as Cloud Assistant runs them");
}
