#![cfg(test)]

use super::*;
use crate::snapshot::Sketch;

fn sketch() -> Snapshot {
    Sketch::new()
        .file("/etc/a", "one\ntwo\n")
        .link("/etc/l", "a")
        .link("/e", "etc")
        .dir("/home/ann/.ssh")
        .owned("/home/ann/.ssh", 1000, 1000, 0o775)
        .snapshot()
}

#[test]
fn changes_hold_what_was_and_what_becomes() {
    let snapshot = sketch();
    let (reader, obstacles) = (Reader::new(&snapshot), Obstacles::from([("/etc/i".into(), Obstacle::Immutable)]));
    let mut draft = Draft::new(&reader, &obstacles);
    draft.sheet(Path::new("/e/a")).unwrap().replace(1, *b"ONE");
    draft.owner(Path::new("/etc/a")).unwrap().mode = 0o600;
    draft.owner(Path::new("/home/ann/.ssh")).unwrap().mode = 0o700;
    draft.write(Path::new("/etc/new.d/x/f"), *b"x", Owner::root(0o640)).unwrap();
    let told: Vec<String> = draft
        .changes()
        .iter()
        .map(|change| format!("{} {:?}", change.path.display(), change.after.owner().map(|owner| owner.mode)))
        .collect();
    assert_eq!(
        told,
        [
            "/etc/a Some(384)",
            "/etc/new.d Some(493)",
            "/etc/new.d/x Some(493)",
            "/etc/new.d/x/f Some(416)",
            "/home/ann/.ssh Some(448)"
        ]
    );
    assert_eq!(draft.changes()[0].before, State::file(*b"one\ntwo\n", Owner::root(0o644)));
    assert_eq!(draft.changes()[0].after, State::file(*b"ONE\ntwo\n", Owner::root(0o600)));
    assert_eq!(draft.sheet(Path::new("/etc/l")).unwrap_err(), Obstacle::Link("a".into()));
    assert_eq!(draft.sheet(Path::new("/etc/i")).unwrap_err(), Obstacle::Immutable);
    assert_eq!(draft.sheet(Path::new("/etc/none")).unwrap_err(), Obstacle::Missing);
}

#[test]
fn a_change_laid_over_a_snapshot_is_read_as_if_it_were_made() {
    let mut snapshot = sketch();
    let changes = {
        let (reader, obstacles) = (Reader::new(&snapshot), Obstacles::new());
        let mut draft = Draft::new(&reader, &obstacles);
        draft.write(Path::new("/etc/new.d/f.conf"), *b"x", Owner::root(0o640)).unwrap();
        draft.remove(Path::new("/etc/a")).unwrap();
        draft.owner(Path::new("/home/ann/.ssh")).unwrap().mode = 0o700;
        draft.changes()
    };
    changes.iter().for_each(|change| lay(&mut snapshot, change));
    let reader = Reader::new(&snapshot);
    assert_eq!(reader.glob(Path::new("/etc/*/*.conf")).paths, [PathBuf::from("/etc/new.d/f.conf")]);
    assert_eq!(reader.file(Path::new("/etc/new.d/f.conf")).unwrap().bytes, b"x");
    assert!(matches!(reader.meta(Path::new("/etc/a")), Err(Miss::Absent)));
    assert_eq!(reader.meta(Path::new("/home/ann/.ssh")).unwrap().mode, 0o700);
    changes.iter().rev().for_each(|change| lay(&mut snapshot, &change.inverse()));
    let reader = Reader::new(&snapshot);
    assert_eq!(reader.file(Path::new("/etc/a")).unwrap().bytes, b"one\ntwo\n");
    assert!(reader.glob(Path::new("/etc/*/*.conf")).paths.is_empty());
}
