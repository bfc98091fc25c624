//! Tests of key files: which are read, what StrictModes says, what the account may open.

use super::*;
use crate::host::sshd::Sshd;
use crate::observation::Observations;
use crate::parse::key_blob::samples;
use crate::snapshot::{Sketch, Snapshot};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
    daemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n\
    alice:x:1000:1000::/home/alice:/bin/bash\n\
    bob:x:1001:1001::/home/bob:/bin/bash\n\
    eve:x:1002:1000::/home/eve:/bin/bash\n\
    bob:x:1001:1001::/home/other:/bin/bash\n";
const GROUP: &str = "root:x:0:\nalice:x:1000:\nbob:x:1001:\nshared:x:2000:bob\ndevs:x:3000:bob,eve\n";

/// A host with the accounts above; alice's home and key file are drawn with the usual owners and modes.
fn host() -> Sketch {
    let key = format!("{}\n", samples::ED25519.line);
    Sketch::new()
        .file("/etc/passwd", PASSWD)
        .file("/etc/group", GROUP)
        .file("/home/bob/.ssh/authorized_keys", key)
        .owned("/home/bob", 1001, 1001, 0o755)
        .owned("/home/bob/.ssh", 1001, 1001, 0o700)
        .owned("/home/bob/.ssh/authorized_keys", 1001, 1001, 0o600)
}

fn read(snapshot: &Snapshot, debian: bool) -> Keys {
    let reader = Reader::new(snapshot);
    let accounts = Accounts::read(&reader);
    let modes = Modes { private_groups: debian.then_some(&accounts) };
    let sshd = Sshd::read(&reader, &Observations::offline(0));
    let keys = Keys::read(&reader, &accounts, &modes, &Patterns::of(&sshd, &accounts));
    assert!(reader.need().is_empty());
    keys
}

/// With an sshd that has this configuration.
fn with_config(sketch: Sketch, config: &str) -> Sketch {
    sketch.program("/usr/sbin/sshd", &["OpenSSH_9.2p1"]).file("/etc/ssh/sshd_config", config)
}

fn bob(sketch: Sketch, debian: bool) -> KeyFile {
    let keys = read(&sketch.snapshot(), debian);
    keys.of(&Name::new("bob")).unwrap().files[0].clone()
}

#[test]
fn tokens_of_the_patterns() {
    let snapshot = host().snapshot();
    let accounts = Accounts::read(&Reader::new(&snapshot));
    let user = accounts.by_name("bob").unwrap();
    for (pattern, want) in [
        (".ssh/authorized_keys", Some("/home/bob/.ssh/authorized_keys")),
        ("/etc/ssh/keys/%u", Some("/etc/ssh/keys/bob")),
        ("%h/k", Some("/home/bob/k")),
        ("k-%U-%%", Some("/home/bob/k-1001-%")),
        ("none", None),
        ("NONE", None),
        ("/x/%k", None),
        ("/x/%", None),
    ] {
        assert_eq!(expand(pattern, user), want.map(PathBuf::from), "{pattern}");
    }
}

#[test]
fn accounts_that_a_name_reaches_have_their_files() {
    let keys = read(&host().snapshot(), true);
    let names: Vec<_> = keys.accounts.iter().map(|account| account.user.text().into_owned()).collect();
    assert_eq!(names, ["root", "daemon", "alice", "bob", "eve"]);
    assert_eq!(keys.lines().map(|(account, _, line)| (account.uid, line.line)).collect::<Vec<_>>(), [(1001, 1)]);
    let file = &keys.of(&Name::new("bob")).unwrap().files[0];
    assert_eq!((&file.strict, &file.closed), (&Fact::Known(vec![]), &Fact::Known(None)));
    let absent = &keys.of(&Name::new("alice")).unwrap().files[0];
    assert_eq!((&absent.content, &absent.strict), (&Fact::Absent, &Fact::Absent));
}

