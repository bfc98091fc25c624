//! One HTTP/1.1 exchange over plain TCP with an address, for the metadata service; the ECS endpoint's answers are read here too.
//!
//! Own rather than a client library: no proxy, redirect, resolver or cookie can come into it because there is none,
//! and whoever answers is hostile, so every size and every wait has its bound here. What was read is wiped, for it may hold
//! credentials.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

/// Most bytes of status line and headers.
const MAX_HEAD: usize = 8 << 10;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(1);
/// Longest exchange, connection included.
const EXCHANGE: Duration = Duration::from_secs(2);

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code, 100–599.
    pub status: u16,
    /// The body, not longer than asked for.
    pub body: Vec<u8>,
}

/// Why nothing useful came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection, or it broke; in words.
    Io(String),
    /// Took too long.
    TimedOut,
    /// The body is longer than this many bytes.
    TooLarge(usize),
    /// Not an HTTP answer; what is wrong with it.
    Garbled(&'static str),
}

/// Where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
    ToTheEnd,
}

/// Status, length and the place where the body begins.
#[derive(Clone, Copy, Debug)]
struct Head {
    status: u16,
    length: Length,
    body_at: usize,
}

/// Asks once. `method`, `path` and `headers` are ours or were validated: they hold no line feed.
///
/// # Errors
/// [`Failure`], after at most two seconds or at `deadline`.
pub(super) fn ask(
    to: SocketAddr,
    deadline: Instant,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    cap: usize,
) -> Result<Answer, Failure> {
    let deadline = deadline.min(Instant::now() + EXCHANGE);
    let mut stream = TcpStream::connect_timeout(&to, left(deadline)?.min(CONNECT)).map_err(failure)?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", host(to));
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if method == "PUT" {
        request.push_str("Content-Length: 0\r\n");
    }
    request.push_str("\r\n");
    stream.set_write_timeout(Some(left(deadline)?)).map_err(failure)?;
    stream.write_all(request.as_bytes()).map_err(failure)?;
    receive(&mut stream, deadline, cap)
}

fn host(to: SocketAddr) -> String {
    if to.port() == 80 { to.ip().to_string() } else { to.to_string() }
}

/// The time that is left.
///
/// # Errors
/// None is.
pub(crate) fn left(deadline: Instant) -> Result<Duration, Failure> {
    Some(deadline.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero()).ok_or(Failure::TimedOut)
}

/// An error of the system in our words.
pub(crate) fn failure(error: std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Failure::TimedOut,
        _ => Failure::Io(error.to_string().to_lowercase()),
    }
}

/// What can be read with a limit on the wait.
pub(crate) trait Patient: Read {
    /// Sets the longest wait of a read.
    ///
    /// # Errors
    /// The system's.
    fn patience(&mut self, wait: Duration) -> std::io::Result<()>;
}

impl Patient for TcpStream {
    fn patience(&mut self, wait: Duration) -> std::io::Result<()> {
        self.set_read_timeout(Some(wait))
    }
}

/// Reads one answer.
///
/// # Errors
/// [`Failure`], at `deadline` at the latest.
pub(crate) fn receive(stream: &mut impl Patient, deadline: Instant, cap: usize) -> Result<Answer, Failure> {
    // Room for all of it: a buffer that grows leaves copies behind.
    let mut got = Zeroizing::new(Vec::with_capacity(MAX_HEAD + cap.saturating_mul(6).min(64 << 10)));
    let mut head = None;
    let mut buffer = Zeroizing::new([0; 8 << 10]);
    loop {
        stream.patience(left(deadline)?).map_err(failure)?;
        let count = match stream.read(&mut *buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other.map_err(failure)?,
        };
        got.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if head.is_none() {
            head = parse_head(&got)?;
        }
        match head {
            None if got.len() > MAX_HEAD => return Err(Failure::Garbled("its headers never end")),
            Some(Head { length: Length::Known(length), .. }) if length > cap => return Err(Failure::TooLarge(cap)),
            Some(Head { status, length: Length::Known(length), body_at }) if got.len() >= body_at + length => {
                return Ok(Answer { status, body: got.get(body_at..body_at + length).unwrap_or_default().to_vec() });
            }
            // Chunk sizes cost at most five bytes for every byte of body.
            Some(Head { length: Length::Chunked, body_at, .. }) if got.len() > body_at + cap * 6 + 1024 => {
                return Err(Failure::TooLarge(cap));
            }
            Some(Head { length: Length::ToTheEnd, body_at, .. }) if got.len() > body_at + cap => {
                return Err(Failure::TooLarge(cap));
            }
            Some(Head { status, length: Length::Chunked, body_at }) if ends_chunked(&got) => {
                return Ok(Answer { status, body: unchunk(got.get(body_at..).unwrap_or_default(), cap)? });
            }
            _ if count == 0 => return finish(&got, cap),
            _ => {}
        }
    }
}

/// Whether the last chunk may have come: its line and the empty one after it.
fn ends_chunked(got: &[u8]) -> bool {
    got.ends_with(b"0\r\n\r\n")
}

