//! Kernels of an `f32` query against `f32`, `f16`, `bf16`, `u8` or `i8` rows.
//!
//! Written once, over three choices: how an instruction set computes with a vector of floats ([`Lanes`]), how it widens a
//! row's elements to one ([`Load`]), and what an operation adds up ([`Step`]). A pair has four accumulators, one for each
//! of four consecutive vectors, which hides the latency of the fused multiply-add; a tail shorter than a vector is loaded
//! as if zeros followed, which change none of the sums. Four rows of one query go side by side: they share the query's
//! loads, and their four sums are folded together. A row's accumulators and the order of their sum are the same alone and
//! among four, so the values are, to the bit.

use std::marker::PhantomData;

use half::{bf16, f16};

use crate::arch::{Arch, Level};
use crate::doors::{Doors, Pairs};
use crate::element::Element;
use crate::kernel::Op;

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
#[cfg(target_arch = "x86_64")]
mod v3;
#[cfg(target_arch = "x86_64")]
mod v4;

/// The sum of squares of `x`, at the level of `arch`; bit-identical to `x`'s inner product with itself.
///
/// ```
/// assert_eq!(ann_simd::norm_squared(ann_simd::Arch::detect()?, &[3.0, 4.0]), 25.0);
/// # Ok::<(), ann_simd::ArchError>(())
/// ```
#[must_use]
pub fn norm_squared(arch: Arch, x: &[f32]) -> f32 {
    let pair = f32::doors::<Dot>(arch.level()).pair;
    // SAFETY: `arch` proves that the level is present.
    unsafe { pair(x, x) }
}

/// The doors of `op` between an `f32` query and rows of `T`.
pub(crate) fn doors<T: Row>(level: Level, op: Op) -> Option<Doors<f32, T>> {
    match op {
        Op::SquaredL2 => Some(T::doors::<SquaredL2>(level)),
        Op::Dot => Some(T::doors::<Dot>(level)),
        Op::L1 => Some(T::doors::<L1>(level)),
        Op::Hamming => None,
    }
}

/// An element of rows that an `f32` query is compared with.
pub(crate) trait Row: Element {
    /// The doors of one operation.
    fn doors<S: Step>(level: Level) -> Doors<f32, Self>;
}

macro_rules! rows {
    ($($type:ty),*) => {$(
        impl Row for $type {
            fn doors<S: Step>(level: Level) -> Doors<f32, $type> {
                match level {
                    #[cfg(target_arch = "x86_64")]
                    Level::V4 | Level::V4x => Doors::of::<Widening<v4::V4, S>>(),
                    #[cfg(target_arch = "x86_64")]
                    Level::V3 => Doors::of::<Widening<v3::V3, S>>(),
                    #[cfg(target_arch = "aarch64")]
                    Level::Neon => Doors::of::<Widening<neon::Neon, S>>(),
                    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                    Level::Simd128 => Doors::of::<Widening<simd128::Simd128, S>>(),
                    _ => Doors::of::<Widening<portable::Portable, S>>(),
                }
            }
        }
    )*};
}

rows!(f32, f16, bf16, u8, i8);

/// Computing with vectors of `f32` on one instruction set. Implementations are zero-sized tokens whose functions are all
/// `#[inline(always)]`.
pub(crate) trait Lanes: Copy + 'static {
    /// A vector of `WIDTH` floats.
    type Vector: Copy;
    /// Floats in a vector.
    const WIDTH: usize;
    /// Whether the registers hold the sixteen accumulators of four rows; otherwise rows go two by two.
    const FOUR_ROWS: bool;

    /// The token.
    ///
    /// # Safety
    /// - The processor has the instruction set.
    unsafe fn new() -> Self;

    /// Runs `body` inside a function compiled for the instruction set.
    fn run<R>(self, body: impl FnOnce() -> R) -> R;

    fn zero(self) -> Self::Vector;
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn abs(self, a: Self::Vector) -> Self::Vector;
    /// `a * b + c`, fused where the instruction set can.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The sum over the lanes.
    fn sum(self, a: Self::Vector) -> f32;
    /// Four sums, each bit-identical to [`Lanes::sum`].
    #[inline(always)]
    fn sums(self, vectors: [Self::Vector; 4]) -> [f32; 4] {
        let [a, b, c, d] = vectors;
        [self.sum(a), self.sum(b), self.sum(c), self.sum(d)]
    }
}

