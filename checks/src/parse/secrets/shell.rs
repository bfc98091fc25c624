//! Passwords in lines of scripts and settings: assignments, `chpasswd`, options, URLs.

use super::{Kind, MASK, Secret};

/// Words of a variable's or setting's name that promise a secret.
const SECRET_NAMES: [&str; 9] =
    ["password", "passwd", "passphrase", "secret", "accesskeysecret", "apikey", "authtoken", "accesstoken", "pwd"];
/// Names that hold such a word and no secret.
const HARMLESS_NAMES: [&str; 12] = [
    "lockpasswd",
    "sshpwauth",
    "chpasswd",
    "passwordauthentication",
    "oldpwd",
    "pwd",
    "permitemptypasswords",
    "passwordless",
    "secretname",
    "passwordfile",
    "passwdfile",
    "passwordexpire",
];

/// Looks for passwords in one line.
pub(super) fn passwords(line: &str, number: u32, found: &mut Vec<Secret>) {
    let code = line.trim_start();
    if code.starts_with('#') && !code.starts_with("#!") {
        return;
    }
    let mut add = |secret: &str, shown: String| {
        found.push(Secret { kind: kind(secret), line: number, shown });
    };
    let words = words(line);
    if words.iter().any(|word| word == "chpasswd" || word.ends_with("/chpasswd")) {
        for (name, secret) in words.iter().flat_map(|word| word.split("\\n")).filter_map(|word| word.split_once(':')) {
            if is_name(name) && is_secret(secret) {
                add(secret, format!("{name}:{MASK}"));
            }
        }
    }
    if words.windows(2).any(|two| matches!(two, [a, b] if a.ends_with("passwd") && b == "--stdin"))
        && let Some(secret) = echoed(&words).filter(|secret| is_secret(secret))
    {
        add(secret, format!("echo {MASK} | passwd --stdin"));
    }
    let adds_user = words.iter().any(|word| matches!(word.rsplit('/').next(), Some("useradd" | "usermod")));
    for (index, word) in words.iter().enumerate() {
        let next = words.get(index + 1).map_or("", String::as_str);
        if adds_user && matches!(word.as_str(), "-p" | "--password") && is_secret(next) {
            add(next, format!("{word} {MASK}"));
        } else if let Some(secret) =
            word.strip_prefix("sshpass").and(Some(next)).and_then(|next| next.strip_prefix("-p"))
            && is_secret(secret)
        {
            add(secret, format!("sshpass -p{MASK}"));
        } else if matches!(word.as_str(), "--password" | "--passwd" | "--requirepass" | "requirepass")
            && is_secret(next)
            && !adds_user
        {
            add(next, format!("{word} {MASK}"));
        } else if let Some((name, secret)) = assignment(word, next) {
            add(secret, format!("{name}={MASK}"));
        } else if let Some((scheme, rest)) = word.split_once("://")
            && let Some((login, _)) = rest.split('/').next().and_then(|authority| authority.rsplit_once('@'))
            && let Some((user, secret)) = login.split_once(':')
            && is_secret(secret)
        {
            add(secret, format!("{}://{}:{MASK}@", name(scheme), name(user)));
        }
    }
}

/// `NAME=secret`, `name: secret`, `--name=secret` where the name promises a secret.
fn assignment<'w>(word: &'w str, next: &'w str) -> Option<(String, &'w str)> {
    let (left, right) = match word.split_once(['=', ':']) {
        Some((left, "")) if word.ends_with(':') => (left, next),
        Some((left, right)) => (left, right),
        None => return None,
    };
    let left = left.trim_start_matches('-');
    let promised = is_name(left) && names_secret(left);
    (promised && is_secret(right)).then(|| (name(left), right))
}

fn names_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let promises = SECRET_NAMES.iter().any(|word| plain.ends_with(word));
    promises && !HARMLESS_NAMES.contains(&plain.as_str())
}

/// Whether the text is a secret itself, not a word that stands for one or for nothing.
pub(super) fn is_secret(text: &str) -> bool {
    let text = text.trim().trim_matches(['"', '\'', ',', ';']);
    if is_hash(text) {
        return true;
    }
    let lower = text.to_ascii_lowercase();
    let nothing = ["random", "r", "true", "false", "yes", "no", "none", "null", "*", "!", "!!", "x", "changeme?"];
    !text.is_empty()
        && text.len() <= 512
        && !text.starts_with(['$', '<', '{', '[', '(', '`', '%', '|', '>', '&', '/', '@'])
        && !text.contains("$(")
        && !text.contains("${")
        && !text.contains(MASK)
        && !text.chars().all(|c| matches!(c, 'x' | 'X' | '.' | '*' | '-' | '_'))
        && !nothing.contains(&lower.as_str())
}

/// A crypt(3) hash: `$id$salt$…`.
fn is_hash(text: &str) -> bool {
    let mut fields = text.strip_prefix('$').unwrap_or_default().splitn(3, '$');
    let id = fields.next().unwrap_or_default();
    let known = (1..=5).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    known && fields.next().is_some_and(|salt| !salt.is_empty()) && fields.next().is_some_and(|hash| hash.len() >= 8)
}

pub(super) fn kind(secret: &str) -> Kind {
    if is_hash(secret.trim().trim_matches(['"', '\''])) { Kind::PasswordHash } else { Kind::Password }
}

/// A name as it may be shown: sane characters, a sane length.
pub(super) fn name(text: &str) -> String {
    let sane: String =
        text.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).take(40).collect();
    if sane.is_empty() { "name".to_owned() } else { sane }
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// The last argument of `echo` or `printf`.
fn echoed(words: &[String]) -> Option<&str> {
    let at = words.iter().position(|word| matches!(word.rsplit('/').next(), Some("echo" | "printf")))?;
    let said = words.get(at + 1..)?.iter().take_while(|word| *word != "|" && !word.starts_with('|'));
    said.map(String::as_str).filter(|word| !word.starts_with('-')).last()
}

/// The words of a line of shell, quotes taken off, a quoted space kept; a bar is a word of its own.
fn words(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    let (mut word, mut quote, mut begun) = (String::new(), None, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\'' | '"', None) => (quote, begun) = (Some(c), true),
            (c, Some(q)) if c == q => quote = None,
            ('\\', None | Some('"')) => {
                let next = chars.next();
                // `\n` inside double quotes is printf's line feed, kept for who splits at it.
                if quote.is_some() && next != Some('"') && next != Some('\\') {
                    word.push('\\');
                }
                word.extend(next);
            }
            (c, None) if c.is_whitespace() || matches!(c, '|' | ';' | '&') => {
                if begun || !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                begun = false;
                if c == '|' {
                    out.push("|".to_owned());
                }
            }
            (c, _) => word.push(c),
        }
    }
    if begun || !word.is_empty() {
        out.push(word);
    }
    out
}