/// Reads a whole answer: what a server sent until it closed.
///
/// # Errors
/// It is not an HTTP/1 answer, was cut short, or has a longer body than `cap`.
pub fn finish(got: &[u8], cap: usize) -> Result<Answer, Failure> {
    let Some(head) = parse_head(got)? else { return Err(Failure::Garbled("it ends within its headers")) };
    let body = got.get(head.body_at..).unwrap_or_default();
    let body = match head.length {
        Length::Chunked => unchunk(body, cap)?,
        Length::ToTheEnd => body.to_vec(),
        Length::Known(length) => body.get(..length).ok_or(Failure::Garbled("it was cut short"))?.to_vec(),
    };
    if body.len() > cap { Err(Failure::TooLarge(cap)) } else { Ok(Answer { status: head.status, body }) }
}

/// The head, once it is complete. None: not yet.
fn parse_head(got: &[u8]) -> Result<Option<Head>, Failure> {
    let start = got.get(..got.len().min(5)).unwrap_or_default();
    if start != b"HTTP/".get(..start.len()).unwrap_or_default() {
        return Err(Failure::Garbled("it is not HTTP"));
    }
    let within = got.get(..got.len().min(MAX_HEAD)).unwrap_or_default();
    let Some(body_at) = end_of_head(within) else { return Ok(None) };
    let head = within.get(..body_at).unwrap_or_default();
    let mut lines = head.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status = lines.next().and_then(status).ok_or(Failure::Garbled("its status line is broken"))?;
    let mut length = None;
    for line in lines.filter(|line| !line.is_empty()) {
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            return Err(Failure::Garbled("one of its headers is broken"));
        };
        let (name, value) = (line.get(..colon).unwrap_or_default(), line.get(colon + 1..).unwrap_or_default());
        let said = if name.eq_ignore_ascii_case(b"content-length") {
            Length::Known(number(value.trim_ascii(), 10).ok_or(Failure::Garbled("its length is no number"))?)
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(Failure::Garbled("its transfer encoding is unknown"));
            }
            Length::Chunked
        } else {
            continue;
        };
        if length.is_some_and(|before| before != said) {
            return Err(Failure::Garbled("it has two lengths"));
        }
        length = Some(said);
    }
    Ok(Some(Head { status, length: length.unwrap_or(Length::ToTheEnd), body_at }))
}

fn end_of_head(got: &[u8]) -> Option<usize> {
    let crlf = got.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
    let lf = got.windows(2).position(|two| two == b"\n\n").map(|at| at + 2);
    match (crlf, lf) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// `HTTP/1.1 403 Forbidden`.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
    let digits = rest.get(..3)?;
    let ends = rest.get(3).is_none_or(|byte| *byte == b' ');
    let code = number(digits, 10).filter(|code| ends && (100..600).contains(code))?;
    u16::try_from(code).ok()
}

/// Digits and nothing else.
fn number(digits: &[u8], radix: u32) -> Option<usize> {
    let plain = !digits.is_empty() && digits.iter().all(|b| char::from(*b).is_digit(radix));
    usize::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| plain)?, radix).ok()
}

/// Takes the chunks apart (RFC 9112 §7.1); trailers are dropped.
fn unchunk(mut rest: &[u8], cap: usize) -> Result<Vec<u8>, Failure> {
    const BROKEN: Failure = Failure::Garbled("its chunks are broken");
    let mut body = Vec::new();
    loop {
        let end = rest.iter().position(|b| *b == b'\n').ok_or(BROKEN)?;
        let line = rest.get(..end).unwrap_or_default();
        let size = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        let size = number(size, 16).ok_or(BROKEN)?;
        rest = rest.get(end + 1..).unwrap_or_default();
        if size == 0 {
            return Ok(body);
        }
        if size > cap || body.len() + size > cap {
            return Err(Failure::TooLarge(cap));
        }
        body.extend_from_slice(rest.get(..size).ok_or(BROKEN)?);
        rest = rest.get(size..).unwrap_or_default();
        rest = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")).ok_or(BROKEN)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        for (text, want) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Some((200, "hi"))),
            ("HTTP/1.0 403\r\n\r\n", Some((403, ""))),
            ("HTTP/1.1 200 OK\nX: y\n\nto the end", Some((200, "to the end"))),
            (
                "HTTP/1.1 200 OK\r\nTRANSFER-encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n1\r\n!\r\n0\r\n\r\n",
                Some((200, "hi!")),
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhidden", Some((200, "hi"))),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", None),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx", None),
            ("HTTP/1.1 2000 OK\r\n\r\n", None),
            ("HTTP/2 200\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nbroken\r\n\r\n", None),
            ("SSH-2.0-OpenSSH\r\n", None),
            ("HTTP/1.1 200 OK\r\n", None),
            ("", None),
        ] {
            let got = finish(text.as_bytes(), 100).ok();
            let want = want.map(|(status, body)| Answer { status, body: body.into() });
            assert_eq!(got, want, "{text:?}");
        }
    }

    #[test]
    fn a_long_body_is_too_large_however_its_length_is_told() {
        for head in ["", "Content-Length: 101\r\n", "Transfer-Encoding: chunked\r\n"] {
            let body = if head.contains("chunked") { "65\r\n" } else { "" };
            let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}{}", "x".repeat(101));
            assert_eq!(finish(text.as_bytes(), 100), Err(Failure::TooLarge(100)), "{head}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_answer_makes_it_fail(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), head in 0..4_usize) {
            let heads = ["", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\n"];
            if let Ok(answer) = finish(&[heads[head].as_bytes(), &bytes].concat(), 100) {
                proptest::prop_assert!(answer.body.len() <= 100 && (100..600).contains(&answer.status));
            }
        }
    }
}
