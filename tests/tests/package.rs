//! The packages: built twice they are the same bytes; installed on booted hosts they do their work, and leave what they should.

#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hostward_checks::guard::Confirm;
use hostward_tests::host::Host;
use hostward_tests::place::{Place, is_waiting, started, text};
use hostward_tests::results;
use hostward_tests::suite::{Suite, chosen};
use hostward_tests::tier::Tier;
use serde_json::Value;
use tempfile::TempDir;

const TEST: &str = "package";
/// What packs; built in a hurry, because that is all that they do.
const TOOLS: [&str; 2] = ["cargo-deb", "cargo-generate-rpm"];

/// What `packaging/build` made of the binary under test, and a deb of a version after it.
struct Packages {
    directory: TempDir,
}

impl Packages {
    fn path(&self, end: &str) -> PathBuf {
        let mut names = std::fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path());
        names.find(|path| path.to_string_lossy().ends_with(end)).unwrap_or_else(|| panic!("no {end} was made"))
    }
}

fn project() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", Place::said(&output));
    output
}

/// Where the tools are: in the cache, not among the user's own.
fn tools() -> PathBuf {
    let tools = hostward_tests::cache().join("tools");
    let lock = std::fs::File::create(hostward_tests::cache().join("tools.lock")).unwrap();
    lock.lock().unwrap();
    for tool in TOOLS {
        if !tools.join("bin").join(tool).is_file() {
            let mut install = Command::new("cargo");
            install.args(["install", "--quiet", "--locked", "--root"]).arg(&tools).arg(tool);
            for (key, value) in [("OPT_LEVEL", "1"), ("LTO", "off"), ("CODEGEN_UNITS", "16")] {
                install.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
            }
            done(&mut install);
        }
    }
    tools
}