#[test]
fn strict_modes_as_upstream_and_as_debian() {
    let file = "/home/bob/.ssh/authorized_keys";
    for (path, uid, gid, mode, upstream, debian) in [
        (file, 1001, 1001, 0o644, None, None),
        (file, 0, 0, 0o644, None, None),
        (file, 1000, 1001, 0o600, Some(Fault::Owner), Some(Fault::Owner)),
        (file, 1001, 1001, 0o602, Some(Fault::OthersWrite), Some(Fault::OthersWrite)),
        (file, 1001, 1001, 0o620, Some(Fault::GroupWrites), None),
        ("/home/bob/.ssh", 1001, 1001, 0o770, Some(Fault::GroupWrites), None),
        ("/home/bob", 1001, 1001, 0o775, Some(Fault::GroupWrites), None),
        // A group of one member by name only.
        ("/home/bob", 1001, 2000, 0o775, Some(Fault::GroupWrites), None),
        ("/home/bob", 1001, 3000, 0o775, Some(Fault::GroupWrites), Some(Fault::GroupWrites)),
        // The primary group of two accounts.
        ("/home/bob", 1001, 1000, 0o775, Some(Fault::GroupWrites), Some(Fault::GroupWrites)),
        // No such group; no member.
        ("/home/bob", 1001, 4000, 0o775, Some(Fault::GroupWrites), Some(Fault::GroupWrites)),
        ("/home/bob", 1001, 1001, 0o777, Some(Fault::OthersWrite), Some(Fault::OthersWrite)),
        // What stands above the home is not looked at.
        ("/home", 1000, 3000, 0o777, None, None),
    ] {
        for (patched, want) in [(false, upstream), (true, debian)] {
            let found = bob(host().owned(path, uid, gid, mode), patched).strict;
            let found = found.known().expect("the file is there").first().map(|refusal| {
                assert_eq!(refusal.path, Path::new(path));
                refusal.fault
            });
            assert_eq!(found, want, "{path} {uid}:{gid} {mode:o}, Debian's patch: {patched}");
        }
    }
}

#[test]
fn outside_the_home_everything_up_to_the_root_counts() {
    let sketch = || {
        host().file("/srv/keys/bob", samples::RSA.line).owned("/srv/keys/bob", 1001, 1001, 0o600).owned(
            "/srv/keys",
            0,
            0,
            0o755,
        )
    };
    let strict = |sketch: Sketch, pattern: &str| {
        let keys = read(&with_config(sketch, &format!("AuthorizedKeysFile {pattern}\n")).snapshot(), false);
        keys.of(&Name::new("bob")).unwrap().files[0].strict.clone()
    };
    assert_eq!(strict(sketch(), "/srv/keys/%u"), Fact::Known(vec![]));
    let refused = strict(sketch().owned("/srv", 0, 50, 0o775), "/srv/keys/%u");
    assert_eq!(refused.known().unwrap()[0].path, Path::new("/srv"));
    // A link out of the home is judged where it leads.
    let linked = sketch().owned("/srv", 0, 50, 0o775).link("/home/bob/keys", "/srv/keys/bob");
    let refused = strict(linked, "keys");
    assert_eq!(refused.known().unwrap()[0].to_string(), "/srv is writable by group 50 (mode 0775)");
    // A link inside a home that is itself reached through a link ends at the real home.
    let moved = Sketch::new()
        .file("/etc/passwd", "bob:x:1001:1001::/home/bob:/bin/sh\n")
        .link("/home/bob", "/data/bob")
        .file("/data/bob/.ssh/authorized_keys", samples::RSA.line)
        .owned("/data/bob", 1001, 1001, 0o755)
        .owned("/data", 7, 7, 0o777);
    assert_eq!(strict(moved, ".ssh/authorized_keys"), Fact::Known(vec![]));
}

#[test]
fn the_file_is_opened_as_the_account() {
    for (path, uid, gid, mode, closed) in [
        ("/home/bob/.ssh/authorized_keys", 0, 0, 0o600, true),
        ("/home/bob/.ssh/authorized_keys", 0, 0, 0o644, false),
        ("/home/bob/.ssh/authorized_keys", 0, 2000, 0o640, false),
        ("/home/bob/.ssh/authorized_keys", 0, 1000, 0o640, true),
        ("/home/bob/.ssh/authorized_keys", 1001, 0, 0o044, true),
        ("/home/bob/.ssh", 0, 0, 0o700, true),
        ("/home/bob/.ssh", 0, 0, 0o711, false),
        ("/home", 0, 0, 0o750, true),
    ] {
        let file = bob(host().owned(path, uid, gid, mode), true);
        let want = closed.then(|| PathBuf::from(path));
        assert_eq!(file.closed, Fact::Known(want), "{path} {uid}:{gid} {mode:o}");
    }
}

