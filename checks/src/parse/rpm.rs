//! What rpm, dnf and yum keep: the database of what is installed, the advisories of archives, and their configuration.

pub mod berkeley;
pub mod conf;
pub mod header;
pub mod spec;
pub mod sqlite;
pub mod updateinfo;

/// A file that is read in places: a database is too big to be held.
pub trait Pages {
    /// Fills the buffer from this place on. None: the file is shorter, or could not be read.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Option<()>;
}

impl Pages for &[u8] {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Option<()> {
        let start = usize::try_from(offset).ok()?;
        buffer.copy_from_slice(self.get(start..start.checked_add(buffer.len())?)?);
        Some(())
    }
}

/// The longest header that is read: a package with some hundred thousand files has one of ten megabytes.
const HEADER_LIMIT: usize = 32 << 20;

/// Bytes of a page, as numbers.
#[derive(Clone, Copy)]
struct Bytes<'b>(&'b [u8]);

impl Bytes<'_> {
    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn be32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    fn be16(self, at: usize) -> Option<usize> {
        self.array(at).map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    fn byte(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }
}
