//! `authorized_keys(5)`: every line that sshd would take for a key, with its options, as `auth2-pubkeyfile.c` reads it.

mod expiry;
mod options;
mod source;

pub use expiry::Expiry;
pub use options::{OptionDefect, Options};
pub use source::{BadSourceList, SourceList};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::Defect;
use super::key_blob::{BlobDefect, KeyKind, PublicKey, RSA_MINIMUM_BITS, type_name};

/// An OpenSSH release: major and minor number.
pub type Release = (u8, u8);

/// A line with a key that OpenSSH can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLine {
    /// The line, from 1.
    pub line: u32,
    /// Its length in bytes, without the line feed.
    pub length: u32,
    /// The key (or certificate).
    pub key: PublicKey,
    /// What follows the key; written by others, so hostile.
    pub comment: Box<[u8]>,
    /// Why no connection can ever use the line, where that is so (from OpenSSH 7.7 on).
    pub refused: Option<Refused>,
    options: Option<Box<Options>>,
}

/// Why sshd never lets anybody in by a line, whoever asks and from wherever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// sshd does not understand its options, and then ignores the line.
    #[error("{0}")]
    Options(OptionDefect),
    /// A certificate: only its authority's key could stand here, marked `cert-authority`.
    #[error("a certificate stands where a key should")]
    Certificate,
    /// An RSA key below the 1,024 bits that OpenSSH reads.
    #[error("the RSA key is shorter than OpenSSH accepts")]
    TooShort,
    /// `principals=` on a line that is no `cert-authority`.
    #[error("principals= without cert-authority")]
    Principals,
    /// The list in `from=` cannot be evaluated, and then refuses everybody.
    #[error("{0}")]
    Source(BadSourceList),
}

static NO_OPTIONS: Options = Options::none();

impl KeyLine {
    /// The options before the key; the defaults where there are none or where no sshd understands them.
    pub fn options(&self) -> &Options {
        self.options.as_deref().unwrap_or(&NO_OPTIONS)
    }

    /// Whether the key opens a login by itself: it is no certificate, no authority, and not refused.
    pub fn is_plain(&self) -> bool {
        self.refused.is_none() && !self.options().cert_authority
    }

    /// Whether an sshd of this release lets somebody in by the line, as far as the line alone decides: it is no authority,
    /// and the release understands it.
    pub fn opens_on(&self, release: Release) -> bool {
        !self.options().cert_authority && self.understood_by(release)
    }

    /// Whether an sshd of this release understands the line. Older ones skip newer options, newer key types and (up to
    /// 7.7) lines longer than a buffer of 16 KiB; before 7.7 some mistakes in options were let pass.
    pub fn understood_by(&self, release: Release) -> bool {
        let options = self.options();
        let lax = release < (7, 7)
            && match self.refused {
                Some(Refused::Options(defect)) => options.lax == Some(defect),
                Some(Refused::Principals) => true,
                _ => false,
            };
        (self.refused.is_none() || lax)
            && release >= options.since
            && (!self.key.kind().is_security_key() || release >= (8, 2))
            && (self.length < 16 * 1024 || release >= (7, 8))
    }
}

/// Parses an authorized_keys file. Lines that hold no key that OpenSSH can read come back as defects.
pub fn parse(bytes: &[u8]) -> (Vec<KeyLine>, Vec<Defect>) {
    let (mut keys, mut defects) = (Vec::new(), Vec::new());
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        // getline(3) gives a C string: a NUL hides the rest of its line.
        let text = line.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = skip_blanks(text);
        if text.first() == Some(&b'#') || text.trim_ascii().is_empty() {
            continue;
        }
        match read_line(text) {
            Ok(found) => {
                let length = u32::try_from(line.len()).unwrap_or(u32::MAX);
                keys.push(KeyLine { line: number, length, ..found });
            }
            Err(why) => defects.push(Defect { line: number, what: why.to_string() }),
        }
    }
    (keys, defects)
}

