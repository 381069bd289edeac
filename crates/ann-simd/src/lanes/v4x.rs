//! AVX-512 with VBMI and VNNI: 64 entries looked up and added to 16 sums by two instructions.

use super::{FACTORS, LANES, TABLES, TableQuery, block_len};
use half::f16;
use std::arch::x86_64::*;

/// Bytes of a group of codes.
const BYTES: usize = 64;

/// # Safety
/// - The processor has AVX-512 F, BW, VBMI and VNNI.
/// - `out` is 16 to 64 lanes in blocks of 16, and the other lengths fit as [`super::LaneKernel::estimate`] asserts.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub(super) unsafe fn estimate(
    query: &TableQuery<'_>,
    codes: &[u8],
    factors: &[f16],
    base: f32,
    bound: f32,
    out: &mut [f32],
) -> u64 {
    let mut near = 0;
    let (add, rescale) = factors.split_at(out.len());
    let block = query.block_len();
    for start in (0..out.len()).step_by(2 * LANES) {
        // Two blocks at once where there are two: their sums do not wait for one another.
        let many = (out.len() - start).min(2 * LANES);
        let codes = &codes[start / LANES * block..][..many / LANES * block];
        let sums = match query.planes {
            1 => sums::<1>(query.tables, codes, block),
            2 => sums::<2>(query.tables, codes, block),
            4 => sums::<4>(query.tables, codes, block),
            _ => [planes(query, &codes[..block]), planes(query, &codes[codes.len() - block..])],
        };
        for (start, sums) in (start..start + many).step_by(LANES).zip(sums) {
            let (add, rescale) = (widen(&add[start..]), widen(&rescale[start..]));
            let out = &mut out[start..][..LANES];
            near |= u64::from(finish(query, sums, (add, rescale), base, bound, out)) << start;
        }
    }
    near
}

/// # Safety
/// - The processor has AVX-512 F, BW, VBMI and VNNI.
/// - Lengths fit as [`super::LaneKernel::estimate_blocks`] asserts.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub(super) unsafe fn estimate_blocks(
    query: &TableQuery<'_>,
    blocks: &[u8],
    base: f32,
    bound: f32,
    out: &mut [[f32; LANES]],
    near: &mut [u16],
) {
    let codes_len = query.block_len();
    let stride = codes_len + FACTORS;
    for ((blocks, out), near) in blocks.chunks(2 * stride).zip(out.chunks_mut(2)).zip(near.chunks_mut(2)) {
        // The codes of the first block and of the last, of which there may be one.
        let codes = &blocks[..blocks.len() - FACTORS];
        let sums = match query.planes {
            1 => sums::<1>(query.tables, codes, codes_len),
            2 => sums::<2>(query.tables, codes, codes_len),
            4 => sums::<4>(query.tables, codes, codes_len),
            _ => [planes(query, &codes[..codes_len]), planes(query, &codes[codes.len() - codes_len..])],
        };
        for (b, sums) in sums.into_iter().enumerate().take(out.len()) {
            let factors = &blocks[b * stride + codes_len..][..FACTORS];
            // SAFETY: 64 bytes are readable.
            let factors: __m512i = unsafe { _mm512_loadu_si512(factors.as_ptr().cast()) };
            let add = _mm512_cvtph_ps(_mm512_castsi512_si256(factors));
            let rescale = _mm512_cvtph_ps(_mm512_extracti64x4_epi64::<1>(factors));
            near[b] = finish(query, sums, (add, rescale), base, bound, &mut out[b]);
        }
    }
}

/// Estimates from the sums of a block, into `out` of 16; which of them are within the bound.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn finish(
    query: &TableQuery<'_>,
    sums: __m512i,
    (add, rescale): (__m512, __m512),
    base: f32,
    bound: f32,
    out: &mut [f32],
) -> u16 {
    let product = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), _mm512_set1_ps(query.step), _mm512_set1_ps(query.offset));
    let rest = _mm512_fmadd_ps(add, _mm512_set1_ps(query.add_scale), _mm512_set1_ps(base));
    let estimates = _mm512_fmadd_ps(rescale, product, rest);
    let out = &mut out[..LANES];
    // SAFETY: 16 floats are writable.
    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), estimates) };
    _mm512_cmp_ps_mask::<_CMP_LE_OQ>(estimates, _mm512_set1_ps(bound))
}

