//! A big file of the root, unpacked, in pieces, within what all of them together may take.

use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use hostward_checks::fact::Why;
use hostward_checks::parse::gzip::Gzip;
use hostward_checks::parse::lz4::Lz4;

use crate::root::Root;

/// What all files of one look may take: time on the clock, and bytes once they are unpacked. The lists of a whole distribution are a
/// hundred million bytes; unpacked, a small file may be as many as it likes.
#[derive(Debug)]
pub(super) struct Allowance {
    until: Instant,
    bytes: u64,
}

/// Bytes of all files, unpacked.
const BYTES: u64 = 1 << 30;
const TIME: Duration = Duration::from_secs(30);

impl Default for Allowance {
    fn default() -> Self {
        Self { until: Instant::now() + TIME, bytes: BYTES }
    }
}

impl Allowance {
    /// Takes so many bytes of it.
    ///
    /// # Errors
    /// Nothing is left.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Why> {
        if Instant::now() >= self.until {
            return Err(Why::TimedOut);
        }
        self.bytes = self.bytes.checked_sub(bytes as u64).ok_or(Why::TooLarge(BYTES))?;
        Ok(())
    }
}

/// Reads the file at a canonical path, giving `each` one piece after the other. `packed` is how it is compressed: `gz`, `lz4`, or
/// nothing.
///
/// # Errors
/// Why not all of it was read.
pub(super) fn read(
    root: &Root,
    path: &Path,
    packed: &str,
    allowance: &mut Allowance,
    each: &mut dyn FnMut(&[u8]),
) -> Result<(), Why> {
    let file = BufReader::with_capacity(64 << 10, root.open_file(path)?);
    let mut unpacked: Box<dyn Read> = match packed {
        "" => Box::new(file),
        "gz" => Box::new(Gzip::new(file)),
        "lz4" => Box::new(Lz4::new(file)),
        other => return Err(Why::Failed(format!("is compressed as {other}, which hostward does not read"))),
    };
    let mut buffer = vec![0; 64 << 10];
    loop {
        match unpacked.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                allowance.take(count)?;
                each(buffer.get(..count).unwrap_or_default());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Why::Defect(error.to_string())),
        }
    }
}
