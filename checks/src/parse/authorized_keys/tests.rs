//! Tests of authorized_keys: what sshd takes for a key, what its options mean, and what it skips.

use proptest::prelude::*;

use super::*;
use crate::parse::key_blob::samples;

const ED: &str = samples::ED25519.line;

fn one(text: &str) -> KeyLine {
    let (mut keys, defects) = parse(text.as_bytes());
    assert_eq!((keys.len(), defects.len()), (1, 0), "{text:?}: {keys:?} {defects:?}");
    keys.remove(0)
}

fn with(options: &str) -> KeyLine {
    one(&format!("{options} {ED} comment"))
}

#[test]
fn the_forms_of_a_key_line() {
    let (first, encoded) = ED.split_once(' ').unwrap();
    let (head, tail) = encoded.split_at(20);
    for text in [
        ED.to_owned(),
        format!("{ED}\n"),
        format!("{ED}\r\n"),
        format!("{ED} a comment with  blanks \t"),
        format!(" \t {first} \t {encoded}\tx"),
        format!("{ED} c\0ommand hidden"),
        format!("{ED}\0\x01"),
        format!("{first} {head}\r{tail}"),
        format!("{first} {head}\x0b{tail}"),
        format!("no-pty\t{ED}"),
        format!("no-pty, {ED}"),
        format!(",,no-pty {ED}"),
    ] {
        let key = one(&text);
        assert_eq!(key.key.fingerprint().to_string(), samples::ED25519.fingerprint, "{text:?}");
        assert_eq!((key.line, key.refused), (1, None), "{text:?}");
    }
    assert_eq!(one(&format!("{ED}  my key \r\n")).comment.as_ref(), b"my key");
    for sample in &samples::ALL {
        assert_eq!(one(sample.line).key.fingerprint().to_string(), sample.fingerprint);
    }
    let renamed = samples::RSA.line.replace("ssh-rsa ", "rsa-sha2-256 ");
    assert_eq!(one(&renamed).refused, None);
}

#[test]
fn lines_are_counted_and_bad_ones_hide_nothing() {
    let text =
        format!("# {ED}\n\n  # x\n\r\n{ED}\nrubbish\n\0{ED}\nno-pty {ED}\n\u{feff}{ED}\nssh-rsa\nssh-rsa !\n{ED}");
    let (keys, defects) = parse(text.as_bytes());
    assert_eq!(keys.iter().map(|key| key.line).collect::<Vec<_>>(), [5, 8, 12]);
    assert_eq!(defects.iter().map(|defect| defect.line).collect::<Vec<_>>(), [6, 9, 10, 11]);
}

#[test]
fn what_is_no_key_says_why() {
    let ec = samples::ECDSA256.line.split_once(' ').unwrap().1;
    let unpadded = format!("ecdsa-sha2-nistp256 {}", ec.trim_end_matches('='));
    let cases = [
        ("ssh-foo AAAA".to_owned(), "no key type that OpenSSH knows"),
        (format!("SSH-ED25519 {}", ED.split_once(' ').unwrap().1), "no key type that OpenSSH knows"),
        (unpadded, "the key is not valid base64"),
        (format!("ecdsa-sha2-nistp384 {ec}"), "the key is of another type than the line says"),
        (format!("ssh-rsa {}", ED.split_once(' ').unwrap().1), "the key is of another type than the line says"),
        (format!("command=\"x {ED}"), "a quote is not closed"),
        (format!("no-pty ssh-rsa-cert-v01@openssh.com {ec}"), "the key is of another type than the line says"),
        ("ssh-ed25519 AAAA".to_owned(), "the key is cut short"),
    ];
    for (text, want) in cases {
        let (keys, defects) = parse(text.as_bytes());
        assert!(keys.is_empty(), "{text:?}");
        assert_eq!(defects, [Defect { line: 1, what: want.to_owned() }], "{text:?}");
    }
}

