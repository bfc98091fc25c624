//! SSH public keys and certificates in their wire form (RFC 4253 §6.6, RFC 5656, OpenSSH's PROTOCOL.certkeys).
//!
//! What is decoded is what `sshkey.c:sshkey_from_blob` accepts, and it is kept in the form that OpenSSH would write,
//! so that a fingerprint equals the one of `ssh-keygen -lf` for odd encodings too.

mod certificate;
mod curve;
mod fingerprint;
mod wire;

pub use certificate::{CertificateKind, CertificateOption, SshCertificate};
pub use curve::Curve;
pub use fingerprint::{Fingerprint, md5_text};
pub(crate) use wire::{Wire, put_number, put_string};

use thiserror::Error;

/// RSA moduli below this are refused by `sshkey.c:sshkey_check_rsa_length` since OpenSSH 7.6.
pub const RSA_MINIMUM_BITS: u32 = 1024;

/// The family of a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// `ssh-rsa`.
    Rsa,
    /// `ssh-dss`.
    Dsa,
    /// `ecdsa-sha2-nistp…`.
    Ecdsa(Curve),
    /// `ssh-ed25519`.
    Ed25519,
    /// `sk-ecdsa-sha2-nistp256@openssh.com`: an ECDSA key inside a FIDO token.
    SkEcdsa,
    /// `sk-ssh-ed25519@openssh.com`: an Ed25519 key inside a FIDO token.
    SkEd25519,
}

impl KeyKind {
    /// The name that stands in a key line and in the wire form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa => "ssh-rsa",
            Self::Dsa => "ssh-dss",
            Self::Ecdsa(curve) => curve.key_name(),
            Self::Ed25519 => "ssh-ed25519",
            Self::SkEcdsa => "sk-ecdsa-sha2-nistp256@openssh.com",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
        }
    }

    /// The short name that `ssh-keygen -l` prints in brackets.
    pub fn short(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::Dsa => "DSA",
            Self::Ecdsa(_) => "ECDSA",
            Self::Ed25519 => "ED25519",
            Self::SkEcdsa => "ECDSA-SK",
            Self::SkEd25519 => "ED25519-SK",
        }
    }

    /// Whether the private half lives in a FIDO token.
    pub fn is_security_key(self) -> bool {
        matches!(self, Self::SkEcdsa | Self::SkEd25519)
    }
}

/// What a type name announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeName {
    /// The family.
    pub kind: KeyKind,
    /// Whether it names a certificate.
    pub certificate: bool,
}

/// The type that a name at the start of a key line announces, as `sshkey.c:peek_type_nid`: exact, in lower case. The
/// names of signature algorithms (`rsa-sha2-512`, `webauthn-…`) are taken there too.
pub fn type_name(name: &[u8]) -> Option<TypeName> {
    let (kind, certificate) = match name {
        b"ssh-ed25519" => (KeyKind::Ed25519, false),
        b"ssh-rsa" | b"rsa-sha2-256" | b"rsa-sha2-512" => (KeyKind::Rsa, false),
        b"ecdsa-sha2-nistp256" => (KeyKind::Ecdsa(Curve::P256), false),
        b"ecdsa-sha2-nistp384" => (KeyKind::Ecdsa(Curve::P384), false),
        b"ecdsa-sha2-nistp521" => (KeyKind::Ecdsa(Curve::P521), false),
        b"ssh-dss" => (KeyKind::Dsa, false),
        b"sk-ssh-ed25519@openssh.com" => (KeyKind::SkEd25519, false),
        b"sk-ecdsa-sha2-nistp256@openssh.com" | b"webauthn-sk-ecdsa-sha2-nistp256@openssh.com" => {
            (KeyKind::SkEcdsa, false)
        }
        b"ssh-ed25519-cert-v01@openssh.com" => (KeyKind::Ed25519, true),
        b"ssh-rsa-cert-v01@openssh.com"
        | b"rsa-sha2-256-cert-v01@openssh.com"
        | b"rsa-sha2-512-cert-v01@openssh.com" => (KeyKind::Rsa, true),
        b"ecdsa-sha2-nistp256-cert-v01@openssh.com" => (KeyKind::Ecdsa(Curve::P256), true),
        b"ecdsa-sha2-nistp384-cert-v01@openssh.com" => (KeyKind::Ecdsa(Curve::P384), true),
        b"ecdsa-sha2-nistp521-cert-v01@openssh.com" => (KeyKind::Ecdsa(Curve::P521), true),
        b"ssh-dss-cert-v01@openssh.com" => (KeyKind::Dsa, true),
        b"sk-ssh-ed25519-cert-v01@openssh.com" => (KeyKind::SkEd25519, true),
        b"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com" => (KeyKind::SkEcdsa, true),
        _ => return None,
    };
    Some(TypeName { kind, certificate })
}

