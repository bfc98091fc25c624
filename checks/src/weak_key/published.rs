//! Keys whose private half ships with a product or stands on a public site.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::parse::key_blob::Fingerprint;

/// A published key.
#[derive(Debug, PartialEq, Eq)]
pub struct Published {
    /// The SHA-256 fingerprint, without its `SHA256:`.
    fingerprint: &'static str,
    /// What ships it.
    pub owner: &'static str,
    /// The advisory, or where the private half stands.
    pub reference: &'static str,
}

/// Each fingerprint was computed from the key pair itself, published under a free licence by the product's makers (Vagrant)
/// or by those who reported it.
static PUBLISHED: [Published; 7] = [
    Published {
        fingerprint: "1M4RzhMyWuFS/86uPY/ce2prh/dVTHW7iD2RhpquOZA",
        owner: "Vagrant base boxes (RSA)",
        reference: "github.com/hashicorp/vagrant/tree/main/keys",
    },
    Published {
        fingerprint: "WkvqjnyPAeC0cbPErYiGP9vqHdgL1MqqvPdIe3lvHgI",
        owner: "Vagrant base boxes (Ed25519)",
        reference: "github.com/hashicorp/vagrant/tree/main/keys",
    },
    Published {
        fingerprint: "9prMbqhS4QteoFQ1ZRJDqSBLWoHXPyKB0iWR05Ghro4",
        owner: "F5 BIG-IP appliances",
        reference: "CVE-2012-1493",
    },
    Published {
        fingerprint: "Z+q4XhSwWY7q0BIDVPR1v/S306FjGBsid7tLq/8kIxM",
        owner: "Ceragon FibeAir IP-10",
        reference: "CVE-2015-0936",
    },
    Published {
        fingerprint: "f+1oGL+asXtoO20k4kiiM8ECwrx1wEgWe0M7X0zEDhc",
        owner: "VMware vSphere Data Protection",
        reference: "CVE-2016-7456",
    },
    Published {
        fingerprint: "VtjqZ5fiaeoZ3mXOYi49Lk9aO31iT4pahKFP9JPiQPc",
        owner: "Quantum DXi V1000",
        reference: "packetstormsecurity.com, file 125755",
    },
    Published {
        fingerprint: "MEc4HfsOlMqJ3/9QMTmrKn5Xj/yfnMITMW8EwfUfTww",
        owner: "Loadbalancer.org Enterprise VA",
        reference: "packetstormsecurity.com, file 125754",
    },
];

/// The published key with this fingerprint.
pub fn published(fingerprint: Fingerprint) -> Option<&'static Published> {
    let mut text = [0u8; 43];
    STANDARD_NO_PAD.encode_slice(fingerprint.bytes(), &mut text).ok()?;
    PUBLISHED.iter().find(|key| key.fingerprint.as_bytes() == text)
}
