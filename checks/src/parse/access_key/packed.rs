//! AccessKeys behind base64, as Kubernetes' secrets (`data:`) and cloud-init's `write_files` have them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{SECRET, is_secret, shapes};

/// An id of the shortest kind has so many characters in base64.
const SHORTEST: usize = 24;

/// The text with each word of base64 written out that holds an id, or is a secret; None: no word holds an id. Every line stays on its
/// line: line feeds in what was packed become `\n`. Base64 that is wrapped over lines is not unpacked.
pub(super) fn written_out(text: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut copied, mut holds_id) = (Vec::new(), 0, false);
    for (start, end) in words(text) {
        let Some(plain) = text.get(start..end).and_then(unpacked) else { continue };
        let has_id = shapes(&plain).next().is_some();
        if has_id || (plain.trim_ascii().len() == SECRET && is_secret(plain.trim_ascii())) {
            holds_id |= has_id;
            out.extend_from_slice(text.get(copied..start)?);
            out.extend(plain.into_iter().flat_map(|byte| match byte {
                b'\n' => vec![b'\\', b'n'],
                byte => vec![byte],
            }));
            copied = end;
        }
    }
    out.extend_from_slice(text.get(copied..)?);
    holds_id.then_some(out)
}

/// Where words of base64 stand that are long enough, their padding with them.
fn words(text: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + text.get(at..)?.iter().position(is_digit)?;
            let rest = text.get(start..)?;
            let length = rest.iter().take_while(|byte| is_digit(byte)).count();
            let padding = rest.iter().skip(length).take(2).take_while(|byte| **byte == b'=').count();
            at = start + length + padding;
            if at - start >= SHORTEST && (at - start).is_multiple_of(4) {
                return Some((start, at));
            }
        }
    })
}

/// What a word stands for, where that is text. Most that is no base64 shows it with the first three bytes.
fn unpacked(word: &[u8]) -> Option<Vec<u8>> {
    let is_text = |bytes: &[u8]| !bytes.iter().any(|byte| byte.is_ascii_control() && !b"\n\r\t".contains(byte));
    let head = STANDARD.decode(word.get(..4)?).ok()?;
    let plain = is_text(&head).then(|| STANDARD.decode(word).ok())??;
    (is_text(&plain) && std::str::from_utf8(&plain).is_ok()).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(text: &str) -> Option<String> {
        written_out(text.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn words_that_hold_keys_are_written_out_and_others_stay() {
        let id = concat!("LTAI", "5tQ7xKp2VmZs9RwGd3Hc");
        let secret = concat!("Jz4mXq8Wv2TkRb6", "NpYd9LsGh3CfQx1");
        let pack = |text: &str| STANDARD.encode(text);
        let packed = |id: &str, secret: &str| format!("data:\n  id: {}\n  key={}\n", pack(id), pack(secret));
        assert_eq!(out(&packed(id, secret)).unwrap(), format!("data:\n  id: {id}\n  key={secret}\n"));
        let lines = packed(&format!("{id}\n"), &format!("{secret}\n"));
        assert_eq!(out(&lines).unwrap(), format!("data:\n  id: {id}\\n\n  key={secret}\\n\n"));
        let file = format!("[Credentials]\n#密钥\naccessKeyID={id}\n");
        assert_eq!(out(&format!("a: {}", pack(&file))).unwrap(), format!("a: {}", file.replace('\n', "\\n")));
        for text in [
            format!("key={}", pack(secret)),
            pack("just some text that somebody has packed"),
            format!("id={id} key={secret}"),
            format!("{}x", pack(id)),
            pack(&format!("{id}\0\u{1}")),
        ] {
            assert_eq!(out(&text), None, "{text}");
        }
    }
}
