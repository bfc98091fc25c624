//! The certificate authorities that this host trusts.

use std::path::Path;

use anyhow::bail;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Where distributions keep them in one file: Debian and Ubuntu; Alibaba Cloud Linux, CentOS and Fedora; SUSE; Alpine.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/var/lib/ca-certificates/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Most bytes of one.
const BUNDLE: u64 = 8 << 20;

/// The first bundle that is there.
///
/// # Errors
/// There is none, or no certificate in it.
pub(super) fn of_the_host() -> anyhow::Result<Vec<CertificateDer<'static>>> {
    for path in BUNDLES {
        if std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= BUNDLE)
            && let Ok(text) = std::fs::read(Path::new(path))
        {
            let roots = parse(&text);
            if roots.is_empty() {
                bail!("{path} holds no certificate");
            }
            return Ok(roots);
        }
    }
    bail!("this host has no certificate authorities (package ca-certificates): the ECS endpoint cannot be trusted")
}

/// The certificates of a bundle; what is none is passed over.
pub(super) fn parse(text: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(text).filter_map(Result::ok).collect()
}
