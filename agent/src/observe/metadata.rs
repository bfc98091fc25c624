//! Asks the instance metadata service what only it knows, and whether it answers without a token.
//!
//! A token is fetched first. Then one GET goes out without it, never a second: where normal mode is open it counts as a
//! normal-mode access in CloudMonitor. Everything else is asked with the token. The role's name is the listing of
//! `ram/security-credentials/`; what stands below that is asked for by [`crate::openapi`] alone. Whoever answers at the address is hostile: sizes,
//! waits and values are bounded and validated.

pub(crate) mod http;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::{Duration, Instant};

use hostward_checks::fact::{Fact, Why};
use hostward_checks::observation::metadata::Metadata;

use http::{Answer, Failure, ask};

pub use http::finish as parse_answer;

/// `/sys/class/dmi/id/product_name` of an ECS instance (cloud-init tells it by the same word).
const ECS_PRODUCT: &str = "Alibaba Cloud ECS";
/// Seconds that a token is asked to live: long enough for one conversation.
const TOKEN_SECONDS: &str = "60";
/// Longest conversation.
const BUDGET: Duration = Duration::from_secs(5);
/// Most bytes of an item.
const ITEM: usize = 8 << 10;
/// Most bytes of a public key's line.
const KEY: usize = 16 << 10;
/// Most bytes of user data; ECS takes 32 KiB.
const USER_DATA: usize = 64 << 10;
/// Most key pairs that are asked for.
const KEY_PAIRS: usize = 16;

/// Where the metadata service is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint(SocketAddr);

impl Default for Endpoint {
    fn default() -> Self {
        Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), 80))
    }
}

impl FromStr for Endpoint {
    type Err = String;

    /// `http://ADDRESS[:PORT]`. A name is refused: resolving it would ask somebody else.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("wanted http://ADDRESS[:PORT] with a numeric address, not {text}");
        let authority = text.strip_prefix("http://").ok_or_else(wrong)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let bare = authority.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(authority);
        let address = bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 80));
        address.or_else(|_| authority.parse()).map(Self).map_err(|_| wrong())
    }
}

/// Whether to ask, and where: wherever an endpoint was given, where the configuration says ECS, or where the machine does.
///
/// # Errors
/// Why not.
pub fn endpoint(dmi_product: &Fact<String>, says_ecs: Option<bool>, given: Option<Endpoint>) -> Result<Endpoint, Why> {
    match (given, says_ecs, dmi_product) {
        (Some(endpoint), _, _) => Ok(endpoint),
        (None, Some(true), _) => Ok(Endpoint::default()),
        (None, Some(false), _) => Err(Why::NotAsked("the configuration says that this is not an ECS instance")),
        (None, None, Fact::Known(product)) if product == ECS_PRODUCT => Ok(Endpoint::default()),
        (None, None, Fact::Unknown(why)) => Err(why.clone()),
        (None, None, _) => Err(Why::NotAsked("not an ECS instance")),
    }
}

/// Asks everything once. It takes at most five seconds. Only with `tokenless` a question goes without a token: it counts as an
/// access in normal mode.
pub fn metadata(endpoint: Endpoint, tokenless: bool) -> Fact<Metadata> {
    let mut session =
        Session { to: endpoint.0, deadline: Instant::now() + BUDGET, token: Err(Why::TimedOut), renewed: false };
    let (token, token_status) = session.fetch_token();
    session.token = token;
    if let (None, Err(why)) = (token_status, &session.token) {
        return Fact::Unknown(why.clone());
    }
    let (tokenless, tokenless_status) = if tokenless {
        session.tokenless()
    } else {
        (Fact::Unknown(Why::NotAsked("it was not asked without a token")), None)
    };
    Fact::Known(Metadata {
        tokenless,
        tokenless_status,
        token_status,
        instance_id: session.item("meta-data/instance-id", name),
        region_id: session.item("meta-data/region-id", name),
        image_id: session.item("meta-data/image-id", name),
        ram_role: session.role(),
        public_addresses: session.public_addresses(),
        private_address: session.item("meta-data/private-ipv4", address),
        public_keys: session.public_keys(),
        user_data: session.get("user-data", USER_DATA),
    })
}

/// Whether the service gives a token; false: it answers, and gives none. The question is no access in normal mode.
///
/// # Errors
/// Nobody answers there.
pub fn gives_token(endpoint: Endpoint) -> Result<bool, Why> {
    let session =
        Session { to: endpoint.0, deadline: Instant::now() + BUDGET, token: Err(Why::TimedOut), renewed: false };
    match session.fetch_token() {
        (Err(why), None) => Err(why),
        (token, _) => Ok(token.is_ok()),
    }
}

