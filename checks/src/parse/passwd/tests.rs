use proptest::prelude::*;

use super::*;

fn lines(defects: &[Defect]) -> Vec<u32> {
    defects.iter().map(|defect| defect.line).collect()
}

#[test]
fn passwd_lines_as_getpwent_reads_them() {
    let file = b"root:x:0:0:root:/root:/bin/bash\n\
        # a comment\n\
        \t short:x:0:0\n\
        nouid:x::0::/:/bin/sh\n\
        word:x:1a:0::/:/bin/sh\n\
        nogid:x:5\n\
        big:x:4294967294:4294967295::/:\n\
        extra:x:8:+7: :/h:/bin/sh:extra\n\
        nul\0l:x:0:0::/:/bin/sh\n\
        :x:3:3::/:/bin/sh\n\
        +@netgroup::::::\n\
        -bob::::::\n\
        \n\
        \xff\x1b[2J:$6$a$b:9:9::/tmp/\xfe:/bin/sh\r";
    let (table, defects) = passwd(file);
    let brief: Vec<_> = table.entries.iter().map(|e| (e.line, e.name.text().into_owned(), e.uid, e.gid)).collect();
    assert_eq!(
        brief,
        [
            (1, "root".to_owned(), 0, 0),
            (3, "short".to_owned(), 0, 0),
            (7, "big".to_owned(), u32::MAX - 1, u32::MAX),
            (8, "extra".to_owned(), 8, 7),
            (10, String::new(), 3, 3),
            (14, "\\xff\u{1b}[2J".to_owned(), 9, 9),
        ]
    );
    assert_eq!(lines(&defects), [4, 5, 6, 9, 9, 10]);
    assert_eq!(table.nis_lines, [11, 12]);
    assert_eq!(table.entries[1].shell.as_os_str(), "");
    assert_eq!(table.entries[3].shell.as_os_str(), "/bin/sh:extra");
    assert_eq!(table.entries[5].shell.as_os_str(), "/bin/sh\r");
}

#[test]
fn shadow_lines_as_getspnam_reads_them() {
    let file = b"full:$y$h:19000:0:90:7:14:20000:\n\
        empty::19000::::::\n\
        old:*:1:2:3\n\
        never:!:::99999:4294967295:::\n\
        nothing:x\n\
        few:x:::\n\
        four:x::::\n\
        warned:x:1:2:3:4:\n\
        bad:x:day:::::\n\
        minus:x:-1:::::\n\
        zero:!!:0:0:99999:7:::";
    let (table, defects) = shadow(file);
    let brief: Vec<_> = table
        .entries
        .iter()
        .map(|e| (e.name.text().into_owned(), e.last_change, e.min, e.max, e.warn, e.inactive, e.expire))
        .collect();
    assert_eq!(
        brief,
        [
            ("full".to_owned(), Some(19000), Some(0), Some(90), Some(7), Some(14), Some(20000)),
            ("empty".to_owned(), Some(19000), None, None, None, None, None),
            ("old".to_owned(), Some(1), Some(2), Some(3), None, None, None),
            ("never".to_owned(), None, None, Some(99999), None, None, None),
            ("four".to_owned(), None, None, None, None, None, None),
            ("zero".to_owned(), Some(0), Some(0), Some(99999), Some(7), None, None),
        ]
    );
    assert_eq!(lines(&defects), [5, 6, 8, 9, 10]);
}

#[test]
fn groups_and_their_members() {
    let (table, defects) = group(b"wheel:x:10:root, alice,,bob\nnone:x:11:\nbad:x:\nshort:x:12");
    let members: Vec<Vec<_>> =
        table.entries.iter().map(|g| g.members.iter().map(|m| m.text().into_owned()).collect()).collect();
    assert_eq!(members, [vec!["root", "alice", "bob"], vec![], vec![]]);
    assert_eq!(lines(&defects), [3]);
    let (table, _) = gshadow(b"sudo:!:root:alice,bob\nopen::");
    assert_eq!(table.entries[0].admins, [Name::new("root")]);
    assert_eq!(table.entries[0].members.len(), 2);
    assert!(table.entries[1].password.is_empty());
}

#[test]
fn password_fields_say_whether_a_password_can_match() {
    for (field, locked, hash, behind) in [
        ("", false, None, None),
        ("*", true, None, None),
        ("!", true, None, None),
        ("!!", true, None, None),
        ("!*", true, None, None),
        ("!$6$s$h", true, None, Some("$6$s$h")),
        ("!!$6$s$h", true, None, Some("$6$s$h")),
        ("*LK*", true, None, None),
        ("$6$s$h", false, Some("$6$s$h"), None),
    ] {
        let password = PasswordField::new(field);
        assert_eq!(password.is_locked(), locked, "{field}");
        assert_eq!(password.hash(), hash.map(str::as_bytes), "{field}");
        assert_eq!(password.hash_behind_lock(), behind.map(str::as_bytes), "{field}");
        assert!(!format!("{password:?}").contains('$'), "{field} is shown");
    }
}

#[test]
fn numbers_as_strtoul_reads_them() {
    for (field, want) in [
        ("0", Some(0)),
        (" 7", Some(7)),
        ("+7", Some(7)),
        ("-0", Some(0)),
        ("-1", None),
        ("-18446744073709551615", Some(1)),
        ("-18446744073709551616", None),
        ("4294967295", Some(u32::MAX)),
        ("4294967296", None),
        ("", None),
        ("-", None),
        ("7 ", None),
        ("0x0", None),
    ] {
        assert_eq!(strtou32(field.as_bytes()), want, "{field:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_parse_and_every_line_is_accounted_for(bytes in prop::collection::vec(prop_oneof![
        4 => Just(b':'), 2 => Just(b'\n'), 2 => b'0'..=b'9', 1 => Just(b','), 1 => Just(b'+'), 3 => any::<u8>()
    ], 0..400)) {
        let (users, defects) = passwd(&bytes);
        let meant = bytes
            .split(|b| *b == b'\n')
            .map(|l| l.split(|b| *b == 0).next().unwrap())
            .filter(|l| !skip_blanks(l).is_empty() && !skip_blanks(l).starts_with(b"#"))
            .count();
        let refused = defects.iter().filter(|d| d.what.starts_with("is no entry")).count();
        prop_assert_eq!(users.entries.len() + users.nis_lines.len() + refused, meant);
        let _ = (shadow(&bytes), group(&bytes), gshadow(&bytes));
    }

    #[test]
    fn what_is_written_is_read(name in "[a-z][a-z0-9_-]{0,10}", uid in any::<u32>(), gid in any::<u32>(), home in "/[ -9;-~]{0,20}") {
        let (table, defects) = passwd(format!("{name}:x:{uid}:{gid}::{home}:/bin/sh\n").as_bytes());
        prop_assert!(defects.is_empty());
        let entry = &table.entries[0];
        prop_assert_eq!((&*entry.name.text(), entry.uid, entry.gid), (&*name, uid, gid));
        prop_assert_eq!(entry.home.as_os_str(), home.as_str());
    }
}
