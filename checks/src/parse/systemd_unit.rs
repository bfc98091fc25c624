//! systemd units: `systemd.syntax(7)`, the command lines of `systemd.service(5)` and the environment files of `systemd.exec(5)`.

use std::collections::BTreeMap;

use super::Defect;

/// One assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The section, without brackets.
    pub section: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
    /// The value with continuation lines joined, surrounding space cut.
    pub value: Vec<u8>,
    /// The line where it begins, from 1.
    pub line: u32,
}

/// The assignments of a unit, its drop-ins behind its main file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// In order.
    pub assignments: Vec<Assignment>,
}

/// Parses one file of a unit.
pub fn parse(bytes: &[u8]) -> (Unit, Vec<Defect>) {
    let (mut unit, mut defects) = (Unit::default(), Vec::new());
    let mut section = Vec::new();
    let mut pending: Option<(u32, Vec<u8>)> = None;
    for (number, line) in (1_u32..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let trimmed = line.trim_ascii_start();
        if trimmed.starts_with(b"#") || trimmed.starts_with(b";") {
            continue;
        }
        let (start, mut text) = pending.take().unwrap_or((number, Vec::new()));
        if let Some(head) = line.strip_suffix(b"\\") {
            text.extend_from_slice(head);
            text.push(b' ');
            pending = Some((start, text));
            continue;
        }
        text.extend_from_slice(line);
        assign(&mut unit, &mut section, &text, start, &mut defects);
    }
    if let Some((start, text)) = pending {
        assign(&mut unit, &mut section, &text, start, &mut defects);
    }
    (unit, defects)
}

fn assign(unit: &mut Unit, section: &mut Vec<u8>, text: &[u8], line: u32, defects: &mut Vec<Defect>) {
    let text = text.trim_ascii();
    if text.is_empty() {
        return;
    }
    if let Some(name) = text.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) {
        *section = name.to_vec();
        return;
    }
    let Some(equals) = text.iter().position(|byte| *byte == b'=') else {
        defects.push(Defect { line, what: "not an assignment".to_owned() });
        return;
    };
    let (key, value) = text.split_at(equals);
    unit.assignments.push(Assignment {
        section: section.clone(),
        key: key.trim_ascii_end().to_vec(),
        value: value.get(1..).unwrap_or_default().trim_ascii().to_vec(),
        line,
    });
}

impl Unit {
    /// Adds the assignments of a drop-in.
    pub fn extend(&mut self, drop_in: Self) {
        self.assignments.extend(drop_in.assignments);
    }

    /// The values of a key that takes several: an empty assignment drops those before it.
    pub fn values(&self, section: &str, key: &str) -> Vec<&[u8]> {
        let mut out = Vec::new();
        for entry in &self.assignments {
            if entry.section == section.as_bytes() && entry.key == key.as_bytes() {
                if entry.value.is_empty() {
                    out.clear();
                } else {
                    out.push(entry.value.as_slice());
                }
            }
        }
        out
    }

    /// The value of a key that takes one: the last.
    pub fn value(&self, section: &str, key: &str) -> Option<&[u8]> {
        self.values(section, key).last().copied()
    }

    /// Whether a key is a true boolean.
    pub fn is_on(&self, section: &str, key: &str) -> bool {
        self.value(section, key).is_some_and(is_true)
    }

    /// What `Environment=` sets.
    pub fn environment(&self, section: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let words = self.values(section, "Environment").into_iter().flat_map(split);
        words.filter_map(|word| pair(&word.text)).collect()
    }
}

/// Whether a boolean is true (`parse_boolean`).
pub fn is_true(value: &[u8]) -> bool {
    [&b"yes"[..], b"true", b"on", b"1", b"y", b"t"].contains(&value.to_ascii_lowercase().as_slice())
}

fn pair(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let equals = text.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    Some((text.get(..equals)?.to_vec(), text.get(equals + 1..)?.to_vec()))
}

/// A word of a command line, and whether any part of it was quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    text: Vec<u8>,
    quoted: bool,
}

/// Cuts a value into words: quotes of both kinds group, C escapes are undone. A quote without its end ends the value.
fn split(value: &[u8]) -> Vec<Word> {
    let (mut out, mut bytes) = (Vec::new(), value.iter().copied().peekable());
    loop {
        while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
        if bytes.peek().is_none() {
            return out;
        }
        let (mut word, mut quote) = (Word { text: Vec::new(), quoted: false }, None);
        while let Some(byte) = bytes.next() {
            match (byte, quote) {
                (b'\\', _) => word.text.extend(escape(&mut bytes)),
                (byte, Some(open)) if byte == open => quote = None,
                (b'"' | b'\'', None) => (quote, word.quoted) = (Some(byte), true),
                (byte, None) if byte.is_ascii_whitespace() => break,
                (byte, _) => word.text.push(byte),
            }
        }
        if quote.is_some() {
            return out;
        }
        out.push(word);
    }
}

fn escape(bytes: &mut std::iter::Peekable<impl Iterator<Item = u8>>) -> Vec<u8> {
    let Some(byte) = bytes.next() else { return vec![b'\\'] };
    match byte {
        b'a' => vec![7],
        b'b' => vec![8],
        b'f' => vec![12],
        b'n' => vec![b'\n'],
        b'r' => vec![b'\r'],
        b't' => vec![b'\t'],
        b'v' => vec![11],
        b's' => vec![b' '],
        b'x' => {
            let mut value = 0_u32;
            for _ in 0..2 {
                let digit = bytes.next_if(u8::is_ascii_hexdigit).and_then(|byte| char::from(byte).to_digit(16));
                value = value * 16 + digit.unwrap_or(0);
            }
            u8::try_from(value).into_iter().collect()
        }
        b'\\' | b'"' | b'\'' => vec![byte],
        other => vec![b'\\', other],
    }
}

