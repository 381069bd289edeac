//! The plain loop, for any machine.

use super::{FACTORS, GROUP, LANES, TABLES, TableQuery};
use half::{f16, slice::HalfFloatSliceExt};

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
pub(super) unsafe fn estimate_blocks(
    query: &TableQuery<'_>,
    blocks: &[u8],
    base: f32,
    bound: f32,
    out: &mut [[f32; LANES]],
    near: &mut [u16],
) {
    blocks_with(query, blocks, base, bound, out, near, |codes| sums(query, codes));
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
    let (add, rescale) = factors.as_chunks().0.split_at(out.len() / LANES);
    let blocks = codes.chunks_exact(query.block_len().max(1)).zip(out.as_chunks_mut::<LANES>().0);
    let mut near = 0;
    for (block, ((codes, out), (add, rescale))) in blocks.zip(add.iter().zip(rescale)).enumerate() {
        let (sums, add, rescale) = (sums(codes), widen(add), widen(rescale));
        for lane in 0..LANES {
            let product = sums[lane] as f32 * query.step + query.offset;
            out[lane] = rescale[lane] * product + (add[lane] * query.add_scale + base);
            near |= u64::from(out[lane] <= bound) << (block * LANES + lane);
        }
    }
    near
}

/// Estimates from the sums of blocks that hold their factors.
#[inline(always)]
pub(super) fn blocks_with(
    query: &TableQuery<'_>,
    blocks: &[u8],
    base: f32,
    bound: f32,
    out: &mut [[f32; LANES]],
    near: &mut [u16],
    sums: impl Fn(&[u8]) -> [u32; LANES],
) {
    let codes_len = query.block_len();
    for ((block, out), near) in blocks.chunks_exact(codes_len + FACTORS).zip(out).zip(near) {
        let (codes, bytes) = block.split_at(codes_len);
        let mut factors = [f16::ZERO; 2 * LANES];
        for (factor, bytes) in factors.iter_mut().zip(bytes.as_chunks().0) {
            *factor = f16::from_le_bytes(*bytes);
        }
        *near = estimate_with(query, codes, &factors, base, bound, out, &sums) as u16;
    }
}

/// All at once: one by one, each would ask the processor again whether it can.
#[inline(always)]
fn widen(halves: &[f16; LANES]) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    halves.convert_to_f32_slice(&mut out);
    out
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
