//! The temporary credentials of the instance's RAM role.

use std::fmt;

use anyhow::{Context as _, bail};
use hostward_checks::fact::Fact;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Secret;
use crate::observe::metadata::{Endpoint, Session};

/// Most bytes of the answer.
const ANSWER: usize = 16 << 10;

/// What a role signs with. Not shown by `Debug`, wiped when it goes.
pub(super) struct Credentials {
    /// The key's id.
    pub(super) id: Secret,
    /// Its secret.
    pub(super) secret: Secret,
    /// The token of the temporary session.
    pub(super) token: Secret,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(borrow)]
    access_key_id: &'a str,
    #[serde(borrow)]
    access_key_secret: &'a str,
    #[serde(borrow)]
    security_token: &'a str,
    #[serde(borrow)]
    code: Option<&'a str>,
}

impl Credentials {
    /// Asks the metadata service, with a token.
    ///
    /// # Errors
    /// There is no role, or the service does not say.
    pub(super) fn of_the_role(metadata: Endpoint) -> anyhow::Result<Self> {
        let mut session = Session::open(metadata);
        let role = match session.role() {
            Fact::Known(role) => role,
            Fact::Absent => bail!("the instance has no RAM role, so there is nothing to call the ECS endpoint with"),
            Fact::Unknown(why) => bail!("failed to learn the instance's RAM role: {why}"),
        };
        let body = match session.get(&format!("meta-data/ram/security-credentials/{role}"), ANSWER) {
            Fact::Known(body) => Zeroizing::new(body),
            Fact::Absent => bail!("the metadata service has no credentials for RAM role {role}"),
            Fact::Unknown(why) => bail!("failed to fetch the credentials of RAM role {role}: {why}"),
        };
        Self::read(&body).with_context(|| format!("the credentials of RAM role {role} make no sense"))
    }

    /// Reads the service's answer. Nothing of it is repeated.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        // Borrowed from the body, so that no copy is left behind; what would need unescaping is refused.
        let answer: Answer<'_> = serde_json::from_slice(body).ok()?;
        // They go into headers.
        let sane = |text: &str| (8..=4096).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        let good = answer.code.is_none_or(|code| code == "Success");
        let all = [answer.access_key_id, answer.access_key_secret, answer.security_token].into_iter().all(sane);
        let secret = |text: &str| Zeroizing::new(text.to_owned());
        (good && all).then(|| Self {
            id: secret(answer.access_key_id),
            secret: secret(answer.access_key_secret),
            token: secret(answer.security_token),
        })
    }
}
