//! Distances of norms: Σ|x-y|, √Σ(x-y)², max|x-y|.

use super::number::{check_finite, distance, sum};
use super::{Distance, ElementError, Number};

/// Manhattan distance Σ|x-y|, on slices of any [`Number`]. A metric.
///
/// ```
/// use ann_core::distance::{Distance, L1};
///
/// assert_eq!(L1.eval([1u8, 255].as_slice(), [3, 0].as_slice()), 257.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L1;

/// Euclidean distance √Σ(x-y)², on slices of any [`Number`]. A metric.
///
/// ```
/// use ann_core::distance::{Distance, L2};
///
/// assert_eq!(L2.eval([0i64, 4].as_slice(), [3, 0].as_slice()), 5.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L2;

/// Squared Euclidean distance Σ(x-y)²: orders as [`L2`] does and saves the root, but breaks the triangle inequality.
/// `+∞` beyond 3.4e38.
///
/// ```
/// use ann_core::distance::{Distance, SquaredL2};
///
/// assert_eq!(SquaredL2.eval([0.0f64, 4.0].as_slice(), [3.0, 0.0].as_slice()), 25.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SquaredL2;

/// Chebyshev distance max|x-y|, on slices of any [`Number`]. A metric.
///
/// ```
/// use ann_core::distance::{Distance, LInf};
///
/// assert_eq!(LInf.eval([0i16, 4].as_slice(), [3, 0].as_slice()), 4.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LInf;

impl<T: Number> Distance<[T]> for L1 {
    fn is_metric(&self) -> bool {
        true
    }

    fn eval(&self, a: &[T], b: &[T]) -> f32 {
        distance(sum(a, b, T::difference))
    }

    fn check(&self, value: &[T]) -> Result<(), ElementError> {
        check_finite(value)
    }
}

impl<T: Number> Distance<[T]> for L2 {
    fn is_metric(&self) -> bool {
        true
    }

    fn eval(&self, a: &[T], b: &[T]) -> f32 {
        distance(squared(a, b).sqrt())
    }

    fn check(&self, value: &[T]) -> Result<(), ElementError> {
        check_finite(value)
    }
}

impl<T: Number> Distance<[T]> for SquaredL2 {
    fn eval(&self, a: &[T], b: &[T]) -> f32 {
        distance(squared(a, b))
    }

    fn check(&self, value: &[T]) -> Result<(), ElementError> {
        check_finite(value)
    }
}

impl<T: Number> Distance<[T]> for LInf {
    fn is_metric(&self) -> bool {
        true
    }

    fn eval(&self, a: &[T], b: &[T]) -> f32 {
        let zero = T::default();
        let common = a.iter().zip(b).map(|(&x, &y)| x.difference(y));
        let beyond = a.iter().skip(b.len()).chain(b.iter().skip(a.len())).map(|&x| x.difference(zero));
        // `f64::max` would drop a NaN instead of carrying it to the result.
        distance(common.chain(beyond).fold(0.0, |max: f64, d| if d <= max { max } else { d }))
    }

    fn check(&self, value: &[T]) -> Result<(), ElementError> {
        check_finite(value)
    }
}

fn squared<T: Number>(a: &[T], b: &[T]) -> f64 {
    sum(a, b, |x, y| {
        let difference = x.difference(y);
        difference * difference
    })
}
