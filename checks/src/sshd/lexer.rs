//! How sshd cuts a file into lines and a line into words: the two eras of `load_server_config`, `strdelim` and `argv_split`.
//!
//! Up to 8.6 every `#` starts a comment and words are cut one by one by `strdelim`, which also takes an `=`. From 8.7
//! on only the keyword is cut that way and the rest by `argv_split`, which knows both quotes and a backslash.

/// What `misc.c` calls white space.
pub(crate) const WHITESPACE: &[u8] = b" \t\r\n";

/// The longest line of an sshd before 8.0, which read into a buffer of 4096 bytes.
const OLD_LINE: usize = 4095;

/// A file as sshd keeps it: its logical lines, and the line that is too long for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    /// The lines; the first is line 1 of every message.
    pub(crate) lines: Vec<Vec<u8>>,
    /// The line at which an old sshd gives up (`too long`).
    pub(crate) too_long: Option<u32>,
}

/// Cuts a file into logical lines (`servconf.c:load_server_config`). A NUL ends its line together with its line
/// feed, so that the next line joins it and the numbers shift.
pub(crate) fn lines(content: &[u8], comments_anywhere: bool, limited: bool) -> Lines {
    let (mut out, mut rest, mut number) = (Vec::with_capacity(content.len()), content, 0_u32);
    while !rest.is_empty() {
        number = number.saturating_add(1);
        let mut end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        if limited {
            end = end.min(OLD_LINE);
        }
        let (line, tail) = rest.split_at(end);
        rest = tail;
        let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
        if limited && line.len() == OLD_LINE {
            return Lines { lines: Vec::new(), too_long: Some(number) };
        }
        let start = line.iter().position(|byte| !b" \t\r".contains(byte)).unwrap_or(line.len());
        match line.iter().position(|byte| *byte == b'#').filter(|_| comments_anywhere) {
            Some(at) => {
                out.extend_from_slice(line.get(start..at).unwrap_or_default());
                out.push(b'\n');
            }
            None => out.extend_from_slice(line.get(start..).unwrap_or_default()),
        }
    }
    Lines { lines: out.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect(), too_long: None }
}

/// The length of the white space at the start.
pub(crate) fn leading_space(text: &[u8]) -> usize {
    text.iter().position(|byte| !WHITESPACE.contains(byte)).unwrap_or(text.len())
}

/// Cuts the next word off (`misc.c:strdelim_internal`). None: nothing left, or a quote without its end; the rest is
/// gone then.
pub(crate) fn strdelim(rest: &mut Option<Vec<u8>>, split_equals: bool) -> Option<Vec<u8>> {
    let mut text = rest.take()?;
    let delimiter = |byte: &u8| WHITESPACE.contains(byte) || *byte == b'"' || (split_equals && *byte == b'=');
    let Some(at) = text.iter().position(delimiter) else { return Some(text) };
    if text.get(at) == Some(&b'"') {
        text.remove(at);
        let end = at + text.get(at..)?.iter().position(|byte| *byte == b'"')?;
        let after = text.split_off(end);
        let after = after.get(1..).unwrap_or_default();
        *rest = Some(after.get(leading_space(after)..).unwrap_or_default().to_vec());
        return Some(text);
    }
    let after = text.split_off(at);
    let equals = split_equals && after.first() == Some(&b'=');
    let mut after = after.get(1..).unwrap_or_default();
    after = after.get(leading_space(after)..).unwrap_or_default();
    if split_equals && !equals && after.first() == Some(&b'=') {
        after = after.get(1..).unwrap_or_default();
        after = after.get(leading_space(after)..).unwrap_or_default();
    }
    *rest = Some(after.to_vec());
    Some(text)
}

/// Cuts a string into words (`misc.c:argv_split` of 8.7 and later). None: a quote without its end.
pub(crate) fn argv_split(text: &[u8], terminate_on_comment: bool) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut bytes = text.iter().copied().peekable();
    while let Some(&first) = bytes.peek() {
        if first == b' ' || first == b'\t' {
            bytes.next();
            continue;
        }
        if terminate_on_comment && first == b'#' {
            break;
        }
        let (mut word, mut quote) = (Vec::new(), None);
        while let Some(byte) = bytes.next() {
            match (byte, quote) {
                (b'\\', _) => match bytes.peek() {
                    Some(&next) if b"'\"\\".contains(&next) || (quote.is_none() && next == b' ') => {
                        word.push(next);
                        bytes.next();
                    }
                    _ => word.push(byte),
                },
                (b' ' | b'\t', None) => break,
                (b'"' | b'\'', None) => quote = Some(byte),
                (byte, Some(open)) if byte == open => quote = None,
                (byte, _) => word.push(byte),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
    Some(words)
}

/// Joins words so that `argv_split` would cut them again (`misc.c:argv_assemble`).
pub(crate) fn argv_assemble(words: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        let spaced = word.iter().any(|byte| *byte == b' ' || *byte == b'\t');
        if spaced {
            out.push(b'"');
        }
        for byte in word {
            if b"\\'\"".contains(byte) {
                out.push(b'\\');
            }
            out.push(*byte);
        }
        if spaced {
            out.push(b'"');
        }
    }
    out
}

/// The arguments of one line, as its keyword's handler takes them.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    /// The raw text after the keyword (`str` and `cp` of `process_server_config_line_depth`).
    pub(crate) rest: Option<Vec<u8>>,
    /// The words, from 8.7 on.
    words: Option<std::collections::VecDeque<Vec<u8>>>,
}

