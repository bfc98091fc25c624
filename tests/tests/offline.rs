//! Offline means offline: with `--root`, nothing outside the image is read, and its links lead where they do in a chroot.

#![cfg(test)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use hostward_tests::scan::{self, Scan};
use hostward_tests::suite::{Overlay, Suite, private_mounts, run_directory};
use hostward_tests::{binary, results};

fn scan_of(directory: &Path) -> Scan {
    scan::json(scan::offline(directory).unwrap()).unwrap()
}

#[test]
fn every_real_root_scans_without_an_unexplained_unknown() {
    for suite in Suite::all("offline scan").unwrap() {
        let scan = scan_of(suite.root());
        assert_eq!(scan.unknown(), [], "{suite}");
        let text = scan::text(|| scan::offline(suite.root())).unwrap();
        assert!(!text.is_empty());
        let checks = scan.checks().count();
        // The checks of the image profile that need no running host are some two dozen.
        let decided = scan.checks().filter(|check| check["verdict"] != "not_applicable").count();
        assert!(checks > 20 && decided > 15, "{suite}: only {checks} checks ran, {decided} of them to an end");
        results::tested(
            "offline scan",
            suite.name(),
            format!("{checks} checks, 0 unknown, {} ms", scan.took.as_millis()),
        );
    }
}

/// The paths that a scan of an image may touch outside of it, with the reason of each.
const ALLOWED: &[&str] = &[
    "/proc/self/mountinfo",   // which file systems below the image may hang
    "/sys/fs/cgroup/cpu.max", // how many cores there are to use
    "/dev/null",
    // What a build that is not static loads.
    "/etc/ld.so.preload",
    "/etc/ld.so.cache",
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/x86_64-linux-gnu/libgcc_s.so.1",
];

#[test]
fn nothing_outside_the_image_is_opened() {
    let suite = Suite::find("bookworm").unwrap();
    let image = image_with_links(&suite);
    let own = binary().unwrap();
    let directory = run_directory("strace").unwrap();
    let log = directory.path().join("log");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-qq", "-s", "4096", "-e", "trace=%file,%network", "-o"]).arg(&log);
    command.arg(&own).args(["scan", "--format", "json", "--root"]).arg(image.root());
    let output = command.env_clear().current_dir("/").output().unwrap();
    assert!(matches!(output.status.code(), Some(0..=2)), "{}", String::from_utf8_lossy(&output.stderr));

    let root = image.root();
    // Resolving DIR itself looks at the directories above it.
    let allowed = |path: &Path| {
        path.starts_with(root)
            || root.starts_with(path)
            || path == own
            || ALLOWED.iter().any(|allowed| path == Path::new(allowed))
    };
    let mut named = 0;
    for line in fs::read_to_string(&log).unwrap().lines() {
        let (_, call) = line.split_once(' ').unwrap();
        let Some((call, rest)) = call.trim_start().split_once('(') else { continue };
        assert!(!["socket", "connect", "bind", "sendto"].contains(&call), "it asks the network: {line}");
        assert!(call != "execve" || rest.starts_with(&format!("{own:?}")), "it starts a program: {line}");
        // Quoted are the paths that it names; what readlink answers is data, and what exec passes on are arguments.
        let answers = call.starts_with("readlink") || call == "execve";
        for path in rest.split('"').skip(1).step_by(2).take(if answers { 1 } else { 2 }) {
            assert!(!path.split('/').any(|part| part == ".."), "it climbs: {line}");
            assert!(!path.starts_with('/') || allowed(Path::new(path)), "{path} is outside: {line}");
            named += 1;
        }
        // In angle brackets stand the paths of descriptors: where relative names start, and what was opened.
        for path in
            rest.split('<').skip(1).filter_map(|part| part.split('>').next()).filter(|path| path.starts_with('/'))
        {
            let mounts = path.starts_with("/proc/") && path.ends_with("/mountinfo");
            assert!(mounts || allowed(Path::new(path)), "{path} is outside: {line}");
        }
    }
    assert!(named > 50, "only {named} paths were named");
    results::tested("offline opens", suite.name(), format!("{named} paths named, all inside"));
}

#[test]
fn a_poisoned_host_changes_nothing() {
    for name in hostward_tests::suite::REQUIRED {
        let suite = Suite::find(name).unwrap();
        let image = image_with_links(&suite);
        let before = scan_of(image.root());
        // From here on this thread, and what it starts, lives on a host whose files all say something else.
        private_mounts().unwrap();
        for directory in ["/etc", "/root", "/home", "/srv", "/usr/share", "/var/log", "/run"] {
            let status = Command::new("mount").args(["-t", "tmpfs", "tmpfs", directory]).status().unwrap();
            assert!(status.success(), "{directory}");
        }
        poison();
        let after = scan_of(image.root());
        assert_eq!(before.timeless(), after.timeless(), "{suite}");
        results::tested("poisoned host", suite.name(), "the same report");
    }
}

