//! Services that speak HTTP: one GET, or one POST that reads.

use serde_json::Value;

use super::{ELSE, Heard, Step, TLS, json, stranger, unclear};
use crate::fact::Why;
use crate::observation::service::Answer;

/// guest:guest, the account that RabbitMQ comes with.
pub(super) const GUEST: &str = "Z3Vlc3Q6Z3Vlc3Q=";
/// admin:admin, the account that ActiveMQ's console comes with.
pub(super) const ADMIN: &str = "YWRtaW46YWRtaW4=";

/// The end of a head that is longer than any of these services sends.
const LONGEST: usize = 8 << 10;

/// An answer with its head complete.
struct Response<'a> {
    status: u16,
    head: &'a [u8],
    body: &'a [u8],
}

impl<'a> Response<'a> {
    /// A header's value.
    fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.head.split(|byte| *byte == b'\n').find_map(|line| {
            let (key, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
            key.eq_ignore_ascii_case(name.as_bytes()).then(|| value.get(1..).unwrap_or_default().trim_ascii())
        })
    }

    fn is(&self, kind: &str) -> bool {
        self.header("content-type").is_some_and(|value| value.starts_with(kind.as_bytes()))
    }

    /// The version in a header.
    fn version(&self, name: &str) -> Option<String> {
        self.header(name).and_then(Answer::version)
    }
}

