//! Sixteen floats in an AVX-512 register; tails by masked loads, which touch no byte beyond the row.

use std::arch::x86_64::{
    __m128i, __m256i, __m512, __m512i, _mm_loadu_si128, _mm_maskz_loadu_epi8, _mm256_loadu_si256,
    _mm256_maskz_loadu_epi16, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_maskz_loadu_ps,
};

use half::{bf16, f16};

use super::{Lanes, Load};

/// The token: AVX-512 F, BW, CD, DQ and VL are present.
#[derive(Clone, Copy)]
pub(crate) struct V4(pulp::x86::V4);

impl Lanes for V4 {
    type Vector = __m512;
    const WIDTH: usize = 16;
    const FOUR_ROWS: bool = true;

    #[inline(always)]
    unsafe fn new() -> Self {
        // SAFETY: the instruction set is present, by the caller.
        V4(unsafe { pulp::x86::V4::new_unchecked() })
    }

    #[inline(always)]
    fn run<R>(self, body: impl FnOnce() -> R) -> R {
        self.0.vectorize(body)
    }

    #[inline(always)]
    fn zero(self) -> __m512 {
        self.0.avx512f._mm512_setzero_ps()
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        self.0.avx512f._mm512_add_ps(a, b)
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        self.0.avx512f._mm512_sub_ps(a, b)
    }

    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 {
        self.0.avx512f._mm512_abs_ps(a)
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        self.0.avx512f._mm512_fmadd_ps(a, b, c)
    }

    // Folds the upper half onto the lower one until one lane is left.
    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        let f = self.0.avx512f;
        let a = f._mm512_add_ps(a, f._mm512_shuffle_f32x4::<0b01_00_11_10>(a, a));
        let a = f._mm512_add_ps(a, f._mm512_shuffle_f32x4::<0b10_11_00_01>(a, a));
        self.0.sse._mm_cvtss_f32(f._mm512_castps512_ps128(self.fold_quarters(a)))
    }

    // The same folds for four vectors at once: after the first two, each quarter of one register belongs to one vector.
    #[inline(always)]
    fn sums(self, vectors: [__m512; 4]) -> [f32; 4] {
        let f = self.0.avx512f;
        let [a, b, c, d] = vectors;
        let (ab, cd) = (self.fold_halves(a, b), self.fold_halves(c, d));
        let even = f._mm512_shuffle_f32x4::<0b10_00_10_00>(ab, cd);
        let quarters = f._mm512_add_ps(even, f._mm512_shuffle_f32x4::<0b11_01_11_01>(ab, cd));
        let quarters = pulp::cast::<__m512, [[f32; 4]; 4]>(self.fold_quarters(quarters));
        let [[a, ..], [b, ..], [c, ..], [d, ..]] = quarters;
        [a, b, c, d]
    }
}

impl V4 {
    /// Adds the upper half of each register to its lower half, and puts the two results side by side.
    #[inline(always)]
    fn fold_halves(self, a: __m512, b: __m512) -> __m512 {
        let f = self.0.avx512f;
        let lower = f._mm512_shuffle_f32x4::<0b01_00_01_00>(a, b);
        f._mm512_add_ps(lower, f._mm512_shuffle_f32x4::<0b11_10_11_10>(a, b))
    }

    /// Sums each quarter of a register, leaving the sum in all of its lanes.
    #[inline(always)]
    fn fold_quarters(self, a: __m512) -> __m512 {
        let f = self.0.avx512f;
        let a = f._mm512_add_ps(a, f._mm512_permute_ps::<0b01_00_11_10>(a));
        f._mm512_add_ps(a, f._mm512_permute_ps::<0b10_11_00_01>(a))
    }

    /// The upper halves of `f32`s, as floats.
    #[inline(always)]
    fn widen_bf16(self, a: __m256i) -> __m512 {
        let f = self.0.avx512f;
        let words = f._mm512_slli_epi32::<16>(f._mm512_cvtepu16_epi32(a));
        f._mm512_castsi512_ps(words)
    }

    #[inline(always)]
    fn widen_f16(self, a: __m256i) -> __m512 {
        self.0.avx512f._mm512_cvtph_ps(a)
    }

    #[inline(always)]
    fn widen_u8(self, a: __m128i) -> __m512 {
        self.convert(self.0.avx512f._mm512_cvtepu8_epi32(a))
    }

