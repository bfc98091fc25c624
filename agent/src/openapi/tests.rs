#![cfg(test)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

const ID: &str = "STS.TestKeyId0001";
const SECRET: &str = "TheSecretThatMustNotBeSeen0001";
const TOKEN: &str = "CAISTheTokenThatMustNotBeSeen+/==";
const HOST: &str = "ecs-vpc.cn-hangzhou.aliyuncs.com";

/// Answers every request on a new connection by what `answer` makes of it.
fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    answer: impl Fn(&str) -> String + Send + 'static,
) -> Receiver<String> {
    let (send, receive) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let talk = |stream: &mut dyn ReadWrite| {
                let mut got = Vec::new();
                while !got.windows(4).any(|four| four == b"\r\n\r\n") {
                    let mut buffer = [0; 4096];
                    match stream.read(&mut buffer) {
                        Ok(0) | Err(_) => return,
                        Ok(count) => got.extend_from_slice(&buffer[..count]),
                    }
                }
                let request = String::from_utf8(got).unwrap();
                // Whoever has hung up wants no answer.
                drop(stream.write_all(answer(&request).as_bytes()).and_then(|()| stream.flush()));
                drop(send.send(request));
            };
            match &tls {
                None => talk(&mut stream),
                Some(config) => {
                    talk(&mut StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream));
                }
            }
        }
    });
    receive
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

fn ok(body: &str) -> String {
    status("200 OK", body)
}

fn status(line: &str, body: &str) -> String {
    format!("HTTP/1.1 {line}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A metadata service with a role's credentials.
fn metadata(credentials: String) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    serve(listener, None, move |request| match request.split_ascii_whitespace().take(2).collect::<Vec<_>>()[..] {
        ["PUT", "/latest/api/token"] => ok("token"),
        ["GET", path] if request.contains("X-aliyun-ecs-metadata-token: token\r\n") => match path {
            "/latest/meta-data/ram/security-credentials/" => ok("EcsRole"),
            "/latest/meta-data/ram/security-credentials/EcsRole" => ok(&credentials),
            _ => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
        },
        _ => "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned(),
    });
    endpoint
}

fn good() -> String {
    format!(
        r#"{{"AccessKeyId":"{ID}","AccessKeySecret":"{SECRET}","Expiration":"2099-01-01T00:00:00Z","SecurityToken":"{TOKEN}","LastUpdated":"2024-01-01T00:00:00Z","Code":"Success"}}"#
    )
}

/// An endpoint under this name, and its authority.
fn endpoint(
    name: &str,
    answer: impl Fn(&str) -> String + Send + 'static,
) -> (SocketAddr, Vec<CertificateDer<'static>>, Receiver<String>) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let requests = serve(listener, Some(Arc::new(config)), answer);
    (address, vec![authority.der().clone()], requests)
}

fn call(before: &'static str, after: &'static str) -> RemoteCall {
    RemoteCall {
        instance: "i-bp1test".into(),
        region: "cn-hangzhou".into(),
        tokens_before: before,
        tokens_after: after,
    }
}

/// What the endpoint would compute, from the bytes that arrived: the canonical request is written out here.
fn verify(request: &str, secret: &str) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "");
    let mut lines = head.split("\r\n");
    let line: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let [method, target, "HTTP/1.1"] = line[..] else { panic!("{line:?}") };
    let query = target.strip_prefix("/?").unwrap();
    let headers: BTreeMap<&str, &str> = lines.map(|line| line.split_once(": ").unwrap()).collect();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(headers["x-acs-content-sha256"], empty);
    let canonical = format!(
        "{method}\n/\n{query}\nhost:{}\nx-acs-action:{}\nx-acs-content-sha256:{empty}\nx-acs-date:{}\n\
         x-acs-security-token:{}\nx-acs-signature-nonce:{}\nx-acs-version:{}\n\n\
         host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-security-token;x-acs-signature-nonce;x-acs-version\n{empty}",
        headers["host"],
        headers["x-acs-action"],
        headers["x-acs-date"],
        headers["x-acs-security-token"],
        headers["x-acs-signature-nonce"],
        headers["x-acs-version"],
    );
    let signature = hmac_sha256(
        secret.as_bytes(),
        format!("ACS3-HMAC-SHA256\n{}", digits(&sha256(canonical.as_bytes()))).as_bytes(),
    );
    assert_eq!(
        headers["authorization"],
        format!(
            "ACS3-HMAC-SHA256 Credential={ID},SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-security-token;x-acs-signature-nonce;x-acs-version,Signature={}",
            digits(&signature)
        )
    );
    assert_eq!(
        (headers["host"], headers["x-acs-action"], headers["x-acs-version"]),
        (HOST, "ModifyInstanceMetadataOptions", "2014-05-26")
    );
    assert_eq!(headers["x-acs-security-token"], TOKEN);
    let date = headers["x-acs-date"].parse::<jiff::Timestamp>().unwrap();
    assert!(jiff::Timestamp::now().as_second().abs_diff(date.as_second()) < 60);
    assert_eq!(headers["x-acs-signature-nonce"].len(), 32);
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |out, byte| format!("{out}{byte:02x}"))
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).to_vec()
}

/// RFC 2104, from another library's SHA-256.
fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    assert!(key.len() <= 64);
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect() };
    sha256(&[pad(0x5c), sha256(&[pad(0x36), text.to_vec()].concat())].concat())
}

