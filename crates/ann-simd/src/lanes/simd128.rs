//! WebAssembly: four lanes at a time, one look-up for every byte of a lane's dword.
//!
//! A swizzle gives zero for an index beyond 15: each of the four tables is looked up for its own byte of every dword, and
//! the results are merged.

use super::{LANES, TABLES, TableQuery, scalar};
use half::f16;
use std::arch::wasm32::*;

/// Bytes of a group of codes for four lanes.
const BYTES: usize = 16;

/// # Safety
/// - `out` is 16 to 64 lanes in blocks of 16, and the other lengths fit as [`super::LaneKernel::estimate`] asserts.
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
/// - Lengths fit as [`super::LaneKernel::estimate_blocks`] asserts.
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
/// - `tables` are whole groups, and `codes` a block for every element of `out`, as [`super::LaneKernel::sums`] asserts.
pub(super) unsafe fn sums_of(tables: &[u8], codes: &[u8], out: &mut [[u32; LANES]]) {
    scalar::sums_with(tables, codes, out, |query, codes| sums(query, codes));
}

fn sums(query: &TableQuery<'_>, codes: &[u8]) -> [u32; LANES] {
    let mut sums = [u32x4_splat(0); LANES / 4];
    for plane in codes.chunks_exact(codes.len() / query.planes) {
        sums = sums.map(|sum| u32x4_shl(sum, 1));
        for (codes, tables) in plane.as_chunks::<{ 4 * BYTES }>().0.iter().zip(query.tables.as_chunks::<TABLES>().0) {
            let (lower, upper) = tables.split_at(TABLES / 2);
            for (sum, codes) in sums.iter_mut().zip(codes.as_chunks::<BYTES>().0) {
                // SAFETY: 16 bytes are readable.
                let codes = unsafe { v128_load(codes.as_ptr().cast()) };
                let low = u16x8_extadd_pairwise_u8x16(look_up(v128_and(codes, u8x16_splat(15)), lower));
                let high = u16x8_extadd_pairwise_u8x16(look_up(u8x16_shr(codes, 4), upper));
                *sum = u32x4_add(*sum, u32x4_extadd_pairwise_u16x8(u16x8_add(low, high)));
            }
        }
    }
    bytemuck::cast(sums.map(|sum| {
        let mut out = [0u32; 4];
        // SAFETY: 16 bytes are writable.
        unsafe { v128_store(out.as_mut_ptr().cast(), sum) };
        out
    }))
}

/// The entries that half bytes pick from the table of their place in the dword.
fn look_up(half_bytes: v128, tables: &[u8]) -> v128 {
    let mut entries = u8x16_splat(0);
    for (byte, table) in tables.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: 16 bytes are readable.
        let table = unsafe { v128_load(table.as_ptr().cast()) };
        let others = u32x4_splat(0x8080_8080 & !(0x80 << (8 * byte)));
        entries = v128_or(entries, u8x16_swizzle(table, v128_or(half_bytes, others)));
    }
    entries
}
