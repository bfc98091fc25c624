//! SMix, the memory-hard mixing of scrypt and yescrypt.

use super::pwxform::{Boxes, SBox};
use super::salsa::{Block, block_mix, xor};
use super::{Mode, Params, sign};
use crate::workspace::{OutOfMemory, Parts, Workspace};
use hmac::Hmac;
use sha2::Sha256;

/// Bytes of a lane's three S-boxes.
pub(super) const SBOX_BYTES: u64 = 3 * 256 * 16;

/// Where in a shuffled block word `i` of the original goes: side by side along Salsa20's diagonals.
const fn shuffled(i: usize) -> usize {
    i * 5 % 16
}

/// The loops of the second stage: all of them, and those that also write (for each lane).
pub(super) fn loops(params: &Params) -> (u64, u64) {
    let Params { mode, n, p, t, .. } = *params;
    let lane = n / u64::from(p);
    let t = u64::from(t);
    let (all, writing) = match (mode, t) {
        (Mode::ReadWrite, 0) => (lane.div_ceil(3), true),
        (Mode::ReadWrite, 1) => (lane.saturating_mul(2).div_ceil(3), true),
        (Mode::ReadWrite, t) => (lane.saturating_mul(t - 1), true),
        (_, 0) => (n, false),
        (_, 1) => (n.saturating_add(n.div_ceil(2)), false),
        (_, t) => (n.saturating_mul(t), false),
    };
    let writing = if writing { all / u64::from(p) } else { 0 };
    (all.next_multiple_of(2), writing.next_multiple_of(2))
}

/// Mixes `lanes` (p times 128 r bytes) in place; `key` is replaced by what the first lane's S-boxes say of it.
pub(super) fn smix(
    lanes: &mut [u8],
    params: &Params,
    key: &mut [u8; 32],
    workspace: &mut Workspace,
) -> Result<(), OutOfMemory> {
    let width = 2 * params.r as usize;
    let blocks = usize::try_from(params.n).map_err(|_| OutOfMemory)?.checked_mul(width).ok_or(OutOfMemory)?;
    let Parts { memory, x, y } = workspace.blocks(blocks, width)?;
    let (all, writing) = loops(params);
    if params.mode != Mode::ReadWrite {
        // Independent lanes, each over the whole memory.
        for lane in lanes.chunks_mut(width * 64) {
            load(lane, x);
            fill(memory, x, y, None);
            read(memory, x, y, None, all, false);
            store(x, lane);
        }
        return Ok(());
    }
    // Even chunks of the memory for the lanes; the last takes what is left.
    let chunk = (params.n / u64::from(params.p)) as usize & !1;
    let mut boxes = Vec::new();
    let mut rest = &mut *memory;
    let mut left = params.p;
    for lane in lanes.chunks_mut(width * 64) {
        left -= 1;
        let take = if left == 0 { rest.len() } else { chunk * width };
        let (mine, others) = rest.split_at_mut_checked(take).ok_or(OutOfMemory)?;
        rest = others;
        let mut my_boxes = new_boxes(lane)?;
        if boxes.is_empty() {
            let last = lane.last_chunk::<64>().ok_or(OutOfMemory)?;
            *key = sign::<Hmac<Sha256>>(last, key);
        }
        load(lane, x);
        fill(mine, x, y, Some(&mut my_boxes));
        read(mine, x, y, Some(&mut my_boxes), writing, true);
        store(x, lane);
        boxes.push(my_boxes);
    }
    for (lane, boxes) in lanes.chunks_mut(width * 64).zip(&mut boxes) {
        load(lane, x);
        read(memory, x, y, Some(boxes), all - writing, false);
        store(x, lane);
    }
    Ok(())
}

