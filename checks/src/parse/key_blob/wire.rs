//! The strings and numbers of SSH's wire format (RFC 4251 §5), read as `sshbuf-getput-basic.c` reads them.

use super::BlobDefect;

/// `sshbuf.h:SSHBUF_MAX_BIGNUM`: bytes of the largest number.
const MAX_NUMBER: usize = 16_384 / 8;

/// What is left to read of a blob.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire<'a> {
    rest: &'a [u8],
}

impl<'a> Wire<'a> {
    /// A reader at the start of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], BlobDefect> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(BlobDefect::Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    /// A 32-bit number.
    pub(crate) fn u32(&mut self) -> Result<u32, BlobDefect> {
        let bytes = self.take(4)?.try_into().map_err(|_| BlobDefect::Truncated)?;
        Ok(u32::from_be_bytes(bytes))
    }

    /// A 64-bit number.
    pub(crate) fn u64(&mut self) -> Result<u64, BlobDefect> {
        let bytes = self.take(8)?.try_into().map_err(|_| BlobDefect::Truncated)?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// A string of bytes.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], BlobDefect> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| BlobDefect::Truncated)?)
    }

    /// A string that becomes a C string: one NUL at its end is dropped, any other refused (`sshbuf_get_cstring`).
    pub(crate) fn text(&mut self) -> Result<&'a [u8], BlobDefect> {
        let bytes = self.string()?;
        let text = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        if text.contains(&0) { Err(BlobDefect::NulInText) } else { Ok(text) }
    }

    /// A non-negative number without its leading zeros (`sshbuf_get_bignum2_bytes_direct`).
    pub(crate) fn number(&mut self) -> Result<&'a [u8], BlobDefect> {
        let bytes = self.string()?;
        let first = bytes.first().copied().unwrap_or(0);
        if first & 0x80 != 0 || bytes.len() > MAX_NUMBER + 1 || (bytes.len() == MAX_NUMBER + 1 && first != 0) {
            return Err(BlobDefect::BadNumber);
        }
        let zeros = bytes.iter().take_while(|b| **b == 0).count();
        Ok(bytes.get(zeros..).unwrap_or_default())
    }
}

/// Appends a string with its length.
pub(crate) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    // What is written was read from a string of at least this length, so it fits.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a number as `sshbuf_put_bignum2_bytes`: minimal, with a zero byte where the top bit is set.
pub(crate) fn put_number(out: &mut Vec<u8>, bytes: &[u8]) {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let bytes = bytes.get(zeros..).unwrap_or_default();
    let pad = bytes.first().is_some_and(|b| b & 0x80 != 0);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_add(u32::from(pad));
    out.extend_from_slice(&length.to_be_bytes());
    if pad {
        out.push(0);
    }
    out.extend_from_slice(bytes);
}
