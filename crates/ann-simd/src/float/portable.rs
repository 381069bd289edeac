//! Eight floats as an array: what the compilation target guarantees, vectorised by the compiler.

use std::array;

use super::{Lanes, Load};
use crate::element::Number;

/// The token; there is nothing to prove.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Lanes for Portable {
    type Vector = [f32; 8];
    const WIDTH: usize = 8;
    const FOUR_ROWS: bool = false;

    #[inline(always)]
    unsafe fn new() -> Self {
        Portable
    }

    #[inline(always)]
    fn run<R>(self, body: impl FnOnce() -> R) -> R {
        body()
    }

    #[inline(always)]
    fn zero(self) -> [f32; 8] {
        [0.0; 8]
    }

    #[inline(always)]
    fn add(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        array::from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn abs(self, a: [f32; 8]) -> [f32; 8] {
        a.map(f32::abs)
    }

    // Not `f32::mul_add`, which calls into the mathematics library where the target has no such instruction.
    #[inline(always)]
    fn mul_add(self, a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        array::from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn sum(self, a: [f32; 8]) -> f32 {
        let [a, b, c, d, e, f, g, h] = a;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

impl<T: Number> Load<T> for Portable {
    #[inline(always)]
    unsafe fn load(self, at: *const T) -> [f32; 8] {
        // SAFETY: eight elements can be read, by the caller; an array is aligned as its elements are.
        let elements = unsafe { at.cast::<[T; 8]>().read() };
        elements.map(T::float)
    }

    #[inline(always)]
    unsafe fn load_part(self, at: *const T, n: usize) -> [f32; 8] {
        // SAFETY: n elements can be read, by the caller, and nothing writes to a row while it is borrowed.
        let elements = unsafe { std::slice::from_raw_parts(at, n) };
        let mut vector = [0.0; 8];
        for (lane, &element) in vector.iter_mut().zip(elements) {
            *lane = element.float();
        }
        vector
    }
}