/// Loading elements of `T` as a vector of `f32`, wherever `T` may lie.
pub(crate) trait Load<T>: Lanes {
    /// `WIDTH` elements.
    ///
    /// # Safety
    /// - `WIDTH` elements can be read from `at` on.
    unsafe fn load(self, at: *const T) -> Self::Vector;

    /// `n` elements in the first lanes, zeros in the others.
    ///
    /// # Safety
    /// - `n` elements can be read from `at` on.
    /// - `n < WIDTH`.
    unsafe fn load_part(self, at: *const T, n: usize) -> Self::Vector;

    /// `2 * WIDTH` elements in whatever order is cheapest.
    ///
    /// # Safety
    /// - `2 * WIDTH` elements can be read from `at` on.
    #[inline(always)]
    unsafe fn load_two(self, at: *const T) -> [Self::Vector; 2] {
        // SAFETY: both lie within the elements that can be read, by the caller.
        unsafe { [self.load(at), self.load(at.add(Self::WIDTH))] }
    }

    /// Brings `2 * WIDTH` elements into the order of [`Load::load_two`].
    #[inline(always)]
    fn as_two(self, vectors: [Self::Vector; 2]) -> [Self::Vector; 2] {
        vectors
    }
}

/// What an operation adds to an accumulator; must add nothing where both vectors are zero.
pub(crate) trait Step: Copy + 'static {
    fn step<L: Lanes>(l: L, sum: L::Vector, q: L::Vector, x: L::Vector) -> L::Vector;
}

#[derive(Clone, Copy)]
struct SquaredL2;

impl Step for SquaredL2 {
    #[inline(always)]
    fn step<L: Lanes>(l: L, sum: L::Vector, q: L::Vector, x: L::Vector) -> L::Vector {
        let difference = l.sub(q, x);
        l.mul_add(difference, difference, sum)
    }
}

#[derive(Clone, Copy)]
struct Dot;

impl Step for Dot {
    #[inline(always)]
    fn step<L: Lanes>(l: L, sum: L::Vector, q: L::Vector, x: L::Vector) -> L::Vector {
        l.mul_add(q, x, sum)
    }
}

#[derive(Clone, Copy)]
struct L1;

impl Step for L1 {
    #[inline(always)]
    fn step<L: Lanes>(l: L, sum: L::Vector, q: L::Vector, x: L::Vector) -> L::Vector {
        l.add(sum, l.abs(l.sub(q, x)))
    }
}

/// `S` summed on `L`, rows widened to `f32` as they are loaded.
#[derive(Clone, Copy)]
struct Widening<L, S>(L, PhantomData<S>);

impl<L: Load<f32> + Load<T>, S: Step, T> Pairs<f32, T> for Widening<L, S> {
    #[inline(always)]
    unsafe fn new() -> Self {
        // SAFETY: the instruction set is present, by the caller.
        Widening(unsafe { L::new() }, PhantomData)
    }

    #[inline(always)]
    fn run<R>(self, body: impl FnOnce() -> R) -> R {
        self.0.run(body)
    }

    #[inline(always)]
    unsafe fn one(self, q: &[f32], x: &[T]) -> f32 {
        // SAFETY: `x` is as long as `q`, by the caller.
        let [sum] = unsafe { accumulate::<L, S, T, 1>(self.0, q, [x]) };
        self.0.sum(sum)
    }

    #[inline(always)]
    unsafe fn four(self, q: &[f32], rows: [&[T]; 4]) -> [f32; 4] {
        if L::FOUR_ROWS {
            // SAFETY: every row is as long as `q`, by the caller.
            return self.0.sums(unsafe { accumulate::<L, S, T, 4>(self.0, q, rows) });
        }
        let [a, b, c, d] = rows;
        // SAFETY: as above.
        let [a, b] = unsafe { accumulate::<L, S, T, 2>(self.0, q, [a, b]) };
        // SAFETY: as above.
        let [c, d] = unsafe { accumulate::<L, S, T, 2>(self.0, q, [c, d]) };
        self.0.sums([a, b, c, d])
    }
}

