//! One exchange with one service: connect, say, hear, with a limit on each wait, on all of it, and on what is read.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hostward_checks::fact::Why;
use hostward_checks::observation::service::Answer;
use hostward_checks::observation::socket::Protocol;
use hostward_checks::probe::{Context, Heard, MOST, Probe, Step};

use super::tls::Tls;
use crate::observe::metadata::http::{Failure, failure, left};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(1);
/// Longest exchange, connection included.
pub(super) const EXCHANGE: Duration = Duration::from_secs(3);
/// What came is looked at so often, then the exchange ends: who sends byte after byte does not make us look at thousands for each.
const PIECES: usize = 256;

/// Why an exchange ended without an answer of the service's protocol.
#[derive(Debug)]
pub(super) enum Broken {
    /// It took too long, or the connection failed.
    Off(Failure),
    /// TLS wants a certificate of ours.
    Refused,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Off(failure)
    }
}

/// A connection, whatever carries it.
pub(super) trait Line {
    /// Sends all of it.
    fn say(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Broken>;
    /// Reads something; 0: nothing more comes.
    fn hear(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<usize, Broken>;
}

/// Reads once, again where a signal came between. Whoever hangs up hard has ended all the same.
pub(super) fn read(
    socket: &mut TcpStream,
    deadline: Instant,
    mut each: impl FnMut(&mut TcpStream) -> std::io::Result<usize>,
) -> Result<usize, Failure> {
    loop {
        socket.set_read_timeout(Some(left(deadline)?)).map_err(failure)?;
        match each(socket) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => return Ok(0),
            other => return other.map_err(failure),
        }
    }
}

/// Writes once, again where a signal came between: a limit on all of several writes is one on each.
pub(super) fn write(
    socket: &mut TcpStream,
    deadline: Instant,
    mut each: impl FnMut(&mut TcpStream) -> std::io::Result<usize>,
) -> Result<usize, Failure> {
    loop {
        socket.set_write_timeout(Some(left(deadline)?)).map_err(failure)?;
        match each(socket) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) => return Err(failure(ErrorKind::WriteZero.into())),
            other => return other.map_err(failure),
        }
    }
}

impl Line for TcpStream {
    fn say(&mut self, mut bytes: &[u8], deadline: Instant) -> Result<(), Broken> {
        while !bytes.is_empty() {
            let count = write(self, deadline, |socket| socket.write(bytes))?;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    fn hear(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<usize, Broken> {
        Ok(read(self, deadline, |socket| socket.read(buffer))?)
    }
}

/// Datagrams to and from one address. There is no end: silence is.
impl Line for UdpSocket {
    fn say(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Broken> {
        self.set_write_timeout(Some(left(deadline)?)).map_err(failure)?;
        Ok(self.send(bytes).map(drop).map_err(failure)?)
    }

    fn hear(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<usize, Broken> {
        loop {
            self.set_read_timeout(Some(left(deadline)?)).map_err(failure)?;
            match self.recv(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return Ok(other.map_err(failure)?),
            }
        }
    }
}

/// Asks once. It ends at `end`, or after three seconds.
pub(super) fn exchange(probe: &Probe, to: SocketAddr, tls: bool, context: &Context<'_>, end: Instant) -> Answer {
    let deadline = end.min(Instant::now() + EXCHANGE);
    let talked =
        connect(probe.protocol, to, tls, deadline).and_then(|mut line| talk(&mut *line, probe, context, deadline));
    match talked {
        Ok(answer) => answer,
        Err(Broken::Refused) => Answer::Closed,
        Err(Broken::Off(Failure::TimedOut)) => Answer::Unclear(Why::TimedOut),
        Err(Broken::Off(Failure::Io(what))) => Answer::Unclear(Why::Failed(what)),
        Err(Broken::Off(Failure::Garbled(what))) => Answer::Unclear(Why::Failed(what.to_owned())),
        Err(Broken::Off(Failure::TooLarge(most))) => Answer::Unclear(Why::TooLarge(most as u64)),
    }
}

fn connect(protocol: Protocol, to: SocketAddr, tls: bool, deadline: Instant) -> Result<Box<dyn Line>, Broken> {
    if protocol == Protocol::Udp {
        let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).map_err(failure)?;
        socket.connect(to).map_err(failure)?;
        return Ok(Box::new(socket));
    }
    let stream = TcpStream::connect_timeout(&to, left(deadline)?.min(CONNECT)).map_err(failure)?;
    Ok(if tls { Box::new(Tls::shake_hands(stream, to.ip(), deadline)?) } else { Box::new(stream) })
}

fn talk(line: &mut dyn Line, probe: &Probe, context: &Context<'_>, deadline: Instant) -> Result<Answer, Broken> {
    let first = probe.first(context);
    if !first.is_empty() {
        line.say(&first, deadline)?;
    }
    let (mut bytes, mut turn, mut buffer, mut room) = (Vec::new(), 0, [0; 4096], MOST);
    for _ in 0..PIECES {
        if room == 0 {
            return Err(Failure::TooLarge(MOST).into());
        }
        let window = buffer.get_mut(..room.min(4096)).unwrap_or_default();
        let count = line.hear(window, deadline)?;
        bytes.extend(window.iter().take(count));
        room -= count;
        let heard = Heard { bytes: &bytes, turn, ended: count == 0, context: *context };
        match probe.hear(&heard) {
            Step::More => {}
            Step::Say(next) => {
                bytes.clear();
                turn += 1;
                line.say(&next, deadline)?;
            }
            Step::Done(answer) => {
                if matches!(answer, Answer::Open(_)) && !probe.goodbye.is_empty() {
                    // It is hung up in any case.
                    let _ = line.say(probe.goodbye, deadline);
                }
                return Ok(answer);
            }
        }
    }
    Err(Failure::Garbled("its answer comes in too many pieces").into())
}

#[cfg(test)]
mod tests {
    use hostward_checks::probe::find;

    use super::*;

    /// A service that gives a byte each time, and what limits it was waited for with.
    struct Drip(Vec<Instant>);

    impl Line for Drip {
        fn say(&mut self, _: &[u8], deadline: Instant) -> Result<(), Broken> {
            self.0.push(deadline);
            Ok(())
        }

        fn hear(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<usize, Broken> {
            self.0.push(deadline);
            buffer[0] = b'$';
            Ok(1)
        }
    }

    #[test]
    fn no_wait_goes_beyond_the_exchange_and_no_service_gives_more_than_is_read() {
        let (redis, deadline) = (find("Redis", Protocol::Tcp, 6379, true, true).unwrap(), Instant::now() + EXCHANGE);
        let mut drip = Drip(Vec::new());
        let heard = talk(&mut drip, redis, &Context::default(), deadline);
        assert!(matches!(heard, Err(Broken::Off(Failure::Garbled(_)))), "{heard:?}");
        assert!(drip.0.iter().all(|limit| *limit == deadline));
        assert_eq!(drip.0.len(), PIECES + 1);
    }
}
