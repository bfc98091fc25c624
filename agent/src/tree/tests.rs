//! Directories entered by descriptor, and the rights they are used with.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;

fn root() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    for path in ["etc", "etc/in"] {
        std::fs::create_dir(dir.path().join(path)).unwrap();
        std::fs::set_permissions(dir.path().join(path), PermissionsExt::from_mode(0o755)).unwrap();
    }
    dir
}

#[test]
fn no_link_is_followed_and_no_shared_directory_entered() {
    let dir = root();
    symlink("etc", dir.path().join("link")).unwrap();
    symlink("/etc", dir.path().join("absolute")).unwrap();
    std::fs::write(dir.path().join("etc/file"), "x").unwrap();
    let tree = Tree::open(dir.path()).unwrap();
    for path in ["/link", "/absolute/in", "/etc/file", "/etc/file/x"] {
        let error = tree.dir(Path::new(path)).unwrap_err();
        assert!(error.downcast_ref::<Ends>().is_some(), "{path}: {error:#}");
    }
    let missing = tree.dir(Path::new("/etc/none/x")).unwrap_err();
    assert_eq!(missing.downcast_ref::<Errno>(), Some(&Errno::NOENT));
    for (mode, group, fits) in [
        (0o755, 0, true),
        (0o775, 0, true),
        (0o775, 50, false),
        (0o757, 0, false),
        (0o1777, 0, false),
        (0o700, 50, true),
    ] {
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(dir.path().join("etc"), None, Some(group)).unwrap();
        } else if group != 0 {
            continue;
        }
        std::fs::set_permissions(dir.path().join("etc"), PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(tree.dir(Path::new("/etc/in")).is_ok(), fits, "{mode:o} {group}");
    }
}

#[test]
fn a_users_directory_is_used_with_the_users_rights_alone() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: not root");
        return;
    }
    let dir = root();
    for (path, uid) in
        [("home", 0), ("home/eve", 4711), ("home/eve/in", 4711), ("home/eve/roots", 0), ("home/eve/bobs", 4712)]
    {
        std::fs::create_dir(dir.path().join(path)).unwrap();
        std::fs::set_permissions(dir.path().join(path), PermissionsExt::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(dir.path().join(path), Some(uid), Some(uid)).unwrap();
    }
    let hers = Tree::open(&dir.path().join("home/eve")).unwrap();
    assert!(hers.top().unwrap_err().to_string().contains("belongs to user 4711"));
    let tree = Tree::open(dir.path()).unwrap();
    let eve = User { uid: 4711, gid: 4711 };
    assert_eq!(tree.dir(Path::new("/home")).unwrap().user(), None);
    let inside = tree.dir(Path::new("/home/eve/in")).unwrap();
    assert_eq!(inside.user(), Some(eve));
    assert!(tree.dir(Path::new("/home/eve/bobs")).is_err(), "somebody else's");

    inside.make("made").unwrap();
    drop(inside.open("file", OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL).unwrap());
    for name in ["made", "file"] {
        let meta = std::fs::metadata(dir.path().join("home/eve/in").join(name)).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (4711, 4711), "{name}");
    }
    // What the user could not do is not done for them.
    let roots = tree.dir(Path::new("/home/eve/roots")).unwrap();
    assert_eq!(roots.user(), Some(eve));
    assert_eq!(roots.make("made"), Err(Errno::ACCESS));
    std::fs::write(dir.path().join("home/eve/roots/kept"), "x").unwrap();
    assert_eq!(roots.unlink("kept"), Err(Errno::ACCESS));
    assert_eq!(roots.rename(OsStr::new("kept"), OsStr::new("other"), true), Err(Errno::ACCESS));
    std::fs::set_permissions(dir.path().join("home/eve/roots/kept"), PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(roots.open("kept", OFlags::RDONLY).unwrap_err(), Errno::ACCESS);
    // And our own rights, groups with them, are back.
    assert_eq!(std::fs::read(dir.path().join("home/eve/roots/kept")).unwrap(), b"x");
    let groups = || nix::unistd::getgroups().unwrap();
    let before = groups();
    let during = eve.act(|| Ok(groups())).unwrap();
    assert!(during.is_empty());
    assert_eq!(groups(), before);
    // Also where what is done panics.
    let result = std::panic::catch_unwind(|| eve.act(|| -> Result<(), Errno> { panic!("on purpose") }));
    assert!(result.is_err());
    assert_eq!(nix::unistd::setfsuid(nix::unistd::Uid::from_raw(u32::MAX)).as_raw(), 0);
}

#[test]
fn renaming_replaces_only_where_it_may() {
    let dir = root();
    let tree = Tree::open(dir.path()).unwrap();
    let etc = tree.dir(Path::new("/etc")).unwrap();
    for name in ["a", "b"] {
        std::fs::write(dir.path().join("etc").join(name), name).unwrap();
    }
    assert_eq!(etc.rename(OsStr::new("a"), OsStr::new("b"), false), Err(Errno::EXIST));
    etc.rename(OsStr::new("a"), OsStr::new("b"), true).unwrap();
    etc.rename(OsStr::new("b"), OsStr::new("c"), false).unwrap();
    assert_eq!(std::fs::read(dir.path().join("etc/c")).unwrap(), b"a");
}

#[test]
fn a_node_is_judged_before_it_is_opened() {
    let dir = root();
    let at = dir.path().join("etc");
    std::fs::write(at.join("file"), "content").unwrap();
    std::fs::hard_link(at.join("file"), at.join("second")).unwrap();
    symlink("file", at.join("link")).unwrap();
    nix::unistd::mkfifo(&at.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(at.join("socket")).unwrap();
    std::fs::File::create(at.join("huge")).unwrap().set_len(1 << 40).unwrap();
    let tree = Tree::open(dir.path()).unwrap();
    let etc = tree.dir(Path::new("/etc")).unwrap();
    let standing = |name: &str| look(&etc, OsStr::new(name)).unwrap().standing;
    assert_eq!(standing("none"), Standing::Absent);
    assert_eq!(standing("link"), Standing::Other("link"));
    assert_eq!(standing("pipe"), Standing::Other("named pipe"));
    assert_eq!(standing("socket"), Standing::Other("socket"));
    assert!(matches!(standing("in"), Standing::Dir { .. }));
    let want = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";
    assert!(matches!(standing("file"), Standing::File { sha256, alone: false, .. } if sha256 == want));
    assert!(look(&etc, OsStr::new("huge")).is_err());
    drop(socket);
}