/// The commands of one `ExecStart=` value with variables put in: `$NAME` as a word of its own becomes as many words as its
/// value has, `${NAME}` stays one, `$$` is a dollar. The prefixes of the program (`-@:+!|`) are dropped; a lone `;` separates commands.
pub fn commands(value: &[u8], environment: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let (mut out, mut command): (Vec<Vec<Vec<u8>>>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
    for word in split(value) {
        if word.text == b";" && !word.quoted {
            out.push(std::mem::take(&mut command));
            continue;
        }
        if command.is_empty() {
            let start = word.text.iter().position(|byte| !b"-@:+!|".contains(byte)).unwrap_or(word.text.len());
            command.push(word.text.get(start..).unwrap_or_default().to_vec());
            continue;
        }
        let name = word.text.strip_prefix(b"$").filter(|name| is_name(name) && !word.quoted);
        match name {
            Some(name) => {
                let value = environment.get(name).map_or(&b""[..], Vec::as_slice);
                command.extend(split(value).into_iter().map(|word| word.text));
            }
            None => command.push(expand(&word.text, environment)),
        }
    }
    out.push(command);
    out.retain(|command| !command.is_empty());
    out
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn expand(text: &[u8], environment: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some((byte, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"$$") {
            out.push(b'$');
            rest = after;
            continue;
        }
        let braced = rest.strip_prefix(b"${").and_then(|inner| {
            let end = inner.iter().position(|byte| *byte == b'}')?;
            Some((inner.get(..end)?, inner.get(end + 1..)?)).filter(|(name, _)| is_name(name))
        });
        match braced {
            Some((name, after)) => {
                out.extend_from_slice(environment.get(name).map_or(&b""[..], Vec::as_slice));
                rest = after;
            }
            None => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    out
}

/// An environment file: `NAME=value` lines, with `#` and `;` comments, quotes as in a shell, and continuation lines.
pub fn environment_file(bytes: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut pending: Vec<u8> = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n').chain([&b""[..]]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if pending.is_empty()
            && (line.trim_ascii_start().starts_with(b"#") || line.trim_ascii_start().starts_with(b";"))
        {
            continue;
        }
        if let Some(head) = line.strip_suffix(b"\\") {
            pending.extend_from_slice(head);
            continue;
        }
        pending.extend_from_slice(line);
        let text = std::mem::take(&mut pending);
        if let Some((name, value)) = pair(text.trim_ascii())
            && is_name(name.trim_ascii_end())
        {
            out.insert(name.trim_ascii_end().to_vec(), shell_value(value.trim_ascii()));
        }
    }
    out
}

/// Takes shell quotes off a value.
fn shell_value(value: &[u8]) -> Vec<u8> {
    let (mut out, mut quote, mut bytes) = (Vec::new(), None, value.iter().copied());
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (b'"' | b'\'', None) => quote = Some(byte),
            (byte, Some(open)) if byte == open => quote = None,
            (b'\\', None | Some(b'"')) => out.extend(bytes.next()),
            (byte, _) => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &[Vec<u8>]) -> Vec<String> {
        words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    #[test]
    fn sections_continuations_comments_and_resets() {
        let (unit, defects) = parse(b"[Unit]\n# c\nA=1\n[Service]\nExecStart=/a \\\n# inside\n  b\nExecStart=\nExecStart=/c\nnonsense\nOn=yes\n");
        assert_eq!(unit.values("Service", "ExecStart"), [b"/c"]);
        assert_eq!(unit.assignments.get(1).unwrap().value, b"/a    b");
        assert_eq!(unit.assignments.get(1).unwrap().line, 5);
        assert!(unit.is_on("Service", "On"));
        assert_eq!(unit.value("Service", "A"), None);
        assert_eq!(defects.len(), 1);
        assert_eq!(defects.first().unwrap().line, 10);
    }

    #[test]
    fn command_lines_expand_as_systemd_does() {
        let environment =
            BTreeMap::from([(b"OPTS".to_vec(), b"-p 2222 -o 'A b'".to_vec()), (b"P".to_vec(), b"x y".to_vec())]);
        for (value, want) in [
            ("-/usr/sbin/sshd -D $OPTS", vec!["/usr/sbin/sshd", "-D", "-p", "2222", "-o", "A b"]),
            ("/s -f ${P} $NONE", vec!["/s", "-f", "x y"]),
            ("@+/s \"a b\" 'c' d\\x41 $$x", vec!["/s", "a b", "c", "dA", "$x"]),
        ] {
            assert_eq!(text(commands(value.as_bytes(), &environment).first().unwrap()), want, "{value}");
        }
        assert_eq!(commands(b"/a ; /b c", &environment).len(), 2);
        assert!(commands(b"", &environment).is_empty());
    }

    #[test]
    fn environment_files_are_read_like_a_shell_would() {
        let environment = environment_file(
            b"# c\nSSHD_OPTS=\"-p 22\"\nX='a\"b'\nY=a\\\nb\nbad line\n 1=2\nCRYPTO_POLICY='-oCiphers=a'\n",
        );
        let get =
            |name: &str| environment.get(name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned());
        assert_eq!(get("SSHD_OPTS").as_deref(), Some("-p 22"));
        assert_eq!(get("X").as_deref(), Some("a\"b"));
        assert_eq!(get("Y").as_deref(), Some("ab"));
        assert_eq!(get("CRYPTO_POLICY").as_deref(), Some("-oCiphers=a"));
        assert_eq!(get("bad line"), None);
    }
}
