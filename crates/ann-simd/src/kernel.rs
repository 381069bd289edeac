//! A kernel: one operation on one pair of element types, chosen once for an instruction set.

use std::any::Any;
use std::fmt;

use half::{bf16, f16};

use crate::arch::{Arch, Level};
use crate::doors::Doors;
use crate::element::Element;
use crate::rows::Rows;
use crate::{float, int};

/// What a kernel computes for a pair of vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Sum of squared differences.
    SquaredL2,
    /// Inner product: larger is nearer, so callers turn the sign to get a distance.
    Dot,
    /// Sum of absolute differences.
    L1,
    /// Number of bits that differ.
    Hamming,
}

/// One [`Op`] between a query of `Q` and rows of `T`, compiled for the level of an [`Arch`]. `Copy`; four function pointers.
///
/// | query | row | operations | arithmetic |
/// |---|---|---|---|
/// | `f32` | `f32`, `f16`, `bf16`, `u8`, `i8` | `SquaredL2`, `Dot`, `L1` | rows widened to `f32`, sums in `f32` |
/// | `u8`, `i8` | the same | `SquaredL2`, `Dot`, `L1` | exact in integers, rounded once to `f32` |
/// | `u64` | `u64` | `Hamming` | exact in integers, rounded once to `f32` |
///
/// ```
/// use ann_simd::{Arch, Kernel, Op};
///
/// let hamming = Kernel::<u64, u64>::new(Arch::detect()?, Op::Hamming).expect("offered for u64");
/// assert_eq!(hamming.pair(&[0b1011], &[0b0010]), 2.0);
/// assert!(Kernel::<u64, u64>::new(Arch::detect()?, Op::Dot).is_none());
/// # Ok::<(), ann_simd::ArchError>(())
/// ```
pub struct Kernel<Q, T> {
    level: Level,
    op: Op,
    /// Compiled for `level`, which the machine has: `new` took an `Arch`.
    doors: Doors<Q, T>,
}

impl<Q: Element, T: Element> Kernel<Q, T> {
    /// The kernel of `op` at the level of `arch`, or `None` when the table above has no such line.
    #[must_use]
    pub fn new(arch: Arch, op: Op) -> Option<Kernel<Q, T>> {
        let level = arch.level();
        let doors = same(float::doors::<f32>(level, op))
            .or_else(|| same(float::doors::<f16>(level, op)))
            .or_else(|| same(float::doors::<bf16>(level, op)))
            .or_else(|| same(float::doors::<u8>(level, op)))
            .or_else(|| same(float::doors::<i8>(level, op)))
            .or_else(|| same(int::doors_u8(level, op)))
            .or_else(|| same(int::doors_i8(level, op)))
            .or_else(|| same(int::doors_u64(level, op)))?;
        Some(Kernel { level, op, doors })
    }
}

impl<Q, T> Kernel<Q, T> {
    /// What the kernel computes.
    #[must_use]
    pub fn op(&self) -> Op {
        self.op
    }

    /// The value of one pair.
    ///
    /// # Panics
    /// When the two differ in length.
    #[inline]
    #[must_use]
    pub fn pair(&self, q: &[Q], x: &[T]) -> f32 {
        // SAFETY: the level is present, see the field `doors`.
        unsafe { (self.doors.pair)(q, x) }
    }

    /// `out[i]` becomes the value of `q` and `rows[ids[i]]`. The door of graph search: rows may lie anywhere in memory, and
    /// later ones are fetched while earlier ones are computed.
    ///
    /// # Panics
    /// When an id is not less than the number of rows, or `q.len() != rows.dim()`, or `out.len() != ids.len()`.
    #[inline]
    pub fn gather(&self, q: &[Q], rows: Rows<'_, T>, ids: &[u32], out: &mut [f32]) {
        // SAFETY: the level is present, see the field `doors`.
        unsafe { (self.doors.gather)(q, rows, ids, out) }
    }

    /// `out[i]` becomes the value of `q` and `rows[i]`, for every row.
    ///
    /// # Panics
    /// When `q.len() != rows.dim()` or `out.len() != rows.len()`.
    #[inline]
    pub fn scan(&self, q: &[Q], rows: Rows<'_, T>, out: &mut [f32]) {
        // SAFETY: the level is present, see the field `doors`.
        unsafe { (self.doors.scan)(q, rows, out) }
    }

    /// `out[i * rows.len() + j]` becomes the value of `queries[i]` and `rows[j]`: (queries, rows), row-major.
    ///
    /// # Panics
    /// When the dimensions differ or `out.len() != queries.len() * rows.len()`.
    #[inline]
    pub fn tile(&self, queries: Rows<'_, Q>, rows: Rows<'_, T>, out: &mut [f32]) {
        // SAFETY: the level is present, see the field `doors`.
        unsafe { (self.doors.tile)(queries, rows, out) }
    }
}

impl<Q, T> Clone for Kernel<Q, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Q, T> Copy for Kernel<Q, T> {}

impl<Q: Element, T: Element> fmt::Debug for Kernel<Q, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernel({:?}, {} x {}, {})", self.op, Q::NAME, T::NAME, self.level)
    }
}

/// The doors, when they are the ones for `Q` and `T`. Lets `new` be generic over any two elements without a trait that
/// every generic caller would have to name.
fn same<Q: Element, T: Element, R: Element, U: Element>(doors: Option<Doors<R, U>>) -> Option<Doors<Q, T>> {
    let doors: &dyn Any = &doors?;
    doors.downcast_ref().copied()
}
