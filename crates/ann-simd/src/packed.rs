//! A kernel for rows of packed small numbers, which have no element type of their own.

use std::fmt;

use crate::arch::{Arch, Level};
use crate::doors::Doors;
use crate::int;
use crate::rows::Rows;

/// Inner products of a query of `i8` with rows of unsigned numbers of 1, 2 or 4 bits, exact in integers and rounded once to
/// `f32`. `Copy`.
///
/// A row of `n` bytes holds `8 / bits` numbers in each, and a query has as many parts of `n` elements: part `p` belongs to
/// bits `p * bits` and up of every byte.
///
/// ```
/// use ann_simd::{Arch, PackedDot};
///
/// let nibbles = PackedDot::new(Arch::detect()?, 4).expect("offered for 4 bits");
/// // Low halves 1 and 3, high halves 2 and 15.
/// assert_eq!(nibbles.pair(&[10, 20, -1, -2], &[0x21, 0xf3]), 10.0 + 60.0 - 2.0 - 30.0);
/// assert!(PackedDot::new(Arch::detect()?, 3).is_none());
/// # Ok::<(), ann_simd::ArchError>(())
/// ```
#[derive(Clone, Copy)]
pub struct PackedDot {
    level: Level,
    bits: u32,
    /// Compiled for `level`, which the machine has: `new` took an `Arch`.
    doors: Doors<i8, u8>,
}

impl PackedDot {
    /// The kernel for numbers of `bits` bits at the level of `arch`, `None` unless `bits` is 1, 2 or 4.
    #[must_use]
    pub fn new(arch: Arch, bits: u32) -> Option<PackedDot> {
        let level = arch.level();
        Some(PackedDot { level, bits, doors: int::doors_packed(level, bits)? })
    }

    /// The product of one pair.
    ///
    /// # Panics
    /// When the query has not `8 / bits` times as many elements as the row has bytes.
    #[inline]
    #[must_use]
    pub fn pair(&self, q: &[i8], x: &[u8]) -> f32 {
        // SAFETY: the level is present, see the field `doors`.
        unsafe { (self.doors.pair)(q, x) }
    }

    /// `out[i]` becomes the product of `q` and `rows[ids[i]]`.
    ///
    /// # Panics
    /// When an id is not less than the number of rows, lengths do not fit, or `out.len() != ids.len()`.
    #[inline]
    pub fn gather(&self, q: &[i8], rows: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        // SAFETY: the level is present, see the field `doors`.
        unsafe { (self.doors.gather)(q, rows, ids, out) }
    }

    /// `out[i]` becomes the product of `q` and `rows[i]`, for every row.
    ///
    /// # Panics
    /// When lengths do not fit or `out.len() != rows.len()`.
    #[inline]
    pub fn scan(&self, q: &[i8], rows: Rows<'_, u8>, out: &mut [f32]) {
        // SAFETY: the level is present, see the field `doors`.
        unsafe { (self.doors.scan)(q, rows, out) }
    }
}

impl fmt::Debug for PackedDot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackedDot({} bits, {})", self.bits, self.level)
    }
}
