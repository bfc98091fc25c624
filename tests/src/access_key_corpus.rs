//! AccessKeys drawn at random, in the syntaxes in which they lie on hosts; and what only looks like one.
//!
//! No key here is anybody's: all are made by [`Rng`], of the lengths and characters that real ones have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hostward_checks::parse::access_key::Holds;

use crate::rng::Rng;

mod lookalikes;
mod syntaxes;

pub use lookalikes::lookalikes;

/// A text with a key.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The syntax that it is written in.
    pub syntax: &'static str,
    /// Where it would lie on a host.
    pub path: String,
    /// The text.
    pub text: String,
    /// The key's id.
    pub id: String,
    /// Its secret, where the text holds it.
    pub secret: Option<String>,
    /// What the text holds.
    pub holds: Holds,
}

/// A text without a key.
#[derive(Debug, Clone)]
pub struct Lookalike {
    /// What it is.
    pub kind: &'static str,
    /// The text.
    pub text: String,
}

/// So many random letters and digits.
pub fn random(rng: &mut Rng, count: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut one = || ALPHABET.get(rng.below(ALPHABET.len())).map_or('A', |byte| char::from(*byte));
    (0..count).map(|_| one()).collect()
}

/// An id: of today's length, of the old one, or of one between.
pub fn id(rng: &mut Rng) -> String {
    match rng.below(10) {
        0..4 => format!("LTAI5t{}", random(rng, 18)),
        4..6 => format!("LTAI4{}", random(rng, 19)),
        6..9 => format!("LTAI{}", random(rng, 12)),
        _ => {
            let count = 13 + rng.below(7);
            format!("LTAI{}", random(rng, count))
        }
    }
}

/// An id of temporary credentials.
pub fn sts(rng: &mut Rng) -> String {
    let count = 19 + rng.below(6);
    format!("STS.N{}", random(rng, count))
}

/// A secret of a long-lived key.
pub fn secret(rng: &mut Rng) -> String {
    random(rng, 30)
}

/// So many samples, through all syntaxes in turn.
#[must_use]
pub fn samples(seed: u64, count: usize) -> Vec<Sample> {
    let mut rng = Rng::new(seed);
    let one = |(index, (syntax, path, text)): (usize, &(&'static str, &str, &str))| {
        let temporary = text.contains("@sts@");
        let id = if temporary { sts(&mut rng) } else { id(&mut rng) };
        let secret = secret(&mut rng);
        let has_secret = ["@secret@", "@secret64@", "@file64@"].iter().any(|word| text.contains(word));
        let holds = match (temporary, has_secret) {
            (true, _) => Holds::Temporary,
            (false, true) => Holds::Pair,
            (false, false) if text.contains("@signature@") => Holds::Signed,
            (false, false) => Holds::Id,
        };
        let file = format!("{{\"AccessKeyId\": \"{id}\",\n \"AccessKeySecret\": \"{secret}\"}}\n");
        let text = text
            .replace("@id64@", &STANDARD.encode(&id))
            .replace("@secret64@", &STANDARD.encode(&secret))
            .replace("@file64@", &STANDARD.encode(file))
            .replace("@id@", &id)
            .replace("@sts@", &id)
            .replace("@secret@", &secret)
            .replace("@signature@", &random(&mut rng, 27))
            .replace("@token@", &random(&mut rng, 120))
            .replace("@other@", &random(&mut rng, 32).to_lowercase());
        let path = path.replace('#', &index.to_string());
        Sample { syntax, path, text, id, secret: has_secret.then_some(secret), holds }
    };
    syntaxes::SYNTAXES.iter().cycle().take(count).enumerate().map(one).collect()
}