/// For each of `B` rows, the vector whose lanes sum to the value.
///
/// # Safety
/// - Every row is as long as `q`.
#[inline(always)]
unsafe fn accumulate<L: Load<f32> + Load<T>, S: Step, T, const B: usize>(
    l: L,
    q: &[f32],
    rows: [&[T]; B],
) -> [L::Vector; B] {
    let dim = q.len();
    let mut sums = [[l.zero(); 4]; B];
    let mut at = 0;
    while at + 4 * L::WIDTH <= dim {
        for k in [0, 2] {
            // SAFETY: at + (k + 2) * WIDTH <= dim, by the loop's condition.
            unsafe { add_two::<L, S, T, B>(l, q, rows, at + k * L::WIDTH, k, &mut sums) };
        }
        at += 4 * L::WIDTH;
    }
    // Less than four vectors are left: whole ones go to the first three accumulators, the tail to the last.
    for k in 0..3 {
        if at + L::WIDTH <= dim {
            // SAFETY: at + WIDTH <= dim, by the condition.
            unsafe { add_vector::<L, S, T, B>(l, q, rows, at, k, &mut sums) };
            at += L::WIDTH;
        }
    }
    if at < dim {
        // SAFETY: at < dim, so the address lies inside of the query.
        let start = unsafe { q.as_ptr().add(at) };
        // SAFETY: dim - at elements follow; fewer than WIDTH, as four vectors less three whole ones left no more.
        let part = unsafe { l.load_part(start, dim - at) };
        for (sums, row) in sums.iter_mut().zip(rows) {
            // SAFETY: the row is as long as the query.
            let start = unsafe { row.as_ptr().add(at) };
            // SAFETY: as for the query.
            let x = unsafe { l.load_part(start, dim - at) };
            sums[3] = S::step(l, sums[3], part, x);
        }
    }
    // Not `sums.map`: what it calls is not always inlined, and then it is not compiled for the instruction set.
    let mut folded = [l.zero(); B];
    for (folded, [a, b, c, d]) in folded.iter_mut().zip(sums) {
        *folded = l.add(l.add(a, b), l.add(c, d));
    }
    folded
}

/// Adds the two vectors at element `at` to accumulators `k` and `k + 1` of every row.
///
/// # Safety
/// - `at + 2 * WIDTH` elements can be read from `q` and from every row.
#[inline(always)]
unsafe fn add_two<L: Load<f32> + Load<T>, S: Step, T, const B: usize>(
    l: L,
    q: &[f32],
    rows: [&[T]; B],
    at: usize,
    k: usize,
    sums: &mut [[L::Vector; 4]; B],
) {
    // SAFETY: inside of the query, by the caller.
    let start = unsafe { q.as_ptr().add(at) };
    // SAFETY: 2 * WIDTH elements follow, by the caller.
    let query = unsafe { [l.load(start), l.load(start.add(L::WIDTH))] };
    let [first, second] = Load::<T>::as_two(l, query);
    for (sums, row) in sums.iter_mut().zip(rows) {
        // SAFETY: inside of the row, by the caller.
        let start = unsafe { row.as_ptr().add(at) };
        // SAFETY: 2 * WIDTH elements follow, by the caller.
        let [x, y] = unsafe { l.load_two(start) };
        sums[k] = S::step(l, sums[k], first, x);
        sums[k + 1] = S::step(l, sums[k + 1], second, y);
    }
}

/// Adds the vectors at element `at` to the `k`-th accumulator of every row.
///
/// # Safety
/// - `at + WIDTH` elements can be read from `q` and from every row.
#[inline(always)]
unsafe fn add_vector<L: Load<f32> + Load<T>, S: Step, T, const B: usize>(
    l: L,
    q: &[f32],
    rows: [&[T]; B],
    at: usize,
    k: usize,
    sums: &mut [[L::Vector; 4]; B],
) {
    // SAFETY: inside of the query, by the caller.
    let start = unsafe { q.as_ptr().add(at) };
    // SAFETY: WIDTH elements follow, by the caller.
    let query = unsafe { l.load(start) };
    for (sums, row) in sums.iter_mut().zip(rows) {
        // SAFETY: inside of the row, by the caller.
        let start = unsafe { row.as_ptr().add(at) };
        // SAFETY: WIDTH elements follow, by the caller.
        let x = unsafe { l.load(start) };
        sums[k] = S::step(l, sums[k], query, x);
    }
}
