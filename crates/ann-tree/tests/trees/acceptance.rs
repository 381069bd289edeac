//! Work and recall against other implementations.

use crate::support::{ball, kd, search};
use ann_core::{All, Matrix, Metric};
use ann_testkit::portable::gauss;

/// Distances per query that `KDTree(X, leaf_size=32)` of scikit-learn computes for the ten nearest of 100,000 Gaussian rows (`get_n_calls`).
const SKLEARN_KD: [(usize, f64); 3] = [(2, 108.0), (4, 490.0), (8, 6433.0)];
/// The same of `BallTree`, bounds included.
const SKLEARN_BALL: [(usize, f64); 3] = [(2, 1621.0), (4, 11_748.0), (8, 67_691.0)];

fn normal(n: usize, dim: usize, seed: u64) -> Matrix<f32> {
    Matrix::new((0..n * dim).map(|i| gauss(seed, i as u64) as f32).collect(), dim).unwrap()
}

#[test]
fn a_kd_tree_compares_no_more_rows_than_that_of_scikit_learn() {
    for (dim, reference) in SKLEARN_KD {
        let (base, queries) = (normal(100_000, dim, 5), normal(200, dim, 6));
        let tree = kd::<f32>(&base, Metric::L2);
        let work: u64 = queries.rows().map(|query| search(&tree, query, 10, None, &All).1.evaluations).sum();
        let mean = work as f64 / 200.0;
        assert!(mean <= 1.2 * reference, "{dim} columns: {mean} rows");
    }
}

#[test]
fn a_ball_tree_computes_no_more_distances_than_that_of_scikit_learn() {
    for (dim, reference) in SKLEARN_BALL {
        let (base, queries) = (normal(100_000, dim, 5), normal(200, dim, 6));
        let tree = ball::<f32>(&base, Metric::L2);
        let work: u64 = queries.rows().map(|query| search(&tree, query, 10, None, &All).1.evaluations).sum();
        let mean = work as f64 / 200.0;
        assert!(mean <= 1.2 * reference, "{dim} columns: {mean} distances");
    }
}
