//! Eight floats in an AVX2 register, with fused multiply-add and half-precision conversion.

use std::arch::x86_64::{
    __m128i, __m256, _mm_loadl_epi64, _mm_loadu_si128, _mm256_cvtph_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_maskload_ps,
};

use half::{bf16, f16};

use super::{Lanes, Load};
use crate::short::short;

/// The token: AVX2, FMA and F16C are present.
#[derive(Clone, Copy)]
pub(crate) struct V3(pulp::x86::V3);

impl Lanes for V3 {
    type Vector = __m256;
    const WIDTH: usize = 8;
    const FOUR_ROWS: bool = false;

    #[inline(always)]
    unsafe fn new() -> Self {
        // SAFETY: the instruction set is present, by the caller.
        V3(unsafe { pulp::x86::V3::new_unchecked() })
    }

    // Not the token's own `vectorize`: it leaves out F16C.
    #[inline(always)]
    fn run<R>(self, body: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
        #[inline]
        fn compiled<R>(body: impl FnOnce() -> R) -> R {
            body()
        }
        // SAFETY: the token proves the features.
        unsafe { compiled(body) }
    }

    #[inline(always)]
    fn zero(self) -> __m256 {
        self.0.avx._mm256_setzero_ps()
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        self.0.avx._mm256_add_ps(a, b)
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        self.0.avx._mm256_sub_ps(a, b)
    }

    #[inline(always)]
    fn abs(self, a: __m256) -> __m256 {
        self.0.avx._mm256_andnot_ps(self.0.avx._mm256_set1_ps(-0.0), a)
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        self.0.fma._mm256_fmadd_ps(a, b, c)
    }

    // Folds the upper half onto the lower one until one lane is left.
    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        let (f, sse) = (self.0.avx, self.0.sse);
        let a = sse._mm_add_ps(f._mm256_castps256_ps128(a), f._mm256_extractf128_ps::<1>(a));
        let a = sse._mm_add_ps(a, sse._mm_movehl_ps(a, a));
        sse._mm_cvtss_f32(sse._mm_add_ps(a, sse._mm_shuffle_ps::<0b10_11_00_01>(a, a)))
    }

    // The same folds for four vectors at once.
    #[inline(always)]
    fn sums(self, vectors: [__m256; 4]) -> [f32; 4] {
        let f = self.0.avx;
        let [a, b, c, d] = vectors;
        let (ab, cd) = (self.fold_halves(a, b), self.fold_halves(c, d));
        let pairs = f._mm256_shuffle_ps::<0b01_00_01_00>(ab, cd);
        let pairs = f._mm256_add_ps(pairs, f._mm256_shuffle_ps::<0b11_10_11_10>(ab, cd));
        let sums = f._mm256_add_ps(pairs, f._mm256_shuffle_ps::<0b10_11_00_01>(pairs, pairs));
        let [a, _, c, _, b, _, d, _] = pulp::cast::<__m256, [f32; 8]>(sums);
        [a, b, c, d]
    }
}

impl V3 {
    /// Adds the upper half of each register to its lower half, and puts the two results side by side.
    #[inline(always)]
    fn fold_halves(self, a: __m256, b: __m256) -> __m256 {
        let lower = self.0.avx._mm256_permute2f128_ps::<0x20>(a, b);
        self.0.avx._mm256_add_ps(lower, self.0.avx._mm256_permute2f128_ps::<0x31>(a, b))
    }

    #[inline(always)]
    fn widen_bf16(self, a: __m128i) -> __m256 {
        let upper = self.0.avx2._mm256_slli_epi32::<16>(self.0.avx2._mm256_cvtepu16_epi32(a));
        self.0.avx._mm256_castsi256_ps(upper)
    }

    #[inline(always)]
    fn widen_f16(self, a: __m128i) -> __m256 {
        // SAFETY: the token proves F16C.
        unsafe { _mm256_cvtph_ps(a) }
    }

    #[inline(always)]
    fn widen_u8(self, a: __m128i) -> __m256 {
        self.0.avx._mm256_cvtepi32_ps(self.0.avx2._mm256_cvtepu8_epi32(a))
    }

    #[inline(always)]
    fn widen_i8(self, a: __m128i) -> __m256 {
        self.0.avx._mm256_cvtepi32_ps(self.0.avx2._mm256_cvtepi8_epi32(a))
    }
}

/// The first `n < 8` elements, and zeros behind them, as the register that eight of them are loaded into.
///
/// # Safety
/// - `n` elements can be read from `at` on.
#[inline(always)]
unsafe fn padded<T>(at: *const T, n: usize) -> __m128i {
    const { assert!(size_of::<T>() <= 2, "eight elements fit the register") };
    // SAFETY: n elements can be read, by the caller.
    pulp::cast(unsafe { short(at.cast(), n * size_of::<T>()) })
}

impl Load<f32> for V3 {
    #[inline(always)]
    unsafe fn load(self, at: *const f32) -> __m256 {
        // SAFETY: 32 bytes can be read, by the caller; the token proves AVX.
        unsafe { _mm256_loadu_ps(at) }
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const f32, n: usize) -> __m256 {
        /// A window of eight that begins at `8 - n` has its first `n` lanes set.
        static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        let start = MASKS.as_ptr().wrapping_add(8 - n);
        // SAFETY: 0 <= n <= 8, so the window lies inside of the table; the token proves AVX.
        let mask = unsafe { _mm256_loadu_si256(start.cast()) };
        // SAFETY: the n lanes of the mask can be read, by the caller; the token proves AVX.
        unsafe { _mm256_maskload_ps(at, mask) }
    }
}

impl Load<bf16> for V3 {
    #[inline(always)]
    unsafe fn load(self, at: *const bf16) -> __m256 {
        // SAFETY: 16 bytes can be read, by the caller; SSE2 is part of every x86-64 target.
        self.widen_bf16(unsafe { _mm_loadu_si128(at.cast()) })
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const bf16, n: usize) -> __m256 {
        // SAFETY: n elements can be read, by the caller.
        self.widen_bf16(unsafe { padded(at, n) })
    }
}

impl Load<f16> for V3 {
    #[inline(always)]
    unsafe fn load(self, at: *const f16) -> __m256 {
        // SAFETY: 16 bytes can be read, by the caller; SSE2 is part of every x86-64 target.
        self.widen_f16(unsafe { _mm_loadu_si128(at.cast()) })
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const f16, n: usize) -> __m256 {
        // SAFETY: n elements can be read, by the caller.
        self.widen_f16(unsafe { padded(at, n) })
    }
}

impl Load<u8> for V3 {
    #[inline(always)]
    unsafe fn load(self, at: *const u8) -> __m256 {
        // SAFETY: 8 bytes can be read, by the caller; SSE2 is part of every x86-64 target.
        self.widen_u8(unsafe { _mm_loadl_epi64(at.cast()) })
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const u8, n: usize) -> __m256 {
        // SAFETY: n elements can be read, by the caller.
        self.widen_u8(unsafe { padded(at, n) })
    }
}

impl Load<i8> for V3 {
    #[inline(always)]
    unsafe fn load(self, at: *const i8) -> __m256 {
        // SAFETY: 8 bytes can be read, by the caller; SSE2 is part of every x86-64 target.
        self.widen_i8(unsafe { _mm_loadl_epi64(at.cast()) })
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const i8, n: usize) -> __m256 {
        // SAFETY: n elements can be read, by the caller.
        self.widen_i8(unsafe { padded(at, n) })
    }
}
