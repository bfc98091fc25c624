//! A fake metadata service at 100.100.100.200, scriptable, that remembers every request made to it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::host::METADATA;
use crate::netns::Netns;

/// How the service answers. The documented ones are of ECS; the others are what an attacker or a broken network does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// `HttpTokens=optional`: with and without a token.
    Open,
    /// `HttpTokens=required`: 403 without a token, 401 with a wrong one.
    TokenRequired,
    /// `HttpEndpoint=disabled`: 403 to everything.
    Disabled,
    /// Takes the connection and the request, and says nothing.
    TimeOut,
    /// An answer that is not HTTP.
    Garbage,
    /// 200, and a body without end.
    Huge,
    /// 302 to this location.
    Redirect(String),
}

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `PUT` …
    pub method: String,
    /// The path with its query, or whatever stood there.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// The token that the service gives out.
const TOKEN: &str = "dGVzdC10b2tlbi1vZi1hLXRlc3QtaG9zdA==";
const TOKEN_HEADER: &str = "x-aliyun-ecs-metadata-token";
const TTL_HEADER: &str = "x-aliyun-ecs-metadata-token-ttl-seconds";

#[derive(Debug)]
struct Shared {
    behaviour: Mutex<Behaviour>,
    documents: Mutex<BTreeMap<String, Vec<u8>>>,
    requests: Mutex<Vec<Request>>,
    stop: AtomicBool,
}

/// A running service; it ends with its handle.
#[derive(Debug)]
pub struct Imds {
    shared: Arc<Shared>,
    address: SocketAddr,
    network: Netns,
    accepting: Option<JoinHandle<()>>,
}

impl Imds {
    /// Starts the service on port 80 of 100.100.100.200 inside `vpc`, with the items of an ordinary instance without a role.
    ///
    /// # Errors
    /// The address is not there or is taken.
    pub fn start(vpc: &Netns, behaviour: Behaviour) -> Result<Self> {
        Self::start_at(vpc, &format!("{METADATA}:80"), behaviour)
    }

    /// The same at another address: an endpoint given by hand, a redirect's target that must never be asked.
    ///
    /// # Errors
    /// The address is not there or is taken.
    pub fn start_at(vpc: &Netns, address: &str, behaviour: Behaviour) -> Result<Self> {
        let listener =
            vpc.run(|| TcpListener::bind(address))?.with_context(|| format!("failed to listen on {address}"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(behaviour),
            documents: Mutex::new(ordinary_instance()),
            requests: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let service = Arc::clone(&shared);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if service.stop.load(Ordering::Relaxed) {
                    return;
                }
                let service = Arc::clone(&service);
                thread::spawn(move || serve(&service, &stream));
            }
        });
        Ok(Self { shared, address, network: vpc.try_clone()?, accepting: Some(accepting) })
    }

    /// Answers otherwise from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *locked(&self.shared.behaviour) = behaviour;
    }

    /// Sets one item: `/latest/meta-data/instance-id`. An index is an item, too.
    pub fn set(&self, path: &str, body: impl AsRef<[u8]>) {
        locked(&self.shared.documents).insert(path.to_owned(), body.as_ref().to_vec());
    }

    /// Attaches a RAM role: its name in the index, and credentials that nobody should fetch.
    pub fn attach_role(&self, role: &str) {
        const INDEX: &str = "/latest/meta-data/ram/security-credentials/";
        self.set("/latest/meta-data/ram/", "security-credentials/");
        self.set(INDEX, role);
        self.set(INDEX.trim_end_matches('/'), role);
        self.set(&format!("{INDEX}{role}"), r#"{"AccessKeyId":"STS.test","AccessKeySecret":"test","Code":"Success"}"#);
    }

    /// Every request so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.shared.requests).clone()
    }
}