impl Args {
    /// The arguments of an sshd up to 8.6: words are cut off the raw text.
    pub(crate) fn old(rest: Option<Vec<u8>>) -> Self {
        Self { rest, words: None }
    }

    /// The arguments of an sshd from 8.7 on. None: a quote without its end.
    pub(crate) fn split(rest: Option<Vec<u8>>) -> Option<Self> {
        let words = argv_split(rest.as_deref().unwrap_or_default(), true)?;
        Some(Self { rest, words: Some(words.into()) })
    }

    /// The next word.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        match &mut self.words {
            Some(words) => words.pop_front(),
            None => strdelim(&mut self.rest, true),
        }
    }

    /// The next word, empty ones being as good as none.
    pub(crate) fn next_filled(&mut self) -> Option<Vec<u8>> {
        self.next().filter(|word| !word.is_empty())
    }

    /// The next word of a list; an old sshd's lists end at an empty word. `equals` says whether it also cuts at `=`.
    pub(crate) fn next_in_list(&mut self, equals: bool) -> Option<Vec<u8>> {
        match &mut self.words {
            Some(words) => words.pop_front(),
            None => strdelim(&mut self.rest, equals).filter(|word| !word.is_empty()),
        }
    }

    /// The next word without taking it: of an old sshd the whole rest.
    pub(crate) fn peek(&self) -> Option<&[u8]> {
        match &self.words {
            Some(words) => words.front().map(Vec::as_slice),
            None => self.rest.as_deref(),
        }
    }

    /// How many words are left, where words were cut beforehand.
    pub(crate) fn left(&self) -> usize {
        self.words.as_ref().map_or(0, std::collections::VecDeque::len)
    }

    /// Takes all words that are left.
    pub(crate) fn take_all(&mut self) -> Vec<Vec<u8>> {
        self.words.as_mut().map(|words| words.drain(..).collect()).unwrap_or_default()
    }

    /// Drops what is left: the handler took the raw text.
    pub(crate) fn consume(&mut self) {
        self.take_all();
        if self.words.is_none() {
            self.rest = None;
        }
    }

    /// The first word too many, if any.
    pub(crate) fn garbage(&mut self) -> Option<Vec<u8>> {
        match &mut self.words {
            Some(words) => words.pop_front(),
            None => strdelim(&mut self.rest, true).filter(|word| !word.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delim_all(text: &str, equals: bool) -> Vec<String> {
        let mut rest = Some(text.as_bytes().to_vec());
        let mut out = Vec::new();
        while let Some(word) = strdelim(&mut rest, equals) {
            out.push(String::from_utf8(word).unwrap());
        }
        out
    }

    #[test]
    fn strdelim_cuts_like_misc_c() {
        for (text, want) in [
            ("a b", vec!["a", "b"]),
            ("a=b", vec!["a", "b"]),
            ("a = b", vec!["a", "b"]),
            ("a==b", vec!["a", "", "b"]),
            ("a \"b c\" d", vec!["a", "b c", "d"]),
            ("a x\"b c\"d", vec!["a", "xb c", "d"]),
            ("a \"b", vec!["a"]),
            ("a ", vec!["a", ""]),
        ] {
            assert_eq!(delim_all(text, true), want, "{text:?}");
        }
        assert_eq!(delim_all("A=b C", false), ["A=b", "C"]);
    }

    #[test]
    fn argv_split_knows_quotes_escapes_and_comments() {
        let split = |text: &str| {
            argv_split(text.as_bytes(), true)
                .map(|words| words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect::<Vec<_>>())
        };
        assert_eq!(split("a 'b c' \"d e\"f").unwrap(), ["a", "b c", "d ef"]);
        assert_eq!(split("a\\ b \\x").unwrap(), ["a b", "\\x"]);
        assert_eq!(split("a no#x # y").unwrap(), ["a", "no#x"]);
        assert_eq!(split("''").unwrap(), [""]);
        assert_eq!(split("a 'b"), None);
        assert_eq!(argv_assemble(&[b"a b".to_vec(), b"c\"".to_vec()]), b"\"a b\" c\\\"");
    }

    #[test]
    fn nul_joins_lines_and_old_comments_cut_anywhere() {
        let got = lines(b"PermitRootLogin no\0x\nPort 2222\n", false, false).lines;
        assert_eq!(got, [b"PermitRootLogin noPort 2222".to_vec(), Vec::new()]);
        assert_eq!(lines(b" a \"b#c\"\nd", true, false).lines, [b"a \"b".to_vec(), b"d".to_vec()]);
        assert_eq!(lines(&[b'x'; 5000], false, true).too_long, Some(1));
        assert_eq!(lines(&[b'x'; 5000], false, false).too_long, None);
    }
}
