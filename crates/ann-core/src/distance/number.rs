//! What the generic distances ask of an element: conversion to `f64` and exact differences; and sums over eight lanes.

use std::fmt::Display;

use half::{bf16, f16};

use super::ElementError;

/// An element of a numeric vector: every primitive number up to 64 bits, `f16` and `bf16`.
///
/// ```
/// use ann_core::distance::Number;
///
/// assert_eq!((-3i8).to_f64(), -3.0);
/// // Differences of integers are taken before the rounding to f64.
/// assert_eq!(((1u64 << 60) + 1).difference(1 << 60), 1.0);
/// ```
pub trait Number: Copy + Default + PartialEq + Display + Send + Sync + 'static {
    /// The value, rounded to nearest for 64-bit integers beyond 2^53 and exact for all else.
    fn to_f64(self) -> f64;

    /// |self - other|, rounded once.
    fn difference(self, other: Self) -> f64 {
        (self.to_f64() - other.to_f64()).abs()
    }
}

macro_rules! integers {
    ($($t:ty)*) => {$(impl Number for $t {
        fn to_f64(self) -> f64 { self as f64 }
        fn difference(self, other: Self) -> f64 { self.abs_diff(other) as f64 }
    })*};
}
macro_rules! floats {
    ($($t:ty)*) => {$(impl Number for $t { fn to_f64(self) -> f64 { self.into() } })*};
}
integers!(u8 i8 u16 i16 u32 i32 u64 i64);
floats!(f16 bf16 f32 f64);

/// A word of a bitset, 8 to 64 bits wide.
///
/// ```
/// use ann_core::distance::Word;
///
/// assert_eq!(0b1011u8.to_u64().count_ones(), 3);
/// ```
pub trait Word: Copy + Default + Send + Sync + 'static {
    /// The bits, widened with zeros.
    fn to_u64(self) -> u64;
}

macro_rules! words {
    ($($t:ty)*) => {$(impl Word for $t { fn to_u64(self) -> u64 { self.into() } })*};
}
words!(u8 u16 u32 u64);

/// Σ f(x, y) for `K` sums at once, each in eight lanes; the shorter slice is padded with zeros.
///
/// Lanes make the sum fast (no chain of dependent additions) and about eight times as accurate as one running total.
pub(crate) fn sums<T: Copy + Default, const K: usize>(a: &[T], b: &[T], f: impl Fn(T, T) -> [f64; K]) -> [f64; K] {
    let common = a.len().min(b.len());
    let (a, beyond_a) = a.split_at(common);
    let (b, beyond_b) = b.split_at(common);
    let ((blocks_a, tail_a), (blocks_b, tail_b)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut lanes = [[0.0; 8]; K];
    for (x, y) in blocks_a.iter().zip(blocks_b) {
        for i in 0..8 {
            let terms = f(x[i], y[i]);
            for (lane, term) in lanes.iter_mut().zip(terms) {
                lane[i] += term;
            }
        }
    }
    let padded_a = beyond_a.iter().map(|&x| (x, T::default()));
    let padded_b = beyond_b.iter().map(|&y| (T::default(), y));
    let pairs = tail_a.iter().copied().zip(tail_b.iter().copied());
    for (i, (x, y)) in pairs.chain(padded_a).chain(padded_b).enumerate() {
        for (lane, term) in lanes.iter_mut().zip(f(x, y)) {
            lane[i % 8] += term;
        }
    }
    lanes.map(|lane| lane.iter().sum())
}

/// Σ f(x, y), as [`sums`].
pub(super) fn sum<T: Copy + Default>(a: &[T], b: &[T], f: impl Fn(T, T) -> f64) -> f64 {
    let [total] = sums(a, b, |x, y| [f(x, y)]);
    total
}

/// The one rounding to `f32`. Not-a-number becomes `+∞`, last in every order; a NaN with its sign bit set, which is
/// what x86 makes of ∞-∞, would come first under `total_cmp`.
pub(super) fn distance(value: f64) -> f32 {
    if value.is_nan() { f32::INFINITY } else { value as f32 }
}

/// Every element is finite.
pub(super) fn check_finite<T: Number>(value: &[T]) -> Result<(), ElementError> {
    check(value, "finite", f64::is_finite)
}

/// Every element is a weight: finite and not negative.
pub(super) fn check_weights<T: Number>(value: &[T]) -> Result<(), ElementError> {
    check(value, "finite and not negative", |x| x.is_finite() && x >= 0.0)
}

fn check<T: Number>(value: &[T], must: &'static str, accepts: impl Fn(f64) -> bool) -> Result<(), ElementError> {
    match value.iter().position(|x| !accepts(x.to_f64())) {
        None => Ok(()),
        Some(position) => Err(ElementError { position, must, found: value[position].to_string() }),
    }
}
