//! Distances as values: the menu for rows that the built-in [`Metric`](crate::Metric)s do not cover, and the
//! trait for your own.
//!
//! A [`Distance`] compares two values of any type: slices of numbers, histograms, sets, strings, your structs. The
//! named ones here are zero-sized types; any `Fn(&V, &V) -> f32` is one too. Smaller is nearer, everywhere.
//!
//! All of them are total: they never panic, and they answer for empty vectors, for all-zero vectors and for vectors
//! of unequal length (the shorter one reads as if padded with zeros). A computation without a number as result, which
//! only NaN or infinite elements can cause, answers `+∞`, so that a bad row comes last instead of first.
//! [`Distance::check`] names what a row must be; stores call it before they take a row in.
//!
//! Sums run over eight `f64` lanes whatever the element type, differences of integers are exact, and the result is
//! rounded once to `f32`. For plain `f32`, `f16` or byte rows under L2, inner product, cosine or L1,
//! [`FlatStore`](crate::FlatStore) with a `Metric` is several times faster: it uses the SIMD kernels, these distances do
//! not. For rows in a store, see [`SpaceStore`](crate::SpaceStore).
//!
//! | type | value | triangle inequality |
//! |---|---|---|
//! | [`L1`], [`L2`], [`LInf`] | Σ\|x-y\|, √Σ(x-y)², max \|x-y\| | yes |
//! | [`SquaredL2`] | Σ(x-y)² | no |
//! | [`Dot`] | -⟨x,y⟩ | no |
//! | [`Cosine`] | 1 - ⟨x,y⟩/(‖x‖‖y‖) | no |
//! | [`Tanimoto`] | 1 - ⟨x,y⟩/(‖x‖²+‖y‖²-⟨x,y⟩) | on 0/1 vectors |
//! | [`Hellinger`], [`JensenShannon`] | between distributions | yes |
//! | [`Jeffreys`] | symmetric Kullback–Leibler | no |
//! | [`Hamming`], [`BitHamming`] | share of elements, number of bits, that differ | yes |
//! | [`Jaccard`], [`SetJaccard`], [`BitJaccard`] | of weights, sorted ids, bitsets | yes |
//! | [`Levenshtein`], [`NormalizedLevenshtein`] | edits; edits as a share of the lengths | yes |

mod angular;
mod counting;
mod histogram;
mod jaccard;
mod levenshtein;
mod minkowski;
mod number;
#[cfg(test)]
mod tests;

pub use angular::{Cosine, Dot, Tanimoto};
pub use counting::{BitHamming, Hamming};
pub use histogram::{Hellinger, Jeffreys, JensenShannon};
pub use jaccard::{BitJaccard, Jaccard, SetJaccard};
pub use levenshtein::{Levenshtein, NormalizedLevenshtein, Symbol};
pub use minkowski::{L1, L2, LInf, SquaredL2};
pub(crate) use number::sums;
pub use number::{Number, Word};

/// A dissimilarity between two values of type `V`: smaller is nearer.
///
/// `V` is what is compared, not what is stored: `[f32]` for rows kept as `Vec<f32>`, `str` for rows kept as `String`.
/// Implement it for a type of your own, or pass a closure or a function:
///
/// ```
/// use ann_core::distance::{Distance, L1};
///
/// struct Colour { rgb: [u8; 3], weight: f32 }
/// struct Weighted;
/// impl Distance<Colour> for Weighted {
///     fn eval(&self, a: &Colour, b: &Colour) -> f32 {
///         L1.eval(a.rgb.as_slice(), b.rgb.as_slice()) * a.weight * b.weight
///     }
/// }
/// let red = Colour { rgb: [255, 0, 0], weight: 0.5 };
/// let black = Colour { rgb: [0, 0, 0], weight: 2.0 };
/// assert_eq!(Weighted.eval(&red, &black), 255.0);
///
/// let by_length = |a: &str, b: &str| a.len().abs_diff(b.len()) as f32;
/// assert_eq!(by_length.eval("pear", "fig"), 1.0);
/// ```
///
/// An index asks for symmetry and for finite answers; a triangle inequality is asked for only where an index says so.
pub trait Distance<V: ?Sized>: Send + Sync {
    /// The distance from `a` to `b`, the same as from `b` to `a`. Must not panic; NaN sorts unpredictably.
    fn eval(&self, a: &V, b: &V) -> f32;

    /// Whether `d(a, c) <= d(a, b) + d(b, c)` for all values: what an index may rest on that skips values because others are far. `false` unless the distance says
    /// otherwise; [`TrueMetric`] says it for a closure.
    fn is_metric(&self) -> bool {
        false
    }

    /// Whether `value` lies in the domain of this distance; stores ask before they take a row in.
    ///
    /// # Errors
    /// [`ElementError`] for the first element that does not.
    fn check(&self, value: &V) -> Result<(), ElementError> {
        let _ = value;
        Ok(())
    }
}

impl<V: ?Sized, F: Fn(&V, &V) -> f32 + Send + Sync> Distance<V> for F {
    fn eval(&self, a: &V, b: &V) -> f32 {
        self(a, b)
    }
}

/// Says of a distance that it keeps the triangle inequality; where that is not so, indexes that rest on it miss what is near.
///
/// ```
/// use ann_core::distance::{Distance, TrueMetric};
/// let by_length = TrueMetric(|a: &str, b: &str| a.len().abs_diff(b.len()) as f32);
/// assert!(by_length.is_metric());
/// assert_eq!(by_length.eval("pear", "fig"), 1.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrueMetric<D>(pub D);

impl<V: ?Sized, D: Distance<V>> Distance<V> for TrueMetric<D> {
    fn eval(&self, a: &V, b: &V) -> f32 {
        self.0.eval(a, b)
    }

    fn is_metric(&self) -> bool {
        true
    }

    fn check(&self, value: &V) -> Result<(), ElementError> {
        self.0.check(value)
    }
}

/// An element that is outside the domain of a distance: where it is, what it must be, what it is.
///
/// ```
/// use ann_core::distance::{Distance, Jaccard};
///
/// let error = Jaccard.check([0.5, -1.0].as_slice()).unwrap_err();
/// assert_eq!(error.to_string(), "element 1 is -1, expected finite and not negative");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("element {position} is {found}, expected {must}")]
pub struct ElementError {
    /// Index of the element in its row.
    pub position: usize,
    /// What every element of a row must be.
    pub must: &'static str,
    /// The element, as text.
    pub found: String,
}

/// No distance: every pair is at 0. For code that needs the type but asks for no distances, such as reading the graph
/// of an index whose rows are elsewhere.
///
/// ```
/// use ann_core::distance::{Distance, NoDistance};
///
/// assert_eq!(NoDistance.eval("any", "thing"), 0.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoDistance;

impl<V: ?Sized> Distance<V> for NoDistance {
    fn eval(&self, _: &V, _: &V) -> f32 {
        0.0
    }
}
