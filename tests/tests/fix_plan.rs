//! What a fix makes of odd configurations, foreign edits and images, with the real sshd of each suite as the judge.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use hostward_tests::suite::{Overlay, Suite};
use hostward_tests::{binary, results};
use serde_json::Value;

/// An account with a password, so that closing passwords is something.
const ANN: &str = "useradd -m -s /bin/bash ann; echo 'ann:Pa55-ann-word' | chpasswd; install -d /run/sshd";

fn fix(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "120"]).arg(binary().unwrap()).arg("fix").arg("--root").arg(root);
    command.args(["--profile", "enhanced", "--password-budget", "0", "--lang", "en"]).args(arguments);
    command.env_clear().current_dir("/").output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// `sshd -T -C` of an account from outside, in lower case: as a set of lines.
fn settings(image: &Overlay, options: &str) -> BTreeSet<String> {
    let command = format!("/usr/sbin/sshd -T -C user=ann,host=203.0.113.7,addr=203.0.113.7 {options}");
    image.shell(&command).unwrap().lines().map(str::to_ascii_lowercase).collect()
}

/// How a configuration is odd.
struct Odd {
    name: &'static str,
    /// Makes it so; `$C` is sshd_config.
    script: &'static str,
    /// More options of the sshd that is asked.
    options: &'static str,
    /// The file that the fix writes, and what it must hold before and after everything else that was there.
    writes: &'static str,
}

const ODD: &[Odd] = &[
    Odd { name: "as it comes", script: "", options: "", writes: "" },
    Odd {
        name: "values above the Include",
        script: "printf 'PasswordAuthentication yes\\n' | cat - $C >/tmp/n; cat /tmp/n >$C",
        options: "",
        writes: "/etc/ssh/sshd_config",
    },
    Odd {
        name: "a drop-in directory that nobody includes",
        script: "sed -i '/^Include/d' $C; mkdir -p /etc/ssh/sshd_config.d; echo 'PasswordAuthentication no' >/etc/ssh/sshd_config.d/50-x.conf",
        options: "",
        writes: "/etc/ssh/sshd_config",
    },
    Odd {
        name: "an earlier drop-in",
        script: "grep -q ^Include $C || exit 0; echo 'PasswordAuthentication yes' >/etc/ssh/sshd_config.d/00-aaa.conf",
        options: "",
        writes: "",
    },
    Odd {
        name: "Match all and what follows it",
        script: "printf 'Match User bob\\nX11Forwarding no\\nMatch all\\nPasswordAuthentication yes\\n' >>$C",
        options: "",
        writes: "",
    },
    Odd {
        name: "a Match block that opens it again, with a comment and CRLF",
        script: "printf 'Match Address 203.0.113.0/24\\r\\n\\tpasswordauthentication\\tyes\\r\\n' >>$C",
        options: "",
        writes: "",
    },
    Odd {
        name: "a second daemon",
        script: "printf 'Port 2222\\nUsePAM yes\\nPasswordAuthentication yes\\nHostKey /etc/ssh/ssh_host_ed25519_key\\n' >/etc/ssh/sshd_admin
            printf '[Service]\\nExecStart=/usr/sbin/sshd -D -f /etc/ssh/sshd_admin\\n[Install]\\nWantedBy=multi-user.target\\n' >/etc/systemd/system/sshd-admin.service
            ln -s /etc/systemd/system/sshd-admin.service /etc/systemd/system/multi-user.target.wants/",
        options: "-f /etc/ssh/sshd_admin",
        writes: "/etc/ssh/sshd_admin",
    },
];

#[test]
fn odd_configurations_are_closed_where_sshd_reads_first() {
    for suite in Suite::all("fix-odd").unwrap() {
        for odd in ODD {
            let image = suite.overlay().unwrap();
            image.shell(&format!("C=/etc/ssh/sshd_config; {ANN}\n(:;{})\n/usr/sbin/sshd -t", odd.script)).unwrap();
            let context = format!("{suite}, {}", odd.name);
            let before = settings(&image, odd.options);
            let old = tree(&image);
            let output = fix(image.root(), &["sshd.password-login", "--apply"]);
            assert_eq!(output.status.code(), Some(0), "{context}: {}", said(&output));
            image.shell(&format!("/usr/sbin/sshd -t {}", odd.options)).unwrap();
            let after = settings(&image, odd.options);
            assert!(after.contains("passwordauthentication no"), "{context}: {}", said(&output));
            let open = ["kbdinteractiveauthentication yes", "challengeresponseauthentication yes"];
            assert!(!open.iter().any(|line| after.contains(*line)), "{context}: {after:?}");
            // Nothing but what was meant.
            let meant = ["passwordauthentication", "kbdinteractiveauthentication", "challengeresponseauthentication"];
            for line in after.symmetric_difference(&before) {
                assert!(meant.contains(&line.split(' ').next().unwrap()), "{context}: {line} changed");
            }
            kept(&old, &tree(&image), odd, &context);
            let again = fix(image.root(), &["sshd.password-login"]);
            assert_eq!(again.status.code(), Some(0), "{context}: a second fix has a plan: {}", said(&again));
        }
        results::tested("fix-odd", suite.name(), format!("{} configurations", ODD.len()));
    }
}