/// The S-boxes are the memory of a small scrypt over the lane's first 128 bytes.
fn new_boxes(lane: &mut [u8]) -> Result<Boxes, OutOfMemory> {
    let small = lane.get_mut(..128).ok_or(OutOfMemory)?;
    let mut memory = [[0u64; 8]; SBOX_BYTES as usize / 64];
    let (mut x, mut y) = ([[0u64; 8]; 2], [[0u64; 8]; 2]);
    load(small, &mut x);
    fill(&mut memory, &mut x, &mut y, None);
    store(&x, small);
    let flat = memory.as_flattened().as_chunks::<2>().0;
    let table = |at: usize| -> Result<Box<SBox>, OutOfMemory> {
        let part = flat.get(256 * at..).and_then(<[_]>::first_chunk::<256>);
        Ok(Box::new(*part.ok_or(OutOfMemory)?))
    };
    Ok(Boxes { s2: table(0)?, s1: table(1)?, s0: table(2)?, next: 0 })
}

/// The first loop: writes the memory, and for yescrypt also reads what it wrote.
fn fill(memory: &mut [Block], x: &mut [Block], y: &mut [Block], boxes: Option<&mut Boxes>) {
    let width = x.len();
    match boxes {
        None => {
            for slot in memory.chunks_exact_mut(width) {
                slot.copy_from_slice(x);
                block_mix(x, y);
            }
        }
        Some(boxes) => {
            for i in 0..memory.len() / width {
                let (before, rest) = memory.split_at_mut(i * width);
                if let Some(slot) = rest.get_mut(..width) {
                    slot.copy_from_slice(x);
                }
                if i > 1 {
                    // Somewhere in the newest power of two of blocks.
                    let newest = 1usize << i.ilog2();
                    let at = (integerify(x) as usize & (newest - 1)) + (i - newest);
                    if let Some(other) = before.get(at * width..).and_then(|m| m.get(..width)) {
                        x.iter_mut().zip(other).for_each(|(x, v)| xor(x, v));
                    }
                }
                boxes.block_mix(x);
            }
        }
    }
}

/// The second loop: reads the memory in an order that depends on what was read, and writes it back where `write` says so.
fn read(memory: &mut [Block], x: &mut [Block], y: &mut [Block], boxes: Option<&mut Boxes>, count: u64, write: bool) {
    let width = x.len();
    let slots = memory.len() / width;
    let mask = slots.checked_ilog2().map_or(0, |log| (1usize << log) - 1);
    let mut boxes = boxes;
    for _ in 0..count {
        let at = integerify(x) as usize & mask;
        if let Some(slot) = memory.get_mut(at * width..).and_then(|m| m.get_mut(..width)) {
            for (x, v) in x.iter_mut().zip(slot) {
                xor(x, v);
                if write {
                    *v = *x;
                }
            }
        }
        match boxes.as_deref_mut() {
            Some(boxes) => boxes.block_mix(x),
            None => block_mix(x, y),
        }
    }
}

/// The last block's first two words as a number (the words 0 and 1 of the original; 13 is where word 1 goes).
fn integerify(x: &[Block]) -> u64 {
    x.last().map_or(0, |last| (last[0] & 0xffff_ffff) | (last[6] >> 32 << 32))
}

/// Bytes to shuffled blocks.
fn load(bytes: &[u8], blocks: &mut [Block]) {
    for (from, to) in bytes.as_chunks::<64>().0.iter().zip(blocks) {
        let mut words = [0u32; 16];
        let original = from.as_chunks::<4>().0;
        for (i, word) in words.iter_mut().enumerate() {
            *word = original.get(shuffled(i)).map_or(0, |b| u32::from_le_bytes(*b));
        }
        for (lane, pair) in to.iter_mut().zip(words.as_chunks::<2>().0) {
            *lane = u64::from(pair[0]) | u64::from(pair[1]) << 32;
        }
    }
}

/// Shuffled blocks back to bytes.
fn store(blocks: &[Block], bytes: &mut [u8]) {
    for (from, to) in blocks.iter().zip(bytes.as_chunks_mut::<64>().0) {
        let words = from.iter().flat_map(|lane| [*lane as u32, (lane >> 32) as u32]);
        let original = to.as_chunks_mut::<4>().0;
        for (i, word) in words.enumerate() {
            if let Some(place) = original.get_mut(shuffled(i)) {
                *place = word.to_le_bytes();
            }
        }
    }
}
