//! The metadata service's hardened mode through OpenAPI, on a booted host: the fix calls the endpoint with the instance's role, the
//! rollback calls it back, and a refusal leaves everything as it was.
#![cfg(test)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use hostward_tests::host::{Host, PRIVATE_CLIENT};
use hostward_tests::imds::{Behaviour, Imds};
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;
use hostward_tests::{binary, results};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const ENDPOINT: &str = "ecs-vpc.cn-hangzhou.aliyuncs.com";
const SECRET: &str = "TheSecretThatMustNotBeSeen0001";
const TOKEN: &str = "CAISTheTokenThatMustNotBeSeen0001";
const COMMAND: &str = "aliyun ecs ModifyInstanceMetadataOptions --RegionId cn-hangzhou --InstanceId i-bp1hostward --HttpEndpoint enabled --HttpTokens required";

/// An endpoint in the VPC that changes how the metadata service behaves.
struct Endpoint {
    /// What was asked for, in order: the request lines.
    asked: Arc<Mutex<Vec<String>>>,
    /// Whether it refuses.
    refuses: Arc<Mutex<bool>>,
}

impl Endpoint {
    /// Its certificate authority as a bundle, and itself once it is started.
    fn prepare() -> (String, Arc<ServerConfig>) {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![ENDPOINT.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        let text = base64::engine::general_purpose::STANDARD.encode(authority.der());
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
        let bundle = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
        (bundle, Arc::new(config))
    }

    fn start(host: &Host, config: Arc<ServerConfig>, imds: Arc<Imds>) -> Self {
        let listener = host.vpc().run(|| TcpListener::bind((PRIVATE_CLIENT, 443))).unwrap().unwrap();
        let endpoint = Self { asked: Arc::default(), refuses: Arc::default() };
        let (asked, refuses) = (endpoint.asked.clone(), endpoint.refuses.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
                let mut got = Vec::new();
                let mut buffer = [0; 4096];
                while !got.windows(4).any(|four| four == b"\r\n\r\n") {
                    match stream.read(&mut buffer) {
                        Ok(0) | Err(_) => break,
                        Ok(count) => got.extend_from_slice(&buffer[..count]),
                    }
                }
                let request = String::from_utf8(got).unwrap();
                assert!(request.contains(&format!("x-acs-security-token: {TOKEN}\r\n")), "{request}");
                let line = request.lines().next().unwrap_or_default().to_owned();
                let (status, body) = if *refuses.lock().unwrap() {
                    ("403 Forbidden", format!(r#"{{"Code":"Forbidden.RAM","RequestId":"R-2","Message":"{TOKEN}"}}"#))
                } else {
                    imds.behave(if line.contains("HttpTokens=required") {
                        Behaviour::TokenRequired
                    } else {
                        Behaviour::Open
                    });
                    ("200 OK", r#"{"RequestId":"R-1"}"#.to_owned())
                };
                asked.lock().unwrap().push(line);
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()).unwrap();
            }
        });
        endpoint
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn request(tokens: &str) -> String {
    format!("POST /?HttpEndpoint=enabled&HttpTokens={tokens}&InstanceId=i-bp1hostward&RegionId=cn-hangzhou HTTP/1.1")
}

fn hardened_and_back(suite: &Suite) {
    let (bundle, config) = Endpoint::prepare();
    let host = Host::of(suite)
        .bind(&binary().unwrap(), "/usr/local/bin/hostward")
        .file("/etc/hosts", format!("127.0.0.1 localhost\n{PRIVATE_CLIENT} {ENDPOINT}\n"), 0o644)
        .file("/etc/ssl/certs/ca-certificates.crt", bundle, 0o644)
        .file("/etc/hostward/hostward.toml", "platform = \"ecs\"\n", 0o644)
        .boot()
        .unwrap();
    let imds = Arc::new(Imds::start(host.vpc(), Behaviour::Open).unwrap());
    imds.set("/latest/meta-data/instance-id", "i-bp1hostward");
    imds.set("/latest/meta-data/region-id", "cn-hangzhou");
    imds.attach_role("EcsRole");
    imds.set(
        "/latest/meta-data/ram/security-credentials/EcsRole",
        format!(r#"{{"AccessKeyId":"STS.TestKeyId0001","AccessKeySecret":"{SECRET}","SecurityToken":"{TOKEN}","Code":"Success"}}"#),
    );
    let endpoint = Endpoint::start(&host, config, imds.clone());
    let mut told = String::new();
    let mut run = |arguments: &str| {
        let said = host.shell(&format!("hostward {arguments} 2>&1 && echo code=0 || echo code=$?")).unwrap();
        told.push_str(&said);
        let (said, code) = said.rsplit_once("code=").unwrap();
        (said.to_owned(), code.trim().parse::<i32>().unwrap())
    };
    let verdict = "scan --only metadata.hardened --lang en";

    // Without the policy's word nobody is called, and the command is there to be pasted.
    let (said, code) = run("fix metadata.hardened --apply --confirm-within 12s --lang en");
    assert!(code == 1 && endpoint.asked().is_empty(), "{suite}: {code}: {said}");
    let (said, code) = run(verdict);
    assert!(code == 1 && said.contains(COMMAND), "{suite}: {code}: {said}");

    host.shell("printf '[metadata]\\nopenapi = true\\n' >/etc/hostward/policy.toml").unwrap();
    // A role that may not: nothing changes.
    *endpoint.refuses.lock().unwrap() = true;
    let (said, code) = run("fix metadata.hardened --apply --confirm-within 12s --lang en");
    assert!(code == 3 && said.contains("ecs:ModifyInstanceMetadataOptions"), "{suite}: {code}: {said}");
    assert_eq!(run(verdict).1, 1, "{suite}");
    let refused = endpoint.asked().len();
    assert!(refused >= 1, "{suite}");

    *endpoint.refuses.lock().unwrap() = false;
    let (said, code) = run("fix metadata.hardened --apply --confirm-within 12s --lang en");
    assert_eq!(code, 0, "{suite}: {said}");
    assert_eq!(endpoint.asked()[refused..], [request("required")], "{suite}");
    let (said, code) = run(verdict);
    assert_eq!(code, 0, "{suite}: {said}");
    let (said, code) = run("fix metadata.hardened --apply --confirm-within 12s --lang en");
    assert!(code == 0 && endpoint.asked().len() == refused + 1, "{suite}: a second fix: {code}: {said}");

    let (said, code) = run("rollback");
    assert_eq!(code, 0, "{suite}: {said}");
    assert_eq!(endpoint.asked()[refused + 1..], [request("optional")], "{suite}");
    assert_eq!(run(verdict).1, 1, "{suite}");

    // Neither output nor state nor journal holds a secret.
    let kept = host
        .shell("cat /var/lib/hostward/report.json; cat $(find /var/lib/hostward -type f); journalctl --no-pager -o cat")
        .unwrap();
    for secret in [SECRET, TOKEN] {
        assert!(!told.contains(secret) && !kept.contains(secret), "{suite}: a secret is out");
    }
}

#[test]
fn the_endpoint_is_called_with_the_role_and_called_back() {
    let chosen: &[&str] = Tier::current().pick(&["bookworm"], &["bionic", "bookworm", "noble", "sid"]);
    for name in chosen {
        match Suite::find(name) {
            Ok(suite) => {
                hardened_and_back(&suite);
                results::tested("fix_openapi", name, "refused, called, seen, called back");
            }
            Err(error) => results::skipped("fix_openapi", name, format_args!("{error:#}")),
        }
    }
}
