//! How strongly rows belong to their neighbours, whatever the density around them.
//!
//! McInnes, Healy & Melville, *UMAP*, arXiv:1802.03426, Section 3.1: the nearest neighbour of a row is at strength 1,
//! and the scale around it is such that all strengths sum to `log2(k)`. Bounds of the scale and the number of steps are
//! those of the Python packages.
//!
//! Cost: up to 64 passes over the `k` dissimilarities of a row.

use crate::neighbors::Neighborhoods;
use crate::sparse::Edges;
use ann_core::Par;

/// Steps of a bisection, at most.
const STEPS: usize = 64;
/// How near to its target a sum of strengths has to be.
const TOLERANCE: f32 = 1e-5;
/// A scale is no less than this share of the mean dissimilarity.
const LEAST_SCALE: f32 = 1e-3;

/// Every row with its neighbours, as edges whose weights are strengths in `0..=1`. `k`: the number of neighbours to
/// count with.
pub(crate) fn fuzzy_graph(neighborhoods: &Neighborhoods, k: f32, symmetrize: bool, par: Par) -> Edges {
    let all = neighborhoods.dissimilarities();
    let mean = mean(all);
    let target = k.log2();
    let directed = Edges::build(neighborhoods.len(), par, |(): &mut (), row, out| {
        let (ids, dissimilarities) = neighborhoods.of(row);
        let (nearest, scale) = nearest_and_scale(dissimilarities, target, mean);
        for (&id, &dissimilarity) in ids.iter().zip(dissimilarities) {
            let beyond = dissimilarity - nearest;
            let weight = if beyond <= 0.0 || scale == 0.0 { 1.0 } else { (-(beyond / scale)).exp() };
            if id as usize != row && weight != 0.0 {
                out.push((id, weight));
            }
        }
        out.sort_unstable_by_key(|edge| edge.0);
    });
    if symmetrize { directed.symmetrized(par) } else { directed }
}

/// The first dissimilarity that is not zero, and the scale beyond it.
fn nearest_and_scale(dissimilarities: &[f32], target: f32, mean_of_all: f32) -> (f32, f32) {
    let nearest = dissimilarities.iter().copied().find(|&x| x > 0.0).unwrap_or(0.0);
    let (mut low, mut high, mut scale) = (0.0, f32::INFINITY, 1.0f32);
    for _ in 0..STEPS {
        // The first is the row itself.
        let strengths = dissimilarities.iter().skip(1).map(|&x| {
            let beyond = x - nearest;
            if beyond > 0.0 { (-(beyond / scale)).exp() } else { 1.0 }
        });
        let sum: f32 = strengths.sum();
        if (sum - target).abs() < TOLERANCE {
            break;
        }
        if sum > target {
            high = scale;
            scale = (low + high) / 2.0;
        } else {
            low = scale;
            scale = if high == f32::INFINITY { scale * 2.0 } else { (low + high) / 2.0 };
        }
    }
    let mean = if nearest > 0.0 { mean(dissimilarities) } else { mean_of_all };
    (nearest, scale.max(LEAST_SCALE * mean))
}

fn mean(values: &[f32]) -> f32 {
    (values.iter().map(|&x| f64::from(x)).sum::<f64>() / values.len().max(1) as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strengths_sum_to_the_logarithm_of_their_number() {
        let dissimilarities = [0.0, 1.0, 1.5, 2.0, 4.0, 4.5, 7.0, 8.0];
        let (nearest, scale) = nearest_and_scale(&dissimilarities, 3.0, 1.0);
        assert_eq!(nearest, 1.0);
        let sum: f32 = dissimilarities[1..].iter().map(|x| (-(x - nearest) / scale).exp()).sum();
        assert!((sum - 3.0).abs() < 1e-4, "{sum}");
    }

    #[test]
    fn copies_have_a_scale_that_is_not_zero() {
        let (nearest, scale) = nearest_and_scale(&[0.0; 8], 3.0, 0.5);
        assert_eq!(nearest, 0.0);
        assert!(scale >= 0.0005 && scale.is_finite());
    }
}
