//! Distances that count what differs.

use super::Distance;
use super::number::Word;

/// Share of positions whose elements differ, in 0..=1; on slices of anything that compares. Positions that only the
/// longer slice has differ; two empty slices are equal. A metric on rows of one length.
///
/// ```
/// use ann_core::distance::{Distance, Hamming};
///
/// assert_eq!(Hamming.eval(['a', 'b', 'c', 'd'].as_slice(), ['a', 'x', 'c', 'y'].as_slice()), 0.5);
/// assert_eq!(Hamming.eval([1.5f32, 2.0].as_slice(), [1.5, 2.0].as_slice()), 0.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hamming;

/// Number of bits that differ between two bitsets of [`Word`]s; exact up to 2^24 bits. A metric.
///
/// ```
/// use ann_core::distance::{BitHamming, Distance};
///
/// assert_eq!(BitHamming.eval([0b1010u64, 1].as_slice(), [0b0110, 0].as_slice()), 3.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BitHamming;

impl<T: PartialEq> Distance<[T]> for Hamming {
    fn eval(&self, a: &[T], b: &[T]) -> f32 {
        let longest = a.len().max(b.len());
        if longest == 0 {
            return 0.0;
        }
        let differing = a.iter().zip(b).filter(|(x, y)| x != y).count() + a.len().abs_diff(b.len());
        (differing as f64 / longest as f64) as f32
    }
}

impl<W: Word> Distance<[W]> for BitHamming {
    fn is_metric(&self) -> bool {
        true
    }

    fn eval(&self, a: &[W], b: &[W]) -> f32 {
        count(a, b, |x, y| x ^ y) as f32
    }
}

/// Number of bits set in f(x, y) over all words; the shorter bitset is padded with zeros.
pub(super) fn count<W: Word>(a: &[W], b: &[W], f: impl Fn(u64, u64) -> u64) -> u64 {
    let bits = |x: W, y: W| u64::from(f(x.to_u64(), y.to_u64()).count_ones());
    let common: u64 = a.iter().zip(b).map(|(&x, &y)| bits(x, y)).sum();
    let beyond_a: u64 = a.iter().skip(b.len()).map(|&x| bits(x, W::default())).sum();
    let beyond_b: u64 = b.iter().skip(a.len()).map(|&y| bits(W::default(), y)).sum();
    common + beyond_a + beyond_b
}
