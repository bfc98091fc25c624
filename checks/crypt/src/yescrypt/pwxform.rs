//! pwxform, yescrypt's parallel wide transformation, and the BlockMix over it.

use super::salsa::{Block, salsa, xor};

/// An S-box: 256 entries of two lanes.
pub(super) type SBox = [[u64; 2]; 256];

/// Entries that one transformation writes to the third S-box: four middle rounds of four gathers.
const WRITTEN: usize = 16;

/// The three S-boxes of a lane and where writing goes on.
#[derive(Clone, Debug)]
pub(super) struct Boxes {
    pub(super) s0: Box<SBox>,
    pub(super) s1: Box<SBox>,
    pub(super) s2: Box<SBox>,
    pub(super) next: usize,
}

impl Boxes {
    /// BlockMix_pwxform: `blocks` are 2 r blocks.
    pub(super) fn block_mix(&mut self, blocks: &mut [Block]) {
        let Some(&last) = blocks.last() else {
            return;
        };
        let mut x = last;
        let Self { s0, s1, s2, next } = self;
        let (mut r0, mut r1, mut r2): (&mut SBox, &mut SBox, &mut SBox) = (s0, s1, s2);
        let mut turns = 0;
        for block in blocks.iter_mut() {
            xor(&mut x, block);
            if let Some(out) = r2.as_chunks_mut::<WRITTEN>().0.get_mut(*next) {
                transform(&mut x, r0, r1, out);
            }
            (r0, r1, r2) = (r2, r0, r1);
            *next = (*next + 1) % (256 / WRITTEN);
            turns += 1;
            *block = x;
        }
        for _ in 0..turns % 3 {
            // The roles moved by reference; move the boxes after them.
            std::mem::swap(s0, s2);
            std::mem::swap(s1, s2);
        }
        if let Some(last) = blocks.last_mut() {
            salsa::<1>(last);
        }
    }
}

/// Six rounds: multiply the halves of each lane, add one S-box's entry, exclusive-or the other's; the middle rounds are kept.
#[inline(always)]
#[expect(
    clippy::indexing_slicing,
    reason = "eight masked bits index tables of 256, and the loops are bounded by the arrays"
)]
fn transform(x: &mut Block, s0: &SBox, s1: &SBox, out: &mut [[u64; 2]; WRITTEN]) {
    for round in 0..6 {
        for gather in 0..4 {
            let lane = x[2 * gather];
            let a = s0[(lane >> 4) as usize & 0xff];
            let b = s1[(lane >> 36) as usize & 0xff];
            let low = half_product(lane).wrapping_add(a[0]) ^ b[0];
            let high = half_product(x[2 * gather + 1]).wrapping_add(a[1]) ^ b[1];
            x[2 * gather] = low;
            x[2 * gather + 1] = high;
            if round != 0 && round != 5 {
                out[4 * (round - 1) + gather] = [low, high];
            }
        }
    }
}

#[inline(always)]
fn half_product(lane: u64) -> u64 {
    (lane >> 32).wrapping_mul(lane & 0xffff_ffff)
}
