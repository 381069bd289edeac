//! AVX2: sixteen lanes at a time, one look-up for the same half byte of all lanes.
//!
//! A byte shuffle knows one table of 16 entries in each half of a register, and a lane's dword has bytes for four. So dwords are transposed
//! first, to sixteen bytes of a kind. Entries are then added in 16 bits, as in faiss's fast scan (André et al., VLDB 2015): as words, of which the upper
//! byte's part is kept apart and taken off at the end.

use super::{FACTORS, LANES, TABLES, TableQuery, scalar};
use half::f16;
use std::arch::x86_64::*;

/// Bytes of a group of codes.
const BYTES: usize = 64;

/// # Safety
/// - The processor has AVX2, FMA and F16C.
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
    let (add, rescale) = bytemuck::cast_slice(factors).as_chunks().0.split_at(out.len() / LANES);
    let blocks = codes.chunks_exact(query.block_len().max(1)).zip(out.as_chunks_mut().0);
    let mut near = 0;
    for (block, ((codes, out), (add, rescale))) in blocks.zip(add.iter().zip(rescale)).enumerate() {
        near |= u64::from(finish(query, sums(query, codes), [add, rescale], base, bound, out)) << (block * LANES);
    }
    near
}

/// # Safety
/// - The processor has AVX2, FMA and F16C.
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
    let codes_len = query.block_len();
    for ((block, out), near) in blocks.chunks_exact(codes_len + FACTORS).zip(out).zip(near) {
        let (codes, factors) = block.split_at(codes_len);
        let factors = factors.as_chunks().0;
        *near = finish(query, sums(query, codes), [&factors[0], &factors[1]], base, bound, out);
    }
}

/// Estimates from the sums of a block and its factors, 16 halves each; which of them are within the bound.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn finish(
    query: &TableQuery<'_>,
    sums: [__m256i; 2],
    factors: [&[u8; FACTORS / 2]; 2],
    base: f32,
    bound: f32,
    out: &mut [f32; LANES],
) -> u16 {
    let [step, offset, add_scale, base, bound] =
        [query.step, query.offset, query.add_scale, base, bound].map(|x| _mm256_set1_ps(x));
    let mut near = 0;
    for (half, (sums, out)) in sums.into_iter().zip(out.as_chunks_mut::<8>().0).enumerate() {
        let [add, rescale] = factors.map(|factors| {
            let halves = &factors.as_chunks::<16>().0[half];
            // SAFETY: 16 bytes are readable.
            _mm256_cvtph_ps(unsafe { _mm_loadu_si128(halves.as_ptr().cast()) })
        });
        let product = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), step, offset);
        let estimates = _mm256_fmadd_ps(rescale, product, _mm256_fmadd_ps(add, add_scale, base));
        // SAFETY: eight floats are writable.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), estimates) };
        let within = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(estimates, bound));
        near |= (within as u16) << (8 * half);
    }
    near
}

/// # Safety
/// - The processor has AVX2.
/// - `tables` are whole groups, and `codes` a block for every element of `out`, as [`super::LaneKernel::sums`] asserts.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn sums_of(tables: &[u8], codes: &[u8], out: &mut [[u32; LANES]]) {
    scalar::sums_with(tables, codes, out, |query, codes| bytemuck::cast(sums(query, codes)));
}

/// Groups whose entries surely fit the 16 bits of a sum: each adds four to it, of at most 255.
const MOST_GROUPS: usize = 64;

#[inline]
#[target_feature(enable = "avx2")]
fn sums(query: &TableQuery<'_>, codes: &[u8]) -> [__m256i; 2] {
    let (tables, groups) = (query.tables.as_chunks::<TABLES>().0, query.tables.len() / TABLES);
    let planes = codes.chunks_exact(codes.len() / query.planes);
    if query.planes < 8 && groups * ((1 << query.planes) - 1) <= MOST_GROUPS {
        let mut sums = Sums::none();
        for plane in planes {
            sums.double();
            sums.add_all(plane, tables);
        }
        return sums.widened();
    }
    let [mut first, mut second] = [_mm256_setzero_si256(); 2];
    for plane in planes {
        (first, second) = (_mm256_slli_epi32::<1>(first), _mm256_slli_epi32::<1>(second));
        for (codes, tables) in plane.chunks(MOST_GROUPS * BYTES).zip(tables.chunks(MOST_GROUPS)) {
            let mut sums = Sums::none();
            sums.add_all(codes, tables);
            let [more, and_more] = sums.widened();
            (first, second) = (_mm256_add_epi32(first, more), _mm256_add_epi32(second, and_more));
        }
    }
    [first, second]
}