/// Why a line holds no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
enum NoKey {
    #[error("no key type that OpenSSH knows")]
    NoType,
    #[error("nothing follows the key type")]
    NoBlob,
    #[error("the key is not valid base64")]
    Base64,
    #[error("{0}")]
    Blob(BlobDefect),
    #[error("the key is of another type than the line says")]
    TypeMismatch,
    #[error("a quote is not closed")]
    OpenQuote,
}

fn read_line(text: &[u8]) -> Result<KeyLine, NoKey> {
    let (options, (key, comment)) = match read_key(text) {
        Ok(found) => (None, found),
        Err(first) => {
            let rest = past_options(text).ok_or(NoKey::OpenQuote)?;
            match read_key(skip_blanks(rest)) {
                Ok(found) => (Some(options::parse(text)), found),
                Err(NoKey::NoType) => return Err(first),
                Err(second) => return Err(second),
            }
        }
    };
    let (options, defect) = match options {
        None => (None, None),
        Some(Ok(options)) => {
            let defect = options.lax.map(Refused::Options);
            (Some(Box::new(options)), defect)
        }
        Some(Err(defect)) => (None, Some(Refused::Options(defect))),
    };
    let refused = defect.or_else(|| refusal(&key, options.as_deref().unwrap_or(&NO_OPTIONS)));
    let comment = comment.trim_ascii_end().into();
    Ok(KeyLine { line: 0, length: 0, key, comment, refused, options })
}

fn refusal(key: &PublicKey, options: &Options) -> Option<Refused> {
    if key.certificate().is_some() {
        return Some(Refused::Certificate);
    }
    if key.kind() == KeyKind::Rsa && key.bits() < RSA_MINIMUM_BITS {
        return Some(Refused::TooShort);
    }
    if options.principals.is_some() && !options.cert_authority {
        return Some(Refused::Principals);
    }
    options.from.as_ref().and_then(|list| list.check().err()).map(Refused::Source)
}

/// A key at the start of `text` and what follows it, as `sshkey.c:sshkey_read`.
fn read_key(text: &[u8]) -> Result<(PublicKey, &[u8]), NoKey> {
    let (name, rest) = word(text);
    let announced = type_name(name).ok_or(NoKey::NoType)?;
    let (encoded, rest) = word(skip_blanks(rest));
    if encoded.is_empty() {
        return Err(NoKey::NoBlob);
    }
    let key = PublicKey::decode(&decode_base64(encoded).ok_or(NoKey::Base64)?).map_err(NoKey::Blob)?;
    if key.kind() != announced.kind || key.certificate().is_some() != announced.certificate {
        return Err(NoKey::TypeMismatch);
    }
    Ok((key, skip_blanks(rest)))
}

/// Base64 as `b64_pton(3)` reads it: white space anywhere (the carriage return of a CRLF file), padding in full, no stray bits.
fn decode_base64(encoded: &[u8]) -> Option<Vec<u8>> {
    if let Ok(bytes) = STANDARD.decode(encoded) {
        return Some(bytes);
    }
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    if !encoded.iter().any(is_space) {
        return None;
    }
    let dense: Vec<u8> = encoded.iter().copied().filter(|byte| !is_space(byte)).collect();
    STANDARD.decode(dense).ok()
}

/// The bytes up to the first blank, and the rest.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| is_blank(*byte)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, b""))
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    text.get(blanks..).unwrap_or_default()
}

/// What follows the options (`authfile.c:sshkey_advance_past_options`). None: a quote is left open.
fn past_options(text: &[u8]) -> Option<&[u8]> {
    let (mut rest, mut quoted) = (text, false);
    loop {
        rest = match rest {
            [] => return (!quoted).then_some(rest),
            [b' ' | b'\t', ..] if !quoted => return Some(rest),
            [b'\\', b'"', tail @ ..] => tail,
            [byte, tail @ ..] => {
                quoted ^= *byte == b'"';
                tail
            }
        };
    }
}

#[cfg(test)]
mod tests;
