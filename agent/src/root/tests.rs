//! The root handle on a hostile directory.

use std::os::unix::fs::symlink;

use hostward_checks::snapshot::{Miss, Reader};

use super::*;

fn settle(root: &Root, ask: impl Fn(&Reader<'_>)) -> Snapshot {
    let (mut snapshot, mut budget) = (Snapshot::new(), Budget::default());
    for _ in 0..50 {
        let reader = Reader::new(&snapshot);
        ask(&reader);
        let need = reader.need();
        if need.is_empty() {
            return snapshot;
        }
        root.answer(&need, &mut snapshot, &mut budget);
    }
    panic!("no fixpoint");
}

#[test]
fn a_hostile_root_neither_hangs_nor_leaks() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path();
    std::fs::create_dir_all(top.join("etc/ssh")).unwrap();
    std::fs::write(top.join("etc/passwd"), "inside\n").unwrap();
    symlink("/etc", top.join("abs")).unwrap();
    symlink("../../../../../../../../etc/passwd", top.join("up")).unwrap();
    symlink("loop", top.join("loop")).unwrap();
    symlink("/dev/zero", top.join("zero")).unwrap();
    nix::unistd::mkfifo(&top.join("fifo"), Mode::from_bits_truncate(0o600)).unwrap();
    let huge = std::fs::File::create(top.join("huge")).unwrap();
    huge.set_len(2 << 30).unwrap();
    std::fs::write(top.join("new\nline"), "x").unwrap();

    let root = Root::open(top).unwrap();
    let paths = ["/abs/passwd", "/up", "/loop", "/zero", "/fifo", "/huge", "/etc", "/etc/passwd/x", "/abs/../up"];
    let snapshot = settle(&root, |reader| {
        for path in paths {
            let _ = reader.file(Path::new(path));
        }
        let _ = reader.names(Path::new("/"));
    });
    let reader = Reader::new(&snapshot);
    assert_eq!(reader.file(Path::new("/abs/passwd")).unwrap().bytes, b"inside\n");
    assert_eq!(reader.file(Path::new("/up")).unwrap().bytes, b"inside\n");
    assert_eq!(reader.file(Path::new("/abs/../up")).unwrap().bytes, b"inside\n");
    assert_eq!(reader.file(Path::new("/loop")).unwrap_err(), Miss::Unreadable(Why::LinkLoop));
    assert_eq!(reader.file(Path::new("/zero")).unwrap_err(), Miss::Absent);
    assert_eq!(reader.file(Path::new("/fifo")).unwrap_err(), Miss::Unreadable(Why::WrongKind("named pipe")));
    assert_eq!(reader.file(Path::new("/huge")).unwrap_err(), Miss::Unreadable(Why::TooLarge(FILE_LIMIT)));
    assert_eq!(reader.file(Path::new("/etc")).unwrap_err(), Miss::Unreadable(Why::WrongKind("directory")));
    assert_eq!(reader.file(Path::new("/etc/passwd/x")).unwrap_err(), Miss::Absent);
    assert!(reader.names(Path::new("/")).unwrap().contains(&PathBuf::from("new\nline")));
}

#[test]
fn a_program_is_read_for_its_marks_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = vec![0x7f, b'E', b'L', 0xff, 0];
    program.extend(b"OpenSSH_9.2p1 Debian-2+deb12u3\0junk junk\0permitrootlogin\0a@b,c-d\0\xff\xfeinclude\0");
    std::fs::write(dir.path().join("sshd"), program).unwrap();
    let root = Root::open(dir.path()).unwrap();
    let snapshot = settle(&root, |reader| {
        let _ = reader.marks(Path::new("/sshd"));
    });
    let reader = Reader::new(&snapshot);
    let marks = reader.marks(Path::new("/sshd")).unwrap();
    assert_eq!(marks.strings, ["OpenSSH_9.2p1 Debian-2+deb12u3", "permitrootlogin", "include"]);
}

#[test]
fn marks_are_found_wherever_the_chunks_part() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = vec![0xff; (64 << 10) - 7];
    program.extend(b"\0permitrootlogin\0\x01kbd\0\0me\0");
    // One that is as long as may be, one that is longer, and one that never ends.
    let list = |length: usize| [vec![b'a'; length - 2], b",b\0".to_vec()].concat();
    for length in [MARK_LIMIT, MARK_LIMIT + 1, 70 << 10] {
        program.extend(list(length));
    }
    program.extend(b"include\0");
    program.extend(vec![b'a'; 200 << 10]);
    std::fs::write(dir.path().join("sshd"), program).unwrap();
    let root = Root::open(dir.path()).unwrap();
    let snapshot = settle(&root, |reader| {
        let _ = reader.marks(Path::new("/sshd"));
    });
    let marks = Reader::new(&snapshot).marks(Path::new("/sshd")).unwrap().strings.clone();
    let shown: Vec<(usize, &str)> = marks.iter().map(|mark| (mark.len(), mark.get(..3).unwrap())).collect();
    assert_eq!(shown, [(15, "per"), (3, "kbd"), (MARK_LIMIT, "aaa"), (7, "inc")]);
}