fn request(method: &str, path: &str, more: &str, body: &str) -> Vec<u8> {
    // 1.0: no answer in pieces, and the connection ends with it.
    let text = format!(
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: hostward\r\nAccept: */*\r\nConnection: close\r\n{more}\r\n{body}"
    );
    text.into_bytes()
}

pub(super) fn get(path: &str) -> Vec<u8> {
    request("GET", path, "", "")
}

pub(super) fn get_as(path: &str, account: &str) -> Vec<u8> {
    request("GET", path, &format!("Authorization: Basic {account}\r\n"), "")
}

pub(super) fn post(path: &str, body: &str) -> Vec<u8> {
    let more = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    request("POST", path, &more, body)
}

/// Reads the head. Err: what follows from it as it is.
fn response<'a>(heard: &Heard<'a>) -> Result<Response<'a>, Step> {
    let bytes = heard.bytes;
    let begins = bytes.iter().zip(b"HTTP/1.").all(|(a, b)| a == b);
    if !begins {
        return Err(stranger(bytes));
    }
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Err(if bytes.len() > LONGEST { stranger(bytes) } else { Step::More });
    };
    let (head, body) = bytes.split_at_checked(end + 4).unwrap_or((bytes, &[]));
    let status = head.get(9..12).and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| code.parse().ok());
    status.map(|status| Response { status, head, body }).ok_or_else(|| stranger(bytes))
}

/// What the status alone says, else what `served` makes of an answer with content.
fn answer<'a>(heard: &Heard<'a>, served: impl FnOnce(&Response<'a>) -> Option<Step>) -> Step {
    let response = match response(heard) {
        Ok(response) => response,
        Err(step) => return step,
    };
    match response.status {
        401 | 403 => Step::Done(Answer::Closed),
        // What a Go server says to who speaks plain text where TLS is spoken.
        400 if response.body.starts_with(b"Client sent an HTTP request to an HTTPS server") => unclear(TLS),
        status => served(&response).unwrap_or_else(|| {
            let why = if status == 200 { ELSE.to_owned() } else { format!("it answers HTTP {status}") };
            Step::Done(Answer::Unclear(Why::Failed(why)))
        }),
    }
}

fn open(version: Option<String>) -> Option<Step> {
    Some(Step::Done(Answer::Open(version)))
}

/// An answer 200 with an object of JSON: More until it is whole.
fn object(heard: &Heard<'_>, of: impl FnOnce(&Value) -> Option<Step>) -> Step {
    answer(heard, |response| match json::object(response.body) {
        _ if response.status != 200 => None,
        Some(object) => of(&object),
        None if heard.ended || !matches!(response.body.first(), None | Some(b'{')) => None,
        None => Some(Step::More),
    })
}

/// An answer 200 that has a header of its service.
fn marked(heard: &Heard<'_>, name: &str) -> Step {
    answer(heard, |response| match response.header(name) {
        Some(_) if response.status == 200 => open(response.version(name)),
        _ => None,
    })
}

pub(super) fn elasticsearch(heard: &Heard<'_>) -> Step {
    object(heard, |object| {
        json::text(object, &["cluster_name"])?;
        open(json::text(object, &["version", "number"]).and_then(|text| Answer::version(text.as_bytes())))
    })
}

/// CouchDB says what it is; others of its protocol, and what stands before it, do not, but list databases all the same.
pub(super) fn couchdb(heard: &Heard<'_>) -> Step {
    answer(heard, |response| {
        let version = response.header("server").and_then(|server| server.strip_prefix(b"CouchDB/"));
        match (response.status, version) {
            (200, Some(version)) => open(Answer::version(version)),
            (200, None) if json::names(response.body) => open(None),
            (200, None) if !heard.ended && matches!(response.body.first(), None | Some(b'[')) => Some(Step::More),
            _ => None,
        }
    })
}

pub(super) fn influxdb(heard: &Heard<'_>) -> Step {
    marked(heard, "x-influxdb-version")
}

pub(super) fn docker(heard: &Heard<'_>) -> Step {
    object(heard, |object| {
        json::text(object, &["ApiVersion"])?;
        open(json::text(object, &["Version"]).and_then(|text| Answer::version(text.as_bytes())))
    })
}

/// With authentication etcd answers 400 to who has no name.
pub(super) fn etcd(heard: &Heard<'_>) -> Step {
    answer(heard, |response| {
        let object = match json::object(response.body) {
            Some(object) => object,
            None if heard.ended || !matches!(response.body.first(), None | Some(b'{')) => return None,
            None => return Some(Step::More),
        };
        let nameless = json::text(&object, &["message"]).or(json::text(&object, &["error"]));
        match response.status {
            200 if object.get("header").is_some() => open(None),
            400 if nameless == Some("etcdserver: user name is empty") => Some(Step::Done(Answer::Closed)),
            _ => None,
        }
    })
}

pub(super) fn kubernetes(heard: &Heard<'_>) -> Step {
    answer(heard, |response| {
        let api = response.header("audit-id").or(response.header("x-kubernetes-pf-flowschema-uid"));
        api.filter(|_| response.status == 200 && response.is("application/json")).and_then(|_| open(None))
    })
}

pub(super) fn kubelet(heard: &Heard<'_>) -> Step {
    answer(heard, |response| (response.status == 200 && response.is("application/json")).then(|| open(None))?)
}

/// Jenkins says in every answer what it is; another service at its port is none of ours.
pub(super) fn jenkins(heard: &Heard<'_>) -> Step {
    match response(heard) {
        Ok(response) if response.header("x-jenkins").is_none() => Step::Done(Answer::Other),
        Ok(_) => marked(heard, "x-jenkins"),
        Err(Step::More) if !heard.ended => Step::More,
        Err(_) => Step::Done(Answer::Other),
    }
}

pub(super) fn yarn(heard: &Heard<'_>) -> Step {
    object(heard, |object| {
        object.get("clusterInfo")?;
        open(json::text(object, &["clusterInfo", "hadoopVersion"]).and_then(|text| Answer::version(text.as_bytes())))
    })
}

pub(super) fn webhdfs(heard: &Heard<'_>) -> Step {
    object(heard, |object| object.get("FileStatus").and_then(|_| open(None)))
}

pub(super) fn rabbitmq(heard: &Heard<'_>) -> Step {
    object(heard, |object| json::text(object, &["name"]).and_then(|_| open(None)))
}

/// The console's pages carry its name in their title.
pub(super) fn activemq(heard: &Heard<'_>) -> Step {
    answer(heard, |response| {
        let (begin, end) = (&b"<title>"[..], &b"</title>"[..]);
        let body = response.body;
        let from = body.windows(begin.len()).position(|part| part.eq_ignore_ascii_case(begin));
        let title = from.and_then(|from| body.get(from + begin.len()..));
        let title =
            title.and_then(|rest| rest.get(..rest.windows(end.len()).position(|part| part.eq_ignore_ascii_case(end))?));
        match title {
            _ if response.status != 200 => None,
            Some(title) => title.windows(8).any(|part| part == b"ActiveMQ").then(|| open(None))?,
            None if heard.ended => None,
            None => Some(Step::More),
        }
    })
}

/// A key that nobody has is not there for who may ask, and denied to others.
pub(super) fn consul(heard: &Heard<'_>) -> Step {
    answer(heard, |response| {
        let served = matches!(response.status, 200 | 404) && response.header("x-consul-index").is_some();
        served.then(|| open(None))?
    })
}

pub(super) fn figures(heard: &Heard<'_>) -> Step {
    answer(heard, |response| match response.body.first() {
        _ if response.status != 200 || !(response.is("text/plain") || response.is("application/openmetrics-text")) => {
            None
        }
        None if !heard.ended => Some(Step::More),
        Some(b'#') => open(None),
        _ => None,
    })
}
