//! AVX2: 32 bytes at a time, multiplied as 16-bit words.
//!
//! Bytes are widened in place: the even ones by masking, the odd ones by shifting. That keeps off the shuffle port, which
//! ordinary widening needs; the order of terms does not matter in an exact sum.

use std::arch::x86_64::*;

use super::sums::{Isa, MASKS};
use crate::short::short;

#[derive(Clone, Copy)]
pub(super) struct V3;

impl Isa for V3 {
    type Vector = __m256i;
    type Lanes = __m256i;
    const STEP: usize = 32;

    #[inline(always)]
    unsafe fn run<R>(body: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx2,bmi1,bmi2,fma,lzcnt,popcnt")]
        fn inside<R>(body: impl FnOnce() -> R) -> R {
            body()
        }
        // SAFETY: the instruction set is present, by the caller.
        unsafe { inside(body) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(start: *const u8) -> __m256i {
        // SAFETY: 32 bytes are readable, by the caller.
        unsafe { _mm256_loadu_si256(start.cast()) }
    }

    // A row shorter than a vector is read as two parts that overlap: see `short`.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load_tail(start: *const u8, done: usize, len: usize) -> __m256i {
        let rest = len - done;
        // SAFETY: with a whole vector before the tail the last 32 bytes of the row are readable, and of the masks the 32 bytes that end in `rest`
        // ones; otherwise the row is `rest` bytes long.
        unsafe {
            if done > 0 {
                let ones = Self::load(MASKS.as_ptr().add(32 + rest));
                return _mm256_and_si256(Self::load(start.add(len - 32)), ones);
            }
            if rest < 16 {
                return _mm256_zextsi128_si256(bytemuck::cast(short(start, rest)));
            }
            let ones = _mm_loadu_si128(MASKS.as_ptr().add(32 + rest).cast());
            let second = _mm_and_si128(_mm_loadu_si128(start.add(rest - 16).cast()), ones);
            _mm256_set_m128i(second, _mm_loadu_si128(start.cast()))
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn and(a: __m256i, b: __m256i) -> __m256i {
        _mm256_and_si256(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn flip(bytes: __m256i) -> __m256i {
        _mm256_xor_si256(bytes, _mm256_set1_epi8(i8::MIN))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn zero() -> __m256i {
        _mm256_setzero_si256()
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add(a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn sub(a: __m256i, b: __m256i) -> __m256i {
        _mm256_sub_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn total(sums: __m256i) -> i32 {
        let sums = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
        let sums = _mm_add_epi32(sums, _mm_unpackhi_epi64(sums, sums));
        _mm_cvtsi128_si32(_mm_add_epi32(sums, _mm_shuffle_epi32::<1>(sums)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn totals([a, b, c, d]: [__m256i; 4]) -> [i32; 4] {
        // Two rounds of interleave-and-add leave one lane for each row in both halves.
        let ab = _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
        let cd = _mm256_add_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
        let halves = _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
        let sums = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves));
        bytemuck::cast(sums)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn squared_l2(sums: __m256i, q: __m256i, x: __m256i) -> __m256i {
        let ([qe, qo], [xe, xo]) = (widen_u8(q), widen_u8(x));
        let (even, odd) = (_mm256_sub_epi16(qe, xe), _mm256_sub_epi16(qo, xo));
        // Four squares of at most 255² fit a lane.
        let squares = _mm256_add_epi32(_mm256_madd_epi16(even, even), _mm256_madd_epi16(odd, odd));
        _mm256_add_epi32(sums, squares)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn l1(sums: __m256i, q: __m256i, x: __m256i) -> __m256i {
        // Lanes of 64 bits hold less than 2^32, so that adding pairs of 32-bit lanes is the same.
        _mm256_add_epi32(sums, _mm256_sad_epu8(q, x))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn dot_u8(sums: __m256i, q: __m256i, x: __m256i) -> __m256i {
        let ([qe, qo], [xe, xo]) = (widen_u8(q), widen_u8(x));
        _mm256_add_epi32(sums, _mm256_add_epi32(_mm256_madd_epi16(qe, xe), _mm256_madd_epi16(qo, xo)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn dot_i8(sums: __m256i, q: __m256i, x: __m256i) -> __m256i {
        let ([qe, qo], [xe, xo]) = (widen_i8(q), widen_i8(x));
        _mm256_add_epi32(sums, _mm256_add_epi32(_mm256_madd_epi16(qe, xe), _mm256_madd_epi16(qo, xo)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn dot_small(sums: __m256i, q: __m256i, x: __m256i) -> __m256i {
        // Two products of at most 15 · 128 are far from saturating.
        let pairs = _mm256_maddubs_epi16(x, q);
        _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn shift(bytes: __m256i, bits: i32) -> __m256i {
        _mm256_srl_epi16(bytes, _mm_cvtsi32_si128(bits))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn hamming(sums: __m256i, q: __m256i, x: __m256i) -> __m256i {
        // Population count by table, half a byte at a time: Muła, Kurz and Lemire, arXiv 1611.07612.
        let table = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
        let (bits, low) = (_mm256_xor_si256(q, x), _mm256_set1_epi8(15));
        let lower = _mm256_shuffle_epi8(table, _mm256_and_si256(bits, low));
        let upper = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16::<4>(bits), low));
        let counts = _mm256_add_epi8(lower, upper);
        _mm256_add_epi32(sums, _mm256_sad_epu8(counts, _mm256_setzero_si256()))
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn widen_u8(bytes: __m256i) -> [__m256i; 2] {
    [_mm256_and_si256(bytes, _mm256_set1_epi16(255)), _mm256_srli_epi16::<8>(bytes)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn widen_i8(bytes: __m256i) -> [__m256i; 2] {
    [_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(bytes)), _mm256_srai_epi16::<8>(bytes)]
}
