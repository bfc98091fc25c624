//! LZ4 frames, as apt keeps its lists where it keeps them compressed. The checksums in them are not looked at: what comes out is a
//! list of packages or it is not.

use std::io::{Error, ErrorKind, Read, Result};

/// How far back a sequence reaches.
const WINDOW: usize = 64 << 10;
const MAGIC: u32 = 0x184d_2204;
/// The first of sixteen numbers that begin a frame of somebody else's data.
const SKIPPED: u32 = 0x184d_2a50;

/// Reads what a stream of frames holds.
#[derive(Debug)]
pub struct Lz4<R> {
    inner: R,
    frame: Option<Frame>,
    /// What was read last, and before it what later blocks may repeat.
    out: Vec<u8>,
    at: usize,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    linked: bool,
    block_checksum: bool,
    content_checksum: bool,
    largest: usize,
}

fn bad(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

impl<R: Read> Lz4<R> {
    /// Begins at the first frame.
    pub fn new(inner: R) -> Self {
        Self { inner, frame: None, out: Vec::new(), at: 0 }
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self, count: u64) -> Result<()> {
        let skipped = std::io::copy(&mut self.inner.by_ref().take(count), &mut std::io::sink())?;
        if skipped == count { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    /// The head of the next frame. None: there is none.
    fn head(&mut self) -> Result<Option<Frame>> {
        loop {
            let mut magic = Vec::with_capacity(4);
            self.inner.by_ref().take(4).read_to_end(&mut magic)?;
            if magic.is_empty() {
                return Ok(None);
            }
            let magic: [u8; 4] = magic.try_into().map_err(|_| bad("ends within a frame"))?;
            match u32::from_le_bytes(magic) {
                MAGIC => return self.descriptor().map(Some),
                skipped if skipped & !15 == SKIPPED => {
                    let length = u32::from_le_bytes(self.bytes()?);
                    self.skip(u64::from(length))?;
                }
                _ => return Err(bad("is no LZ4 frame")),
            }
        }
    }

    fn descriptor(&mut self) -> Result<Frame> {
        let [flags, sizes] = self.bytes()?;
        let largest = match sizes >> 4 & 7 {
            size @ 4..=7 => 1 << (8 + 2 * size),
            _ => return Err(bad("is an LZ4 frame of an unknown block size")),
        };
        if flags >> 6 != 1 || flags & 1 != 0 {
            return Err(bad("is an LZ4 frame of an unknown version, or with a dictionary"));
        }
        // The size of the content, and the checksum of the head.
        self.skip(if flags & 8 == 0 { 1 } else { 9 })?;
        let has = |bit: u8| flags & bit != 0;
        Ok(Frame { linked: !has(32), block_checksum: has(16), content_checksum: has(4), largest })
    }

    /// Reads a block into [`Self::out`]. False: nothing is left.
    fn block(&mut self) -> Result<bool> {
        let Some(frame) = self.frame.map_or_else(|| self.head(), |frame| Ok(Some(frame)))? else { return Ok(false) };
        self.frame = Some(frame);
        let word = u32::from_le_bytes(self.bytes()?);
        if word == 0 {
            self.skip(if frame.content_checksum { 4 } else { 0 })?;
            self.frame = None;
            self.out.clear();
            self.at = 0;
            return Ok(true);
        }
        let (size, plain) = ((word & 0x7fff_ffff) as usize, word >> 31 == 1);
        if size > frame.largest {
            return Err(bad("has an LZ4 block larger than its frame allows"));
        }
        let kept = if frame.linked { WINDOW } else { 0 };
        self.out.drain(..self.out.len().saturating_sub(kept));
        self.at = self.out.len();
        let mut block = vec![0; size];
        self.inner.read_exact(&mut block)?;
        if plain {
            self.out.append(&mut block);
        } else {
            decode(&block, &mut self.out, self.at + frame.largest).ok_or_else(|| bad("has a broken LZ4 block"))?;
        }
        self.skip(if frame.block_checksum { 4 } else { 0 })?;
        Ok(true)
    }
}

impl<R: Read> Read for Lz4<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while self.at == self.out.len() {
            if !self.block()? {
                return Ok(0);
            }
        }
        let read = self.out.get(self.at..).unwrap_or_default().read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

/// Decodes a block behind what is there; no further than `limit`. None: it is no block.
fn decode(mut block: &[u8], out: &mut Vec<u8>, limit: usize) -> Option<()> {
    loop {
        let token = take(&mut block, 1)?.first().copied()?;
        let literals = length(token >> 4, &mut block)?;
        out.extend_from_slice(take(&mut block, literals)?);
        if block.is_empty() {
            return (out.len() <= limit).then_some(());
        }
        let offset = usize::from(u16::from_le_bytes(take(&mut block, 2)?.try_into().ok()?));
        let count = length(token & 15, &mut block)?.checked_add(4)?;
        let mut from = out.len().checked_sub(offset).filter(|_| offset > 0)?;
        let end = out.len().checked_add(count).filter(|end| *end <= limit)?;
        while out.len() < end {
            // What it repeats may be what it is about to write.
            let piece = (out.len() - from).min(end - out.len());
            out.extend_from_within(from..from + piece);
            from += piece;
        }
    }
}

fn take<'b>(block: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, rest) = block.split_at_checked(count)?;
    *block = rest;
    Some(taken)
}

/// A length of which the token has the beginning.
fn length(start: u8, block: &mut &[u8]) -> Option<usize> {
    let mut length = usize::from(start);
    if start == 15 {
        loop {
            let more = take(block, 1)?.first().copied()?;
            length = length.checked_add(usize::from(more))?;
            if more != 255 {
                break;
            }
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame with blocks that depend on each other, without checksums.
    fn frame(blocks: &[&[u8]]) -> Vec<u8> {
        let mut bytes = [&MAGIC.to_le_bytes()[..], &[0x40, 0x40, 0]].concat();
        for block in blocks {
            bytes.extend((block.len() as u32).to_le_bytes());
            bytes.extend_from_slice(block);
        }
        bytes.extend([0; 4]);
        bytes
    }

    fn read(bytes: &[u8]) -> std::result::Result<String, String> {
        let mut out = String::new();
        Lz4::new(bytes).read_to_string(&mut out).map(|_| out).map_err(|error| error.to_string())
    }

    #[test]
    fn blocks_repeat_what_came_before() {
        // "abc", then nine bytes from three back; five literals end it.
        let first = [0x35, b'a', b'b', b'c', 3, 0, 0x50, b'1', b'2', b'3', b'4', b'5'];
        // Four bytes of the block before.
        let second = [0x10, b'-', 13, 0, 0x10, b'.'];
        assert_eq!(read(&frame(&[&first])).unwrap(), "abcabcabcabc12345");
        let both = frame(&[&first, &second]);
        assert_eq!(read(&both).unwrap(), "abcabcabcabc12345-cabc.");
        let skipped = [&0x184d_2a51_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"xyz", &both].concat();
        assert_eq!(read(&skipped).unwrap(), "abcabcabcabc12345-cabc.");
        assert_eq!(read(&[both.clone(), frame(&[&first])].concat()).unwrap().len(), 23 + 17);
        for end in 1..both.len() {
            assert!(read(&both[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert_eq!(read(b"").unwrap(), "");
        assert_eq!(read(b"Package: a\n").unwrap_err(), "is no LZ4 frame");
        assert!(read(&frame(&[&[0x10, b'a', 2, 0, 0]])).is_err(), "reaches before the beginning");
        assert!(read(&frame(&[&[0x10, b'a', 0, 0, 0]])).is_err(), "repeats itself");
        let bomb = [&[0x1f, b'a', 1, 0][..], &[255; 400], &[0]].concat();
        assert!(read(&frame(&[&bomb])).is_err(), "a block of more than 64 KiB");
    }

    proptest! {
        #[test]
        fn any_block_ends(block in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            let _ = decode(&block, &mut out, 1 << 16);
            prop_assert!(out.len() <= (1 << 16) + block.len());
        }
    }
}
