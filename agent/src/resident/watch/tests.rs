//! What is heard of files, and what is not.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};

use hostward_checks::snapshot::{Need, Snapshot, Want};

use super::*;
use crate::resident::places::places;
use crate::root::{Budget, Root};

/// What a look at these paths would have watched.
fn seen(paths: &[(&Path, Want)]) -> Vec<Place> {
    let (root, mut snapshot) = (Root::open(Path::new("/")).unwrap(), Snapshot::new());
    let need: Need = paths.iter().map(|(path, want)| (path.to_path_buf(), vec![*want])).collect();
    root.answer(&need, &mut snapshot, &mut Budget::default());
    places(&snapshot)
}

#[test]
fn every_way_of_writing_is_heard_and_what_does_not_count_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let (file, absent, plain) = (home.join("config"), home.join("keys/list"), home.join("plain"));
    std::fs::write(&file, "one").unwrap();
    std::fs::write(&plain, "one").unwrap();
    let look = || seen(&[(&file, Want::Content), (&absent, Want::Content), (&plain, Want::Meta)]);
    let mut watches = Watches::new().unwrap();
    assert!(!watches.replace(look()));
    let changes: [(&str, &dyn Fn(), bool); 14] = [
        ("written into", &|| std::fs::write(&file, "two").unwrap(), true),
        (
            "renamed over",
            &|| {
                std::fs::write(dir.path().join("new"), "three").unwrap();
                std::fs::rename(dir.path().join("new"), &file).unwrap();
            },
            true,
        ),
        (
            "through another name",
            &|| {
                std::fs::hard_link(&file, dir.path().join("other")).unwrap();
                std::fs::write(dir.path().join("other"), "four").unwrap();
            },
            true,
        ),
        ("through that name again", &|| std::fs::write(dir.path().join("other"), "five").unwrap(), true),
        (
            "by who keeps it open",
            &|| {
                let mut open = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
                open.write_all(b"six").unwrap();
                std::mem::forget(open);
            },
            true,
        ),
        ("another name", &|| std::fs::write(home.join("other"), "x").unwrap(), false),
        ("what is only looked at", &|| std::fs::write(&plain, "two").unwrap(), false),
        ("its mode", &|| std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o666)).unwrap(), true),
        ("a directory that was not there", &|| std::fs::create_dir(home.join("keys")).unwrap(), true),
        ("a file in it", &|| std::fs::write(&absent, "x").unwrap(), true),
        (
            "a link in its place",
            &|| {
                std::fs::remove_file(&file).unwrap();
                symlink(&plain, &file).unwrap();
            },
            true,
        ),
        (
            "another directory in its place",
            &|| {
                std::fs::rename(&home, dir.path().join("old")).unwrap();
                std::fs::create_dir(&home).unwrap();
            },
            true,
        ),
        ("a file in that", &|| std::fs::write(&file, "four").unwrap(), true),
        ("what was moved away", &|| std::fs::write(dir.path().join("old/plain"), "x").unwrap(), false),
    ];
    for (what, change, counts) in changes {
        change();
        assert_eq!(watches.read(), counts, "{what}");
        watches.replace(look());
        watches.read();
    }
}

#[test]
fn what_changes_between_the_look_and_the_watch_is_not_missed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config");
    std::fs::write(&file, "one").unwrap();
    let before = seen(&[(&file, Want::Content)]);
    std::fs::write(&file, "another").unwrap();
    assert!(Watches::new().unwrap().replace(before));
    let before = seen(&[(&dir.path().join("later"), Want::Content)]);
    std::fs::write(dir.path().join("later"), "x").unwrap();
    assert!(Watches::new().unwrap().replace(before));
}

#[test]
fn a_users_link_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("home")).unwrap();
    let inside = dir.path().join("home/file");
    std::fs::write(&inside, "x").unwrap();
    let places = seen(&[(&inside, Want::Content)]);
    std::fs::rename(dir.path().join("home"), dir.path().join("real")).unwrap();
    symlink(dir.path().join("real"), dir.path().join("home")).unwrap();
    let mut watches = Watches::new().unwrap();
    assert!(watches.replace(places), "the directory is not what it was");
    std::fs::write(dir.path().join("real/file"), "y").unwrap();
    assert!(!watches.read());
}

#[test]
fn what_the_kernel_does_not_tell_is_found_within_an_hour() {
    let dir = tempfile::tempdir().unwrap();
    let (file, absent) = (dir.path().join("config"), dir.path().join("later"));
    std::fs::write(&file, "one").unwrap();
    let look = || seen(&[(&file, Want::Content), (&absent, Want::Content)]);
    let mut watches = Watches::new().unwrap();
    let changes: [&dyn Fn(); 3] =
        [&|| std::fs::write(&file, "another").unwrap(), &|| std::fs::write(&absent, "x").unwrap(), &|| {
            std::fs::rename(dir.path().join("config"), dir.path().join("old")).unwrap()
        }];
    for change in changes {
        assert!(!watches.replace(look()));
        let later = || Instant::now() + COMPARED;
        assert!(!watches.poll(later()), "nothing has changed");
        change();
        // As if the kernel had told nothing.
        watches.read();
        assert!(!watches.poll(Instant::now()), "too soon");
        assert!(watches.poll(later()));
    }
}

#[test]
fn a_watch_is_of_every_place_that_it_shows() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config");
    std::fs::write(&file, "one").unwrap();
    // As a mount would show it: one directory, two paths, and in each another name that counts.
    let mut places = seen(&[(&file, Want::Content)]);
    let mut other = seen(&[(&dir.path().join("absent"), Want::Content)]).pop().unwrap();
    other.listed = false;
    places.push(other);
    let mut watches = Watches::new().unwrap();
    assert!(!watches.replace(places.clone()));
    assert!(!watches.replace(places));
    std::fs::write(&file, "two").unwrap();
    assert!(watches.read());
    std::fs::write(dir.path().join("absent"), "two").unwrap();
    assert!(watches.read());
    std::fs::write(dir.path().join("neither"), "two").unwrap();
    assert!(!watches.read());
}

#[test]
fn after_lost_news_the_watches_stand() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config");
    std::fs::write(&file, "one").unwrap();
    let look = || seen(&[(&file, Want::Content)]);
    let mut watches = Watches::new().unwrap();
    watches.replace(look());
    let before = watches.count();
    watches.lost = true;
    watches.replace(look());
    assert_eq!(watches.count(), before);
    std::fs::write(&file, "two").unwrap();
    assert!(watches.read());
}
