//! The file that `RevokedKeys` names: a key revocation list (`PROTOCOL.krl`) or plain public keys, one a line.

use std::collections::BTreeSet;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::parse::authorized_keys;
use crate::parse::key_blob::PublicKey;

const MAGIC: &[u8] = b"SSHKRL\n\0";

/// Keys and certificates that sshd refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevokedKeys {
    /// Blobs of revoked plain keys.
    blobs: BTreeSet<Vec<u8>>,
    /// SHA-1 of revoked blobs.
    sha1: BTreeSet<Vec<u8>>,
    /// SHA-256 of revoked blobs.
    sha256: BTreeSet<Vec<u8>>,
    /// Whether certificates are revoked by serial or id: hostward sees no user's certificate, so these only cast doubt.
    pub certificates: bool,
}

/// The list cannot be used: sshd then refuses every key (`auth.c:auth_key_is_revoked`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenList;

impl RevokedKeys {
    /// Reads either form.
    ///
    /// # Errors
    /// It begins as a revocation list and is none that sshd can read.
    pub fn parse(bytes: &[u8]) -> Result<Self, BrokenList> {
        match bytes.strip_prefix(MAGIC) {
            Some(body) => binary(body).ok_or(BrokenList),
            None => Ok(plain(bytes)),
        }
    }

    /// Whether a key, or the authority that signed its certificate, stands in the list.
    pub fn holds(&self, key: &PublicKey) -> bool {
        let blob = key.blob();
        self.blobs.contains(blob)
            || self.sha1.contains(Sha1::digest(blob).as_slice())
            || self.sha256.contains(Sha256::digest(blob).as_slice())
            || key.certificate().is_some_and(|certificate| self.holds(&certificate.authority))
    }
}

/// Public keys, one a line (`authfile.c:sshkey_in_file`); lines that hold none are skipped.
fn plain(bytes: &[u8]) -> RevokedKeys {
    let (lines, _) = authorized_keys::parse(bytes);
    RevokedKeys { blobs: lines.iter().map(|line| line.key.blob().to_vec()).collect(), ..RevokedKeys::default() }
}

/// `krl.c:ssh_krl_from_blob`, as far as plain keys are concerned.
fn binary(body: &[u8]) -> Option<RevokedKeys> {
    let mut list = RevokedKeys::default();
    let mut input = Wire(body);
    if input.u32()? != 1 {
        return None;
    }
    // Version, date and flags of the list, then a reserved string and a comment.
    input.take(24)?;
    input.string()?;
    input.string()?;
    while !input.0.is_empty() {
        let kind = input.take(1)?.first().copied()?;
        let section = input.string()?;
        match kind {
            1 => list.certificates = true,
            2 | 3 | 5 => {
                let mut entries = Wire(section);
                while !entries.0.is_empty() {
                    let entry = entries.string()?;
                    let (set, length) = match kind {
                        2 => (&mut list.blobs, None),
                        3 => (&mut list.sha1, Some(20)),
                        _ => (&mut list.sha256, Some(32)),
                    };
                    if length.is_some_and(|length| entry.len() != length) {
                        return None;
                    }
                    set.insert(entry.to_vec());
                }
            }
            // Signatures (up to 9.3 they end the list) and extensions that are not critical.
            4 => break,
            255 => {
                let mut extension = Wire(section);
                extension.string()?;
                if extension.take(1)? != [0] {
                    return None;
                }
            }
            _ => return None,
        }
    }
    Some(list)
}

/// SSH wire encoding (RFC 4251 §5), read from the front.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const A: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIPPMv7HtfAAGwIvQMkx1wyxFESKRoAX1NIoCm6/Voy1a";
    const B: &str = "AAAAC3NzaC1lZDI1NTE5AAAAILbepgOz1w48GJKKwB8IT9/WXSZxBvcCwDz6wTpSxBPc";
    const C: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIMsJYhg6KaJSQ8yZOITIi3C6IgsGANwEGijyYOqeDxaZ";
    /// `ssh-keygen -k` of A.
    const KEYS: &str = "U1NIS1JMCgAAAAABAAAAAAAAAAAAAAAAawIV6AAAAAAAAAAAAAAAAAAAAAACAAAANwAAADMAAAALc3NoLWVkMjU1MTkAAAAg88y/se18AAbAi9AyTHXDLEURIpGgBfU0igKbr9WjLVo=";
    /// `ssh-keygen -k` of `sha1: B` and `sha256: C`.
    const HASHES: &str = "U1NIS1JMCgAAAAABAAAAAAAAAAAAAAAAawIV6AAAAAAAAAAAAAAAAAAAAAADAAAAGAAAABT2eGheKEAbRtyqW7Xc24eJbcERhAUAAAAkAAAAIEoUhzOmW80E4SKghMDaIhXtOQ6+XyOpi+cQBTCYvjYw";

    fn key(text: &str) -> PublicKey {
        PublicKey::decode(&STANDARD.decode(text).unwrap()).unwrap()
    }

    #[test]
    fn lists_made_by_ssh_keygen_and_plain_ones() {
        let plain = format!("# old\nssh-ed25519 {A} somebody\nnot a key\n");
        for (list, held) in [
            (STANDARD.decode(KEYS).unwrap(), [true, false, false]),
            (STANDARD.decode(HASHES).unwrap(), [false, true, true]),
            (plain.into_bytes(), [true, false, false]),
            (Vec::new(), [false; 3]),
        ] {
            let revoked = RevokedKeys::parse(&list).unwrap();
            assert_eq!([A, B, C].map(|text| revoked.holds(&key(text))), held);
        }
    }

    #[test]
    fn a_cut_list_is_broken_at_every_length() {
        let list = STANDARD.decode(KEYS).unwrap();
        for length in MAGIC.len()..list.len() {
            // Without any section it is a whole list that revokes nothing.
            let whole = length == MAGIC.len() + 4 + 24 + 8;
            assert_eq!(RevokedKeys::parse(&list[..length]).is_ok(), whole, "cut at {length}");
        }
    }
}
