//! Hostile input: whatever a local user or an image puts in the way, a scan ends soon, stays small, prints nothing that a
//! terminal obeys, and does not take "could not read" for "all is well".

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use hostward_tests::scan::{self, Scan};
use hostward_tests::silent::Silent;
use hostward_tests::suite::{Overlay, Suite};
use hostward_tests::{binary, results};

/// One thing in the way.
struct Trap {
    name: &'static str,
    /// Sets it up in an image that is otherwise the distribution's.
    set: fn(&Overlay),
    /// The area whose checks must not all pass or be silent about it, if any: `keys`, `sshd` …
    noticed_by: &'static str,
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAbcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQR";
/// The words of a terminal: clear the screen, a title, a bell, a right-to-left override, a line of its own, a C1 control.
const ESCAPES: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}drow\u{2066}\r\u{9b}31m";

fn fifo(path: &Path) {
    replace(path);
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
}

fn device(path: &Path) {
    replace(path);
    let status = Command::new("mknod").arg(path).args(["c", "1", "5"]).status().unwrap();
    assert!(status.success());
}

fn replace(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else if path.symlink_metadata().is_ok() {
        fs::remove_file(path).unwrap();
    }
}

fn link(path: &Path, target: &str) {
    replace(path);
    symlink(target, path).unwrap();
}

fn append(image: &Overlay, path: &str, line: impl AsRef<[u8]>) {
    let mut content = fs::read(image.path(path)).unwrap_or_default();
    content.extend_from_slice(line.as_ref());
    content.push(b'\n');
    image.write(path, content, 0o644).unwrap();
}

const KEYS: &str = "/root/.ssh/authorized_keys";
const SSHD: &str = "/etc/ssh/sshd_config";

