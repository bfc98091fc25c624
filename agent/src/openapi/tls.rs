//! One exchange over TLS with the ECS endpoint.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::observe::metadata::http::{Answer, Failure, Patient, failure, left, receive};

/// Longest wait for a connection to one address.
const CONNECT: Duration = Duration::from_secs(3);

impl Patient for StreamOwned<ClientConnection, TcpStream> {
    fn patience(&mut self, wait: Duration) -> std::io::Result<()> {
        self.sock.set_read_timeout(Some(wait))
    }
}

/// Sends a request to the first address that connects, and reads the answer.
///
/// # Errors
/// Nobody connects, the certificate is not the host's, or what comes is no answer. The request is in none of them.
pub(super) fn exchange(
    host: &str,
    addresses: &[SocketAddr],
    roots: Vec<CertificateDer<'static>>,
    request: &str,
    deadline: Instant,
    cap: usize,
) -> anyhow::Result<Answer> {
    let mut store = RootCertStore::empty();
    // Old authorities that no longer parse are no reason to trust none.
    let (trusted, _) = store.add_parsable_certificates(roots);
    if trusted == 0 {
        bail!("no certificate authority of this host can be used");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("failed to set TLS up")?
        .with_root_certificates(store)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).with_context(|| format!("{host} is no host name"))?;
    let connection = ClientConnection::new(Arc::new(config), name).context("failed to set TLS up")?;
    let said = |failure: Failure| match failure {
        Failure::TimedOut => anyhow::anyhow!("{host} did not answer in time"),
        Failure::TooLarge(_) => anyhow::anyhow!("the answer of {host} is too large"),
        Failure::Io(what) => anyhow::anyhow!("failed to talk to {host}: {what}"),
        Failure::Garbled(what) => anyhow::anyhow!("{host} answered with no HTTP: {what}"),
    };
    let socket = connect(addresses, deadline).map_err(said)?;
    let mut stream = StreamOwned::new(connection, socket);
    let send = |stream: &mut StreamOwned<ClientConnection, TcpStream>| {
        let wait = left(deadline)?;
        stream
            .sock
            .set_read_timeout(Some(wait))
            .and_then(|()| stream.sock.set_write_timeout(Some(wait)))
            .map_err(failure)?;
        stream.write_all(request.as_bytes()).and_then(|()| stream.flush()).map_err(failure)
    };
    send(&mut stream).map_err(said)?;
    receive(&mut stream, deadline, cap).map_err(said)
}

fn connect(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Failure> {
    let mut last = Failure::Io("it has no address".to_owned());
    for address in addresses.iter().take(4) {
        match TcpStream::connect_timeout(address, left(deadline)?.min(CONNECT)) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = failure(error),
        }
    }
    Err(last)
}
