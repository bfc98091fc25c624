//! Tests of key blobs: real ones, odd encodings that OpenSSH accepts, and what it refuses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

fn blob(sample: &samples::Sample) -> Vec<u8> {
    STANDARD.decode(sample.line.split(' ').nth(1).unwrap()).unwrap()
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_string(&mut out, bytes);
    out
}

#[test]
fn every_kind_has_the_fingerprint_of_ssh_keygen() {
    for sample in &samples::ALL {
        let key = PublicKey::decode(&blob(sample)).expect(sample.line);
        assert_eq!(key.fingerprint().to_string(), sample.fingerprint, "{}", sample.line);
        assert_eq!(key.bits(), sample.bits, "{}", sample.line);
        assert_eq!(key.short_name(), sample.short, "{}", sample.line);
        let name = sample.line.split(' ').next().unwrap();
        assert_eq!(key.kind(), type_name(name.as_bytes()).unwrap().kind);
        assert_eq!(sample.fingerprint.parse::<Fingerprint>().unwrap(), key.fingerprint());
    }
    let rsa = PublicKey::decode(&blob(&samples::RSA)).unwrap();
    assert!(rsa.md5().starts_with("MD5:") && rsa.md5().len() == 4 + 32 + 15, "{}", rsa.md5());
}

#[test]
fn a_certificate_tells_its_terms_and_has_the_fingerprint_of_its_key() {
    let key = PublicKey::decode(&blob(&samples::RSA_CERT)).unwrap();
    assert_eq!(key.fingerprint().to_string(), samples::RSA.fingerprint);
    let certificate = key.certificate().unwrap();
    assert_eq!(certificate.kind, CertificateKind::User);
    assert_eq!(
        (certificate.key_id.as_slice(), certificate.principals.as_slice()),
        (&b"id"[..], &[b"alice".to_vec()][..])
    );
    assert_eq!(certificate.authority.fingerprint().to_string(), samples::ED25519.fingerprint);
    assert!(certificate.extensions.iter().any(|(name, _)| name == b"permit-pty"));
    assert!(certificate.valid_after < certificate.valid_before);
}

#[test]
fn odd_encodings_are_the_same_key() {
    let rsa = PublicKey::decode(&blob(&samples::RSA)).unwrap();
    let numbers = rsa.rsa().unwrap();
    let with = |name: &[u8], pad: &[u8]| {
        let mut out = string(name);
        out.extend(string(numbers.exponent));
        out.extend(string(&[pad, &[0], numbers.modulus].concat()));
        out
    };
    for name in [&b"ssh-rsa"[..], b"rsa-sha2-512", b"RSA", b"rsa", b"ssh-rsa\0"] {
        for pad in [&b""[..], &[0], &[0, 0, 0]] {
            let odd = PublicKey::decode(&with(name, pad)).unwrap_or_else(|e| panic!("{name:?} {pad:?}: {e}"));
            assert_eq!(odd, rsa);
        }
    }
}

#[test]
fn what_openssh_refuses_is_refused() {
    let ed = blob(&samples::ED25519);
    let ec = blob(&samples::ECDSA256);
    let mut off_curve = ec.clone();
    *off_curve.last_mut().unwrap() ^= 1;
    let mut compressed = ec.clone();
    let tag = compressed.len() - 65;
    compressed[tag] = 2;
    let cases: Vec<(&str, Vec<u8>, BlobDefect)> = vec![
        ("empty", vec![], BlobDefect::Truncated),
        ("cut", ed[..ed.len() - 1].to_vec(), BlobDefect::Truncated),
        ("more", [ed.clone(), vec![0]].concat(), BlobDefect::TrailingData),
        ("short ed25519", [string(b"ssh-ed25519"), string(&[1; 31])].concat(), BlobDefect::BadLength),
        ("unknown", [string(b"ssh-foo"), string(b"x")].concat(), BlobDefect::UnknownType),
        ("case", [string(b"SSH-RSA"), string(b"x")].concat(), BlobDefect::UnknownType),
        ("short name of ecdsa", [string(b"ECDSA"), string(b"x")].concat(), BlobDefect::UnknownType),
        ("nul", [string(b"ssh\0rsa"), string(b"x")].concat(), BlobDefect::NulInText),
        ("negative", [string(b"ssh-rsa"), string(&[3]), string(&[0x80])].concat(), BlobDefect::BadNumber),
        ("huge", [string(b"ssh-rsa"), string(&[3]), string(&[1; 2049])].concat(), BlobDefect::BadNumber),
        ("off the curve", off_curve, BlobDefect::BadPoint),
        ("compressed", compressed, BlobDefect::BadPoint),
        ("huge length", vec![0xff, 0xff, 0xff, 0xff, 1], BlobDefect::Truncated),
    ];
    for (what, bytes, want) in cases {
        assert_eq!(PublicKey::decode(&bytes).unwrap_err(), want, "{what}");
    }
    let mut swapped = blob(&samples::ECDSA384);
    let at = swapped.windows(8).rposition(|window| window == b"nistp384").unwrap();
    swapped[at..at + 8].copy_from_slice(b"nistp256");
    assert_eq!(PublicKey::decode(&swapped).unwrap_err(), BlobDefect::CurveMismatch);
}

#[test]
fn fingerprints_that_are_none_are_refused() {
    for text in ["", "SHA256:", "SHA256:abc", "MD5:00", "1M4RzhMyWuFS/86uPY/ce2prh/dVTHW7iD2RhpquOZA"] {
        assert!(text.parse::<Fingerprint>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = PublicKey::decode(&bytes);
    }

    #[test]
    fn a_damaged_key_is_survived_and_what_is_read_reads_again(at in 0usize..900, bit in 0u8..8, which in 0usize..9) {
        let mut bytes = blob(&samples::ALL[which]);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(key) = PublicKey::decode(&bytes) {
            let again = PublicKey::decode(key.blob()).unwrap();
            prop_assert_eq!(again.fingerprint(), key.fingerprint());
            prop_assert_eq!(again.blob(), key.blob());
        }
    }
}
