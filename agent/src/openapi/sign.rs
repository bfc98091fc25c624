//! A request of the OpenAPI, signed with ACS3-HMAC-SHA256 ("Request structure and signature V3" of Alibaba Cloud's SDK reference).

use ring::{digest, hmac};
use zeroize::Zeroizing;

use super::Secret;
use super::credentials::Credentials;

/// A request without a body: parameters stand in the query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// The endpoint's name.
    pub(super) host: &'a str,
    /// The operation.
    pub(super) action: &'a str,
    /// The version of the API.
    pub(super) version: &'a str,
    /// The query in canonical form, as [`query`] makes it.
    pub(super) query: &'a str,
    /// The time, as `2023-10-26T10:22:32Z`.
    pub(super) date: &'a str,
    /// Something that was never sent before.
    pub(super) nonce: &'a str,
}

/// The query in canonical form: sorted by name, names and values percent-encoded (RFC 3986).
pub(super) fn query(parameters: &[(&str, &str)]) -> String {
    let mut pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.sort();
    pairs.join("&")
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

impl Request<'_> {
    /// The headers that are signed, sorted by name.
    fn headers(&self, token: Option<&str>) -> Vec<(&'static str, Secret)> {
        let plain = |name, value: &str| (name, Zeroizing::new(value.to_owned()));
        let mut headers = vec![
            plain("host", self.host),
            plain("x-acs-action", self.action),
            plain("x-acs-content-sha256", &sha256(b"")),
            plain("x-acs-date", self.date),
        ];
        headers.extend(token.map(|token| plain("x-acs-security-token", token)));
        headers.extend([plain("x-acs-signature-nonce", self.nonce), plain("x-acs-version", self.version)]);
        headers
    }

    /// The value of `Authorization`.
    pub(super) fn authorization(&self, id: &str, secret: &str, token: Option<&str>) -> Secret {
        let headers = self.headers(token);
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        // Room for all of it: a text that grows leaves copies of the token behind.
        let room = headers.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>();
        let mut canonical = Zeroizing::new(String::with_capacity(room + self.query.len() + names.len() + 100));
        canonical.push_str("POST\n/\n");
        canonical.push_str(self.query);
        canonical.push('\n');
        for (name, value) in &headers {
            for part in [name, ":", value, "\n"] {
                canonical.push_str(part);
            }
        }
        canonical.push('\n');
        canonical.push_str(&names);
        canonical.push('\n');
        canonical.push_str(&sha256(b""));
        let to_sign = format!("ACS3-HMAC-SHA256\n{}", sha256(canonical.as_bytes()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = hex(hmac::sign(&key, to_sign.as_bytes()).as_ref());
        Zeroizing::new(format!("ACS3-HMAC-SHA256 Credential={id},SignedHeaders={names},Signature={signature}"))
    }

    /// The request as it goes out.
    pub(super) fn text(&self, credentials: &Credentials) -> Secret {
        let token = Some(credentials.token.as_str());
        let authorization = self.authorization(&credentials.id, &credentials.secret, token);
        let headers = self.headers(token);
        let room = headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
        let mut text = Zeroizing::new(String::with_capacity(room + self.query.len() + authorization.len() + 200));
        for part in ["POST /?", self.query, " HTTP/1.1\r\n"] {
            text.push_str(part);
        }
        for (name, value) in &headers {
            for part in [name, ": ", value, "\r\n"] {
                text.push_str(part);
            }
        }
        for part in [
            "authorization: ",
            &authorization,
            "\r\naccept: application/json\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        ] {
            text.push_str(part);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example with fixed values of Alibaba Cloud's page on the signature.
    #[test]
    fn the_published_example_comes_out() {
        let query =
            query(&[("RegionId", "cn-shanghai"), ("ImageId", "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd")]);
        let request = Request {
            host: "ecs.cn-shanghai.aliyuncs.com",
            action: "RunInstances",
            version: "2014-05-26",
            query: &query,
            date: "2023-10-26T10:22:32Z",
            nonce: "3156853299f313e23d1673dc12e1703d",
        };
        assert_eq!(
            *request.authorization("YourAccessKeyId", "YourAccessKeySecret", None),
            "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;\
             x-acs-signature-nonce;x-acs-version,Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
        );
    }

    #[test]
    fn a_query_is_sorted_and_encoded() {
        assert_eq!(query(&[("b", "a b*~é"), ("a", "x/y=z&")]), "a=x%2Fy%3Dz%26&b=a%20b%2A~%C3%A9");
    }
}