/// The files of /etc/ssh with their content.
fn tree(image: &Overlay) -> Vec<(String, Vec<u8>)> {
    let list = image.shell("find /etc/ssh /etc/cloud -type f 2>/dev/null | sort || true").unwrap();
    list.lines().map(|path| (path.to_owned(), fs::read(image.path(path)).unwrap())).collect()
}

/// Every line that was there is there, in its order, but those whose value the plan changed.
fn kept(before: &[(String, Vec<u8>)], after: &[(String, Vec<u8>)], odd: &Odd, context: &str) {
    for (path, old) in before {
        let (_, new) =
            after.iter().find(|(other, _)| other == path).unwrap_or_else(|| panic!("{context}: {path} is gone"));
        let ours = |line: &&[u8]| !line.to_ascii_lowercase().windows(22).any(|part| part == b"passwordauthentication");
        let foreign = |content: &[u8]| -> Vec<Vec<u8>> {
            content.split_inclusive(|byte| *byte == b'\n').filter(ours).map(<[u8]>::to_vec).collect()
        };
        let (old, new) = (foreign(old), foreign(new));
        let tail = &new[new.len() - old.len().min(new.len())..];
        assert_eq!(tail, &old[..], "{context}: {path} lost or changed lines");
        let crlf = |content: &[(String, Vec<u8>)]| {
            content
                .iter()
                .filter(|(other, _)| other == path)
                .flat_map(|(_, content)| content)
                .filter(|byte| **byte == b'\r')
                .count()
        };
        assert_eq!(crlf(before), crlf(after), "{context}: {path}");
    }
    if !odd.writes.is_empty() {
        let content = |tree: &[(String, Vec<u8>)]| {
            tree.iter().find(|(path, _)| path == odd.writes).map(|(_, content)| content.clone())
        };
        assert_ne!(content(before), content(after), "{context}: {} is not what was edited", odd.writes);
        let drop_in = after.iter().any(|(path, _)| path.ends_with("00-hostward.conf"));
        // The other daemon has its own place.
        let other = odd.writes != "/etc/ssh/sshd_config";
        assert!(other || !drop_in, "{context}: a drop-in that nobody reads first");
    }
}

