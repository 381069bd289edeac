//! Distances made of inner products. The norms are recomputed for every pair; rows that are compared often are better
//! normalised once and kept in a [`FlatStore`](crate::FlatStore) under `Metric::Cosine`.

use super::number::{check_finite, distance, sum, sums};
use super::{Distance, ElementError, Number};

/// Negated inner product -⟨x,y⟩, the sign of [`Metric::InnerProduct`](crate::Metric::InnerProduct). Not a metric:
/// negative values are normal, and a vector need not be nearest to itself.
///
/// ```
/// use ann_core::distance::{Distance, Dot};
///
/// assert_eq!(Dot.eval([1i8, 2].as_slice(), [3, 4].as_slice()), -11.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dot;

/// 1 - cos of the angle, in 0..=2. A vector of zeros has no angle and is at distance 1 from everything, itself
/// included.
///
/// ```
/// use ann_core::distance::{Cosine, Distance};
///
/// assert_eq!(Cosine.eval([1u16, 0].as_slice(), [0, 7].as_slice()), 1.0);
/// assert_eq!(Cosine.eval([2.0f32, 0.0].as_slice(), [-3.0, 0.0].as_slice()), 2.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cosine;

/// Tanimoto distance 1 - ⟨x,y⟩/(‖x‖²+‖y‖²-⟨x,y⟩), common for chemical fingerprints; two vectors of zeros are equal.
/// On vectors of 0 and 1 it is the Jaccard distance and a metric; with negative elements it reaches up to 4/3.
///
/// ```
/// use ann_core::distance::{Distance, Tanimoto};
///
/// assert_eq!(Tanimoto.eval([1u8, 1, 0].as_slice(), [1, 0, 0].as_slice()), 0.5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tanimoto;

impl<T: Number> Distance<[T]> for Dot {
    fn eval(&self, a: &[T], b: &[T]) -> f32 {
        distance(-sum(a, b, |x, y| x.to_f64() * y.to_f64()))
    }

    fn check(&self, value: &[T]) -> Result<(), ElementError> {
        check_finite(value)
    }
}

impl<T: Number> Distance<[T]> for Cosine {
    fn eval(&self, a: &[T], b: &[T]) -> f32 {
        let [dot, norm_a, norm_b] = moments(a, b, 1.0, 1.0);
        // One root of the product, not two roots: √(n·n) is n exactly, so equal vectors are at 0.
        let product = norm_a * norm_b;
        if product.is_normal() {
            return cosine_distance(dot / product.sqrt());
        }
        // Zero vectors, and f64 elements whose squares leave the range of f64: bring the largest element to 1.
        let (largest_a, largest_b) = (largest(a), largest(b));
        if largest_a == 0.0 || largest_b == 0.0 {
            return 1.0;
        }
        let [dot, norm_a, norm_b] = moments(a, b, largest_a, largest_b);
        cosine_distance(dot / (norm_a * norm_b).sqrt())
    }

    fn check(&self, value: &[T]) -> Result<(), ElementError> {
        check_finite(value)
    }
}

impl<T: Number> Distance<[T]> for Tanimoto {
    fn eval(&self, a: &[T], b: &[T]) -> f32 {
        let [dot, norm_a, norm_b] = moments(a, b, 1.0, 1.0);
        let union = norm_a + norm_b - dot;
        if union == 0.0 { 0.0 } else { distance(1.0 - dot / union) }
    }

    fn check(&self, value: &[T]) -> Result<(), ElementError> {
        check_finite(value)
    }
}

/// ⟨x,y⟩, ‖x‖² and ‖y‖² of x = a/scale_a and y = b/scale_b.
fn moments<T: Number>(a: &[T], b: &[T], scale_a: f64, scale_b: f64) -> [f64; 3] {
    sums(a, b, |x, y| {
        let (x, y) = (x.to_f64() / scale_a, y.to_f64() / scale_b);
        [x * y, x * x, y * y]
    })
}

fn largest<T: Number>(value: &[T]) -> f64 {
    value.iter().map(|x| x.to_f64().abs()).fold(0.0, f64::max)
}

/// Rounding may carry a cosine a little past ±1; `clamp` keeps NaN.
fn cosine_distance(cosine: f64) -> f32 {
    distance(1.0 - cosine.clamp(-1.0, 1.0))
}
