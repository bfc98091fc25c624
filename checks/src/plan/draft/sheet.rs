//! A text file whose lines are changed by their numbers; every other byte stays what it is.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A text file being edited. Line numbers are those of the file as it was, whatever was changed before.
#[derive(Clone, Debug)]
pub struct Sheet {
    original: Arc<[u8]>,
    changed: BTreeMap<usize, Option<Vec<u8>>>,
    top: Vec<u8>,
    bottom: Vec<u8>,
}

impl Sheet {
    /// A file with this content; None where it holds NUL bytes, which programs read in ways of their own.
    pub fn new(original: Arc<[u8]>) -> Option<Self> {
        (!original.contains(&0)).then_some(Self {
            original,
            changed: BTreeMap::new(),
            top: Vec::new(),
            bottom: Vec::new(),
        })
    }

    /// The lines as they were, without their ends, from line 1.
    pub fn lines(&self) -> impl Iterator<Item = (u32, &[u8])> {
        (1..).zip(self.original.split_inclusive(|byte| *byte == b'\n').map(|line| parts(line).0))
    }

    /// A line as it is now, without its end; None: there is no such line, or it was removed.
    pub fn line(&self, number: u32) -> Option<&[u8]> {
        let index = usize::try_from(number).ok()?;
        match self.changed.get(&index) {
            Some(Some(text)) => Some(text),
            Some(None) => None,
            None => self.lines().nth(index.checked_sub(1)?).map(|(_, line)| line),
        }
    }

    /// Puts other words in a line's place; it keeps its own end.
    pub fn replace(&mut self, number: u32, text: impl Into<Vec<u8>>) {
        if let Ok(index) = usize::try_from(number) {
            self.changed.insert(index, Some(text.into()));
        }
    }

    /// Takes a line out, with its end.
    pub fn remove(&mut self, number: u32) {
        if let Ok(index) = usize::try_from(number) {
            self.changed.insert(index, None);
        }
    }

    /// What stands before the first line; whole lines.
    pub fn set_top(&mut self, lines: &[u8]) {
        self.top = lines.to_vec();
    }

    /// Puts a line after the last one.
    pub fn append(&mut self, line: &[u8]) {
        self.bottom.extend_from_slice(line);
        self.bottom.push(b'\n');
    }

    /// The whole as it is now.
    pub fn content(&self) -> Vec<u8> {
        let mut out = self.top.clone();
        for (index, line) in (1..).zip(self.original.split_inclusive(|byte| *byte == b'\n')) {
            match self.changed.get(&index) {
                Some(Some(text)) => {
                    out.extend_from_slice(text);
                    out.extend_from_slice(parts(line).1);
                }
                Some(None) => {}
                None => out.extend_from_slice(line),
            }
        }
        if !self.bottom.is_empty() {
            if out.last().is_some_and(|byte| *byte != b'\n') {
                out.push(b'\n');
            }
            out.extend_from_slice(&self.bottom);
        }
        out
    }
}

/// A line and its end: a line feed, a carriage return before it, or nothing.
fn parts(line: &[u8]) -> (&[u8], &[u8]) {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = if text.len() < line.len() { text.strip_suffix(b"\r").unwrap_or(text) } else { text };
    line.split_at(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_changes() {
        for (before, want) in
            [("a\r\nb\r\nc", "top\na\r\nB\r\nnew\n"), ("a\nb\n", "top\na\nB\nnew\n"), ("a\nb", "top\na\nB\nnew\n")]
        {
            let mut sheet = Sheet::new(Arc::from(before.as_bytes())).unwrap();
            sheet.replace(2, *b"B");
            sheet.remove(3);
            sheet.append(b"new");
            sheet.set_top(b"top\n");
            assert_eq!(String::from_utf8(sheet.content()).unwrap(), want, "{before:?}");
            assert_eq!((sheet.line(1), sheet.line(2), sheet.line(3)), (Some(&b"a"[..]), Some(&b"B"[..]), None));
        }
        assert!(Sheet::new(Arc::from(&b"a\0"[..])).is_none());
        assert_eq!(Sheet::new(Arc::from(&b"x\n\r\n"[..])).unwrap().content(), b"x\n\r\n");
    }
}