/// Sums of sixteen lanes, in bytes' places: words of which the lower byte's lane and the upper byte's lane are told apart at the end.
#[derive(Clone, Copy)]
struct Sums {
    /// Entries of lower bytes, and 256 times those of upper bytes.
    all: __m256i,
    /// Entries of upper bytes.
    upper: __m256i,
}

impl Sums {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn none() -> Self {
        Self { all: _mm256_setzero_si256(), upper: _mm256_setzero_si256() }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn double(&mut self) {
        self.all = _mm256_slli_epi16::<1>(self.all);
        self.upper = _mm256_slli_epi16::<1>(self.upper);
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn add(&mut self, entries: __m256i) {
        self.all = _mm256_add_epi16(self.all, entries);
        self.upper = _mm256_add_epi16(self.upper, _mm256_srli_epi16::<8>(entries));
    }

    /// Adds the entries that groups of codes pick.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn add_all(&mut self, codes: &[u8], tables: &[[u8; TABLES]]) {
        let low = _mm256_set1_epi8(15);
        for (codes, tables) in codes.as_chunks::<BYTES>().0.iter().zip(tables) {
            // SAFETY: 32 bytes are readable from each of the four on.
            let tables = [0, 32, 64, 96].map(|at| unsafe { _mm256_loadu_si256(tables[at..at + 32].as_ptr().cast()) });
            let [first, second] = by_byte(codes);
            self.add(_mm256_shuffle_epi8(tables[0], _mm256_and_si256(first, low)));
            self.add(_mm256_shuffle_epi8(tables[1], _mm256_and_si256(second, low)));
            self.add(_mm256_shuffle_epi8(tables[2], _mm256_and_si256(_mm256_srli_epi16::<4>(first), low)));
            self.add(_mm256_shuffle_epi8(tables[3], _mm256_and_si256(_mm256_srli_epi16::<4>(second), low)));
        }
    }

    /// The sums of lanes 0 to 7 and 8 to 15.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn widened(self) -> [__m256i; 2] {
        let lower = _mm256_sub_epi16(self.all, _mm256_slli_epi16::<8>(self.upper));
        // Bytes 0 and 2 are in one half, 1 and 3 in the other: together they may need more than 16 bits.
        let both = |x| {
            let (one, other) = (_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
            _mm256_add_epi32(_mm256_cvtepu16_epi32(one), _mm256_cvtepu16_epi32(other))
        };
        // Lanes 0 to 3 and 8 to 11, then 4 to 7 and 12 to 15.
        let first = both(_mm256_unpacklo_epi16(lower, self.upper));
        let second = both(_mm256_unpackhi_epi16(lower, self.upper));
        [_mm256_permute2x128_si256::<0x20>(first, second), _mm256_permute2x128_si256::<0x31>(first, second)]
    }
}

/// The bytes of a group, sixteen lanes each: first 0 and 1 of their dwords, then 2 and 3. Lanes are in the order 0 to 3, 8 to 11, 4 to 7, 12 to 15.
#[inline]
#[target_feature(enable = "avx2")]
fn by_byte(codes: &[u8; BYTES]) -> [__m256i; 2] {
    let order = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    let [first, second] = [0, BYTES / 2].map(|at| {
        // SAFETY: 32 bytes are readable from either on.
        let dwords = unsafe { _mm256_loadu_si256(codes[at..at + BYTES / 2].as_ptr().cast()) };
        _mm256_shuffle_epi8(dwords, order)
    });
    let [lower, upper] = [_mm256_unpacklo_epi32(first, second), _mm256_unpackhi_epi32(first, second)];
    [_mm256_permute4x64_epi64::<0b11_01_10_00>(lower), _mm256_permute4x64_epi64::<0b11_01_10_00>(upper)]
}
