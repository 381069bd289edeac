//! WebAssembly's 128-bit vectors: 16 bytes at a time, multiplied as 16-bit words.

use std::arch::wasm32::*;

use super::sums::Isa;

#[derive(Clone, Copy)]
pub(super) struct Simd128;

impl Isa for Simd128 {
    type Vector = v128;
    type Lanes = v128;
    const STEP: usize = 16;

    #[inline(always)]
    unsafe fn run<R>(body: impl FnOnce() -> R) -> R {
        // A property of the whole compilation: nothing to switch on.
        body()
    }

    #[inline(always)]
    unsafe fn load(start: *const u8) -> v128 {
        // SAFETY: 16 bytes are readable, by the caller.
        unsafe { v128_load(start.cast()) }
    }

    #[inline(always)]
    unsafe fn and(a: v128, b: v128) -> v128 {
        v128_and(a, b)
    }

    #[inline(always)]
    unsafe fn flip(bytes: v128) -> v128 {
        v128_xor(bytes, u8x16_splat(128))
    }

    #[inline(always)]
    unsafe fn zero() -> v128 {
        u32x4_splat(0)
    }

    #[inline(always)]
    unsafe fn add(a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }

    #[inline(always)]
    unsafe fn sub(a: v128, b: v128) -> v128 {
        i32x4_sub(a, b)
    }

    #[inline(always)]
    unsafe fn total(sums: v128) -> i32 {
        let sums = i32x4_add(sums, i32x4_shuffle::<2, 3, 0, 1>(sums, sums));
        i32x4_extract_lane::<0>(sums).wrapping_add(i32x4_extract_lane::<1>(sums))
    }

    #[inline(always)]
    unsafe fn totals([a, b, c, d]: [v128; 4]) -> [i32; 4] {
        // Two rounds of interleave-and-add leave one lane for each row.
        let ab = i32x4_add(i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b));
        let cd = i32x4_add(i32x4_shuffle::<0, 4, 1, 5>(c, d), i32x4_shuffle::<2, 6, 3, 7>(c, d));
        let sums = i32x4_add(i32x4_shuffle::<0, 1, 4, 5>(ab, cd), i32x4_shuffle::<2, 3, 6, 7>(ab, cd));
        [
            i32x4_extract_lane::<0>(sums),
            i32x4_extract_lane::<1>(sums),
            i32x4_extract_lane::<2>(sums),
            i32x4_extract_lane::<3>(sums),
        ]
    }

    #[inline(always)]
    unsafe fn squared_l2(sums: v128, q: v128, x: v128) -> v128 {
        let lower = i16x8_sub(u16x8_extend_low_u8x16(q), u16x8_extend_low_u8x16(x));
        let upper = i16x8_sub(u16x8_extend_high_u8x16(q), u16x8_extend_high_u8x16(x));
        i32x4_add(sums, i32x4_add(i32x4_dot_i16x8(lower, lower), i32x4_dot_i16x8(upper, upper)))
    }

    #[inline(always)]
    unsafe fn l1(sums: v128, q: v128, x: v128) -> v128 {
        let apart = u8x16_sub(u8x16_max(q, x), u8x16_min(q, x));
        i32x4_add(sums, u32x4_extadd_pairwise_u16x8(u16x8_extadd_pairwise_u8x16(apart)))
    }

    #[inline(always)]
    unsafe fn dot_u8(sums: v128, q: v128, x: v128) -> v128 {
        let lower = i32x4_dot_i16x8(u16x8_extend_low_u8x16(q), u16x8_extend_low_u8x16(x));
        let upper = i32x4_dot_i16x8(u16x8_extend_high_u8x16(q), u16x8_extend_high_u8x16(x));
        i32x4_add(sums, i32x4_add(lower, upper))
    }

    #[inline(always)]
    unsafe fn dot_i8(sums: v128, q: v128, x: v128) -> v128 {
        let lower = i32x4_dot_i16x8(i16x8_extend_low_i8x16(q), i16x8_extend_low_i8x16(x));
        let upper = i32x4_dot_i16x8(i16x8_extend_high_i8x16(q), i16x8_extend_high_i8x16(x));
        i32x4_add(sums, i32x4_add(lower, upper))
    }

    #[inline(always)]
    unsafe fn shift(bytes: v128, bits: i32) -> v128 {
        u8x16_shr(bytes, bits.cast_unsigned())
    }

    #[inline(always)]
    unsafe fn hamming(sums: v128, q: v128, x: v128) -> v128 {
        let counts = u8x16_popcnt(v128_xor(q, x));
        i32x4_add(sums, u32x4_extadd_pairwise_u16x8(u16x8_extadd_pairwise_u8x16(counts)))
    }
}