/// # Safety
/// - The processor has AVX-512 F, BW, VBMI and VNNI.
/// - `tables` are whole groups, and `codes` a block for every element of `out`, as [`super::LaneKernel::sums`] asserts.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub(super) unsafe fn sums_of(tables: &[u8], codes: &[u8], out: &mut [[u32; LANES]]) {
    let block = block_len(tables.len() / 16, 1);
    for (codes, out) in codes.chunks(2 * block).zip(out.chunks_mut(2)) {
        for (out, sums) in out.iter_mut().zip(sums::<1>(tables, codes, block)) {
            // SAFETY: 16 numbers are writable.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sums) };
        }
    }
}

/// Sums of the first and the last block of `codes`, over `P` planes, each worth twice the next.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn sums<const P: usize>(tables: &[u8], codes: &[u8], block: usize) -> [__m512i; 2] {
    let plane = block / P;
    let (first, last) = (&codes[..block], &codes[codes.len() - block..]);
    let mut sums = [[[_mm512_setzero_si512(); 2]; P]; 2];
    for (group, tables) in tables.as_chunks::<TABLES>().0.iter().enumerate() {
        let (lower, upper) = tables.split_at(BYTES);
        let (lower, upper) = (load(lower), load(upper));
        for (sums, codes) in sums.iter_mut().zip([first, last]) {
            for (p, sums) in sums.iter_mut().enumerate() {
                *sums = add_group(*sums, load(&codes[p * plane + group * BYTES..]), lower, upper);
            }
        }
    }
    sums.map(|planes| {
        let mut total = _mm512_setzero_si512();
        for [low, high] in planes {
            total = _mm512_add_epi32(_mm512_slli_epi32::<1>(total), _mm512_add_epi32(low, high));
        }
        total
    })
}

/// Sums of one block over any number of planes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn planes(query: &TableQuery<'_>, codes: &[u8]) -> __m512i {
    let mut sums = [_mm512_setzero_si512(); 2];
    for plane in codes.chunks_exact(codes.len() / query.planes) {
        sums = sums.map(|sums| _mm512_slli_epi32::<1>(sums));
        for (codes, tables) in plane.as_chunks::<BYTES>().0.iter().zip(query.tables.as_chunks::<TABLES>().0) {
            let (lower, upper) = tables.split_at(BYTES);
            sums = add_group(sums, load(codes), load(lower), load(upper));
        }
    }
    _mm512_add_epi32(sums[0], sums[1])
}

/// Adds the entries that 64 bytes of codes pick to two times 16 sums, which do not wait for one another.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn add_group([low_sums, high_sums]: [__m512i; 2], codes: __m512i, lower: __m512i, upper: __m512i) -> [__m512i; 2] {
    // The table of a byte is chosen by the two bits above its half byte.
    let select = _mm512_set1_epi32(0x3020_1000);
    let (low, ones) = (_mm512_set1_epi8(15), _mm512_set1_epi8(1));
    // (codes & low) | select.
    let first = _mm512_ternarylogic_epi32::<0xEA>(codes, low, select);
    let second = _mm512_ternarylogic_epi32::<0xEA>(_mm512_srli_epi16::<4>(codes), low, select);
    [
        _mm512_dpbusd_epi32(low_sums, _mm512_permutexvar_epi8(first, lower), ones),
        _mm512_dpbusd_epi32(high_sums, _mm512_permutexvar_epi8(second, upper), ones),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8]) -> __m512i {
    let bytes = &bytes[..BYTES];
    // SAFETY: 64 bytes are readable.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn widen(halves: &[f16]) -> __m512 {
    let halves = &halves[..LANES];
    // SAFETY: 16 halves of two bytes are readable.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(halves.as_ptr().cast()) })
}
