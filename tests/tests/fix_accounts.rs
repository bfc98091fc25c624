//! Accounts and keys mended in the root file systems of real distributions; their own tools say what became of it.
#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Instant;

use hostward_tests::suite::{Overlay, Suite};
use hostward_tests::tier::Tier;
use hostward_tests::{binary, results};

const WEAK: &str = include_str!("fix_race/weak.pub");
const GOOD: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPPMv7HtfAAGwIvQMkx1wyxFESKRoAX1NIoCm6/Voy1a good\n";

/// MD5 hashes, so that the audit of the passwords is soon done. Ann's password is weak, bob's empty, carol's never changes; dan's hash stands in passwd; svc is a service with a shell and a password.
const SCENE: &str = r#"
for user in ann bob carol dan; do useradd -m -s /bin/sh $user; done
useradd -r -s /bin/sh svc
usermod -p '$1$abcdefgh$KJHEbEnUJaxWv269o9nH60' ann
usermod -p '$1$abcdefgi$BnAYmf7CuXnCYfgDw0sjM/' carol
usermod -p '$1$abcdefgj$UD/I8gdtGMrG.Mo2HZVg41' svc
passwd -q -d bob
sed -i 's|^dan:x:|dan:$1$abcdefgk$4CR9mo9rjPnT8/h9R9.pv0:|' /etc/passwd
sed -i 's/^PASS_MAX_DAYS.*/PASS_MAX_DAYS\t99999 # for ever/' /etc/login.defs
chmod 666 /etc/shadow-
mkdir -p /home/ann/.ssh
"#;

fn image(suite: &Suite, use_pam: &str) -> Overlay {
    let image = suite.overlay().unwrap();
    image.shell(SCENE).unwrap();
    image.write("/home/ann/.ssh/authorized_keys", format!("{WEAK}# kept\r\n{GOOD}"), 0o666).unwrap();
    image.shell("chown -R ann: /home/ann/.ssh; chmod 777 /home/ann/.ssh").unwrap();
    let config = fs::read_to_string(image.path("/etc/ssh/sshd_config")).unwrap();
    image.write("/etc/ssh/sshd_config", format!("UsePAM {use_pam}\n{config}"), 0o644).unwrap();
    image
}

fn hostward(image: &Overlay, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(binary().unwrap());
    let output = command.args(arguments).arg("--root").arg(image.root()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), said)
}

/// The account files, their owners and modes.
fn files(image: &Overlay) -> BTreeMap<&'static str, (String, u32, u32, u32)> {
    let paths = [
        "/etc/passwd",
        "/etc/passwd-",
        "/etc/shadow",
        "/etc/shadow-",
        "/etc/group",
        "/etc/gshadow",
        "/etc/login.defs",
        "/home/ann/.ssh/authorized_keys",
    ];
    let of = |path: &'static str| {
        let meta = fs::symlink_metadata(image.path(path)).unwrap();
        (path, (fs::read_to_string(image.path(path)).unwrap(), meta.uid(), meta.gid(), meta.mode()))
    };
    paths.map(of).into()
}

/// Lines that differ, as they were and as they are.
fn differing(before: &str, after: &str) -> Vec<(String, String)> {
    let lines = |text: &str| text.split('\n').map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (lines(before), lines(after));
    assert_eq!(before.len(), after.len());
    before.into_iter().zip(after).filter(|(one, other)| one != other).collect()
}

const FIX: [&str; 8] = ["fix", "accounts", "keys", "--apply", "--lang", "en", "--password-budget", "2s"];

