//! OpenSSH certificates (PROTOCOL.certkeys), read as `sshkey.c:cert_parse` but for the signature.

use super::{BlobDefect, PublicKey, Wire, decode};

/// `sshkey.h:SSHKEY_CERT_MAX_PRINCIPALS`.
const MAX_PRINCIPALS: usize = 256;

/// Whom a certificate speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateKind {
    /// A person who logs in.
    User,
    /// A host.
    Host,
}

/// An option or permission: its name and its packed value.
pub type CertificateOption = (Vec<u8>, Vec<u8>);

/// What a certificate says of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshCertificate {
    /// User or host.
    pub kind: CertificateKind,
    /// The authority's serial number.
    pub serial: u64,
    /// The authority's name for it; written by others, so hostile.
    pub key_id: Vec<u8>,
    /// The names that it speaks for; none means any.
    pub principals: Vec<Vec<u8>>,
    /// Seconds since the epoch from which it holds.
    pub valid_after: u64,
    /// Seconds since the epoch at which it ends; `u64::MAX` means never.
    pub valid_before: u64,
    /// Options that must be understood.
    pub critical: Vec<CertificateOption>,
    /// Permissions.
    pub extensions: Vec<CertificateOption>,
    /// The key that signed it.
    pub authority: PublicKey,
}

/// Reads everything that follows the plain key.
pub(super) fn read(wire: &mut Wire<'_>) -> Result<SshCertificate, BlobDefect> {
    let serial = wire.u64()?;
    let kind = match wire.u32()? {
        1 => CertificateKind::User,
        2 => CertificateKind::Host,
        _ => return Err(BlobDefect::BadCertificate),
    };
    let key_id = wire.text()?.to_vec();
    let principals = principals(wire.string()?)?;
    let (valid_after, valid_before) = (wire.u64()?, wire.u64()?);
    let critical = pairs(wire.string()?)?;
    let extensions = pairs(wire.string()?)?;
    wire.string()?; // reserved
    let authority = decode(wire.string()?, false)?;
    wire.string()?; // the signature
    Ok(SshCertificate { kind, serial, key_id, principals, valid_after, valid_before, critical, extensions, authority })
}

fn principals(packed: &[u8]) -> Result<Vec<Vec<u8>>, BlobDefect> {
    let mut wire = Wire::new(packed);
    let mut names = Vec::new();
    while !wire.is_empty() {
        if names.len() == MAX_PRINCIPALS {
            return Err(BlobDefect::BadCertificate);
        }
        names.push(wire.text()?.to_vec());
    }
    Ok(names)
}

fn pairs(packed: &[u8]) -> Result<Vec<CertificateOption>, BlobDefect> {
    let mut wire = Wire::new(packed);
    let mut pairs = Vec::new();
    while !wire.is_empty() {
        pairs.push((wire.string()?.to_vec(), wire.string()?.to_vec()));
    }
    Ok(pairs)
}
