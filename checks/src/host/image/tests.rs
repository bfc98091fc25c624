use super::*;
use crate::host::Host;
use crate::observation::Observations;
use crate::snapshot::{Sketch, Snapshot};

fn read(snapshot: &Snapshot, image: bool) -> crate::fact::Fact<Image> {
    let seen = Observations { image, ..Observations::offline(1_700_000_000) };
    let (host, need) = Host::read(snapshot, &seen);
    assert!(need.is_empty(), "{need:?}");
    host.image
}

#[test]
fn nobody_else_pays_for_what_images_are_asked() {
    let snapshot = Sketch::new().file("/var/log/syslog", "x").snapshot();
    assert_eq!(read(&snapshot, false), crate::fact::Fact::Absent);
    assert_eq!(read(&snapshot, true).known().map(|image| image.found.len()), Some(1));
    // What is not asked for is not recorded either.
    let (_, need) = Host::read(&Snapshot::new(), &Observations::offline(1_700_000_000));
    assert!(!need.keys().any(|path| path.starts_with("/var/log")), "{need:?}");
}

#[test]
fn a_tree_without_end_is_told_and_not_looked_through() {
    let mut sketch = Sketch::new();
    let mut deep = "/tmp".to_owned();
    for _ in 0..40 {
        deep.push_str("/d");
    }
    sketch = sketch.file(format!("{deep}/f"), "x");
    for number in 0..25_000 {
        sketch = sketch.file(format!("/var/tmp/{number}"), "x");
    }
    let image = read(&sketch.snapshot(), true).known().cloned().unwrap();
    assert!(image.found.is_empty());
    let mut told: Vec<_> = image.unread.iter().map(|(what, path, _)| (*what, path.clone())).collect();
    told.sort();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|(what, _)| *what == What::Temporary));
    assert_eq!(told.last().map(|(_, path)| path.clone()), Some("/var/tmp".into()));
}
