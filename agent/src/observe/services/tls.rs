//! TLS to a service of this very host, without a certificate of ours, and whatever its own says.
//!
//! The certificate is not verified, on purpose: nothing secret is sent, the peer is an address of this host, and what is asked is
//! whether it serves strangers, who do not verify it either.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use hostward_checks::probe::NO_TLS;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

use super::exchange::{Broken, Line, read, write};
use crate::observe::metadata::http::{Failure, failure};

/// All that is read of a peer, in bytes, what TLS itself needs included: tickets and empty records are answers to nothing.
const MOST: usize = 64 << 10;

/// Takes any certificate.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        // Those too that nobody here could verify: etcd makes itself a certificate on P-521.
        use SignatureScheme as Scheme;
        vec![
            Scheme::ECDSA_NISTP256_SHA256,
            Scheme::ECDSA_NISTP384_SHA384,
            Scheme::ECDSA_NISTP521_SHA512,
            Scheme::ED25519,
            Scheme::RSA_PSS_SHA256,
            Scheme::RSA_PSS_SHA384,
            Scheme::RSA_PSS_SHA512,
            Scheme::RSA_PKCS1_SHA256,
            Scheme::RSA_PKCS1_SHA384,
            Scheme::RSA_PKCS1_SHA512,
        ]
    }
}

/// A connection over TLS. Every wait for the socket is one of ours, so that a peer that drips bytes holds nobody up.
#[derive(Debug)]
pub(super) struct Tls {
    connection: ClientConnection,
    socket: TcpStream,
    /// How much may still be read.
    room: usize,
}

impl Tls {
    /// Begins TLS with a peer at that address.
    pub(super) fn shake_hands(socket: TcpStream, peer: IpAddr, deadline: Instant) -> Result<Self, Broken> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(broken)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_no_client_auth();
        let connection = ClientConnection::new(Arc::new(config), ServerName::from(peer)).map_err(broken)?;
        let mut tls = Self { connection, socket, room: MOST };
        while tls.connection.is_handshaking() {
            tls.flush(deadline)?;
            if tls.connection.is_handshaking() && tls.fill(deadline)? == 0 {
                return Err(Failure::Io(format!("{NO_TLS}it hung up")).into());
            }
        }
        Ok(tls)
    }

    fn flush(&mut self, deadline: Instant) -> Result<(), Broken> {
        while self.connection.wants_write() {
            write(&mut self.socket, deadline, |mut socket| self.connection.write_tls(&mut socket))?;
        }
        Ok(())
    }

    /// Reads once from the socket.
    fn fill(&mut self, deadline: Instant) -> Result<usize, Broken> {
        if self.room == 0 {
            return Err(Failure::TooLarge(MOST).into());
        }
        let (connection, room) = (&mut self.connection, self.room as u64);
        let read = read(&mut self.socket, deadline, |socket| connection.read_tls(&mut socket.take(room)))?;
        self.room = self.room.saturating_sub(read);
        if let Err(error) = self.connection.process_new_packets() {
            // It is told why, where it listens still.
            let _ = self.flush(deadline);
            return Err(broken(error));
        }
        Ok(read)
    }
}

impl Line for Tls {
    fn say(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Broken> {
        std::io::Write::write_all(&mut self.connection.writer(), bytes).map_err(failure)?;
        self.flush(deadline)
    }

    fn hear(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<usize, Broken> {
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The peer went without saying so.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                other => return Ok(other.map_err(failure)?),
            }
            if self.fill(deadline)? == 0 {
                return Ok(0);
            }
            self.flush(deadline)?;
        }
    }
}

/// A peer that asks for a certificate says so by an alert.
fn broken(error: Error) -> Broken {
    use AlertDescription::{AccessDenied, BadCertificate, CertificateRequired, CertificateUnknown, UnknownCA};
    match error {
        Error::AlertReceived(AccessDenied | BadCertificate | CertificateRequired | CertificateUnknown | UnknownCA) => {
            Broken::Refused
        }
        other => Broken::Off(Failure::Io(format!("{NO_TLS}{}", other.to_string().to_lowercase()))),
    }
}