const TRAPS: &[Trap] = &[
    Trap { name: "FIFO as passwd", set: |image| fifo(&image.path("/etc/passwd")), noticed_by: "accounts" },
    Trap { name: "FIFO as shadow", set: |image| fifo(&image.path("/etc/shadow")), noticed_by: "accounts" },
    Trap { name: "FIFO as sshd_config", set: |image| fifo(&image.path(SSHD)), noticed_by: "sshd" },
    Trap { name: "FIFO as authorized_keys", set: |image| fifo(&image.path(KEYS)), noticed_by: "" },
    Trap {
        name: "FIFO as drop-in",
        set: |image| fifo(&image.path("/etc/ssh/sshd_config.d/x.conf")),
        noticed_by: "sshd",
    },
    Trap { name: "FIFO as os-release", set: |image| fifo(&image.path("/usr/lib/os-release")), noticed_by: "" },
    Trap { name: "device as authorized_keys", set: |image| device(&image.path(KEYS)), noticed_by: "" },
    Trap { name: "device as passwd", set: |image| device(&image.path("/etc/passwd")), noticed_by: "accounts" },
    Trap {
        name: "link to a device as shadow",
        set: |image| {
            device(&image.path("/dev/zero"));
            link(&image.path("/etc/shadow"), "/dev/zero");
        },
        noticed_by: "accounts",
    },
    Trap {
        name: "directory as passwd",
        set: |image| {
            replace(&image.path("/etc/passwd"));
            fs::create_dir(image.path("/etc/passwd")).unwrap();
        },
        noticed_by: "accounts",
    },
    Trap {
        name: "2 GB of nothing as authorized_keys",
        set: |image| {
            image.write(KEYS, "", 0o600).unwrap();
            File::options().write(true).open(image.path(KEYS)).unwrap().set_len(2 << 30).unwrap();
        },
        noticed_by: "keys",
    },
    Trap {
        name: "2 GB of nothing as sshd_config",
        set: |image| File::options().write(true).open(image.path(SSHD)).unwrap().set_len(2 << 30).unwrap(),
        noticed_by: "sshd",
    },
    Trap {
        name: "10 MB line in authorized_keys",
        set: |image| append(image, KEYS, format!("{KEY} {}", "x".repeat(10 << 20))),
        noticed_by: "",
    },
    Trap {
        name: "10 MB line in sshd_config",
        set: |image| append(image, SSHD, format!("AllowUsers {}", "x ".repeat(5 << 20))),
        noticed_by: "",
    },
    Trap {
        name: "10 MB line in passwd",
        set: |image| append(image, "/etc/passwd", format!("u:x:5000:5000:{}:/:/bin/sh", "x".repeat(10 << 20))),
        noticed_by: "",
    },
    Trap {
        name: "10,000 accounts",
        set: |image| {
            let lines: Vec<String> =
                (0..10_000).map(|n| format!("u{n}:x:{}:100::/home/u{n}:/bin/sh", 10_000 + n)).collect();
            append(image, "/etc/passwd", lines.join("\n"));
        },
        noticed_by: "",
    },
    Trap {
        name: "NUL in sshd_config",
        set: |image| append(image, SSHD, b"PermitRootLogin no\0x\nPort 2222"),
        noticed_by: "",
    },
    Trap {
        name: "NUL in passwd",
        set: |image| append(image, "/etc/passwd", b"a\0b:x:0:0::/root:/bin/sh"),
        noticed_by: "",
    },
    Trap {
        name: "NUL in authorized_keys",
        set: |image| append(image, KEYS, [KEY.as_bytes(), b" a\0b"].concat()),
        noticed_by: "",
    },
    Trap {
        name: "escape sequences in a key's comment",
        set: |image| append(image, KEYS, format!("environment=\"A={ESCAPES}\",nonesuch {KEY} {ESCAPES}")),
        noticed_by: "",
    },
    Trap {
        name: "escape sequences in a user's name",
        set: |image| {
            append(image, "/etc/passwd", format!("evil{ESCAPES}:x:0:0:{ESCAPES}:/home/{ESCAPES}:/bin/{ESCAPES}"));
            append(image, "/etc/shadow", format!("evil{ESCAPES}::1::::::"));
            append(image, "/etc/group", format!("{ESCAPES}:x:0:{ESCAPES}"));
        },
        noticed_by: "",
    },
    Trap {
        name: "bytes that are not UTF-8 in a user's name",
        set: |image| append(image, "/etc/passwd", b"\xff\xfe\x80:x:0:0:\xff:/home/\xff:/bin/sh"),
        noticed_by: "",
    },
    Trap {
        name: "escape sequences in file names and sshd_config",
        set: |image| {
            image
                .write(&format!("/etc/ssh/sshd_config.d/{}.conf", ESCAPES.replace('/', "")), "Nonesuch yes\n", 0o644)
                .unwrap();
            append(image, SSHD, format!("PermitRootLogin {ESCAPES}"));
        },
        noticed_by: "sshd",
    },
    Trap {
        name: "escape sequences in os-release",
        set: |image| {
            image
                .write(
                    "/usr/lib/os-release",
                    format!("ID=debian\nPRETTY_NAME=\"{ESCAPES}\"\nVERSION_ID=\"{ESCAPES}\"\n"),
                    0o644,
                )
                .unwrap()
        },
        noticed_by: "",
    },
    Trap {
        name: "home on a loop of links",
        set: |image| {
            link(&image.path("/home/loop"), "loop2");
            link(&image.path("/home/loop2"), "loop");
            append(image, "/etc/passwd", "loop:x:5000:5000::/home/loop:/bin/sh");
        },
        noticed_by: "",
    },
    Trap {
        name: "link to the host's shadow as authorized_keys",
        set: |image| link(&image.path(KEYS), "../../../../../../../../../etc/shadow"),
        noticed_by: "",
    },
    Trap {
        name: "passwd on a loop of links",
        set: |image| link(&image.path("/etc/passwd"), "passwd"),
        noticed_by: "accounts",
    },
    Trap {
        name: "Include of itself",
        set: |image| append(image, SSHD, "Include /etc/ssh/sshd_config"),
        noticed_by: "sshd",
    },
    Trap {
        name: "Include of every file there is",
        set: |image| append(image, SSHD, "Include /usr/*/*/* /*/*/* /usr/share/*/*/*/*"),
        noticed_by: "sshd",
    },
    Trap {
        name: "Include of 10,000 files",
        set: |image| {
            let directory = image.path("/etc/ssh/many");
            fs::create_dir(&directory).unwrap();
            for number in 0..10_000 {
                fs::write(directory.join(format!("{number}.conf")), "AllowUsers alice\n").unwrap();
            }
            append(image, SSHD, "Include /etc/ssh/many/*.conf");
        },
        noticed_by: "",
    },
    Trap {
        name: "password hash with an endless price",
        set: |image| {
            append(image, "/etc/passwd", "rich:x:5001:5001::/:/bin/sh");
            append(
                image,
                "/etc/shadow",
                "rich:$6$rounds=999999999$abcdefgh$0123456789012345678901234567890123456789012345678901234567890123456789012345678901234:1::::::",
            );
        },
        noticed_by: "",
    },
    Trap {
        name: "sudoers that include themselves",
        set: |image| append(image, "/etc/sudoers", "#include /etc/sudoers\n@includedir /etc"),
        noticed_by: "",
    },
];

