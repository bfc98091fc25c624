//! Numbers out of bytes that may be too few, and the messages of binary protocols.

/// So many bytes from there on.
pub(super) fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// A length in front, big endian, that counts itself where `itself` says so; then the bytes.
pub(super) fn framed(body: &[u8], itself: bool) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX - 4) + if itself { 4 } else { 0 };
    [&length.to_be_bytes(), body].concat()
}

/// The bytes up to a zero byte, and what follows it.
pub(super) fn c_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// The first line, without its end.
pub(super) fn line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    bytes.get(..end).map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}
