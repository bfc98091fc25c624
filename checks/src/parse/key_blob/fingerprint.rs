//! Fingerprints of public keys, written as `ssh-keygen -l` writes them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use md5::Md5;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a key's wire form; shown as `SHA256:` and base64 without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a key's wire form.
    pub fn of(blob: &[u8]) -> Self {
        Self(Sha256::digest(blob).into())
    }

    /// The digest.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", STANDARD_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no `SHA256:` fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint of the form SHA256:…")]
pub struct NotAFingerprint;

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digest = text.strip_prefix("SHA256:").ok_or(NotAFingerprint)?;
        let bytes = STANDARD_NO_PAD.decode(digest.trim_end_matches('=')).map_err(|_| NotAFingerprint)?;
        Ok(Self(bytes.try_into().map_err(|_| NotAFingerprint)?))
    }
}

/// The MD5 fingerprint of a key's wire form: `MD5:27:c6:…`.
pub fn md5_text(blob: &[u8]) -> String {
    let digest = Md5::digest(blob);
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("MD5:{}", pairs.join(":"))
}
