//! Salsa20's core on yescrypt's shuffled blocks, and scrypt's BlockMix over it.

/// A block of 64 bytes: eight lanes, each two words of Salsa20's diagonals, the first in the low half.
pub(super) type Block = [u64; 8];

type Row = [u32; 4];

/// `block += Salsa20 rounds(block)`, `double_rounds` being 1 for Salsa20/2 and 4 for Salsa20/8.
///
/// In the shuffled order the words of a diagonal lie side by side, so a round is four operations on whole rows.
#[inline(always)]
pub(super) fn salsa<const DOUBLE_ROUNDS: usize>(block: &mut Block) {
    let start: [Row; 4] =
        [row(block[0], block[1]), row(block[2], block[3]), row(block[4], block[5]), row(block[6], block[7])];
    let [mut a, mut b, mut c, mut d] = start;
    for _ in 0..DOUBLE_ROUNDS {
        b = mix(b, a, d, 7);
        c = mix(c, b, a, 9);
        d = mix(d, c, b, 13);
        a = mix(a, d, c, 18);
        (b, c, d) = (turn::<1>(d), turn::<2>(c), turn::<3>(b));
        b = mix(b, a, d, 7);
        c = mix(c, b, a, 9);
        d = mix(d, c, b, 13);
        a = mix(a, d, c, 18);
        (b, c, d) = (turn::<1>(d), turn::<2>(c), turn::<3>(b));
    }
    let [w, x, y, z] = start;
    [block[0], block[1]] = lanes(add(a, w));
    [block[2], block[3]] = lanes(add(b, x));
    [block[4], block[5]] = lanes(add(c, y));
    [block[6], block[7]] = lanes(add(d, z));
}

#[inline(always)]
fn row(low: u64, high: u64) -> Row {
    [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32]
}

#[inline(always)]
fn lanes(row: Row) -> [u64; 2] {
    [u64::from(row[0]) | u64::from(row[1]) << 32, u64::from(row[2]) | u64::from(row[3]) << 32]
}

#[inline(always)]
fn add(x: Row, y: Row) -> Row {
    [x[0].wrapping_add(y[0]), x[1].wrapping_add(y[1]), x[2].wrapping_add(y[2]), x[3].wrapping_add(y[3])]
}

#[inline(always)]
fn mix(to: Row, x: Row, y: Row, by: u32) -> Row {
    let sum = add(x, y);
    [
        to[0] ^ sum[0].rotate_left(by),
        to[1] ^ sum[1].rotate_left(by),
        to[2] ^ sum[2].rotate_left(by),
        to[3] ^ sum[3].rotate_left(by),
    ]
}

#[inline(always)]
fn turn<const BY: usize>(row: Row) -> Row {
    let mut out = row;
    out.rotate_left(BY);
    out
}

#[inline(always)]
pub(super) fn xor(x: &mut Block, y: &Block) {
    for (x, y) in x.iter_mut().zip(y) {
        *x ^= y;
    }
}

/// scrypt's BlockMix: `blocks` and `scratch` are 2 r blocks each.
pub(super) fn block_mix(blocks: &mut [Block], scratch: &mut [Block]) {
    let Some(&last) = blocks.last() else {
        return;
    };
    let mut x = last;
    let (even, odd) = scratch.split_at_mut(blocks.len() / 2);
    for ((pair, even), odd) in blocks.as_chunks::<2>().0.iter().zip(even).zip(odd) {
        xor(&mut x, &pair[0]);
        salsa::<4>(&mut x);
        *even = x;
        xor(&mut x, &pair[1]);
        salsa::<4>(&mut x);
        *odd = x;
    }
    blocks.copy_from_slice(scratch);
}
