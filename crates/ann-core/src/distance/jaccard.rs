//! Jaccard distances: one minus intersection over union, of weights, of sorted ids and of bitsets. All are metrics.
//! Two empty sets are equal: their distance is 0 (some benchmark suites say 1).

use std::fmt::Debug;

use super::counting::count;
use super::number::{Word, check_weights, distance, sums};
use super::{Distance, ElementError, Number};

/// Weighted Jaccard (Ruzicka) distance 1 - Σmin/Σmax, in 0..=1, on weights that are finite and not negative.
///
/// ```
/// use ann_core::distance::{Distance, Jaccard};
///
/// assert_eq!(Jaccard.eval([1u32, 2, 0].as_slice(), [1, 0, 2].as_slice()), 0.8);
/// assert!(Jaccard.check([1i32, -2].as_slice()).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jaccard;

/// Jaccard distance of two sets, each a strictly increasing slice of ids. Cost: one merge.
///
/// ```
/// use ann_core::distance::{Distance, SetJaccard};
///
/// assert_eq!(SetJaccard.eval([1u32, 5, 9].as_slice(), [5, 9, 70].as_slice()), 0.5);
/// assert!(SetJaccard.check([5u32, 1].as_slice()).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetJaccard;

/// Jaccard distance of two bitsets of [`Word`]s.
///
/// ```
/// use ann_core::distance::{BitJaccard, Distance};
///
/// assert_eq!(BitJaccard.eval([0b0011u64].as_slice(), [0b0110].as_slice()), 2.0 / 3.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BitJaccard;

impl<T: Number> Distance<[T]> for Jaccard {
    fn is_metric(&self) -> bool {
        true
    }

    fn eval(&self, a: &[T], b: &[T]) -> f32 {
        let [shared, all] = sums(a, b, |x, y| {
            let (x, y) = (x.to_f64(), y.to_f64());
            let (low, high) = if x < y { (x, y) } else { (y, x) };
            // Negative weights, which `check` refuses, count as zero; a NaN stays.
            [if low < 0.0 { 0.0 } else { low }, if high < 0.0 { 0.0 } else { high }]
        });
        ratio(shared, all)
    }

    fn check(&self, value: &[T]) -> Result<(), ElementError> {
        check_weights(value)
    }
}

impl<T: Ord + Debug> Distance<[T]> for SetJaccard {
    fn is_metric(&self) -> bool {
        true
    }

    fn eval(&self, a: &[T], b: &[T]) -> f32 {
        let (mut left, mut right, mut shared) = (a, b, 0usize);
        while let ([x, after_x @ ..], [y, after_y @ ..]) = (left, right) {
            let order = x.cmp(y);
            shared += usize::from(order.is_eq());
            left = if order.is_le() { after_x } else { left };
            right = if order.is_ge() { after_y } else { right };
        }
        ratio(shared as f64, (a.len() + b.len() - shared) as f64)
    }

    fn check(&self, value: &[T]) -> Result<(), ElementError> {
        match value.iter().zip(value.iter().skip(1)).enumerate().find(|(_, (x, y))| x >= y) {
            None => Ok(()),
            Some((i, (_, found))) => Err(ElementError {
                position: i + 1,
                must: "greater than the one before it",
                found: format!("{found:?}"),
            }),
        }
    }
}

impl<W: Word> Distance<[W]> for BitJaccard {
    fn is_metric(&self) -> bool {
        true
    }

    fn eval(&self, a: &[W], b: &[W]) -> f32 {
        ratio(count(a, b, |x, y| x & y) as f64, count(a, b, |x, y| x | y) as f64)
    }
}

/// 1 - shared/all, with nothing of nothing shared being equality.
fn ratio(shared: f64, all: f64) -> f32 {
    if all == 0.0 { 0.0 } else { distance(1.0 - shared / all) }
}
