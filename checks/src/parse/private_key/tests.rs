//! Tests of private keys; real ones are made and read in the integration tests.

use proptest::prelude::*;

use super::super::key_blob::{put_string, samples};
use super::*;

fn openssh_key(cipher: &[u8]) -> String {
    let public = STANDARD.decode(samples::ED25519.line.split(' ').nth(1).unwrap()).unwrap();
    let mut body = b"openssh-key-v1\0".to_vec();
    for field in [cipher, b"none", b""] {
        put_string(&mut body, field);
    }
    body.extend_from_slice(&1u32.to_be_bytes());
    put_string(&mut body, &public);
    put_string(&mut body, b"secret");
    let body = STANDARD.encode(body);
    let lines: Vec<&str> = body.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n", lines.join("\n"))
}

#[test]
fn formats_and_protection_are_told_apart() {
    let public = samples::ED25519.line.split(' ').nth(1).unwrap();
    let putty = |method: &str| {
        format!(
            "PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: {method}\r\nComment: x\r\nPublic-Lines: 1\r\n{public}\r\nPrivate-Lines: 1\r\nAAAA\r\n"
        )
    };
    let traditional = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    for (text, format, encrypted, fingerprint) in [
        (openssh_key(b"none"), KeyFormat::OpenSsh, false, Some(samples::ED25519.fingerprint)),
        (openssh_key(b"aes256-ctr"), KeyFormat::OpenSsh, true, Some(samples::ED25519.fingerprint)),
        (openssh_key(b"none").replace('\n', "\r\n"), KeyFormat::OpenSsh, false, Some(samples::ED25519.fingerprint)),
        (format!("some text\n{}", openssh_key(b"none")), KeyFormat::OpenSsh, false, Some(samples::ED25519.fingerprint)),
        (putty("none"), KeyFormat::Putty, false, Some(samples::ED25519.fingerprint)),
        (putty("aes256-cbc"), KeyFormat::Putty, true, Some(samples::ED25519.fingerprint)),
        (traditional.to_owned(), KeyFormat::Traditional, true, None),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA".to_owned(), KeyFormat::Pkcs8, true, None),
        ("-----BEGIN PRIVATE KEY-----\nAAAA".to_owned(), KeyFormat::Pkcs8, false, None),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA".to_owned(), KeyFormat::OpenSsh, true, None),
    ] {
        let key = find(text.as_bytes()).expect(&text);
        assert_eq!((key.format, key.encrypted), (format, encrypted), "{text}");
        let found = key.public.map(|key| key.fingerprint().to_string());
        assert_eq!(found.as_deref(), fingerprint, "{text}");
    }
    for text in ["", "ssh-ed25519 AAAA", "-----BEGIN PUBLIC KEY-----\nAAAA", "-----BEGIN CERTIFICATE-----\n"] {
        assert_eq!(find(text.as_bytes()), None, "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400), label in 0usize..4) {
        let _ = find(&bytes);
        let label = ["RSA", "DSA", "EC", "OPENSSH"][label];
        let text = format!("-----BEGIN {label} PRIVATE KEY-----\n{}\n", STANDARD.encode(&bytes));
        let _ = find(text.as_bytes());
        let text = format!("-----BEGIN PRIVATE KEY-----\n{}\n", STANDARD.encode(&bytes));
        let _ = find(text.as_bytes());
    }
}