/// A conversation with the service: one token, one deadline.
#[derive(Debug)]
pub(crate) struct Session {
    to: SocketAddr,
    deadline: Instant,
    token: Result<String, Why>,
    renewed: bool,
}

impl Session {
    /// Fetches a token. Without one nothing can be asked, and every question says so.
    pub(crate) fn open(endpoint: Endpoint) -> Self {
        let mut session =
            Self { to: endpoint.0, deadline: Instant::now() + BUDGET, token: Err(Why::TimedOut), renewed: false };
        session.token = session.fetch_token().0;
        session
    }

    /// A token and the status that came with it. No status: nobody answered, or not in HTTP.
    fn fetch_token(&self) -> (Result<String, Why>, Option<u16>) {
        let headers = [("X-aliyun-ecs-metadata-token-ttl-seconds", TOKEN_SECONDS)];
        match ask(self.to, self.deadline, "PUT", "/latest/api/token", &headers, ITEM) {
            Err(failure) => (Err(self.why(failure)), None),
            Ok(Answer { status: 200, body }) => {
                let token =
                    one_line(&body).filter(|text| text.len() <= 2048 && text.bytes().all(|b| b.is_ascii_graphic()));
                (token.map(str::to_owned).ok_or_else(|| defect("the token")), Some(200))
            }
            Ok(Answer { status, .. }) => {
                (Err(Why::Failed(format!("the metadata service gave no token: status {status}"))), Some(status))
            }
        }
    }

    /// The one request without a token.
    fn tokenless(&self) -> (Fact<bool>, Option<u16>) {
        match ask(self.to, self.deadline, "GET", "/latest/meta-data/", &[], USER_DATA) {
            Err(failure) => (Fact::Unknown(self.why(failure)), None),
            Ok(Answer { status: 200, body }) if is_listing(&body) => (Fact::Known(true), Some(200)),
            Ok(Answer { status: 200, .. }) => (Fact::Unknown(defect("the list of items")), Some(200)),
            Ok(Answer { status: 403, .. }) => (Fact::Known(false), Some(403)),
            Ok(Answer { status, .. }) => (Fact::Unknown(unexpected(status)), Some(status)),
        }
    }

    /// One item with the token. Absent: the service has none (404). A token that is refused is renewed once.
    pub(crate) fn get(&mut self, path: &str, cap: usize) -> Fact<Vec<u8>> {
        loop {
            let token = match &self.token {
                Ok(token) => token.as_str(),
                Err(why) => return Fact::Unknown(why.clone()),
            };
            let headers = [("X-aliyun-ecs-metadata-token", token)];
            return match ask(self.to, self.deadline, "GET", &format!("/latest/{path}"), &headers, cap) {
                Err(failure) => Fact::Unknown(self.why(failure)),
                Ok(Answer { status: 200, body }) => Fact::Known(body),
                Ok(Answer { status: 404, .. }) => Fact::Absent,
                Ok(Answer { status: 401 | 403, .. }) if !self.renewed => {
                    self.renewed = true;
                    self.token = self.fetch_token().0;
                    continue;
                }
                Ok(Answer { status, .. }) => Fact::Unknown(unexpected(status)),
            };
        }
    }

    /// One item that has to look like what it is.
    fn item<T>(&mut self, path: &str, read: fn(&str) -> Option<T>) -> Fact<T> {
        match self.get(path, ITEM) {
            Fact::Known(body) => match one_line(&body) {
                Some("") => Fact::Absent,
                line => line.and_then(read).map_or_else(|| Fact::Unknown(defect(path)), Fact::Known),
            },
            Fact::Absent => Fact::Absent,
            Fact::Unknown(why) => Fact::Unknown(why),
        }
    }

    /// The role's name. Only the listing.
    pub(crate) fn role(&mut self) -> Fact<String> {
        self.item("meta-data/ram/security-credentials/", |line| name(line.strip_suffix('/').unwrap_or(line)))
    }

    fn public_addresses(&mut self) -> Fact<Vec<IpAddr>> {
        let both = [self.item("meta-data/eipv4", address), self.item("meta-data/public-ipv4", address)];
        let mut addresses: Vec<IpAddr> = both.iter().filter_map(|fact| fact.known().copied()).collect();
        addresses.dedup();
        // One that is known says enough; that there is none is only known where both say so.
        match both.iter().find_map(Fact::why) {
            Some(why) if addresses.is_empty() => Fact::Unknown(why.clone()),
            _ => Fact::Known(addresses),
        }
    }

