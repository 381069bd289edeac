//! AVX-512 with VNNI and VPOPCNTDQ: products and bits counted by single instructions.
//!
//! VNNI multiplies unsigned by signed bytes. Products of like bytes become such by turning the top bit of one side, which
//! shifts its values by 128; the error is 128 times the sum of the other side. That side is made the query's, so that the
//! error is computed once for four rows: qx = q(x - 128) + 128q unsigned, qx = (x + 128)q - 128q signed.

use std::arch::x86_64::*;

use super::sums::Isa;
use super::v4::{V4, differences};

#[derive(Clone, Copy)]
pub(super) struct V4x;

impl Isa for V4x {
    type Vector = __m512i;
    type Lanes = __m512i;
    const STEP: usize = V4::STEP;
    const EXCESS: bool = true;

    #[inline(always)]
    unsafe fn run<R>(body: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq")]
        fn inside<R>(body: impl FnOnce() -> R) -> R {
            body()
        }
        // SAFETY: the instruction set is present, by the caller.
        unsafe { inside(body) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(start: *const u8) -> __m512i {
        // SAFETY: as the caller says.
        unsafe { V4::load(start) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn load_tail(start: *const u8, done: usize, len: usize) -> __m512i {
        // SAFETY: as the caller says.
        unsafe { V4::load_tail(start, done, len) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn and(a: __m512i, b: __m512i) -> __m512i {
        _mm512_and_si512(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn flip(bytes: __m512i) -> __m512i {
        // SAFETY: AVX-512 is present.
        unsafe { V4::flip(bytes) }
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
    unsafe fn totals(sums: [__m512i; 4]) -> [i32; 4] {
        // SAFETY: AVX-512 is present.
        unsafe { V4::totals(sums) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn squared_l2(sums: __m512i, q: __m512i, x: __m512i) -> __m512i {
        let [even, odd] = differences(q, x);
        _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(sums, even, even), odd, odd)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn l1(sums: __m512i, q: __m512i, x: __m512i) -> __m512i {
        // SAFETY: AVX-512 with byte instructions is present.
        unsafe { V4::l1(sums, q, x) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn dot_u8(sums: __m512i, q: __m512i, x: __m512i) -> __m512i {
        // SAFETY: AVX-512 is present.
        _mm512_dpbusd_epi32(sums, q, unsafe { V4::flip(x) })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn dot_i8(sums: __m512i, q: __m512i, x: __m512i) -> __m512i {
        // SAFETY: AVX-512 is present.
        _mm512_dpbusd_epi32(sums, unsafe { V4::flip(x) }, q)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn dot_small(sums: __m512i, q: __m512i, x: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(sums, x, q)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn shift(bytes: __m512i, bits: i32) -> __m512i {
        // SAFETY: AVX-512 with word instructions is present.
        unsafe { V4::shift(bytes, bits) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vpopcntdq")]
    unsafe fn hamming(sums: __m512i, q: __m512i, x: __m512i) -> __m512i {
        // Lanes of 64 bits hold less than 2^32, so that adding pairs of 32-bit lanes is the same.
        _mm512_add_epi32(sums, _mm512_popcnt_epi64(_mm512_xor_si512(q, x)))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn excess_u8(sums: __m512i, q: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(sums, q, _mm512_set1_epi8(-128))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn excess_i8(sums: __m512i, q: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(sums, _mm512_set1_epi8(-128), q)
    }
}
