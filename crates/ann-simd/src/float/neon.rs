//! Four floats in a NEON register, part of every AArch64 target that has a standard library.

use std::arch::aarch64::{float32x4_t, vld1_u8, vld1_u16, vld1q_f32};

use bytemuck::Zeroable;
use half::{bf16, f16};

use super::{Lanes, Load};

/// The token: NEON is present.
#[derive(Clone, Copy)]
pub(crate) struct Neon(pulp::aarch64::Neon);

impl Lanes for Neon {
    type Vector = float32x4_t;
    const WIDTH: usize = 4;
    const FOUR_ROWS: bool = true;

    #[inline(always)]
    unsafe fn new() -> Self {
        // SAFETY: the instruction set is present, by the caller.
        Neon(unsafe { pulp::aarch64::Neon::new_unchecked() })
    }

    #[inline(always)]
    fn run<R>(self, body: impl FnOnce() -> R) -> R {
        self.0.vectorize(body)
    }

    #[inline(always)]
    fn zero(self) -> float32x4_t {
        self.0.neon.vdupq_n_f32(0.0)
    }

    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.0.neon.vaddq_f32(a, b)
    }

    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.0.neon.vsubq_f32(a, b)
    }

    #[inline(always)]
    fn abs(self, a: float32x4_t) -> float32x4_t {
        self.0.neon.vabsq_f32(a)
    }

    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        self.0.neon.vfmaq_f32(c, a, b)
    }

    // Two pairwise additions; the same two for four vectors below.
    #[inline(always)]
    fn sum(self, a: float32x4_t) -> f32 {
        let pairs = self.0.neon.vpaddq_f32(a, a);
        pulp::cast::<float32x4_t, [f32; 4]>(self.0.neon.vpaddq_f32(pairs, pairs))[0]
    }

    #[inline(always)]
    fn sums(self, vectors: [float32x4_t; 4]) -> [f32; 4] {
        let [a, b, c, d] = vectors;
        let (ab, cd) = (self.0.neon.vpaddq_f32(a, b), self.0.neon.vpaddq_f32(c, d));
        pulp::cast(self.0.neon.vpaddq_f32(ab, cd))
    }
}

impl Load<f32> for Neon {
    #[inline(always)]
    unsafe fn load(self, at: *const f32) -> float32x4_t {
        // SAFETY: 16 bytes can be read, by the caller; the token proves NEON.
        unsafe { vld1q_f32(at) }
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const f32, n: usize) -> float32x4_t {
        // SAFETY: n elements can be read, by the caller.
        pulp::cast(unsafe { padded::<f32, 4>(at, n) })
    }
}

impl Load<bf16> for Neon {
    #[inline(always)]
    unsafe fn load(self, at: *const bf16) -> float32x4_t {
        // SAFETY: 8 bytes can be read, by the caller; the token proves NEON.
        let a = unsafe { vld1_u16(at.cast()) };
        pulp::cast(self.0.neon.vshlq_n_u32::<16>(self.0.neon.vmovl_u16(a)))
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const bf16, n: usize) -> float32x4_t {
        // SAFETY: n elements can be read, by the caller.
        let padded: [bf16; 4] = unsafe { padded(at, n) };
        // SAFETY: four elements.
        unsafe { self.load(padded.as_ptr()) }
    }
}

// The conversion instruction takes a vector type that stable Rust lacks; `half` issues it by inline assembly.
impl Load<f16> for Neon {
    #[inline(always)]
    unsafe fn load(self, at: *const f16) -> float32x4_t {
        // SAFETY: four elements can be read, by the caller; an array is aligned as its elements are.
        let elements = unsafe { at.cast::<[f16; 4]>().read() };
        pulp::cast(elements.map(f16::to_f32))
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const f16, n: usize) -> float32x4_t {
        // SAFETY: n elements can be read, by the caller.
        let padded: [f16; 4] = unsafe { padded(at, n) };
        pulp::cast(padded.map(f16::to_f32))
    }
}

impl Load<u8> for Neon {
    #[inline(always)]
    unsafe fn load(self, at: *const u8) -> float32x4_t {
        // SAFETY: four elements can be read, by the caller.
        let padded: [u8; 8] = unsafe { padded(at, 4) };
        // SAFETY: eight elements; the token proves NEON.
        let a = unsafe { vld1_u8(padded.as_ptr()) };
        let words = self.0.neon.vmovl_u16(self.0.neon.vget_low_u16(self.0.neon.vmovl_u8(a)));
        self.0.neon.vcvtq_f32_u32(words)
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const u8, n: usize) -> float32x4_t {
        // SAFETY: n elements can be read, by the caller.
        let padded: [u8; 4] = unsafe { padded(at, n) };
        // SAFETY: four elements.
        unsafe { self.load(padded.as_ptr()) }
    }
}

impl Load<i8> for Neon {
    #[inline(always)]
    unsafe fn load(self, at: *const i8) -> float32x4_t {
        // SAFETY: four elements can be read, by the caller.
        let padded: [i8; 8] = unsafe { padded(at, 4) };
        // SAFETY: eight elements; the token proves NEON.
        let a = unsafe { std::arch::aarch64::vld1_s8(padded.as_ptr()) };
        let words = self.0.neon.vmovl_s16(self.0.neon.vget_low_s16(self.0.neon.vmovl_s8(a)));
        self.0.neon.vcvtq_f32_s32(words)
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const i8, n: usize) -> float32x4_t {
        // SAFETY: n elements can be read, by the caller.
        let padded: [i8; 4] = unsafe { padded(at, n) };
        // SAFETY: four elements.
        unsafe { self.load(padded.as_ptr()) }
    }
}

/// `N` elements, of which the first `n <= N` come from memory and the others are zero.
///
/// # Safety
/// - `n` elements can be read from `at` on, and `n <= N`.
#[inline(always)]
unsafe fn padded<T: Zeroable + Copy, const N: usize>(at: *const T, n: usize) -> [T; N] {
    // SAFETY: n elements can be read, by the caller, and nothing writes to a row while it is borrowed.
    let elements = unsafe { std::slice::from_raw_parts(at, n) };
    let mut padded = [T::zeroed(); N];
    for (place, &element) in padded.iter_mut().zip(elements) {
        *place = element;
    }
    padded
}