/// Fills this thread's host with answers that would change every verdict.
fn poison() {
    let files = [
        ("/etc/passwd", "root:x:0:0::/root:/bin/sh\nevil:x:0:0::/root:/bin/sh\n"),
        ("/etc/shadow", "root::1::::::\nevil::1::::::\n"),
        ("/etc/group", "root:x:0:\nsudo:x:27:evil\n"),
        ("/etc/os-release", "ID=poison\nVERSION_ID=666\nNAME=Poison\n"),
        ("/etc/login.defs", "ENCRYPT_METHOD DES\nPASS_MAX_DAYS 99999\n"),
        ("/etc/sudoers", "ALL ALL=(ALL) NOPASSWD: ALL\n"),
        ("/etc/nsswitch.conf", "passwd: ldap\n"),
        ("/etc/ssh/sshd_config", "PermitRootLogin yes\nPermitEmptyPasswords yes\n"),
        ("/etc/ssh/sshd_config.d/x.conf", "PasswordAuthentication yes\n"),
        ("/etc/real/sshd_config", "PermitRootLogin yes\n"),
        ("/etc/real/passwd", "evil:x:0:0::/root:/bin/sh\n"),
        ("/srv/keys", "ssh-rsa AAAA evil\n"),
        ("/root/.ssh/authorized_keys", "ssh-rsa AAAA evil\n"),
        ("/etc/pam.d/sshd", "auth sufficient pam_permit.so\n"),
        ("/usr/share/zoneinfo/x", "x"),
    ];
    for (path, content) in files {
        fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// Links in an image, each in three spellings, lead to the same file as in a chroot.
#[test]
fn links_lead_where_they_lead_in_a_chroot() {
    let suite = Suite::find("trixie").unwrap();
    let plain = suite.overlay().unwrap();
    fill(&plain);
    let expected = scan_of(plain.root()).verdicts();
    let untouched = scan_of(suite.root()).verdicts();
    assert_ne!(expected, untouched, "the files behind the links are to change the verdicts");
    for (spelling, up) in [("absolute", "/"), ("relative", "../"), ("climbing above the root", "../../../../../../../")]
    {
        let linked = suite.overlay().unwrap();
        fill(&linked);
        for (path, target) in [
            ("etc/ssh/sshd_config", "etc/real/sshd_config"),
            ("etc/passwd", "etc/real/passwd"),
            ("root/.ssh/authorized_keys", "srv/keys"),
        ] {
            let depth = path.matches('/').count();
            let prefix = if up == "../" { up.repeat(depth) } else { up.to_owned() };
            let place = linked.root().join(path);
            let real = linked.root().join(target);
            fs::create_dir_all(real.parent().unwrap()).unwrap();
            fs::rename(&place, &real).unwrap();
            symlink(format!("{prefix}{target}"), &place).unwrap();
        }
        assert_eq!(scan_of(linked.root()).verdicts(), expected, "{spelling}");
    }
    // A loop and a link to nowhere end, and are not taken for "all is well".
    for target in ["sshd_config", "/nonexistent"] {
        let linked = suite.overlay().unwrap();
        fill(&linked);
        let place = linked.root().join("etc/ssh/sshd_config");
        fs::remove_file(&place).unwrap();
        symlink(target, &place).unwrap();
        assert_ne!(scan_of(linked.root()).code, 0, "sshd_config -> {target}");
    }
}

/// Files of an image that make findings.
fn fill(image: &Overlay) {
    image
        .write(
            "/etc/ssh/sshd_config",
            "PermitRootLogin yes\nPasswordAuthentication yes\nPermitEmptyPasswords yes\n",
            0o644,
        )
        .unwrap();
    let passwd = fs::read_to_string(image.root().join("etc/passwd")).unwrap();
    image.write("/etc/passwd", format!("{passwd}toor:x:0:0::/root:/bin/sh\n"), 0o644).unwrap();
    let key = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7 short";
    fs::create_dir_all(image.root().join("root/.ssh")).unwrap();
    image.write("/root/.ssh/authorized_keys", format!("{key}\n"), 0o600).unwrap();
}

/// An image whose decisive files are links of all kinds.
fn image_with_links(suite: &Suite) -> Overlay {
    let image = suite.overlay().unwrap();
    fill(&image);
    let links: [(&str, &str); 4] = [
        ("etc/ssh/sshd_config", "/etc/real/sshd_config"),
        ("root/.ssh/authorized_keys", "../../../../../srv/keys"),
        ("etc/loop", "loop"),
        ("etc/nowhere", "/nonexistent/x"),
    ];
    for (path, target) in links {
        let place = image.root().join(path);
        if place.exists() {
            let real: PathBuf =
                image.root().join(target.trim_start_matches("../").trim_start_matches('/').trim_start_matches("../"));
            let real = if target.contains("srv/keys") { image.root().join("srv/keys") } else { real };
            fs::create_dir_all(real.parent().unwrap()).unwrap();
            fs::rename(&place, &real).unwrap();
        }
        symlink(target, &place).unwrap();
    }
    image
}