    #[inline(always)]
    fn widen_i8(self, a: __m128i) -> __m512 {
        self.convert(self.0.avx512f._mm512_cvtepi8_epi32(a))
    }

    #[inline(always)]
    fn convert(self, a: __m512i) -> __m512 {
        self.0.avx512f._mm512_cvtepi32_ps(a)
    }
}

/// The mask of the first `n` lanes, for `n < 16`.
#[inline(always)]
fn first(n: usize) -> u16 {
    debug_assert!(n < 16);
    (1 << n) - 1
}

impl Load<f32> for V4 {
    #[inline(always)]
    unsafe fn load(self, at: *const f32) -> __m512 {
        // SAFETY: 64 bytes can be read, by the caller; the token proves AVX-512 F.
        unsafe { _mm512_loadu_ps(at) }
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const f32, n: usize) -> __m512 {
        // SAFETY: the n lanes of the mask can be read, by the caller; the token proves AVX-512 F.
        unsafe { _mm512_maskz_loadu_ps(first(n), at) }
    }
}

impl Load<bf16> for V4 {
    #[inline(always)]
    unsafe fn load(self, at: *const bf16) -> __m512 {
        // SAFETY: 32 bytes can be read, by the caller; the token proves AVX.
        self.widen_bf16(unsafe { _mm256_loadu_si256(at.cast()) })
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const bf16, n: usize) -> __m512 {
        // SAFETY: the n lanes of the mask can be read, by the caller; the token proves AVX-512 BW and VL.
        self.widen_bf16(unsafe { _mm256_maskz_loadu_epi16(first(n), at.cast()) })
    }

    // Even elements are shifted into place, odd ones stand there already: one instruction each, where widening half a
    // register takes two. The query is sorted alike, once for four rows.
    #[inline(always)]
    unsafe fn load_two(self, at: *const bf16) -> [__m512; 2] {
        let f = self.0.avx512f;
        // SAFETY: 64 bytes can be read, by the caller; the token proves AVX-512 F.
        let words = unsafe { _mm512_loadu_si512(at.cast()) };
        let even = f._mm512_slli_epi32::<16>(words);
        let odd = f._mm512_and_si512(words, f._mm512_set1_epi32(0xffff_0000_u32 as i32));
        [f._mm512_castsi512_ps(even), f._mm512_castsi512_ps(odd)]
    }

    #[inline(always)]
    fn as_two(self, [a, b]: [__m512; 2]) -> [__m512; 2] {
        let f = self.0.avx512f;
        let places = |first: u32| pulp::cast::<[u32; 16], __m512i>(std::array::from_fn(|i| 2 * i as u32 + first));
        [f._mm512_permutex2var_ps(a, places(0), b), f._mm512_permutex2var_ps(a, places(1), b)]
    }
}

impl Load<f16> for V4 {
    #[inline(always)]
    unsafe fn load(self, at: *const f16) -> __m512 {
        // SAFETY: 32 bytes can be read, by the caller; the token proves AVX.
        self.widen_f16(unsafe { _mm256_loadu_si256(at.cast()) })
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const f16, n: usize) -> __m512 {
        // SAFETY: the n lanes of the mask can be read, by the caller; the token proves AVX-512 BW and VL.
        self.widen_f16(unsafe { _mm256_maskz_loadu_epi16(first(n), at.cast()) })
    }
}

impl Load<u8> for V4 {
    #[inline(always)]
    unsafe fn load(self, at: *const u8) -> __m512 {
        // SAFETY: 16 bytes can be read, by the caller; SSE2 is part of every x86-64 target.
        self.widen_u8(unsafe { _mm_loadu_si128(at.cast()) })
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const u8, n: usize) -> __m512 {
        // SAFETY: the n lanes of the mask can be read, by the caller; the token proves AVX-512 BW and VL.
        self.widen_u8(unsafe { _mm_maskz_loadu_epi8(first(n), at.cast()) })
    }
}

impl Load<i8> for V4 {
    #[inline(always)]
    unsafe fn load(self, at: *const i8) -> __m512 {
        // SAFETY: 16 bytes can be read, by the caller; SSE2 is part of every x86-64 target.
        self.widen_i8(unsafe { _mm_loadu_si128(at.cast()) })
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const i8, n: usize) -> __m512 {
        // SAFETY: the n lanes of the mask can be read, by the caller; the token proves AVX-512 BW and VL.
        self.widen_i8(unsafe { _mm_maskz_loadu_epi8(first(n), at) })
    }
}