/// The type that a blob's own name announces: [`type_name`], and the short names of `sshkey.c:sshkey_type_from_name`
/// in any case. (Short ECDSA names pass there and fail at the curve.)
fn blob_type(name: &[u8]) -> Option<TypeName> {
    let short = [KeyKind::Rsa, KeyKind::Dsa, KeyKind::Ed25519, KeyKind::SkEd25519];
    type_name(name).or_else(|| {
        let kind = short.into_iter().find(|kind| name.eq_ignore_ascii_case(kind.short().as_bytes()))?;
        Some(TypeName { kind, certificate: false })
    })
}

/// Why a blob is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BlobDefect {
    /// It ends inside a field.
    #[error("the key is cut short")]
    Truncated,
    /// Bytes follow the last field.
    #[error("extra bytes follow the key")]
    TrailingData,
    /// Its type is none that OpenSSH knows.
    #[error("the key's type is unknown")]
    UnknownType,
    /// A string holds a NUL byte.
    #[error("a text field of the key holds a NUL byte")]
    NulInText,
    /// A number is negative, or longer than 16,384 bits.
    #[error("a number in the key is negative or too large")]
    BadNumber,
    /// The curve named inside is not the one of the type.
    #[error("the key names another curve than its type")]
    CurveMismatch,
    /// The point is not on the curve, or one that OpenSSH refuses.
    #[error("the key's point is not valid on its curve")]
    BadPoint,
    /// An Ed25519 key that is not 32 bytes.
    #[error("the key has the wrong length")]
    BadLength,
    /// The fields of a certificate are not well formed.
    #[error("the certificate is not well formed")]
    BadCertificate,
}

/// A public key that OpenSSH can read, with the certificate around it where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    bits: u32,
    blob: Box<[u8]>,
    fingerprint: Fingerprint,
    certificate: Option<Box<SshCertificate>>,
}

/// Modulus and exponent of an RSA key, big-endian without leading zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RsaNumbers<'a> {
    /// The modulus.
    pub modulus: &'a [u8],
    /// The public exponent.
    pub exponent: &'a [u8],
}

impl PublicKey {
    /// Decodes a blob as `sshkey.c:sshkey_from_blob`. The signature of a certificate is not verified.
    ///
    /// # Errors
    /// What makes it unreadable for OpenSSH.
    pub fn decode(blob: &[u8]) -> Result<Self, BlobDefect> {
        decode(blob, true)
    }

    fn plain(kind: KeyKind, bits: u32, blob: Vec<u8>) -> Self {
        let fingerprint = Fingerprint::of(&blob);
        Self { kind, bits, blob: blob.into_boxed_slice(), fingerprint, certificate: None }
    }

    /// The family.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Bits, as `ssh-keygen -l` prints them.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// The plain key's wire form, as OpenSSH writes it.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The SHA-256 fingerprint of the plain key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The MD5 fingerprint as `ssh-keygen -E md5 -l` prints it: `MD5:27:c6:…`.
    pub fn md5(&self) -> String {
        md5_text(&self.blob)
    }

    /// The certificate that the key came in.
    pub fn certificate(&self) -> Option<&SshCertificate> {
        self.certificate.as_deref()
    }