impl Drop for Imds {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // A last connection wakes the accepting thread, which then ends and closes the port.
        let _ = self.network.run(|| TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok());
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// What an instance without a RAM role and without user data answers.
fn ordinary_instance() -> BTreeMap<String, Vec<u8>> {
    let items = [
        ("instance-id", "i-bp1test0000000000001"),
        ("region-id", "cn-hangzhou"),
        ("zone-id", "cn-hangzhou-h"),
        ("image-id", "aliyun_3_x64_20G_alibase_20240528.vhd"),
        ("instance/instance-type", "ecs.g7.large"),
        ("hostname", "iZbp1test"),
        ("private-ipv4", crate::host::INSTANCE),
        ("eipv4", "203.0.113.80"),
        ("mac", "00:16:3e:00:00:01"),
        ("vpc-id", "vpc-bp1test"),
        ("owner-account-id", "1000000000000001"),
        ("network-type", "vpc"),
        (
            "",
            "eipv4\nhostname\nimage-id\ninstance-id\ninstance/\nmac\nnetwork-type\nowner-account-id\nprivate-ipv4\nregion-id\nvpc-id\nzone-id",
        ),
    ];
    items.into_iter().map(|(name, body)| (format!("/latest/meta-data/{name}"), body.into())).collect()
}

/// A lock that a panic elsewhere does not take away.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves one connection with one request; a client that goes away is no fault of ours.
fn serve(shared: &Shared, stream: &TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let Some(request) = read_request(stream) else {
        return;
    };
    let behaviour = locked(&shared.behaviour).clone();
    let documents = locked(&shared.documents).clone();
    locked(&shared.requests).push(request.clone());
    let _ = match behaviour {
        Behaviour::TimeOut => {
            // Until the client closes, which it has to do by itself.
            let _ = stream.set_read_timeout(Some(Duration::from_secs(120)));
            let mut stream = stream;
            stream.read(&mut [0; 1]).map(drop)
        }
        Behaviour::Garbage => {
            write_all(stream, &[0x16, 0x03, 0x01, 0x00, 0xff, b'\n', 0x1b, b'[', b'2', b'J', b'\n', b'\n'])
        }
        Behaviour::Huge => endless(stream),
        Behaviour::Redirect(location) => {
            let head =
                format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            write_all(stream, head.as_bytes())
        }
        Behaviour::Disabled => answer(stream, "403 Forbidden", b""),
        Behaviour::Open => orderly(stream, &request, &documents, false),
        Behaviour::TokenRequired => orderly(stream, &request, &documents, true),
    };
}

/// Answers as the documentation says that ECS does.
fn orderly(
    stream: &TcpStream,
    request: &Request,
    documents: &BTreeMap<String, Vec<u8>>,
    required: bool,
) -> std::io::Result<()> {
    if request.method == "PUT" && request.target == "/latest/api/token" {
        let seconds = request.headers.get(TTL_HEADER).and_then(|seconds| seconds.parse::<u32>().ok());
        return match seconds {
            _ if request.headers.contains_key("x-forwarded-for") => answer(stream, "403 Forbidden", b""),
            Some(1..=21600) => answer(stream, "200 OK", TOKEN.as_bytes()),
            _ => answer(stream, "400 Bad Request", b"Missing or Invalid Parameters"),
        };
    }
    match request.headers.get(TOKEN_HEADER) {
        Some(token) if token != TOKEN => return answer(stream, "401 Unauthorized", b""),
        None if required => return answer(stream, "403 Forbidden", b""),
        _ => {}
    }
    match documents.get(&request.target) {
        Some(body) if request.method == "GET" => answer(stream, "200 OK", body),
        _ => answer(stream, "404 Not Found", b"<html><head><title>404 Not Found</title></head></html>"),
    }
}

fn answer(stream: &TcpStream, status: &str, body: &[u8]) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    write_all(stream, &[head.as_bytes(), body].concat())
}

/// A body that goes on until the client has had enough.
fn endless(stream: &TcpStream) -> std::io::Result<()> {
    write_all(stream, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")?;
    loop {
        write_all(stream, &[b'x'; 65536])?;
    }
}

fn write_all(mut stream: &TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes)
}

/// Reads the head of a request; requests here have no body.
fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some(Request { method, target, headers })
}