/// sshd of a newer release under an old number, as vendors ship it: what it knows is asked of the program.
#[test]
fn an_old_number_with_include_takes_the_drop_in() {
    let suite = Suite::find("bookworm").unwrap();
    let image = suite.overlay().unwrap();
    image.shell(ANN).unwrap();
    let program = image.path("/usr/sbin/sshd");
    let mut bytes = fs::read(&program).unwrap();
    let places: Vec<usize> =
        bytes.windows(13).enumerate().filter(|(_, part)| *part == b"OpenSSH_9.2p1").map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at..at + 13].copy_from_slice(b"OpenSSH_8.0p1"));
    fs::write(&program, bytes).unwrap();
    let output = fix(image.root(), &["sshd.password-login", "--apply"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(image.path("/etc/ssh/sshd_config.d/00-hostward.conf").is_file(), "{}", said(&output));
    assert!(settings(&image, "").contains("passwordauthentication no"));
}

/// A refusal: what is arranged, the arguments, and what must be said. Nothing changes.
const REFUSED: &[(&str, &str, &[&str], i32, &str)] = &[
    (
        "root gets the key and may not log in",
        "echo 'PermitRootLogin no' >>/etc/ssh/sshd_config; sed -i '/^#PermitRoot/d' /etc/ssh/sshd_config",
        &["sshd.password-login"],
        3,
        "root gets the ECS key at first boot",
    ),
    (
        "root is outside AllowUsers",
        "echo 'AllowUsers ann' >>/etc/ssh/sshd_config",
        &["sshd.password-login"],
        3,
        "root gets the ECS key at first boot",
    ),
    (
        "a drop-in breaks sshd",
        "echo 'NoSuchWord yes' >>/etc/ssh/sshd_config",
        &["sshd.password-login"],
        3,
        "sshd would refuse /etc/ssh/sshd_config",
    ),
    (
        "sshd_config is a link",
        "mv /etc/ssh/sshd_config /etc/ssh/real; ln -s real /etc/ssh/sshd_config; sed -i '/^Include/d' /etc/ssh/real",
        &["sshd.password-login", "--apply"],
        1,
        "/etc/ssh/sshd_config is a link to real",
    ),
    (
        "the configuration is on the command line",
        "printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/sshd -D -o PasswordAuthentication=yes\\n' >/tmp/o; mkdir -p /etc/systemd/system/ssh.service.d; mv /tmp/o /etc/systemd/system/ssh.service.d/o.conf",
        &["sshd.password-login", "--apply"],
        1,
        "command line, which beats every file",
    ),
];

#[test]
fn what_cannot_be_done_safely_is_refused_by_name() {
    let suite = Suite::find("bookworm").unwrap();
    for (name, script, arguments, code, want) in REFUSED {
        let image = suite.overlay().unwrap();
        image.shell(&format!("{ANN}\n{script}")).unwrap();
        let before =
            image.shell("find / -xdev -printf '%p %s %m %u %T@ %C@\\n' | grep -v '^/proc' | sort | sha256sum").unwrap();
        let output = fix(image.root(), arguments);
        assert_eq!(output.status.code(), Some(*code), "{name}: {}", said(&output));
        assert!(said(&output).contains(want), "{name}: {}", said(&output));
        let after =
            image.shell("find / -xdev -printf '%p %s %m %u %T@ %C@\\n' | grep -v '^/proc' | sort | sha256sum").unwrap();
        if *code == 3 {
            assert_eq!(before, after, "{name}: something changed");
        }
    }
    results::tested("fix-refused", suite.name(), format!("{} cases in an image", REFUSED.len()));
}

/// What stands in the way of a write is found while planning, by name, and nothing is removed.
#[test]
fn what_cannot_be_written_is_told_while_planning() {
    let suite = Suite::find("bookworm").unwrap();
    for (name, arrange, undo, want) in [
        (
            "an immutable directory",
            "chattr +i /etc/ssh/sshd_config.d",
            "chattr -i /etc/ssh/sshd_config.d",
            "is immutable",
        ),
        (
            "a file mounted over the main one",
            "sed -i '/^Include/d' /etc/ssh/sshd_config; cp /etc/ssh/sshd_config /tmp/c",
            "true",
            "is a mount point",
        ),
        ("a read-only /etc/ssh", "true", "true", "mounted read-only"),
    ] {
        let image = suite.overlay().unwrap();
        image.shell(ANN).unwrap();
        image.shell(arrange).unwrap();
        let mount = |arguments: &[&str]| {
            let status = Command::new("mount").args(arguments).status().unwrap();
            assert!(status.success(), "{name}: mount {arguments:?}");
        };
        let path = |inside: &str| image.path(inside).to_str().unwrap().to_owned();
        if name.starts_with("a file") {
            mount(&["--bind", &path("/tmp/c"), &path("/etc/ssh/sshd_config")]);
        }
        if name.starts_with("a read-only") {
            mount(&["--bind", &path("/etc/ssh"), &path("/etc/ssh")]);
            mount(&["-o", "remount,ro,bind", &path("/etc/ssh")]);
        }
        let output = fix(image.root(), &["sshd.password-login", "--apply"]);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", said(&output));
        assert!(said(&output).contains(want), "{name}: {}", said(&output));
        for inside in ["/etc/ssh/sshd_config", "/etc/ssh"] {
            let _ = Command::new("umount").arg("-l").arg(path(inside)).output();
        }
        image.shell(undo).unwrap();
    }
}

/// The plan for programs keeps its shape.
#[test]
fn the_plan_is_told_to_programs() {
    let image = Suite::find("bookworm").unwrap().overlay().unwrap();
    image.shell(ANN).unwrap();
    let output = fix(image.root(), &["sshd", "accounts", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&plan["schema"], &plan["verdict"]), (&"hostward.plan/1".into(), &"plan".into()));
    let effects = plan["effects"].as_array().unwrap();
    assert!(
        effects.iter().all(|effect| !effect["guards"].as_array().unwrap().is_empty()),
        "an effect without a guard: {plan}"
    );
    assert!(
        effects.iter().all(|effect| !effect["reasons"].as_array().unwrap().is_empty()),
        "an effect without a reason: {plan}"
    );
    assert!(!plan.to_string().contains("$y$"), "a hash is printed");
}
