//! Published vectors, prices and refusals; the comparison with a real crypt(3) is in `tests/`.

use super::*;

fn parse(text: &str) -> Hash {
    Hash::parse(text.as_bytes())
}

fn known(text: &str) -> Crypt {
    match parse(text) {
        Hash::Known(known) => known,
        other => panic!("{text}: {other:?}"),
    }
}

/// Of libxcrypt 4.5 (in other projects' tests) and hashgen for SM3; of libxcrypt 4.4 for the rest: the words of the SHA-crypt
/// specification and of crypt_blowfish.
const VECTORS: &[(&[u8], &str, Method)] = &[
    (b"hashgen", "$sm3$f7cUOinryhcuinh2$nHJ8D7ub2ah8ilksLL74QpOwxuWvBDqBsgMl0vsjuE6", Method::Sm3),
    (b"abc", "$sm3$rounds=1000$saltstring$rA2ewUHqiQH5Le9o318IWjgsADyZCgfFXofbx1T1NCD", Method::Sm3),
    (b"abc", "$sm3y$j75$.......$duiiYQVhOT63KI.mAoLYbyaDvBu8kRypgtoCouFp3r8", Method::Sm3Yescrypt),
    (b"mysecret", "$sm3y$j9T$FeOt/DFtz1Mm8/mtgIer2.$MtA20j5f5L.Jz8MM4KuKCFgPstmpnswmC2/9BEPwND.", Method::Sm3Yescrypt),
    (
        b"remicollet",
        "$sm3y$j9T$ElHlNepC6e7htB1BgBbe4.$VXOJS4j0v49cNKDN/6i66F4nwvTCUT5GsPwqKEewSI/",
        Method::Sm3Yescrypt,
    ),
    (b"abc", "$gy$j75$.......$XH2YP.u9tPw6ObDCXTRJiUfyrAEZ/TGIF0CjnxNW3h/", Method::GostYescrypt),
    (
        b"Hello world!",
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        Method::Sha512,
    ),
    (b"Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", Method::Sha256),
    // The sign-extension cases of crypt_blowfish: the same bytes in each variant, and the guard of $2a$.
    (b"\xff\xff\xa3", "$2x$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e", Method::BcryptX),
    (b"\xff\xff\xa3", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e", Method::Bcrypt),
    (b"\xff\xff\xa3", "$2a$05$/OK.fbVrR/bpIqNJ5ianF.nqd1wy.pTMdcvrRWxyiGL2eMz.2a85.", Method::BcryptA),
];

#[test]
fn published_vectors_match_and_near_words_do_not() {
    let mut workspace = Workspace::default();
    for (password, text, method) in VECTORS {
        let Hash::Known(hash) = parse(text) else {
            panic!("{text}: not recognised");
        };
        assert_eq!(hash.method(), *method, "{text}");
        let verifier = hash.verifier(&Limits::default()).expect(text);
        assert!(verifier.matches(password, &mut workspace).expect("memory"), "{text}");
        let mut near = password.to_vec();
        *near.last_mut().expect("not empty") = b'Z';
        assert!(!verifier.matches(&near, &mut workspace).expect("memory"), "{text}: {near:?}");
    }
}

#[test]
fn what_is_no_hash_is_told_apart() {
    for (text, expected) in [
        ("", Hash::Empty),
        ("!", Hash::Locked),
        ("!!", Hash::Locked),
        ("*", Hash::Locked),
        ("!$6$saltstring$x", Hash::Locked),
        ("x", Hash::Unusable),
        ("NP", Hash::Unusable),
        ("$6$rounds=10$salt$aaaa", Hash::Unusable),
        ("$6$", Hash::Unusable),
        ("$y$", Hash::Unusable),
        ("ab!!!!!!!!!!!", Hash::Unusable),
        ("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", Hash::Unrecognised),
        ("$8$cisco$x", Hash::Unrecognised),
        ("$apr1$salt$qjqxzyz", Hash::Unrecognised),
    ] {
        assert_eq!(parse(text), expected, "{text:?}");
    }
}

#[test]
fn a_price_is_read_and_refused_before_anything_is_computed() {
    let tail = "a".repeat(86);
    let dear = format!("$6$rounds=999999999$salt${tail}");
    assert!(matches!(
        known(&dear).verifier(&Limits::default()),
        Err(Refusal::Time { micros }) if micros > 60_000_000
    ));
    let bcrypt = format!("$2b$31${}{}", "a".repeat(21) + "u", "a".repeat(31));
    assert!(matches!(known(&bcrypt).verifier(&Limits::default()), Err(Refusal::Time { .. })));
    // N = 2^40, and the largest that can be written.
    for n in ["e", "z"] {
        let scrypt = format!("$7${n}6..../....salt${}", "a".repeat(43));
        assert!(matches!(known_or_unusable(&scrypt), None | Some(Refusal::Memory { .. })), "{scrypt}");
    }
    let yescrypt = format!("$y$jPT$salt${}", "a".repeat(43));
    assert!(matches!(known_or_unusable(&yescrypt), Some(Refusal::Memory { bytes }) if bytes >= 1 << 30));
}

fn known_or_unusable(text: &str) -> Option<Refusal> {
    match parse(text) {
        Hash::Known(known) => known.verifier(&Limits::default()).err(),
        Hash::Unusable => None,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn the_price_of_what_distributions_make_is_about_right() {
    let cost = |text: &str| known(text).cost();
    let yescrypt = cost("$y$j9T$FeOt/DFtz1Mm8/mtgIer2.$MtA20j5f5L.Jz8MM4KuKCFgPstmpnswmC2/9BEPwND.");
    assert_eq!(yescrypt.memory >> 20, 16, "{yescrypt:?}");
    assert!((5_000..40_000).contains(&yescrypt.micros), "{yescrypt:?}");
    let sha = cost(VECTORS[6].1);
    assert_eq!(sha.rounds, Some(5000));
    assert!((400..3000).contains(&sha.micros), "{sha:?}");
}

#[test]
fn memory_that_cannot_be_had_is_an_answer() {
    let text = format!("$y$jbT$salt${}", "a".repeat(43));
    let verifier = known(&text).verifier(&Limits { memory: u64::MAX, micros: u64::MAX }).expect("no limits");
    assert_eq!(verifier.matches(b"a", &mut Workspace::default()), Err(OutOfMemory));
}

#[test]
fn passwords_that_crypt_cannot_be_given_never_match() {
    let hash = known("$1$$I2o9Z7NcvQAKp7wyCTlia0").verifier(&Limits::default()).expect("cheap");
    let mut workspace = Workspace::default();
    assert_eq!(hash.matches(b"password", &mut workspace), Ok(true));
    assert_eq!(hash.matches(b"password\0", &mut workspace), Ok(false));
    assert_eq!(hash.matches(&[b'a'; PASSWORD_MAX + 1], &mut workspace), Ok(false));
    assert_eq!(hash.first_match(&[b"a", b"password", b"b"], &mut workspace), Ok(Some(1)));
}

#[test]
fn nothing_of_a_hash_is_printed() {
    let text = format!("{:?}", known(VECTORS[0].1));
    assert!(!text.contains("f7cU") && !text.contains("nHJ8"), "{text}");
}

mod total {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parsing_never_fails(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Hash::parse(&text);
        }

        #[test]
        fn near_hashes_never_fail(
            prefix in prop::sample::select(vec!["$y$", "$gy$", "$7$", "$2b$", "$6$", "$6$rounds=", "$sha1$", "$md5,rounds=", "_", "$3$", "$sm3y$"]),
            text in "[./0-9A-Za-z$]{0,120}",
        ) {
            if let Hash::Known(known) = Hash::parse(format!("{prefix}{text}").as_bytes()) {
                let _ = known.cost();
                if let Ok(verifier) = known.verifier(&Limits { memory: 1 << 20, micros: 2_000 }) {
                    prop_assert!(!verifier.matches(b"word", &mut Workspace::default()).unwrap_or(false));
                }
            }
        }
    }
}
