//! AVX-512 with VBMI and VNNI: 64 entries looked up and added to 16 sums by two instructions.

use super::{LANES, TABLES, TableQuery, block_len};
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
    for start in (0..out.len()).step_by(LANES) {
        let codes = &codes[start / LANES * block..][..block];
        let sums = if query.planes == 1 { plane(query.tables, codes) } else { planes(query, codes) };
        let product =
            _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), _mm512_set1_ps(query.step), _mm512_set1_ps(query.offset));
        let (add, rescale) = (widen(&add[start..]), widen(&rescale[start..]));
        let rest = _mm512_fmadd_ps(add, _mm512_set1_ps(query.add_scale), _mm512_set1_ps(base));
        let estimates = _mm512_fmadd_ps(rescale, product, rest);
        let mask = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(estimates, _mm512_set1_ps(bound));
        near |= u64::from(mask) << start;
        let out: &mut [f32; LANES] = (&mut out[start..start + LANES]).try_into().unwrap_or_else(|_| unreachable!());
        // SAFETY: 16 floats are writable.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), estimates) };
    }
    near
}

/// # Safety
/// - The processor has AVX-512 F, BW, VBMI and VNNI.
/// - `tables` are whole groups, and `codes` a block for every element of `out`, as [`super::LaneKernel::sums`] asserts.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub(super) unsafe fn sums_of(tables: &[u8], codes: &[u8], out: &mut [[u32; LANES]]) {
    for (codes, out) in codes.chunks_exact(block_len(tables.len() / 16, 1).max(1)).zip(out) {
        // SAFETY: 16 numbers are writable.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), plane(tables, codes)) };
    }
}

/// Sums over several planes, each worth twice the next.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn planes(query: &TableQuery<'_>, codes: &[u8]) -> __m512i {
    let mut sums = _mm512_setzero_si512();
    for codes in codes.chunks_exact(codes.len() / query.planes) {
        sums = _mm512_add_epi32(_mm512_slli_epi32::<1>(sums), plane(query.tables, codes));
    }
    sums
}

/// Sums over the half bytes of one plane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn plane(tables: &[u8], codes: &[u8]) -> __m512i {
    // The table of a byte is chosen by the two bits above its half byte.
    let select = _mm512_set1_epi32(0x3020_1000);
    let (low, ones) = (_mm512_set1_epi8(15), _mm512_set1_epi8(1));
    let [mut even, mut odd] = [_mm512_setzero_si512(); 2];
    for (codes, tables) in codes.chunks_exact(BYTES).zip(tables.chunks_exact(TABLES)) {
        // SAFETY: a group is 64 bytes, its tables are 128.
        let (codes, lower, upper) = unsafe {
            (
                _mm512_loadu_si512(codes.as_ptr().cast()),
                _mm512_loadu_si512(tables.as_ptr().cast()),
                _mm512_loadu_si512(tables.as_ptr().add(BYTES).cast()),
            )
        };
        // (codes & low) | select.
        let first = _mm512_ternarylogic_epi32::<0xEA>(codes, low, select);
        let second = _mm512_ternarylogic_epi32::<0xEA>(_mm512_srli_epi16::<4>(codes), low, select);
        even = _mm512_dpbusd_epi32(even, _mm512_permutexvar_epi8(first, lower), ones);
        odd = _mm512_dpbusd_epi32(odd, _mm512_permutexvar_epi8(second, upper), ones);
    }
    _mm512_add_epi32(even, odd)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn widen(halves: &[f16]) -> __m512 {
    let halves = &halves[..LANES];
    // SAFETY: 16 halves of two bytes are readable.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(halves.as_ptr().cast()) })
}