    /// The name in brackets that `ssh-keygen -l` prints, with `-CERT` for a certificate.
    pub fn short_name(&self) -> String {
        let suffix = if self.certificate.is_some() { "-CERT" } else { "" };
        format!("{}{suffix}", self.kind.short())
    }

    /// Modulus and exponent, of an RSA key.
    pub fn rsa(&self) -> Option<RsaNumbers<'_>> {
        if self.kind != KeyKind::Rsa {
            return None;
        }
        let mut wire = Wire::new(&self.blob);
        wire.string().ok()?;
        let exponent = wire.number().ok()?;
        let modulus = wire.number().ok()?;
        Some(RsaNumbers { modulus, exponent })
    }
}

/// Bits of a big-endian number without leading zeros.
fn bit_length(number: &[u8]) -> u32 {
    let Some(first) = number.first() else { return 0 };
    let bits = (number.len() as u64) * 8 - u64::from(first.leading_zeros());
    u32::try_from(bits).unwrap_or(u32::MAX)
}

fn decode(blob: &[u8], allow_certificate: bool) -> Result<PublicKey, BlobDefect> {
    let mut wire = Wire::new(blob);
    let name = wire.text()?;
    let announced = blob_type(name).ok_or(BlobDefect::UnknownType)?;
    if announced.certificate {
        if !allow_certificate {
            return Err(BlobDefect::BadCertificate);
        }
        wire.string()?; // the nonce, which comes before the key in every -v01 certificate
    }
    let mut key = read_plain(&mut wire, announced.kind)?;
    if announced.certificate {
        key.certificate = Some(Box::new(certificate::read(&mut wire)?));
    }
    if wire.is_empty() { Ok(key) } else { Err(BlobDefect::TrailingData) }
}

/// Reads the fields of a plain key and writes them again in OpenSSH's own form.
fn read_plain(wire: &mut Wire<'_>, kind: KeyKind) -> Result<PublicKey, BlobDefect> {
    let mut out = Vec::with_capacity(wire.rest().len().min(4096) + 16);
    put_string(&mut out, kind.name().as_bytes());
    let bits = match kind {
        KeyKind::Rsa => {
            let (exponent, modulus) = (wire.number()?, wire.number()?);
            put_number(&mut out, exponent);
            put_number(&mut out, modulus);
            bit_length(modulus)
        }
        KeyKind::Dsa => {
            let prime = wire.number()?;
            put_number(&mut out, prime);
            for _ in 0..3 {
                put_number(&mut out, wire.number()?);
            }
            bit_length(prime)
        }
        KeyKind::Ecdsa(curve) => {
            read_point(wire, curve, &mut out)?;
            curve.bits()
        }
        KeyKind::Ed25519 => {
            read_ed25519(wire, &mut out)?;
            256
        }
        KeyKind::SkEcdsa => {
            read_point(wire, Curve::P256, &mut out)?;
            put_string(&mut out, wire.text()?);
            256
        }
        KeyKind::SkEd25519 => {
            read_ed25519(wire, &mut out)?;
            put_string(&mut out, wire.text()?);
            256
        }
    };
    Ok(PublicKey::plain(kind, bits, out))
}

fn read_point(wire: &mut Wire<'_>, curve: Curve, out: &mut Vec<u8>) -> Result<(), BlobDefect> {
    let named = wire.text()?;
    if named != curve.wire_name().as_bytes() {
        return Err(BlobDefect::CurveMismatch);
    }
    let point = wire.string()?;
    if !curve.accepts(point) {
        return Err(BlobDefect::BadPoint);
    }
    put_string(out, named);
    put_string(out, point);
    Ok(())
}

fn read_ed25519(wire: &mut Wire<'_>, out: &mut Vec<u8>) -> Result<(), BlobDefect> {
    let point = wire.string()?;
    if point.len() != 32 {
        return Err(BlobDefect::BadLength);
    }
    put_string(out, point);
    Ok(())
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
