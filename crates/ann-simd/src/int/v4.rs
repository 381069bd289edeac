//! AVX-512 with byte and word instructions, without VNNI: 64 bytes at a time, multiplied as 16-bit words.
//!
//! Bytes are widened in place: the even ones by masking, the odd ones by shifting. That keeps off the shuffle ports, which
//! ordinary widening needs; the order of terms does not matter in an exact sum.

use std::arch::x86_64::*;

use super::sums::Isa;

#[derive(Clone, Copy)]
pub(super) struct V4;

impl Isa for V4 {
    type Vector = __m512i;
    type Lanes = __m512i;
    const STEP: usize = 64;

    #[inline(always)]
    unsafe fn run<R>(body: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn inside<R>(body: impl FnOnce() -> R) -> R {
            body()
        }
        // SAFETY: the instruction set is present, by the caller.
        unsafe { inside(body) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(start: *const u8) -> __m512i {
        // SAFETY: 64 bytes are readable, by the caller.
        unsafe { _mm512_loadu_si512(start.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn load_tail(start: *const u8, done: usize, len: usize) -> __m512i {
        let mask = u64::MAX >> (64 - (len - done));
        // SAFETY: reads the bytes done..len only, which are readable; 0 < len - done < 64, by the caller.
        unsafe { _mm512_maskz_loadu_epi8(mask, start.add(done).cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn and(a: __m512i, b: __m512i) -> __m512i {
        _mm512_and_si512(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn flip(bytes: __m512i) -> __m512i {
        _mm512_xor_si512(bytes, _mm512_set1_epi8(i8::MIN))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn zero() -> __m512i {
        _mm512_setzero_si512()
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn add(a: __m512i, b: __m512i) -> __m512i {
        _mm512_add_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn sub(a: __m512i, b: __m512i) -> __m512i {
        _mm512_sub_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn total(sums: __m512i) -> i32 {
        _mm512_reduce_add_epi32(sums)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn totals([a, b, c, d]: [__m512i; 4]) -> [i32; 4] {
        // Two rounds of interleave-and-add leave one lane for each row in every quarter.
        let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        let quarters = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
        let halves = _mm256_add_epi32(_mm512_castsi512_si256(quarters), _mm512_extracti64x4_epi64::<1>(quarters));
        let sums = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves));
        bytemuck::cast(sums)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn squared_l2(sums: __m512i, q: __m512i, x: __m512i) -> __m512i {
        let [even, odd] = differences(q, x);
        // Four squares of at most 255² fit a lane.
        let squares = _mm512_add_epi32(_mm512_madd_epi16(even, even), _mm512_madd_epi16(odd, odd));
        _mm512_add_epi32(sums, squares)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn l1(sums: __m512i, q: __m512i, x: __m512i) -> __m512i {
        // Lanes of 64 bits hold less than 2^32, so that adding pairs of 32-bit lanes is the same.
        _mm512_add_epi32(sums, _mm512_sad_epu8(q, x))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn dot_u8(sums: __m512i, q: __m512i, x: __m512i) -> __m512i {
        let ([qe, qo], [xe, xo]) = (widen_u8(q), widen_u8(x));
        _mm512_add_epi32(sums, _mm512_add_epi32(_mm512_madd_epi16(qe, xe), _mm512_madd_epi16(qo, xo)))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn dot_i8(sums: __m512i, q: __m512i, x: __m512i) -> __m512i {
        let ([qe, qo], [xe, xo]) = (widen_i8(q), widen_i8(x));
        _mm512_add_epi32(sums, _mm512_add_epi32(_mm512_madd_epi16(qe, xe), _mm512_madd_epi16(qo, xo)))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn dot_small(sums: __m512i, q: __m512i, x: __m512i) -> __m512i {
        // Two products of at most 15 · 128 are far from saturating.
        let pairs = _mm512_maddubs_epi16(x, q);
        _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn shift(bytes: __m512i, bits: i32) -> __m512i {
        _mm512_srl_epi16(bytes, _mm_cvtsi32_si128(bits))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn hamming(sums: __m512i, q: __m512i, x: __m512i) -> __m512i {
        // Population count by table, half a byte at a time: Muła, Kurz and Lemire, arXiv 1611.07612.
        let table = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
        let (bits, low) = (_mm512_xor_si512(q, x), _mm512_set1_epi8(15));
        let lower = _mm512_shuffle_epi8(table, _mm512_and_si512(bits, low));
        let upper = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16::<4>(bits), low));
        let counts = _mm512_add_epi8(lower, upper);
        _mm512_add_epi32(sums, _mm512_sad_epu8(counts, _mm512_setzero_si512()))
    }
}

/// The differences of bytes, even and odd ones, as words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn differences(q: __m512i, x: __m512i) -> [__m512i; 2] {
    let ([qe, qo], [xe, xo]) = (widen_u8(q), widen_u8(x));
    [_mm512_sub_epi16(qe, xe), _mm512_sub_epi16(qo, xo)]
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn widen_u8(bytes: __m512i) -> [__m512i; 2] {
    [_mm512_and_si512(bytes, _mm512_set1_epi16(255)), _mm512_srli_epi16::<8>(bytes)]
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn widen_i8(bytes: __m512i) -> [__m512i; 2] {
    [_mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(bytes)), _mm512_srai_epi16::<8>(bytes)]
}
