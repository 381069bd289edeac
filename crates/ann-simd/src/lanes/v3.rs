//! AVX2: eight lanes at a time, one look-up for every byte of a lane's dword.
//!
//! A byte shuffle knows one table of 16 entries, and gives zero where the top bit of the index is set: each of the four
//! tables is looked up for its own byte of every dword, and the results are merged.

use super::{LANES, TABLES, TableQuery, scalar};
use half::f16;
use std::arch::x86_64::*;

/// Bytes of a group of codes for eight lanes.
const BYTES: usize = 32;

/// # Safety
/// - The processor has AVX2.
/// - `out` is 16 to 64 lanes in blocks of 16, and the other lengths fit as [`super::LaneKernel::estimate`] asserts.
#[target_feature(enable = "avx2,fma,f16c")]
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
/// - The processor has AVX2.
/// - Lengths fit as [`super::LaneKernel::estimate_blocks`] asserts.
#[target_feature(enable = "avx2,fma,f16c")]
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
/// - The processor has AVX2.
/// - `tables` are whole groups, and `codes` a block for every element of `out`, as [`super::LaneKernel::sums`] asserts.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn sums_of(tables: &[u8], codes: &[u8], out: &mut [[u32; LANES]]) {
    scalar::sums_with(tables, codes, out, |query, codes| sums(query, codes));
}

#[inline]
#[target_feature(enable = "avx2")]
fn sums(query: &TableQuery<'_>, codes: &[u8]) -> [u32; LANES] {
    let [mut first, mut second] = [_mm256_setzero_si256(); 2];
    for plane in codes.chunks_exact(codes.len() / query.planes) {
        (first, second) = (_mm256_slli_epi32::<1>(first), _mm256_slli_epi32::<1>(second));
        for (codes, tables) in plane.as_chunks::<{ 2 * BYTES }>().0.iter().zip(query.tables.as_chunks::<TABLES>().0) {
            first = _mm256_add_epi32(first, group(&codes[..BYTES], tables));
            second = _mm256_add_epi32(second, group(&codes[BYTES..], tables));
        }
    }
    bytemuck::cast([first, second])
}

/// What a group adds to the sums of eight lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn group(codes: &[u8], tables: &[u8; TABLES]) -> __m256i {
    let codes = &codes[..BYTES];
    // SAFETY: 32 bytes are readable.
    let codes = unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) };
    let low = _mm256_set1_epi8(15);
    let (lower, upper) = tables.split_at(TABLES / 2);
    let words = _mm256_add_epi16(
        look_up(_mm256_and_si256(codes, low), lower),
        look_up(_mm256_and_si256(_mm256_srli_epi16::<4>(codes), low), upper),
    );
    _mm256_madd_epi16(words, _mm256_set1_epi16(1))
}

/// The entries that half bytes pick from the table of their place in the dword, added in pairs to words.
#[inline]
#[target_feature(enable = "avx2")]
fn look_up(half_bytes: __m256i, tables: &[u8]) -> __m256i {
    let mut entries = _mm256_setzero_si256();
    for (byte, table) in tables.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: 16 bytes are readable.
        let table = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) });
        let others = _mm256_set1_epi32((0x8080_8080u32 & !(0x80 << (8 * byte))) as i32);
        entries = _mm256_or_si256(entries, _mm256_shuffle_epi8(table, _mm256_or_si256(half_bytes, others)));
    }
    _mm256_maddubs_epi16(entries, _mm256_set1_epi8(1))
}
