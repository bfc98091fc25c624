//! Whether something at an address speaks SSH: one connection, the first line, and away. sshd counts who leaves without a login
//! (`PerSourcePenalties`, `MaxStartups`), so it is asked once, and again only where it did not answer.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a listener is given to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one connection may take; sshd's own host name look-ups come after its banner.
const ONCE: Duration = Duration::from_secs(3);
/// The longest first line: RFC 4253, 4.2 has 255, and allows lines before it.
const LONGEST: usize = 4096;

/// What sshd says instead of its banner when it lives and does not want us (`sshd.c:drop_connection`, 9.8 and later).
const TURNED_AWAY: [&[u8]; 2] = [b"Exceeded MaxStartups", b"Not allowed at this time"];

/// Waits for an SSH banner at an address that a daemon listens on.
///
/// # Errors
/// Why there was none.
pub(super) fn await_banner(listener: SocketAddr) -> Result<(), String> {
    within(listener, PATIENCE)
}

fn within(listener: SocketAddr, patience: Duration) -> Result<(), String> {
    let address = reachable(listener);
    let until = Instant::now() + patience;
    let mut pause = Duration::from_millis(50);
    loop {
        let answer = first_bytes(address);
        let why = match &answer {
            Ok(said) if speaks_ssh(said) => return Ok(()),
            // Strangers have used up what it takes at a time, or this host its good will: sshd is there.
            Ok(said) if TURNED_AWAY.iter().any(|words| said.starts_with(words)) && Instant::now() >= until => {
                return Ok(());
            }
            Ok(said) if said.is_empty() => "the connection was closed without a word".to_owned(),
            Ok(_) => "what answers does not speak SSH".to_owned(),
            Err(error) => error.to_string(),
        };
        if Instant::now() >= until {
            return Err(format!("no SSH banner at {listener}: {why}"));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

fn speaks_ssh(said: &[u8]) -> bool {
    said.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-"))
}

/// A listener on every address is asked on loopback.
fn reachable(listener: SocketAddr) -> SocketAddr {
    match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, listener.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((Ipv6Addr::LOCALHOST, listener.port())),
        _ => listener,
    }
}

fn first_bytes(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let until = Instant::now() + ONCE;
    let mut stream = TcpStream::connect_timeout(&address, ONCE)?;
    let mut said = Vec::new();
    let mut buffer = [0; 512];
    while said.len() < LONGEST && !(speaks_ssh(&said) && said.ends_with(b"\n")) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => said.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::Interrupted) => {}
            Err(_) if !said.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    fn serve(answers: &'static [&'static [u8]]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for answer in answers {
                listener.accept().unwrap().0.write_all(answer).unwrap();
            }
        });
        address
    }

    #[test]
    fn a_banner_is_awaited_and_nothing_else_is_taken_for_one() {
        assert_eq!(await_banner(serve(&[b"hello\r\nSSH-2.0-OpenSSH_9.2\r\n"])), Ok(()));
        assert_eq!(
            await_banner(serve(&[b"", b"Exceeded MaxStartups\r\n", b"SSH-2.0-x\r\n"])),
            Ok(()),
            "it is asked again"
        );
        let why = within(serve(&[b"220 mail\r\n"]), Duration::from_millis(400)).unwrap_err();
        assert!(why.starts_with("no SSH banner at 127.0.0.1:"), "{why}");
    }

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:22".parse().unwrap()).to_string(), "127.0.0.1:22");
        assert_eq!(reachable("[::]:22".parse().unwrap()).to_string(), "[::1]:22");
        assert_eq!(reachable("10.0.0.5:22".parse().unwrap()).to_string(), "10.0.0.5:22");
    }
}
