//! Four floats in a WebAssembly register. Whether it exists is settled when compiling, so there is nothing to detect.

use std::arch::wasm32::{f32x4, f32x4_abs, f32x4_add, f32x4_mul, f32x4_splat, f32x4_sub, i32x4_shuffle, v128};

use super::{Lanes, Load};
use crate::element::Number;

/// The token; the module exists only where the instructions do.
#[derive(Clone, Copy)]
pub(crate) struct Simd128;

impl Lanes for Simd128 {
    type Vector = v128;
    const WIDTH: usize = 4;
    const FOUR_ROWS: bool = false;

    #[inline(always)]
    unsafe fn new() -> Self {
        Simd128
    }

    #[inline(always)]
    fn run<R>(self, body: impl FnOnce() -> R) -> R {
        body()
    }

    #[inline(always)]
    fn zero(self) -> v128 {
        f32x4_splat(0.0)
    }

    #[inline(always)]
    fn add(self, a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }

    #[inline(always)]
    fn sub(self, a: v128, b: v128) -> v128 {
        f32x4_sub(a, b)
    }

    #[inline(always)]
    fn abs(self, a: v128) -> v128 {
        f32x4_abs(a)
    }

    // The fused form is a relaxed instruction: other engines, other results.
    #[inline(always)]
    fn mul_add(self, a: v128, b: v128, c: v128) -> v128 {
        f32x4_add(f32x4_mul(a, b), c)
    }

    #[inline(always)]
    fn sum(self, a: v128) -> f32 {
        let a = f32x4_add(a, i32x4_shuffle::<2, 3, 0, 1>(a, a));
        std::arch::wasm32::f32x4_extract_lane::<0>(f32x4_add(a, i32x4_shuffle::<1, 0, 3, 2>(a, a)))
    }
}

impl<T: Number> Load<T> for Simd128 {
    #[inline(always)]
    unsafe fn load(self, at: *const T) -> v128 {
        // SAFETY: four elements can be read, by the caller; an array is aligned as its elements are.
        let elements = unsafe { at.cast::<[T; 4]>().read() };
        let [a, b, c, d] = elements.map(T::float);
        f32x4(a, b, c, d)
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const T, n: usize) -> v128 {
        // SAFETY: n elements can be read, by the caller, and nothing writes to a row while it is borrowed.
        let elements = unsafe { std::slice::from_raw_parts(at, n) };
        let lane = |i: usize| elements.get(i).map_or(0.0, |&element| element.float());
        f32x4(lane(0), lane(1), lane(2), lane(3))
    }
}
