//! The plain loops that every kernel must equal: for integers exactly, for floats within rounding.
//!
//! Tests compare with these; nothing else should call them.

use crate::element::Number;
use crate::kernel::Op;

/// The value of a pair in `f64`, one element after the other. `None` for [`Op::Hamming`], which is on bits: see [`hamming`].
///
/// ```
/// use ann_simd::{Op, reference};
/// assert_eq!(reference::value(Op::L1, &[1.0_f32, 2.0], &[4_u8, 0]), Some(5.0));
/// ```
#[must_use]
pub fn value<Q: Number, T: Number>(op: Op, q: &[Q], x: &[T]) -> Option<f64> {
    let pairs = q.iter().zip(x).map(|(a, b)| (f64::from(a.float()), f64::from(b.float())));
    match op {
        Op::SquaredL2 => Some(pairs.map(|(a, b)| (a - b) * (a - b)).sum()),
        Op::Dot => Some(pairs.map(|(a, b)| a * b).sum()),
        Op::L1 => Some(pairs.map(|(a, b)| (a - b).abs()).sum()),
        Op::Hamming => None,
    }
}

/// The number of bits that differ.
///
/// ```
/// assert_eq!(ann_simd::reference::hamming(&[0b1011], &[0b0010]), 2);
/// ```
#[must_use]
pub fn hamming(a: &[u64], b: &[u64]) -> u64 {
    a.iter().zip(b).map(|(a, b)| u64::from((a ^ b).count_ones())).sum()
}