#[test]
fn the_call_and_its_inverse_arrive_signed() {
    let (address, roots, requests) = endpoint(HOST, |_| ok(r#"{"RequestId":"473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E"}"#));
    let caller = Caller { metadata: metadata(good()), instead: Some((address, roots)) };
    let mut nonces = Vec::new();
    for (before, after) in [("optional", "required"), ("required", "optional")] {
        caller.modify(&call(before, after)).unwrap();
        let request = requests.recv_timeout(Duration::from_secs(5)).unwrap();
        verify(&request, SECRET);
        assert!(request.starts_with(&format!(
            "POST /?HttpEndpoint=enabled&HttpTokens={after}&InstanceId=i-bp1test&RegionId=cn-hangzhou HTTP/1.1\r\n"
        )));
        nonces.push(request.split("x-acs-signature-nonce: ").nth(1).unwrap().get(..32).unwrap().to_owned());
    }
    assert_ne!(nonces[0], nonces[1]);
}

#[test]
fn refusals_name_the_code_and_never_what_was_sent() {
    let echo = format!(
        r#"{{"RequestId":"R-1","Code":"SignatureDoesNotMatch","Message":"server string to sign {TOKEN} {SECRET}"}}"#
    );
    for (answer, want) in [
        (status("400 Bad Request", &echo), "SignatureDoesNotMatch (request R-1)"),
        (status("403 Forbidden", r#"{"Code":"Forbidden.RAM","RequestId":"R-2"}"#), "ecs:ModifyInstanceMetadataOptions"),
        ("HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n".to_owned(), "status 302"),
        (status("500 x", "{\"Code\":\"\\u001b[2J\"}"), "status 500"),
        (ok("<html>"), "no confirmation"),
        (ok(r#"{"Code":"Throttling","RequestId":"R"}"#), "no confirmation"),
        ("SSH-2.0-x\r\n".to_owned(), "no HTTP"),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1 << 20), "too large"),
    ] {
        let said = answer.clone();
        let (address, roots, _requests) = endpoint(HOST, move |_| said.clone());
        let caller = Caller { metadata: metadata(good()), instead: Some((address, roots)) };
        let error = format!("{:?}", caller.modify(&call("optional", "required")).unwrap_err());
        assert!(error.contains(want), "{answer}: {error}");
        assert!(![SECRET, TOKEN, ID, "\u{1b}"].iter().any(|secret| error.contains(secret)), "{error}");
    }
}

#[test]
fn nobody_else_is_told_anything() {
    let answer = |_: &str| ok(r#"{"RequestId":"R"}"#);
    let (address, roots, requests) = endpoint(HOST, answer);
    let (_, strangers, _) = endpoint(HOST, answer);
    let (impostor, vouched, heard) = endpoint("ecs-vpc.cn-beijing.aliyuncs.com", answer);
    for (address, roots) in [(address, strangers), (impostor, vouched), (address, vec![])] {
        let caller = Caller { metadata: metadata(good()), instead: Some((address, roots)) };
        let error = format!("{:?}", caller.modify(&call("optional", "required")).unwrap_err());
        assert!(![SECRET, TOKEN, ID].iter().any(|secret| error.contains(secret)), "{error}");
    }
    for requests in [&requests, &heard] {
        assert!(requests.try_recv().is_err(), "something was sent");
    }
    // A region that would make another host of it, and values that are not ours.
    let caller = Caller { metadata: metadata(good()), instead: Some((address, roots)) };
    for region in ["evil.example/", "", "cn-hangzhou.evil", "-x", "CN", "a\r\nb"] {
        assert!(caller.modify(&RemoteCall { region: region.into(), ..call("optional", "required") }).is_err());
        assert!(caller.modify(&RemoteCall { instance: region.into(), ..call("optional", "required") }).is_err());
    }
    assert!(caller.modify(&call("optional", "none")).is_err());
    assert!(requests.try_recv().is_err());
}

#[test]
fn without_sane_credentials_nobody_is_called() {
    let (address, roots, requests) = endpoint(HOST, |_| ok(r#"{"RequestId":"R"}"#));
    for credentials in [
        String::new(),
        "{}".to_owned(),
        good().replace("Success", "Failed"),
        good().replace(SECRET, ""),
        good().replace(ID, r"STS.Test\r\nX: y"),
        good().replace(TOKEN, "a b"),
        good().replace(TOKEN, &"x".repeat(5000)),
    ] {
        let caller = Caller { metadata: metadata(credentials.clone()), instead: Some((address, roots.clone())) };
        let error = format!("{:?}", caller.modify(&call("optional", "required")).unwrap_err());
        assert!(error.contains("EcsRole") && !error.contains(SECRET), "{credentials}: {error}");
    }
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let caller = Caller { metadata: format!("http://{dead}").parse().unwrap(), instead: Some((address, roots)) };
    assert!(caller.modify(&call("optional", "required")).is_err());
    assert!(requests.try_recv().is_err());
    assert_eq!(format!("{:?}", Credentials::read(good().as_bytes()).unwrap()), "Credentials(…)");
}

#[test]
fn an_endpoint_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (_, roots, _) = endpoint(HOST, |_| String::new());
    let start = Instant::now();
    let error = tls::exchange(HOST, &[address], roots, "x", start + Duration::from_millis(300), 10).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(error.to_string().contains("in time"), "{error}");
}

#[test]
fn bundles_are_read() {
    let (_, roots, _) = endpoint(HOST, |_| String::new());
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(&roots[0]);
    let pem = format!(
        "# a\n-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n!\n"
    );
    assert_eq!(roots::parse(pem.as_bytes()), roots);
    assert!(roots::parse(b"nothing").is_empty());
}
