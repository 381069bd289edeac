//! AArch64: four lanes at a time, one look-up for every byte of a lane's dword.
//!
//! A table look-up gives zero for an index beyond 15: each of the four tables is looked up for its own byte of every dword,
//! and the results are merged.

use super::{LANES, TABLES, TableQuery, scalar};
use half::f16;
use std::arch::aarch64::*;

/// Bytes of a group of codes for four lanes.
const BYTES: usize = 16;

/// # Safety
/// - The processor has NEON.
/// - `out` is 16 to 64 lanes in blocks of 16, and the other lengths fit as [`super::LaneKernel::estimate`] asserts.
#[target_feature(enable = "neon")]
pub(super) unsafe fn estimate(
    query: &TableQuery<'_>,
    codes: &[u8],
    factors: &[f16],
    base: f32,
    bound: f32,
    out: &mut [f32],
) -> u64 {
    scalar::estimate_with(query, codes, factors, base, bound, out, |codes| sums(query, codes))
}

/// # Safety
/// - The processor has NEON.
/// - Lengths fit as [`super::LaneKernel::estimate_blocks`] asserts.
#[target_feature(enable = "neon")]
pub(super) unsafe fn estimate_blocks(
    query: &TableQuery<'_>,
    blocks: &[u8],
    base: f32,
    bound: f32,
    out: &mut [[f32; LANES]],
    near: &mut [u16],
) {
    scalar::blocks_with(query, blocks, base, bound, out, near, |codes| sums(query, codes));
}

/// # Safety
/// - The processor has NEON.
/// - `tables` are whole groups, and `codes` a block for every element of `out`, as [`super::LaneKernel::sums`] asserts.
#[target_feature(enable = "neon")]
pub(super) unsafe fn sums_of(tables: &[u8], codes: &[u8], out: &mut [[u32; LANES]]) {
    scalar::sums_with(tables, codes, out, |query, codes| sums(query, codes));
}

#[inline]
#[target_feature(enable = "neon")]
fn sums(query: &TableQuery<'_>, codes: &[u8]) -> [u32; LANES] {
    let mut sums = [vdupq_n_u32(0); LANES / 4];
    for plane in codes.chunks_exact(codes.len() / query.planes) {
        sums = sums.map(|sum| vshlq_n_u32::<1>(sum));
        for (codes, tables) in plane.as_chunks::<{ 4 * BYTES }>().0.iter().zip(query.tables.as_chunks::<TABLES>().0) {
            let (lower, upper) = tables.split_at(TABLES / 2);
            for (sum, codes) in sums.iter_mut().zip(codes.as_chunks::<BYTES>().0) {
                // SAFETY: 16 bytes are readable.
                let codes = unsafe { vld1q_u8(codes.as_ptr()) };
                let words = vpaddlq_u8(look_up(vandq_u8(codes, vdupq_n_u8(15)), lower));
                *sum = vpadalq_u16(*sum, vpadalq_u8(words, look_up(vshrq_n_u8::<4>(codes), upper)));
            }
        }
    }
    let mut out = [0; LANES];
    for (out, sum) in out.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
        // SAFETY: 4 numbers are writable.
        unsafe { vst1q_u32(out.as_mut_ptr(), sum) };
    }
    out
}

/// The entries that half bytes pick from the table of their place in the dword.
#[inline]
#[target_feature(enable = "neon")]
fn look_up(half_bytes: uint8x16_t, tables: &[u8]) -> uint8x16_t {
    let mut entries = vdupq_n_u8(0);
    for (byte, table) in tables.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: 16 bytes are readable.
        let table = unsafe { vld1q_u8(table.as_ptr()) };
        let others = vreinterpretq_u8_u32(vdupq_n_u32(0x8080_8080 & !(0x80 << (8 * byte))));
        entries = vorrq_u8(entries, vqtbl1q_u8(table, vorrq_u8(half_bytes, others)));
    }
    entries
}
