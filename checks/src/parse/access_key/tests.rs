use super::*;

// In two parts, so that no scanner of source code takes them for somebody's.
const NEW: &str = concat!("LTAI", "5tQ7xKp2VmZs9RwGd3Hc");
const OLD: &str = concat!("LTAI", "bM4hwDeVtL7p");
const STS: &str = concat!("STS.", "NUv8Kq2ZpT4xWm7RsLd3YcHb");
const SECRET_KEY: &str = concat!("Jz4mXq8Wv2TkRb6", "NpYd9LsGh3CfQx1");

fn found(text: &str) -> Vec<(Holds, Vec<u32>, String)> {
    access_keys(text.as_bytes()).0.into_iter().map(|key| (key.holds, key.lines, key.shown)).collect()
}

#[test]
fn ids_are_found_where_settings_and_scripts_have_them() {
    for text in [
        "export KEY=@",
        "\"id\":\"@\"",
        "id: '@'",
        "id=@;x",
        "{\\\"id\\\":\\\"@\\\"}",
        "a\\n@\\nb",
        "k%3D@%26",
        "k%253D@",
        "\\u003d@\\u0026",
        "AccessKeyId=3D@",
        "\u{1b}[1;32m@\u{1b}[0m",
        "<id>@</id>",
        "bucket:@:x",
        "ak_@_old",
        "@",
        "é@é",
    ] {
        for (key, shown) in [(NEW, "LTAI****Hc"), (OLD, "LTAI****7p")] {
            let want = [(Holds::Id, vec![1], shown.to_owned())];
            assert_eq!(found(&text.replace('@', key)), want, "{text}");
        }
        assert_eq!(found(&text.replace('@', STS)), [(Holds::Temporary, vec![1], "STS.****Hb".to_owned())], "{text}");
    }
}

#[test]
fn a_pair_an_id_alone_and_a_signed_request_are_told_apart() {
    for (text, want) in [
        (format!("id={NEW}\nsecret={SECRET_KEY}\n"), Holds::Pair),
        (format!("secret={SECRET_KEY}\n\n\nid={NEW}\n"), Holds::Pair),
        (format!("a:{OLD}:{SECRET_KEY}"), Holds::Pair),
        (format!("{NEW}\\n{SECRET_KEY}"), Holds::Pair),
        (format!("id={NEW}\n{}secret={SECRET_KEY}\n", "\n".repeat(40)), Holds::Id),
        (format!("id={NEW}\nsecret=****\n"), Holds::Id),
        (format!("id={NEW}\nsecret=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"), Holds::Id),
        (format!("id={NEW}\nsecret={SECRET_KEY}7\n"), Holds::Id),
        (format!("https://b.oss.example/x?OSSAccessKeyId={NEW}&Expires=1&Signature=a%2Bb%3D"), Holds::Signed),
    ] {
        assert_eq!(found(&text).first().map(|key| key.0), Some(want), "{text}");
    }
}

#[test]
fn keys_in_base64_are_told_at_their_lines() {
    use base64::Engine as _;
    let pack = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let secret = format!("kind: Secret\ndata:\n  id: {}\n  key: {}\n", pack(NEW), pack(SECRET_KEY));
    assert_eq!(found(&secret), [(Holds::Pair, vec![3], "LTAI****Hc".to_owned())]);
    let old = format!("id: {}\nother: {OLD}\n", pack(&format!("{OLD}\n")));
    assert_eq!(found(&old), [(Holds::Id, vec![1, 2], "LTAI****7p".to_owned())]);
}

#[test]
fn one_id_is_told_once_with_its_lines_and_the_worst_of_it() {
    let text = format!("{NEW}\n{NEW} {NEW}\n{}{NEW} {SECRET_KEY}\n", "\n".repeat(30));
    assert_eq!(found(&text), [(Holds::Pair, vec![1, 2, 33], "LTAI****Hc".to_owned())]);
}

#[test]
fn what_is_masked_cut_or_no_id_is_none() {
    for text in [
        "LTAI****************",
        "LTAI5tQ7xKp2VmZs****",
        "LTAI5tQ7xKp2VmZs9Rw…",
        "LTAI5tQ7xKp2VmZs9Rw...",
        "LTAI5tQ7xKp2",
        "LTAI5tQ7xKp2VmZs9RwGd3Hc7",
        "XLTAI5tQ7xKp2VmZs9RwGd3Hc",
        "ltai5tq7xkp2vmzs9rwgd3hc",
        "LTAI5tQ7xKp2VmZs${suffix}",
        "LTAIEXAMPLE7Kp2VmZs9",
        "STS.short",
        "import com.example.STS.AssumeRoleResponseUnmarshaller;",
        "class LTAICredentialsProvider {}",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn a_name_is_shown_with_ids_masked() {
    assert_eq!(masked(&format!("/root/é{NEW}.csv")), "/root/éLTAI****Hc.csv");
    assert_eq!(masked(&format!("{STS}/{OLD}")), "STS.****Hb/LTAI****7p");
    assert_eq!(masked("/root/.bash_history"), "/root/.bash_history");
}

#[test]
fn more_than_is_looked_for_is_said() {
    let many: String = (0..=MAX_IDS).map(|n| format!("LTAI{:02x}Kq2ZpT4xWm7Rs\n", n + 16)).collect();
    let (keys, defects) = access_keys(many.as_bytes());
    assert_eq!((keys.len(), defects.len()), (MAX_IDS, 1));
    let (keys, defects) = access_keys(format!("{NEW}\n").repeat(MAX_PLACES + 1).as_bytes());
    assert_eq!((keys.len(), defects.len()), (1, 1));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_fail(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let _ = access_keys(&bytes);
        let _ = masked(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn nothing_longer_leaves(before in "[ -~\n]{0,80}", after in "[ -~\n]{0,80}") {
        let text = format!("{before}\n{NEW} {STS} {SECRET_KEY}\n{after}");
        let told = format!("{:?} {}", access_keys(text.as_bytes()), masked(&format!("x {NEW}")));
        for piece in [&NEW[..5], &NEW[21..], &STS[..5], &STS[STS.len() - 3..], &SECRET_KEY[..4]] {
            proptest::prop_assert!(!told.contains(piece), "{told}");
        }
    }
}
