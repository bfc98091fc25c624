//! Keys in a policy: fingerprints, or whole lines as they stand in authorized_keys.

use hostward_checks::parse::authorized_keys;
use toml::de::DeValue;

use super::value::{Read, text};

/// `SHA256:…` as `ssh-keygen -l` prints it, or a line with a public key, whose fingerprint is taken.
pub(super) fn key(value: &DeValue<'_>) -> Read<String> {
    const FORM: &str = "wanted a fingerprint (SHA256:…, as ssh-keygen -lf prints it) or a public key's line";
    let given = text(value)?;
    if let Some(hash) = given.strip_prefix("SHA256:") {
        // 32 bytes in base64 without padding.
        let sane = hash.len() == 43 && hash.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
        return if sane { Ok(given) } else { Err("a SHA256 fingerprint has 43 characters of base64".to_owned()) };
    }
    let (lines, _) = authorized_keys::parse(given.as_bytes());
    match lines.as_slice() {
        [line] => Ok(line.key.fingerprint().to_string()),
        [] => Err(FORM.to_owned()),
        _ => Err("holds more than one key".to_owned()),
    }
}
