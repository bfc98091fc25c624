//! Memory that outlives a guess: yescrypt and scrypt work in megabytes that need not be given back in between.

use std::fmt;

/// A block of 64 bytes.
type Block = [u64; 8];

/// The memory that a hash asks for cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not enough memory for the hash")]
pub struct OutOfMemory;

/// Memory for guesses: one for each thread, for any number of hashes; grows to the largest and keeps it.
#[derive(Default)]
pub struct Workspace {
    blocks: Vec<Block>,
}

/// What [`Workspace::blocks`] lends.
pub(super) struct Parts<'a> {
    pub(super) memory: &'a mut [Block],
    pub(super) x: &'a mut [Block],
    pub(super) y: &'a mut [Block],
}

impl fmt::Debug for Workspace {
    /// The size only: the content derives from passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workspace({} bytes)", self.blocks.len() * size_of::<Block>())
    }
}

impl Workspace {
    /// Three separate parts: `memory` blocks, and twice `width`. Their content is whatever was left there.
    pub(super) fn blocks(&mut self, memory: usize, width: usize) -> Result<Parts<'_>, OutOfMemory> {
        let needed = width.checked_mul(2).and_then(|w| w.checked_add(memory)).ok_or(OutOfMemory)?;
        if self.blocks.len() < needed {
            // Not both at once.
            self.blocks = Vec::new();
            self.blocks.try_reserve_exact(needed).map_err(|_| OutOfMemory)?;
            self.blocks.resize(needed, [0; 8]);
        }
        let used = self.blocks.get_mut(..needed).ok_or(OutOfMemory)?;
        let (memory, rest) = used.split_at_mut_checked(memory).ok_or(OutOfMemory)?;
        let (x, y) = rest.split_at_mut_checked(width).ok_or(OutOfMemory)?;
        Ok(Parts { memory, x, y })
    }

    /// Bytes for a hash's lanes, zeroed.
    pub(super) fn lanes(&mut self, bytes: usize) -> Result<Vec<u8>, OutOfMemory> {
        let mut out = Vec::new();
        out.try_reserve_exact(bytes).map_err(|_| OutOfMemory)?;
        out.resize(bytes, 0);
        Ok(out)
    }
}