#[test]
fn what_is_no_file_opens_nothing_and_what_cannot_be_read_is_unknown() {
    let path = "/home/alice/.ssh/authorized_keys";
    let alice = |sketch: Sketch| {
        let keys = read(&sketch.snapshot(), true);
        keys.of(&Name::new("alice")).unwrap().files[0].clone()
    };
    let pipe = alice(host().special(path, crate::snapshot::Kind::Fifo));
    assert_eq!(pipe.content, Fact::Known(KeyLines::default()));
    assert_eq!(pipe.strict.known().unwrap()[0].fault, Fault::Kind);
    let looped = alice(host().link(path, path));
    assert_eq!(looped.content, Fact::Known(KeyLines::default()));
    for why in [Why::Denied, Why::TooLarge(1), Why::Foreign("fuse".to_owned())] {
        assert_eq!(alice(host().unreadable(path, why.clone())).content, Fact::Unknown(why));
    }
}

#[test]
fn homes_that_others_can_write_are_told_without_keys_too() {
    let keys = read(&host().dir("/home/alice").owned("/home/alice", 1000, 1000, 0o777).snapshot(), true);
    let faults: Vec<_> = keys.of(&Name::new("alice")).unwrap().directories.iter().map(|r| r.fault).collect();
    assert_eq!(faults, [Fault::OthersWrite]);
    assert!(keys.of(&Name::new("daemon")).unwrap().directories.is_empty());
}

#[test]
fn private_keys_in_homes() {
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let sketch = host()
        .file("/home/bob/.ssh/id_rsa", key)
        .file("/home/bob/.ssh/deploy", key)
        .file("/home/bob/.ssh/known_hosts.old", key)
        .file("/home/bob/.ssh/id_rsa.pub", key)
        .file("/home/bob/server.PEM", key)
        .file("/home/bob/notes.txt", key)
        .file("/home/bob/cert.pem", "-----BEGIN CERTIFICATE-----\n")
        .link("/home/bob/.ssh/link", "/etc/ssl/private.pem")
        .file("/etc/ssl/private.pem", key)
        .special("/home/bob/.ssh/pipe", crate::snapshot::Kind::Fifo)
        .unreadable("/home/bob/.ssh/secret", Why::Denied)
        .file("/usr/sbin/.ssh/id_rsa", key);
    let keys = read(&sketch.snapshot(), true);
    let mut found: Vec<_> = keys.private.files.iter().map(|file| file.path.to_str().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, ["/home/bob/.ssh/deploy", "/home/bob/.ssh/id_rsa", "/home/bob/server.PEM"]);
    assert_eq!(keys.private.unknown, [(PathBuf::from("/home/bob/.ssh/secret"), Why::Denied)]);
}

#[test]
fn a_blocklist_on_the_host_is_read() {
    let (keys, _) = authorized_keys::parse(samples::RSA.line.as_bytes());
    let digits = keys[0].key.md5().trim_start_matches("MD5:").replace(':', "");
    let sketch = host()
        .file("/root/.ssh/authorized_keys", samples::RSA.line)
        .file("/usr/share/ssh/blacklist.RSA-2048", &digits[12..]);
    assert!(read(&sketch.snapshot(), true).blocklist.holds(&keys[0].key));
}

#[test]
fn the_files_of_match_blocks_are_read_and_count_for_whom_they_hold() {
    let config = "AuthorizedKeysFile .ssh/authorized_keys\nMatch User bob\nAuthorizedKeysFile /etc/keys\n\
        Match Address 10.0.0.0/8\nAuthorizedKeysFile /etc/inside/%u\n";
    let sketch = host().file("/etc/keys", samples::RSA.line).file("/etc/inside/alice", samples::ECDSA256.line);
    let keys = read(&with_config(sketch, config).snapshot(), true);
    let files = |user: &str| -> Vec<(String, bool)> {
        let account = keys.of(&Name::new(user)).unwrap();
        account.files.iter().map(|file| (file.path.to_str().unwrap().to_owned(), file.holds)).collect()
    };
    let want =
        |list: &[(&str, bool)]| list.iter().map(|(path, holds)| ((*path).to_owned(), *holds)).collect::<Vec<_>>();
    let alice = want(&[("/home/alice/.ssh/authorized_keys", true), ("/etc/keys", false), ("/etc/inside/alice", true)]);
    let bob = want(&[("/etc/keys", true), ("/home/bob/.ssh/authorized_keys", true), ("/etc/inside/bob", true)]);
    assert_eq!((files("alice"), files("bob")), (alice, bob));
    let opened: Vec<_> =
        keys.lines().map(|(account, file, _)| format!("{} {}", account.user.text(), file.pattern)).collect();
    assert_eq!(opened, ["alice /etc/inside/%u", "bob /etc/keys", "bob .ssh/authorized_keys"]);
}