#[test]
fn traps_neither_hang_nor_mislead_nor_print() {
    let suite = Suite::find("trixie").unwrap();
    let plain = run(suite.root()).unwrap();
    let mut slowest = (Duration::ZERO, "");
    let mut faults = Vec::new();
    for trap in TRAPS {
        let image = suite.overlay().unwrap();
        (trap.set)(&image);
        match run(image.root()) {
            Ok(scan) => {
                slowest = slowest.max((scan.took, trap.name));
                let (before, after) = (complaints(&plain, trap), complaints(&scan, trap));
                if !trap.noticed_by.is_empty() && (after.is_empty() || before == after) {
                    faults.push(format!("{}: no check of {} says anything new", trap.name, trap.noticed_by));
                }
            }
            Err(error) => faults.push(format!("{}: {error:#}", trap.name)),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let figures = format!("{} traps, the slowest {} ms ({})", TRAPS.len(), slowest.0.as_millis(), slowest.1);
    results::tested("hostile images", suite.name(), figures);
}

/// What the area that must notice a trap says, other than that all is well.
fn complaints(scan: &Scan, trap: &Trap) -> BTreeMap<String, (String, Vec<String>)> {
    let mut verdicts = scan.verdicts();
    verdicts
        .retain(|id, (verdict, _)| id.starts_with(trap.noticed_by) && verdict != "pass" && verdict != "not_applicable");
    verdicts
}

/// A scan in JSON and, in both languages, in text; each is checked for what a terminal would obey.
fn run(directory: &Path) -> anyhow::Result<Scan> {
    scan::text(|| scan::offline(directory))?;
    scan::json(scan::offline(directory)?)
}

#[test]
fn without_rights_it_says_so() {
    let suite = Suite::find("bookworm").unwrap();
    let image = suite.overlay().unwrap();
    image.write(KEYS, format!("{KEY}\n"), 0o600).unwrap();
    let copy = image.path("/tmp/hostward");
    // By a process of its own: a file that a thread's child still holds open for writing cannot be run.
    assert!(Command::new("cp").arg(binary().unwrap()).arg(&copy).status().unwrap().success());
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&copy)
        .args(["scan", "--root"])
        .arg(image.root());
    let scan = scan::json(command).unwrap();
    let unknown = scan.unknown();
    assert!(unknown.iter().any(|(id, _)| id.starts_with("accounts.")), "shadow is unreadable: {:?}", scan.verdicts());
    assert!(unknown.iter().any(|(id, _)| id.starts_with("keys.")), "root's keys are unreadable: {:?}", scan.verdicts());
    assert_ne!(scan.code, 0);
}

/// Homes on file systems that wait for a server, which never answers: a scan of the image, one of the live system from inside,
/// and one through `/proc/PID/root` from where the mounts are not, end, say so, and have asked nothing.
#[test]
fn homes_behind_a_server_that_never_answers_are_not_entered() {
    let suite = Suite::find("bookworm").unwrap();
    let image = suite.overlay().unwrap();
    for (name, home) in [("fused", "/home/fused"), ("auto", "/home/auto/bob"), ("linked", "/home/linked")] {
        append(&image, "/etc/passwd", format!("{name}:x:5000:5000::{home}:/bin/sh"));
    }
    for directory in ["/home/fused", "/home/auto"] {
        fs::create_dir(image.path(directory)).unwrap();
    }
    link(&image.path("/home/linked"), "fused/below");
    assert!(Command::new("cp").arg(binary().unwrap()).arg(image.path("/usr/bin/hostward")).status().unwrap().success());
    let mounts =
        [Silent::fuse(&image.path("/home/fused")).unwrap(), Silent::automount(&image.path("/home/auto")).unwrap()];

    let mut live = image.command("timeout");
    live.args(["-k", "1", "120", "hostward", "scan"]);
    // Without our output, which somebody waits to see the end of.
    let mut there = Command::new("sleep").arg("300").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let root = format!("/proc/{}/root{}", there.id(), image.root().display());
    let plain = scan::offline(Path::new(&root)).unwrap();
    // The mounts belong to this thread; the process began without them.
    let mut elsewhere = Command::new("nsenter");
    elsewhere.arg(format!("--mount=/proc/{}/ns/mnt", std::process::id())).arg("--");
    elsewhere.arg(plain.get_program()).args(plain.get_args());
    let mut took = Vec::new();
    for command in [scan::offline(image.root()).unwrap(), live, elsewhere] {
        let scan = scan::json(command).unwrap();
        let unknown = scan.unknown();
        let said = |home: &str, kind: &str| {
            let why = format!("{home}/.ssh/authorized_keys: on a {kind} file system");
            unknown.iter().any(|(id, reason)| id.starts_with("keys.") && reason.contains(&why))
        };
        for (home, kind) in [("/home/fused", "fuse"), ("/home/auto/bob", "autofs"), ("/home/linked", "fuse")] {
            assert!(said(home, kind), "{home}: {unknown:?}");
        }
        for mount in &mounts {
            assert!(!mount.entered().unwrap(), "somebody looked inside {mount:?}");
        }
        took.push(scan.took.as_millis());
    }

    there.kill().unwrap();
    there.wait().unwrap();

    // They do hang whoever looks.
    for (mount, path) in mounts.iter().zip(["/home/fused", "/home/auto/bob"]) {
        let mut curious = Command::new("stat").arg(image.path(path)).stdout(Stdio::null()).spawn().unwrap();
        let asked = (0..600).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            mount.entered().unwrap()
        });
        std::thread::sleep(Duration::from_millis(200));
        let hangs = curious.try_wait().unwrap().is_none();
        curious.kill().unwrap();
        curious.wait().unwrap();
        assert!(asked && hangs, "{path} holds nobody up: {mount:?}");
    }
    results::tested(
        "hostile mounts",
        suite.name(),
        format!("FUSE and autofs homes, offline, live, elsewhere {took:?} ms"),
    );
}