#[test]
fn flags_open_and_close() {
    let closed = with("restrict");
    let options = closed.options();
    assert!(options.restrict && !options.pty && !options.port_forwarding && !options.user_rc);
    assert!(with("restrict,pty").options().pty);
    assert!(!with("pty,restrict").options().pty);
    let mixed = with("NO-PTY,No-X11-Forwarding,no-agent-forwarding,no-port-forwarding,no-user-rc");
    let options = mixed.options();
    assert!(!options.pty && !options.x11_forwarding && !options.agent_forwarding && !options.port_forwarding);
    assert!(!options.restrict && !options.user_rc && options.touch_required && !options.verify_required);
    let sk = with("no-touch-required,verify-required");
    assert!(!sk.options().touch_required && sk.options().verify_required);
    let authority = with("cert-authority,principals=\"a,b\"");
    assert!(authority.options().cert_authority && !authority.is_plain() && authority.refused.is_none());
    assert_eq!(*one(ED).options(), Options::none());
}

#[test]
fn values_are_unquoted() {
    let line = with(r#"command="echo \"a b\", \\ x",environment="A=b=c",environment="_1=",from="10.0.0.0/8""#);
    let options = line.options();
    assert_eq!(options.command.as_deref(), Some(&br#"echo "a b", \\ x"#[..]));
    assert_eq!(options.environment, [b"A=b=c".to_vec(), b"_1=".to_vec()]);
    assert_eq!(options.from, Some(SourceList(b"10.0.0.0/8".to_vec())));
    assert_eq!(line.comment.as_ref(), b"comment");
    let line = with(
        r#"permitopen="h:22",PermitOpen="[::1]:*",permitopen="h:ssh",permitopen="h/22",permitlisten="8080",tunnel="0""#,
    );
    assert_eq!(
        line.options().permit_open,
        [b"h:22".to_vec(), b"[::1]:*".to_vec(), b"h:ssh".to_vec(), b"h/22".to_vec()]
    );
    assert_eq!(line.options().permit_listen, [b"*:8080".to_vec()]);
    assert_eq!(with("command=\"a ssh-rsa AAAA # x\"").options().command.as_deref(), Some(&b"a ssh-rsa AAAA # x"[..]));
}

#[test]
fn options_that_sshd_does_not_understand_make_the_line_void() {
    use OptionDefect::*;
    for (options, want) in [
        ("foo", Unknown),
        ("no-restrict", Unknown),
        ("no-cert-authority", Unknown),
        ("ptyx", Unknown),
        ("no-pty;pty", Unknown),
        ("command=ls", NoStartQuote),
        ("command", Unknown),
        ("command=\"a\",command=\"b\"", Twice),
        ("from=\"a\",from=\"b\"", Twice),
        ("expiry-time=\"2030\"", Expiry),
        ("expiry-time=\"20301301\"", Expiry),
        ("environment=\"A\"", Environment),
        ("environment=\"=x\"", Environment),
        ("environment=\"A-B=x\"", Environment),
        ("permitopen=\"host\"", Permit),
        ("permitopen=\"host:0\"", Permit),
        ("permitopen=\"host:70000\"", Permit),
        ("permitopen=\"host 22\"", Permit),
        ("permitopen=\"[::1\"", Permit),
        ("permitlisten=\"x:y z\"", Permit),
        ("tunnel=\"-1\"", Tunnel),
        ("tunnel=\"tun0\"", Tunnel),
        ("ssh-ed25519", Unknown),
    ] {
        assert_eq!(with(options).refused, Some(Refused::Options(want)), "{options}");
    }
}

#[test]
fn lines_that_never_let_anybody_in() {
    assert_eq!(one(samples::RSA_CERT.line).refused, Some(Refused::Certificate));
    assert_eq!(with("principals=\"a\"").refused, Some(Refused::Principals));
    assert_eq!(with("from=\"!10.0.0.1\"").refused, Some(Refused::Source(BadSourceList::OnlyNegated)));
    assert_eq!(with("from=\"10.0.0.1/8\"").refused, Some(Refused::Source(BadSourceList::Mask)));
    assert_eq!(with("from=\"10.0.0.1,\"").refused, Some(Refused::Source(BadSourceList::EmptyEntry)));
    let mut blob = Vec::new();
    crate::parse::key_blob::put_string(&mut blob, b"ssh-rsa");
    crate::parse::key_blob::put_number(&mut blob, &[1, 0, 1]);
    crate::parse::key_blob::put_number(&mut blob, &[0x7f; 128]);
    let short = one(&format!("ssh-rsa {}", STANDARD.encode(blob)));
    assert_eq!((short.key.bits(), short.refused), (1023, Some(Refused::TooShort)));
}

#[test]
fn older_releases_skip_what_they_do_not_know() {
    for (options, since) in [
        ("no-pty", (0, 0)),
        ("restrict", (7, 2)),
        ("pty", (7, 2)),
        ("expiry-time=\"20300101\"", (7, 7)),
        ("permitlisten=\"1\"", (7, 8)),
        ("no-touch-required", (8, 2)),
        ("verify-required", (8, 4)),
        ("expiry-time=\"20300101Z\"", (9, 1)),
    ] {
        assert_eq!(with(options).options().since, since, "{options}");
    }
    assert!(with("expiry-time=\"20300101Z\"").opens_on((9, 1)) && !with("expiry-time=\"20300101Z\"").opens_on((9, 0)));
    for lax in ["principals=\"a\"", "command=\"a\",command=\"b\"", "environment=\"A\",environment=\"-=\""] {
        assert!(with(lax).opens_on((7, 6)) && !with(lax).opens_on((7, 7)), "{lax}");
    }
    assert!(!with("unknown").opens_on((7, 6)) && !with("cert-authority").opens_on((9, 9)));
    assert!(!one(samples::SK_ED25519.line).opens_on((8, 1)) && one(samples::SK_ED25519.line).opens_on((8, 2)));
    let long = one(&format!("{ED} {}", "x".repeat(17_000)));
    assert!(!long.opens_on((7, 6)) && long.opens_on((7, 8)));
}

#[test]
fn expiry_times() {
    let clock = |text: &str| super::Expiry::parse(text.as_bytes()).map(|expiry| (expiry.clock, expiry.utc));
    for (text, want) in [
        ("20300101", Some((1_893_456_000, false))),
        ("20300101Z", Some((1_893_456_000, true))),
        ("20300101utc", Some((1_893_456_000, true))),
        ("203001011230", Some((1_893_501_000, false))),
        ("20300101123045z", Some((1_893_501_045, true))),
        ("20240229", Some((1_709_164_800, false))),
        ("20240231", Some((1_709_337_600, false))),
        ("2030 1 1", Some((1_893_456_000, false))),
        ("19700101", None),
        ("20300132", None),
        ("203001012460", None),
        ("2030010", None),
        ("2030-01-01", None),
        ("Z", None),
        ("", None),
    ] {
        assert_eq!(clock(text), want, "{text}");
    }
    let local = super::Expiry { clock: 1_000_000, utc: false };
    assert_eq!(local.passed(1_000_000 + 12 * 3600 + 1), Some(true));
    assert_eq!(local.passed(1_000_000 - 14 * 3600), Some(false));
    assert_eq!(local.passed(1_000_000), None);
    let utc = super::Expiry { clock: 1_000_000, utc: true };
    assert_eq!((utc.passed(1_000_000), utc.passed(1_000_001)), (Some(false), Some(true)));
    let two = with("expiry-time=\"20300101Z\",expiry-time=\"20290101Z\"");
    assert_eq!(two.options().expiry.unwrap().clock, 1_861_920_000);
}

#[test]
fn sources() {
    let admits = |list: &str, host: &str, address: &str| {
        SourceList(list.as_bytes().to_vec()).admits(host, address.parse().unwrap())
    };
    for (list, host, address, want) in [
        ("10.0.0.0/8", "10.1.2.3", "10.1.2.3", true),
        ("10.0.0.0/8", "11.1.2.3", "11.1.2.3", false),
        ("10.0.0.0/8", "x", "::ffff:10.1.2.3", true),
        ("10.*", "x", "10.1.2.3", true),
        ("10.?.2.3", "x", "10.1.2.3", true),
        ("10.1", "x", "10.0.0.1", true),
        ("0x0a000001", "x", "10.0.0.1", true),
        ("!10.1.2.3,10.0.0.0/8", "x", "10.1.2.3", false),
        ("10.0.0.0/8,!10.1.2.3", "x", "10.1.2.3", false),
        ("10.0.0.0/8,!10.1.2.3", "x", "10.1.2.4", true),
        ("*.corp", "Host.CORP", "10.1.2.3", true),
        ("*.corp", "10.1.2.3", "10.1.2.3", false),
        ("*.CORP", "a.corp", "10.1.2.3", true),
        ("*,!*.evil", "a.evil", "10.1.2.3", false),
        ("fd00::/8", "x", "fd12::1", true),
        ("fd00::/8", "x", "10.0.0.1", false),
        ("::/0", "x", "10.0.0.1", false),
        ("0.0.0.0/0", "x", "10.0.0.1", true),
        ("10.0.0.1/8", "x", "10.0.0.1", false),
        ("10.0.0.0/33,10.0.0.1", "x", "10.0.0.1", false),
        ("10.0.0.0/x,10.0.0.1", "x", "10.0.0.1", true),
        (" 10.0.0.1", "x", "10.0.0.1", false),
    ] {
        assert_eq!(admits(list, host, address), want, "{list} {host} {address}");
    }
    let list = |text: &str| SourceList(text.as_bytes().to_vec());
    assert!(list("*.corp,build-host").only_names() && !list("*.corp,10.0.0.1").only_names());
    assert!(!list("10.0.*").only_names() && !list("*").only_names());
    assert!(list("*").is_everybody() && list("10.0.0.1,0.0.0.0/0").is_everybody());
    assert!(!list("10.0.0.0/8").is_everybody() && !list("*,!10.0.0.1").is_everybody());
}

fn option() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("restrict".to_owned()),
        Just("no-pty".to_owned()),
        "[a-z-]{0,12}",
        "(command|from|environment|expiry-time|permitopen|tunnel)=\"[ -~]{0,20}\"",
        "[ -~]{0,20}",
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let (keys, defects) = parse(&bytes);
        let lines = bytes.split(|byte| *byte == b'\n').count();
        prop_assert!(keys.len() + defects.len() <= lines);
    }

    #[test]
    fn a_good_line_is_found_among_any_others(
        before in proptest::collection::vec("[^\n]{0,80}", 0..5),
        after in proptest::collection::vec("[^\n]{0,80}", 0..5),
    ) {
        let text = format!("{}\n{ED}\n{}", before.join("\n"), after.join("\n"));
        let line = u32::try_from(before.len().max(1) + 1).unwrap();
        prop_assert!(parse(text.as_bytes()).0.iter().any(|key| key.line == line && key.refused.is_none()));
    }

    #[test]
    fn options_never_hide_the_key(options in proptest::collection::vec(option(), 1..4)) {
        let options = options.join(",");
        let (keys, defects) = parse(format!("{options} {ED}").as_bytes());
        prop_assert_eq!(keys.len() + defects.len() <= 1, true);
        for key in keys {
            prop_assert_eq!(key.key.fingerprint().to_string(), samples::ED25519.fingerprint);
        }
    }

    #[test]
    fn sources_are_survived(list in "[0-9a-f.:*?!,/]{0,40}", address in any::<u32>()) {
        let address = std::net::IpAddr::V4(address.into());
        let list = SourceList(list.into_bytes());
        let admitted = list.admits(&address.to_string(), address);
        prop_assert!(!(admitted && list.check().is_err()));
    }
}