fn mend(suite: &Suite, use_pam: &str) {
    let image = image(suite, use_pam);
    let start = files(&image);
    let pwck = image.shell("pwck -qr || true; grpck -r || true").unwrap();
    let (code, said) = hostward(&image, &FIX);
    assert!(code == 0 || code == 1, "{suite}: {code}: {said}");
    let now = files(&image);
    // What the distribution's own tools see.
    let status = |user: &str| image.shell(&format!("passwd -S {user}")).unwrap().split(' ').nth(1).unwrap().to_owned();
    for (user, want) in [("ann", "L"), ("bob", "L"), ("carol", "P")] {
        assert!(status(user).starts_with(want), "{suite}: {user} is {}: {said}", status(user));
    }
    let field = |user: &str| {
        let shadow = &now["/etc/shadow"].0;
        shadow.lines().find_map(|line| line.strip_prefix(&format!("{user}:")).map(str::to_owned)).unwrap()
    };
    let marker = if use_pam == "yes" { "!" } else { "*" };
    assert!(field("bob").starts_with(&format!("{marker}:")), "{suite}: {}", field("bob"));
    assert_eq!(field("ann").starts_with("!$1$"), use_pam == "yes", "{suite}: {}", field("ann"));
    assert_eq!(field("ann").starts_with("*:"), use_pam == "no", "{suite}: {}", field("ann"));
    // The tools write passwd, shadow and their backups anew: all of it is put back.
    let ages = image
        .shell("mkdir /kept; cp -a /etc/*passwd* /etc/*shadow* /etc/*group* /etc/sub?id* /kept; chage -l carol; useradd -m eve; chage -l eve; rm -rf /home/eve; cp -a /kept/* /etc; rm -rf /kept")
        .unwrap();
    let days = |word: &str| -> Vec<&str> {
        let lines = ages.lines().filter(|line| line.starts_with(word));
        lines.filter_map(|line| line.rsplit(": ").next()).collect()
    };
    assert_eq!(days("Maximum"), ["90", "90"], "{suite}: {ages}");
    // shadow-utils of 2026 tells no minimum any more.
    let minimum = days("Minimum");
    assert!(minimum.is_empty() || minimum == ["7", "7"], "{suite}: {ages}");
    let shell = image.shell("getent passwd svc | cut -d: -f7; su svc -c true && echo in || true").unwrap();
    assert!(shell.starts_with("/usr/sbin/nologin\n") && !shell.lines().any(|line| line == "in"), "{suite}: {shell}");
    assert_eq!(image.shell("pwck -qr || true; grpck -r || true").unwrap(), pwck, "{suite}");
    // Nothing else.
    for line in differing(&start["/etc/shadow"].0, &now["/etc/shadow"].0) {
        let user = line.0.split(':').next().unwrap().to_owned();
        assert!(["ann", "bob", "carol", "dan", "svc"].contains(&user.as_str()), "{suite}: {line:?}");
    }
    let shells = differing(&start["/etc/passwd"].0, &now["/etc/passwd"].0);
    assert!(shells.len() == 1 && shells[0].0.starts_with("svc:"), "{suite}: {shells:?}");
    for same in ["/etc/group", "/etc/gshadow", "/etc/passwd-"] {
        assert_eq!(start[same], now[same], "{suite}: {same}");
    }
    assert_eq!(start["/etc/shadow-"].0, now["/etc/shadow-"].0, "{suite}");
    assert_eq!(now["/etc/shadow-"].3 & 0o777 & !0o640, 0, "{suite}");
    let keys = &now["/home/ann/.ssh/authorized_keys"];
    assert_eq!((keys.0.clone(), keys.3 & 0o777), (format!("# kept\r\n{GOOD}"), 0o644), "{suite}");
    // A second fix has nothing to do.
    let (code, again) = hostward(&image, &["fix", "accounts", "keys", "--lang", "en", "--password-budget", "2s"]);
    assert!(code == 0 && !again.contains("change /"), "{suite}: {code}: {again}");
    // And everything goes back, byte for byte.
    let (code, undone) = hostward(&image, &["rollback"]);
    assert_eq!(code, 0, "{suite}: {undone}");
    let back = files(&image);
    for (path, was) in &start {
        assert_eq!(back.get(path), Some(was), "{suite}: {path}");
    }
}

#[test]
fn accounts_and_keys_are_mended_as_the_distributions_tools_see_it() {
    let suites = Suite::all("fix_accounts").unwrap();
    let both = ["yes", "no"].as_slice();
    for suite in &suites {
        let start = Instant::now();
        let chosen = match (Tier::current(), suite.name()) {
            (Tier::Long, _) => both,
            (_, "bionic" | "sid") => &["no"],
            (_, "bookworm") => &["yes"],
            _ => continue,
        };
        chosen.iter().for_each(|use_pam| mend(suite, use_pam));
        results::tested(
            "fix_accounts",
            suite.name(),
            format_args!("UsePAM {chosen:?}: mended, looked at, and back in {:.1} s", start.elapsed().as_secs_f64()),
        );
    }
}
