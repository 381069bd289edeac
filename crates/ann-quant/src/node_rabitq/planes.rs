//! What node codes and queries are made with: planes of bits, tables of sums, and loops that processors run side by side.

use crate::floats::{lanes, nearest};
use ann_core::simd::lanes::{GROUP, LANES};

/// Writes the bits of a code into its lane, plane by plane: see [`ann_core::simd::lanes::place`].
#[inline(always)]
pub(super) fn pack(code: &[u8], planes: usize, lane: usize, codes: &mut [u8]) {
    let groups = codes.chunks_exact_mut(LANES * GROUP / 2);
    let parts = (0..planes).rev().flat_map(|shift| code.chunks_exact(4 * GROUP).map(move |part| (shift, part)));
    for (group, (shift, part)) in groups.zip(parts) {
        let (low, high) = part.split_at(2 * GROUP);
        let bits =
            |values: &[u8]| values.iter().rev().fold(0u32, |bits, value| bits << 1 | u32::from(value >> shift & 1));
        let (low, high) = (bits(low), bits(high));
        for (b, byte) in group[4 * lane..4 * lane + 4].iter_mut().enumerate() {
            *byte = (low >> (4 * b) & 15 | (high >> (4 * b) & 15) << 4) as u8;
        }
    }
}

/// The sum of values.
#[inline(always)]
pub(super) fn total(values: &[f32]) -> f32 {
    lanes(values, 0.0, |sum, x| sum + x).iter().sum()
}

/// The product of two vectors of one length, in sixteen lanes.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut sums = [0f32; 16];
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b);
    }
    sums.iter_mut().zip(a_rest).zip(b_rest).for_each(|((sum, a), b)| *sum += a * b);
    sums.iter().sum()
}

/// As [`dot`], with whole numbers; lengths are multiples of sixteen.
#[inline(always)]
pub(super) fn dot_code(code: &[u8], b: &[f32]) -> f32 {
    let mut sums = [0f32; 16];
    for (a, b) in code.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        sums.iter_mut().zip(a).zip(b).for_each(|((sum, &a), b)| *sum += f32::from(a) * b);
    }
    sums.iter().sum()
}

/// The largest sum of the sizes of four values that share a table; their number is a multiple of sixteen.
#[inline(always)]
pub(super) fn widest(values: &[f32]) -> f32 {
    let mut widest = [0f32; 4];
    for sixteen in values.as_chunks::<16>().0 {
        for (widest, four) in widest.iter_mut().zip(sixteen.as_chunks::<4>().0) {
            *widest = widest.max(four.iter().map(|x| x.abs()).sum());
        }
    }
    widest.into_iter().fold(0.0, f32::max)
}

/// `values * scale` as the nearest whole numbers, which must lie within ±2²².
#[inline(always)]
pub(super) fn whole(values: &[f32], scale: f32) -> impl Iterator<Item = i32> + '_ {
    values.iter().map(move |x| nearest(x * scale))
}

/// The sums of every subset of four whole numbers in a row, each less the least of its table, into `out`. Gives the sum of
/// what was subtracted. The sizes of four numbers must not sum to more than 255.
#[inline(always)]
pub(super) fn tables(values: &[i32], out: &mut [u8]) -> i32 {
    /// All ones in the bytes of the subsets that a number is in: bit `i` of the subset's own number.
    const MEMBERS: [[u64; 2]; 4] =
        [[0xff00_ff00_ff00_ff00; 2], [0xffff_0000_ffff_0000; 2], [0xffff_ffff_0000_0000; 2], [0, u64::MAX]];
    let mut least = 0;
    for (four, table) in values.as_chunks::<4>().0.iter().zip(out.as_chunks_mut::<16>().0) {
        least += four.iter().map(|&x| x.min(0)).sum::<i32>();
        // Less the least, a positive number counts in its subsets and a negative one in the others: bytes only grow, so that
        // eight of them are one number in which nothing carries.
        let mut halves = [0u64; 2];
        for (&x, members) in four.iter().zip(&MEMBERS) {
            let size = u64::from(x.unsigned_abs()) * 0x0101_0101_0101_0101;
            let negative = i64::from(x >> 31) as u64;
            halves.iter_mut().zip(members).for_each(|(half, member)| *half += size & (member ^ negative));
        }
        let (low, high) = table.split_at_mut(8);
        low.copy_from_slice(&halves[0].to_le_bytes());
        high.copy_from_slice(&halves[1].to_le_bytes());
    }
    least
}
