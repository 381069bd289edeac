//! The plain loop, for any machine.

use super::{GROUP, LANES, TABLES, TableQuery};
use half::f16;

/// # Safety
/// - None: `unsafe` only to have the type of its peers.
pub(super) unsafe fn estimate(
    query: &TableQuery<'_>,
    codes: &[u8],
    factors: &[f16],
    base: f32,
    bound: f32,
    out: &mut [f32],
) -> u64 {
    estimate_with(query, codes, factors, base, bound, out, |codes| sums(query, codes))
}

/// # Safety
/// - None: `unsafe` only to have the type of its peers.
pub(super) unsafe fn sums_of(tables: &[u8], codes: &[u8], out: &mut [[u32; LANES]]) {
    sums_with(tables, codes, out, sums);
}

/// Estimates from the sums of blocks.
#[inline(always)]
pub(super) fn estimate_with(
    query: &TableQuery<'_>,
    codes: &[u8],
    factors: &[f16],
    base: f32,
    bound: f32,
    out: &mut [f32],
    sums: impl Fn(&[u8]) -> [u32; LANES],
) -> u64 {
    let (add, rescale) = factors.split_at(out.len());
    let mut near = 0;
    for (block, codes) in codes.chunks_exact(query.block_len().max(1)).enumerate() {
        for (lane, sum) in (block * LANES..).zip(sums(codes)) {
            let product = sum as f32 * query.step + query.offset;
            out[lane] = rescale[lane].to_f32() * product + (add[lane].to_f32() * query.add_scale + base);
            near |= u64::from(out[lane] <= bound) << lane;
        }
    }
    near
}

/// Sums of blocks of one plane.
#[inline(always)]
pub(super) fn sums_with(
    tables: &[u8],
    codes: &[u8],
    out: &mut [[u32; LANES]],
    sums: impl Fn(&TableQuery<'_>, &[u8]) -> [u32; LANES],
) {
    let query = TableQuery { tables, planes: 1, step: 0.0, offset: 0.0, add_scale: 0.0 };
    for (codes, out) in codes.chunks_exact(query.block_len().max(1)).zip(out) {
        *out = sums(&query, codes);
    }
}

/// The weighted sums of one block.
fn sums(query: &TableQuery<'_>, codes: &[u8]) -> [u32; LANES] {
    let mut sums = [0u32; LANES];
    for plane in codes.chunks_exact(codes.len() / query.planes) {
        sums.iter_mut().for_each(|sum| *sum *= 2);
        for (group, tables) in plane.chunks_exact(LANES * GROUP / 2).zip(query.tables.chunks_exact(TABLES)) {
            for (sum, lane) in sums.iter_mut().zip(group.chunks_exact(GROUP / 2)) {
                for (b, &byte) in lane.iter().enumerate() {
                    let (low, high) = (usize::from(byte & 15), usize::from(byte >> 4));
                    *sum += u32::from(tables[16 * b + low]) + u32::from(tables[16 * (b + 4) + high]);
                }
            }
        }
    }
    sums
}
