//! Distances between distributions given as histograms: weights that are finite and not negative.
//!
//! Every row is divided by its sum first, so counts and probabilities give the same answers. Hellinger and
//! Jensen–Shannon are bounded; for them a histogram without any weight equals another such one and is as far as can
//! be from all others. [`Jeffreys`] is unbounded and therefore smoothed. Negative weights, which `check` refuses,
//! count as zero.
//!
//! Sources: √JS is a metric, Endres and Schindelin, *A new metric for probability distributions*, IEEE Trans. Inf.
//! Theory 49(7), 2003. Jeffreys, *An invariant form for the prior probability in estimation problems*, 1946.
//! Cost: two passes, a root or one to two logarithms per element.

use std::f64::consts::LN_2;

use super::number::{check_weights, distance, sum};
use super::{Distance, ElementError, Number};

/// Hellinger distance √(½Σ(√p-√q)²) = √(1-Σ√(pq)) in 0..=1. A metric: it is L2 between the rows √p, divided by √2, so
/// large collections are better indexed as those rows.
///
/// ```
/// use ann_core::distance::{Distance, Hellinger};
///
/// assert_eq!(Hellinger.eval([4.0f32, 0.0].as_slice(), [0.0, 1.0].as_slice()), 1.0);
/// assert_eq!(Hellinger.eval([1u32, 3].as_slice(), [2, 6].as_slice()), 0.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hellinger;

/// Jeffreys divergence Σ(p-q)·ln(p/q), the symmetric Kullback–Leibler divergence, in nats; not a metric, nor is its
/// root.
///
/// Each probability is smoothed to (p+ε)/(1+Dε) with ε = [`Jeffreys::EPSILON`] and D elements, so an element that is
/// zero in one histogram alone costs about 23·p instead of ∞. A histogram without weight is the uniform one.
///
/// ```
/// use ann_core::distance::{Distance, Jeffreys};
///
/// let far = Jeffreys.eval([1.0f64, 0.0].as_slice(), [0.0, 1.0].as_slice());
/// assert!((far - 2.0 * 1e10f32.ln()).abs() < 1e-4);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jeffreys;

/// Jensen–Shannon distance √(½KL(p‖m) + ½KL(q‖m)) with m = (p+q)/2, in 0..=√ln 2 ≈ 0.8326. A metric, because of the
/// root.
///
/// ```
/// use ann_core::distance::{Distance, JensenShannon};
///
/// let apart = JensenShannon.eval([1.0f32, 0.0].as_slice(), [0.0, 5.0].as_slice());
/// assert_eq!(apart, std::f32::consts::LN_2.sqrt());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JensenShannon;

impl Jeffreys {
    /// What is added to every probability.
    pub const EPSILON: f64 = 1e-10;
}

impl<T: Number> Distance<[T]> for Hellinger {
    fn is_metric(&self) -> bool {
        true
    }

    fn eval(&self, a: &[T], b: &[T]) -> f32 {
        let (total_a, total_b) = (total(a), total(b));
        if total_a == 0.0 || total_b == 0.0 {
            return if total_a == total_b { 0.0 } else { 1.0 };
        }
        // The sum of squared differences, not 1-Σ√(pq): that one loses all digits between near neighbours.
        let squared = sum(a, b, |p, q| {
            let difference = (weight(p) / total_a).sqrt() - (weight(q) / total_b).sqrt();
            difference * difference
        });
        distance(at_most(squared / 2.0, 1.0).sqrt())
    }

    fn check(&self, value: &[T]) -> Result<(), ElementError> {
        check_weights(value)
    }
}

impl<T: Number> Distance<[T]> for Jeffreys {
    fn eval(&self, a: &[T], b: &[T]) -> f32 {
        let len = a.len().max(b.len()) as f64;
        let smooth = |x: T, total: f64| {
            let p = if total == 0.0 { 1.0 / len } else { weight(x) / total };
            (p + Self::EPSILON) / (1.0 + len * Self::EPSILON)
        };
        let (total_a, total_b) = (total(a), total(b));
        distance(sum(a, b, |p, q| {
            let (p, q) = (smooth(p, total_a), smooth(q, total_b));
            // The order of the two must not show in the last bit.
            let (low, high) = if p < q { (p, q) } else { (q, p) };
            (high - low) * (high / low).ln()
        }))
    }

    fn check(&self, value: &[T]) -> Result<(), ElementError> {
        check_weights(value)
    }
}

impl<T: Number> Distance<[T]> for JensenShannon {
    fn is_metric(&self) -> bool {
        true
    }

    fn eval(&self, a: &[T], b: &[T]) -> f32 {
        let (total_a, total_b) = (total(a), total(b));
        if total_a == 0.0 || total_b == 0.0 {
            return if total_a == total_b { 0.0 } else { LN_2.sqrt() as f32 };
        }
        let divergence = sum(a, b, |p, q| jensen_shannon_term(weight(p) / total_a, weight(q) / total_b));
        // `max` would turn a NaN into 0.
        let divergence = if divergence < 0.0 { 0.0 } else { at_most(divergence, LN_2) };
        distance(divergence.sqrt())
    }

    fn check(&self, value: &[T]) -> Result<(), ElementError> {
        check_weights(value)
    }
}

/// ½p·ln(p/m) + ½q·ln(q/m) with m = (p+q)/2 and 0·ln 0 = 0.
///
/// Written in t = |p-q|/(p+q), p = m(1+t), q = m(1-t): `ln_1p` keeps the digits that p/m near 1 would lose.
fn jensen_shannon_term(p: f64, q: f64) -> f64 {
    let (m, t) = ((p + q) / 2.0, (p - q).abs() / (p + q));
    if m == 0.0 {
        return 0.0;
    }
    let small = if t == 1.0 { 0.0 } else { (1.0 - t) * (-t).ln_1p() };
    m / 2.0 * ((1.0 + t) * t.ln_1p() + small)
}

/// The element as a weight; the negative ones that `check` refuses are none.
fn weight<T: Number>(x: T) -> f64 {
    let x = x.to_f64();
    if x < 0.0 { 0.0 } else { x }
}

fn total<T: Number>(value: &[T]) -> f64 {
    sum(value, value, |x, _| weight(x))
}

/// `f64::min` would turn a NaN into the bound.
fn at_most(value: f64, bound: f64) -> f64 {
    if value > bound { bound } else { value }
}