fn build(pages: &Path) -> Packages {
    let directory = tempfile::tempdir().unwrap();
    let path = std::env::join_paths(
        [tools().join("bin")].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut command = Command::new(project().join("packaging/build"));
    command.arg(hostward_tests::binary().unwrap()).arg(directory.path());
    done(command.env("HOSTWARD_PAGES", pages).env("PATH", path.unwrap()));
    Packages { directory }
}

fn pages() -> TempDir {
    let pages = tempfile::tempdir().unwrap();
    done(Command::new(env!("CARGO_BIN_EXE_pages")).arg(pages.path()));
    pages
}

/// The same binary gives the same bytes; the sums are those of the files. `HOSTWARD_PACKAGES` names a directory of packages that are
/// to be tested instead.
fn packages() -> Packages {
    if let Some(built) = std::env::var_os("HOSTWARD_PACKAGES") {
        let directory = tempfile::tempdir().unwrap();
        done(Command::new("cp").arg("-R").arg(Path::new(&built).join(".")).arg(directory.path()));
        let packages = Packages { directory };
        next(&packages);
        return packages;
    }
    let pages = pages();
    let (first, second) = (build(pages.path()), build(pages.path()));
    let sums = |packages: &Packages| std::fs::read_to_string(packages.path("SHA256SUMS")).unwrap();
    assert_eq!(sums(&first), sums(&second), "two builds differ");
    done(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(first.directory.path()));
    let sizes: Vec<String> = [".deb", ".rpm", ".tar.gz", ".zip"]
        .iter()
        .map(|end| format!("{end} {} KiB", first.path(end).metadata().unwrap().len() / 1024))
        .collect();
    results::tested(TEST, "reproducible", format!("two builds, the same bytes: {}", sizes.join(", ")));
    next(&first);
    first
}

/// The same deb as a version after it, with another text in one of the configuration files.
fn next(packages: &Packages) {
    let tree = tempfile::tempdir().unwrap();
    let to = packages.directory.path().join("next.deb");
    let script = "dpkg-deb -R \"$1\" \"$2\"; sed -i 's/^Version: .*/&.1/' \"$2/DEBIAN/control\"
                  echo '# a later version' >>\"$2/etc/hostward/hostward.toml\"
                  dpkg-deb --root-owner-group -Zgzip -z1 -b \"$2\" \"$3\"";
    done(
        Command::new("bash")
            .args(["-ec", script, "bash"])
            .arg(packages.path("64.deb"))
            .arg(tree.path().join("t"))
            .arg(to),
    );
}

/// All that is on a host by a name of ours, but for what its packet manager remembers, and what is bound there for the test.
fn ours(host: &Host) -> String {
    host.shell(
        "find / -xdev -name '*hostward*' ! -path '/proc/*' ! -path '/sys/*' ! -path '/packages*' \
         ! -path '/var/log/journal/*' ! -path '/var/lib/dpkg/info/*' ! -path '/var/lib/systemd/*' | sort; \
         find /run -name '*hostward*' ! -path '/run/systemd/*' ! -path '/run/log/*' | sort",
    )
    .unwrap()
}

/// What a report says, without times: for each check its verdict, its reason and the fingerprints of its findings.
fn said(report: &str) -> BTreeSet<String> {
    let report: Value = serde_json::from_str(report).unwrap();
    let checks = report["checks"].as_array().unwrap().iter().map(|check| {
        let findings: Vec<&Value> =
            check["findings"].as_array().unwrap().iter().map(|one| &one["fingerprint"]).collect();
        format!("{} {} {} {findings:?}", check["id"], check["verdict"], check["reason"])
    });
    checks.collect()
}

/// A script in the host that must succeed, and what it prints.
fn run(host: &Host, script: &str) -> String {
    let output = host.command("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{}: {script}: {}", host.name(), Place::said(&output));
    text(&output.stdout)
}

/// What systemd has against the units, on its own words.
fn verified(host: &Host) {
    let complaints = run(
        host,
        "cd /; for unit in /usr/lib/systemd/system/hostward*.service /usr/lib/systemd/system/hostward*.timer; do
           systemd-analyze verify --man=no $unit 2>&1 | grep -i hostward || :
         done",
    );
    assert_eq!(complaints, "", "systemd-analyze verify on {}", host.name());
}

/// The version of its systemd.
fn systemd(host: &Host) -> u32 {
    run(host, "systemctl --version | sed -n '1s/^systemd \\([0-9]*\\).*/\\1/p'").trim().parse().unwrap()
}

/// How exposed systemd finds a unit, where it says so: not before 240, and those up to 246 count a list of forbidden system calls
/// the wrong way round.
fn exposure(host: &Host, unit: &str) -> Option<f64> {
    if systemd(host) < 247 {
        return None;
    }
    let script = format!("systemd-analyze security --no-pager {unit} 2>/dev/null | tail -n 1");
    let told = host.shell(&script).unwrap_or_default();
    told.split_once("level for ")?.1.split_once(": ")?.1.split_whitespace().next()?.parse().ok()
}

/// The program, its man page, its completion and a scan work; the scan in its unit says what one outside says.
fn works(host: &Host) -> String {
    run(
        host,
        "test \"$(hostward --version)\" = 'hostward 0.1.0'
         zcat /usr/share/man/man1/hostward-scan.1.gz | grep -q '^\\.TH hostward-scan 1'
         bash -c 'source /usr/share/bash-completion/completions/hostward; complete -p hostward' | grep -q hostward
         hostward validate
         systemctl is-enabled -q hostward-recover.service
         ! systemctl is-enabled -q hostward-scan.timer
         systemctl start hostward-recover.service",
    );
    let scan = host.command("/usr/bin/hostward").args(["scan", "--password-budget", "0"]).output().unwrap();
    assert!(matches!(scan.status.code(), Some(0..=2)), "{}", Place::said(&scan));
    let outside = run(host, "cat /var/lib/hostward/report.json");
    run(
        host,
        "mkdir -p /run/systemd/system/hostward-scan.service.d
         printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/hostward scan --password-budget 0\\n' >/run/systemd/system/hostward-scan.service.d/t.conf
         rm /var/lib/hostward/report.json
         systemctl daemon-reload; systemctl start hostward-scan.service",
    );
    let inside = run(host, "cat /var/lib/hostward/report.json");
    let (inside, outside) = (said(&inside), said(&outside));
    let differ: Vec<_> = inside.symmetric_difference(&outside).collect();
    assert!(!inside.is_empty() && differ.is_empty(), "{}: {differ:#?}", host.name());
    // What the sandbox keeps it from.
    run(
        host,
        "printf '[Service]\\nExecStart=\\nExecStart=/bin/sh -c \"! touch /etc/x && ! touch /root/x && ! touch /usr/x && touch /var/lib/hostward/x\"\\n' \
           >/run/systemd/system/hostward-scan.service.d/t.conf
         systemctl daemon-reload; systemctl start hostward-scan.service
         test -e /var/lib/hostward/x; rm /var/lib/hostward/x; rm -r /run/systemd/system/hostward-scan.service.d; systemctl daemon-reload",
    );
    format!("{} checks the same inside its unit", inside.len())
}

/// The resident runs from the first moment, inside its sandbox, and says what a scan outside says. It is stopped then: it reports
/// too.
fn resides(host: &Host) {
    let script = "systemctl is-active -q hostward.service
        for i in $(seq 300); do hostward status --json | grep -q '\"extent\": \"full\"' && break; sleep 0.1; done
        hostward status --json";
    let status: Value = serde_json::from_str(&run(host, script)).unwrap();
    assert_eq!(status["troubles"], Value::Array(Vec::new()), "{}: {status}", host.name());
    assert_eq!(status["last"]["extent"], "full", "{status}");
    run(host, "systemctl stop hostward.service");
}

/// A fix that waits keeps the package from going, and outlives an upgrade; the boot's unit is the package's own.
fn waiting(place: &Place) -> String {
    let host = &place.host;
    let id = place.begin("VersionAddendum packaged\n", Confirm::Login, 600);
    let unit = format!("hostward-fix-{id}.service");
    // Held open at its end, so that systemd can be asked what it thinks of it.
    let mut applying = host
        .command("systemd-run")
        .args(["--quiet", "--wait", "--collect", &format!("--unit={unit}"), "-p", "ExecStopPost=/bin/sleep 3"])
        .args(["/usr/bin/hostward", "apply", &id])
        .spawn()
        .unwrap();
    place.await_stage(&id, is_waiting);
    let exposure = exposure(host, &unit);
    assert!(applying.wait().unwrap().success());
    if let Some(exposure) = exposure {
        assert!(exposure <= 4.5, "{unit} on {}: {exposure}", host.name());
    }
    assert_eq!(
        run(host, "grep -l '^# Written by' /etc/systemd/system/hostward* 2>/dev/null || :"),
        "",
        "the packaged unit serves"
    );
    let refused = host.command("dpkg").args(["-r", "hostward"]).output().unwrap();
    assert!(
        !refused.status.success() && Place::said(&refused).contains("waits for its confirmation"),
        "{}",
        Place::said(&refused)
    );
    run(host, "test -x /usr/bin/hostward");
    // Upgraded in place: what an administrator wrote stays, what nobody touched is the new one.
    run(
        host,
        "echo '# ours' >>/etc/hostward/policy.toml; mkdir -p /etc/hostward/policy.d; echo >/etc/hostward/policy.d/10-ours.toml
         dpkg --force-confold -i /packages/next.deb
         grep -q '^# ours' /etc/hostward/policy.toml; grep -q '^# a later version' /etc/hostward/hostward.toml",
    );
    assert!(is_waiting(&place.stage(&id)));
    run(
        host,
        &format!(
            "systemctl list-units --no-legend 'hostward-revert-{id}*.timer' | grep -q . ; test -s /var/lib/hostward/report.json"
        ),
    );
    run(host, &format!("/usr/bin/hostward rollback {id}; test ! -e /run/hostward-armed"));
    exposure.map_or_else(String::new, |exposure| format!("; applier {exposure}"))
}

/// Removed, back again, and purged.
fn gone(host: &Host) {
    run(
        host,
        "dpkg -r hostward; ! test -e /usr/bin/hostward; test -s /var/lib/hostward/report.json; test -s /etc/hostward/policy.toml
         ! ls /etc/systemd/system/*/hostward* /etc/systemd/system/hostward* 2>/dev/null
         dpkg --force-confold -i /packages/next.deb; systemctl is-enabled -q hostward-recover.service",
    );
    let said = run(host, "dpkg -P hostward 2>&1");
    assert!(said.contains("the records of 1 fixes"), "{said}");
    assert_eq!(ours(host), "/etc/hostward\n", "{}", host.name());
    assert_eq!(
        run(host, "ls -A /etc/hostward /etc/hostward/policy.d"),
        "/etc/hostward:\npolicy.d\n\n/etc/hostward/policy.d:\n10-ours.toml\n"
    );
    assert_eq!(
        run(
            host,
            "systemctl list-units --all --no-legend 'hostward*'; systemctl list-unit-files --no-legend 'hostward*' || :"
        )
        .trim(),
        ""
    );
}

/// From the first installation to the purge, on a booted host.
fn deb(packages: &Packages, name: &'static str) {
    let Ok(suite) = Suite::find(name) else {
        results::skipped(TEST, name, "NOT TESTED: there is no root file system of it");
        return;
    };
    let place = Place::booted(Host::of(&suite).bind(packages.directory.path(), "/packages").boot().unwrap());
    let host = &place.host;
    run(host, "dpkg -i /packages/*64.deb");
    verified(host);
    resides(host);
    let mut figures = works(host);
    for (unit, limit) in [("hostward.service", 3.0), ("hostward-scan.service", 3.0), ("hostward-firewall.service", 3.0)]
    {
        if let Some(exposure) = exposure(host, unit) {
            assert!(exposure <= limit, "{unit} on {name}: {exposure}");
            figures.push_str(&format!("; {unit} {exposure}"));
        }
    }
    figures.push_str(&waiting(&place));
    gone(host);
    results::tested(TEST, name, format!("installed, upgraded, removed, purged; {figures}"));
}

/// The archive with its script, on a booted host and into an image: again and again the same, and nothing is left.
fn tarball(packages: &Packages) {
    let suite = Suite::find("bookworm").unwrap();
    let host = Host::of(&suite).bind(packages.directory.path(), "/packages").boot().unwrap();
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

/// rpm itself installs, upgrades and removes it in a root file system that it does not run: its scripts do.
fn rpm(packages: &Packages) {
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

/// A script of `packaging/`, run as Cloud Assistant runs one: no terminal, no input, next to no environment, in /root.
fn assistant(host: &Host, script: &str, environment: &[&str]) -> Output {
    let mut command = host.command("env");
    command.args(["-i", "-C", "/root"]).args(environment).args(["sh", "-c", script]);
    command.output().unwrap()
}

/// The plugin as its manager unpacks and runs it; the commands of `packaging/cloud-assistant`; the steps of an image build.
fn cloud(packages: &Packages) {
    let suite = Suite::find("bookworm").unwrap();
    let scripts = project().join("packaging").canonicalize().unwrap();
    let plan = Host::of(&suite).bind(packages.directory.path(), "/packages").bind(&scripts, "/scripts");
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

/// Every template and component is YAML.
#[test]
fn templates_are_yaml() {
    for name in ["cloud-assistant/fleet.oos.yml", "image-builder/build.yml", "image-builder/test.yml"] {
        let text = std::fs::read_to_string(project().join("packaging").join(name)).unwrap();
        let events =
            saphyr_parser::Parser::new_from_str(&text).map(|event| event.map_err(|error| panic!("{name}: {error}")));
        assert!(events.count() > 10, "{name}");
    }
}

/// What is pasted into other people's consoles is what was tested, and fits there.
#[test]
fn components_of_an_image_build_hold_the_scripts_that_are_tested() {
    let read = |name: &str| std::fs::read_to_string(project().join("packaging/image-builder").join(name)).unwrap();
    let indented = |name: &str| read(name).lines().map(|line| format!("        {line}\n")).collect::<String>();
    for (component, scripts) in [("build.yml", &["harden.sh", "seal.sh"][..]), ("test.yml", &["test.sh"])] {
        let text = read(component);
        assert!(text.len() < 16 * 1024, "{component}: {} bytes", text.len());
        for script in scripts {
            let trim = |text: &str| text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>();
            assert!(trim(&text).contains(&trim(&indented(script))), "{component} lacks {script}");
        }
    }
}

#[test]
fn packages_do_their_work_and_leave_what_they_should() {
    let packages = packages();
    let suites =
        Tier::current().pick(&["bookworm"][..], &["bionic", "focal", "jammy", "bookworm", "noble", "trixie"][..]);
    std::thread::scope(|scope| {
        scope.spawn(|| chosen(suites).into_iter().for_each(|suite| deb(&packages, suite)));
        scope.spawn(|| {
            tarball(&packages);
            rpm(&packages);
            cloud(&packages);
        });
    });
}
