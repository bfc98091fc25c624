//! Paragraphs of fields as they stream by: dpkg's status and apt's package lists are too big to be held.

/// A line is read so far and no further: what is asked for is never so long.
const LINE: usize = 4 << 10;

/// Takes bytes in pieces of any size, and keeps the wanted fields of one paragraph at a time.
#[derive(Debug)]
pub struct Paragraphs {
    wanted: &'static [&'static str],
    values: Vec<Option<String>>,
    /// What was read of a line that goes on in the next piece.
    line: Vec<u8>,
    /// The line is longer than what is kept of it.
    cut: bool,
    any: bool,
}

/// One paragraph: the wanted fields that it has.
#[derive(Debug)]
pub struct Paragraph<'p> {
    wanted: &'static [&'static str],
    values: &'p [Option<String>],
}

impl Paragraph<'_> {
    /// The first line of a field. None: it has no such field, it is longer than a line may be, or it is no UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.wanted.iter().position(|wanted| *wanted == name)?;
        self.values.get(at)?.as_deref()
    }
}

impl Paragraphs {
    /// Begins a stream of which these fields are wanted.
    pub fn new(wanted: &'static [&'static str]) -> Self {
        Self { wanted, values: vec![None; wanted.len()], line: Vec::new(), cut: false, any: false }
    }

    /// The next bytes. `each` is given every paragraph that ends in them.
    pub fn feed(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(&Paragraph<'_>)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (bytes.get(..end).unwrap_or_default(), bytes.get(end + 1..).unwrap_or_default());
            if self.line.is_empty() && line.len() <= LINE {
                self.line(line, each);
            } else {
                self.hold(line);
                self.end_line(each);
            }
            bytes = rest;
        }
        self.hold(bytes);
    }

    /// The end of the stream.
    pub fn end(&mut self, each: &mut dyn FnMut(&Paragraph<'_>)) {
        self.end_line(each);
        self.line(b"", each);
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = LINE.saturating_sub(self.line.len());
        self.line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.cut |= bytes.len() > room;
    }

    fn end_line(&mut self, each: &mut dyn FnMut(&Paragraph<'_>)) {
        let line = std::mem::take(&mut self.line);
        if !std::mem::take(&mut self.cut) {
            self.line(&line, each);
        }
    }

    fn line(&mut self, line: &[u8], each: &mut dyn FnMut(&Paragraph<'_>)) {
        if line.iter().all(|byte| b" \t\r".contains(byte)) {
            if std::mem::take(&mut self.any) {
                each(&Paragraph { wanted: self.wanted, values: &self.values });
                self.values.fill(None);
            }
            return;
        }
        self.any = true;
        let named = |name: &str| {
            let (its, rest) = line.split_at_checked(name.len())?;
            rest.strip_prefix(b":").filter(|_| its.eq_ignore_ascii_case(name.as_bytes()))
        };
        let found = self.wanted.iter().zip(&mut self.values).find_map(|(name, slot)| Some((named(name)?, slot)));
        if let Some((value, slot @ None)) = found {
            *slot = std::str::from_utf8(value.trim_ascii()).ok().map(str::to_owned);
        }
    }
}

/// The paragraphs of bytes that are all there, each as its wanted fields.
pub fn all(wanted: &'static [&'static str], bytes: &[u8], each: &mut dyn FnMut(&Paragraph<'_>)) {
    let mut paragraphs = Paragraphs::new(wanted);
    paragraphs.feed(bytes, each);
    paragraphs.end(each);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<(Option<String>, Option<String>)> {
        let (mut paragraphs, mut out) = (Paragraphs::new(&["Package", "Version"]), Vec::new());
        let mut each = |one: &Paragraph<'_>| {
            out.push((one.get("Package").map(str::to_owned), one.get("Version").map(str::to_owned)));
        };
        for piece in pieces {
            paragraphs.feed(piece, &mut each);
        }
        paragraphs.end(&mut each);
        out
    }

    const TEXT: &str =
        "\nPackage: a\nDescription: b\n Package: c\n .\n\tVersion: 9\npackage: twice\nversion:1.0-1 \n\n \nPackage: d";

    #[test]
    fn fields_are_told_by_paragraph_and_only_their_first_line() {
        let some = |text: &str| Some(text.to_owned());
        let wanted = [(some("a"), some("1.0-1")), (some("d"), None)];
        assert_eq!(read(&[TEXT.as_bytes()]), wanted);
        assert_eq!(Paragraph { wanted: &[], values: &[] }.get("Package"), None);
    }

    #[test]
    fn what_is_too_long_or_no_text_is_not_there() {
        let long = "x".repeat(LINE);
        let text = format!("Package: {long}\nVersion: 1\n\nPackage: b\nVersion: \u{0}\n");
        let mut bytes = text.into_bytes();
        let at = bytes.iter().position(|byte| *byte == 0).unwrap();
        bytes[at] = 0xff;
        let wanted = [(None, Some("1".to_owned())), (Some("b".to_owned()), None)];
        assert_eq!(read(&[&bytes]), wanted);
        assert_eq!(read(&bytes.chunks(1000).collect::<Vec<_>>()), wanted);
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_are_the_same(size in 1..40_usize) {
            prop_assert_eq!(read(&TEXT.as_bytes().chunks(size).collect::<Vec<_>>()), read(&[TEXT.as_bytes()]));
        }

        #[test]
        fn any_bytes_parse(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            read(&[&bytes]);
        }
    }
}
