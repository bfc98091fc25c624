#![cfg(test)]

use super::*;

#[test]
fn a_value_is_replaced_and_nothing_else() {
    let means = |word: &[u8]| word.eq_ignore_ascii_case(b"PasswordAuthentication");
    for (line, want) in [
        ("PasswordAuthentication yes", Some("PasswordAuthentication no")),
        ("\t passwordauthentication\tyes", Some("\t passwordauthentication\tno")),
        ("PasswordAuthentication = \"yes\"  # ours", Some("PasswordAuthentication = no  # ours")),
        ("PasswordAuthentication=yes", Some("PasswordAuthentication=no")),
        ("PermitRootLogin yes", None),
        ("PasswordAuthentication", None),
        ("#PasswordAuthentication yes", None),
        ("", None),
    ] {
        let got = revalue(line.as_bytes(), means, "no").map(|line| String::from_utf8(line).unwrap());
        assert_eq!(got.as_deref(), want, "{line:?}");
    }
}

#[test]
fn the_block_of_ours_is_found_whole_or_not_at_all() {
    let lines = |text: &'static str| (1..).zip(text.split('\n').map(str::as_bytes));
    assert_eq!(block(lines("# BEGIN hostward\nA b\n# END hostward\nC d")), [1, 2, 3]);
    assert_eq!(block(lines("x\n# BEGIN hostward\nA b\n")), [0_u32; 0]);
    assert_eq!(block(lines("# END hostward\n")), [0_u32; 0]);
    assert_eq!(
        settings(["# x", "A b c", "", " D\te "].iter().map(|line| line.as_bytes())),
        [("A".to_owned(), "b c".to_owned()), ("D".to_owned(), "e".to_owned())]
    );
}
