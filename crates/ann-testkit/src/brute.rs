//! The plain truth: distances and nearest rows by one loop in f64.
//!
//! Written to be checked by eye rather than to be fast; faster searches are compared with it. Cost: one multiply-add
//! per value of the base and query, about a nanosecond each in a test build.

use ann_core::{GroundTruth, MatrixView, Metric};

/// The distance that an index of `metric` orders by, computed in f64: **squared** L2, `-⟨x, y⟩`, `1 - cos` (1 where
/// either row is zero), or the sum of absolute differences.
///
/// ```
/// use ann_core::Metric;
/// assert_eq!(ann_testkit::distance(Metric::L2, &[0.0, 3.0], &[4.0, 0.0]), 25.0);
/// assert_eq!(ann_testkit::distance(Metric::Cosine, &[0.0, 0.0], &[4.0, 0.0]), 1.0);
/// ```
///
/// # Panics
/// If the rows differ in length or the metric is not one of float rows.
pub fn distance(metric: Metric, x: &[f32], y: &[f32]) -> f64 {
    assert_eq!(x.len(), y.len(), "rows of unequal length");
    match metric {
        Metric::L2 => sum(x, y, |a, b| (a - b) * (a - b)),
        Metric::InnerProduct => -sum(x, y, |a, b| a * b),
        Metric::L1 => sum(x, y, |a, b| (a - b).abs()),
        Metric::Cosine => {
            let norms = (sum(x, x, |a, b| a * b) * sum(y, y, |a, b| a * b)).sqrt();
            if norms > 0.0 { 1.0 - (sum(x, y, |a, b| a * b) / norms).clamp(-1.0, 1.0) } else { 1.0 }
        }
        other => panic!("{other} is not a metric of float rows"),
    }
}

/// The `k` rows nearest to `query` (all rows if there are fewer), nearest first, equal distances by id, with
/// [`distance`]s.
///
/// ```
/// use ann_core::{Matrix, Metric};
/// let base = Matrix::new(vec![0.0, 5.0, 1.0, 5.0], 1)?;
/// assert_eq!(ann_testkit::nearest(base.view(), &[4.0], Metric::L2, 3), [(1, 1.0), (3, 1.0), (2, 9.0)]);
/// # Ok::<(), ann_core::ShapeError>(())
/// ```
///
/// # Panics
/// As [`distance`].
pub fn nearest(base: MatrixView<'_, f32>, query: &[f32], metric: Metric, k: usize) -> Vec<(u32, f64)> {
    let mut all: Vec<(u32, f64)> = (0..).zip(base.rows().map(|row| distance(metric, query, row))).collect();
    let order = |a: &(u32, f64), b: &(u32, f64)| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0));
    if k == 0 {
        return Vec::new();
    }
    if k < all.len() {
        all.select_nth_unstable_by(k - 1, order);
        all.truncate(k);
    }
    all.sort_unstable_by(order);
    all
}

/// [`nearest`] for every query, with distances as data sets report them ([`Metric::reported`]: Euclidean, not
/// squared). `k` becomes the number of base rows if there are fewer.
///
/// ```
/// use ann_core::{Matrix, Metric};
/// let base = Matrix::new(vec![0.0, 5.0, 1.0, 5.0], 1)?;
/// let truth = ann_testkit::truth(base.view(), base.view(), Metric::L2, 2);
/// assert_eq!((truth.ids(2), truth.distances(2)), ([2, 0].as_slice(), [0.0, 1.0].as_slice()));
/// # Ok::<(), ann_core::ShapeError>(())
/// ```
///
/// # Panics
/// As [`distance`].
pub fn truth(base: MatrixView<'_, f32>, queries: MatrixView<'_, f32>, metric: Metric, k: usize) -> GroundTruth {
    let k = k.min(base.len());
    let (ids, distances) = queries
        .rows()
        .flat_map(|query| nearest(base, query, metric, k))
        .map(|(id, distance)| (id, reported(metric, distance)))
        .unzip();
    GroundTruth { k, ids, distances }
}

/// [`Metric::reported`] with the root taken before rounding.
pub(crate) fn reported(metric: Metric, distance: f64) -> f32 {
    if metric == Metric::L2 { distance.sqrt() as f32 } else { distance as f32 }
}

/// Sum of `term` over pairs. Four partial sums, because one would wait for each addition.
fn sum(x: &[f32], y: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let term = |a: f32, b: f32| term(f64::from(a), f64::from(b));
    let ((x4, x_rest), (y4, y_rest)) = (x.as_chunks::<4>(), y.as_chunks::<4>());
    let mut sums = [0.0; 4];
    for (x, y) in x4.iter().zip(y4) {
        sums[0] += term(x[0], y[0]);
        sums[1] += term(x[1], y[1]);
        sums[2] += term(x[2], y[2]);
        sums[3] += term(x[3], y[3]);
    }
    let rest: f64 = x_rest.iter().zip(y_rest).map(|(&a, &b)| term(a, b)).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_core::Matrix;

    #[test]
    fn distances_match_hand_computation_across_the_chunk_border() {
        let x: Vec<f32> = (0..7).map(|i| i as f32).collect();
        let y: Vec<f32> = (0..7).map(|i| (2 * i) as f32).collect();
        assert_eq!(distance(Metric::L2, &x, &y), 91.0);
        assert_eq!(distance(Metric::InnerProduct, &x, &y), -182.0);
        assert_eq!(distance(Metric::L1, &x, &y), 21.0);
        assert!(distance(Metric::Cosine, &x, &y).abs() < 1e-15);
    }

    #[test]
    fn k_beyond_the_rows_gives_all_rows() {
        let base = Matrix::new(vec![3.0, 1.0, 2.0], 1).unwrap();
        let ids = |k| nearest(base.view(), &[0.0], Metric::L2, k).iter().map(|n| n.0).collect::<Vec<_>>();
        assert_eq!((ids(0), ids(2), ids(9)), (vec![], vec![1, 2], vec![1, 2, 0]));
        assert_eq!(truth(base.view(), base.view(), Metric::L2, 9).k, 3);
    }

    #[test]
    fn ties_are_in_order_of_id() {
        let base = Matrix::new(vec![1.0; 50], 1).unwrap();
        let ids: Vec<u32> = nearest(base.view(), &[0.0], Metric::L2, 20).iter().map(|n| n.0).collect();
        assert_eq!(ids, (0..20).collect::<Vec<_>>());
    }
}
