//! As much DER as the public half of a PEM key needs (PKCS#1, SEC 1, PKCS#8).

use crate::parse::key_blob::{Curve, KeyKind, PublicKey, put_number, put_string};

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_1: u8 = 0xa1;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]; // 1.2.840.113549.1.1.1
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]; // 1.2.840.10045.2.1
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]; // 1.2.840.10045.3.1.7
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22]; // 1.3.132.0.34
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23]; // 1.3.132.0.35

/// The elements of a constructed value that are still to be read.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element, if it has this tag: its content.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        if *found != tag {
            return None;
        }
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    fn enter(&mut self, tag: u8) -> Option<Self> {
        self.take(tag).map(Self)
    }
}

/// RSAPrivateKey of PKCS#1.
pub(super) fn rsa(body: &[u8]) -> Option<PublicKey> {
    let mut fields = Der(body).enter(SEQUENCE)?;
    fields.take(INTEGER)?; // version
    let (modulus, exponent) = (fields.take(INTEGER)?, fields.take(INTEGER)?);
    let mut blob = Vec::new();
    put_string(&mut blob, KeyKind::Rsa.name().as_bytes());
    put_number(&mut blob, exponent);
    put_number(&mut blob, modulus);
    PublicKey::decode(&blob).ok()
}

/// OpenSSL's DSAPrivateKey: version, p, q, g, y, x.
pub(super) fn dsa(body: &[u8]) -> Option<PublicKey> {
    let mut fields = Der(body).enter(SEQUENCE)?;
    fields.take(INTEGER)?;
    let mut blob = Vec::new();
    put_string(&mut blob, KeyKind::Dsa.name().as_bytes());
    for _ in 0..4 {
        put_number(&mut blob, fields.take(INTEGER)?);
    }
    PublicKey::decode(&blob).ok()
}

/// ECPrivateKey of SEC 1; the curve stands inside or is given by the wrapping PKCS#8.
pub(super) fn ec(body: &[u8], outer: Option<Curve>) -> Option<PublicKey> {
    let mut fields = Der(body).enter(SEQUENCE)?;
    fields.take(INTEGER)?;
    fields.take(OCTET_STRING)?; // the secret
    let inner = fields.enter(CONTEXT_0).and_then(|mut parameters| curve(parameters.take(OBJECT)?));
    let curve = inner.or(outer)?;
    let (0, point) = fields.enter(CONTEXT_1)?.take(BIT_STRING)?.split_first().map(|(unused, rest)| (*unused, rest))?
    else {
        return None;
    };
    let mut blob = Vec::new();
    put_string(&mut blob, curve.key_name().as_bytes());
    put_string(&mut blob, curve.wire_name().as_bytes());
    put_string(&mut blob, point);
    PublicKey::decode(&blob).ok()
}

/// PrivateKeyInfo of PKCS#8. An Ed25519 key holds its public half only in a form that nobody writes.
pub(super) fn pkcs8(body: &[u8]) -> Option<PublicKey> {
    let mut fields = Der(body).enter(SEQUENCE)?;
    fields.take(INTEGER)?;
    let mut algorithm = fields.enter(SEQUENCE)?;
    let object = algorithm.take(OBJECT)?;
    let key = fields.take(OCTET_STRING)?;
    match object {
        RSA => rsa(key),
        EC => ec(key, algorithm.take(OBJECT).and_then(curve)),
        _ => None,
    }
}

fn curve(object: &[u8]) -> Option<Curve> {
    match object {
        P256 => Some(Curve::P256),
        P384 => Some(Curve::P384),
        P521 => Some(Curve::P521),
        _ => None,
    }
}
