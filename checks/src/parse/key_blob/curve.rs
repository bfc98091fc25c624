//! The NIST curves of ECDSA keys, and which points OpenSSH takes as a key.

use std::sync::LazyLock;

use num_bigint::BigUint;

/// A curve that OpenSSH has ECDSA keys on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
}

/// Field, constant and order of a curve y² = x³ − 3x + b (FIPS 186-4, appendix D.1.2).
#[derive(Debug)]
struct Numbers {
    field: BigUint,
    constant: BigUint,
    order: BigUint,
}

impl Numbers {
    fn new(field: &str, constant: &str, order: &str) -> Self {
        let number = |hex: &str| BigUint::parse_bytes(hex.as_bytes(), 16).unwrap_or_default();
        Self { field: number(field), constant: number(constant), order: number(order) }
    }
}

static P256: LazyLock<Numbers> = LazyLock::new(|| {
    Numbers::new(
        "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
        "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    )
});
static P384: LazyLock<Numbers> = LazyLock::new(|| {
    Numbers::new(
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
        "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    )
});
static P521: LazyLock<Numbers> = LazyLock::new(|| {
    Numbers::new(
        concat!(
            "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "ffffffffffffffffffffffffffffffffffffff"
        ),
        concat!(
            "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3b",
            "b1bf073573df883d2c34f1ef451fd46b503f00"
        ),
        concat!(
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f7",
            "09a5d03bb5c9b8899c47aebb6fb71e91386409"
        ),
    )
});

impl Curve {
    /// The key type of keys on it.
    pub fn key_name(self) -> &'static str {
        match self {
            Self::P256 => "ecdsa-sha2-nistp256",
            Self::P384 => "ecdsa-sha2-nistp384",
            Self::P521 => "ecdsa-sha2-nistp521",
        }
    }

    /// Its name inside a key.
    pub fn wire_name(self) -> &'static str {
        match self {
            Self::P256 => "nistp256",
            Self::P384 => "nistp384",
            Self::P521 => "nistp521",
        }
    }

    /// Bits of a key on it.
    pub fn bits(self) -> u32 {
        match self {
            Self::P256 => 256,
            Self::P384 => 384,
            Self::P521 => 521,
        }
    }

    fn numbers(self) -> &'static Numbers {
        match self {
            Self::P256 => &P256,
            Self::P384 => &P384,
            Self::P521 => &P521,
        }
    }

    /// Whether OpenSSH takes these bytes for a public key: an uncompressed point on the curve
    /// (`sshbuf-getput-crypto.c:get_ec`) whose coordinates are neither short nor at the order
    /// (`sshkey.c:sshkey_ec_validate_public`). The curves have cofactor 1, so no multiplication is needed.
    pub(super) fn accepts(self, point: &[u8]) -> bool {
        let size = self.bits().div_ceil(8) as usize;
        let Some((4, coordinates)) = point.split_first().map(|(tag, rest)| (*tag, rest)) else { return false };
        let Some((x, y)) = coordinates.split_at_checked(size) else { return false };
        if y.len() != size {
            return false;
        }
        let Numbers { field, constant, order } = self.numbers();
        let (x, y) = (BigUint::from_bytes_be(x), BigUint::from_bytes_be(y));
        let usable = |c: &BigUint| c < field && c.bits() > order.bits() / 2 && c + 1u8 < *order;
        if !usable(&x) || !usable(&y) {
            return false;
        }
        // y² ≡ x³ − 3x + b, all terms kept non-negative.
        let left = (&y * &y + &x * 3u8) % field;
        let right = ((&x * &x % field) * &x + constant) % field;
        left == right
    }
}
