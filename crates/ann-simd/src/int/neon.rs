//! AArch64's baseline vectors: 16 bytes at a time.
//!
//! Products of bytes fit 16-bit lanes, which a pairwise addition gathers in 32 bits.

use std::arch::aarch64::*;

use super::sums::Isa;

#[derive(Clone, Copy)]
pub(super) struct Neon;

impl Isa for Neon {
    type Vector = uint8x16_t;
    type Lanes = uint32x4_t;
    const STEP: usize = 16;

    #[inline(always)]
    unsafe fn run<R>(body: impl FnOnce() -> R) -> R {
        // Part of the target: nothing to switch on.
        body()
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(start: *const u8) -> uint8x16_t {
        // SAFETY: 16 bytes are readable, by the caller.
        unsafe { vld1q_u8(start) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn and(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        vandq_u8(a, b)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn flip(bytes: uint8x16_t) -> uint8x16_t {
        veorq_u8(bytes, vdupq_n_u8(128))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn zero() -> uint32x4_t {
        vdupq_n_u32(0)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
        vaddq_u32(a, b)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn sub(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
        vsubq_u32(a, b)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn total(sums: uint32x4_t) -> i32 {
        // A negative sum wraps around in `u32` lanes, and back here.
        vaddvq_u32(sums).cast_signed()
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn totals([a, b, c, d]: [uint32x4_t; 4]) -> [i32; 4] {
        bytemuck::cast(vpaddq_u32(vpaddq_u32(a, b), vpaddq_u32(c, d)))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn squared_l2(sums: uint32x4_t, q: uint8x16_t, x: uint8x16_t) -> uint32x4_t {
        let apart = vabdq_u8(q, x);
        let lower = vmull_u8(vget_low_u8(apart), vget_low_u8(apart));
        vpadalq_u16(vpadalq_u16(sums, lower), vmull_high_u8(apart, apart))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn l1(sums: uint32x4_t, q: uint8x16_t, x: uint8x16_t) -> uint32x4_t {
        vpadalq_u16(sums, vpaddlq_u8(vabdq_u8(q, x)))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn dot_u8(sums: uint32x4_t, q: uint8x16_t, x: uint8x16_t) -> uint32x4_t {
        let lower = vmull_u8(vget_low_u8(q), vget_low_u8(x));
        vpadalq_u16(vpadalq_u16(sums, lower), vmull_high_u8(q, x))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn dot_i8(sums: uint32x4_t, q: uint8x16_t, x: uint8x16_t) -> uint32x4_t {
        let (q, x) = (vreinterpretq_s8_u8(q), vreinterpretq_s8_u8(x));
        let lower = vmull_s8(vget_low_s8(q), vget_low_s8(x));
        let sums = vreinterpretq_s32_u32(sums);
        vreinterpretq_u32_s32(vpadalq_s16(vpadalq_s16(sums, lower), vmull_high_s8(q, x)))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn shift(bytes: uint8x16_t, bits: i32) -> uint8x16_t {
        // Less than 8, so that the cast keeps it.
        vshlq_u8(bytes, vdupq_n_s8(-bits as i8))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn hamming(sums: uint32x4_t, q: uint8x16_t, x: uint8x16_t) -> uint32x4_t {
        vpadalq_u16(sums, vpaddlq_u8(vcntq_u8(veorq_u8(q, x))))
    }
}