    fn public_keys(&mut self) -> Fact<Vec<(String, String)>> {
        const INDEX: &str = "meta-data/public-keys/";
        let listing = match self.get(INDEX, ITEM) {
            Fact::Known(body) => body,
            Fact::Absent => return Fact::Known(Vec::new()),
            Fact::Unknown(why) => return Fact::Unknown(why),
        };
        let mut keys = Vec::new();
        for line in listing.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
            let id = std::str::from_utf8(line).ok().map(|id| id.strip_suffix('/').unwrap_or(id)).and_then(name);
            let Some(id) = id.filter(|_| keys.len() < KEY_PAIRS) else { return Fact::Unknown(defect(INDEX)) };
            match self.get(&format!("{INDEX}{id}/openssh-key"), KEY) {
                Fact::Known(body) => match one_line(&body).filter(|line| !line.chars().any(char::is_control)) {
                    Some(line) => keys.push((id, line.to_owned())),
                    None => return Fact::Unknown(defect(INDEX)),
                },
                Fact::Absent => {}
                Fact::Unknown(why) => return Fact::Unknown(why),
            }
        }
        Fact::Known(keys)
    }

    fn why(&self, failure: Failure) -> Why {
        match failure {
            Failure::TimedOut => Why::TimedOut,
            Failure::TooLarge(cap) => Why::TooLarge(u64::try_from(cap).unwrap_or(u64::MAX)),
            Failure::Io(what) => Why::Failed(format!("failed to ask {}: {what}", self.to.ip())),
            Failure::Garbled(what) => {
                Why::Defect(format!("what answers at {} is no metadata service: {what}", self.to.ip()))
            }
        }
    }
}

fn defect(what: &str) -> Why {
    Why::Defect(format!("the metadata service's answer makes no sense: {what}"))
}

fn unexpected(status: u16) -> Why {
    Why::Failed(format!("the metadata service answered with status {status}"))
}

/// The body as one line of text without what surrounds it.
fn one_line(body: &[u8]) -> Option<&str> {
    std::str::from_utf8(body).ok().map(str::trim).filter(|text| !text.contains('\n'))
}

/// An identifier: what goes into commands and messages as it is.
fn name(text: &str) -> Option<String> {
    let sane = (1..=128).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@=".contains(&b));
    sane.then(|| text.to_owned())
}

fn address(text: &str) -> Option<IpAddr> {
    text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

/// Whether it is the list of items and not somebody's web page.
fn is_listing(body: &[u8]) -> bool {
    let mut lines = body.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).peekable();
    lines.peek().is_some()
        && lines.all(|line| line.len() <= 128 && line.iter().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_numeric_address() {
        for (text, want) in [
            ("http://100.100.100.200", Some("100.100.100.200:80")),
            ("http://127.0.0.1:8080/", Some("127.0.0.1:8080")),
            ("http://[fd00::1]:81", Some("[fd00::1]:81")),
            ("http://[fd00::1]", Some("[fd00::1]:80")),
            ("http://metadata.example", None),
            ("https://100.100.100.200", None),
            ("100.100.100.200", None),
            ("http://100.100.100.200/latest", None),
            ("http://user@100.100.100.200", None),
        ] {
            assert_eq!(text.parse::<Endpoint>().ok().map(|e| e.0.to_string()).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn it_is_asked_where_the_machine_or_its_owner_says_ecs_and_nowhere_else() {
        let (ecs, kvm) = (Fact::Known(ECS_PRODUCT.to_owned()), Fact::Known("KVM".to_owned()));
        let here = Endpoint("127.0.0.1:1".parse().unwrap());
        assert_eq!(endpoint(&ecs, None, None), Ok(Endpoint::default()));
        assert_eq!(endpoint(&kvm, Some(true), None), Ok(Endpoint::default()));
        assert_eq!(endpoint(&kvm, Some(false), Some(here)), Ok(here));
        for (product, says) in [(&kvm, None), (&Fact::Absent, None), (&ecs, Some(false))] {
            assert!(matches!(endpoint(product, says, None), Err(Why::NotAsked(_))), "{product:?} {says:?}");
        }
        assert_eq!(endpoint(&Fact::Unknown(Why::Denied), None, None), Err(Why::Denied));
    }

    #[test]
    fn values_have_to_look_like_what_they_are() {
        for text in ["i-bp1", "cn-hangzhou", "aliyun_3_x64_20G_alibase_20240528.vhd", "0=skp-bp1"] {
            assert!(name(text).is_some(), "{text}");
        }
        for text in ["", "-rf", "a b", "a;b", "$(x)", "a\u{1b}", "../..", "é", &"a".repeat(129)] {
            assert_eq!(name(text), None, "{text}");
        }
        assert!(is_listing(b"eipv4\nram/\n"));
        for body in ["", "\n\n", "<html>", "login required!"] {
            assert!(!is_listing(body.as_bytes()), "{body}");
        }
    }
}
