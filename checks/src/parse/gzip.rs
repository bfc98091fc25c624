//! gzip (RFC 1952): what package managers keep their lists in. The checksums in it are not looked at.

use std::io::{BufRead, Error, ErrorKind, Read, Result};

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush, MZStatus};

/// Reads what a stream of members holds.
pub struct Gzip<R> {
    inner: R,
    /// None: between two members.
    member: Option<Box<InflateState>>,
}

impl<R> std::fmt::Debug for Gzip<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gzip").field("in_member", &self.member.is_some()).finish_non_exhaustive()
    }
}

impl<R: BufRead> Gzip<R> {
    /// Begins at the first member.
    pub fn new(inner: R) -> Self {
        Self { inner, member: None }
    }

    fn skip_text(&mut self) -> Result<()> {
        loop {
            let buffer = self.inner.fill_buf()?;
            let (length, end) =
                buffer.iter().position(|byte| *byte == 0).map_or((buffer.len(), false), |at| (at + 1, true));
            if length == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.inner.consume(length);
            if end {
                return Ok(());
            }
        }
    }

    fn head(&mut self) -> Result<()> {
        let mut head = [0; 10];
        self.inner.read_exact(&mut head)?;
        let [0x1f, 0x8b, 8, flags, ..] = head else {
            return Err(Error::new(ErrorKind::InvalidData, "is no gzip member"));
        };
        if flags & 4 != 0 {
            let mut length = [0; 2];
            self.inner.read_exact(&mut length)?;
            let length = u64::from(u16::from_le_bytes(length));
            std::io::copy(&mut self.inner.by_ref().take(length), &mut std::io::sink())?;
        }
        for bit in [8, 16] {
            if flags & bit != 0 {
                self.skip_text()?;
            }
        }
        if flags & 2 != 0 {
            self.inner.read_exact(&mut [0; 2])?;
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            if self.member.is_none() {
                if buffer.is_empty() || self.inner.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                self.head()?;
            }
            let member = self.member.get_or_insert_with(|| InflateState::new_boxed(DataFormat::Raw));
            let input = self.inner.fill_buf()?;
            let all = input.is_empty();
            let step = inflate(member, input, buffer, MZFlush::None);
            self.inner.consume(step.bytes_consumed);
            match step.status {
                Ok(MZStatus::StreamEnd) => {
                    self.member = None;
                    self.inner.read_exact(&mut [0; 8])?;
                }
                _ if step.bytes_written > 0 => {}
                Err(_) if !all => return Err(Error::new(ErrorKind::InvalidData, "is broken gzip")),
                _ if all => return Err(ErrorKind::UnexpectedEof.into()),
                _ => {}
            }
            if step.bytes_written > 0 {
                return Ok(step.bytes_written);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use miniz_oxide::deflate::compress_to_vec;

    use super::*;

    fn member(text: &[u8], flags: u8, between: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
        bytes.extend_from_slice(between);
        bytes.extend(compress_to_vec(text, 6));
        bytes.extend([0; 8]);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        // Small pieces, so that nothing rests on how much comes at once.
        let pieces = std::io::BufReader::with_capacity(7, bytes);
        Gzip::new(pieces).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn members_follow_each_other() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(|n| (n % 1000).to_string().into_bytes()).collect();
        let plain = member(&text, 0, b"");
        assert_eq!(read(&plain).unwrap(), text);
        let full = member(b"x", 2 | 4 | 8 | 16, b"\x03\x00abcname\0comment\0hc");
        assert_eq!(read(&[full, plain.clone()].concat()).unwrap().len(), text.len() + 1);
        for end in [1, 9, 12, plain.len() / 2, plain.len() - 9, plain.len() - 1] {
            assert!(read(&plain[..end]).is_err(), "cut at {end}");
        }
        assert!(read(b"Package: a\n").is_err());
        assert_eq!(read(b"").unwrap(), b"");
    }
}
