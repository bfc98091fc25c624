//! Private keys in files: which format, whether a passphrase protects them, and the public half where it can be read. The
//! secret parts are passed over and never kept.

mod der;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key_blob::{PublicKey, Wire};

/// How a private key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyFormat {
    /// `openssh-key-v1`, what ssh-keygen writes.
    OpenSsh,
    /// PEM with the key's own structure: RSA, DSA or EC (PKCS#1, SEC 1).
    Traditional,
    /// PKCS#8.
    Pkcs8,
    /// PuTTY.
    Putty,
}

/// What is known of a private key without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateKey {
    /// How it is written.
    pub format: KeyFormat,
    /// Whether a passphrase protects it.
    pub encrypted: bool,
    /// The public half, where it stands in the open.
    pub public: Option<PublicKey>,
}

/// The first private key in a file. None: it holds none that is recognised.
pub fn find(bytes: &[u8]) -> Option<PrivateKey> {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    while let Some(line) = lines.next() {
        if line.starts_with(b"PuTTY-User-Key-File-") {
            return Some(putty(lines));
        }
        let Some(label) = line.strip_prefix(b"-----BEGIN ").and_then(|rest| rest.strip_suffix(b"-----")) else {
            continue;
        };
        if label.ends_with(b"PRIVATE KEY") {
            return Some(pem(label, lines));
        }
    }
    None
}

fn pem<'a>(label: &[u8], lines: impl Iterator<Item = &'a [u8]>) -> PrivateKey {
    let (mut body, mut encrypted_header) = (Vec::new(), false);
    for line in lines {
        if line.starts_with(b"-----END") {
            break;
        }
        if line.contains(&b':') {
            encrypted_header |= line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED");
        } else {
            body.extend_from_slice(line);
        }
    }
    let body = STANDARD.decode(&body).unwrap_or_default();
    match label {
        b"OPENSSH PRIVATE KEY" => openssh(&body),
        b"ENCRYPTED PRIVATE KEY" => PrivateKey { format: KeyFormat::Pkcs8, encrypted: true, public: None },
        b"PRIVATE KEY" => PrivateKey { format: KeyFormat::Pkcs8, encrypted: false, public: der::pkcs8(&body) },
        _ => {
            let public = match label {
                _ if encrypted_header => None,
                b"RSA PRIVATE KEY" => der::rsa(&body),
                b"DSA PRIVATE KEY" => der::dsa(&body),
                b"EC PRIVATE KEY" => der::ec(&body, None),
                _ => None,
            };
            PrivateKey { format: KeyFormat::Traditional, encrypted: encrypted_header, public }
        }
    }
}

/// PROTOCOL.key: the public half stands in the open also where the private half is encrypted.
fn openssh(body: &[u8]) -> PrivateKey {
    let read = || {
        let mut wire = Wire::new(body.strip_prefix(b"openssh-key-v1\0")?);
        let cipher = wire.string().ok()?;
        wire.string().ok()?; // the key derivation and its parameters
        wire.string().ok()?;
        let count = wire.u32().ok()?;
        let public = if count > 0 { PublicKey::decode(wire.string().ok()?).ok() } else { None };
        Some((cipher != b"none", public))
    };
    // What cannot be read is taken for protected: nobody can use it either.
    let (encrypted, public) = read().unwrap_or((true, None));
    PrivateKey { format: KeyFormat::OpenSsh, encrypted, public }
}

fn putty<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> PrivateKey {
    let (mut encrypted, mut public) = (true, None);
    while let Some(line) = lines.next() {
        if let Some(method) = line.strip_prefix(b"Encryption:") {
            encrypted = method.trim_ascii() != b"none";
        } else if let Some(count) = line.strip_prefix(b"Public-Lines:") {
            let count = std::str::from_utf8(count.trim_ascii()).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
            let blob: Vec<u8> = lines.by_ref().take(count).flatten().copied().collect();
            public = STANDARD.decode(blob).ok().and_then(|blob| PublicKey::decode(&blob).ok());
        } else if line.starts_with(b"Private-Lines:") {
            break;
        }
    }
    PrivateKey { format: KeyFormat::Putty, encrypted, public }
}

#[cfg(test)]
mod tests;
