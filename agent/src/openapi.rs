//! `ModifyInstanceMetadataOptions` of the ECS OpenAPI, called with the instance's own RAM role.
//!
//! It talks to one place: `ecs-vpc.REGION.aliyuncs.com`, the endpoint that an instance reaches without a public address, over TLS
//! with the host's own certificate authorities. No proxy, no redirect, no second try elsewhere. The role's credentials live as long
//! as the call, are wiped after it, and no error holds them.

mod credentials;
mod roots;
mod sign;
mod tls;

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hostward_checks::effect::RemoteCall;
use ring::rand::SecureRandom as _;
use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use crate::observe::metadata::Endpoint;
use crate::observe::metadata::http::Answer;
use credentials::Credentials;

/// Longest call, from the name's resolution to the answer.
const BUDGET: Duration = Duration::from_secs(15);
/// Longest wait for the name.
const RESOLVE: Duration = Duration::from_secs(5);
/// Most bytes of an answer.
const ANSWER: usize = 64 << 10;

/// Who is asked.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// Where the credentials come from.
    pub metadata: Endpoint,
    /// A stand-in for the endpoint, for tests: its address and the authorities that vouch for it under the endpoint's name.
    pub instead: Option<(SocketAddr, Vec<CertificateDer<'static>>)>,
}

/// Makes what the call says hold for its instance.
///
/// # Errors
/// No role, no way to the endpoint, or its refusal: by code and request id, never with what was sent.
pub fn modify(call: &RemoteCall) -> anyhow::Result<()> {
    Caller::default().modify(call)
}

impl Caller {
    /// The same, of these.
    ///
    /// # Errors
    /// As [`modify`].
    pub fn modify(&self, call: &RemoteCall) -> anyhow::Result<()> {
        let deadline = Instant::now() + BUDGET;
        if !is_id(&call.region) || !is_id(&call.instance) || !["optional", "required"].contains(&call.tokens_after) {
            bail!("not a call that hostward makes: {} {} {}", call.region, call.instance, call.tokens_after);
        }
        let host = format!("ecs-vpc.{}.aliyuncs.com", call.region);
        let roots = match &self.instead {
            Some((_, roots)) => roots.clone(),
            None => roots::of_the_host()?,
        };
        let credentials = Credentials::of_the_role(self.metadata)?;
        let query = sign::query(&[
            ("HttpEndpoint", "enabled"),
            ("HttpTokens", call.tokens_after),
            ("InstanceId", &call.instance),
            ("RegionId", &call.region),
        ]);
        let request = sign::Request {
            host: &host,
            action: "ModifyInstanceMetadataOptions",
            version: "2014-05-26",
            query: &query,
            date: &jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            nonce: &nonce()?,
        };
        let text = request.text(&credentials);
        let addresses = match &self.instead {
            Some((address, _)) => vec![*address],
            None => resolve(&host)?,
        };
        let answer = tls::exchange(&host, &addresses, roots, &text, deadline, ANSWER)?;
        judge(&host, &answer)
    }
}

/// What may stand in a host name and a query as it is.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// 128 random bits in hexadecimal digits.
fn nonce() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the kernel gives no random bytes"))?;
    Ok(sign::hex(&bytes))
}

/// The addresses of the endpoint. The C library's resolver has no time limit that could be set, so it is waited for.
fn resolve(host: &str) -> anyhow::Result<Vec<SocketAddr>> {
    let (send, receive) = std::sync::mpsc::channel();
    let name = host.to_owned();
    std::thread::Builder::new()
        .name("resolver".to_owned())
        .spawn(move || {
            let found = (name.as_str(), 443).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            // Nobody may be waiting any more.
            drop(send.send(found));
        })
        .context("failed to start a thread")?;
    let found = receive.recv_timeout(RESOLVE).ok().with_context(|| format!("nobody resolved {host} in time"))?;
    found.with_context(|| format!("failed to resolve {host}"))
}

/// What the endpoint's answer means. Its sentences are not repeated: they may hold what was signed.
fn judge(host: &str, answer: &Answer) -> anyhow::Result<()> {
    let said: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let word = |key: &str| {
        let text = said.as_ref()?.get(key)?.as_str()?;
        let sane = text.len() <= 80 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        sane.then(|| text.to_owned())
    };
    let request = word("RequestId");
    match (answer.status, &request, word("Code")) {
        (200, Some(_), None) => Ok(()),
        (200, ..) => bail!("{host} answered with something that is no confirmation"),
        (status, request, code) => {
            let code = code.unwrap_or_else(|| format!("status {status}"));
            let request = request.as_deref().unwrap_or("-");
            let hint = if code.starts_with("Forbidden") || code.contains("NoPermission") {
                "; the instance's RAM role needs ecs:ModifyInstanceMetadataOptions"
            } else {
                ""
            };
            bail!("{host} refused: {code} (request {request}){hint}")
        }
    }
}

#[cfg(test)]
mod tests;

/// A text that is wiped when it goes.
type Secret = Zeroizing<String>;
